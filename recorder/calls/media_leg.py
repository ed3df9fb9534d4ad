"""The media leg of one party: ports, prompts, tones. Call thread only; packets are the media core's."""

from ipaddress import ip_address

from audio.types import DtmfPolicy, MediaAddress, Prompt
from audio.types import LegId as MediaLegId
from recorder.calls.call_services import CallServices


class MediaLeg:
    """A media leg, which may not be open yet; what is asked of one that is not open does nothing.

    Args:
        services: The daemon's parts.
        thread: The media thread that the call lives on; the same for both sides.

    Attributes:
        id: Of the leg in the media core; None: it is not open.
    """

    def __init__(self, services: CallServices, thread: int) -> None:
        self._services = services
        self._relay = services.relay
        self._thread = thread
        self._reserved: int | None = None
        self.id: MediaLegId | None = None

    def reserve(self) -> None:
        """Keep ports for the party, so that there are some when it comes.

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
        """Close the leg, and give back ports that were kept; it can be opened again."""
        if self._reserved is not None:
            self._relay.release_ports(self._reserved)
            self._reserved = None
        if self.id is not None:
            self._relay.close_leg(self.id)
            self.id = None

    def play(self, prompt: Prompt, *, tag: int, loop: bool = False) -> None:
        """Play something to the party."""
        if self.id is not None:
            self._relay.play(self.id, prompt, tag=tag, loop=loop)

    def stop_playing(self) -> None:
        """Stop what is played."""
        if self.id is not None:
            self._relay.stop(self.id)

    def unbridge(self) -> None:
        """Take the party out of a bridge, if it is in one."""
        if self.id is not None:
            self._relay.unbridge(self.id)

    def listen(
        self, policy: DtmfPolicy, *, tones: bool, control: tuple[str, ...] = (), secret: tuple[str, ...] = ()
    ) -> None:
        """Set what becomes of the party's digits, and whether tones are looked for in its audio."""
        if self.id is not None:
            self._relay.set_dtmf(self.id, policy, control, secret)
            self._relay.detect_tones(self.id, is_on=tones)

    def report_voice(self, *, is_on: bool) -> None:
        """Have it reported while the party speaks."""
        if self.id is not None:
            self._relay.report_voice(self.id, is_on=is_on)

    @property
    def remote_lost(self) -> int | None:
        """Return the packets that the party last reported lost, or None."""
        return self._relay.statistics(self.id).remote_lost if self.id is not None else None

    @property
    def address(self) -> MediaAddress:
        """Return where the party is to send to; the leg is open."""
        assert self.id is not None
        address = self._relay.local_address(self.id)
        return MediaAddress(
            ip=self._services.config.media.advertised or address.ip,
            rtp_port=address.rtp_port,
            rtcp_port=address.rtcp_port,
        )

    def other_source(self, remote: MediaAddress | None, signals_from: str | None) -> str | None:
        """Return the second address that the party's packets may come from (docs/media-core.md).

        Args:
            remote: Where the party wants its packets.
            signals_from: Where its signalling comes from, an IP address or a host name.
        """
        if remote is None or signals_from is None or self.id is None:
            return None
        try:
            source, there = ip_address(signals_from), ip_address(remote.ip)
        except ValueError:
            return None  # a host name
        own = ip_address(self._relay.local_address(self.id).ip)
        if own.is_loopback and not source.is_loopback:
            source = own  # whoever reaches us there is on this machine, and its system may choose this source
        return str(source) if source.version == there.version else None
