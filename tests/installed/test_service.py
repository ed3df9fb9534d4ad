"""Units in trouble: reloads and starts with a mistake, keys and index that are gone, a stopped process, other code."""

import os
import re
import shutil
import signal
import subprocess
from functools import partial
from pathlib import Path

import pytest

from tests.helpers.installed_machine import (
    CONSOLE_UNIT,
    DAEMON_UNIT,
    HOME,
    OFFICER,
    InstalledHome,
    Machine,
    Phones,
    install,
)
from tests.helpers.sip_peer import State
from tests.helpers.waiting import HANGS_S, eventually

pytestmark = [pytest.mark.installed, pytest.mark.timeout(600)]
MISTAKE = ("[media]\n", "[media]\nno_such_key = 1\n")
EXPOSURE = 3.0
"""The most that `systemd-analyze security` may say of a unit, of 10."""
SEEN_S = 25.0
"""How long it may take until an alarm says that a key or the index is gone."""


def nominate(home: InstalledHome, number: str) -> None:
    with home.machine.path(f"{HOME}/recorder.toml").open("a") as file:
        file.write(f'\n[[extension]]\nnumber = "{number}"\noperator = "{OFFICER}"\nservice = "Revenues"\n')


def test_a_reload_with_a_mistake_fails_and_the_old_file_stays_in_force(machine: Machine, phones: Phones) -> None:
    home, pid = phones.home, machine.show(DAEMON_UNIT, "MainPID")
    assert isinstance(home, InstalledHome)
    nominate(home, "2002")
    home.edit(*MISTAKE)
    machine.run("systemctl", "reload", DAEMON_UNIT, code=1)
    assert "no_such_key" in machine.journal(DAEMON_UNIT)
    assert (machine.show(DAEMON_UNIT, "ActiveState"), machine.show(DAEMON_UNIT, "MainPID")) == ("active", pid)
    assert not is_recorded(phones, "2002")
    home.edit(MISTAKE[1], MISTAKE[0])
    machine.run("systemctl", "reload", DAEMON_UNIT)
    assert machine.show(DAEMON_UNIT, "MainPID") == pid
    assert is_recorded(phones, "2002")


def is_recorded(phones: Phones, number: str) -> bool:
    """Place a call; tell whether the daemon lists it as one to be recorded."""
    talk = phones.call(number)
    talk.begin()
    talk.wait_second().wait_for(lambda call: call.state is State.CONFIRMED, HANGS_S)
    found = talk.live is not None
    talk.first.hang_up()
    talk.first.wait_ended(HANGS_S)
    talk.left.hush()
    return found


@pytest.mark.parametrize("unit", [DAEMON_UNIT, CONSOLE_UNIT])
def test_a_mistake_stops_a_unit_instead_of_restarting_it_for_ever(machine: Machine, unit: str) -> None:
    InstalledHome(machine).edit(*MISTAKE)
    machine.run("systemctl", "restart", unit, code=1)
    assert machine.show(unit, "ActiveState") == "failed"
    assert (machine.show(unit, "NRestarts"), machine.show(unit, "ExecMainStatus")) == ("0", "2")
    assert "no_such_key" in machine.run("systemctl", "status", unit, code=None), "the reason is in its status"
    InstalledHome(machine).edit(MISTAKE[1], MISTAKE[0])
    machine.run("systemctl", "start", unit)


def test_the_watchdog_restarts_a_stopped_daemon(machine: Machine, phones: Phones) -> None:
    machine.run("mkdir", "-p", f"/run/systemd/system/{DAEMON_UNIT}.d")
    machine.path(f"/run/systemd/system/{DAEMON_UNIT}.d/soon.conf").write_text("[Service]\nWatchdogSec=10\n")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", DAEMON_UNIT)
    before = machine.main_pid(DAEMON_UNIT)
    os.kill(before, signal.SIGSTOP)
    eventually(lambda: machine.show(DAEMON_UNIT, "NRestarts") == "1", "it is restarted", timeout_s=60)
    assert isinstance(phones.home, InstalledHome)
    eventually(phones.home.answers, "the next daemon answers")
    assert machine.main_pid(DAEMON_UNIT) not in (0, before)
    assert is_recorded(phones, "2001")


def test_no_unit_is_more_exposed_than_it_may_be(machine: Machine) -> None:
    units = machine.run("sh", "-c", "ls /usr/lib/systemd/system/council-recorder*.service").split()
    said = {
        Path(unit).name: machine.run("systemd-analyze", "security", Path(unit).name, "--no-pager") for unit in units
    }
    found = {unit: float(re.findall(r"exposure level for \S+: ([\d.]+)", text)[-1]) for unit, text in said.items()}
    assert len(found) >= 4
    assert {unit: level for unit, level in found.items() if level > EXPOSURE} == {}


def other_code(package: Path, folder: Path) -> Path:
    """Return a package of the same version whose program says that it is another one."""
    tree = folder / "tree"
    subprocess.run(["dpkg-deb", "-R", str(package), str(tree)], check=True)
    dist = tree / "opt/council-recorder/dist"
    before = (dist / "NAME").read_text().strip()
    after = before[:-1] + ("0" if before[-1] != "0" else "1")
    for path in (dist / "NAME", dist / "bin/recorder", tree / "usr/lib/tmpfiles.d/council-recorder.conf"):
        path.write_text(path.read_text().replace(before, after))
    (entry,) = dist.glob("lib/*/site-packages/recorder/__main__.py")
    entry.write_text(entry.read_text() + "\n# other code\n")
    shutil.rmtree(entry.parent / "__pycache__")
    made = folder / "other_amd64.deb"
    subprocess.run(["dpkg-deb", "-Zgzip", "-z1", "--root-owner-group", "-b", str(tree), str(made)], check=True)
    shutil.rmtree(tree)
    return made


def running_names(machine: Machine, unit: str) -> set[str]:
    """Return the names of the code that a unit's process has open: none while it starts or there is none."""
    try:
        maps = Path(f"/proc/{machine.main_pid(unit)}/maps").read_text()
    except FileNotFoundError:
        return set()
    return set(re.findall(r"/opt/council-recorder/([^/\s]+)/", maps))


def kept_names(machine: Machine) -> set[str]:
    """Return the names of the code that is installed, in force or not."""
    listed = machine.run("ls", "/opt/council-recorder").split()
    return set(listed) - {"bin", "current", "dist", "docs"}


@pytest.mark.long
def test_other_code_of_the_same_version_is_put_in_force_after_the_call(
    machine: Machine, phones: Phones, package: Path, tmp_path: Path
) -> None:
    (before,) = running_names(machine, DAEMON_UNIT)
    other = other_code(package, tmp_path)
    talk = phones.call()
    talk.join()
    said = install(machine, other, "other")
    assert "takes the new version when the calls in progress have ended" in said, said
    talk.talk_for(2.0)
    assert running_names(machine, DAEMON_UNIT) == {before}, "the call goes on"
    row = talk.hang_up()
    assert (row["outcome"], row["reason"]) == ("recorded", "caller_hung_up")
    installed = machine.path("/opt/council-recorder/dist/NAME").read_text().strip()
    assert installed != before
    for unit in (DAEMON_UNIT, CONSOLE_UNIT):
        eventually(partial(lambda unit: running_names(machine, unit) == {installed}, unit), f"{unit} runs it")
    eventually(lambda: kept_names(machine) == {installed}, "the code before is removed")
    (entry,) = machine.path("/opt/council-recorder/current/lib").glob("*/site-packages/recorder/__main__.py")
    assert "# other code" in entry.read_text()
    assert isinstance(phones.home, InstalledHome)
    eventually(phones.home.answers, "the new daemon answers")
    assert is_recorded(phones, "2001")


@pytest.mark.long
def test_a_purge_keeps_the_recordings(machine: Machine, phones: Phones) -> None:
    talk = phones.call()
    talk.join()
    talk.talk_for(1.0)
    talk.hang_up()
    listed = machine.run("find", f"{HOME}/recordings", f"{HOME}/keys", f"{HOME}/private", "-type", "f")
    assert ".rec" in listed
    assert "was kept" in machine.run("apt-get", "purge", "-y", "-q", "council-recorder")
    assert machine.run("find", f"{HOME}/recordings", f"{HOME}/keys", f"{HOME}/private", "-type", "f") == listed
