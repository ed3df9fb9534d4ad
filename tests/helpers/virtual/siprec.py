"""Session recording clients of a recorder in virtual time, with the interface of `tests.helpers.siprec_client`."""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.helpers.recorder_home import RecorderHome
from tests.helpers.siprec_client import EDITS, HOSTS, Client
from tests.helpers.virtual.exchange import TurnedHome
from tests.helpers.virtual.media import TurnedStudio
from tests.helpers.virtual.network import Network
from tests.helpers.virtual.scene import scene


class TurnedClient(Client):
    """A session recording client in the network of the scene."""

    def __init__(self, home: RecorderHome, studio: TurnedStudio, ip: str, network: Network) -> None:
        self._network = network
        self._arrived: deque[bytes] = deque()
        super().__init__(home, studio, ip)

    def listen(self, ip: str) -> int:
        self._address = self._network.new_address(ip)
        self._network.listen(self._address, lambda data, _source: self._arrived.append(data))
        return self._address[1]

    def __exit__(self, *_: object) -> None:
        self._network.leave(self._address)

    def send(self, data: bytes) -> None:
        self._network.send(data, self._address, self.home.sip)
        self._network.world.settle()

    def take(self, timeout_s: float) -> bytes:
        if not self._network.world.wait_for(lambda: self._arrived, timeout_s):
            raise TimeoutError(f"nothing came within {timeout_s:g} s")
        return self._arrived.popleft()


@contextmanager
def siprec_site(
    folder: Path, *, edits: Sequence[tuple[str, str]] = ()
) -> Iterator[tuple[RecorderHome, dict[str, Client]]]:
    """Start a recorder with four peers that send recording sessions, each in its own way; see `PEERS`."""
    with ExitStack() as stack:
        place = stack.enter_context(scene())
        studio = stack.enter_context(TurnedStudio(place.world))
        home = TurnedHome(folder, place, studio, next_hop="127.0.0.1:9", edits=(*EDITS, *edits))
        stack.callback(home.close)
        home.start()
        clients: dict[str, Client] = {
            name: stack.enter_context(TurnedClient(home, studio, ip, place.network)) for name, ip in HOSTS.items()
        }
        yield home, clients
