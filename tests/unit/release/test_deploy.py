"""Units, users, folders and maintainer scripts of the package name the same things."""

import re
import subprocess
from pathlib import Path

import pytest

from deploy.release import deb
from tests.helpers.systemd_units import DEPLOY, read_unit

SERVICES = ("council-recorder", "council-recorder-console", "council-recorder-backup")
SCRIPTS = (*sorted((DEPLOY / "debian").glob("council-recorder.*")), DEPLOY / "package/use-installed-version")
UNITS = {path.name for pattern in ("*.service", "*.timer") for path in DEPLOY.glob(pattern)}


def test_the_package_has_every_unit() -> None:
    rule = re.search(r"-t \$\(TARGET\)/usr/lib/systemd/system (.+)", (DEPLOY / "debian/rules").read_text())
    assert rule is not None
    assert {path.name for word in rule[1].split() for path in DEPLOY.parent.glob(word)} == UNITS


@pytest.mark.parametrize("unit", SERVICES)
def test_a_unit_runs_as_a_user_that_the_package_makes(unit: str) -> None:
    made = re.findall(r"^u (\S+) ", (DEPLOY / "package/sysusers.conf").read_text(), re.MULTILINE)
    found = read_unit(f"{unit}.service")
    assert {*found["User"], *found["Group"]} <= set(made)
    assert found["ExecStart"][0] == "/opt/council-recorder/bin/recorder"


@pytest.mark.parametrize("unit", SERVICES[:2])
def test_a_unit_runs_only_where_there_is_a_home(unit: str) -> None:
    assert read_unit(f"{unit}.service")["ConditionPathExists"] == ["/var/lib/council-recorder/recorder.toml"]


def test_the_home_is_the_console_users() -> None:
    assert "/var/lib/council-recorder :0700 :council-console " in (DEPLOY / "package/tmpfiles.conf").read_text()
    assert read_unit("council-recorder-console.service")["User"] == ["council-console"]


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
    for name, text in (("NAME", version), ("code", version)):
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


def run_with_systemd(script: str, tmp_path: Path, *words: str, daemon: str = "inactive") -> list[str]:
    """Run a maintainer script where systemd runs, and a process of the old version does; return what it had done.

    Args:
        script: Its name.
        tmp_path: Has the programs that it calls.
        words: Its arguments.
        daemon: The state of the daemon's unit, as systemd says it.
    """
    log = tmp_path / "log"
    for name, code in (
        (
            "systemctl",
            f'[ "$1" = show ] && echo {daemon} && exit\ncase "$*" in *is-active*) [ {daemon} = active ] ;; esac',
        ),
        ("use-installed-version", '[ "$1" != --unless-used ] || exit 3'),
    ):
        (tmp_path / name).write_text(f'#!/bin/sh\necho "{name} $*" >>{log}\n{code}\n')
        (tmp_path / name).chmod(0o755)
    text = (DEPLOY / "debian" / f"council-recorder.{script}").read_text()
    for old, new in (
        ("#DEBHELPER#", ""), ("/run/systemd/system", str(tmp_path)), ("/usr/lib/council-recorder", str(tmp_path)),
        ("/opt/council-recorder", f"{tmp_path}/opt"), ("/usr/lib/systemd/systemd-sysctl", "true"),
    ):  # fmt: skip
        text = text.replace(old, new)
    (tmp_path / "opt").mkdir()
    path = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    subprocess.run(["sh", "-c", text, script, *words], check=True, env=path, stdout=subprocess.DEVNULL)
    return log.read_text().splitlines()


@pytest.mark.parametrize("daemon", ["active", "activating", "deactivating"])
def test_an_upgrade_waits_for_a_daemon_that_runs_starts_or_stops(tmp_path: Path, daemon: str) -> None:
    """One that is being stopped has calls for as long as `[drain] limit_s` says."""
    done = run_with_systemd("postinst", tmp_path, "configure", "1", daemon=daemon)
    assert "systemctl --no-block start council-recorder-restart.service" in done
    assert "use-installed-version " not in done, "the new version would upgrade the tables under it"


@pytest.mark.parametrize("daemon", ["inactive", "failed"])
def test_an_upgrade_without_a_daemon_is_done_at_once(tmp_path: Path, daemon: str) -> None:
    done = run_with_systemd("postinst", tmp_path, "configure", "1", daemon=daemon)
    assert done[-2:] == ["use-installed-version ", "systemctl try-restart council-recorder-console.service"]


def test_a_removal_stops_every_unit(tmp_path: Path) -> None:
    (stop,) = run_with_systemd("prerm", tmp_path, "remove")
    assert stop.startswith("systemctl stop ")
    assert set(stop.split()[2:]) == UNITS


def test_a_package_is_not_mixed_with_an_installation_from_source(tmp_path: Path) -> None:
    script = (DEPLOY / "debian/council-recorder.preinst").read_text().replace("#DEBHELPER#", "")

    def install() -> subprocess.CompletedProcess[str]:
        text = script.replace("-e /opt/council-recorder", f"-e {tmp_path}")
        return subprocess.run(["sh", "-c", text, "preinst", "install"], check=False, capture_output=True, text=True)

    assert (install().returncode, install().stderr) == (0, "")
    (tmp_path / "pyvenv.cfg").touch()
    refused = install()
    assert refused.returncode == 1
    for step in ("mv /opt/council-recorder /opt", "rm -f /etc/systemd/system/council-recorder*.service"):
        assert f"  {step}" in refused.stderr


def test_two_builds_of_one_version_have_two_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deb, "TREE", tmp_path)
    (tmp_path / "recorder").mkdir()
    (tmp_path / "recorder/call.py").write_text("ring = 1\n")
    name = deb.code_name()
    assert re.fullmatch("[0-9a-f]{8}", name)
    assert deb.code_name() == name
    (tmp_path / "recorder/call.py").write_text("ring = 2\n")
    assert deb.code_name() != name


@pytest.mark.parametrize("unit", SERVICES[:2])
def test_a_mistake_in_the_configuration_is_not_tried_again(unit: str) -> None:
    assert read_unit(f"{unit}.service")["RestartPreventExitStatus"] == ["2"]
