"""HTTP interface for legal holds, under /api/."""

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from recorder.permissions import MAX_REASON_CHARACTERS, Act
from recorder.retention.hold_lists import hold_to_json, holds_listed, holds_shown
from recorder.retention.holding import place_hold, reinstate_hold, release_hold, review_hold
from recorder.rules.holds import HoldWish
from recorder.web.api import PROBLEMS, RecordingPath
from recorder.web.parts import ApiChanger, ApiReader, Console, ConsoleParts
from storage.retention_types import Hold, HoldKind

HoldPath = Annotated[str, Path(description="The hold's id, from GET /api/holds", max_length=40)]
_Name = Annotated[str, Field(max_length=100)]
_Reason = Annotated[str, Field(max_length=MAX_REASON_CHARACTERS)]


class NewHold(BaseModel):
    """A hold to place."""

    model_config = ConfigDict(extra="forbid")
    kind: HoldKind
    reason: _Reason
    case_reference: _Name = Field(default="", description="May be left out for training only")
    owner: _Name = Field(default="", description="An account; by default the person who places it")
    review_on: date | None = Field(default=None, description="At most a year away; by default by kind")
    against: list[_Name] = Field(default=[], max_length=20, description="People complained about")


class HoldReason(BaseModel):
    """Reason of a release or reinstatement."""

    model_config = ConfigDict(extra="forbid")
    reason: _Reason


class Review(BaseModel):
    """A review of a hold that is still needed."""

    model_config = ConfigDict(extra="forbid")
    reason: _Reason
    review_on: date | None = Field(default=None, description="Next review; by default by kind")
    owner: _Name = Field(default="", description="New owner; by default unchanged")


class HoldsAnswer(BaseModel):
    """Legal holds."""

    holds: list[dict[str, Any]]


router = APIRouter(prefix="/api", responses=PROBLEMS)


@router.get("/recordings/{recording_id}/holds")
def of_recording(console: Console, recording_id: RecordingPath, caller: ApiReader) -> HoldsAnswer:
    """All holds of one recording, oldest first, including ended ones. Needs a person who may place some."""
    console.audit_service.authorise(caller.actor, Act.PLACE_HOLD, recording_id, reason="shown")
    row = console.recording_service.view(caller.actor, recording_id)
    return _answer(console, holds_shown(console.deps.hold_repositories, caller.actor, row))


@router.post("/recordings/{recording_id}/holds")
def place(console: Console, recording_id: RecordingPath, caller: ApiChanger, wish: NewHold) -> dict[str, Any]:
    """Hold a finished recording or a live call. Needs a signed-in person and a reason."""
    wanted = HoldWish(
        kind=wish.kind,
        reason=wish.reason,
        case_reference=wish.case_reference,
        owner=wish.owner,
        review_on=wish.review_on,
        against=tuple(wish.against),
    )
    return _one(console, place_hold(console.deps.hold_repositories, caller.actor, recording_id, wanted))


@router.get("/holds")
def holds(
    console: Console,
    caller: ApiReader,
    due: Annotated[bool, Query(description="Only holds due for review")] = False,
) -> HoldsAnswer:
    """Holds in force, by the day of their review; a manager sees those of their teams."""
    return _answer(console, holds_listed(console.deps.hold_repositories, caller.actor, is_due=due))


@router.post("/holds/{hold_id}/release")
def release(console: Console, hold_id: HoldPath, caller: ApiChanger, why: HoldReason) -> dict[str, Any]:
    """Release a hold; the recording is kept for 14 more days, in which the hold can be reinstated."""
    return _one(console, release_hold(console.deps.hold_repositories, caller.actor, hold_id, reason=why.reason))


@router.post("/holds/{hold_id}/reinstate")
def reinstate(console: Console, hold_id: HoldPath, caller: ApiChanger, why: HoldReason) -> dict[str, Any]:
    """Reinstate a released hold, within its 14 days."""
    return _one(console, reinstate_hold(console.deps.hold_repositories, caller.actor, hold_id, reason=why.reason))


@router.post("/holds/{hold_id}/review")
def review(console: Console, hold_id: HoldPath, caller: ApiChanger, why: Review) -> dict[str, Any]:
    """Review a hold: why it is still needed, when to review it next, and who is responsible."""
    done = review_hold(
        console.deps.hold_repositories,
        caller.actor,
        hold_id,
        reason=why.reason,
        review_on=why.review_on,
        owner=why.owner,
    )
    return _one(console, done)


def _one(console: ConsoleParts, hold: Hold) -> dict[str, Any]:
    return hold_to_json(hold, console.deps.now())


def _answer(console: ConsoleParts, holds: list[Hold]) -> HoldsAnswer:
    return HoldsAnswer(holds=[_one(console, hold) for hold in holds])
