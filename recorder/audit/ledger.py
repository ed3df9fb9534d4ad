"""The audit log as acts of people write it: first written, then done; a refusal is an entry too."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from recorder.common.problems import ProblemError
from recorder.permissions import Act, Actor, DeniedError, Person, Refusal
from recorder.rules.authorisation import may
from recorder.rules.fault_status import FAULT_STATUS
from recorder.rules.requesting import Approvers
from storage.audit import AuditLog
from storage.errors import AuditUnavailableError

_log = logging.getLogger(__name__)

DEPUTY_UNPROVEN = (
    "You stand in for the data protection officer, which nobody does on a password alone: set up an authenticator on "
    "the page of your account, and sign in anew."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Writes down what people do.

    Attributes:
        audit: The audit log.
        origin: Facts for every entry: from where the acts come.
    """

    audit: AuditLog
    origin: Mapping[str, str] = field(default_factory=dict)

    def note(self, act: str, actor: str, subject: str, details: Mapping[str, Any], *, text: str = "") -> None:
        """Write down what is about to be done.

        Raises:
            ProblemError: 503: it cannot be written, so it must not be done.
        """
        try:
            self.audit.append(
                act=act, actor=actor, subject=subject, details={**details, **self.origin}, text=text or None
            )
        except AuditUnavailableError as error:
            raise ProblemError(503, "The audit log cannot be written, so nothing was done.") from error

    def refusal(self, actor: Actor, act: Act, subject: str, sentence: str) -> ProblemError:
        """Write down a refusal and return it; it stands even when it cannot be written."""
        try:
            self.audit.append(
                act="access.refused",
                actor=actor.actor,
                subject=subject,
                details={"act": str(act), **self.origin},
                text=sentence,
            )
        except AuditUnavailableError:
            _log.warning("a refusal was not written to the audit log")
        return ProblemError(403, sentence)

    def denied(self, actor: Actor, act: Act, subject: str, error: DeniedError) -> ProblemError:
        """Write down what the rules of an act denied, as `refusal` does, and return it with the status of its fault."""
        refused = self.refusal(actor, act, subject, str(error))
        return ProblemError(FAULT_STATUS[error.fault], refused.detail)

    def require(
        self, actor: Actor, act: Act, subject: str, *, reason: str = "asked below", has_leave: bool = False
    ) -> Person:
        """Return the person whose role allows an act; ``has_leave`` as in `recorder.rules.authorisation.may`.

        Raises:
            ProblemError: 403: it does not, or it is no person; that is written down.
        """
        decision = may(actor, act, reason=reason, has_leave=has_leave)
        if isinstance(decision, Refusal):
            raise self.refusal(actor, act, subject, decision.reason)
        if not isinstance(actor, Person):
            raise self.refusal(actor, act, subject, "This takes a person with an account.")
        return actor

    def require_protector(self, actor: Actor, act: Act, subject: str, approvers: Approvers) -> Person:
        """Return the person whose role allows an act, or who stands in for the data protection officer.

        A deputy may be an officer, who signs in without a second factor; they do not stand in then.

        Raises:
            ProblemError: 403, as `require`.
        """
        if not isinstance(actor, Person) or actor.name not in approvers.deputies:
            return self.require(actor, act, subject)
        if not actor.is_proven:
            raise self.refusal(actor, act, subject, DEPUTY_UNPROVEN)
        return actor
