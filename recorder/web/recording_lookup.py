"""Finds a recording for an act on it: the permission, the grant, and what locks it."""

from recorder.audit.audit_service import AuditService
from recorder.common.problems import ProblemError
from recorder.permissions import Act, Actor, Person, Refusal
from recorder.retention.erasure_repositories import refuse_locked
from recorder.retention.restricting import refuse_restricted
from recorder.rules.authorisation import may
from recorder.rules.call_parts import relation
from recorder.rules.requesting import GRANT_ENDED, AccessKind, AccessRequest
from recorder.web.deps import ConsoleDeps
from storage.claims import Claims
from storage.errors import NotFoundError
from storage.format import is_recording_id
from storage.types import RecordingId, RecordingRow

_GLASS = "any reason: whether break-glass is theirs"


class RecordingLookup:
    """Finds recordings for people and tokens; blocks. Refusals are logged."""

    def __init__(self, deps: ConsoleDeps, audit_service: AuditService) -> None:
        self._deps = deps
        self._audit_service = audit_service

    def leave(self, actor: Actor, recording_id: str, wanted: AccessKind = AccessKind.LISTEN) -> AccessRequest | None:
        """Return the access request that lets an actor hear or export a recording now, or None."""
        if not isinstance(actor, Person) or not is_recording_id(recording_id):
            return None
        recording, requests = RecordingId(recording_id), self._deps.hearing.requests
        if not requests.granted(actor.name, recording, wanted):
            return None
        return requests.leave(actor, recording, wanted, self.known(recording))

    def refuse_ended(self, actor: Actor, act: Act, recording_id: str, wanted: AccessKind = AccessKind.LISTEN) -> None:
        """Raise ProblemError 403 if a grant ended because the person's role or teams changed, and nothing else allows.

        Without this, they would be told only that they need a grant, which they believe they have.
        """
        row = self.known(RecordingId(recording_id)) if is_recording_id(recording_id) else None
        if not isinstance(actor, Person) or row is None or not isinstance(may(actor, act, reason=_GLASS), Refusal):
            return
        if self._deps.hearing.requests.has_ended(actor, row, wanted):
            raise self._audit_service.refusal(actor.actor, act, row.id, GRANT_ENDED)

    def known(self, recording: RecordingId) -> RecordingRow | None:
        """Return the row of a whole id, or None; the caller checks the permission."""
        try:
            row = self._deps.index.get(recording)
        except NotFoundError:
            return None
        return row if row.id == recording else None

    def refuse_locked_for(self, actor: Actor, act: Act, row: RecordingRow) -> None:
        """Raise ProblemError 409 if part of a recording is to be erased, or its use is restricted."""
        try:
            refuse_locked(self._deps.repos.erasures, row.id)
            refuse_restricted(Claims(self._deps.repos.index.database), row.id, self._deps.now())
        except ProblemError as error:
            self._audit_service.refusal(actor.actor, act, row.id, error.detail)
            raise

    def row(
        self, actor: Actor, act: Act, recording_id: str, *, reason: str = "", has_grant: bool = False
    ) -> RecordingRow:
        """Return a recording, if an actor may do an act on it.

        Args:
            actor: Who.
            act: What.
            recording_id: The whole id.
            reason: Why, for acts that take a reason.
            has_grant: Whether they have an access grant for it.

        Raises:
            ProblemError: 403, their role may not; 404, it is missing or not theirs; 422, the reason is missing.
        """
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
