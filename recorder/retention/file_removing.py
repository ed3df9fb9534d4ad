"""Removes this machine's files of recordings that other nodes deleted: at the start, and then each minute.

One thread of the daemon, or of the console on a machine without a daemon. It only asks the database; removing is done
by a process of lower priority, `python -m recorder.retention.file_removing HOME`.
"""

import logging
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from recorder.common import child_process
from recorder.common.child_process import Child, end, start_module
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.common.logs import use_format
from recorder.config.reading import read_config
from recorder.config.toml_tables import ConfigError
from recorder.recordings.home_stores import open_index, shared_name
from recorder.recordings.resurrection_guard import SweepBusyError, destroy_returned_alone
from storage.database import Database
from storage.errors import StorageError
from storage.file_removals import FileRemovals, Waiting
from storage.keys import NodeKeys
from storage.rows import time_to_json
from storage.vault import Vault

_log = logging.getLogger(__name__)

EVERY_S = 60.0
LATE = timedelta(days=1)
"""After so long without a node's confirmation there is an alarm."""
ALARM = "files_not_removed"
END_S = 5.0
_POLL_S = 0.1


def start_removal(home: Home) -> Child:
    """Start the process that removes files."""
    return start_module("recorder.retention.file_removing", str(home.root))


class FileRemoving:
    """Has files of deleted recordings removed, and reports which nodes have not removed theirs.

    Args:
        home: The home.
        database: The index.
        node: This node's name; "" if it has none; None if its index is not shared, and there is nothing to do.
        start: Starts the process that removes.
        refresh: Called at each look; brings this home's copy of what the site's sweeps did up to date.
        every_s: How often to look, seconds.
    """

    def __init__(
        self, home: Home, database: Database, node: str | None, *, start: Callable[[Home], Child] = start_removal,
        refresh: Callable[[], None] = lambda: None, every_s: float | None = None,
    ) -> None:  # fmt: skip
        self._home = home
        self._removals = FileRemovals(database)
        self._node = node
        self._start = start
        self._refresh = refresh
        self._every_s = EVERY_S if every_s is None else every_s
        self._waiting: list[Waiting] = []
        self._late: set[str] = set()
        self._problem = ""
        self._is_first = True
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="removals", daemon=True)

    def start(self) -> None:
        """Begin; nothing is started if the index is not shared."""
        if self._node is not None:
            self._thread.start()

    def close(self) -> None:
        """End; a removal is interrupted, and the next start goes on."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(2 * END_S)

    def health(self) -> dict[str, Any]:
        """Return ``alarms``, and what each node has not confirmed, as last seen."""
        if self._node is None:
            return {"alarms": {}}
        late = sum(one.count for one in self._waiting if one.now - one.since > LATE)
        return {"alarms": {ALARM: late} if late else {}, **files_to_json(self._waiting)}

    def look(self) -> None:
        """Look at what waits; remove what is for this node to remove.

        The first time all recordings are compared with all tombstones: the database may have been away at the start.

        Raises:
            StorageError, OSError: The database does not answer, or the process cannot be started.
        """
        self._waiting = self._removals.waiting()
        late = {one.node for one in self._waiting if one.now - one.since > LATE}
        for node in sorted(late - self._late):
            _log.error("node %s has not removed its files of deleted recordings for a day", node or "without a name")
        self._late = late
        if self._is_first or any(one.node == self._node for one in self._waiting):
            self._remove()
            self._waiting = self._removals.waiting()
        self._refresh()

    def _remove(self) -> None:
        child = self._start(self._home)
        while (code := child.poll()) is None:
            if self._stopping.wait(_POLL_S):
                end(child, END_S)
                return
        self._is_first = self._is_first and code != 0

    def _keep(self) -> None:
        is_over = False
        while not is_over:
            problem = ""
            try:
                self.look()
            except (StorageError, OSError) as error:
                problem = str(error)
            except Exception:  # noqa: BLE001 - deleted recordings must be gone in the end
                _log.exception("Internal error while files of deleted recordings are removed; retrying")
            if problem and problem != self._problem:
                _log.error("Looking for files of recordings that other nodes deleted failed; retrying: %s", problem)
            self._problem = problem
            is_over = self._stopping.wait(self._every_s)


def files_to_json(waiting: Sequence[Waiting]) -> dict[str, Any]:
    """Return what each node has not confirmed, as health and `recorder retention --json` show it."""
    listed = [{"node": one.node, "count": one.count, "since": time_to_json(one.since)} for one in waiting]
    return {"files_waiting": listed}


def main(root: Path) -> int:
    """Remove the files of deleted recordings in a home once; returns the exit code."""
    child_process.begin()
    home = Home(root)
    try:
        config = read_config(home.config)
        use_format(config.log.format)
        index = open_index(home, config)
        try:
            vault = Vault(home.root, NodeKeys.load(home.root))
            destroy_returned_alone(home, vault, index.database, utc_now, node=shared_name(config))
        finally:
            index.close()
    except SweepBusyError:
        return 1  # an erasure may go on, which does not do the same
    except (StorageError, OSError, ConfigError) as error:
        _log.error("Removing files of recordings that other nodes deleted failed; retrying: %s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
