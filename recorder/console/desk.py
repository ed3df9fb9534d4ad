"""The acts of the console, for pages and API alike: decide, write to the audit log, then do or show."""

import logging
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from recorder.console.deps import AudioFile, ConsoleDeps, RecordingUnavailableError
from recorder.console.filters import describe, typed
from recorder.domain.access import Act, Actor, Allowed, Application, Person, Refused, may, speaks_as_manager
from recorder.live_client import DaemonRefusedError, DaemonUnavailableError
from recorder.problems import ProblemError
from storage.errors import NotFoundError
from storage.format import is_recording_id
from storage.types import RecordingId, RecordingRow, Search

logger = logging.getLogger(__name__)
T = TypeVar("T")

LISTEN_FOR = timedelta(minutes=30)
_MOST_GRANTS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One page of a search."""

    rows: Sequence[RecordingRow]
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grant:
    """Leave to listen to one recording for a while."""

    account: str
    recording_id: RecordingId
    reason: str
    until: datetime


class Desk:
    """Does what callers ask, by the rules of `recorder.domain.access`.

    Every method blocks and raises ProblemError: 403 refused, 404 no such thing, 503 the audit log cannot be written
    (nothing is shown then), 504 the daemon did not confirm.
    """

    def __init__(self, deps: ConsoleDeps) -> None:
        self._deps = deps
        self._grants: dict[str, _Grant] = {}

    def note(self, actor: str, verb: str, subject: str, *, text: str | None = None, **details: Any) -> None:  # noqa: ANN401
        """Write one entry of the audit log.

        Raises:
            ProblemError: It cannot be written; the caller shows nothing.
        """
        try:
            self._deps.audit.append(act=verb, actor=actor, subject=subject, details=details, text=text)
        except Exception as error:
            logger.exception("the audit log cannot be written")
            raise ProblemError(
                503, "The audit log cannot be written, so nothing can be shown. Ask ICT to look at the recorder."
            ) from error

    def refuse(self, actor: str, act: str, subject: str, sentence: str, *, status: int = 403) -> ProblemError:
        """Write a refusal to the audit log and return it; a refusal stands even when it cannot be written."""
        try:
            self.note(actor, "access.refused", subject, text=sentence, act=act)
        except ProblemError:
            logger.warning("a refusal was not written to the audit log")
        return ProblemError(status, sentence)

    def require(self, actor: Actor, act: Act, subject: str = "", **about: Any) -> Allowed:  # noqa: ANN401 - of `may`
        """Return what is allowed, or raise the refusal."""
        decision = may(actor, act, **about)
        if isinstance(decision, Refused):
            raise self.refuse(actor.actor, act, subject, decision.reason)
        return decision

    # Live calls

    def calls(self, actor: Actor) -> list[dict[str, Any]]:
        """Return the calls in progress that this actor may see."""
        self.require(actor, Act.SEE_LIVE)
        calls = self._daemon(lambda: self._deps.live.calls(actor=actor.actor))
        if isinstance(actor, Application) and actor.extensions:
            return [call for call in calls if call.get("extension") in actor.extensions]
        return calls

    def pause(self, actor: Actor, call: str, reason: str) -> dict[str, Any]:
        """Pause a call. The daemon writes the audit log; that it cannot never stops a pause."""
        self._require_call(actor, Act.PAUSE, call)
        live = self._deps.live
        return self._daemon(lambda: live.pause(call, actor=actor.actor, reason=reason, authority=_authority(actor)))

    def resume(self, actor: Actor, call: str, reason: str) -> dict[str, Any]:
        """Resume a call, as far as this actor may."""
        self._require_call(actor, Act.RESUME, call)
        live = self._deps.live
        return self._daemon(lambda: live.resume(call, actor=actor.actor, reason=reason, authority=_authority(actor)))

    def opt_out(self, actor: Actor, call: str, reason: str) -> dict[str, Any]:
        """Stop recording for the rest of a call."""
        allowed = self.require(actor, Act.OPT_OUT, call, reason=reason)
        self.note(actor.actor, Act.OPT_OUT, call, text=reason, break_glass=allowed.break_glass)
        live = self._deps.live
        return self._daemon(lambda: live.opt_out(call, actor=actor.actor, reason=reason, authority="manager"))

    def pause_extension(self, actor: Actor, number: str, reason: str) -> dict[str, Any]:
        """Pause every call of an extension."""
        self.require(actor, Act.PAUSE, number, extension=number)
        act = self._deps.live.pause_extension
        return self._daemon(lambda: act(number, actor=actor.actor, reason=reason, authority=_authority(actor)))

    def resume_extension(self, actor: Actor, number: str, reason: str) -> dict[str, Any]:
        """Resume every call of an extension."""
        self.require(actor, Act.RESUME, number, extension=number)
        act = self._deps.live.resume_extension
        return self._daemon(lambda: act(number, actor=actor.actor, reason=reason, authority=_authority(actor)))

    def _require_call(self, actor: Actor, act: Act, call: str) -> None:
        self.require(actor, act, call)
        if not (isinstance(actor, Application) and actor.extensions):
            return
        calls = self._daemon(lambda: self._deps.live.calls(actor=actor.actor))
        extension = next((str(c.get("extension")) for c in calls if c.get("call") == call), None)
        if extension is None:
            raise ProblemError(404, "There is no such call in progress.")
        self.require(actor, act, call, extension=extension)

    def _daemon(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except DaemonUnavailableError as error:
            raise ProblemError(504, str(error), title="Not confirmed", extra={"state": "not_confirmed"}) from error
        except DaemonRefusedError as error:
            if error.status == 504:
                raise ProblemError(504, str(error), title="Not confirmed", extra={"state": "not_confirmed"}) from error
            status = error.status if 400 <= error.status < 500 else 502
            raise ProblemError(status, str(error)) from error

    # Recordings

    def search(self, actor: Actor, search: Search) -> Found:
        """Find recordings."""
        allowed = self.require(actor, Act.SEARCH, extension=search.extension)
        search = self._narrow(actor, allowed, search)
        self.note(actor.actor, Act.SEARCH, "", text=typed(search), **describe(search))
        return Found(rows=self._deps.index.find(search), total=self._deps.index.count(search))

    def _narrow(self, actor: Actor, allowed: Allowed, search: Search) -> Search:
        if allowed.own_only:
            assert isinstance(actor, Person)
            self.require(actor, Act.SEARCH, operator=search.operator or actor.display_name)
            return replace(search, operator=actor.display_name)
        if isinstance(actor, Application) and actor.extensions and search.extension is None:
            if len(actor.extensions) > 1:
                raise ProblemError(422, f"Give extension: one of {', '.join(sorted(actor.extensions))}.")
            return replace(search, extension=min(actor.extensions))
        return search

    def view(self, actor: Actor, recording_id: str) -> RecordingRow:
        """Return one recording's row."""
        row = self._row(actor, Act.VIEW, recording_id)
        self.note(actor.actor, Act.VIEW, row.id)
        return row

    def grant_play(self, person: Person, recording_id: str, reason: str) -> str:
        """Give leave to listen to one recording for half an hour; returns the secret part of the audio's address."""
        row = self._row(person, Act.PLAY, recording_id, reason=reason)
        self.note(person.actor, Act.PLAY, row.id, text=reason, break_glass=True, granted_s=LISTEN_FOR.total_seconds())
        now = self._deps.now()
        self._grants = {key: grant for key, grant in self._grants.items() if grant.until > now}
        if len(self._grants) >= _MOST_GRANTS:
            raise ProblemError(503, "Too many people are listening; try again in a few minutes.")
        secret = secrets.token_urlsafe(32)
        self._grants[secret] = _Grant(account=person.name, recording_id=row.id, reason=reason, until=now + LISTEN_FOR)
        return secret

    def is_granted(self, person: Person, recording_id: str, secret: str) -> bool:
        """Tell whether an address of audio is this person's, for this recording, and still good."""
        grant = self._grants.get(secret)
        return (
            grant is not None
            and grant.account == person.name
            and grant.recording_id == recording_id
            and grant.until > self._deps.now()
        )

    def play(self, person: Person, recording_id: str, secret: str) -> AudioFile:
        """Open the audio of a recording that leave was given for; each opening is an entry of its own."""
        if not self.is_granted(person, recording_id, secret):
            raise self.refuse(person.actor, Act.PLAY, recording_id, "Leave to listen is over: give your reason again.")
        reason = self._grants[secret].reason
        row = self._row(person, Act.PLAY, recording_id, reason=reason)
        self.note(person.actor, f"{Act.PLAY}.opened", row.id, text=reason, break_glass=True)
        return self._open(row, "wav")

    def export(self, actor: Actor, recording_id: str, audio_format: str, reason: str) -> AudioFile:
        """Make a copy of a recording to take away."""
        row = self._row(actor, Act.EXPORT, recording_id, reason=reason)
        if audio_format not in self._deps.export_formats:
            raise ProblemError(422, f"The format must be one of {', '.join(self._deps.export_formats)}.")
        self.note(actor.actor, Act.EXPORT, row.id, text=reason, break_glass=True, format=audio_format)
        return self._open(row, audio_format)

    def _row(self, actor: Actor, act: Act, recording_id: str, *, reason: str = "") -> RecordingRow:
        if not is_recording_id(recording_id):
            raise ProblemError(404, "There is no such recording.")
        self.require(actor, act, recording_id, reason=reason)
        try:
            row = self._deps.index.get(recording_id)
        except NotFoundError as error:
            raise ProblemError(404, "There is no such recording.") from error
        if row.id != recording_id:  # the index takes prefixes too; an address does not
            raise ProblemError(404, "There is no such recording.")
        self.require(actor, act, row.id, reason=reason, operator=row.operator, extension=row.extension)
        return row

    def _open(self, row: RecordingRow, audio_format: str) -> AudioFile:
        if row.path is None:
            raise ProblemError(409, f"Nothing was kept of this call: {row.outcome}, {row.reason}.")
        try:
            audio = self._deps.exporter(row, audio_format)
            # The first block is decoded before the answer begins, so that what is wrong can still be said.
            first = next(audio.chunks, b"")
        except RecordingUnavailableError as error:
            raise ProblemError(409, str(error)) from error
        return replace(audio, chunks=_from_first(first, audio.chunks))


def _authority(actor: Actor) -> str:
    if isinstance(actor, Application):
        return actor.actor
    return "manager" if isinstance(actor, Person) and speaks_as_manager(actor) else "officer"


def _from_first(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield first
        yield from rest
    finally:
        close = getattr(rest, "close", None)
        if close is not None:
            close()
