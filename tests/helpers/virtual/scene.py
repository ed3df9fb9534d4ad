"""The environment of tests in virtual time: the clock, the network, sippy's loop and the daemons' sockets.

There is one scene at a time in a process, because there is one clock and one sippy. Several exchanges share it.
"""

import asyncio
import os
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

import anyio.to_thread
import httpx2
from sippy.Core.EventDispatcher import ED2
from sippy.Time.MonoTime import MonoTime

import sip.transport
from recorder.control import connections
from tests.helpers.virtual.network import Network, server_class
from tests.helpers.virtual.world import NEVER_NS, NS_PER_S, World

TICK_NS = 10_000_000
"""sippy checks its timers a hundred times a second."""
STEP_S = 0.1
"""Most virtual time between two checks whether a request is answered."""
_LAYERS = 20
"""Most iterations of asyncio's loop that a request needs to pass the layers of the application."""
T = TypeVar("T")


class Loop:
    """sippy's loop: its timers, checked every TICK_NS, and the functions that other threads submit."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._calls: deque[tuple[Callable[..., object], tuple[object, ...]]] = deque()
        self._tick_ns = 0
        self.is_held_up = False
        """Whether the call thread is kept from running."""

    def call(self, fn: Callable[..., object], *args: object) -> None:
        """Replace ``ED2.callFromThread``."""
        self._calls.append((fn, args))

    def timer(self, register: Callable[..., Any]) -> Callable[..., Any]:
        """Return a replacement of ``ED2.regTimer`` that first advances the clock a little.

        Otherwise a timer that is due at once could, by a rounding error, be due at the same moment for ever.
        """

        def after_a_moment(*args: Any) -> Any:
            self._world.creep()
            return register(*args)

        return after_a_moment

    def work(self) -> bool:
        if self.is_held_up:
            return False
        if self._calls:
            fn, args = self._calls.popleft()
            fn(*args)
            return True
        if self._world.now_ns < self._tick_ns:
            return False
        if not ED2.tlisteners or ED2.tlisteners[0].etime.monot > self._world.now_s:
            return False
        ED2.last_ts = MonoTime()
        self._tick_ns = self._world.now_ns + TICK_NS
        ED2.dispatchTimers()
        return True

    def due_ns(self) -> int:
        if not ED2.tlisteners or self.is_held_up:
            return NEVER_NS
        # Rounded up: sippy calculates in seconds.
        return max(self._tick_ns, int(ED2.tlisteners[0].etime.monot * NS_PER_S) + 1000)


class Requests(httpx2.BaseTransport):
    """Hands requests to the daemon's application, and advances the clock until they are answered."""

    def __init__(self, world: World, app: Callable[[], Any]) -> None:
        self._world, self._app = world, app
        self._made: asyncio.AbstractEventLoop | None = None

    @property
    def _loop(self) -> asyncio.AbstractEventLoop:
        self._made = self._made or asyncio.new_event_loop()
        return self._made

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        return self.answer(self._whole(request))

    async def _whole(self, request: httpx2.Request) -> httpx2.Response:
        """Call the application as a server does; httpx's own transport looks for trio at each request."""
        waiting = [{"type": "http.request", "body": request.read(), "more_body": False}]
        begun: dict[str, Any] = {}
        content, is_whole = bytearray(), asyncio.Event()

        async def receive() -> dict[str, Any]:
            if waiting:
                return waiting.pop()
            await is_whole.wait()
            return {"type": "http.disconnect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                begun.update(message)
            else:
                content.extend(message.get("body", b""))
                if not message.get("more_body", False):
                    is_whole.set()

        await self._app()(_scope_of(request), receive, send)
        assert is_whole.is_set(), f"{request.method} {request.url.path} has no whole answer"
        return httpx2.Response(begun["status"], headers=begun.get("headers", []), content=bytes(content))

    def answer(self, answer: Coroutine[Any, Any, T]) -> T:
        """Advance the clock until a coroutine of the daemon's application has its result."""
        task = self._loop.create_task(answer)
        while not task.done():
            for _ in range(_LAYERS):
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


def _scope_of(request: httpx2.Request) -> dict[str, Any]:
    """Return what the daemon's server says of a request by a program of this user."""
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "scheme": request.url.scheme,
        "path": request.url.path,
        "raw_path": request.url.raw_path.split(b"?")[0],
        "query_string": request.url.query,
        "server": (request.url.host, request.url.port),
        "client": (f"uid:{os.getuid()}", os.getpid()),
        "root_path": "",
    }


class Scene:
    """The environment of one or more recorders in virtual time.

    Attributes:
        world: The clock.
        network: Carries SIP.
        answering: The transport for each path of a unix socket.
        loop: The call thread.
    """

    def __init__(self) -> None:
        self.world = World()
        self.network = Network(self.world)
        self.answering: dict[str, Requests] = {}
        self.loop = Loop(self.world)

    @contextmanager
    def open(self) -> Iterator[None]:
        """Patch the clock, sippy and the sockets of this process."""
        ED2.tlisteners.clear()
        self.world.join(self.loop)
        with (
            self.world.open(),
            patch.object(ED2, "callFromThread", self.loop.call),
            patch.object(ED2, "regTimer", self.loop.timer(ED2.regTimer)),
            patch.object(sip.transport, "Udp_server", server_class(self.network)),
            patch.object(asyncio, "to_thread", _at_once),
            patch.object(anyio.to_thread, "run_sync", _at_once),
            patch.object(connections.DaemonConnections, "ask", self._ask()),
        ):
            yield
        ED2.tlisteners.clear()

    def _ask(self) -> Callable[..., connections.DaemonAnswer]:
        """Return a replacement of `DaemonConnections.ask`, for commands that use a daemon's socket."""

        def ask(
            connection: connections.DaemonConnections, method: str, target: str, headers: Any, content: bytes = b""
        ) -> connections.DaemonAnswer:
            requests = self.answering.get(connection._path)
            if requests is None or not Path(connection._path).exists():
                raise connections.NobodyThereError(f"nobody is at {connection._path}")
            request = httpx2.Request(method, f"http://recorder{target}", headers=dict(headers), content=content)
            response = requests.handle_request(request)
            return connections.DaemonAnswer(
                status=response.status_code, reason=response.reason_phrase, content=response.content
            )

        return ask


async def _at_once(work: Callable[..., Any], *args: Any, **_limits: Any) -> Any:
    """Run work at once instead of on a thread, since virtual time would advance while a real thread works."""
    return work(*args)


_current: list[Scene] = []


@contextmanager
def scene() -> Iterator[Scene]:
    """Open a scene, or return the one that is open."""
    if _current:
        yield _current[-1]
        return
    made = Scene()
    _current.append(made)
    try:
        with made.open():
            yield made
    finally:
        _current.remove(made)
