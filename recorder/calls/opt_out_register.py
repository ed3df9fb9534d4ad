"""Requests to opt out of calls in progress, in memory and on disk. Belongs to the call thread.

The audit log is the record. The file beside it only names what is open, so that a daemon that was killed can say at its
next start that those requests lapsed.
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
"""Acts of the audit log, one for each state that a request can come to."""


class UnknownRequestError(Exception):
    """There is no such request; the message is a sentence."""

    def __init__(self) -> None:
        super().__init__("There is no such request of a call in progress: see `recorder opt-outs list`.")


class OptOutRegister:
    """The requests of every call in progress, decided ones too.

    Args:
        path: The file of what is open.
        executor: Writes it.
    """

    def __init__(self, path: Path, executor: SerialExecutor) -> None:
        self._path = path
        self._executor = executor
        self._requests: dict[str, OptOutRequest] = {}

    def all(self) -> list[OptOutRequest]:
        """Return the requests, oldest first."""
        return list(self._requests.values())

    def get(self, request_id: str) -> OptOutRequest:
        """Return a request.

        Raises:
            UnknownRequestError: There is none of a call in progress.
        """
        found = self._requests.get(request_id)
        if found is None:
            raise UnknownRequestError
        return found

    def of_call(self, call: RecordingId) -> list[OptOutRequest]:
        """Return the requests of one call, oldest first."""
        return [request for request in self._requests.values() if request.facts.call == call]

    def open_of(self, call: RecordingId) -> OptOutRequest | None:
        """Return the request of a call that waits for a manager."""
        return next((one for one in self.of_call(call) if one.state is OptOutState.RAISED), None)

    def put(self, request: OptOutRequest) -> None:
        """Keep a request, in the place of what it was before."""
        self._requests[request.id] = request

    def drop(self, request_id: str) -> None:
        """Forget a request."""
        self._requests.pop(request_id, None)

    def save(self) -> "Future[None]":
        """Write what is open now; the future is done when it is on disk."""
        waiting = {one.id: one.facts.call for one in self._requests.values() if one.state is OptOutState.RAISED}
        return self._executor.submit(save_atomically, self._path, json.dumps(waiting).encode())

    def lapse_orphaned(self, audit: AuditLog) -> int:
        """Write into the audit log that requests lapsed whose daemon died, and their calls with it; return how many.

        Call it before anything is raised. Blocks.

        Raises:
            AuditUnavailableError: It cannot be written; the next start tries again.
            OSError: The file cannot be written.
        """
        left = self._left_behind()
        if not left:
            return 0
        decided = {
            str(entry.details.get("request")) for entry in audit.entries() if entry.act in (GRANTED, DECLINED, LAPSED)
        }
        lapsed = {request: call for request, call in left.items() if request not in decided}
        for request, call in lapsed.items():
            audit.append(act=LAPSED, actor="recorder", subject=call, details={"request": request, "why": "daemon_died"})
        save_atomically(self._path, b"{}")
        return len(lapsed)

    def _left_behind(self) -> dict[str, str]:
        try:
            found: dict[str, str] = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return {}
        return found


def newest(requests: Iterable[OptOutRequest]) -> OptOutRequest | None:
    """Return the last of some requests."""
    found = list(requests)
    return found[-1] if found else None
