"""Errors of media negotiation, and the log text for packets from a wrong source."""

from audio.types import SourceMoved, SourceRefused


class MediaError(Exception):
    """A peer's offer or answer cannot be bridged or recorded; the message says why. Answered with 488."""


class UnreachableError(MediaError):
    """A peer's offer names no address to send to: other IP version, multicast, or with a zone."""


def source_text(event: SourceRefused | SourceMoved) -> str:
    """Return the log text for packets from an address or port that was not signalled."""
    place = f"[{event.ip}]:{event.port}" if ":" in event.ip else f"{event.ip}:{event.port}"
    if isinstance(event, SourceMoved):
        return f"RTP goes on from {place}: the same stream from another port, as when a NAT changes it"
    return (
        f"{event.packets} packets from another address were dropped so far, the last from {place}; if the"
        " party of this call sends them, have its PBX, SBC or NAT signal the address that it sends from"
    )
