"""Acts of people and other systems on recordings: authorise, write the audit entry, then act or show."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

from recorder.access.listening.appointing import break_glass
from recorder.access.listening.emergencies import Emergency
from recorder.audit.audit_service import AuditService
from recorder.common.problems import ProblemError
from recorder.exports.copy_orders import CopyOrder, check_order, prepared
from recorder.permissions import Act, Actor, Application, DeniedError, Person, Refusal
from recorder.recordings.call_csv import csv_of
from recorder.recordings.partial_search import PartialSearches
from recorder.recordings.searching import describe, findable, knows, shown, typed
from recorder.retention.erasure_decisions import order_to_hear
from recorder.retention.erasure_repositories import refuse_locked
from recorder.retention.restricting import refuse_restricted
from recorder.retention.rights import why_restricted
from recorder.rules.authorisation import may
from recorder.rules.call_parts import is_withheld, relation, whole_for
from recorder.rules.erasing import span_of
from recorder.rules.requesting import AccessKind, AccessRequest
from recorder.web.copies import CopyForm, taken
from recorder.web.deps import AudioFile, ConsoleDeps
from recorder.web.listening import OPENED, Listen, Listens
from recorder.web.ranges import wanted_bytes
from storage.claims import Claims
from storage.copy_list import CopyMade
from storage.encoding import MEDIA_TYPES, SUFFIXES, CopyFormat
from storage.errors import NotFoundError, StorageError
from storage.export import Copy
from storage.format import is_recording_id
from storage.index import COUNTED
from storage.known_values import KnownValues
from storage.retention_types import ErasureOrder
from storage.types import Outcome, RecordingId, RecordingRow, Search

WITH_RECORDING = (Outcome.RECORDED, Outcome.PARTIAL)
"""Outcomes of calls of which something was recorded."""
MOST_LISTED = 10_000
"""Most calls of one list as CSV; for more, ask for a shorter period."""
LISTEN_FOR = timedelta(minutes=30)
"""How long a URL of audio is valid; after that the person clicks again, while the grant lasts."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """Response to a player: the bytes ``[first, end)`` of a WAV file of ``size`` bytes.

    Attributes:
        audio: The bytes.
        first: Position of the first byte.
        end: Position after the last byte.
        size: Size of the whole file, bytes.
        is_part: Whether the player asked for a part.
    """

    audio: AudioFile
    first: int
    end: int
    size: int
    is_part: bool


class RecordingService:
    """Acts on recordings, by the rules of `recorder.permissions`.

    Every method blocks and raises ProblemError: 403 refused, 404 no such thing, 503 the audit log cannot be written
    (then nothing is shown).
    """

    def __init__(self, deps: ConsoleDeps, audit_service: AuditService) -> None:
        self._deps = deps
        self._audit_service = audit_service
        self.listens = Listens(audit_service.note_late, deps.now)
        self.partial = PartialSearches(KnownValues(deps.repos.index.database))

    def search(self, actor: Actor, search: Search) -> SearchPage:
        """Find recordings."""
        whole = self._asked(actor, search)
        if whole is None:
            return SearchPage(rows=[], total=0)
        rows, counted = self._deps.index.page(whole)
        recorded = self._recorded(whole, counted)
        found = [shown(actor, row) for row in rows if knows(actor, row)]
        return SearchPage(
            rows=found, total=min(counted, COUNTED), is_more=counted > COUNTED, recordings=min(recorded, COUNTED),
            has_more_recordings=recorded > COUNTED,
        )  # fmt: skip

    def list_as_csv(self, actor: Actor, search: Search) -> Iterator[bytes]:
        """Find recordings, and return the newest `MOST_LISTED` as CSV; it is logged as a search that was taken away."""
        whole = self._asked(actor, search, {"taken_as": "csv"})
        each = iter(()) if whole is None else self._deps.index.each(whole)
        rows = (shown(actor, row) for row in each if knows(actor, row))
        return csv_of(itertools.islice(rows, MOST_LISTED), ZoneInfo(self._deps.timezone))

    def _asked(self, actor: Actor, search: Search, details: Mapping[str, str] | None = None) -> Search | None:
        """Log a search and return what it asks of the index; None if nothing can match."""
        self._audit_service.authorise(actor, Act.SEARCH, extension=search.extension)
        self._narrow(actor, search)  # whoever may not search for a number learns nothing of which there are
        whole = self.partial.whole(search) if isinstance(actor, Person) else search
        self._audit_service.note(
            Act.SEARCH, actor.actor, "", {**describe(search), **(details or {})}, text=typed(search)
        )
        return None if whole is None else self._narrow(actor, whole)

    def _recorded(self, search: Search, counted: int) -> int:
        """Return how many of the calls of a search have a recording, counted up to one more than `COUNTED`."""
        if search.outcome is not None:
            return counted if search.outcome in WITH_RECORDING else 0
        return self._deps.index.count(replace(search, outcomes=WITH_RECORDING), at_most=COUNTED + 1) if counted else 0

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
        row = self._row(actor, Act.VIEW, recording_id, has_grant=leave is not None)
        self._audit_service.note(Act.VIEW, actor.actor, row.id)
        return shown(actor, row, leave)

    def leave(self, actor: Actor, recording_id: str, wanted: AccessKind = AccessKind.LISTEN) -> AccessRequest | None:
        """Return the access request that lets an actor hear or export a recording now, or None."""
        if not isinstance(actor, Person) or not is_recording_id(recording_id):
            return None
        return self._deps.hearing.requests.leave(actor.name, RecordingId(recording_id), wanted)

    def granted(self, person: Person) -> frozenset[RecordingId]:
        """Return the recordings that a person may hear now, by a request that was granted."""
        now = self._deps.now()
        requests = self._deps.hearing.requests.of_account(person.name)
        good = (one for one in requests if one.gives(AccessKind.LISTEN, now))
        return frozenset(recording for one in good for recording in one.wish.recordings if one.heard(recording) != ())

    def grant_play(self, person: Person, recording_id: str, reason: str) -> str:
        """Permit listening, by access grant or by break-glass; return the secret part of the audio's URL."""
        leave = self.leave(person, recording_id)
        row = self._row(person, Act.PLAY, recording_id, reason=reason, has_grant=leave is not None)
        self._refuse_locked(person, Act.PLAY, row)
        self.listens.check_room()
        now = self._deps.now()
        listen = Listen(account=person.name, recording=row.id, reason=reason, until=now, request="")

        def enter(until: datetime) -> None:
            listen.until = until
            granted_s = (until - now).total_seconds()
            self._audit_service.note(
                Act.PLAY, person.actor, row.id, {"granted_s": granted_s, **listen.marks}, text=listen.reason
            )

        def enter_emergency(one: Emergency) -> None:
            listen.emergency = one.id
            enter(one.until)

        if leave is None:
            break_glass(self._deps.hearing, person, row.id, reason, enter=enter_emergency)
        else:
            assert leave.until is not None, "a grant has an end"
            listen.reason, listen.request = leave.wish.reason, leave.id
            listen.heard = whole_for(row, leave.heard(row.id))
            enter(min(now + LISTEN_FOR, leave.until))
        return self.listens.keep(listen)

    def grant_span(self, person: Person, order_id: str) -> tuple[RecordingId, str]:
        """Let an approver of an order that needs three people hear its span and nothing else.

        Returns:
            The recording, and the secret part of the audio's URL.
        """
        order, row = order_to_hear(self._deps.repos, person, order_id)
        self._audit_service.authorise(person, Act.PLAY, row.id, has_grant=True)
        self.listens.check_room()
        span_s, now = span_of(order, row.duration_s), self._deps.now()
        length = timedelta(seconds=span_s[1] - span_s[0])
        listen = Listen(
            account=person.name, recording=row.id, reason=f"order {order.id}", until=now + LISTEN_FOR + length,
            request="", order=order.id, span_s=span_s,
            when_all_sent=partial(self._note_heard, order.id, person.name, length),
        )  # fmt: skip
        granted_s = (listen.until - now).total_seconds()
        self._audit_service.note(Act.PLAY, person.actor, row.id, {"granted_s": granted_s, **listen.marks})
        return row.id, self.listens.keep(listen)

    def _check_listen(self, person: Person, listen: Listen, recording_id: str) -> RecordingRow:
        """Return the recording of a listen whose permission still holds: a grant, break-glass, or a waiting order."""
        has_grant = bool(listen.request or listen.order)
        row = self._row(person, Act.PLAY, recording_id, reason=listen.reason, has_grant=has_grant)
        if listen.order:
            order_to_hear(self._deps.repos, person, listen.order)
        else:
            self._refuse_locked(person, Act.PLAY, row)
        return row

    def _note_heard(self, order: str, account: str, length: timedelta, begun_at: datetime) -> None:
        """Store that a whole span was sent to an approver; they can have heard it after its length has passed."""
        if self._deps.repos.approvals is not None:
            self._deps.repos.approvals.heard(order, account, begun_at + length)

    def _note_opened(self, person: Person, listen: Listen) -> None:
        self._audit_service.note(OPENED, person.actor, listen.recording, listen.marks, text=listen.reason)

    def play(self, person: Person, recording_id: str, secret: str, wanted: str | None = None) -> Sound:
        """Open the audio of a recording; each listen is logged before its first byte.

        Args:
            person: Who listens.
            recording_id: The recording.
            secret: From `grant_play`.
            wanted: A Range header.
        """
        listen = self.listens.find(person.name, recording_id, secret)
        if listen is None:
            ended = "Your permission to listen has ended. Ask for a new one on the recording's page."
            raise self._audit_service.refusal(person.actor, Act.PLAY, recording_id, ended)
        row = self._check_listen(person, listen, recording_id)
        copy = self._opened(listen, row)
        part = wanted_bytes(wanted, copy.size_bytes)
        self.listens.begin(listen, lambda: self._note_opened(person, listen))
        first, end = part or (0, copy.size_bytes)
        audio = _begun(
            AudioFile(
                media_type=MEDIA_TYPES[CopyFormat.WAV], suffix=SUFFIXES[CopyFormat.WAV],
                chunks=self.listens.sent(listen, copy.part(first, end), first),
            )
        )  # fmt: skip
        return Sound(audio=audio, first=first, end=end, size=copy.size_bytes, is_part=part is not None)

    def _opened(self, listen: Listen, row: RecordingRow) -> Copy:
        """Return a recording's audio; it is verified once per listen, and again if it was rewritten."""
        if row.path is None:
            raise ProblemError(409, f"Nothing was kept of this call: {row.outcome}, {row.reason}.")
        if listen.file is None or listen.file[0] != row.sha256:
            listen.file = (
                row.sha256,
                prepared(self._deps.copy_repositories, row, CopyFormat.WAV, heard=listen.heard, span_s=listen.span_s),
            )
        return listen.file[1]

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
        row = self._row(actor, Act.EXPORT, recording_id, reason=wanted.reason, has_grant=leave is not None)
        if isinstance(wanted, CopyForm):
            is_package, wanted = wanted.is_package, wanted.order(row, ZoneInfo(self._deps.timezone))
        ordered = check_order(repos, actor, row.id, wanted)
        assert isinstance(actor, Person), "only people pass the check"
        return _begun(taken(repos, actor, wanted, ordered, is_package=is_package))

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

    def _refuse_locked(self, actor: Actor, act: Act, row: RecordingRow) -> None:
        try:
            refuse_locked(self._deps.repos.erasures, row.id)
            refuse_restricted(Claims(self._deps.repos.index.database), row.id, self._deps.now())
        except ProblemError as error:
            self._audit_service.refusal(actor.actor, act, row.id, error.detail)
            raise

    def _row(
        self, actor: Actor, act: Act, recording_id: str, *, reason: str = "", has_grant: bool = False
    ) -> RecordingRow:
        if not is_recording_id(recording_id):
            raise ProblemError(404, "There is no such recording.")
        self._audit_service.authorise(actor, act, recording_id, reason=reason, has_grant=has_grant)
        try:
            row = self._deps.index.get(recording_id)
        except NotFoundError as error:
            raise ProblemError(404, "There is no such recording.") from error
        if row.id != recording_id:  # the index accepts prefixes; a URL must not
            raise ProblemError(404, "There is no such recording.")
        operator, team = relation(actor, row)
        decision = may(
            actor, act, reason=reason, operator=operator, team=team, extension=row.extension, has_grant=has_grant
        )
        if isinstance(decision, Refusal):  # same message as for a missing one, so that ids cannot be guessed
            self._audit_service.refusal(actor.actor, act, row.id, decision.reason)
            raise ProblemError(404, "There is no such recording.")
        return row


def _begun(audio: AudioFile) -> AudioFile:
    """Produce the first bytes of a response before it starts, so that errors can still be reported."""
    try:
        first = next(audio.chunks, b"")
    except StorageError as error:
        raise ProblemError(409, f"The recording cannot be copied: {error}.") from error
    return replace(audio, chunks=_from_first(first, audio.chunks))


def _from_first(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield first
        yield from rest
    finally:
        close = getattr(rest, "close", None)
        if close is not None:
            close()
