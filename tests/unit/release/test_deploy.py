"""Units, users, folders and maintainer scripts of the package name the same things."""

import re
import subprocess
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[3] / "deploy"
SERVICES = ("council-recorder", "council-recorder-console")
SCRIPTS = (*sorted((DEPLOY / "debian").glob("council-recorder.*")), DEPLOY / "package/use-installed-version")


def entries(unit: str) -> dict[str, str]:
    """Return the last value of each key of a unit."""
    return dict(re.findall(r"^(\w+)=(.*)$", (DEPLOY / f"{unit}.service").read_text(), re.MULTILINE))


@pytest.mark.parametrize("unit", SERVICES)
def test_a_unit_runs_as_a_user_that_the_package_makes_and_only_where_there_is_a_home(unit: str) -> None:
    made = re.findall(r"^u (\S+) ", (DEPLOY / "package/sysusers.conf").read_text(), re.MULTILINE)
    found = entries(unit)
    assert {found["User"], found["Group"]} <= set(made)
    assert found["ConditionPathExists"] == "/var/lib/council-recorder/recorder.toml"
    assert found["ExecStart"].startswith("/opt/council-recorder/bin/recorder ")


def test_daemon_and_console_are_two_users() -> None:
    assert len({entries(unit)["User"] for unit in SERVICES}) == 2


def test_the_home_is_the_console_users() -> None:
    assert "/var/lib/council-recorder :0700 :council-console " in (DEPLOY / "package/tmpfiles.conf").read_text()
    assert entries("council-recorder-console")["User"] == "council-console"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_stop_at_an_error_and_are_plain_sh(script: Path) -> None:
    lines = script.read_text().splitlines()
    assert (lines[0], "set -e" in lines) == ("#!/bin/sh", True)
    subprocess.run(["sh", "-n", script], check=True)


def test_a_purge_deletes_only_what_somebody_said_in_words(tmp_path: Path) -> None:
    home = tmp_path / "home"
    script = (DEPLOY / "debian/council-recorder.postrm").read_text()
    script = script.replace("#DEBHELPER#", "").replace("/var/lib/council-recorder", str(home))
    script = script.replace("/etc/council-recorder", str(tmp_path / "etc"))

    def purge(argument: str = "purge", **environment: str) -> str:
        home.mkdir(exist_ok=True)
        (home / "recorder.toml").touch()
        done = subprocess.run(
            ["sh", "-c", script, "postrm", argument], check=True, capture_output=True, text=True,
            env={"PATH": "/usr/bin:/bin", **environment}, stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        return done.stdout

    for kept in (purge("remove"), purge("upgrade")):
        assert kept == ""
    assert "was kept" in purge(DEBIAN_FRONTEND="noninteractive")
    assert "was kept" in purge()
    assert "was kept" in purge(COUNCIL_RECORDER_PURGE="yes")
    assert (home / "recorder.toml").exists()
    assert "was deleted" in purge(COUNCIL_RECORDER_PURGE="delete-recordings")
    assert not home.exists()
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/delete-recordings").touch()
    assert "was deleted" in purge()
    assert not (tmp_path / "etc/delete-recordings").exists()


def version_tree(place: Path, version: str) -> str:
    """Make a package's folder as it would be installed; return the script that switches in it."""
    (place / "dist").mkdir(parents=True, exist_ok=True)
    for name, text in (("VERSION", version), ("code", version)):
        written = place / "dist" / f"{name}.new"  # as dpkg does: a new file in the old one's place
        written.write_text(text)
        written.rename(place / "dist" / name)
    script = (DEPLOY / "package/use-installed-version").read_text()
    return script.replace("place=/opt/council-recorder", f"place={place}")


def switch(script: str, *words: str) -> int:
    return subprocess.run(["sh", "-c", script, "switch", *words], check=False).returncode


def test_a_version_keeps_its_files_when_the_package_gets_others(tmp_path: Path) -> None:
    place = tmp_path / "opt"
    script = version_tree(place, "1")
    assert switch(script, "--unless-used") == 0
    assert (place / "current/code").read_text() == "1"
    assert (place / "1/code").stat().st_ino == (place / "dist/code").stat().st_ino
    used = Path("/usr/bin/sleep").read_bytes()
    (place / "1/sleep").write_bytes(used)
    (place / "1/sleep").chmod(0o755)
    with subprocess.Popen([place / "1/sleep", "60"]) as running:
        try:
            script = version_tree(place, "2")
            assert (place / "1/code").read_text() == "1"
            assert switch(script, "--unless-used") == 3
            assert (place / "current").readlink() == Path("1")
            assert switch(script) == 0
            assert (place / "current/code").read_text() == "2"
            assert (place / "1/code").exists(), "a process runs from it"
        finally:
            running.kill()
    assert switch(script) == 0
    assert sorted(path.name for path in place.iterdir()) == ["2", "current", "dist"]
