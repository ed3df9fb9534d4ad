"""The Python owner of the media core: sockets, ids and events in the words of `audio.types`.

Commands may come from any thread, in practice the call thread. Nothing here touches a packet: see docs/media-core.md.
"""

import threading
from ipaddress import ip_network
from pathlib import Path
from types import TracebackType
from typing import Self

from audio._relay import Core
from audio.core_events import event_of
from audio.leg_controls import LegControls
from audio.port_memory import PortMemory
from audio.ports import PortPair, PortPool
from audio.taps import Taps
from audio.types import (
    Codec,
    LegId,
    LegMedia,
    MediaAddress,
    MediaEvent,
    MediaIo,
    RelayOptions,
    SrtpKey,
    SrtpKeys,
)

_PROGRAM = Path(__file__).with_name("relay.bpf.o")
"""What the kernel runs (audio/core/bpf)."""


class Relay:
    """Legs, taps and media threads of the daemon, from `start` to `close`.

    Ids of legs and taps are never used twice. Unknown or closed ids raise KeyError, impossible values ValueError, a
    closed relay RuntimeError. Both legs of a bridge and of a tap must have been opened with the same thread hint.

    Raises:
        OSError: The kernel does not relay by ``kernel_interfaces``: no right to (CAP_BPF and CAP_NET_ADMIN), no such
            interface, no tcx (Linux 6.6). Nothing stays open.
    """

    def __init__(self, options: RelayOptions, *, port_memory: PortMemory | None = None) -> None:
        self._options = options
        self._pool = PortPool(
            address=options.address,
            ports=options.ports,
            quarantine_s=options.quarantine_s,
            dscp=options.dscp,
            memory=port_memory,
        )
        self._core = Core(
            threads=options.threads,
            lock_memory=options.lock_memory,
            dead_rtp_ms=round(options.dead_rtp_s * 1000),
            gather_us=round(options.gather_ms * 1000),
        )
        if options.kernel_interfaces:
            try:
                self._core.relay_in_kernel(
                    str(_PROGRAM), list(options.kernel_interfaces), packets_per_s=options.kernel_packets_per_s
                )
            except BaseException:
                self._core.close()  # not when whoever looks at the error lets go of it
                raise
        self.io_uring_refused: OSError | None = None
        """Why packets go by epoll although io_uring was asked for."""
        if options.io is not MediaIo.EPOLL:
            try:
                self._core.use_io_uring(packets_per_s=options.io_packets_per_s)
            except OSError as error:
                self.io_uring_refused = error
        self._pairs: dict[LegId, PortPair] = {}
        self._codecs: dict[LegId, Codec] = {}
        self.legs = LegControls(self._core, self._codecs)
        """What is asked of one leg."""
        self.taps = Taps(self._core)
        """What is recorded, and what of it is kept."""
        self._keys: dict[tuple[LegId, bool], bytes] = {}
        """Names of the keys that legs have, to send under or not."""
        self._lock = threading.Lock()
        self._is_closed = False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def event_fd(self) -> int:
        """Descriptor that is readable while events wait; -1 after `close`."""
        return self._core.event_fd

    @property
    def io(self) -> MediaIo:
        """How media threads receive and send: by io_uring if all of them do."""
        return MediaIo.IO_URING if self._core.threads_by_io_uring == self._options.threads else MediaIo.EPOLL

    def start(self) -> None:
        """Start the media threads; a second call does nothing."""
        self._core.start()

    def turn(self, now_ns: int) -> int:
        """Do what the media threads would have done by a time; see `audio._relay.Core.turn`. For tests."""
        return self._core.turn(now_ns)

    def close(self) -> None:
        """Stop the threads, wipe the rings, close the sockets; may be called again."""
        with self._lock:
            self._is_closed = True
            self._core.close()
            for pair in self._pairs.values():
                self._pool.give_back(pair)
            self._pairs.clear()
            self._codecs.clear()
            self._keys.clear()

    def reserve_ports(self) -> int:
        """Keep a pair of ports for `open_leg`, and return what names it; `release_ports` gives it back unused.

        Raises:
            PortsExhaustedError: No pair is free.
        """
        with self._lock:
            if self._is_closed:
                raise RuntimeError("reserve_ports: the relay is closed")
            return self._pool.reserve()

    def release_ports(self, reserved: int) -> None:
        """Give back what `reserve_ports` kept and `open_leg` has not used."""
        with self._lock:
            self._pool.rest(reserved)

    def open_leg(self, thread_hint: int = 0, *, reserved: int | None = None) -> LegId:
        """Bind a pair of ports and watch it; nothing is taken in before `set_media`.

        Args:
            thread_hint: The same for both legs of a call.
            reserved: A pair that was kept for it, which is used up in any case; None: any.

        Raises:
            PortsExhaustedError: No pair is free; nothing was opened.
        """
        with self._lock:
            if self._is_closed:
                raise RuntimeError("open_leg: the relay is closed")
            pair = self._pool.take() if reserved is None else self._pool.take_reserved(reserved)
            try:
                leg = LegId(
                    self._core.open_leg(
                        thread=thread_hint % self._options.threads,
                        rtp_fd=pair.rtp.fileno(),
                        rtcp_fd=pair.rtcp.fileno(),
                    )
                )
            except BaseException:
                self._pool.give_back(pair)
                raise
            self._pairs[leg] = pair
            return leg

    def close_leg(self, leg: LegId) -> None:
        """End a leg: it leaves its bridge and tap, a prompt ends incomplete, its ports rest."""
        with self._lock:
            self._core.close_leg(leg)
            self._codecs.pop(leg, None)
            self._forget_keys(leg)
            self._pool.give_back(self._pairs.pop(leg))

    def take_no_more(self, leg: LegId) -> None:
        """Have the kernel drop what comes at a leg from now on; what has come is taken. A bridge that it is in ends.

        A datagram socket that is connected takes in only what its peer sends: here its peer is itself.

        Raises:
            OSError: From the system; nothing was changed.
        """
        with self._lock:
            rtp = self._pairs[leg].rtp
            rtp.connect(rtp.getsockname())
        self.unbridge(leg)

    def local_address(self, leg: LegId) -> MediaAddress:
        """Return the address and ports of ours, for the SDP."""
        pair = self._pairs[leg]
        return MediaAddress(ip=self._options.address, rtp_port=pair.port, rtcp_port=pair.port + 1)

    def set_media(self, leg: LegId, media: LegMedia) -> None:
        """Apply what an offer/answer settled.

        A leg that receives but has no remote hears its expected address, and while nothing comes from there the first
        source in its networks (SIPREC; docs/media-core.md, Sources); it is never sent to.

        Keys come into force before anything is sent or taken under the new media; those that the leg has already go on.

        Raises:
            OSError: The remote's IP version is not that of our socket; nothing has changed.
        """
        remote = media.remote
        if remote is None:
            parsed = map(ip_network, media.networks)
            expected = media.expected
            self._core.listen(
                leg,
                (expected.ip, expected.rtp_port) if expected is not None else None,
                [(str(one.network_address), one.prefixlen) for one in parsed],
            )
        else:
            self._core.set_remote(leg, (remote.ip, remote.rtp_port), (remote.ip, remote.rtcp_port))
            if media.also_from is not None and media.also_from != remote.ip:
                self._core.accept_from(leg, media.also_from)
        self._set_keys(leg, media.srtp)
        self._core.update_leg(
            leg,
            codec=media.codec,
            send_pt=media.send_pt,
            receive_pt=media.receive_pt,
            send_event_pt=-1 if media.send_event_pt is None else media.send_event_pt,
            receive_event_pt=-1 if media.receive_event_pt is None else media.receive_event_pt,
            sends=media.sends,
            receives=media.receives,
            more=[(one.codec, one.send_pt, one.receive_pt) for one in media.more],
        )
        self._codecs[leg] = media.codec

    def _set_keys(self, leg: LegId, keys: SrtpKeys | None) -> None:
        if keys is None:
            if (leg, True) in self._keys:
                self._core.srtp_off(leg)
                self._forget_keys(leg)
            return
        directions: tuple[tuple[SrtpKey, bool], ...] = ((keys.receive, False), (keys.send, True))
        for key, is_send in directions:
            if self._keys.get((leg, is_send)) != key.name:
                self._core.srtp_key(leg, is_send=is_send, suite=key.suite, key=key.key, mki=key.mki)
                self._keys[leg, is_send] = key.name

    def _forget_keys(self, leg: LegId) -> None:
        for is_send in (True, False):
            self._keys.pop((leg, is_send), None)

    def bridge(self, a: LegId, b: LegId) -> None:
        """Let two legs hear each other; a bridge that either is in ends first. ValueError if their rates differ."""
        self._core.bridge(a, b)

    def unbridge(self, leg: LegId) -> None:
        """End the bridge that a leg is in, if any."""
        self._core.unbridge(leg)

    def events(self) -> list[MediaEvent]:
        """Take the events that wait, oldest first."""
        return [event_of(raw) for raw in self._core.drain_events()]

    def counters(self) -> dict[str, int]:
        """Return the totals of the process: open legs and taps, packets, what was dropped, late or lost."""
        return {**self._core.counters(), "events_dropped": self._core.dropped_events}
