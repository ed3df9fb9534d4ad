"""The daemon in a world: its real parts, put together as it does it itself, without a thread or a socket.

What is replaced is what would wait or run beside: the clock, the UDP socket, sippy's loop, the threads that write, and
the HTTP server, in whose place requests are handed to the application. Everything else is the product.
"""

import asyncio
import os
import warnings
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
from sippy.Core.EventDispatcher import ED2
from sippy.Time import MonoTime as sippy_time

import recorder.daemon
import sip.transport
from audio.types import RelayOptions
from audio.writer import PausableWriter
from recorder import config as configuration
from recorder.clerk import Clerk
from recorder.home import Home
from recorder.live import connections
from tests.helpers.virtual.media import TurnedRelay
from tests.helpers.virtual.network import Network, server_class
from tests.helpers.virtual.world import NEVER_NS, NS_PER_S, World

STEP_S = 0.1
"""The longest time that passes between two looks whether a request is answered."""


class Loop:
    """sippy's loop: its timers, and what other threads have it do."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._calls: deque[tuple[Callable[..., object], tuple[object, ...]]] = deque()

    def call(self, fn: Callable[..., object], *args: object) -> None:
        """Take the place of ``ED2.callFromThread``."""
        self._calls.append((fn, args))

    def work(self) -> bool:
        if self._calls:
            fn, args = self._calls.popleft()
            fn(*args)
            return True
        ED2.last_ts = sippy_time.MonoTime()
        before = len(ED2.tlisteners)
        is_due = self.due_ns() <= self._world.now_ns
        ED2.dispatchTimers()
        return is_due or len(ED2.tlisteners) != before or bool(self._calls)

    def due_ns(self) -> int:
        while ED2.tlisteners and ED2.tlisteners[0].cb_func is None:  # called off
            ED2.dispatchTimers()
        # Rounded up: sippy calculates in seconds, and a timer that is not due yet would be asked for again and again.
        return int(ED2.tlisteners[0].etime.monot * NS_PER_S) + 1000 if ED2.tlisteners else NEVER_NS


class TurnedClerk(Clerk):
    """A clerk whose work is done in the world, one piece after another, never within the callback that asked for it."""

    def __init__(self, name: str, world: World) -> None:
        self._name = name
        self._world = world
        self._waiting: deque[tuple[Future[Any], Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = deque()
        self.failures = 0
        world.join(self)

    def submit(self, work: Callable[..., Any], *args: Any, **kwargs: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        future.add_done_callback(self._report)
        self._waiting.append((future, work, args, kwargs))
        return future

    def work(self) -> bool:
        if not self._waiting:
            return False
        future, work, args, kwargs = self._waiting.popleft()
        try:
            result = work(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - whoever asked gets it
            future.set_exception(error)
        else:
            future.set_result(result)
        return True

    def due_ns(self) -> int:
        return NEVER_NS

    def close(self) -> None:
        while self.work():
            pass
        self._world.leave(self)


class TurnedWriter(PausableWriter):
    """The writer, turned by the world."""

    def __init__(self, *args: Any, world: World, **more: Any) -> None:
        super().__init__(*args, **more)
        self._world = world

    def start(self) -> None:
        self._world.join(self)

    def work(self) -> bool:
        has_more = bool(self._finishing)
        self.turn()
        return has_more

    def due_ns(self) -> int:
        return round(self._due_s * NS_PER_S) + 1000

    def close(self, timeout_s: float = 10.0) -> bool:
        self._world.leave(self)
        return super().close(timeout_s)


class _App:
    """Takes the place of the socket's server."""

    def __init__(self, app: Any, path: Path) -> None:
        self.app, self.path = app, path

    def start(self) -> None:
        self.path.touch()

    def close(self) -> None:
        self.path.unlink()


class Requests(httpx.BaseTransport):
    """Hands requests to the daemon's application, and turns the clock until they are answered."""

    def __init__(self, world: World, app: Callable[[], Any]) -> None:
        self._world, self._app = world, app
        self._made: asyncio.AbstractEventLoop | None = None

    @property
    def _loop(self) -> asyncio.AbstractEventLoop:
        self._made = self._made or asyncio.new_event_loop()
        return self._made

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        transport = httpx.ASGITransport(app=self._app(), client=(f"uid:{os.getuid()}", os.getpid()))
        asked = httpx.Request(request.method, request.url, headers=request.headers, content=request.read())
        return self._answered(self._whole(transport, asked))

    @staticmethod
    async def _whole(transport: httpx.ASGITransport, request: httpx.Request) -> httpx.Response:
        response = await transport.handle_async_request(request)
        return httpx.Response(response.status_code, headers=response.headers, content=await response.aread())

    def _answered(self, answer: Coroutine[Any, Any, httpx.Response]) -> httpx.Response:
        task = self._loop.create_task(answer)
        while not task.done():
            for _ in range(20):  # a request passes through some layers, each a turn of the loop
                self._loop.call_soon(self._loop.stop)
                self._loop.run_forever()
                self._world.settle()
                if task.done():
                    return task.result()
            self._world.step(STEP_S)
        return task.result()

    def close(self) -> None:
        if self._made is not None:
            self._made.close()


async def _at_once(work: Callable[..., Any], *args: Any) -> Any:
    return work(*args)


class TurnedDaemon:
    """A daemon in a world, from `start` to `stop`."""

    def __init__(self, root: Path, world: World, network: Network) -> None:
        self._home = Home(root)
        self._world, self._network = world, network
        self._stack = ExitStack()
        self._daemon: recorder.daemon.Daemon | None = None
        self.relay: TurnedRelay
        self.app: Any = None

    def start(self) -> None:
        """Put the parts together and let them act."""
        config = configuration.read(self._home.config)
        with ExitStack() as stack:
            stack.enter_context(self._in_place())
            with warnings.catch_warnings():
                # sippy opens an IPv6 socket to see whether there is IPv6, and leaves it to be collected.
                warnings.simplefilter("ignore", ResourceWarning)
                daemon = self._daemon = recorder.daemon.Daemon(self._home, config)
            self._stack = stack.pop_all()
        daemon._relay.start()
        daemon._writer.start()
        daemon._resolver.want(target for route in config.route for target in route.targets)
        daemon._watch_targets()
        for registrar in daemon._registrars:
            daemon._endpoint.register(registrar)
        daemon._file_late()
        daemon._socket.start()
        self._world.join(self)
        self._world.settle()

    @contextmanager
    def _in_place(self) -> Iterator[None]:
        world = self._world
        loop = Loop(world)

        def relay_of(options: RelayOptions) -> tuple[TurnedRelay, None]:
            self.relay = TurnedRelay(options, world)
            return self.relay, None

        def writer_of(*args: Any, **more: Any) -> TurnedWriter:
            return TurnedWriter(*args, world=world, **more)

        def served(app: Any, path: Path) -> _App:
            self.app = app
            return _App(app, path)

        ED2.tlisteners.clear()
        world.join(loop)
        try:
            with (
                patch.object(ED2, "callFromThread", loop.call),
                patch.object(sip.transport, "Udp_server", server_class(self._network)),
                patch.object(recorder.daemon, "Clerk", lambda name: TurnedClerk(name, world)),
                patch.object(recorder.daemon, "PausableWriter", writer_of),
                patch.object(recorder.daemon, "open_relay", relay_of),
                patch.object(recorder.daemon, "SocketServer", served),
                patch.object(asyncio, "to_thread", _at_once),
            ):
                yield
        finally:
            world.leave(loop)
            ED2.tlisteners.clear()

    def stop(self) -> None:
        """End every call and file it, as at SIGTERM. Idempotent."""
        daemon, self._daemon = self._daemon, None
        if daemon is None:
            return
        daemon._control.stop()
        self._world.turn(recorder.daemon.SETTLE_S)
        daemon._socket.close()
        daemon._endpoint.close(keep=daemon._control.left_alone())
        self._world.settle()
        self._world.leave(self)
        assert not daemon._works.open_recordings, "a recording was not filed"
        daemon._writer.close()
        for clerk in (daemon._opening, daemon._filing, daemon._orders, daemon._pin_clerk, daemon._pausing):
            clerk.close()
        daemon._clerk.submit(daemon._works.late.catch_up)
        daemon._clerk.close()
        daemon._relay.close()
        daemon._index.close()
        self._stack.close()

    # --- the media core's events

    def work(self) -> bool:
        events = self.relay.events()
        if events and self._daemon is not None:
            self._daemon._control.receive_media(events)
        return bool(events)

    def due_ns(self) -> int:
        return NEVER_NS


def answers_of(requests: Requests, path: Path) -> Callable[..., connections.Answer]:
    """Return what takes the place of `recorder.live.connections.Connections.ask`, for commands that use the socket."""

    def ask(
        self: connections.Connections, method: str, target: str, headers: Any, content: bytes = b""
    ) -> connections.Answer:
        if self._path != str(path) or not path.exists():
            raise connections.NobodyThereError(f"nobody is at {self._path}")
        url = httpx.URL("http://recorder" + target)
        response = requests.handle_request(httpx.Request(method, url, headers=dict(headers), content=content))
        return connections.Answer(
            status=response.status_code, reason=response.reason_phrase, content=response.content
        )

    return ask
