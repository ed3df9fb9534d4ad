"""HTTP interface for access requests, under /api/."""

from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from recorder.access.listening import asking
from recorder.notifications.kinds import NotificationKind
from recorder.permissions import MAX_REASON_CHARACTERS
from recorder.rules.requesting import (
    GRANT_DAYS,
    MAX_REFERENCE_CHARACTERS,
    MOST_GRANT_DAYS,
    MOST_RECORDINGS,
    AccessKind,
    Category,
    RequestWish,
)
from recorder.web.api import PROBLEMS
from recorder.web.parts import ApiChanger, ApiReader, Console
from recorder.web.settling import settle
from storage.types import RecordingId

RequestPath = Annotated[str, Path(description="The request's id, from GET /api/requests", max_length=40)]
_Reason = Annotated[str, Field(max_length=MAX_REASON_CHARACTERS)]
router = APIRouter(prefix="/api/requests", responses=PROBLEMS)


class NewAccessRequest(BaseModel):
    """An access request."""

    model_config = ConfigDict(extra="forbid")
    recordings: list[Annotated[str, Field(max_length=100)]] = Field(min_length=1, max_length=MOST_RECORDINGS)
    category: Category
    reason: _Reason
    leave: AccessKind = AccessKind.LISTEN
    reference: str = Field(default="", max_length=MAX_REFERENCE_CHARACTERS, description="Members must give one")


class Grant(BaseModel):
    """A grant."""

    model_config = ConfigDict(extra="forbid")
    words: _Reason = ""
    days: int = Field(default=GRANT_DAYS, ge=1, le=MOST_GRANT_DAYS, description="Length of the grant, days")
    whole_call: bool = Field(
        default=False, description="The whole of each call, for a complaint; give the reason in `words`"
    )


class RefusalBody(BaseModel):
    """A refusal, with the reason."""

    model_config = ConfigDict(extra="forbid")
    words: _Reason


class RequestsAnswer(BaseModel):
    """Access requests."""

    requests: list[dict[str, Any]]


@router.get("")
def requests(console: Console, caller: ApiReader) -> RequestsAnswer:
    """Your own requests, or all requests if you decide on them; newest first."""
    seen = asking.seen(console.deps.hearing, caller.actor)
    return RequestsAnswer(requests=[asking.request_to_json(request) for request in seen])


@router.post("")
def ask(console: Console, caller: ApiChanger, wish: NewAccessRequest) -> dict[str, Any]:
    """Ask for access to recordings. Needs a signed-in person."""
    wanted = RequestWish(
        recordings=tuple(map(RecordingId, wish.recordings)), category=wish.category, reason=wish.reason,
        leave=wish.leave, reference=wish.reference,
    )  # fmt: skip
    return asking.request_to_json(asking.ask(console.deps.hearing, caller.actor, wanted))


@router.post("/{request_id}/grant")
def grant(console: Console, request_id: RequestPath, caller: ApiChanger, said: Grant) -> dict[str, Any]:
    """Grant a request for some days."""
    hearing = console.deps.hearing
    done = asking.decide(
        hearing, caller.actor, request_id, granted=True, words=said.words, days=said.days, is_whole=said.whole_call
    )
    settle(console, request_id, NotificationKind.REQUEST_WAITS)
    return asking.request_to_json(done)


@router.post("/{request_id}/decline")
def decline(console: Console, request_id: RequestPath, caller: ApiChanger, said: RefusalBody) -> dict[str, Any]:
    """Decline a request, with the reason."""
    done = asking.decide(console.deps.hearing, caller.actor, request_id, granted=False, words=said.words)
    settle(console, request_id, NotificationKind.REQUEST_WAITS)
    return asking.request_to_json(done)


@router.post("/{request_id}/withdraw")
def withdraw(console: Console, request_id: RequestPath, caller: ApiChanger) -> dict[str, Any]:
    """Withdraw your own request."""
    withdrawn = asking.withdraw(console.deps.hearing, caller.actor, request_id)
    settle(console, request_id, NotificationKind.REQUEST_WAITS)
    return asking.request_to_json(withdrawn)
