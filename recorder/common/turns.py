"""Work that only one node, or one console, does at a time: takes the lease of the work and renews it meanwhile."""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from storage.database import Database
from storage.errors import LeaseLostError, StorageError
from storage.leases import Lease, Leases

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

LEASE_S = 30.0
"""How long after its last sign of life another takes over, seconds."""


class Turn:
    """One kind of work, and this node's lease of it.

    The lease stays with this node between two pieces of work, so that nodes that look for work every few seconds do
    not hand it to and fro. One thread uses it.

    Args:
        leases: The leases.
        name: The work.
        holder: This node.
        for_s: How long a lease lasts without being renewed, seconds.
    """

    def __init__(self, leases: Leases, name: str, holder: str, *, for_s: float = LEASE_S) -> None:
        self._leases = leases
        self._name = name
        self._holder = holder
        self._for_s = for_s
        self._lease: Lease | None = None

    @contextlib.contextmanager
    def mine(self) -> Iterator[Lease | None]:
        """Hold the lease for the length of a block; gives None if it is another's turn.

        Raises:
            DatabaseError: Whose turn it is cannot be known.
        """
        lease = self._lease = self._taken()
        if lease is None or not self._leases.is_shared:
            yield lease
            return
        stopping = threading.Event()
        renewing = threading.Thread(target=self._renew, args=(lease, stopping), name="lease", daemon=True)
        renewing.start()
        try:
            yield lease
        finally:
            stopping.set()
            renewing.join()

    def do(self, work: Callable[[Database], _T]) -> _T | None:
        """Do a piece of work if it is this node's turn.

        Args:
            work: Called with the database, to which it can write only while no other node has taken over.

        Returns:
            What it returned; None if it is another's turn.

        Raises:
            LeaseLostError: Another has taken over meanwhile.
            DatabaseError: Whose turn it is cannot be known.
        """
        with self.mine() as lease:
            return None if lease is None else work(self._leases.fenced(lease))

    def note(self) -> Mapping[str, Any]:
        """Return the note that the last holder left."""
        state = self._leases.get(self._name)
        return {} if state is None else state.note

    def leave(self, note: Mapping[str, Any]) -> None:
        """Leave a note for the next holder, as `storage.leases.Leases.complete`; only within `mine`."""
        assert self._lease is not None
        self._leases.complete(self._lease, note)

    def check(self) -> None:
        """Check, right before an effect outside the database, that it is still this node's turn.

        Raises:
            LeaseLostError: Another has taken over.
            DatabaseError: It cannot be known.
        """
        assert self._lease is not None, "only within `mine`"
        self._leases.check(self._lease)

    def close(self) -> None:
        """Let another take over at once."""
        lease, self._lease = self._lease, None
        if lease is not None:
            with contextlib.suppress(StorageError):
                self._leases.release(lease)

    def _taken(self) -> Lease | None:
        if self._lease is not None:
            with contextlib.suppress(LeaseLostError):
                self._leases.renew(self._lease, for_s=self._for_s)
                return self._lease
        return self._leases.take(self._name, self._holder, for_s=self._for_s)

    def _renew(self, lease: Lease, stopping: threading.Event) -> None:
        while not stopping.wait(self._for_s / 3):
            try:
                self._leases.renew(lease, for_s=self._for_s)
            except LeaseLostError as error:
                _log.warning("%s", error)
                return
            except StorageError as error:
                _log.warning("Renewing the lease of %s failed; trying again: %s", self._name, error)
