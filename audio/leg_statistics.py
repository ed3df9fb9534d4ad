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
        return cls(
            received=raw["received"],
            sent=raw["sent"],
            lost=raw["lost"],
            dropped=raw["dropped"],
            jitter_ms=raw["jitter_us"] / 1000,
            remote_lost=raw["remote_lost"] if raw["remote_lost"] >= 0 else None,
            digits=raw["digits"],
            unauthentic=raw["unauthentic"],
            replayed=raw["replayed"],
            refused=raw["refused"],
        )
