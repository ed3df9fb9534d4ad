"""Boots a root's systemd as PID 1 of namespaces of its own: ``python3 boot.py NAME PLACE LOWER...``, as root.

PLACE gets the layer that the machine writes (``upper``); LOWER are the folders below it, the uppermost first. The
network is the caller's: `Machine` starts this program in one of its own. The first line written is the process id of
init. When this process ends, or is killed, the kernel ends every process of the machine and removes its mounts; SIGTERM
ends it in order and removes the control groups too. Standard library only.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
import traceback
import uuid
from pathlib import Path

_NEWNS, _NEWCGROUP, _NEWUTS, _NEWIPC, _NEWPID = 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x20000000
_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
GROUPS = Path("/sys/fs/cgroup")
PREFIX = "council-installed-"
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "container": "council-installed",
    "SYSTEMD_LOG_TARGET": "journal",
}
"""``container`` has systemd leave hardware alone; the sandboxes of units do not look at it."""


def _unshare(flags: int) -> None:
    if _libc.unshare(flags):
        raise OSError(ctypes.get_errno(), "unshare: this needs root, and no container that forbids namespaces")


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


def _end_with_parent() -> None:
    """Have the kernel kill this process when its parent ends, however that ends."""
    _libc.prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _remove_groups(top: Path, within_s: float = 0.0) -> None:
    """Remove a control group and those in it, once its processes have ended; after so long it stays."""
    limit = time.monotonic() + within_s
    while top.exists():
        for folder, _, _ in os.walk(top, topdown=False):
            with contextlib.suppress(OSError):
                Path(folder).rmdir()
        if time.monotonic() > limit:
            return
        time.sleep(0.02)


def prepare(place: Path, lowers: list[str], name: str) -> Path:
    """Mount a machine's root with what a system has; return where."""
    root = place / "root"
    for made in (root, place / "upper", place / "work"):
        made.mkdir(exist_ok=True)
    layers = f"lowerdir={':'.join(lowers)},upperdir={place / 'upper'},workdir={place / 'work'}"
    _mount("-t", "overlay", "-o", layers, "overlay", str(root))
    _mount("-t", "proc", "-o", "nosuid,nodev,noexec", "proc", str(root / "proc"))
    # Settings of the kernel are the machine's that runs the tests; those of the network are the namespace's.
    _mount("--bind", str(root / "proc/sys"), str(root / "proc/sys"))
    _mount("--bind", str(root / "proc/sys/net"), str(root / "proc/sys/net"))
    _mount("-o", "remount,bind,ro", str(root / "proc/sys"))
    _mount("-t", "sysfs", "-o", "ro,nosuid,nodev,noexec", "sysfs", str(root / "sys"))
    _mount("-t", "cgroup2", "-o", "nosuid,nodev,noexec", "cgroup2", str(root / "sys/fs/cgroup"))
    _mount("-t", "tmpfs", "-o", "mode=755,nosuid", "tmpfs", str(root / "dev"))
    for device in DEVICES:
        found = Path("/dev", device).stat()
        os.mknod(root / "dev" / device, found.st_mode, found.st_rdev)
        (root / "dev" / device).chmod(0o666)
    for folder, kind, options in (
        ("dev/pts", "devpts", "newinstance,ptmxmode=0666,mode=620,gid=5"),
        ("dev/shm", "tmpfs", "mode=1777,nosuid,nodev"),
        ("run", "tmpfs", "mode=755,nosuid,nodev"),
        ("tmp", "tmpfs", "mode=1777,nosuid,nodev"),
    ):
        (root / folder).mkdir(exist_ok=True)
        _mount("-t", kind, "-o", options, kind, str(root / folder))
    (root / "dev/ptmx").symlink_to("pts/ptmx")
    for number, link in enumerate(("stdin", "stdout", "stderr")):
        (root / "dev" / link).symlink_to(f"/proc/self/fd/{number}")
    (root / "dev/fd").symlink_to("/proc/self/fd")
    (root / "etc/hostname").write_text(f"{name}\n")
    (root / "etc/machine-id").write_text(f"{uuid.uuid4().hex}\n")
    return root


def become_init(place: Path, lowers: list[str], name: str) -> None:
    """Enter the root and run its init, in this process."""
    _end_with_parent()
    root = prepare(place, lowers, name)
    subprocess.run(["hostname", name], check=True)
    os.chdir(root)
    subprocess.run(["pivot_root", ".", "mnt"], check=True)
    os.chdir("/")
    subprocess.run(["umount", "--lazy", "/mnt"], check=True)
    os.setsid()
    with Path("/dev/null").open("r+b", buffering=0) as nothing:
        for number in range(3):
            os.dup2(nothing.fileno(), number)
    os.execve("/sbin/init", ["/sbin/init"], ENVIRONMENT)


def run_machine(place: Path, lowers: list[str], name: str, group: Path) -> None:
    """Make the namespaces, in this process, which then waits for init."""
    _end_with_parent()
    (group / "cgroup.procs").write_text("0")
    _unshare(_NEWCGROUP | _NEWUTS | _NEWIPC | _NEWNS | _NEWPID)
    init = os.fork()
    if init == 0:
        become_init(place, lowers, name)
    sys.stdout.write(f"{init}\n")
    sys.stdout.flush()
    os.waitpid(init, 0)


def main(name: str, place: str, *lowers: str) -> int:
    """Boot; return when the machine is off."""
    _end_with_parent()
    _unshare(_NEWNS)
    _mount("--make-rprivate", "/")
    _mount("-t", "cgroup2", "cgroup2", str(GROUPS))
    for old in GROUPS.glob(f"{PREFIX}*"):
        if not Path("/proc", old.name.removeprefix(PREFIX)).exists():
            _remove_groups(old)
    group = GROUPS / f"{PREFIX}{os.getpid()}"
    group.mkdir()
    middle = os.fork()
    if middle == 0:
        try:
            run_machine(Path(place), list(lowers), name, group)
        except BaseException:  # noqa: BLE001 - a child never returns into its parent's code
            traceback.print_exc()
        os._exit(1)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(middle, signal.SIGKILL))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.waitpid(middle, 0)
    _remove_groups(group, within_s=10)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
