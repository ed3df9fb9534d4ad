"""The first process of a root's PID namespace: mounts what programs expect, runs the command, and reaps orphans.

`unshare` starts it with the arguments ROOT FOLDER COMMAND [CACHE]. The mounts are in a mount namespace of their own, so
nothing has to be unmounted. When this process ends, the kernel kills all others of its namespace.
"""

import os
import subprocess
import sys
from pathlib import Path

ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "TERM": "dumb"}
"""Of the command, beside how pip reaches its index; nothing else of the caller's environment gets in."""


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


def mount_all(root: Path, cache: Path | None) -> None:
    """Mount what a running system has: kernel file systems, devices, terminals, shared memory and an empty /run."""
    _mount("--bind", str(root), str(root))
    _mount("-t", "proc", "proc", str(root / "proc"))
    _mount("--rbind", "/sys", str(root / "sys"))
    _mount("--rbind", "/dev", str(root / "dev"))
    _mount("-t", "devpts", "-o", "newinstance,ptmxmode=0666,mode=620,gid=5", "devpts", str(root / "dev/pts"))
    _mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", str(root / "dev/shm"))
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", str(root / "run"))
    for kept, folder in (("apt", "var/cache/apt/archives"), ("pip", "root/.cache/pip")):
        if cache is not None:
            for path in (cache / kept, root / folder):
                path.mkdir(parents=True, exist_ok=True)
            _mount("--bind", str(cache / kept), str(root / folder))


def enter(root: Path) -> None:
    """Make a mounted folder the root of this mount namespace; under chroot the kernel allows no user namespaces."""
    os.chdir(root)
    subprocess.run(["pivot_root", ".", "mnt"], check=True)
    os.chdir("/")
    subprocess.run(["umount", "--lazy", "/mnt"], check=True)


def run_and_reap(command: str) -> int:
    """Run a shell command and return its exit code; meanwhile reap every process that lost its parent."""
    child = os.fork()
    if child == 0:
        os.execvp("sh", ["sh", "-c", command])
    while True:
        pid, status = os.wait()
        if pid == child:
            return os.waitstatus_to_exitcode(status) & 0xFF


def main(root: str, folder: str, command: str, cache: str | None = None) -> int:
    """Mount, enter the root and run the command; return its exit code."""
    mount_all(Path(root), Path(cache) if cache else None)
    enter(Path(root))
    os.chdir(folder)
    return run_and_reap(command)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
