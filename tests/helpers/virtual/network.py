"""A network for SIP without sockets: datagrams arrive at the virtual time at which they are sent."""

from collections import Counter, deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from sippy.Network_server import Network_server
from sippy.Time.MonoTime import MonoTime

from benchmarks.dialogs import Address
from benchmarks.peer_wire import OnMessage
from tests.helpers.virtual.world import Prompted, World

Receiver = Callable[[bytes, Address], None]
_FIRST_PORT = 5060
PATIENCE_S = 5.0
"""No machine is busy in virtual time: what takes longer is late."""


class Network(Prompted):
    """Carries datagrams between addresses; counts those that no receiver listens for."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.lost: Counter[Address] = Counter()
        self._receivers: dict[Address, Receiver] = {}
        self._waiting: deque[tuple[bytes, Address, Address]] = deque()
        self._next_port = _FIRST_PORT
        world.join(self)

    def new_address(self, host: str = "127.0.0.1") -> Address:
        """Return an unused address."""
        self._next_port += 1
        return host, self._next_port

    def listen(self, address: Address, receiver: Receiver) -> None:
        """Hand datagrams for an address to a receiver from now on."""
        assert address not in self._receivers, f"{address} is taken"
        self._receivers[address] = receiver

    def leave(self, address: Address) -> None:
        """Stop receiving at an address."""
        self._receivers.pop(address, None)

    def send(self, data: bytes, source: Address, to: Address) -> None:
        """Send a datagram."""
        self._waiting.append((data, source, to))

    def work(self) -> bool:
        """Deliver the oldest datagram."""
        if not self._waiting:
            return False
        data, source, to = self._waiting.popleft()
        receiver = self._receivers.get(to)
        if receiver is None:
            self.lost[to] += 1
        else:
            receiver(data, source)
        return True


class Changed:
    """Replaces the condition variable of a peer: waiting for it advances the clock."""

    def __init__(self, world: World) -> None:
        self._world = world

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def wait_for(self, predicate: Callable[[], object], timeout: float | None = None) -> object:
        assert timeout is not None
        return self._world.wait_for(predicate, timeout)


class NetworkWire:
    """The wire of a scripted peer (`benchmarks.peer_wire.Wire`) in a world."""

    patience_s = PATIENCE_S

    def __init__(self, network: Network, address: Address | None = None) -> None:
        self._network = network
        self._address = address or network.new_address()
        self._changed = Changed(network.world)

    @property
    def address(self) -> Address:
        return self._address

    @property
    def changed(self) -> Any:
        return self._changed

    def start(self, on_message: OnMessage) -> None:
        self._network.listen(self._address, on_message)

    def transmit(self, data: bytes, to: Address) -> None:
        self._network.send(data, self._address, to)

    def after(self, delay_s: float, act: Callable[[], None]) -> None:
        self._network.world.after(delay_s, act)

    def submit(self, act: Callable[[], None]) -> None:
        self._network.world.soon(act)

    def close(self) -> None:
        self._network.leave(self._address)


class _NoSocket:
    """The methods of the UDP socket that `sip.transport` uses."""

    def __init__(self, network: Network, address: Address) -> None:
        self._network = network
        self._address = address

    def send_now(self, data: bytes, host: str, port: int) -> None:
        self._network.send(data, self._address, (host, port))

    def getsockname(self) -> Address:
        return self._address

    def setsockopt(self, *_: int) -> None:
        return None


def server_class(network: Network) -> type[Any]:
    """Return a class that replaces sippy's UDP server, and listens in a network of the world."""

    class Server(Network_server):  # type: ignore[misc]  # sippy has no types
        transport = "udp"
        asenders: tuple[Any, ...] = ()

        def __init__(self, _config: dict[str, Any], options: Any) -> None:
            super().__init__(options)
            self.address: Address = (options.laddress[0], int(options.laddress[1]))
            self._socket = _NoSocket(network, self.address)
            network.listen(self.address, self._arrived)

        def _arrived(self, data: bytes, source: Address) -> None:
            self.handle_read(data, source, MonoTime())

        def send_to(self, data: bytes, address: Address, delayed: bool = False) -> None:
            network.send(data, self.address, address)

        def shutdown(self) -> None:
            network.leave(self.address)

        def join(self) -> None:
            return None

    return Server
