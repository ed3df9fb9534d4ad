"""The daemon in virtual time: its real components, composed by its own code, without threads or sockets.

Replaced are the writing threads, the media threads and the HTTP server; requests are handed to the application
directly. `tests.helpers.virtual.scene` has the clock, sippy's loop and the network.
"""

import logging
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import recorder.service.composition
import recorder.service.daemon
from audio.port_memory import PortMemory
from audio.types import RelayOptions
from audio.writer import PausableWriter
from recorder.calls.call_services import CallServices
from recorder.common.home import Home
from recorder.common.logs import MaskingFormatter
from recorder.common.serial_executor import SerialExecutor
from recorder.config.reading import read_config
from recorder.control.api import LiveApi
from recorder.service.daemon_metrics import MetricSources
from tests.helpers.virtual.media import TurnedRelay
from tests.helpers.virtual.world import NS_PER_S, Prompted, World


class TurnedExecutor(Prompted, SerialExecutor):
    """A serial executor that the world runs, never within the callback that submitted the work."""

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
        except Exception as error:  # noqa: BLE001 - the submitter gets it from the future
            future.set_exception(error)
        else:
            future.set_result(result)
        return True

    def close(self) -> None:
        while self.work():
            pass
        self._world.leave(self)


class TurnedWriter(PausableWriter):
    """The writer without its thread: the world calls its turns."""

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
    """Replaces the server of the daemon's socket."""

    def __init__(self, app: Any, path: Path) -> None:
        self.app, self.path = app, path

    def start(self) -> None:
        self.path.touch()

    def close(self) -> None:
        self.path.unlink()


class TurnedDaemon(Prompted):
    """A daemon in a world, from `start` to `stop`."""

    def __init__(self, root: Path, world: World, *, log: Path) -> None:
        self._home = Home(root)
        self._log = log
        self._world = world
        self._stack = ExitStack()
        self._daemon: recorder.service.daemon.Daemon | None = None
        self.relay: TurnedRelay
        self.is_held_up = False
        """Whether events of the media core are kept from the call thread."""
        self.app: Any = None
        self.api: LiveApi
        """What the application's routes call."""

    def start(self) -> None:
        """Compose the daemon, and start its components."""
        config = read_config(self._home.config)
        with ExitStack() as stack:
            stack.enter_context(logged_to(self._log))
            with self._turned_parts():
                daemon = self._daemon = recorder.service.daemon.Daemon(self._home, config)
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
    def _turned_parts(self) -> Iterator[None]:
        """Replace the daemon's threads and server by objects that the world runs."""
        world = self._world

        def relay_of(options: RelayOptions, port_memory: PortMemory) -> tuple[TurnedRelay, None]:
            self.relay = TurnedRelay(options, world, port_memory=port_memory)
            return self.relay, None

        def writer_of(*args: Any, **more: Any) -> TurnedWriter:
            return TurnedWriter(*args, world=world, **more)

        def served(app: Any, path: Path) -> _App:
            self.app = app
            return _App(app, path)

        def api_of(*args: Any, **more: Any) -> LiveApi:
            self.api = LiveApi(*args, **more)
            return self.api

        with (
            patch.object(recorder.service.composition, "SerialExecutor", lambda name: TurnedExecutor(name, world)),
            patch.object(recorder.service.composition, "PausableWriter", writer_of),
            patch.object(recorder.service.composition, "open_relay", relay_of),
            patch.object(recorder.service.daemon, "SocketServer", served),
            patch.object(recorder.service.daemon, "LiveApi", api_of),
            warnings.catch_warnings(),
        ):
            # sippy opens an IPv6 socket to see whether there is IPv6, and leaves it to be collected.
            warnings.simplefilter("ignore", ResourceWarning)
            yield

    def stop(self) -> None:
        """End every call and file it, as at SIGTERM. Idempotent."""
        daemon, self._daemon = self._daemon, None
        if daemon is None:
            return
        daemon._control.stop()
        self._world.turn(recorder.service.daemon.SETTLE_S)
        left: list[bool] = []
        with patch.object(daemon._reactor, "stop", lambda: left.append(True)):
            daemon._leave(time.monotonic() + recorder.service.daemon.LEAVE_S)
            assert self._world.wait_for(lambda: left, 2 * recorder.service.daemon.LEAVE_S), "the loop does not end"
        assert not daemon._services.closing, "the loop has ended before the media of a call was closed"
        daemon._socket.close()
        daemon._endpoint.close(keep=daemon._control.surviving_legs())
        self._world.wait_for(lambda: not daemon._services.open_recordings, recorder.service.daemon.FILING_S)
        assert not daemon._services.open_recordings, "a recording was not filed"
        self._world.leave(self)
        daemon._writer.close()
        executors = daemon._executors
        for act_writer in (executors.opening, executors.filing, executors.orders, executors.pins, executors.pauses):
            act_writer.close()
        daemon._port_memory.close()
        executors.act_writer.submit(daemon._services.late.catch_up)
        executors.act_writer.close()
        daemon._media_events.close()
        daemon._relay.close()
        daemon._index.close()
        self._stack.close()

    @property
    def services(self) -> CallServices:
        """The call services of the running daemon."""
        assert self._daemon is not None
        return self._daemon._services

    def metric_sources(self) -> MetricSources:
        """What the running daemon's metrics are read from."""
        assert self._daemon is not None
        return self._daemon.metric_sources()

    def ask_for_reload(self) -> None:
        """Do what SIGHUP does."""
        assert self._daemon is not None
        self._daemon._reloader.reload_by_signal()

    # --- the media core's events

    def work(self) -> bool:
        events = [] if self.is_held_up else self.relay.events()
        if events and self._daemon is not None:
            self._daemon._control.receive_media(events)
        return bool(events)


@contextmanager
def logged_to(path: Path) -> Iterator[None]:
    """Write the log to a file in the daemon's format."""
    handler = logging.FileHandler(path)
    handler.addFilter(lambda record: record.name != "httpx2")
    handler.setFormatter(MaskingFormatter("%(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
        handler.close()
