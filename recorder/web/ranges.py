"""Parses Range headers of players (RFC 9110 section 14). Pure."""

import re

from recorder.common.problems import ProblemError

_ONE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})", re.ASCII)


def wanted_bytes(header: str | None, size: int) -> tuple[int, int] | None:
    """Return the part ``[first, end)`` that a Range header asks for; None is the whole file.

    Anything but a single range of bytes is ignored, as section 14.2 permits.

    Args:
        header: Value of the header, or None.
        size: Size of the file, bytes.

    Raises:
        ProblemError: 416, the range is outside the file.
    """
    found = _ONE.fullmatch(header.strip()) if header else None
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        first, end = max(size - int(found[2]), 0), size
    else:
        first, end = int(found[1]), min(int(found[2]) + 1 if found[2] else size, size)
        if found[2] and int(found[2]) < int(found[1]):
            return None  # invalid: it ends before it begins
    if first >= end:
        raise ProblemError(416, "This part is not in the recording.", headers={"Content-Range": f"bytes */{size}"})
    return first, end
