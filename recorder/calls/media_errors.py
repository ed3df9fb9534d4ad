"""Errors of media negotiation, and the log text for packets from a wrong source."""

from audio.types import SourceRefused


class MediaError(Exception):
    """A peer's offer or answer cannot be bridged or recorded; the message says why. Answered with 488."""


class UnreachableError(MediaError):
    """A peer's offer names no address to send to: other IP version, multicast, or with a zone."""


def source_refused(event: SourceRefused) -> str:
    """Return the log text for packets from an address that was not signalled."""
    ip = f"[{event.ip}]" if ":" in event.ip else event.ip
    return (
        f"{event.packets} packets from another address were dropped so far, the last from {ip}:{event.port}; if the"
        " party of this call sends them, have its PBX, SBC or NAT signal the address that it sends from"
    )
