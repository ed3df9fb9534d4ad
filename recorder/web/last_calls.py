"""A person's last finished call and what is to be erased of their calls, as their own page shows them."""

from collections.abc import Iterable
from datetime import timedelta

from recorder.audit.audit_service import AuditService
from recorder.permissions import Act, Person, Refusal
from recorder.recordings.searching import knows, shown
from recorder.rules.authorisation import may
from recorder.web.deps import ConsoleDeps
from recorder.web.recent_checks import CHECK_S
from storage.answer_time import answer_within
from storage.erasures import is_open
from storage.errors import StorageError
from storage.retention_types import ErasureOrder
from storage.types import RecordingId, RecordingRow, Search, Visibility

_WITHIN = timedelta(hours=12)
_MOST = 10_000
"""Calls shown that are remembered; above that number all are forgotten."""
_NEWEST = 5
"""Rows among which the last call with a recording is looked for."""


class LastCalls:
    """Reads a person's last calls; that somebody was shown one is written into the audit log once.

    A server that does not answer at once is not waited for: the page with the pause button asks.
    """

    def __init__(self, deps: ConsoleDeps, audit_service: AuditService) -> None:
        self._deps = deps
        self._audit_service = audit_service
        self._noted: set[tuple[str, RecordingId]] = set()

    def of(self, person: Person) -> RecordingRow | None:
        """Return the person's newest finished call of these hours with a recording, as they may see it."""
        if not person.display_name or isinstance(may(person, Act.SEARCH), Refusal):
            return None
        search = Search(
            started_from=self._deps.now() - _WITHIN, limit=_NEWEST,
            within=Visibility(operator=person.display_name),
        )  # fmt: skip
        try:
            with answer_within(CHECK_S):
                rows = self._deps.index.find(search)
        except StorageError:
            return None  # the page goes on pausing
        row = next((one for one in rows if one.ended_at and one.recorded_s > 0 and knows(person, one)), None)
        if row is None:
            return None
        self._note(person, row.id)
        return shown(person, row)

    def to_erase(self, recordings: Iterable[str]) -> list[ErasureOrder]:
        """Return the orders to erase of live calls, as they are stored. The caller shows only calls of the person."""
        try:
            with answer_within(CHECK_S):
                found = [self._deps.repos.erasures.of_recording(RecordingId(one)) for one in recordings]
        except StorageError:
            return []
        return [order for orders in found for order in orders if is_open(order)]

    def _note(self, person: Person, recording: RecordingId) -> None:
        seen = person.actor, recording
        if seen in self._noted:
            return
        if len(self._noted) >= _MOST:
            self._noted.clear()
        self._noted.add(seen)
        self._audit_service.note_late(Act.VIEW, person.actor, recording, {"page": "agent"})
