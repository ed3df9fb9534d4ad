"""Permits listening in the browser and plays recordings: by grant, by break-glass, before a copy, before an erasure."""

from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

from recorder.access.listening.appointing import break_glass
from recorder.access.listening.emergencies import Emergency
from recorder.audit.audit_service import AuditService
from recorder.common.problems import ProblemError
from recorder.exports.copy_orders import permitted, prepared
from recorder.permissions import Act, Person
from recorder.retention.erasure_decisions import order_to_hear
from recorder.rules.call_parts import whole_for
from recorder.rules.erasing import span_of
from recorder.rules.requesting import GRANT_ENDED, AccessKind, standing
from recorder.rules.wording import outcome_words
from recorder.web.copies import CopyForm
from recorder.web.deps import AudioFile, ConsoleDeps
from recorder.web.listening import OPENED, Listen, Listens, Preview
from recorder.web.ranges import wanted_bytes
from recorder.web.recording_lookup import RecordingLookup
from recorder.web.sounds import Sound, begun
from storage.encoding import MEDIA_TYPES, SUFFIXES, CopyFormat
from storage.export import Copy
from storage.types import RecordingId, RecordingRow

LISTEN_FOR = timedelta(minutes=30)
"""How long a URL of audio is valid; after that the person clicks again, while the grant lasts."""
PREVIEW = "to hear a copy before it is made"
"""The reason for a preview: people give theirs when they take the copy."""


class ListenService:
    """Listening by the rules of `recorder.permissions`; blocks, and raises ProblemError as `RecordingService` does."""

    def __init__(self, deps: ConsoleDeps, audit_service: AuditService, found: RecordingLookup) -> None:
        self._deps = deps
        self._audit_service = audit_service
        self._found = found
        self.listens = Listens(audit_service.note_late, deps.now)

    def grant_play(self, person: Person, recording_id: str, reason: str) -> str:
        """Permit listening, by access grant or by break-glass; return the secret part of the audio's URL."""
        leave = self._found.leave(person, recording_id)
        if leave is None:
            self._found.refuse_ended(person, Act.PLAY, recording_id)
        row = self._found.row(person, Act.PLAY, recording_id, reason=reason, has_grant=leave is not None)
        self._found.refuse_locked_for(person, Act.PLAY, row)
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

    def grant_preview(self, person: Person, recording_id: str, form: CopyForm) -> tuple[str, tuple[float, float]]:
        """Permit hearing a copy before it is made, by the rules of copies.

        Returns:
            The secret part of the audio's URL, and from where to where in the recording the copy reaches, seconds.
        """
        leave = self._found.leave(person, recording_id, AccessKind.COPY)
        if leave is None:
            self._found.refuse_ended(person, Act.EXPORT, recording_id, AccessKind.COPY)
        row = self._found.row(person, Act.EXPORT, recording_id, reason=PREVIEW, has_grant=leave is not None)
        form = replace(form, audio_format=CopyFormat.WAV)  # a player needs one that it can play
        order = replace(form.order(row, ZoneInfo(self._deps.timezone)), reason=PREVIEW)
        copy = permitted(self._deps.copy_repositories, person, row.id, order)
        self._audit_service.authorise(person, Act.PLAY, row.id, reason=PREVIEW, has_grant=True)
        self.listens.check_room()
        now = self._deps.now()
        assert copy.request.until is not None, "a grant has an end"
        listen = Listen(
            account=person.name, recording=row.id, reason=copy.request.wish.reason, request=copy.request.id,
            until=min(now + LISTEN_FOR, copy.request.until), span_s=copy.span_s, heard=copy.heard,
            preview=Preview(redactions=order.redactions),
        )  # fmt: skip
        granted_s = (listen.until - now).total_seconds()
        self._audit_service.note(
            Act.PLAY, person.actor, row.id, {"granted_s": granted_s, **listen.marks}, text=listen.reason
        )
        return self.listens.keep(listen), copy.span_s or (0.0, copy.row.duration_s)

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
        if listen.request:
            self._check_grant(person, listen)
        row = self._found.row(person, Act.PLAY, recording_id, reason=listen.reason, has_grant=has_grant)
        if listen.order:
            order_to_hear(self._deps.repos, person, listen.order)
        else:
            self._found.refuse_locked_for(person, Act.PLAY, row)
        return row

    def _check_grant(self, person: Person, listen: Listen) -> None:
        """Refuse a listen whose grant ended with the person's role or team; narrow one of which a part is left."""
        act, wanted = (Act.EXPORT, AccessKind.COPY) if listen.preview else (Act.PLAY, AccessKind.LISTEN)
        grant, row = self._deps.hearing.requests.get(listen.request), self._found.known(listen.recording)
        if row is None:
            return
        stands = standing(person, grant, row) if grant is not None and grant.gives(wanted, self._deps.now()) else None
        if stands is None:
            raise self._audit_service.refusal(person.actor, act, row.id, GRANT_ENDED)
        heard = whole_for(row, stands.heard(row.id))
        if heard != listen.heard:
            listen.heard, listen.file = heard, None

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
        audio = begun(
            AudioFile(
                media_type=MEDIA_TYPES[CopyFormat.WAV], suffix=SUFFIXES[CopyFormat.WAV],
                chunks=self.listens.sent(listen, copy.part(first, end), first),
            )
        )  # fmt: skip
        return Sound(audio=audio, first=first, end=end, size=copy.size_bytes, is_part=part is not None)

    def _opened(self, listen: Listen, row: RecordingRow) -> Copy:
        """Return a recording's audio; it is verified once per listen, and again if it was rewritten."""
        if row.path is None:
            raise ProblemError(409, f"Nothing was kept of this call. {outcome_words(row.outcome, row.reason)}.")
        if listen.file is None or listen.file[0] != row.sha256:
            listen.file = (
                row.sha256,
                prepared(
                    self._deps.copy_repositories, row, CopyFormat.WAV, heard=listen.heard, span_s=listen.span_s,
                    redactions=listen.redactions,
                ),
            )  # fmt: skip
        return listen.file[1]
