"""Who may do what in the console: decided by `recorder.permissions`, and written to the audit log."""

import logging
from typing import Any

from recorder.audit.late_entries import LateEntries
from recorder.common.problems import ProblemError
from recorder.permissions import Act, Actor, Allowed, Refusal
from recorder.rules.authorisation import may
from recorder.web.deps import Audit

logger = logging.getLogger(__name__)


class Rules:
    """Decides for every desk of the console; refusals are audited.

    Args:
        audit: The audit log.
        late: Of the same log: keeps what stands even when it cannot be written.
    """

    def __init__(self, audit: Audit, late: LateEntries) -> None:
        self._audit = audit
        self._late = late

    @property
    def waiting(self) -> int:
        """How many entries of this console wait for a log that could not be written."""
        return self._late.waiting

    def note(self, actor: str, verb: str, subject: str, *, text: str | None = None, **details: Any) -> None:  # noqa: ANN401
        """Write one entry of the audit log.

        Raises:
            ProblemError: It cannot be written; the caller shows nothing.
        """
        if self._late.waiting:
            self._late.catch_up()
        try:
            self._audit.append(act=verb, actor=actor, subject=subject, details=details, text=text)
        except Exception as error:
            logger.exception("the audit log cannot be written")
            raise ProblemError(
                503, "The audit log cannot be written, so nothing can be shown. Ask ICT to look at the recorder."
            ) from error

    def note_late(self, actor: str, verb: str, subject: str, *, text: str | None = None, **details: Any) -> None:  # noqa: ANN401
        """Write one entry of what does not wait for the log: now, or as soon as it can be written. Never raises."""
        self._late.enter(verb, actor, subject, details, text)

    def refuse(self, actor: str, act: str, subject: str, sentence: str, *, status: int = 403) -> ProblemError:
        """Write a refusal to the audit log and return it; it stands even when it can only be written later."""
        self.note_late(actor, "access.refused", subject, text=sentence, act=act)
        return ProblemError(status, sentence)

    def require(self, actor: Actor, act: Act, subject: str = "", **about: Any) -> Allowed:  # noqa: ANN401 - of `may`
        """Return what is allowed, or raise the refusal."""
        decision = may(actor, act, **about)
        if isinstance(decision, Refusal):
            raise self.refuse(actor.actor, act, subject, decision.reason)
        return decision
