"""Results of a load: what was sent, what arrived, and how late. Reads `benchmarks._load`."""

import resource
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from benchmarks.build import ensure_load

ensure_load()

from benchmarks._load import FINE_BUCKETS, PAYLOAD_BYTES, Load, intact  # noqa: E402 - it has to be built before it can be imported

__all__ = [
    "ALAW",
    "PAYLOAD_BYTES",
    "Delays",
    "DescriptorsError",
    "Jitter",
    "Load",
    "Totals",
    "delays",
    "intact",
    "jitter",
    "need_descriptors",
    "open_socket",
    "totals",
]

ALAW = 8
_FINE_MS, _COARSE_FROM_MS = 0.01, 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Delays:
    """One-way delays, application to application, in ms: upper bounds of buckets 10 us wide, 1 ms from 100 ms on."""

    p50: float
    p99: float
    p99_9: float
    max: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Jitter:
    """By how much packets took longer or shorter than the one before, ms: what a path adds to the jitter it is given.

    The mean is what an estimate by RFC 3550 section 6.4.1 goes to, from the middles of buckets; the others are as in
    `Delays`.
    """

    mean: float
    p99: float
    p99_9: float
    max: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Packets of all streams; the names are explained in core/load.h."""

    sent: int = 0
    unsent: int = 0
    received: int = 0
    duplicates: int = 0
    reordered: int = 0
    damaged: int = 0
    strayed: int = 0
    other: int = 0
    late_sends: int = 0

    @property
    def lost(self) -> int:
        """Packets that the kernel took from the sender and that never arrived whole."""
        return self.sent - self.received

    def __sub__(self, earlier: Self) -> "Totals":
        return Totals(**{name: getattr(self, name) - getattr(earlier, name) for name in self.__slots__})


def totals(load: Load, streams: Iterable[int]) -> Totals:
    """Add up the counters of some streams. Loss is only meaningful when the sending has ceased for a while."""
    sums = dict.fromkeys(Totals.__slots__, 0)
    for stream in streams:
        for name, value in load.counts(stream).items():
            sums[name] += value
    return Totals(**sums)


def delays(histogram: Sequence[int], earlier: Sequence[int] | None = None) -> Delays | None:
    """Return the delays of the packets between two histograms, or None when none arrived."""
    counts = _between(histogram, earlier)
    if not any(counts):
        return None
    p50, p99, p99_9, most = (_bound_ms(bucket) for bucket in _buckets_at(counts, (500, 990, 999, 1000)))
    return Delays(p50=p50, p99=p99, p99_9=p99_9, max=most)


def jitter(variations: Sequence[int], earlier: Sequence[int] | None = None) -> Jitter | None:
    """Return the jitter between two counts of variations, or None when no two packets followed one another."""
    counts = _between(variations, earlier)
    if not any(counts):
        return None
    p99, p99_9, most = (_bound_ms(bucket) for bucket in _buckets_at(counts, (990, 999, 1000)))
    middles = ((_bound_ms(bucket - 1) + _bound_ms(bucket)) / 2 * count for bucket, count in enumerate(counts) if count)
    return Jitter(mean=round(sum(middles) / sum(counts), 3), p99=p99, p99_9=p99_9, max=most)


def _between(histogram: Sequence[int], earlier: Sequence[int] | None) -> list[int]:
    return [now - before for now, before in zip(histogram, earlier or [0] * len(histogram), strict=True)]


def _buckets_at(counts: Sequence[int], thousandths: Sequence[int]) -> list[int]:
    """Return the buckets below which so many thousandths lie."""
    total, found, running = sum(counts), list[int](), 0
    ranks = [-(-total * part // 1000) for part in thousandths]
    for bucket, count in enumerate(counts):
        running += count
        while len(found) < len(ranks) and running >= ranks[len(found)]:
            found.append(bucket)
    return found


def _bound_ms(bucket: int) -> float:
    if bucket < FINE_BUCKETS:
        return round((bucket + 1) * _FINE_MS, 2)
    return float(_COARSE_FROM_MS + bucket - FINE_BUCKETS + 1)


def open_socket(host: str = "127.0.0.1") -> socket.socket:
    """Bind a free UDP port, with room for the bursts of a busy machine."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 18)
    opened.bind((host, 0))
    return opened


class DescriptorsError(Exception):
    """The limit of open files is too low for the load that was asked for; the message says what to do."""


def need_descriptors(count: int) -> None:
    """Raise this process's soft limit of open files to at least ``count``; children inherit it.

    Raises:
        DescriptorsError: The hard limit is lower.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        raise DescriptorsError(
            f"This run needs {count} open files and the limit is {hard}: raise it (nofile in limits.conf)."
        )
    if soft != resource.RLIM_INFINITY and soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
