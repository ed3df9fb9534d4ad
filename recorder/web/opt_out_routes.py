"""The HTTP+JSON interface of the console to the opt-out workflow, under /api/."""

from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from recorder.control.client import OptOutGrant
from recorder.permissions import MAX_REASON_CHARACTERS
from recorder.web.api import PROBLEMS
from recorder.web.live_routes import ActReason, CallPath
from recorder.web.parts import ApiChanger, ApiReader, Console

router = APIRouter(prefix="/api", responses={**PROBLEMS, 409: PROBLEMS[403]})

RequestPath = Annotated[str, Path(description="The request's id, from GET /api/opt-outs", max_length=40)]


class GrantOrder(BaseModel):
    """What a manager puts their name to."""

    model_config = ConfigDict(extra="forbid")
    caller_asked: bool = Field(default=False, description="The caller asked not to be recorded")
    distress_judged: bool = Field(default=False, description="You judged that being recorded distresses the caller")
    reason: str = Field(default="", max_length=MAX_REASON_CHARACTERS)
    erase_before: bool | None = Field(
        default=None,
        description="Erase what was recorded before, once a second person agrees; null: by rule",
    )

    def grant(self) -> OptOutGrant:
        """Return it in the daemon's words."""
        return OptOutGrant(**self.model_dump())


class OptOuts(BaseModel):
    """Requests to opt out, oldest first."""

    opt_outs: list[dict[str, Any]]


@router.get("/opt-outs")
def opt_outs(console: Console, caller: ApiReader) -> OptOuts:
    """Requests of the calls in progress that you are on or answer for, decided ones too."""
    return OptOuts(opt_outs=console.opt_outs.requests(caller.actor))


@router.post("/calls/{call}/opt-out-request")
def ask(console: Console, call: CallPath, caller: ApiChanger, why: ActReason | None = None) -> dict[str, Any]:
    """Ask that a call be recorded no longer; a manager of its team decides."""
    return console.opt_outs.ask(caller.actor, call, why.reason if why else "")


@router.post("/calls/{call}/opt-out")
def opt_out(console: Console, call: CallPath, caller: ApiChanger, order: GrantOrder) -> dict[str, Any]:
    """Stop recording for the rest of a call: raised and granted in one, by a manager who may grant it."""
    return console.opt_outs.opt_out(caller.actor, call, order.grant())


@router.post("/opt-outs/{request_id}/grant")
def grant(console: Console, request_id: RequestPath, caller: ApiChanger, order: GrantOrder) -> dict[str, Any]:
    """Grant a request: recording ends for the rest of its call; takes both statements and a reason."""
    return console.opt_outs.grant(caller.actor, request_id, order.grant())


@router.post("/opt-outs/{request_id}/decline")
def decline(console: Console, request_id: RequestPath, caller: ApiChanger, why: ActReason) -> dict[str, Any]:
    """Decline a request, for a reason."""
    return console.opt_outs.decline(caller.actor, request_id, why.reason)
