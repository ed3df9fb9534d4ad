"""What an operator does with the Debian package, in a root that has nothing but Debian: `python3 scenario.py OLD NEW`.

Installs OLD and sipp, makes a home, runs the units' command lines as their users, and has a call recorded. Installs NEW
in the middle of a second call. Removes, and purges with each answer. Run as root by `test_debian_package.py`, with the
standard library only. systemd does not run there: its part is played by this script.
"""

import contextlib
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

HOME = Path("/var/lib/council-recorder")
PLACE = Path("/opt/council-recorder")
UNITS = Path("/usr/lib/systemd/system")
PASSWORD = Path("/srv/password")
SIP, PBX = 5060, 5080
CALLER = Path(__file__).with_name("caller.xml")
QUIET = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}


def step(text: str) -> None:
    """Say what comes next."""
    print(f"--- {text}", flush=True)


def run(*words: str | Path, succeeds: bool = True, user: str | None = None) -> str:
    """Run a program, as root or another user; return its output.

    Raises:
        AssertionError: It ended otherwise than it should.
    """
    become = () if user is None else ("setpriv", "--reuid", user, "--regid", user, "--init-groups", "--")
    done = subprocess.run(
        [*become, *map(str, words)], check=False, env=QUIET, cwd="/", start_new_session=True, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    print(done.stdout, end="", flush=True)
    assert (done.returncode == 0) == succeeds, f"{words} ended with {done.returncode}"
    return done.stdout


def recorder(*words: str | Path, user: str | None = "council-console") -> str:
    """Run a command of the recorder."""
    return run("recorder", *words, "-C", HOME, user=user)


def find() -> list[dict[str, object]]:
    """Return the calls that their officer finds."""
    output = recorder("recordings", "list", "--json", "--as", "alice", "--password-file", PASSWORD)
    rows: list[dict[str, object]] = json.loads(output[output.index("[") :])
    return rows


def until(is_so: Callable[[], bool], what: str, within_s: float = 60.0) -> None:
    """Wait for something."""
    limit = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < limit, f"waited {within_s:.0f} s in vain: {what}"
        time.sleep(0.2)


class Service:
    """What systemd would run: the command line of a unit, as its user, with its environment and umask.

    Its limits are left as they are: a container may not raise them.
    """

    def __init__(self, unit: str) -> None:
        text = (UNITS / f"{unit}.service").read_text()
        entries: list[tuple[str, str]] = re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE)
        one = dict(entries)
        words = " ".join(value for key, value in entries if key == "Environment").split()
        assert one["ConditionPathExists"] == str(HOME / "recorder.toml")
        self.log = Path(f"/srv/{unit}.log")
        command = ["setpriv", "--reuid", one["User"], "--regid", one["Group"], "--init-groups", "--no-new-privs", "--"]
        environment = {"PATH": "/usr/bin:/bin", **dict(word.split("=", 1) for word in words)}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *one["ExecStart"].split()], env=environment, umask=int(one["UMask"], 8), cwd="/",
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def stop(self) -> None:
        """Stop it as systemd does, and have it leave without a fault."""
        self._process.send_signal(signal.SIGTERM)
        assert self._process.wait(60) in (0, -signal.SIGTERM), self.log.read_text()[-3000:]

    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def version(self) -> str:
        """Return the name of the code that it runs, by the files that it has mapped."""
        maps = Path(f"/proc/{self._process.pid}/maps").read_text()
        found = set(re.findall(rf"{PLACE}/([^/\s]+)/", maps))
        assert len(found) == 1, found
        return str(found.pop())


def states() -> list[str] | None:
    """Return how far the recording of each call in progress is; None where the daemon does not answer."""
    become = ("setpriv", "--reuid", "council-console", "--regid", "council-console", "--init-groups", "--")
    asked = [*become, "recorder", "calls", "--json", "-C", str(HOME)]
    done = subprocess.run(asked, capture_output=True, check=False, cwd="/")
    return [str(row["state"]) for row in json.loads(done.stdout)] if done.returncode == 0 else None


def answers() -> bool:
    """Whether the daemon answers."""
    return states() is not None


def is_bound(port: int) -> bool:
    """Whether a program waits for datagrams at a port."""
    return f":{port:04X} " in Path("/proc/net/udp").read_text()


def phone(*words: str) -> subprocess.Popen[bytes]:
    """Start a sipp on loopback."""
    return subprocess.Popen(
        ["sipp", "-i", "127.0.0.1", "-nostdin", "-m", "1", "-timeout", "90", "-trace_err", *words],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/tmp",
    )  # fmt: skip


def begin_call() -> tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]:
    """Have the PBX wait for a call, and a caller place one; return both."""
    officer = phone("-sn", "uas", "-p", str(PBX), "-rtp_echo", "-mi", "127.0.0.1", "-mp", "7000")
    until(lambda: is_bound(PBX), "the PBX waits for a call")
    caller = phone("-sf", str(CALLER), "-p", "5090", "-mi", "127.0.0.1", "-d", "9000", "-s", "2001", f"127.0.0.1:{SIP}")
    return caller, officer


def end_call(phones: Sequence[subprocess.Popen[bytes]]) -> None:
    """Wait until the caller has hung up and nothing is left of the call."""
    for one in phones:
        code = one.wait(90)
        errors = "".join(path.read_text() for path in Path("/tmp").glob("*_errors.log"))
        assert code == 0, f"sipp ended with {code}: {errors}"


def installed() -> str:
    """Return the installed package's version."""
    return run("dpkg-query", "-W", "-f", "${Version}", "council-recorder").strip()


def name() -> str:
    """Return the name of the installed package's code."""
    return (PLACE / "dist/NAME").read_text().strip()


def current() -> str:
    """Return the name of the code that `recorder` and the units run."""
    return str((PLACE / "current").readlink())


def install(package: Path) -> str:
    """Install a package and what it depends on; return the output."""
    return run("apt-get", "install", "-y", "-q", "--no-install-recommends", package)


def make_home() -> None:
    """Make the home as docs/operations.md says."""
    PASSWORD.write_text("correct horse battery staple\n")
    PASSWORD.chmod(0o600)
    shutil.chown(PASSWORD, "council-console")
    addresses = ("--sip", f"127.0.0.1:{SIP}", "--next-hop", f"127.0.0.1:{PBX}", "--console", "127.0.0.1:8080")
    people = ("--extension", "2001:alice:Revenues", "--admin", "founder", "--password-file", PASSWORD)
    run("recorder", "init", HOME, "--group", "council-shared", *addresses, *people, user="council-console")
    configuration = HOME / "recorder.toml"
    text = configuration.read_text()
    assert 'second_factor = "required"' in text
    configuration.write_text(text.replace('second_factor = "required"', 'second_factor = "off"'))
    founder = ("--as", "founder", "--password-file", PASSWORD)
    recorder("users", "add", "alice", "--role", "officer", "--new-password-file", PASSWORD, *founder)


def check_installed(version: str) -> None:
    """Check what the package brings beside the program."""
    assert run("recorder", "--version").strip().removeprefix("recorder ") in version
    members = run("getent", "group", "council-shared").strip().rpartition(":")[2]
    assert set(members.split(",")) == {"council-recorder", "council-console"}
    run("bash", "-c", ". /usr/share/bash-completion/completions/recorder && complete -p recorder")
    completions = run("bash", "-c", "COMP_WORDS='recorder sit' COMP_CWORD=1 _RECORDER_COMPLETE=complete_bash recorder")
    assert completions.split() == ["site-check"], completions
    assert Path("/usr/share/man/man1/recorder.1.gz").exists()
    boms = json.loads(Path("/usr/share/doc/council-recorder/sbom.cdx.json").read_text())
    assert {"sippy", "numpy"} <= {component["name"] for component in boms["components"]}
    for unit in (
        "backup.service",
        "backup.timer",
        "rehearsal.service",
        "rehearsal.timer",
        "verify.timer",
        "audit-verify.timer",
        "restart.service",
    ):
        assert (UNITS / f"council-recorder-{unit}").exists()
    (libraries,) = (PLACE / "dist/lib").glob("python*/site-packages")
    assert not (libraries / "tests").exists(), "sippy's tests are at the top of everything that is imported"
    (record,) = libraries.glob("sippy-*.dist-info/RECORD")
    assert not re.search(r"^tests/", record.read_text(), re.MULTILINE)
    for compiler in ("gcc", "cc", "cython"):
        run("sh", "-c", f"command -v {compiler}", succeeds=False)
    assert HOME.stat().st_mode & 0o777 == 0o700


def use_and_upgrade(new: Path) -> None:
    """Record a call, install another version in the middle of a second one, and go on with it."""
    step("a call")
    daemon, console = Service("council-recorder"), Service("council-recorder-console")
    until(answers, "the daemon answers")
    end_call(begin_call())
    until(lambda: len(find()) == 1, "the call is found")
    (first,) = find()
    assert (first["outcome"], first["reason"]) == ("recorded", "caller_hung_up"), first

    step("an upgrade in the middle of a call")
    old = name()
    phones = begin_call()
    until(lambda: states() == ["recording"], "the notice is over: they talk")
    said = install(new)
    assert "A recorder of the old version runs on" in said
    assert name() != old
    assert daemon.is_running()
    assert (daemon.version(), console.version(), current()) == (old, old, old)
    end_call(phones)
    until(lambda: len(find()) == 2, "the second call is found, by the old version")
    rows = find()
    assert {(row["outcome"], row["reason"]) for row in rows} == {("recorded", "caller_hung_up")}, rows
    durations = [float(str(row["duration_s"])) for row in rows]
    assert min(durations) > 10, rows
    assert max(durations) - min(durations) < 2, "the upgrade took nothing from the second call"

    step("the new version")
    for service in (daemon, console):
        service.stop()
    run("/usr/lib/council-recorder/use-installed-version")
    assert current() == name()
    assert not (PLACE / old).exists()
    daemon, console = Service("council-recorder"), Service("council-recorder-console")
    until(answers, "the new daemon answers")
    assert daemon.version() == name()
    assert len(find()) == 2
    recorder("recordings", "verify", "--all")

    step("no removal under a recorder that runs")
    assert "stop it first" in run("apt-get", "remove", "-y", "council-recorder", succeeds=False)
    assert daemon.is_running()
    for service in (daemon, console):
        service.stop()


def purge_at_terminal(typed: str) -> str:
    """Purge at a terminal, with an answer; return what it says."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ.pop("DEBIAN_FRONTEND", None)
        os.execvp("dpkg", ["dpkg", "--purge", "council-recorder"])
    said = b""
    with contextlib.suppress(OSError):  # the terminal's end
        while chunk := os.read(terminal, 4096):
            said += chunk
            if b"type: delete recordings" in said and typed:
                os.write(terminal, f"{typed}\n".encode())
                typed = ""
    assert os.waitpid(child, 0)[1] == 0, said
    return said.decode()


def remove_and_purge(package: Path) -> None:
    """Remove and purge, with and without a terminal, and with each answer."""
    step("remove keeps the data")
    kept = sorted(HOME.rglob("*.rec"))
    assert len(kept) == 2
    run("apt-get", "remove", "-y", "-q", "council-recorder")
    assert not list(PLACE.glob("*")), list(PLACE.glob("*"))
    assert sorted(HOME.rglob("*.rec")) == kept
    step("purge without a terminal keeps the data")
    assert "was kept" in run("apt-get", "purge", "-y", "-q", "council-recorder")
    assert sorted(HOME.rglob("*.rec")) == kept
    step("purge asks, and keeps the data unless the answer is the whole sentence")
    install(package)
    assert "was kept" in purge_at_terminal("yes")
    assert sorted(HOME.rglob("*.rec")) == kept
    step("the recordings are there for a new installation")
    install(package)
    assert len(find()) == 2
    assert "was deleted" in purge_at_terminal("delete recordings")
    assert not HOME.exists()


def main(old: str, new: str) -> int:
    """Do all of it."""
    step("install")
    run("apt-get", "update", "-q")
    said = install(Path(old))
    assert "Next: make the recorder's home" in said
    check_installed(installed())
    run("apt-get", "install", "-y", "-q", "--no-install-recommends", "sip-tester")
    step("init")
    make_home()
    use_and_upgrade(Path(new))
    remove_and_purge(Path(new))
    step("all done")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
