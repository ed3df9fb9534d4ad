"""A SipEndpoint and its peers in virtual time, with the interface of `tests.helpers.sip_process`.

The endpoint and sippy are the real ones. The scene replaces the UDP socket, sippy's loop and the clock. A test written
for `EndpointProcess` runs here if it makes its peers with `TurnedEndpoint.peer`. A wait of 32 s takes no real time.
"""

import json
import logging
import queue
import warnings
from collections import deque
from contextlib import ExitStack
from typing import Any, Self

from benchmarks.dialogs import Address
from tests.helpers.sip_endpoint import Driver, options_of
from tests.helpers.sip_process import DrivenEndpoint, Message, Peer
from tests.helpers.virtual.network import PATIENCE_S, Network
from tests.helpers.virtual.scene import scene
from tests.helpers.virtual.world import World


class _Log(logging.Handler):
    """Collects the log lines that the process would write to stderr."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.setFormatter(logging.Formatter(logging.BASIC_FORMAT))
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


class TurnedPeer(Peer):
    """A user agent in the network of the scene; one dialog."""

    patience_s = PATIENCE_S

    def __init__(self, network: Network, remote: Address, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._network = network
        self._arrived: deque[bytes] = deque()
        super().__init__(remote, host=host, port=port)

    def _listen(self) -> int:
        wanted = self._wanted_port
        self._address = (self.host, wanted) if wanted else self._network.new_address(self.host)
        self._network.listen(self._address, lambda data, _source: self._arrived.append(data))
        return self._address[1]

    def __exit__(self, *_: object) -> None:
        self._network.leave(self._address)

    def send(self, data: bytes) -> None:
        self.last = data
        self._network.send(data, self._address, self.remote)
        self._network.world.settle()

    def receive(self, timeout_s: float = PATIENCE_S) -> Message:
        if not self._network.world.wait_for(lambda: self._arrived, timeout_s):
            raise TimeoutError(f"nothing came within {timeout_s:g} s")
        return Message(self._arrived.popleft())


class TurnedEndpoint(DrivenEndpoint):
    """A SipEndpoint in the scene of the test; a context manager. Options are those of `EndpointProcess`."""

    patience_s = PATIENCE_S

    def __init__(self, **options: Any) -> None:
        self._options = options
        self._stack = ExitStack()
        self._lines: deque[dict[str, Any]] = deque()
        self._log = _Log()
        self._driver: Driver | None = None
        self._network: Network

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._network = stack.enter_context(scene()).network
            logging.getLogger().addHandler(self._log)
            stack.callback(logging.getLogger().removeHandler, self._log)
            given = json.loads(json.dumps({"listen": self._network.new_address(), **self._options}))
            with warnings.catch_warnings():
                # sippy opens an IPv6 socket to see whether there is IPv6, and leaves it to be collected.
                warnings.simplefilter("ignore", ResourceWarning)
                self._driver = Driver(options_of(given), self._lines.append)
            stack.callback(self._end)
            self._stack = stack.pop_all()
        host, port = self.take("address")["address"]
        self.address = (host, port)
        self.addresses = self.take("addresses")["addresses"]
        return self

    @property
    def _world(self) -> World:
        return self._network.world

    def peer(self, *, host: str = "127.0.0.1", port: int = 0) -> TurnedPeer:
        """Return a peer of this endpoint; a context manager."""
        return TurnedPeer(self._network, self.address, host=host, port=port)

    def close(self) -> None:
        self._end()
        self._stack.close()

    def _end(self) -> None:
        driver, self._driver = self._driver, None
        if driver is not None:
            self._world.settle()
            driver.endpoint.close()
            self._world.settle()
            self.stderr = "\n".join(self._log.lines)

    def do(self, command: str, **args: Any) -> None:
        assert self._driver is not None, "the endpoint is closed"
        self._world.settle()
        self._driver.reactor.submit(self._driver.command, json.dumps({"do": command, **args}))
        self._world.settle()

    def take_any(self, timeout_s: float = PATIENCE_S) -> dict[str, Any]:
        if not self._world.wait_for(lambda: self._lines, timeout_s):
            raise queue.Empty(f"nothing was said within {timeout_s:g} s")
        return json.loads(json.dumps(self._lines.popleft()))  # type: ignore[no-any-return]
