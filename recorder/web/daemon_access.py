"""The console's requests to the daemon: permission is checked first, and errors become problems."""

from collections.abc import Callable
from typing import TypeVar

from recorder.audit.audit_service import AuditService
from recorder.common.problems import ProblemError
from recorder.control.errors import DaemonRefusedError, DaemonUnavailableError
from recorder.permissions import Act, Actor, Person
from recorder.web.deps import Live

T = TypeVar("T")


class DaemonAccess:
    """Asks the daemon. Blocks."""

    def __init__(self, live: Live, audit_service: AuditService) -> None:
        self._live = live
        self.audit_service = audit_service

    def ask(self, question: Callable[[Live], T]) -> T:
        """Return the daemon's answer.

        Raises:
            ProblemError: 504, the daemon did not confirm. Other refusals keep their status and message.
        """
        try:
            return question(self._live)
        except DaemonUnavailableError as error:
            raise _not_confirmed(error) from error
        except DaemonRefusedError as error:
            if error.status == 504:
                raise _not_confirmed(error) from error
            status = error.status if 400 <= error.status < 500 or error.status == 503 else 502
            raise ProblemError(status, str(error)) from error

    def person(self, actor: Actor, act: Act, subject: str, reason: str) -> Person:
        """Return the person, if their role permits an act that only people may do.

        Raises:
            ProblemError: 403, it does not.
        """
        self.audit_service.authorise(actor, act, subject, reason=reason)
        assert isinstance(actor, Person), "the table gives these acts to nobody else"
        return actor


def _not_confirmed(error: Exception) -> ProblemError:
    return ProblemError(504, str(error), title="Not confirmed", extra={"state": "not_confirmed"})
