"""Counters of a media leg. Pure."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class LegStatistics:
    """Counters of a leg since it was opened.

    Attributes:
        received, sent: RTP packets.
        lost: Packets missing by sequence number (RFC 3550 appendix A.3), never negative.
        dropped: Packets refused: malformed, wrong source, unknown payload type, stale stream.
        jitter_ms: Interarrival jitter (RFC 3550 section 6.4.1).
        remote_lost: Cumulative loss the peer last reported by RTCP, or None.
        digits: Digits counted.
        unauthentic: Datagrams refused since they are not under the peer's key (SRTP), RTCP included.
        replayed: Datagrams refused since they have come before, or too late to tell (SRTP), RTCP included.
        refused: Datagrams at the RTP port from sources that are not heard, and those whose audio was taken back.
    """

    received: int
    sent: int
    lost: int
    dropped: int
    jitter_ms: float
    remote_lost: int | None
    digits: int
    unauthentic: int
    replayed: int
    refused: int

    @classmethod
    def of(cls, raw: dict[str, int]) -> Self:
        """Return the counters as the core has them: jitter in microseconds, remote_lost -1 where nobody reported."""
        counts = dict(raw)
        jitter_us, remote_lost = counts.pop("jitter_us"), counts.pop("remote_lost")
        return cls(jitter_ms=jitter_us / 1000, remote_lost=remote_lost if remote_lost >= 0 else None, **counts)
