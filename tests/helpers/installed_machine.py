"""A machine with the Debian package: a root of its own, booted with its own systemd, phones outside it.

`base_root` makes a Debian root with what the package depends on, once for each list of packages, below build/installed.
`Machine` boots layers of folders, the upper ones over the lower ones, and writes into a folder of its own: so a
machine on which the package is installed can be the lower layer of many. Needs root.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2

from tests.fresh_root import host
from tests.helpers import report
from tests.helpers.exchange import Exchange, Talk
from tests.helpers.home_acts import HomeActs
from tests.helpers.home_template import tone_file
from tests.helpers.networks import Network, join
from tests.helpers.recorder_commands import ADMIN, PASSWORD
from tests.helpers.signed_in import signing
from tests.helpers.sip_peer import Caller, Officer
from tests.helpers.unix_transport import UnixTransport
from tests.helpers.voices import Studio
from tests.helpers.waiting import HANGS_S, eventually

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "build/installed"
"""Roots that are kept from run to run, and what runs of the moment write."""
BOOT = ROOT / "tests/installed/boot.py"
HOME = "/var/lib/council-recorder"
SYSTEM = ("dbus", "iproute2", "kmod", "libseccomp2", "procps", "systemd", "systemd-sysv", "util-linux")
"""Of a server that boots, beyond a minimal root."""
CONSOLE, DAEMON = "council-console", "council-recorder"
"""The users."""
DAEMON_UNIT, CONSOLE_UNIT = "council-recorder.service", "council-recorder-console.service"
FOUNDER, OFFICER, PASSWORD_FILE = ADMIN, "alice", "/srv/password"
PBX_PORT = 5080
MACHINE, PHONES = "10.1.0.1", "10.1.0.2"
"""Addresses of a machine, and of the phones outside it. Each machine has a network of its own."""


def build_package(version: str | None = None) -> Path:
    """Build the package of this checkout, or find the one of the same files; return its path.

    Args:
        version: Another version than that of pyproject.toml.
    """
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    digest = hashlib.sha256(f"{version}\0".encode())
    for name in sorted(set(listed.split("\0")) - {""}):
        if not name.startswith("tests/") and (ROOT / name).is_file():
            digest.update(f"{name}\0".encode() + hashlib.sha256((ROOT / name).read_bytes()).digest())
    kept = KEPT / "packages" / digest.hexdigest()[:16]
    if not kept.is_dir():
        words = ["make", "--no-print-directory", "deb", *([] if version is None else [f"DEB_VERSION={version}"])]
        done = subprocess.run(words, cwd=ROOT, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-6000:]
        made = Path(done.stdout.splitlines()[-1])
        for old in kept.parent.glob("*"):
            if len(list(kept.parent.glob("*"))) > _KEPT_PACKAGES:
                shutil.rmtree(old)
        kept.mkdir(parents=True)
        shutil.copy2(made, kept)
    return next(kept.glob("*.deb"))


_JOIN = 'echo 0 >/sys/fs/cgroup/init.scope/cgroup.procs && exec "$@"'
"""Of a program that is started on a machine: it belongs to the machine's control groups."""
_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "DEBIAN_FRONTEND": "noninteractive",
    "LC_ALL": "C.UTF-8",
}
_KEPT_PACKAGES = 6
"""Packages of 100 MB each, that are kept for the next run."""


def base_root(package: Path) -> Path:
    """Return a root of this machine's Debian release that boots, with what a package depends on; made if it is new."""
    release = re.search(r"^VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text(), re.MULTILINE)
    assert release is not None
    sources = host.sources_of(release[1])
    names = sorted({*SYSTEM, *_dependencies(package)})
    key = hashlib.sha256("\0".join([release[1], sources, *names]).encode()).hexdigest()[:16]
    kept = KEPT / f"base-{key}"
    if not kept.is_dir():
        KEPT.mkdir(parents=True, exist_ok=True)
        for old in KEPT.glob("base-*"):
            shutil.rmtree(old)
        unfinished = Path(tempfile.mkdtemp(prefix="new-base-", dir=KEPT))
        try:
            unfinished.chmod(0o755)
            host.make_root(unfinished, release[1], sources, names)
            (unfinished / "etc/resolv.conf").write_text("")
            unfinished.rename(kept)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
    return kept


def _dependencies(package: Path) -> Iterator[str]:
    """Yield what a package depends on: of alternatives the first one, without versions."""
    fields = subprocess.run(
        ["dpkg-deb", "-f", str(package), "Depends", "Pre-Depends"], check=True, capture_output=True, text=True
    ).stdout
    for line in fields.splitlines():
        for one in line.partition(":")[2].split(","):
            yield re.split(r"[ (|]", one.strip())[0]


class Machine:
    """A booted machine; a context manager that ends it, with all that runs on it.

    Attributes:
        upper: The layer that it wrote: a lower layer of other machines, once this one has ended.
        network: Where its interface ``lan0`` has the address `MACHINE`.
        outside: Where phones are, with the address `PHONES`.
        init: Process id of its systemd, outside.
    """

    def __init__(self, lowers: Sequence[Path], *, name: str = "recorder") -> None:
        KEPT.mkdir(parents=True, exist_ok=True)
        assert os.geteuid() == 0, "machines take root: they have namespaces, mounts and control groups of their own"
        for old in KEPT.glob("run-*-*"):  # of a run that was killed
            if not Path("/proc", old.name.split("-")[1]).exists():
                shutil.rmtree(old, ignore_errors=True)
        self._place = Path(tempfile.mkdtemp(prefix=f"run-{os.getpid()}-", dir=KEPT))
        self._place.chmod(0o755)
        self.upper = self._place / "upper"
        self._is_off = False
        self.network, self.outside = Network(), Network()
        join(self.network, "lan0", self.outside, "phones")
        self.network.ip(f"address add {MACHINE}/24 dev lan0")
        self.outside.ip(f"address add {PHONES}/24 dev phones")
        words = [sys.executable, "-I", str(BOOT), name, str(self._place), *map(str, lowers)]
        with self.network.inside():
            self._boot = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True)
        report.watch(self)
        try:
            assert self._boot.stdout is not None
            said = self._boot.stdout.readline()
            assert said.strip().isdigit(), f"it did not boot: see above ({said!r})"
            self.init = int(said)
            eventually(self._is_up, "the machine is up")
        except BaseException:
            self.close()
            raise

    @property
    def log(self) -> Path:
        """Write its journal into a file, for the report of a test that failed; return the file."""
        written = self._place / "journal.log"
        if hasattr(self, "init") and self._boot.poll() is None:
            written.write_text(self.journal())
        return written

    def _is_up(self) -> bool:
        """Tell whether it has booted; ``degraded`` is for a test to look at."""
        assert self._boot.poll() is None, "it did not boot"
        state = self.run("systemctl", "is-system-running", code=None).strip()
        return state in ("running", "degraded")

    def start(
        self, *words: str, user: str | None = None, stdin: int = subprocess.DEVNULL
    ) -> "subprocess.Popen[str]":  # fmt: skip
        """Start a program on the machine, as root or another user, and return it; its output is a pipe."""
        enter = ["nsenter", f"--target={self.init}", "--all", "--root", "--wdns=/", "sh", "-c", _JOIN, "sh"]
        become = [] if user is None else ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--"]
        return subprocess.Popen(
            [*enter, *become, *words], env=_ENVIRONMENT, cwd="/", text=True, start_new_session=True,
            stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def run(
        self, *words: str, user: str | None = None, code: int | None = 0, stdin: str | None = None,
        timeout_s: float = 300.0,
    ) -> str:  # fmt: skip
        """Run a program on the machine to its end; return what it wrote, errors included.

        Args:
            words: The program and its arguments.
            user: As whom; None is root.
            code: The exit code that it must have; None is any.
            stdin: What it reads.
            timeout_s: After so long it is killed, and the test fails.
        """
        with self.start(*words, user=user, stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE) as process:
            try:
                said, _ = process.communicate(stdin, timeout_s)
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        assert code is None or process.returncode == code, f"{words} ended with {process.returncode}: {said}"
        return said

    def path(self, inside: str) -> Path:
        """Return a path outside, by which root reads and writes a file of the machine."""
        return Path(f"/proc/{self.init}/root", inside.lstrip("/"))

    def show(self, unit: str, what: str) -> str:
        """Return a property of a unit, as systemd has it: ``ActiveState``, ``MainPID``."""
        return self.run("systemctl", "show", f"--property={what}", "--value", unit).strip()

    def main_pid(self, unit: str) -> int:
        """Return the main process of a unit, as it is numbered outside; 0 where it does not run."""
        inside = self.show(unit, "MainPID")
        for status in Path("/proc").glob("[0-9]*/status"):
            with contextlib.suppress(OSError):
                numbers = re.search(r"^NSpid:\t(\d+)\t(\d+)$", status.read_text(), re.MULTILINE)
                if numbers and numbers[2] == inside and self._is_here(int(numbers[1])):
                    return int(numbers[1])
        return 0

    def _is_here(self, pid: int) -> bool:
        return Path(f"/proc/{pid}/ns/pid").readlink() == Path(f"/proc/{self.init}/ns/pid").readlink()

    def journal(self, unit: str | None = None) -> str:
        """Return the journal, of a unit or all."""
        return self.run("journalctl", "--no-pager", "-o", "short-monotonic", *(() if unit is None else ("-u", unit)))

    def close(self) -> None:
        """End it, and remove what it wrote. Idempotent."""
        self.off()
        shutil.rmtree(self._place, ignore_errors=True)

    def off(self) -> None:
        """End it; what it wrote stays in `upper` until `close`. Idempotent."""
        report.forget(self)
        if self._is_off:
            return
        self._is_off = True
        if self._boot.poll() is None:
            self._boot.terminate()
        self._boot.wait(HANGS_S)
        if self._boot.stdout is not None:
            self._boot.stdout.close()
        self.network.close()
        self.outside.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class InstalledHome(HomeActs):
    """The home of a machine, with what `Exchange` asks of one: the daemon's socket, and rows by the command line."""

    sip = (MACHINE, 5060)

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine.path(HOME))
        self.machine = machine
        self.live.close()
        root = machine.path(HOME)
        self.live = httpx2.Client(
            transport=UnixTransport(root / "common/recorder.sock"), base_url="http://recorder", timeout=HANGS_S,
            event_hooks=signing(root),
        )  # fmt: skip

    def recorder(self, *words: str, user: str | None = CONSOLE, code: int | None = 0, stdin: str | None = None) -> str:
        """Run a command of the recorder on the machine, as the console's user; return what it wrote."""
        return self.machine.run("recorder", *words, "-C", HOME, user=user, code=code, stdin=stdin)

    def json(self, *words: str, account: str | None = FOUNDER, **options: Any) -> Any:
        """Run a command, as an account of the home, whose result is read as JSON."""
        said = () if account is None else ("--as", account, "--password-file", PASSWORD_FILE)
        output = self.recorder(*words, "--json", *said, **options)
        return json.loads(output[min(at for mark in "[{" if (at := output.find(mark)) >= 0) :])

    def edit(self, old: str, new: str) -> None:
        """Replace text of the configuration; fails if it is not there."""
        path = self.machine.path(f"{HOME}/recorder.toml")
        text = path.read_text()
        assert old in text, f"{old!r} is not in the configuration"
        path.write_text(text.replace(old, new))

    def index_state(self) -> list[tuple[int, int]]:
        return []

    def row_of(self, caller: str, **_: Any) -> dict[str, Any]:
        """Wait until the call from a number is filed; returns its one row."""

        def filed() -> list[dict[str, Any]]:
            return [row for row in self.json("recordings", "list", account=OFFICER) if row["caller"] == caller]

        (row,) = eventually(filed, f"the call from {caller} is filed")
        return row

    def answers(self) -> bool:
        """Whether the daemon answers."""
        try:
            return self.live.get("/api/health").status_code == httpx2.codes.OK
        except httpx2.TransportError:
            return False


class Phones(Exchange):
    """People on both sides of a machine, outside it: the PBX listens where `make_home` says, the caller is a trunk.

    Args:
        stack: Ends them.
        machine: The one that they call.
    """

    def __init__(self, stack: ExitStack, machine: Machine) -> None:
        ports = iter((PBX_PORT, 0))
        with machine.outside.inside():
            super().__init__(
                stack,
                studio=Studio(PHONES),
                officer=lambda answer: Officer((PHONES, next(ports)), answer=answer),
                caller=lambda at: Caller((PHONES, at[1])),
            )
        self._machine = machine
        self.home = InstalledHome(machine)  # type: ignore[assignment]
        stack.callback(self.home.live.close)

    def call(self, *words: Any, **options: Any) -> Talk:
        """Place a call, as `Exchange.call` does."""
        with self._machine.outside.inside():
            return super().call(*words, **options)


def install(machine: Machine, package: Path, name: str = "package") -> str:
    """Install a package as an administrator does, also another one of the same version; return what apt says."""
    copy = f"/srv/{name}_amd64.deb"
    shutil.copy(package, machine.path(copy))
    return machine.run("apt-get", "install", "-y", "-q", "--no-install-recommends", "--reinstall", copy)


def make_home(machine: Machine) -> InstalledHome:
    """Make the home as docs/operations.md says, with accounts that sign in without a second factor and short messages.

    `FOUNDER` administers, `OFFICER` answers at extension 2001. Daemon and console are not started.
    """
    machine.path(PASSWORD_FILE).write_text(f"{PASSWORD}\n")
    machine.run("chown", CONSOLE, PASSWORD_FILE)
    machine.run("chmod", "600", PASSWORD_FILE)
    home = InstalledHome(machine)
    machine.run(
        "recorder", "init", HOME, "--group", "council-shared", "--sip", "{}:{}".format(*home.sip),
        "--next-hop", f"{PHONES}:{PBX_PORT}", "--extension", f"2001:{OFFICER}:Revenues", "--console", "127.0.0.1:8080",
        "--admin", FOUNDER, "--password-file", PASSWORD_FILE, user=CONSOLE,
    )  # fmt: skip
    home.edit('second_factor = "required"', 'second_factor = "off"')
    person = ("--as", FOUNDER, "--password-file", PASSWORD_FILE)
    home.recorder("users", "add", OFFICER, "--role", "officer", "--new-password-file", PASSWORD_FILE, *person)
    for message, seconds in (("first", 1.0), ("second", 0.6)):
        tone_file(machine.path(f"/srv/{message}.wav"), 600, seconds)
        home.recorder("notices", "import", message, f"/srv/{message}.wav", "--accept-warnings", *person)
    return home


def start(machine: Machine) -> None:
    """Start daemon and console as docs/operations.md says."""
    machine.run("systemctl", "enable", "--now", DAEMON_UNIT, CONSOLE_UNIT)
