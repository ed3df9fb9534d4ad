"""What the process does to itself before it hears a voice: no core files, not dumpable, enough descriptors."""

import ctypes
import resource

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
