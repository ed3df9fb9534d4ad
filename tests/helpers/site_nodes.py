"""A site with two recorders on loopback: PostgreSQL, mutual TLS, and a wire between them that can be cut."""

import logging
import select
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.node_config import node_edits
from benchmarks.ports import free_port
from recorder.access.signing import Signer
from recorder.common.home import Home
from recorder.config.reading import read_config
from recorder.control.site import site_members
from recorder.control.site_members import SiteMembers
from storage.database import Database
from storage.keys import NodeKeys
from tests.helpers.certificates import Authority
from tests.helpers.exchange import Exchange, exchange
from tests.helpers.recorder_home import eventually

NORTH, SOUTH = "north", "south"


class Wire:
    """Forwards TCP connections to a port of this machine, until it is cut: then it forwards nothing, and says nothing.

    Attributes:
        port: Where it listens.
        is_cut: Whether it forwards nothing; connections stay open, and new ones are taken.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.is_cut = False
        self._is_over = False
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._is_over = True
        self._thread.join(5)
        for one in (self._listening, *self._pairs):
            one.close()

    def _run(self) -> None:
        while not self._is_over:
            watched = [] if self.is_cut else [self._listening, *self._pairs]
            for one in select.select(watched, [], [], 0.01)[0]:
                if self.is_cut:
                    break
                if one is self._listening:
                    self._accept()
                elif one in self._pairs:
                    self._forward(one)

    def _accept(self) -> None:
        near, _ = self._listening.accept()
        try:
            far = socket.create_connection(("127.0.0.1", self._target), 2)
        except OSError:
            near.close()
            return
        self._pairs |= {near: far, far: near}

    def _forward(self, one: socket.socket) -> None:
        other = self._pairs[one]
        try:
            if data := one.recv(65536):
                other.sendall(data)
                return
            why = "it was closed"
        except OSError as error:
            why = str(error)
        whose = "the console's" if one.getsockname()[1] == self.port else "the node's"
        logging.getLogger(__name__).info("the wire: %s end: %s", whose, why)
        for end in (one, other):
            self._pairs.pop(end, None)
            end.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoNodes:
    """Two recorders with people who call them; the console's machine is north.

    Attributes:
        authority: The site's.
        wire: Between north's console and south's control API.
        control: The port of south's control API, without the wire.
        url: The index of both.
    """

    north: Exchange
    south: Exchange
    authority: Authority
    wire: Wire
    control: int
    url: str

    @contextmanager
    def members(self) -> Iterator[SiteMembers]:
        """Open the nodes as north's console does."""
        home = Home(self.north.home.root)
        database = Database(self.url)
        found = site_members(home, read_config(home.config).node, database, Signer(home.root))
        assert found is not None
        try:
            yield found
        finally:
            found.close()
            database.close()


def edits_of(
    authority: Authority, name: str, url: str, *, listen: int, advertised: int = 0, host: str = "127.0.0.1"
) -> list[tuple[str, str]]:
    """Return the changes of a configuration that make a node; the console's certificate is there too."""
    node = authority.issue(name, dns=(name,), unit="node")
    console = authority.issue(f"console-{name}", dns=("hq",), common_name="hq", unit="console")
    return node_edits(
        name, url, listen=listen, ca=str(authority.ca), node=node, console=console, advertised=advertised, host=host
    )


def give_own_keys(root: Path) -> None:
    """Give a home keys of its own: those of the tests are copies of one."""
    shutil.rmtree(root / "keys" / "node")
    NodeKeys.create(root)


@contextmanager
def two_nodes(folder: Path, url: str) -> Iterator[TwoNodes]:
    """Start two recorders that share an index."""
    with ExitStack() as stack:
        authority = Authority(folder / "authority")
        control = free_port()
        wire = Wire(control)
        stack.callback(wire.close)
        edits = {
            NORTH: edits_of(authority, NORTH, url, listen=free_port()),
            SOUTH: edits_of(authority, SOUTH, url, listen=control, advertised=wire.port),
        }
        north, south = (
            stack.enter_context(exchange(folder / name, edits=edits[name], is_started=False)) for name in edits
        )
        give_own_keys(south.home.root)
        for one in (north, south):
            one.home.start()
        made = TwoNodes(north=north, south=south, authority=authority, wire=wire, control=control, url=url)
        with made.members() as members:
            eventually(lambda: members.directory.refresh() and len(members.all()) == 2, "both nodes register")
        yield made
