"""What goes wrong on a machine with the package, and what is said of it: keys, index, a kill, backups, timers."""

import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from recorder.common.clock import utc_now
from storage.epochs import month_of
from tests.helpers.installed_machine import (
    CONSOLE,
    CONSOLE_UNIT,
    DAEMON_UNIT,
    HOME,
    InstalledHome,
    Machine,
    Phones,
)
from tests.helpers.sip_peer import State
from tests.helpers.waiting import eventually

pytestmark = [pytest.mark.installed, pytest.mark.long]
SEEN_S = 25.0
"""How long it may take until an alarm says that a key or the index is gone, and until it ends."""
HEARD_S = 33.0
"""How long both sides of a call may wait for BYE after a kill."""
OF_THE_PLACE = {"memory_not_locked"}
"""Alarms of any machine in namespaces: its systemd may not raise the limit of locked memory."""
BACKUP, REHEARSAL = "council-recorder-backup.service", "council-recorder-rehearsal.service"
VERIFY, AUDIT_VERIFY = "council-recorder-verify.service", "council-recorder-audit-verify.service"


def home_of(phones: Phones) -> InstalledHome:
    assert isinstance(phones.home, InstalledHome)
    return phones.home


def alarms(machine: Machine) -> set[str]:
    """Return the alarms that `recorder health` says, as root asks."""
    said = machine.run("recorder", "health", "-C", HOME, code=None)
    return set(re.findall(r"^([a-z_]+) \(\d+", said.replace("recorder: ", ""), re.MULTILINE)) - OF_THE_PLACE


def recorded_call(phones: Phones) -> dict[str, Any]:
    talk = phones.call()
    talk.join()
    talk.talk_for(1.0)
    return talk.hang_up()


def move(machine: Machine, *names: str, to: str) -> None:
    """Move files of the home to another ending, or back."""
    for name in names:
        machine.run("mv", f"{HOME}/{name}", f"{HOME}/{name}{to}" if to else f"{HOME}/{name.removesuffix('.away')}")


@pytest.mark.parametrize(
    ("name", "alarm"),
    [
        ("keys/epochs/MONTH.pub", "epoch_missing"),
        ("private/MONTH.key", "private_keys_missing"),
        ("keys", "keys_unreadable"),
        ("common/index.sqlite", "index_unavailable"),
    ],
    ids=["month", "private key", "all keys", "index"],
)
def test_what_is_gone_while_it_runs_is_an_alarm_until_it_is_back(
    machine: Machine, phones: Phones, name: str, alarm: str
) -> None:
    assert recorded_call(phones)["outcome"] == "recorded"
    eventually(lambda: alarms(machine) == set(), "all is well")
    name = name.replace("MONTH", month_of(utc_now()))
    move(machine, name, to=".away")
    eventually(lambda: alarm in alarms(machine), f"the alarm {alarm}", timeout_s=SEEN_S)
    move(machine, f"{name}.away", to="")
    if name == "keys":  # the unit may write into a folder below it, and not into one that has come in its place
        machine.run("systemctl", "restart", DAEMON_UNIT)
    eventually(lambda: alarms(machine) == set(), "the alarm ends with its cause", timeout_s=SEEN_S)
    assert recorded_call(phones)["outcome"] == "recorded"


def test_a_start_without_its_index_makes_no_empty_one(machine: Machine, phones: Phones) -> None:
    row = recorded_call(phones)
    machine.run("systemctl", "stop", DAEMON_UNIT, CONSOLE_UNIT)
    files = [path.name for path in machine.path(f"{HOME}/common").glob("index.sqlite*") if "lock" not in path.name]
    move(machine, *(f"common/{one}" for one in files), to=".away")
    machine.run("systemctl", "start", DAEMON_UNIT)
    eventually(home_of(phones).answers, "the daemon answers")
    eventually(lambda: "index_unavailable" in alarms(machine), "the alarm", timeout_s=SEEN_S)
    assert not machine.path(f"{HOME}/common/index.sqlite").exists()
    move(machine, *(f"common/{one}.away" for one in files), to="")
    machine.run("systemctl", "start", CONSOLE_UNIT)
    eventually(lambda: alarms(machine) == set(), "the alarm ends", timeout_s=SEEN_S)
    assert home_of(phones).row_of(row["caller"])["id"] == row["id"]


def test_both_sides_of_a_call_are_hung_up_after_a_kill(machine: Machine, phones: Phones) -> None:
    talk = phones.call()
    talk.join()
    talk.talk_for(8.0)  # more than a kill may cost
    second = talk.wait_second()
    os.kill(machine.main_pid(DAEMON_UNIT), signal.SIGKILL)
    for leg in (talk.first, second):
        eventually(lambda leg=leg: leg.state is State.ENDED, "it is hung up", timeout_s=HEARD_S)  # type: ignore[misc]
    talk.left.hush()
    talk.right.hush()
    assert machine.show(DAEMON_UNIT, "NRestarts") == "1"
    row = home_of(phones).row_of(talk.number)
    assert row["outcome"] == "partial"
    assert recorded_call(phones)["outcome"] == "recorded"


def test_what_is_scheduled_runs_and_is_in_health(machine: Machine, phones: Phones) -> None:
    recorded_call(phones)
    timers = machine.run("systemctl", "list-timers", "--no-pager", "--plain", "council-recorder*")
    assert {"council-recorder-verify.timer", "council-recorder-audit-verify.timer"} <= set(timers.split())
    for unit in (VERIFY, AUDIT_VERIFY):
        machine.run("systemctl", "start", unit)
        assert machine.show(unit, "Result") == "success"
    found = home_of(phones).json("health", account=None, code=None)["verification"]
    assert found["recordings"]["at"] is not None
    assert (found["audit"]["at"] is not None, found["audit"]["problems"]) == (True, [])


def test_backups_run_by_their_units_and_tell_what_they_lack(machine: Machine, phones: Phones) -> None:
    home = home_of(phones)
    rows = [recorded_call(phones) for _ in range(2)]
    for name in ("backup", "backup-keys"):
        machine.run("install", "-d", "-m", "0700", "-o", CONSOLE, "-g", CONSOLE, f"/srv/{name}")
    home.edit('\ndestination = "off"', '\ndestination = "/srv/backup"')
    home.edit('\nkeys_destination = "off"', '\nkeys_destination = "/srv/backup-keys"')
    for unit in (BACKUP, CONSOLE_UNIT):  # as the comment in the unit says
        machine.run("mkdir", "-p", f"/etc/systemd/system/{unit}.d")
        text = "[Service]\nReadWritePaths=/srv/backup /srv/backup-keys\n"
        machine.path(f"/etc/systemd/system/{unit}.d/destinations.conf").write_text(text)
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "reload", DAEMON_UNIT)
    machine.run("systemctl", "restart", CONSOLE_UNIT)
    home.recorder("backups", "add", "--init")
    machine.run("systemctl", "start", BACKUP)
    machine.run("systemctl", "start", REHEARSAL)
    health = home.json("health", account=None, code=None)["backup"]
    assert (health["problems"], health["rehearsal"]["problems"]) == ([], [])
    assert not machine.path(f"{HOME}/rehearsal").exists()
    path = f"{HOME}/recordings/{rows[0]['path']}"
    machine.run("rm", path)
    machine.run("systemctl", "start", BACKUP, code=1)
    assert f"recording {rows[0]['id']}: its file is missing" in machine.journal(BACKUP)
    assert "backup_incomplete" in alarms(machine)
    new = Path("/srv/restored")
    machine.run("install", "-d", "-m", "0700", "-o", CONSOLE, "-g", CONSOLE, str(new))
    machine.run(
        "recorder", "backups", "restore", "/srv/backup", "--keys", "/srv/backup-keys", "-C", str(new), user=CONSOLE
    )
    machine.run("recorder", "recordings", "verify", "--all", "-C", str(new), user=CONSOLE)
