"""Keeps the site's list of unfinished recordings: a thread of each node writes which recordings it has open.

The call thread and the threads that write recordings never wait for it. While the database is away nothing is written;
the next look writes the difference.
"""

import logging
import threading
from collections.abc import Callable, Iterable

from storage.errors import StorageError
from storage.types import RecordingId
from storage.unfinished import UnfinishedRecordings

_log = logging.getLogger(__name__)

EVERY_S = 1.0
STOP_S = 8.0
"""How long a stop waits for the database, seconds."""


class UnfinishedWatch:
    """Writes the recordings that are open now.

    Args:
        table: The list of the site.
        node: This node's name; None if it is no node of a site with several: nothing is done.
        open_now: Returns the recordings that are open; any thread may call it.
    """

    def __init__(
        self, table: UnfinishedRecordings, node: str | None, open_now: Callable[[], Iterable[RecordingId]]
    ) -> None:
        self._table = table
        self._node = node
        self._open_now = open_now
        self._written: set[RecordingId] | None = None
        """What the table has of this node; None: not known."""
        self._problem = ""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="unfinished", daemon=True)

    def start(self) -> None:
        """Begin. What an earlier run left in the list and recovery has filed is removed from it."""
        if self._node is not None:
            self._thread.start()

    def close(self) -> None:
        """Write the last difference, and end."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(STOP_S)

    def look(self) -> None:
        """Write what has changed since the last look.

        Raises:
            DatabaseError: The database does not answer; the next look writes it.
        """
        assert self._node is not None
        if self._written is None:
            self._written = self._table.of_node(self._node)
        now = set(self._open_now())
        if now != self._written:
            written, self._written = self._written, None  # not known, if this fails
            self._table.change(self._node, opened=now - written, ended=written - now)
            self._written = now

    def _keep(self) -> None:
        is_over = False
        while not is_over:
            is_over = self._stopping.wait(EVERY_S)
            problem = ""
            try:
                self.look()
            except StorageError as error:
                problem = str(error)
            except Exception:  # noqa: BLE001 - the list must not end with one bug
                _log.exception("Internal error while unfinished recordings are listed; retrying")
            if problem and problem != self._problem:
                _log.warning("Listing unfinished recordings for the other nodes failed; retrying: %s", problem)
            self._problem = problem
