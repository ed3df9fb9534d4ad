"""HTTP interface of the console for opt-outs, under /api/."""

from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from recorder.control.client import OptOutGrant
from recorder.notifications.kinds import NotificationKind
from recorder.permissions import MAX_REASON_CHARACTERS
from recorder.web.api import PROBLEMS
from recorder.web.live_routes import ActReason, CallPath
from recorder.web.parts import ApiChanger, ApiReader, Console
from recorder.web.settling import settle

router = APIRouter(prefix="/api", responses={**PROBLEMS, 409: PROBLEMS[403]})

RequestPath = Annotated[str, Path(description="The request's id, from GET /api/opt-outs", max_length=40)]


class GrantOrder(BaseModel):
    """A manager's statements for an opt-out."""

    model_config = ConfigDict(extra="forbid")
    caller_asked: bool = Field(default=False, description="The caller asked not to be recorded")
    distress_judged: bool = Field(default=False, description="You judged that being recorded distresses the caller")
    reason: str = Field(default="", max_length=MAX_REASON_CHARACTERS)
    erase_before: bool | None = Field(
        default=None,
        description="Erase the recording so far, once a second person agrees; null: by rule",
    )

    def grant(self) -> OptOutGrant:
        """Return the grant for the daemon."""
        return OptOutGrant(**self.model_dump())


class OptOuts(BaseModel):
    """Opt-out requests, oldest first."""

    opt_outs: list[dict[str, Any]]


@router.get("/opt-outs")
def opt_outs(console: Console, caller: ApiReader) -> OptOuts:
    """Opt-out requests of live calls that you are on or manage, including decided ones."""
    return OptOuts(opt_outs=console.opt_outs.requests(caller.actor))


@router.post("/calls/{call}/opt-out-request")
def ask(console: Console, call: CallPath, caller: ApiChanger, why: ActReason | None = None) -> dict[str, Any]:
    """Raise an opt-out request; a manager of the call's team decides."""
    return console.opt_outs.ask(caller.actor, call, why.reason if why else "")


@router.post("/calls/{call}/opt-out")
def opt_out(console: Console, call: CallPath, caller: ApiChanger, order: GrantOrder) -> dict[str, Any]:
    """Stop recording for the rest of a call, without a request. Needs a manager who may grant one."""
    return console.opt_outs.opt_out(caller.actor, call, order.grant())


@router.post("/opt-outs/{request_id}/grant")
def grant(console: Console, request_id: RequestPath, caller: ApiChanger, order: GrantOrder) -> dict[str, Any]:
    """Grant a request: recording stops for the rest of the call. Needs both statements and a reason."""
    answer = console.opt_outs.grant(caller.actor, request_id, order.grant())
    settle(console, request_id, NotificationKind.OPT_OUT_WAITS)
    return answer


@router.post("/opt-outs/{request_id}/decline")
def decline(console: Console, request_id: RequestPath, caller: ApiChanger, why: ActReason) -> dict[str, Any]:
    """Decline a request, with a reason."""
    answer = console.opt_outs.decline(caller.actor, request_id, why.reason)
    settle(console, request_id, NotificationKind.OPT_OUT_WAITS)
    return answer
