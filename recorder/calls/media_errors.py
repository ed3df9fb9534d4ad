"""Media that cannot be bridged or heard, and how that is said."""

from audio.types import SourceRefused


class MediaError(Exception):
    """What a peer offered or answered cannot be bridged and recorded; a sentence. 488 is the answer to it."""


class UnreachableError(MediaError):
    """What a peer offered names no address that we send to: of another IP version, of a group, or with a zone."""


def source_refused(event: SourceRefused) -> str:
    """Return what a log says of packets from a source that is not heard."""
    ip = f"[{event.ip}]" if ":" in event.ip else event.ip
    return (
        f"{event.packets} packets from elsewhere so far are dropped, the last from {ip}:{event.port}; if that is the"
        " party of this call, have its PBX, SBC or NAT signal the address that it sends from"
    )
