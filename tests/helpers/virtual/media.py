"""The media core and the voices in virtual time: the real core without its threads, and voices that the clock drives.

Packets go over loopback sockets. Before the virtual clock advances, each packet that was sent is waited for, in real
time.
"""

import select
import time
from typing import Any

from audio.port_memory import PortMemory
from audio.relay import Relay
from audio.types import LegId, LegMedia, RelayOptions
from tests.helpers.virtual.world import NEVER_NS, NS_PER_S, Prompted, World
from tests.helpers.voices import FRAME, TICKS_PER_S, Studio, Voice

ARRIVES_MS = 2000
"""Time-out for a packet to cross loopback, in real time; it takes microseconds."""


class TurnedRelay(Relay):
    """The relay without its threads: the world calls its turns. Counts the packets sent to each port."""

    def __init__(self, options: RelayOptions, world: World, *, port_memory: PortMemory) -> None:
        super().__init__(options, port_memory=port_memory)
        self._world = world
        self._next_ns = 0
        self._targets: dict[LegId, tuple[int, int]] = {}
        """For each leg its remote port, and how many packets it had sent when that was set."""
        self._sent_to: dict[int, int] = {}
        """Packets sent to each port by legs that are closed or have another remote port now."""
        self._seen = 0
        self.is_held_up = False
        """Whether the media thread is kept from running."""
        self.turn(world.now_ns)

    def start(self) -> None:
        self._world.join(self)

    def close(self) -> None:
        super().close()
        self._world.leave(self)

    def set_media(self, leg: LegId, media: LegMedia) -> None:
        self._count(leg)
        super().set_media(leg, media)
        if media.remote is not None:
            self._targets[leg] = (media.remote.rtp_port, self._sent_by(leg))

    def close_leg(self, leg: LegId) -> None:
        self._count(leg)
        super().close_leg(leg)

    def _count(self, leg: LegId) -> None:
        port, before = self._targets.pop(leg, (0, 0))
        if port:
            self._sent_to[port] = self._sent_to.get(port, 0) + self._sent_by(leg) - before

    def _sent_by(self, leg: LegId) -> int:
        return self._core.leg_statistics(leg)["sent"]

    def sent(self) -> dict[int, int]:
        """Return how many RTP packets were sent to each port; empty if none was sent since the last call."""
        total = self._core.counters()["sent"]
        if total == self._seen:
            return {}
        self._seen = total
        sent = dict(self._sent_to)
        for leg, (port, before) in self._targets.items():
            sent[port] = sent.get(port, 0) + self._sent_by(leg) - before
        return sent

    def wait_arrived(self, port: int) -> None:
        """Wait until a packet is readable at the leg with a port; return at once if no leg has it."""
        pair = next((pair for pair in self._pairs.values() if pair.port == port), None)
        if pair is not None:
            poller = select.poll()
            poller.register(pair.rtp, select.POLLIN)
            assert poller.poll(ARRIVES_MS), f"loopback lost a packet to port {port}"

    def work(self) -> bool:
        if not self.is_held_up:
            self._next_ns = self.turn(self._world.now_ns)
        return False

    def due_ns(self) -> int:
        return NEVER_NS if self.is_held_up else self._next_ns


class TurnedStudio(Prompted, Studio):
    """Sends the frames of the voices by the virtual clock."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world
        self._relays: list[TurnedRelay] = []
        self._by_port: dict[int, Voice] = {}
        self._arrived: dict[tuple[TurnedRelay, int], int] = {}
        """Datagrams that arrived at a port from a relay."""

    def __enter__(self) -> Any:
        self._world.join(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._world.leave(self)
        for voice in self._voices:
            voice.socket.close()

    def voice(self, **more: Any) -> Voice:
        voice = super().voice(**more)
        self._by_port[voice.port] = voice
        return voice

    def hear(self, relay: TurnedRelay) -> None:
        """Exchange packets with a relay from now on."""
        self._relays.append(relay)

    def hush(self, relay: TurnedRelay) -> None:
        """Stop exchanging packets with a relay that is closed."""
        self._relays.remove(relay)

    def begin(self, voice: Voice) -> None:
        self._world.soon(lambda: self._send(voice, self._world.now_ns))

    def _send(self, voice: Voice, due_ns: int) -> None:
        before = voice.packets
        is_going_on = voice.send_frame(self._world.now_s)
        if voice.remote is not None and voice.packets > before:
            for relay in self._relays:
                relay.wait_arrived(voice.remote[1])
                relay.work()
        if is_going_on:
            next_ns = due_ns + FRAME * NS_PER_S // TICKS_PER_S
            self._world.after((next_ns - self._world.now_ns) / NS_PER_S, lambda: self._send(voice, next_ns))

    def work(self) -> bool:
        for relay in self._relays:
            for port, sent in relay.sent().items():
                if port in self._by_port:
                    self._collect(self._by_port[port], (relay, port), sent)
        return False

    def _collect(self, voice: Voice, way: tuple[TurnedRelay, int], sent: int) -> None:
        arrived = self._arrived.get(way, 0)
        deadline = time.perf_counter() + ARRIVES_MS / 1000
        while arrived < sent:
            if voice.take(self._world.now_s):
                arrived += 1
            else:
                assert time.perf_counter() < deadline, f"loopback lost a packet to port {voice.port}"
        self._arrived[way] = arrived
