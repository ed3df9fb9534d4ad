"""Hardens a process before it handles audio: wiped heap, no core files, locked memory, enough descriptors.

Python's ``str`` and ``bytes`` objects cannot be wiped in place. Instead Python is set to allocate from the C library
only, and the C library to overwrite freed memory. So a digit in a SIP message, a decoded copy or a key is gone from
memory after its last reference. Both are environment settings that are read when a process starts.
"""

import ctypes
import fcntl
import os
import resource
import sys
from collections.abc import Mapping
from pathlib import Path

_PR_GET_DUMPABLE, _PR_SET_DUMPABLE = 3, 4
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4
DESCRIPTORS_PER_CALL = 5
"""Two legs with an RTP and an RTCP socket each, and the container."""
DESCRIPTORS_BESIDE = 200
"""SIP, index, audit, API clients, logs."""


class LimitError(Exception):
    """A system limit is too low for the configuration; the sentence says which, and what to do."""


TURN_S = 0.0005
_TUNABLES = "glibc.malloc.perturb=255:glibc.malloc.tcache_count=0:glibc.malloc.hugetlb=1"
"""Overwrite freed memory with 0xFF, keep no thread cache of freed pieces, and use huge pages.

Huge pages matter because every call's memory is read once a second, and page look-ups cost more than the work itself
(ADR 30; glibc manual, Memory Allocation Tunables).
"""


def wiping_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which a new process wipes freed memory."""
    tunables = [part for part in environment.get("GLIBC_TUNABLES", "").split(":") if part]
    ours = _TUNABLES.split(":")
    names = {part.partition("=")[0] for part in ours}
    others = [part for part in tunables if part.partition("=")[0] not in names]
    return {**environment, "PYTHONMALLOC": "malloc", "GLIBC_TUNABLES": ":".join([*others, *ours])}


def is_freed_memory_wiped() -> bool:
    """Tell whether this process was started so that it wipes freed memory (with glibc; see above)."""
    return dict(os.environ) == wiping_environment(os.environ)


def wipe_freed_memory() -> None:
    """Restart this program in the same process with wiping of freed memory; return if it is on already.

    Call it before anything is opened, because open descriptors would be lost.
    """
    if not is_freed_memory_wiped():
        sys.stdout.flush()
        sys.stderr.flush()
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], wiping_environment(os.environ))  # noqa: S606


def take_short_turns() -> None:
    """Give the interpreter to waiting threads after half a millisecond instead of Python's five.

    A pause passes through five threads, and each may wait for one that encrypts or parses.
    """
    sys.setswitchinterval(TURN_S)


def forbid_dumps() -> None:
    """Forbid core files and debuggers, because the memory holds audio that a pause will erase."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def is_dumpable() -> bool:
    """Tell whether the kernel would write this process's memory to a core file, or let its user read it."""
    return bool(ctypes.CDLL(None, use_errno=True).prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0))


def descriptors_needed(calls: int, connections: int = 0) -> int:
    """Return how many descriptors the daemon needs for this many calls and TCP or TLS connections."""
    return calls * DESCRIPTORS_PER_CALL + connections + DESCRIPTORS_BESIDE


def raise_descriptors(calls: int, connections: int = 0) -> int:
    """Raise the soft limit of descriptors to the hard limit, and make the table large enough; return the limit.

    Call it before the process has threads: then no thread waits for a larger table.

    Raises:
        LimitError: It is too low for this many calls.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    needed = descriptors_needed(calls, connections)
    if needed > hard:
        raise LimitError(
            f"max_calls = {calls} needs {needed} descriptors, the hard limit is {hard}: "
            "raise LimitNOFILE or lower max_calls in [limits]"
        )
    enlarge_descriptor_table(needed)
    return hard


def enlarge_descriptor_table(size: int) -> None:
    """Give this process a table of descriptors of at least ``size`` places; it never becomes smaller.

    Linux doubles the table when the next descriptor does not fit. If threads share it, it waits first until every CPU
    has passed on (``expand_fdtable`` in fs/file.c): the call thread would be held for some 10 ms, and for many seconds
    on a machine whose CPUs are all taken.
    """
    with Path(os.devnull).open("rb") as opened:
        os.close(fcntl.fcntl(opened, fcntl.F_DUPFD_CLOEXEC, size - 1))


def lock_memory() -> bool:
    """Lock all memory of this process as its pages come into use; tell whether that worked.

    Only without a limit on locked memory, because with one the first allocation beyond it would fail. The media core
    locks its ring buffers in any case.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if hard != resource.RLIM_INFINITY and not _may_lock_all():
        return False
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (hard, hard))
    return bool(ctypes.CDLL(None, use_errno=True).mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) == 0)


_RING_MARGIN_S, _RING_STEP_TICKS, _TICKS_PER_S = 5.1, 2048, 8000
"""What `audio.relay` gives a ring beyond the look-back, what its length is a multiple of, and the ticks of a second; a
test compares."""
_CAP_IPC_LOCK = 14
_HUGE_PAGE = 2 << 20
"""Ring buffers share huge pages, which are locked as a whole (ADR 27)."""


def locked_bytes_per_call(look_back_s: float) -> int:
    """Return the most memory that the ring buffers of one call lock: a byte per tick of two channels."""
    least = round((look_back_s + _RING_MARGIN_S) * _TICKS_PER_S)
    return 2 * -(-least // _RING_STEP_TICKS) * _RING_STEP_TICKS


def locked_bytes(calls: int, look_back_s: float, *, threads: int = 1) -> int:
    """Return the most memory that this many calls lock. A grown ring's old memory stays locked with its page.

    One huge page is in use, one for each thread holds the packets that it receives by io_uring, and one is made in
    advance.
    """
    return 2 * (calls + threads) * locked_bytes_per_call(look_back_s) + (2 + threads) * _HUGE_PAGE


def can_lock(calls: int, look_back_s: float, *, threads: int = 1) -> bool:
    """Tell whether the audio of this many calls can be locked; raises the soft limit to the hard limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (hard, hard))
    if hard == resource.RLIM_INFINITY or hard >= locked_bytes(calls, look_back_s, threads=threads):
        return True
    return _may_lock_all()


def _may_lock_all() -> bool:
    """Tell whether no limit applies: in a rootless container the capability exists but has no effect."""
    if Path("/proc/self/uid_map").read_text().split() != ["0", "0", str((1 << 32) - 1)]:
        return False
    status = Path("/proc/self/status").read_text()
    capabilities = next((line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), "0")
    return bool(int(capabilities, 16) >> _CAP_IPC_LOCK & 1)
