"""Acts of people and other systems on recordings: authorise, write the audit entry, then act or show."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from recorder.audit.audit_service import AuditService
from recorder.common.problems import ProblemError
from recorder.exports.copy_orders import CopyOrder, check_order
from recorder.permissions import Act, Actor, Application, DeniedError, Person
from recorder.recordings.call_csv import csv_of
from recorder.recordings.partial_search import PartialSearches
from recorder.recordings.searching import describe, findable, knows, shown, typed
from recorder.retention.rights import why_restricted
from recorder.rules.call_parts import is_withheld
from recorder.rules.requesting import AccessKind, AccessRequest, standing
from recorder.web.copies import CopyForm, taken
from recorder.web.deps import AudioFile, ConsoleDeps
from recorder.web.listen_service import ListenService
from recorder.web.recording_lookup import RecordingLookup
from recorder.web.sounds import begun
from storage.claims import Claims
from storage.copy_list import CopyMade
from storage.index import COUNTED
from storage.known_values import KnownValues
from storage.retention_types import ErasureOrder
from storage.types import Outcome, RecordingId, RecordingRow, Search

WITH_RECORDING = (Outcome.RECORDED, Outcome.PARTIAL)
"""Outcomes of calls of which something was recorded."""
MOST_LISTED = 10_000
"""Most calls of one list as CSV; for more, ask for a shorter period."""
_LINES_AT_ONCE = 500
"""Lines of a CSV in one chunk: each chunk takes a turn of a thread that pauses need too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPage:
    """One page of a search.

    Attributes:
        rows: The rows of the page.
        total: Number of calls that match, counted up to `storage.index.COUNTED`.
        is_more: Whether there are more calls than ``total``.
        recordings: Number of these calls of which something was recorded, counted likewise.
        has_more_recordings: Whether there are more than ``recordings``.
    """

    rows: Sequence[RecordingRow]
    total: int
    is_more: bool = False
    recordings: int = 0
    has_more_recordings: bool = False


class RecordingService:
    """Acts on recordings, by the rules of `recorder.permissions`.

    Every method blocks and raises ProblemError: 403 refused, 404 no such thing, 503 the audit log cannot be written
    (then nothing is shown).
    """

    def __init__(self, deps: ConsoleDeps, audit_service: AuditService) -> None:
        self._deps = deps
        self._audit_service = audit_service
        self._found = RecordingLookup(deps, audit_service)
        self.listening = ListenService(deps, audit_service, self._found)
        self.listens = self.listening.listens
        self.partial = PartialSearches(KnownValues(deps.repos.index.database))

    def search(self, actor: Actor, search: Search) -> SearchPage:
        """Find recordings."""
        whole = self._asked(actor, search)
        if whole is None:
            return SearchPage(rows=[], total=0)
        rows, counted, recorded = self._deps.index.page_of_recordings(whole, WITH_RECORDING)
        found = [shown(actor, row) for row in rows if knows(actor, row)]
        return SearchPage(
            rows=found, total=min(counted, COUNTED), is_more=counted > COUNTED, recordings=min(recorded, COUNTED),
            has_more_recordings=recorded > COUNTED,
        )  # fmt: skip

    def list_as_csv(self, actor: Actor, search: Search) -> Iterator[bytes]:
        """Find recordings, and return the newest `MOST_LISTED` as CSV, in chunks.

        It is logged as a search that was taken away.
        """
        whole = self._asked(actor, search, {"taken_as": "csv"})
        each = iter(()) if whole is None else self._deps.index.each(whole)
        rows = (shown(actor, row) for row in each if knows(actor, row))
        lines = csv_of(itertools.islice(rows, MOST_LISTED), ZoneInfo(self._deps.timezone))
        chunks = iter(lambda: b"".join(itertools.islice(lines, _LINES_AT_ONCE)), b"")
        return itertools.chain((next(chunks),), chunks)  # the first calls are read before an answer begins

    def _asked(self, actor: Actor, search: Search, details: Mapping[str, str] | None = None) -> Search | None:
        """Log a search and return what it asks of the index; None if nothing can match."""
        self._audit_service.authorise(actor, Act.SEARCH, extension=search.extension)
        self._narrow(actor, search)  # whoever may not search for a number learns nothing of which there are
        # Before anything is looked up: that too many names or numbers fit is an answer, too.
        self._audit_service.note(
            Act.SEARCH, actor.actor, "", {**describe(search), **(details or {})}, text=typed(search)
        )
        whole = self.partial.whole(search, actor) if isinstance(actor, Person) else search
        return None if whole is None else self._narrow(actor, whole)

    def _narrow(self, actor: Actor, search: Search) -> Search:
        try:
            search = findable(actor, search)
        except DeniedError as error:
            raise self._audit_service.refusal(actor.actor, Act.SEARCH, "", str(error)) from error
        if isinstance(actor, Application) and actor.extensions and search.extension is None:
            if len(actor.extensions) > 1:
                raise ProblemError(422, f"Give extension: one of {', '.join(sorted(actor.extensions))}.")
            return replace(search, extension=min(actor.extensions))
        return search

    def view(self, actor: Actor, recording_id: str) -> RecordingRow:
        """Return one recording's row."""
        leave = self.leave(actor, recording_id)
        row = self._found.row(actor, Act.VIEW, recording_id, has_grant=leave is not None)
        self._audit_service.note(Act.VIEW, actor.actor, row.id)
        return shown(actor, row, leave)

    def check(self, actor: Actor, act: Act, recording_id: str) -> None:
        """Check that an actor may begin an act on a recording, before they are shown its form."""
        has_grant = self.leave(actor, recording_id) is not None
        self._found.row(actor, act, recording_id, reason="to see the form", has_grant=has_grant)

    def leave(self, actor: Actor, recording_id: str, wanted: AccessKind = AccessKind.LISTEN) -> AccessRequest | None:
        """Return the access request that lets an actor hear or export a recording now, or None."""
        return self._found.leave(actor, recording_id, wanted)

    def granted(self, person: Person, rows: Sequence[RecordingRow]) -> frozenset[RecordingId]:
        """Return those of these recordings that a person may hear now, by a request that was granted."""
        now = self._deps.now()
        requests = self._deps.hearing.requests.of_account(person.name)
        good = [one for one in requests if one.gives(AccessKind.LISTEN, now)]
        return frozenset(
            row.id
            for row in rows
            if any(row.id in one.wish.recordings and standing(person, one, row) is not None for one in good)
        )

    def export(
        self, actor: Actor, recording_id: str, wanted: CopyOrder | CopyForm, *, is_package: bool = False
    ) -> AudioFile:
        """Make a copy of a recording, by the rules of `recorder.exports.copy_orders`, which logs it.

        Args:
            actor: Who asks.
            recording_id: The recording.
            wanted: An order, or a page's form, which says itself whether it is for a package.
            is_package: Whether an order is for a package.
        """
        repos = self._deps.copy_repositories
        leave = self.leave(actor, recording_id, AccessKind.COPY)
        if leave is None:
            self._found.refuse_ended(actor, Act.EXPORT, recording_id, AccessKind.COPY)
        row = self._found.row(actor, Act.EXPORT, recording_id, reason=wanted.reason, has_grant=leave is not None)
        if isinstance(wanted, CopyForm):
            is_package, wanted = wanted.is_package, wanted.order(row, ZoneInfo(self._deps.timezone))
        ordered = check_order(repos, actor, row.id, wanted)
        assert isinstance(actor, Person), "only people pass the check"
        return begun(taken(repos, actor, wanted, ordered, is_package=is_package))

    def copies(self, row: RecordingRow) -> list[CopyMade]:
        """Return the copies of a recording, oldest first. The caller has checked the permission."""
        return self._deps.copy_repositories.copies.of_recording(row.id)

    def orders(self, row: RecordingRow) -> list[ErasureOrder]:
        """Return the orders to erase from a recording, oldest first. The caller has checked the permission.

        Args:
            row: The row as shown to the person; orders on withheld spans are left out.
        """
        orders = self._deps.repos.erasures.of_recording(row.id)
        return [one for one in orders if not is_withheld(row, one.start_s, one.end_s)]

    def restriction(self, row: RecordingRow) -> str | None:
        """Return why a recording may not be used now, or None; a restriction or objection forbids use."""
        claims = Claims(self._deps.repos.index.database).of_recording(row.id)
        return why_restricted(claims, self._deps.now())

    def locked(self) -> frozenset[RecordingId]:
        """Return the recordings that nobody can listen to, because part of them is to be erased."""
        return frozenset(order.recording for order in self._deps.repos.erasures.open_orders())
