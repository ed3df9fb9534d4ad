"""Callers and officers on both sides of a recorder in virtual time, with the interface of `tests.helpers.exchange`.

`time.sleep` and every wait for a call or a voice advance the virtual clock, so that a minute of talk takes a fraction
of a second. Tests about real sockets use `tests.helpers.exchange`.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2

from recorder.control.bodies import SocketCaller
from tests.helpers import report
from tests.helpers.exchange import Exchange
from tests.helpers.recorder_home import RecorderHome
from tests.helpers.signed_in import signing
from tests.helpers.sip_peer import Caller, Officer
from tests.helpers.virtual.daemon import TurnedDaemon
from tests.helpers.virtual.media import TurnedStudio
from tests.helpers.virtual.network import NetworkWire
from tests.helpers.virtual.scene import Requests, Scene, scene


class TurnedHome(RecorderHome):
    """A home whose daemon runs in the scene of the test."""

    def __init__(self, folder: Path, place: Scene, studio: TurnedStudio, **options: Any) -> None:
        super().__init__(folder, **options)
        self._scene, self._studio = place, studio
        self._turned: TurnedDaemon | None = None
        self.live.close()
        self._requests = Requests(place.world, lambda: self._turned.app if self._turned is not None else None)
        self.live = httpx2.Client(transport=self._requests, base_url="http://recorder", event_hooks=signing(self.root))
        place.answering[str(self.root / "recorder.sock")] = self._requests

    def start(self, **_: Any) -> None:
        """Start the daemon."""
        self._turned = TurnedDaemon(self.root, self._scene.world, log=self.log)
        self._turned.start()
        self._studio.hear(self._turned.relay)

    def stop(self, **_: Any) -> int:
        """End the daemon as SIGTERM does."""
        turned, self._turned = self._turned, None
        if turned is not None:
            turned.stop()
            self._studio.hush(turned.relay)
        return 0

    def calls(self) -> list[dict[str, Any]]:
        """Return the recorded calls in progress: as the daemon's socket answers, which is tested where it is named.

        Waits ask it often, and a request costs ten times as much as its answer.
        """
        listed = self._requests.answer(self.daemon_now.api.calls(SocketCaller(os_user="tests", name="tests")))
        found: list[dict[str, Any]] = json.loads(json.dumps(listed))["calls"]
        return found

    def hold_up(self, seconds: float) -> None:
        """Keep the call thread from running for a time, as a busy machine does."""
        daemon, loop = self.daemon_now, self._scene.loop

        def hold(is_held_up: bool) -> None:
            daemon.is_held_up = loop.is_held_up = is_held_up

        hold(True)
        self._scene.world.after(seconds, lambda: hold(False))

    def hold_up_media(self, seconds: float) -> None:
        """Keep the media thread from running for a time, as a busy machine does."""
        relay = self.daemon_now.relay
        relay.is_held_up = True

        def go_on() -> None:
            relay.is_held_up = False
            relay.work()

        self._scene.world.after(seconds, go_on)

    def ask_for_reload(self) -> None:
        """Have the daemon do what it does at SIGHUP."""
        assert self._turned is not None
        self._turned.ask_for_reload()

    @property
    def daemon_now(self) -> TurnedDaemon:
        """The daemon that runs."""
        assert self._turned is not None
        return self._turned

    def kill(self) -> float:
        raise AssertionError("a daemon in virtual time cannot be killed: that is a test over the wire")

    def close(self) -> None:
        """End what runs. Idempotent."""
        self.stop()
        self.live.close()
        report.forget(self)


@contextmanager
def exchange(folder: Path, *, is_started: bool = True, **options: Any) -> Iterator[Exchange]:
    """Make a recorder whose PBX is a scripted officer, and people to call it."""
    with ExitStack() as stack:
        place = stack.enter_context(scene())
        studio = TurnedStudio(place.world)
        made = Exchange(
            stack,
            studio=studio,
            officer=lambda **more: Officer(wire=NetworkWire(place.network), **more),
            caller=lambda address: Caller(wire=NetworkWire(place.network, place.network.new_address(address[0]))),
        )
        home = TurnedHome(folder, place, studio, next_hop=f"127.0.0.1:{made.officer.address[1]}", **options)
        stack.callback(home.close)
        if is_started:
            home.start()
        made.home = home
        yield made
