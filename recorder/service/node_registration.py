"""Registers this node in the site's database and renews the row, on a thread of its own.

The thread never touches calls, and nothing waits for it: while the database is away the daemon goes on, and an alarm
says so. Two nodes with one name: the one that came second does not register, says so, and goes on recording.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

from storage.errors import StorageError
from storage.nodes import Beat, NodeRow, Nodes

_log = logging.getLogger(__name__)

BEAT_S = 2.0
"""How often the row is renewed, seconds."""
AWAY_AFTER = 3
"""So many renewals in a row that fail are an alarm: other machines take this node for away then."""
SKEW_S = 2.0
"""From this difference to the database's clock on it is an alarm, seconds."""
STOP_S = 2.0
"""How long a stop waits for the row to be marked, seconds."""
NAME_TAKEN, REMOVED = "node_name_taken", "node_removed"
CLOCK_APART, REGISTRY_AWAY = "node_clock_apart", "node_registry_away"

_VERSION = version("council-call-recorder")


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeLoad:
    """What a node says of itself at each renewal.

    Attributes:
        is_draining: Whether it refuses new calls.
        calls: Calls in progress.
        capacity: Most calls that it records at a time.
    """

    is_draining: bool
    calls: int
    capacity: int


class NodeRegistration:
    """Renews the row of one node.

    Args:
        nodes: The table.
        name: The node's name.
        fingerprint: Of its signing key.
        address: Where its control API listens.
        load: Returns its load; called on this thread.
        set_alarm: Sets or clears an alarm; called on this thread.
        also: Called at each turn, whether the database answers or not.
        wall_us: This machine's clock, microseconds since 1970.
    """

    def __init__(
        self,
        nodes: Nodes,
        *,
        name: str,
        fingerprint: str,
        address: str,
        load: Callable[[], NodeLoad],
        set_alarm: Callable[[str, bool], None],
        also: Callable[[], None] = lambda: None,
        wall_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self._nodes = nodes
        self._load = load
        self._set_alarm = set_alarm
        self._also = also
        self._wall_us = wall_us
        self._row = NodeRow(
            name=name, fingerprint=fingerprint, address=address, version=_VERSION, started_us=None, seen_us=None,
            state="accepting", calls=0, capacity=0,
        )  # fmt: skip
        self._failures = 0
        self._is_registered = self._is_removed = False
        self._taken_by: str | None = None
        self._skew_s: float | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="node", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End, and mark the row as stopped if the database answers within `STOP_S`."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(STOP_S)

    def as_json(self) -> dict[str, Any]:
        """Return the state, for the health report."""
        return {
            "name": self._row.name,
            "registered": self._is_registered,
            "name_taken": self._taken_by is not None,
            "removed": self._is_removed,
            "clock_apart_s": self._skew_s,
        }

    def beat(self) -> None:
        """Renew the row once."""
        load = self._load()
        self._row = replace(
            self._row, state="draining" if load.is_draining else "accepting", calls=load.calls, capacity=load.capacity
        )
        before_us, before_ns = self._wall_us(), time.monotonic_ns()
        try:
            beat = self._nodes.renew(self._row)
        except (StorageError, OSError) as error:
            self._failed(error)
            return
        self._failures = 0
        self._set_alarm(REGISTRY_AWAY, False)
        # The answer's time lies between question and answer; half of the way is the best guess.
        self._compare(beat.clock_us - before_us - (time.monotonic_ns() - before_ns) // 2000)
        self._take(beat)

    def _keep(self) -> None:
        while not self._stopping.is_set():
            try:
                self._also()
                self.beat()
            except Exception:  # noqa: BLE001 - the next turn may work, and calls must go on
                _log.exception("Renewing this node's row: internal error; retrying in %g s", BEAT_S)
            self._stopping.wait(BEAT_S)
        if self._is_registered:
            try:
                self._nodes.stop(self._row.name, self._row.fingerprint)
            except (StorageError, OSError) as error:
                _log.warning("This node's row still says that it runs: %s", error)

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        if self._failures == AWAY_AFTER:
            _log.error("This node cannot renew its row: %s. Calls are recorded; retrying", error)
            self._set_alarm(REGISTRY_AWAY, True)

    def _compare(self, skew_us: int) -> None:
        was_apart = self._skew_s is not None and abs(self._skew_s) > SKEW_S
        self._skew_s = round(skew_us / 1e6, 3)
        is_apart = abs(self._skew_s) > SKEW_S
        if is_apart and not was_apart:
            _log.error("The database's clock is %+.1f s from this machine's: look at chrony on both", self._skew_s)
        self._set_alarm(CLOCK_APART, is_apart)

    def _take(self, beat: Beat) -> None:
        if beat.taken_by is not None and self._taken_by is None:
            _log.error(
                "Another node of this site is named %s (key %s). This one does not register, and the console does not "
                "reach it; it goes on recording. Give one of them another name in [node]",
                self._row.name, beat.taken_by[:16],
            )  # fmt: skip
        if beat.is_removed and not self._is_removed:
            _log.error("This node was removed from the site, and does not register. It goes on recording: stop it")
        self._taken_by, self._is_removed = beat.taken_by, beat.is_removed
        self._is_registered = beat.taken_by is None and not beat.is_removed
        self._set_alarm(NAME_TAKEN, beat.taken_by is not None)
        self._set_alarm(REMOVED, beat.is_removed)
        if self._is_registered and self._row.started_us is None:
            self._row = replace(self._row, started_us=beat.clock_us)
