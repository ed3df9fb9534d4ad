"""What is in another process's memory: every readable region of it is searched for needles. Needs root.

The searching process is never searched: it holds the needles itself.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

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
    """Return where needles are in the memory of a process, at most ``most`` of each.

    Left out are regions that it cannot read, and parts of files that it cannot change: libraries.

    The process runs on meanwhile, so what it writes during the search may be missed: search a quiet one, or twice.

    Args:
        pid: Process; not this one.
        needles: Bytes by name, at least 4 each: shorter ones are everywhere by chance.
        most: Bound on what is reported of one needle.
    """
    assert pid != os.getpid(), "the searcher holds the needles itself"
    assert all(len(needle) >= 4 for needle in needles.values()), "a needle is too short to mean anything"
    overlap = max(map(len, needles.values())) - 1
    hunt = _Hunt(needles)
    found: list[Found] = []
    counts = dict.fromkeys(needles, 0)
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for start, end, region in _regions(pid):
            for at, content in _chunks(memory.fileno(), start, end, overlap):
                for needle, hit in hunt.hits(content):
                    length = len(needles[needle])
                    # What ends within the overlap was found in the chunk before.
                    if counts[needle] < most and (at == start or hit + length > overlap):
                        counts[needle] += 1
                        around = content[max(hit - 32, 0) : hit + length + 32]
                        found.append(Found(needle=needle, address=at + hit, region=region, around=around))
    return found


class _Hunt:
    """Looks for many needles in one pass: by their first two bytes, then their first four, then the rest."""

    def __init__(self, needles: Mapping[str, bytes]) -> None:
        self._by_head: dict[bytes, list[tuple[str, bytes]]] = {}
        self._is_head = np.zeros(1 << 16, dtype=bool)
        for name, needle in needles.items():
            self._by_head.setdefault(needle[:4], []).append((name, needle))
            self._is_head[int.from_bytes(needle[:2], "little")] = True

    def hits(self, content: bytes) -> Iterator[tuple[str, int]]:
        for shift in (0, 1):
            count = (len(content) - shift) // 2
            pairs = np.frombuffer(content, dtype="<u2", count=count, offset=shift)
            for index in np.flatnonzero(self._is_head[pairs]).tolist():
                at = 2 * index + shift
                for name, needle in self._by_head.get(content[at : at + 4], ()):
                    if content.startswith(needle, at):
                        yield name, at


def _regions(pid: int) -> Iterator[tuple[int, int, str]]:
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        match = _LINE.fullmatch(line)
        is_library = match is not None and match[3][1] != "w" and match[4].startswith("/")
        if match is not None and not is_library and not match[4].startswith(_NOT_MEMORY):
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
