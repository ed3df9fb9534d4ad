"""Checks before every route that the caller's role or token permits it.

Whether a recording, call or request belongs to the caller is decided later, by the rules of each feature.
"""

from collections.abc import Callable, Collection

from starlette.requests import Request

from recorder.audit.audit_service import AuditService
from recorder.common.problems import ProblemError
from recorder.permissions import Act, Actor, Application, Person, Refusal
from recorder.rules.authorisation import may
from recorder.rules.requirement import Requirement, missing_act
from recorder.web.path_ids import id_in_path
from recorder.web.route_access import requirement_of


def access_of(request: Request) -> Requirement | None:
    """Return what the route of a request requires; None if it does not know the word in the path.

    Raises:
        UnlistedError: The route is in no table.
    """
    return requirement_of(f"{request.method} {request.scope['route'].path}", request.path_params)


class Admission:
    """Checks requests against `recorder.web.route_access`; logs refusals.

    Args:
        audit_service: Logs the refusals.
        deputies: Returns the accounts of the data protection officer's deputies; blocks.
    """

    def __init__(self, audit_service: AuditService, deputies: Callable[[], Collection[str]]) -> None:
        self._audit_service = audit_service
        self._deputies = deputies

    def check(self, request: Request, actor: Actor) -> None:
        """Check that the caller has the role, or the token the scope, that the route needs.

        Raises:
            ProblemError: 403, they do not.
            UnlistedError: The route is in no table.
        """
        needed = access_of(request)
        if needed is None:
            return
        act = missing_act(actor, needed)
        if act is None and not (needed.is_personal and isinstance(actor, Application)):
            return
        if needed.is_deputys and isinstance(actor, Person) and actor.name in self._deputies():
            return
        raise self._refusal(request, actor, act or needed.acts[0])

    def _refusal(self, request: Request, actor: Actor, act: Act) -> ProblemError:
        decision = may(actor, act, reason="asked elsewhere", has_grant=True)
        refusal = decision if isinstance(decision, Refusal) else Refusal("This is for people, not for tokens.")
        subject = id_in_path(request.path_params)
        return self._audit_service.refusal(actor.actor, act, subject, refusal.reason, lacks_role=refusal.lacks_role)
