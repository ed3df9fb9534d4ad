"""The nodes of a site as the database lists them, remembered for the time that it is away."""

import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

from storage.durable import save_atomically
from storage.errors import StorageError
from storage.nodes import REMOVED, STOPPED, NodeRow

_log = logging.getLogger(__name__)

READ_S = 1.0
"""How long a reader without a list waits for the database, seconds; longer than a healthy one takes."""
REMEMBERED = timedelta(minutes=15)
"""How long a list in the file is used while the database is away; a list in memory has no end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeList:
    """The nodes, as the database listed them at one moment of its clock."""

    nodes: tuple[NodeRow, ...]
    now_us: int


class NodeDirectory:
    """The nodes of a site. Safe from any thread.

    Args:
        read: Asks the database (`storage.nodes.Nodes.all`); may block and raise StorageError.
        file: Where the list is remembered for other processes; written only by `refresh`.
        wall_s: Seconds since 1970.
    """

    def __init__(
        self,
        read: Callable[[], tuple[list[NodeRow], int]],
        file: Path,
        *,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        self._read = read
        self._file = file
        self._wall_s = wall_s
        self._lock = threading.Lock()
        self._known: NodeList | None = None

    def known(self) -> NodeList:
        """Return the list; the first time it is read from the database, or from the file if that takes `READ_S`."""
        if self._known is None:
            reading = threading.Thread(target=self.refresh, name="nodes-read", daemon=True)
            reading.start()
            reading.join(READ_S)
        if self._known is None:
            return self._remembered() or NodeList(nodes=(), now_us=0)
        return self._known

    def running(self) -> Sequence[NodeRow]:
        """Return the nodes that were neither stopped nor removed."""
        return [node for node in self.known().nodes if node.state not in (STOPPED, REMOVED)]

    def is_stopped(self, name: str) -> bool:
        """Tell whether a node was stopped, so that it has no calls."""
        return any(node.name == name and node.state in (STOPPED, REMOVED) for node in self.known().nodes)

    def refresh(self) -> bool:
        """Read the list again; False if the database does not answer, and the list stays."""
        try:
            nodes, now_us = self._read()
        except (StorageError, OSError) as error:
            _log.debug("The list of nodes cannot be read: %s", error)
            return False
        self._known = NodeList(nodes=tuple(nodes), now_us=now_us)
        self._remember(nodes)
        return True

    def _remember(self, nodes: Sequence[NodeRow]) -> None:
        document = {"read_at": self._wall_s(), "nodes": [asdict(node) for node in nodes]}
        with self._lock, suppress(OSError):  # a user of the shell may not write there
            save_atomically(self._file, json.dumps(document).encode())

    def _remembered(self) -> NodeList | None:
        try:
            document = json.loads(self._file.read_text())
            if not 0 <= self._wall_s() - document["read_at"] <= REMEMBERED.total_seconds():
                return None
            nodes = tuple(NodeRow(**one) for one in document["nodes"])
            return NodeList(nodes=nodes, now_us=max((node.seen_us or 0 for node in nodes), default=0))
        except (OSError, ValueError, TypeError, KeyError):
            return None
