"""HTTP interface for cases of subject access and disclosure, under /api/."""

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
    """A case to open."""

    model_config = ConfigDict(extra="forbid")
    requester: str = Field(max_length=200, description="Who asks")
    form: str = Field(default="", max_length=200, description="How the request came: letter, by telephone")
    text: _Reason = ""
    received_on: date | None = Field(default=None, description="The day the request came; by default today")
    disclosure: LegalGround | None = Field(default=None, description="Makes it a disclosure to others, on this ground")
    search: SearchOrder | None = Field(default=None, description="Details they gave; recordings that fit are held")
    hold: int | None = Field(default=None, ge=0, description="Number of recordings to hold, if the search is wide")


class Matches(BaseModel):
    """Recordings to match to a case."""

    model_config = ConfigDict(extra="forbid")
    recordings: _Recordings


class Dismissal(BaseModel):
    """Recordings to dismiss from a case."""

    model_config = ConfigDict(extra="forbid")
    recordings: _Recordings = []
    rest: bool = Field(default=False, description="All that fit and are neither matched nor dismissed")
    reason: _Reason


class Narrowing(BaseModel):
    """A narrower search for a case's hold."""

    model_config = ConfigDict(extra="forbid")
    search: SearchOrder
    reason: _Reason


class ConfirmationBody(BaseModel):
    """A confirmation of a case's wide hold."""

    model_config = ConfigDict(extra="forbid")
    reason: _Reason


class CasesAnswer(BaseModel):
    """Cases, those due first at the top."""

    cases: list[dict[str, Any]]


class FoundAnswer(BaseModel):
    """Recordings that a search for a case found; they are held."""

    recordings: list[dict[str, Any]]


@router.get("")
def cases(console: Console, caller: ApiReader) -> CasesAnswer:
    """All cases. Needs a person who works on cases."""
    repos = console.deps.cases
    return CasesAnswer(cases=[casework.case_to_json(repos, one) for one in casework.list_cases(repos, caller.actor)])


@router.post("")
def open_case(console: Console, caller: ApiChanger, opening: Opening) -> dict[str, Any]:
    """Open a case and hold the recordings that fit; 409 says how many fit, if `hold` must confirm that number."""
    case = casework.open_case(
        console.deps.cases, caller.actor,
        kind=CaseKind.DISCLOSURE if opening.disclosure else CaseKind.SUBJECT_ACCESS, requester=opening.requester,
        form=opening.form, text=opening.text, received_on=opening.received_on, ground=opening.disclosure,
        search=opening.search.search() if opening.search else None, expected=opening.hold,
    )  # fmt: skip
    return _answer(console, case)


@router.get("/{case_id}")
def case(console: Console, case_id: CasePath, caller: ApiReader) -> dict[str, Any]:
    """One case, with its entries and its holds by search."""
    return _answer(console, casework.read_case(console.deps.cases, caller.actor, case_id))


@router.post("/{case_id}/search")
def search(console: Console, case_id: CasePath, caller: ApiChanger, order: SearchOrder) -> FoundAnswer:
    """Search for a case; results are held until they are matched or dismissed."""
    found = casework.search_for(console.deps.cases, caller.actor, case_id, order.search())
    return FoundAnswer(recordings=[console.deps.row_json(row) for row in found])


@router.post("/{case_id}/match")
def match(console: Console, case_id: CasePath, caller: ApiChanger, found: Matches) -> dict[str, Any]:
    """Match recordings to a case; those already deleted are noted in it."""
    return _answer(console, casework.match(console.deps.cases, caller.actor, case_id, found.recordings))


@router.post("/{case_id}/dismiss")
def dismiss(console: Console, case_id: CasePath, caller: ApiChanger, said: Dismissal) -> dict[str, Any]:
    """Dismiss recordings from a case; they are held for 14 more days."""
    repos = console.deps.cases
    done = scoping.dismiss(repos, caller.actor, case_id, said.recordings, said.reason, is_rest=said.rest)
    return _answer(console, done)


@router.post("/{case_id}/narrow")
def narrow(console: Console, case_id: CasePath, caller: ApiChanger, said: Narrowing) -> dict[str, Any]:
    """Narrow a case's hold. Needs the data protection officer."""
    done = scoping.narrow_scope(console.deps.cases, caller.actor, case_id, said.search.search(), said.reason)
    return _answer(console, done)


@router.post("/{case_id}/confirm-scope")
def confirm_scope(console: Console, case_id: CasePath, caller: ApiChanger, said: ConfirmationBody) -> dict[str, Any]:
    """Confirm a case's wide hold until the case is over. Needs the data protection officer."""
    return _answer(console, scoping.confirm_scope(console.deps.cases, caller.actor, case_id, said.reason))


def _answer(console: ConsoleParts, case: Case) -> dict[str, Any]:
    repos = console.deps.cases
    return {**casework.case_to_json(repos, case), "scope": scoping.scope_to_json(repos, case)}
