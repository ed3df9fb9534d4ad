"""Opt-out requests of calls in progress, in memory and in a file. Call thread only.

The audit log is the record. The file lists only the open requests: if the daemon dies, its next start writes into the
audit log that they lapsed.
"""

import json
from collections.abc import Iterable
from concurrent.futures import Future
from pathlib import Path

from recorder.common.serial_executor import SerialExecutor
from recorder.rules.opt_out import OptOutRequest, OptOutState
from storage.audit import AuditLog
from storage.durable import save_atomically
from storage.types import RecordingId

RAISED, GRANTED, DECLINED, LAPSED = (f"opt_out.{state}" for state in OptOutState)
"""Acts of the audit log, one for each state of a request."""


class UnknownRequestError(Exception):
    """There is no such request of a call in progress."""

    def __init__(self) -> None:
        super().__init__("There is no such request of a call in progress: see `recorder opt-outs list`.")


class OptOutRegister:
    """The requests of calls in progress, decided ones too.

    Args:
        path: The file of open requests.
        executor: Writes the file.
    """

    def __init__(self, path: Path, executor: SerialExecutor) -> None:
        self._path = path
        self._executor = executor
        self._requests: dict[str, OptOutRequest] = {}

    def all(self) -> list[OptOutRequest]:
        """Return the requests, oldest first."""
        return list(self._requests.values())

    def get(self, request_id: str) -> OptOutRequest:
        """Return a request of a call in progress.

        Raises:
            UnknownRequestError: There is none with this id.
        """
        found = self._requests.get(request_id)
        if found is None:
            raise UnknownRequestError
        return found

    def of_call(self, call: RecordingId) -> list[OptOutRequest]:
        """Return the requests of one call, oldest first."""
        return [request for request in self._requests.values() if request.facts.call == call]

    def open_of(self, call: RecordingId) -> OptOutRequest | None:
        """Return the open request of a call, or None."""
        return next((request for request in self.of_call(call) if request.state is OptOutState.RAISED), None)

    def put(self, request: OptOutRequest) -> None:
        """Add a request, or replace it by its new state."""
        self._requests[request.id] = request

    def drop(self, request_id: str) -> None:
        """Remove a request."""
        self._requests.pop(request_id, None)

    def save(self) -> "Future[None]":
        """Write the open requests to the file; the future is done when they are on disk."""
        waiting = {
            request.id: request.facts.call for request in self._requests.values() if request.state is OptOutState.RAISED
        }
        return self._executor.submit(save_atomically, self._path, json.dumps(waiting).encode())

    def lapse_orphaned(self, audit: AuditLog) -> int:
        """Write into the audit log that the open requests of a daemon that died have lapsed; return how many.

        Call this before any request is raised. Blocks.

        Raises:
            AuditUnavailableError: The log cannot be written; the next start tries again.
            OSError: The file cannot be written.
        """
        orphaned = self._orphaned()
        if not orphaned:
            return 0
        decided = {
            str(entry.details.get("request")) for entry in audit.entries() if entry.act in (GRANTED, DECLINED, LAPSED)
        }
        lapsed = {request: call for request, call in orphaned.items() if request not in decided}
        for request, call in lapsed.items():
            audit.append(act=LAPSED, actor="recorder", subject=call, details={"request": request, "why": "daemon_died"})
        save_atomically(self._path, b"{}")
        return len(lapsed)

    def _orphaned(self) -> dict[str, str]:
        try:
            found: dict[str, str] = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return {}
        return found


def newest(requests: Iterable[OptOutRequest]) -> OptOutRequest | None:
    """Return the last of some requests."""
    found = list(requests)
    return found[-1] if found else None
