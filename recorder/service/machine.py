"""What the machine that we run on is like, as far as it matters to audio and digits in memory: read, not judged.

`recorder.service.machine_check` judges. Everything is read below a root, so that a test can lay out a machine of its
own; what cannot be read (no right to, no such kernel) is None or empty, and never an error.
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
    """One swap area; ``is_safe``: encrypted, or compressed memory that is written nowhere."""

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
    """Facts.

    Attributes:
        core_pattern: Where the kernel puts core files; begins with ``|`` when a program gets them.
        suid_dumpable: 1 or 2 when programs that changed their user leave core files too; None if unknown.
        swaps: Swap areas in use.
        can_hibernate: The kernel offers suspend to disk.
        resumes_from: Device that it would resume from, as the kernel was told; None or "" if none.
        processes: Processes that run.
        packet_sockets: Names of the processes that hold a socket which sees all traffic; "?" for one unknown.
        memlock_bytes: Limit of locked memory of this process; None is no limit.
        may_lock_all: This process may lock memory beyond its limit.
        descriptors: Hard limit of descriptors.
        is_clock_synchronised: As the kernel says; None if it does not.
        has_glibc: The C library is one that can be told to wipe freed memory.
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
    """Return major and minor number of the device that a file lies on; None if there is no such file."""
    try:
        device = path.stat().st_dev
    except OSError:
        return None
    return os.major(device), os.minor(device)


def clock_state() -> bool | None:
    """Tell whether the kernel's clock is kept by NTP or the like; None if the kernel does not say."""
    answer = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))  # no mode bits: it only reads
    return None if answer < 0 else answer != _TIME_ERROR


def read_machine(
    root: Path = Path("/"),
    *,
    device: Callable[[Path], tuple[int, int] | None] = device_of,
    clock: Callable[[], bool | None] = clock_state,
) -> Machine:
    """Look at the machine.

    Args:
        root: Where ``proc`` and ``sys`` are.
        device: Says on which device a swap file lies.
        clock: Says whether the clock is synchronised.
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
    """Tell whether what is written to a block device is encrypted on its way, by it or by all that it lies on."""
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
    except OSError:  # another user's, or gone meanwhile
        return
