"""Authorises people's acts and writes their audit entries before the acts are done; a refusal is an entry too."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from recorder.audit.late_entries import LateEntries
from recorder.common.problems import ProblemError
from recorder.permissions import Act, Actor, Allowed, DeniedError, Fault, Person, Refusal
from recorder.rules.authorisation import may
from recorder.rules.fault_status import FAULT_STATUS
from recorder.rules.requesting import Approvers
from storage.audit import AuditLog
from storage.errors import AuditUnavailableError

_log = logging.getLogger(__name__)

REFUSED = "access.refused"
NOT_WRITTEN = "The audit log cannot be written, so nothing was done. Ask ICT to look at the recorder."
DEPUTY_UNPROVEN = (
    "As deputy of the data protection officer you need a second factor: set up an authenticator on "
    "the page of your account, and sign in again."
)


def incomplete(sentence: str, name: str) -> ProblemError:
    """Return the problem of a field that is incomplete or wrong."""
    return ProblemError(FAULT_STATUS[Fault.INCOMPLETE], sentence, fields={name: sentence})


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditService:
    """Authorises acts of people, and writes them and their refusals to the audit log.

    Attributes:
        late: Queues entries that do not wait for the log while it cannot be written.
        origin: Facts for every entry: where the acts come from.
    """

    audit: AuditLog
    late: LateEntries
    origin: Mapping[str, str] = field(default_factory=dict)

    def note(
        self, act: str, actor: str, subject: str, details: Mapping[str, Any] | None = None, *, text: str | None = None
    ) -> None:
        """Write the entry of an act that is about to be done or shown.

        Raises:
            ProblemError: 503: it cannot be written, so nothing may be done or shown.
        """
        if self.late.waiting:
            self.late.catch_up()
        try:
            self.audit.append(
                act=act, actor=actor, subject=subject, details={**(details or {}), **self.origin}, text=text or None
            )
        except AuditUnavailableError as error:
            _log.error("%s; an act was not done", error)
            raise ProblemError(503, NOT_WRITTEN) from error

    def note_late(
        self, act: str, actor: str, subject: str, details: Mapping[str, Any] | None = None, *, text: str | None = None
    ) -> None:
        """Write the entry of an act that does not wait for the log, now or once it can be written. Never raises."""
        self.late.enter(act, actor, subject, {**(details or {}), **self.origin}, text)

    def refusal(
        self, actor: str, act: str, subject: str, sentence: str, *, status: int = 403, lacks_role: bool = False
    ) -> ProblemError:
        """Write a refusal and return it. It is in effect while the log cannot be written; its entry follows."""
        self.note_late(REFUSED, actor, subject, {"act": act}, text=sentence)
        return ProblemError(status, sentence, lacks_role=lacks_role)

    def denied(self, actor: Actor, act: Act, subject: str, error: DeniedError | Refusal) -> ProblemError:
        """Return a denied act with the status of its fault, after its entry; a field that is incomplete has none."""
        sentence = error.reason if isinstance(error, Refusal) else str(error)
        if error.fault is Fault.INCOMPLETE and error.field:
            return incomplete(sentence, error.field)
        lacks_role = isinstance(error, Refusal) and error.lacks_role
        return self.refusal(
            actor.actor, act, subject, sentence, status=FAULT_STATUS[error.fault], lacks_role=lacks_role
        )

    def authorise(self, actor: Actor, act: Act, subject: str = "", **about: Any) -> Allowed:  # noqa: ANN401 - of `may`
        """Return what an actor's role allows; ``about`` is as for `recorder.rules.authorisation.may`.

        Raises:
            ProblemError: 403: it does not allow it; the refusal is in the audit log. 422: the reason is missing.
        """
        decision = may(actor, act, **about)
        if isinstance(decision, Refusal):
            raise self.denied(actor, act, subject, decision)
        return decision

    def require(
        self, actor: Actor, act: Act, subject: str, *, reason: str = "asked below", has_grant: bool = False
    ) -> Person:
        """Return the person whose role allows an act.

        Raises:
            ProblemError: 403: it does not, or the actor is not a person; the refusal is in the audit log. 422, as for
                `authorise`.
        """
        self.authorise(actor, act, subject, reason=reason, has_grant=has_grant)
        if not isinstance(actor, Person):
            raise self.refusal(actor.actor, act, subject, "This takes a person with an account.")
        return actor

    def require_protector(self, actor: Actor, act: Act, subject: str, approvers: Approvers) -> Person:
        """Return the person whose role allows an act, or who is the data protection officer's deputy.

        A deputy may be an officer who signed in without a second factor; then they do not count as deputy.

        Raises:
            ProblemError: 403, as for `require`.
        """
        if not isinstance(actor, Person) or actor.name not in approvers.deputies:
            return self.require(actor, act, subject)
        if not actor.is_proven:
            raise self.refusal(actor.actor, act, subject, DEPUTY_UNPROVEN)
        return actor
