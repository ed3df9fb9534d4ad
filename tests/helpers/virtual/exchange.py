"""Callers and officers at both sides of a recorder in virtual time: the exchange of `tests.helpers.exchange`.

A test that is written for one runs with the other. Here nothing waits: `time.sleep` and every wait of a call or a voice
turn the clock, and a test that lets both talk for a minute takes a fraction of a second. Over the wire stay the tests
whose subject is the wire.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx

from recorder.live.connections import Connections
from tests.helpers.exchange import Exchange
from tests.helpers.recorder_home import RecorderHome
from tests.helpers.sip_peer import Caller, Officer
from tests.helpers.virtual.daemon import Requests, TurnedDaemon, answers_of
from tests.helpers.virtual.media import TurnedStudio
from tests.helpers.virtual.network import Network, NetworkWire
from tests.helpers.virtual.world import World


class TurnedHome(RecorderHome):
    """A home whose daemon lives in the world of the test."""

    def __init__(self, folder: Path, world: World, network: Network, studio: TurnedStudio, **options: Any) -> None:
        super().__init__(folder, **options)
        self._world, self._network, self._studio = world, network, studio
        self._turned: TurnedDaemon | None = None
        self.live.close()
        requests = Requests(world, lambda: self._turned.app if self._turned is not None else None)
        self.live = httpx.Client(transport=requests, base_url="http://recorder")
        self.asked = patch.object(Connections, "ask", answers_of(requests, self.root / "recorder.sock"))

    def start(self, **_: Any) -> None:
        """Start the daemon."""
        self._turned = TurnedDaemon(self.root, self._world, self._network)
        self._turned.start()
        self._studio.hear(self._turned.relay)

    def stop(self, **_: Any) -> int:
        """End the daemon as SIGTERM does."""
        if self._turned is not None:
            self._turned.stop()
            self._studio.hush(self._turned.relay)
        self._turned = None
        return 0

    def kill(self) -> float:
        raise AssertionError("a daemon in a world cannot be killed: that is a test over the wire")

    def close(self) -> None:
        """End what runs. Idempotent."""
        self.stop()
        self.live.close()


@contextmanager
def exchange(folder: Path, **options: Any) -> Iterator[Exchange]:
    """Start a recorder whose PBX is a scripted officer, and people to call it, in a world of their own."""
    with ExitStack() as stack:
        world = World()
        stack.enter_context(world.open())
        network = Network(world)
        studio = TurnedStudio(world)
        made = Exchange(
            stack,
            studio=studio,
            officer=lambda **more: Officer(wire=NetworkWire(network), **more),
            caller=lambda: Caller(wire=NetworkWire(network)),
        )
        home = TurnedHome(folder, world, network, studio, next_hop=f"127.0.0.1:{made.officer.address[1]}", **options)
        stack.callback(home.close)
        stack.enter_context(home.asked)
        home.start()
        made.home = home
        yield made
