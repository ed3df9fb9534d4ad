"""What is in another process's memory: every readable region of it is searched for needles. Needs root.

The searching process is never searched: it holds the needles itself.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_CHUNK_BYTES = 8 << 20
_LINE = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (r\S{3}) \S+ \S+ \S+ *(.*)")
_NOT_MEMORY = ("[vvar", "[vsyscall]", "/dev/dri", "/dev/nvidia")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One occurrence of a needle.

    Attributes:
        needle: Its name.
        address: Where it begins.
        region: Name of the mapping, such as ``[heap]``; empty for anonymous memory.
        around: Up to 32 bytes before it and 32 after its end.
    """

    needle: str
    address: int
    region: str
    around: bytes


def can_search(pid: int) -> bool:
    """Tell whether the memory of a process may be read."""
    try:
        with Path(f"/proc/{pid}/mem").open("rb"):
            return True
    except PermissionError:
        return False


def search(pid: int, needles: Mapping[str, bytes], *, most: int = 100) -> list[Found]:
    """Return where needles are in the readable memory of a process, at most ``most`` of each.

    The process runs on meanwhile, so what it writes during the search may be missed: search a quiet one, or twice.

    Args:
        pid: Process; not this one.
        needles: Bytes by name, at least 4 each: shorter ones are everywhere by chance.
        most: Bound on what is reported of one needle.
    """
    assert pid != os.getpid(), "the searcher holds the needles itself"
    assert all(len(needle) >= 4 for needle in needles.values()), "a needle is too short to mean anything"
    overlap = max(map(len, needles.values())) - 1
    found: list[Found] = []
    counts = dict.fromkeys(needles, 0)
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for start, end, name in _regions(pid):
            for at, content in _chunks(memory.fileno(), start, end, overlap):
                for needle, pattern in needles.items():
                    # What ends within the overlap was found in the chunk before.
                    begin = max(overlap - len(pattern) + 1, 0) if at > start else 0
                    for hit in _hits(content, pattern, begin):
                        if counts[needle] < most:
                            counts[needle] += 1
                            around = bytes(content[max(hit - 32, 0) : hit + len(pattern) + 32])
                            found.append(Found(needle=needle, address=at + hit, region=name, around=around))
    return found


def _regions(pid: int) -> Iterator[tuple[int, int, str]]:
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        match = _LINE.fullmatch(line)
        if match is not None and not match[4].startswith(_NOT_MEMORY):
            yield int(match[1], 16), int(match[2], 16), match[4]


def _chunks(descriptor: int, start: int, end: int, overlap: int) -> Iterator[tuple[int, bytes]]:
    at = start
    while at < end:
        try:
            content = os.pread(descriptor, min(_CHUNK_BYTES, end - at), at)
        except OSError:  # a guard page, or gone meanwhile
            return
        if not content:
            return
        yield at, content
        if at + len(content) >= end:
            return
        at += max(len(content) - overlap, 1)


def _hits(content: bytes, pattern: bytes, begin: int) -> Iterator[int]:
    at = content.find(pattern, begin)
    while at >= 0:
        yield at
        at = content.find(pattern, at + 1)
