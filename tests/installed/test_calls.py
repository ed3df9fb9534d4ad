"""Calls on a machine with the package: recorded under the units as they are shipped, whose sandbox is in force."""

import json
import re
import stat
from pathlib import Path, PurePath

import pytest

from recorder.recordings.home_rights import rights_of
from tests.helpers.installed_machine import CONSOLE_UNIT, DAEMON_UNIT, HOME, Machine, Phones

pytestmark = [pytest.mark.installed, pytest.mark.timeout(300)]
UNITS = ("council-recorder", "council-recorder-console", "council-recorder-backup")
LEFT_OPEN = {"warning", "ok"}
"""What `site-check` may say of a new home: what it warns of is the administrator's to decide."""
PROBE = """
import ctypes, errno, json, os, socket
libc = ctypes.CDLL(None, use_errno=True)
def refused(act):
    try:
        result = act()
    except OSError as error:
        return errno.errorcode[error.errno]
    return errno.errorcode[ctypes.get_errno()] if result == -1 else "done"
state = os.environ["RECORDER_HOME"] + "/state"
print("PROBE " + json.dumps({
    "write /etc": refused(lambda: open("/etc/probe", "w")),
    "write /usr": refused(lambda: open("/usr/probe", "w")),
    "see /home": os.path.exists("/home/probe"),
    "set-group-ID": refused(lambda: os.chmod(state, 0o2770)),
    "namespace": refused(lambda: libc.unshare(0x40000000)),
    "netlink": refused(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)),
    "other memory": refused(lambda: libc.process_vm_readv(1, 0, 0, 0, 0, 0)),
    "mount": refused(lambda: libc.mount(b"none", b"/tmp", b"tmpfs", 0, 0)),
    "see init": os.path.exists("/proc/1"),
}), flush=True)
"""
REFUSED = {
    "write /etc": "EROFS", "write /usr": "EROFS", "see /home": False, "set-group-ID": "EPERM", "namespace": "EPERM",
    "netlink": "EAFNOSUPPORT", "other memory": "EPERM", "mount": "EPERM", "see init": False,
}  # fmt: skip


def findings(machine: Machine) -> dict[str, str]:
    """Run `recorder site-check` as root; return what it found that is no warning, by subject."""
    said = machine.run("recorder", "site-check", "-C", HOME, code=None)
    lines = [line.split("\t") for line in said.splitlines() if "\t" in line]
    assert len(lines) > 20, said
    return {subject: text for level, subject, text in lines if level not in LEFT_OPEN}


def wrong_modes(machine: Machine) -> dict[str, str]:
    """Return the files and folders of the home whose mode or group is not that of docs/operations.md."""
    listed = machine.run("find", HOME, "-printf", "%y %m %G %P\\n")
    shared = machine.run("getent", "group", "council-shared").split(":")[2]
    found = {}
    for line in listed.splitlines():
        kind, mode, group, name = line.split(" ", 3)
        wanted = rights_of(PurePath(name), is_folder=kind == "d")
        if kind in "fd" and (int(mode, 8), group == shared) != (wanted.mode, wanted.is_groups):
            found[name] = f"{mode} in {group}, not {wanted.mode:o}"
    return found


def test_a_call_is_recorded_and_the_site_check_stays_green(machine: Machine, phones: Phones) -> None:
    assert findings(machine) == {}
    talk = phones.call()
    talk.join()
    talk.talk_for(1.0)
    row = talk.hang_up()
    assert (row["outcome"], row["reason"]) == ("recorded", "caller_hung_up"), row
    assert findings(machine) == {}
    assert wrong_modes(machine) == {}
    assert stat.S_IMODE(machine.path(f"{HOME}/state/ports").stat().st_mode) == 0o660
    phones.home.recorder("recordings", "verify", "--all")
    for unit in (DAEMON_UNIT, CONSOLE_UNIT):
        assert (machine.show(unit, "ActiveState"), machine.show(unit, "NRestarts")) == ("active", "0")


def test_the_sandbox_of_every_unit_is_in_force(machine: Machine) -> None:
    """By a program in the place of ours, with everything else of the unit; and by what the kernel says of ours."""
    machine.path("/srv/probe.py").write_text(PROBE)
    machine.path("/home/probe").touch()
    for unit in UNITS:
        text = machine.path(f"/usr/lib/systemd/system/{unit}.service").read_text()
        text = re.sub(
            "^ExecStart=.*$", "ExecStart=/opt/council-recorder/current/bin/python /srv/probe.py", text, flags=re.M
        )
        text = re.sub("^Type=.*$", "Type=oneshot", text, flags=re.M)
        # An answer in the place of a signal, where the unit gives none.
        text = re.sub(r"^(Restart|NotifyAccess|WatchdogSec|SystemCallErrorNumber)=.*\n", "", text, flags=re.M)
        text = text.replace("[Service]\n", "[Service]\nSystemCallErrorNumber=EPERM\n")
        machine.path(f"/run/systemd/system/probe-{unit}.service").write_text(text)
    machine.run("systemctl", "daemon-reload")
    for unit in UNITS:
        machine.run("systemctl", "start", f"probe-{unit}.service")
        said = re.search(r"PROBE (\{.*\})", machine.journal(f"probe-{unit}.service"))
        assert said is not None
        assert json.loads(said[1]) == REFUSED, unit
    for unit in (DAEMON_UNIT, CONSOLE_UNIT):
        status = Path(f"/proc/{machine.main_pid(unit)}/status").read_text()
        found = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert (found["Seccomp"], found["NoNewPrivs"]) == ("2", "1")
        assert {int(found[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
