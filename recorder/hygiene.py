"""What the process does to itself before it hears a voice: no core files, not dumpable, enough descriptors."""

import ctypes
import resource
from pathlib import Path

_PR_SET_DUMPABLE = 4
DESCRIPTORS_PER_CALL = 5
"""Two legs of an RTP and an RTCP socket each, and the container."""
DESCRIPTORS_BESIDE = 200
"""SIP, index, audit, API clients, logs."""


class LimitError(Exception):
    """A limit of the system is too low for the configuration; the sentence says which, and what to do."""


def forbid_dumps() -> None:
    """Leave no core file and let nobody attach: audio that a pause will erase is in this memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def raise_descriptors(calls: int) -> int:
    """Raise the soft limit of descriptors as far as it goes; return it.

    Raises:
        LimitError: So many calls cannot fit.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    needed = calls * DESCRIPTORS_PER_CALL + DESCRIPTORS_BESIDE
    if needed > hard:
        raise LimitError(
            f"max_calls = {calls} needs {needed} descriptors, the hard limit is {hard}: "
            "raise LimitNOFILE or lower max_calls in [limits]"
        )
    return hard


LOCKED_BYTES_PER_CALL = 160 * 1024
"""Two rings and their presence bits at the default look-back."""
_CAP_IPC_LOCK = 14


def can_lock(calls: int) -> bool:
    """Tell whether the audio of so many calls can be kept out of swap; raises the soft limit as far as it goes."""
    _, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (hard, hard))
    if hard == resource.RLIM_INFINITY or hard >= calls * LOCKED_BYTES_PER_CALL:
        return True
    status = Path("/proc/self/status").read_text()
    capabilities = next((line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), "0")
    return bool(int(capabilities, 16) >> _CAP_IPC_LOCK & 1)
