"""HTTP interface for orders to erase, under /api/."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from recorder.permissions import MAX_REASON_CHARACTERS
from recorder.retention.erasing import forgot_recording, order_erasure
from recorder.retention.erasure_decisions import decide_erasure
from recorder.retention.erasure_repositories import order_to_json
from recorder.web.api import PROBLEMS, RecordingPath
from recorder.web.erasures import approval_to_json, orders_for, three_of
from recorder.web.parts import ApiChanger, ApiReader, Console
from storage.retention_types import ErasureKind

OrderPath = Annotated[str, Path(description="The order's id, from GET /api/erasures", max_length=40)]
_Seconds = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]


_THIRD = "Account of the third approver, for over 60 s of a held recording"


class ErasureRequest(BaseModel):
    """What should have been paused: the last seconds, or a span; by default the whole recording."""

    model_config = ConfigDict(extra="forbid")
    seconds: Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)] | None = None
    from_s: _Seconds | None = None
    to_s: _Seconds | None = Field(default=None, description="Left out: the end of the recording")
    reason: str = Field(default="", max_length=MAX_REASON_CHARACTERS)
    third: str = Field(default="", max_length=40, description=_THIRD)

    @property
    def span_s(self) -> tuple[float, float | None] | None:
        """The span, or None."""
        if self.from_s is None and self.to_s is None:
            return None
        return (self.from_s or 0.0, self.to_s)


class Erasing(BaseModel):
    """A span to erase."""

    model_config = ConfigDict(extra="forbid")
    from_s: _Seconds
    to_s: _Seconds | None = Field(description="null is the end of the recording")
    kind: Literal["card_data", "other"] = "card_data"
    reason: str = Field(max_length=MAX_REASON_CHARACTERS)
    third: str = Field(default="", max_length=40, description=_THIRD)


class DecisionBody(BaseModel):
    """Reason of a decision on an order."""

    model_config = ConfigDict(extra="forbid")
    reason: str = Field(default="", max_length=MAX_REASON_CHARACTERS)


class ErasureList(BaseModel):
    """Orders to erase, newest first."""

    erasures: list[dict[str, Any]]


router = APIRouter(prefix="/api", responses=PROBLEMS)


@router.post("/recordings/{recording_id}/forgot")
def forgot(console: Console, recording_id: RecordingPath, caller: ApiChanger, what: ErasureRequest) -> dict[str, Any]:
    """Order the erasure of what should have been paused in a finished recording, which is locked until then."""
    order = forgot_recording(
        console.deps.repos,
        caller.actor,
        recording_id,
        seconds=what.seconds,
        span_s=what.span_s,
        reason=what.reason,
        third=what.third,
    )
    return order_to_json(order)


@router.post("/recordings/{recording_id}/erase")
def erase(console: Console, recording_id: RecordingPath, caller: ApiChanger, what: Erasing) -> dict[str, Any]:
    """Order the erasure of a span of a finished recording. Needs a signed-in person and a reason."""
    order = order_erasure(
        console.deps.repos,
        caller.actor,
        recording_id,
        span_s=(what.from_s, what.to_s),
        kind=ErasureKind(what.kind),
        reason=what.reason,
        third=what.third,
    )
    return order_to_json(order)


@router.get("/erasures")
def erasures(console: Console, caller: ApiReader) -> ErasureList:
    """The newest orders to erase. Needs a person who may confirm some."""
    orders = orders_for(console, caller.actor)
    approvals = {one: approval_to_json(*known) for one, known in three_of(console, orders).items()}
    return ErasureList(erasures=[{**order_to_json(order), "approval": approvals.get(order.id)} for order in orders])


@router.post("/erasures/{order_id}/confirm")
def confirm(
    console: Console, order_id: OrderPath, caller: ApiChanger, why: DecisionBody | None = None
) -> dict[str, Any]:
    """Confirm an order, as a second person."""
    reason = why.reason if why else ""
    return order_to_json(decide_erasure(console.deps.repos, caller.actor, order_id, confirm=True, reason=reason))


@router.post("/erasures/{order_id}/decline")
def decline(
    console: Console, order_id: OrderPath, caller: ApiChanger, why: DecisionBody | None = None
) -> dict[str, Any]:
    """Decline an order, as a second person; nothing is erased."""
    reason = why.reason if why else ""
    return order_to_json(decide_erasure(console.deps.repos, caller.actor, order_id, confirm=False, reason=reason))
