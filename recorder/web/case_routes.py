"""Cases of subject access and disclosure, under /api/: opened, searched, matched, dismissed, narrowed, confirmed."""

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from recorder.data_subjects import casework, scoping
from recorder.permissions import MAX_REASON_CHARACTERS
from recorder.rules.cases import Case, CaseKind, LegalGround
from recorder.rules.requesting import MOST_RECORDINGS
from recorder.web.api import PROBLEMS, SearchOrder
from recorder.web.parts import ApiChanger, ApiReader, Console, ConsoleParts

CasePath = Annotated[str, Path(description="The case's reference, SAR-2026-0001", max_length=40)]
_Reason = Annotated[str, Field(max_length=MAX_REASON_CHARACTERS)]
_Recordings = Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=MOST_RECORDINGS)]
router = APIRouter(prefix="/api/cases", responses=PROBLEMS)


class Opening(BaseModel):
    """A case that is opened."""

    model_config = ConfigDict(extra="forbid")
    requester: str = Field(max_length=200, description="Who asks")
    form: str = Field(default="", max_length=200, description="How it came: a letter, by telephone")
    text: _Reason = ""
    received_on: date | None = Field(default=None, description="The day it came; nothing is today")
    disclosure: LegalGround | None = Field(default=None, description="It is a disclosure to others, on this ground")
    search: SearchOrder | None = Field(default=None, description="What they gave: whatever fits it is held")
    hold: int | None = Field(default=None, ge=0, description="So many recordings are to be held, where it is wide")


class Matches(BaseModel):
    """Recordings that a case asks for."""

    model_config = ConfigDict(extra="forbid")
    recordings: _Recordings


class Dismissal(BaseModel):
    """Recordings that a case does not ask for."""

    model_config = ConfigDict(extra="forbid")
    recordings: _Recordings = []
    rest: bool = Field(default=False, description="All that fits and is neither matched nor dismissed")
    reason: _Reason


class Narrowing(BaseModel):
    """What a case holds from now on."""

    model_config = ConfigDict(extra="forbid")
    search: SearchOrder
    reason: _Reason


class ConfirmationBody(BaseModel):
    """That a case holds all that it was opened with."""

    model_config = ConfigDict(extra="forbid")
    reason: _Reason


class CasesAnswer(BaseModel):
    """Cases, those first that are due first."""

    cases: list[dict[str, Any]]


class FoundAnswer(BaseModel):
    """What a search of a case found; it is held."""

    recordings: list[dict[str, Any]]


@router.get("")
def cases(console: Console, caller: ApiReader) -> CasesAnswer:
    """Every case; for whoever works on cases."""
    repos = console.deps.cases
    return CasesAnswer(cases=[casework.case_to_json(repos, one) for one in casework.list_cases(repos, caller.actor)])


@router.post("")
def open_case(console: Console, caller: ApiChanger, opening: Opening) -> dict[str, Any]:
    """Open a case and hold what fits; 409 says how much does, where that is to be confirmed (`hold`)."""
    case = casework.open_case(
        console.deps.cases, caller.actor,
        kind=CaseKind.DISCLOSURE if opening.disclosure else CaseKind.SUBJECT_ACCESS, requester=opening.requester,
        form=opening.form, text=opening.text, received_on=opening.received_on, ground=opening.disclosure,
        search=opening.search.search() if opening.search else None, expected=opening.hold,
    )  # fmt: skip
    return _answer(console, case)


@router.get("/{case_id}")
def case(console: Console, case_id: CasePath, caller: ApiReader) -> dict[str, Any]:
    """One case, with all that happened in it and what it holds by search."""
    return _answer(console, casework.read_case(console.deps.cases, caller.actor, case_id))


@router.post("/{case_id}/search")
def search(console: Console, case_id: CasePath, caller: ApiChanger, order: SearchOrder) -> FoundAnswer:
    """Search for a case; what was found is held until it is matched or dismissed."""
    found = casework.search_for(console.deps.cases, caller.actor, case_id, order.search())
    return FoundAnswer(recordings=[console.deps.row_json(row) for row in found])


@router.post("/{case_id}/match")
def match(console: Console, case_id: CasePath, caller: ApiChanger, found: Matches) -> dict[str, Any]:
    """Take recordings into a case; those that were deleted already are noted, and the rest is taken."""
    return _answer(console, casework.match(console.deps.cases, caller.actor, case_id, found.recordings))


@router.post("/{case_id}/dismiss")
def dismiss(console: Console, case_id: CasePath, caller: ApiChanger, said: Dismissal) -> dict[str, Any]:
    """Say that recordings are not what a case asks for: it holds them for 14 days yet."""
    repos = console.deps.cases
    done = scoping.dismiss(repos, caller.actor, case_id, said.recordings, said.reason, is_rest=said.rest)
    return _answer(console, done)


@router.post("/{case_id}/narrow")
def narrow(console: Console, case_id: CasePath, caller: ApiChanger, said: Narrowing) -> dict[str, Any]:
    """Hold less than a case was opened with; the data protection officer does."""
    done = scoping.narrow_scope(console.deps.cases, caller.actor, case_id, said.search.search(), said.reason)
    return _answer(console, done)


@router.post("/{case_id}/confirm-scope")
def confirm_scope(console: Console, case_id: CasePath, caller: ApiChanger, said: ConfirmationBody) -> dict[str, Any]:
    """Hold all that a case was opened with until it is over; the data protection officer does."""
    return _answer(console, scoping.confirm_scope(console.deps.cases, caller.actor, case_id, said.reason))


def _answer(console: ConsoleParts, case: Case) -> dict[str, Any]:
    repos = console.deps.cases
    return {**casework.case_to_json(repos, case), "scope": scoping.scope_to_json(repos, case)}
