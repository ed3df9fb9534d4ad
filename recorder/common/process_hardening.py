"""What a process does to itself before it hears a voice: freed memory is wiped, no core files, enough descriptors.

Python's objects cannot be wiped where they lie: text and ``bytes`` never change. What can be done is done one floor
below: Python is told to take all its memory from the C library, and that one to overwrite whatever is given back to it.
So a digit in a SIP message, a decoded copy or a key is gone from memory when the last reference to it is. Both are
settings of the environment that are read once, when a process starts.
"""

import ctypes
import gc
import os
import resource
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

_PR_GET_DUMPABLE, _PR_SET_DUMPABLE = 3, 4
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4
DESCRIPTORS_PER_CALL = 5
"""Two legs of an RTP and an RTCP socket each, and the container."""
DESCRIPTORS_BESIDE = 200
"""SIP, index, audit, API clients, logs."""


class LimitError(Exception):
    """A limit of the system is too low for the configuration; the sentence says which, and what to do."""


TURN_S = 0.0005
COLLECT_EVERY_S = 10.0
"""How long a digit may lie in objects that nothing refers to any more but themselves."""
_NEVER = 1 << 30
_TUNABLES = "glibc.malloc.perturb=255:glibc.malloc.tcache_count=0:glibc.malloc.hugetlb=1"
"""Overwrite what is freed with 0xFF, keep no cache of freed pieces that this passes by, and ask for huge pages: what
belongs to a call is looked at once a second, and to find its pages had become dearer than to use them (ADR 30; glibc
manual, Memory Allocation Tunables)."""


def wiping_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which a new process of ours wipes the memory that it frees."""
    tunables = [part for part in environment.get("GLIBC_TUNABLES", "").split(":") if part]
    ours = _TUNABLES.split(":")
    names = {part.partition("=")[0] for part in ours}
    others = [part for part in tunables if part.partition("=")[0] not in names]
    return {**environment, "PYTHONMALLOC": "malloc", "GLIBC_TUNABLES": ":".join([*others, *ours])}


def is_freed_memory_wiped() -> bool:
    """Tell whether this process was started so that it wipes the memory that it frees (with glibc; see above)."""
    return dict(os.environ) == wiping_environment(os.environ)


def wipe_freed_memory() -> None:
    """Start this program again, in this process, with freed memory wiped; return if it is already.

    Called before anything is opened: descriptors that must not outlive it would be lost.
    """
    if not is_freed_memory_wiped():
        sys.stdout.flush()
        sys.stderr.flush()
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], wiping_environment(os.environ))  # noqa: S606


def take_short_turns() -> None:
    """Let a thread that waits for the interpreter have it after half a millisecond, and not after Python's five.

    A pause goes through five threads before it is answered, and each may meet one that is sealing or parsing.
    """
    sys.setswitchinterval(TURN_S)


def put_off_collecting() -> None:
    """Let Python look for garbage only once `collect_regularly` is called: what is loaded at a start is none.

    Looking at it again and again, as it grows, is an eighth of the CPU of a start.
    """
    gc.disable()


def collect_regularly(every_s: float = COLLECT_EVERY_S) -> None:
    """Have objects that refer to one another in a ring freed, and so wiped, within ``every_s`` and some milliseconds.

    Python frees them only now and then: the request of a closed connection, what a traceback held. What has been
    loaded by now is left out for good, which makes each look short; so call it before the first call comes in.

    Python's own whole looks are off: nothing else runs during one, and with a thousand calls to look at each takes
    half a second and more.
    """
    gc.freeze()  # without a look first, which takes a tenth of a second and finds next to nothing
    gc.enable()
    gc.set_threshold(*gc.get_threshold()[:2], _NEVER)
    threading.Thread(target=_collect, args=(every_s,), name="collector", daemon=True).start()


def leave_out_what_is_there() -> None:
    """Leave out of all later looks what has been made by now, for good: for a process that is about to take calls.

    What is made at the start stays until the end, and is half of what an idle daemon would have looked at each time.
    """
    gc.collect()
    gc.freeze()


def _collect(every_s: float) -> None:
    while True:
        time.sleep(every_s)
        gc.collect()


def forbid_dumps() -> None:
    """Leave no core file and let nobody attach: audio that a pause will erase is in this memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def is_dumpable() -> bool:
    """Tell whether the kernel would write this process's memory to a core file, or let its own user read it."""
    return bool(ctypes.CDLL(None, use_errno=True).prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0))


def descriptors_needed(calls: int, connections: int = 0) -> int:
    """Return how many descriptors the daemon may have open with so many calls and TCP or TLS connections."""
    return calls * DESCRIPTORS_PER_CALL + connections + DESCRIPTORS_BESIDE


def raise_descriptors(calls: int, connections: int = 0) -> int:
    """Raise the soft limit of descriptors as far as it goes; return it.

    Raises:
        LimitError: So many calls cannot fit.
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
    return hard


def lock_memory() -> bool:
    """Keep all of this process's memory out of swap, as its pages come into use; tell whether that is so.

    Only without a limit on locked memory: with one, the first allocation beyond it would fail. The rings of audio are
    locked by the media core in any case.
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
"""Rings of some length lie together in one, which is locked as a whole (ADR 27)."""


def locked_bytes_per_call(look_back_s: float) -> int:
    """Return the memory that the rings of one call lock at most: a byte a tick of two channels."""
    least = round((look_back_s + _RING_MARGIN_S) * _TICKS_PER_S)
    return 2 * -(-least // _RING_STEP_TICKS) * _RING_STEP_TICKS


def locked_bytes(calls: int, look_back_s: float, *, threads: int = 1) -> int:
    """Return what so many calls lock at most: a grown ring's former place stays locked until its neighbours go too."""
    return 2 * (calls + threads) * locked_bytes_per_call(look_back_s) + _HUGE_PAGE


def can_lock(calls: int, look_back_s: float, *, threads: int = 1) -> bool:
    """Tell whether the audio of so many calls can be kept out of swap; raises the soft limit as far as it goes."""
    _, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (hard, hard))
    if hard == resource.RLIM_INFINITY or hard >= locked_bytes(calls, look_back_s, threads=threads):
        return True
    return _may_lock_all()


def _may_lock_all() -> bool:
    """Tell whether no limit binds us: in a rootless container we hold the capability, and it is worth nothing."""
    if Path("/proc/self/uid_map").read_text().split() != ["0", "0", str((1 << 32) - 1)]:
        return False
    status = Path("/proc/self/status").read_text()
    capabilities = next((line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), "0")
    return bool(int(capabilities, 16) >> _CAP_IPC_LOCK & 1)
