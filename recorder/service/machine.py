"""Facts of this machine that matter to audio and digits in memory: read here, judged in `machine_check`.

All paths are below a root, so that tests can provide a machine of their own. Facts that cannot be read (no right, other
kernel) are None or empty, never an error.
"""

import ctypes
import os
import resource
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_CAP_IPC_LOCK = 14
_TIME_ERROR = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap:
    """A swap area; ``is_safe`` means encrypted, or compressed memory that is never written to disk."""

    name: str
    is_safe: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """Another process: its short name and its arguments."""

    pid: int
    name: str
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Facts of a machine.

    Attributes:
        core_pattern: Where the kernel writes core files; begins with ``|`` if it pipes them to a program.
        suid_dumpable: 1 or 2 if programs that changed their user leave core files too; None if unknown.
        swaps: Swap areas in use.
        can_hibernate: Whether the kernel offers suspend to disk.
        resumes_from: Device that the kernel would resume from; None or "" if none.
        processes: Running processes.
        packet_sockets: Names of the processes with a socket that sees all traffic; "?" for an unknown one.
        memlock_bytes: Limit of locked memory of this process; None is no limit.
        may_lock_all: Whether this process may lock memory beyond its limit.
        descriptors: Hard limit of file descriptors.
        is_clock_synchronised: Whether the kernel reports a synchronised clock; None if it reports nothing.
        has_glibc: Whether the C library can be told to wipe freed memory.
    """

    core_pattern: str
    suid_dumpable: int | None
    swaps: tuple[Swap, ...]
    can_hibernate: bool
    resumes_from: str | None
    processes: tuple[Process, ...]
    packet_sockets: tuple[str, ...]
    memlock_bytes: int | None
    may_lock_all: bool
    descriptors: int
    is_clock_synchronised: bool | None
    has_glibc: bool


def device_of(path: Path) -> tuple[int, int] | None:
    """Return the major and minor number of the device that holds a file; None if there is no such file."""
    try:
        device = path.stat().st_dev
    except OSError:
        return None
    return os.major(device), os.minor(device)


def clock_state() -> bool | None:
    """Tell whether the kernel's clock is synchronised, as by NTP; None if the kernel does not report it."""
    answer = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))  # without mode bits it only reads
    return None if answer < 0 else answer != _TIME_ERROR


def read_machine(
    root: Path = Path("/"),
    *,
    device: Callable[[Path], tuple[int, int] | None] = device_of,
    clock: Callable[[], bool | None] = clock_state,
) -> Machine:
    """Read the facts of the machine.

    Args:
        root: Folder with ``proc`` and ``sys``.
        device: Returns the device of a swap file.
        clock: Tells whether the clock is synchronised.
    """
    _, memlock = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    dumpable = _text(root / "proc/sys/fs/suid_dumpable")
    processes = tuple(_processes(root))
    return Machine(
        core_pattern=_text(root / "proc/sys/kernel/core_pattern"),
        suid_dumpable=int(dumpable) if dumpable.isdigit() else None,
        swaps=tuple(_swaps(root, device)),
        can_hibernate="disk" in _text(root / "sys/power/state").split()
        and "[disabled]" not in _text(root / "sys/power/disk"),
        resumes_from=_resume(root),
        processes=processes,
        packet_sockets=tuple(_packet_sockets(root, processes)),
        memlock_bytes=None if memlock == resource.RLIM_INFINITY else memlock,
        may_lock_all=_has_capability(root, _CAP_IPC_LOCK),
        descriptors=resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        is_clock_synchronised=clock(),
        has_glibc="CS_GNU_LIBC_VERSION" in os.confstr_names and bool(os.confstr("CS_GNU_LIBC_VERSION")),
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def _has_capability(root: Path, number: int) -> bool:
    for line in _text(root / "proc/self/status").splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> number & 1)
    return False


# --- swap


def _swaps(root: Path, device: Callable[[Path], tuple[int, int] | None]) -> Iterator[Swap]:
    for line in _text(root / "proc/swaps").splitlines()[1:]:
        name, kind = line.split()[:2]
        path = Path(name.replace("\\040", " "))
        block: Path | None = root / "sys/class/block" / path.name
        if kind == "file":
            numbers = device(path)
            block = root / "sys/dev/block" / f"{numbers[0]}:{numbers[1]}" if numbers else None
        yield Swap(name=str(path), is_safe=block is not None and _is_safe_device(block))


def _is_safe_device(block: Path) -> bool:
    """Tell whether data written to a block device is encrypted, by the device or by all devices below it."""
    block = block.resolve()
    if block.name.startswith("zram"):
        return _text(block / "backing_dev") in ("", "none")
    if _text(block / "dm" / "uuid").startswith("CRYPT-"):
        return True
    try:
        below = list((block / "slaves").iterdir())
    except OSError:
        return False
    return bool(below) and all(_is_safe_device(one) for one in below)


def _resume(root: Path) -> str | None:
    for word in _text(root / "proc/cmdline").split():
        if word.startswith("resume="):
            return word.partition("=")[2]
    set_since = _text(root / "sys/power/resume")
    return set_since if set_since not in ("", "0:0") else None


# --- processes


def _processes(root: Path) -> Iterator[Process]:
    try:
        entries = sorted((root / "proc").iterdir())
    except OSError:
        return
    for entry in entries:
        if entry.name.isdigit() and (name := _text(entry / "comm")):
            words = _text(entry / "cmdline").split("\0")
            yield Process(pid=int(entry.name), name=name, arguments=tuple(words))


def _packet_sockets(root: Path, processes: tuple[Process, ...]) -> Iterator[str]:
    inodes = {line.split()[-1] for line in _text(root / "proc/net/packet").splitlines()[1:]}
    if not inodes:
        return
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for process in processes:
        held = wanted & set(_descriptors(root / "proc" / str(process.pid) / "fd"))
        wanted -= held
        yield from [process.name] * len(held)
    yield from ["?"] * len(wanted)


def _descriptors(folder: Path) -> Iterator[str]:
    try:
        for entry in folder.iterdir():
            yield str(entry.readlink())
    except OSError:  # the process is another user's, or has ended
        return
