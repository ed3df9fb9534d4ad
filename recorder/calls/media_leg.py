"""The media leg of one party: ports, prompts and digits. Call thread only; the media core handles the packets."""

import functools
from ipaddress import IPv4Address, IPv6Address, ip_address

from audio.types import DtmfPolicy, MediaAddress, Prompt
from audio.types import LegId as MediaLegId
from recorder.calls.call_services import CallServices


class MediaLeg:
    """A media leg. Until it is open, its methods do nothing.

    Args:
        thread: Index of the media thread that has the call; the same for both sides.

    Attributes:
        id: The leg's id in the media core; None while it is not open.
    """

    def __init__(self, services: CallServices, thread: int) -> None:
        self._services = services
        self._relay = services.relay
        self._thread = thread
        self._reserved: int | None = None
        self._may_play = False
        """Whether a prompt was begun and not stopped: else there is nothing to stop, and no thread to wait for."""
        self.id: MediaLegId | None = None

    def reserve(self) -> None:
        """Reserve ports for a party who comes later.

        Raises:
            PortsExhaustedError: There is no pair of ports left.
        """
        self._reserved = self._relay.reserve_ports()

    def open(self) -> MediaLegId:
        """Open the leg, and return its id.

        Raises:
            PortsExhaustedError: There is no pair of ports left.
        """
        reserved, self._reserved = self._reserved, None
        self.id = self._relay.open_leg(self._thread, reserved=reserved)
        return self.id

    def close(self) -> None:
        """Close the leg, and release reserved ports; it can be opened again."""
        if self._reserved is not None:
            self._relay.release_ports(self._reserved)
            self._reserved = None
        if self.id is not None:
            self._relay.close_leg(self.id)
            self.id, self._may_play = None, False

    def play(self, prompt: Prompt, *, tag: int, loop: bool = False) -> None:
        """Play a prompt to the party; its end is reported with ``tag``."""
        if self.id is not None:
            self._may_play = True
            self._relay.legs.play(self.id, prompt, tag=tag, loop=loop)

    def stop_playing(self) -> None:
        """Stop the prompt that is being played."""
        if self.id is not None and self._may_play:
            self._may_play = False
            self._relay.legs.stop(self.id)

    def unbridge(self) -> None:
        """Take the party out of a bridge, if it is in one."""
        if self.id is not None:
            self._relay.unbridge(self.id)

    def listen(
        self, policy: DtmfPolicy, *, tones: bool, control: tuple[str, ...] = (), secret: tuple[str, ...] = ()
    ) -> None:
        """Set how the party's digits are handled, and whether in-band DTMF is detected."""
        if self.id is not None:
            self._relay.legs.set_dtmf(self.id, policy, control, secret)
            self._relay.legs.detect_tones(self.id, is_on=tones)

    def report_voice(self, *, is_on: bool) -> None:
        """Switch reports of the party's voice on or off."""
        if self.id is not None:
            self._relay.legs.report_voice(self.id, is_on=is_on)

    @property
    def remote_lost(self) -> int | None:
        """Return how many packets the party last reported as lost (RTCP); None if it has not reported."""
        return self._relay.legs.statistics(self.id).remote_lost if self.id is not None else None

    @property
    def address(self) -> MediaAddress:
        """Return the address that the party is to send to. The leg must be open."""
        assert self.id is not None
        address = self._relay.local_address(self.id)
        return MediaAddress(
            ip=self._services.config.media.advertised or address.ip,
            rtp_port=address.rtp_port,
            rtcp_port=address.rtcp_port,
        )

    def other_source(self, remote: MediaAddress | None, signals_from: str | None) -> str | None:
        """Return a second address from which packets of the party are accepted, or None (docs/media-core.md).

        Args:
            remote: The media address that the party signalled.
            signals_from: The source of its SIP messages, an IP address or a host name.
        """
        if remote is None or signals_from is None or self.id is None:
            return None
        try:
            source, there = _parsed(signals_from), _parsed(remote.ip)
        except ValueError:
            return None  # a host name
        own = _parsed(self._relay.local_address(self.id).ip)
        if own.is_loopback and not source.is_loopback:
            source = own  # a sender that reaches loopback is on this machine, and may send from this address
        return str(source) if source.version == there.version else None


@functools.lru_cache(maxsize=1024)
def _parsed(address: str) -> IPv4Address | IPv6Address:
    """Parse an IP address, or raise ValueError. Asked nine times in a call, of the addresses of a few systems."""
    return ip_address(address)
