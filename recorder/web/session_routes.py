"""The remaining time of a session, at /api/session, for pages that warn before it ends."""

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from recorder.common.problems import ProblemError
from recorder.web.api import PROBLEMS
from recorder.web.auth import SIGN_IN_SENTENCE, ConsoleCaller
from recorder.web.parts import ApiChanger, Console

router = APIRouter(prefix="/api", responses=PROBLEMS)


class SessionLeft(BaseModel):
    """Remaining time of a session."""

    idle_left_s: float = Field(description="Seconds until it ends without activity")
    left_s: float = Field(description="Seconds until it ends despite activity; never during a call at your phone")


@router.get("/session")
def session_left(request: Request, console: Console) -> SessionLeft:
    """Return the remaining time of this session; this request is no activity."""
    return _left(console.gate.by_any(request, is_activity=False))


@router.post("/session")
def keep_session(caller: ApiChanger) -> SessionLeft:
    """Keep this session alive, because the person confirmed that they are still there."""
    return _left(caller)


def _left(caller: ConsoleCaller) -> SessionLeft:
    if caller.session is None:
        raise ProblemError(404, f"A token has no session. {SIGN_IN_SENTENCE}")
    return SessionLeft(idle_left_s=caller.session.idle_left_s, left_s=caller.session.left_s)
