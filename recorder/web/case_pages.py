"""Pages for cases of subject access and disclosure: the list, and one case with its entries."""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from datetime import date
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, UploadFile
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.responses import Response

from recorder.common.problems import ProblemError
from recorder.data_subjects import case_deadlines, casework, scoping, transcripts
from recorder.data_subjects.case_rules import STEPS
from recorder.data_subjects.custody import custody_of
from recorder.permissions import Role
from recorder.rules import wording
from recorder.rules.cases import Case, CaseEvent, CaseKind, CaseState, Decision, LegalGround
from recorder.rules.transcripts import MOST_BYTES, TranscriptError, TranscriptForm, uploaded
from recorder.rules.typed_dates import TypedDateError, date_typed
from recorder.web.auth import ConsoleCaller
from recorder.web.filters import read_form
from recorder.web.pages import search_form
from recorder.web.parts import Console, ConsoleParts, PageChanger, PageReader, Text
from storage.types import RecordingRow, Search

_GROUNDS = {ground: wording.title(ground) for ground in LegalGround}
router = APIRouter(include_in_schema=False)
_Word = Annotated[str, Form(max_length=40)]

_FORMS = frozenset(
    {
        CaseEvent.OPENED, CaseEvent.SEARCHED, CaseEvent.MATCHED, CaseEvent.DISMISSED, CaseEvent.NARROWED,
        CaseEvent.SCOPE_CONFIRMED, CaseEvent.TRANSCRIBED, CaseEvent.DECIDED,
    }
)  # fmt: skip
"""Events that have a form of their own."""


@router.get("/cases")
def cases(console: Console, caller: PageReader) -> HTMLResponse:
    """Show the list, cases due first at the top."""
    return _board(console, caller)


@router.post("/cases")
def open_case(  # noqa: PLR0917 - FastAPI passes them by name
    console: Console, caller: PageChanger, sent: Annotated[dict[str, str], Depends(search_form)], requester: Text = "",
    form: Text = "", text: Text = "", on: _Word = "", ground: _Word = "", hold: _Word = "",
) -> Response:  # fmt: skip
    """Open a case and hold the recordings that fit its search; with a legal ground it is a disclosure."""
    try:
        wanted = _search_in(console, sent)
        case = casework.open_case(
            console.deps.cases, caller.actor, kind=CaseKind.DISCLOSURE if ground else CaseKind.SUBJECT_ACCESS,
            requester=requester, form=form, text=text, received_on=day_typed(on), ground=_ground(ground),
            search=wanted, expected=int(hold) if hold.isascii() and hold.isdigit() else None,
        )  # fmt: skip
    except ProblemError as error:
        if error.status == 503:
            raise
        typed = {"requester": requester, "form": form, "text": text, "on": on, "ground": ground, "hold": hold, **sent}
        return _board(console, caller, problem=error.detail, status=error.status, typed=typed)
    return RedirectResponse(f"/cases/{case.id}", 303)


@router.get("/cases/{case_id}")
def case(console: Console, case_id: str, caller: PageReader) -> HTMLResponse:
    """Show one case."""
    return _page(console, caller, case_id)


@router.post("/cases/{case_id}/step")
def add_event(  # noqa: PLR0917 - FastAPI passes them by name
    console: Console, case_id: str, caller: PageChanger, step: _Word = "", text: Text = "", on: _Word = ""
) -> Response:
    """Write an event into a case."""

    def act() -> None:
        if step not in {*CaseEvent} - _FORMS:
            raise ProblemError(422, "Choose what happened.")
        casework.add_event(console.deps.cases, caller.actor, case_id, CaseEvent(step), text=text, on=day_typed(on))

    return _done(console, caller, case_id, act)


@router.post("/cases/{case_id}/search")
def search(
    console: Console, case_id: str, caller: PageChanger, sent: Annotated[dict[str, str], Depends(search_form)]
) -> HTMLResponse:
    """Search for a case; the search is logged in the case."""
    try:
        wanted = _search_in(console, sent)
        found = list(casework.search_for(console.deps.cases, caller.actor, case_id, wanted))
    except ProblemError as error:
        if error.status == 503:
            raise
        return _page(console, caller, case_id, problem=error.detail, status=error.status)
    return _page(console, caller, case_id, found=found)


@router.post("/cases/{case_id}/match")
def match(console: Console, case_id: str, caller: PageChanger, recordings: Text = "") -> Response:
    """Match recordings to a case, which holds them."""

    def act() -> None:
        casework.match(console.deps.cases, caller.actor, case_id, recordings.replace(",", " ").split())

    return _done(console, caller, case_id, act)


@router.post("/cases/{case_id}/dismiss")
def dismiss(console: Console, case_id: str, caller: PageChanger, recordings: Text = "", text: Text = "") -> Response:
    """Dismiss recordings."""

    def act() -> None:
        which = recordings.replace(",", " ").split()
        scoping.dismiss(console.deps.cases, caller.actor, case_id, which, text, is_rest=not which)

    return _done(console, caller, case_id, act)


@router.post("/cases/{case_id}/confirm-scope")
def confirm_scope(console: Console, case_id: str, caller: PageChanger, text: Text = "") -> Response:
    """Confirm a case's wide hold."""

    def act() -> None:
        scoping.confirm_scope(console.deps.cases, caller.actor, case_id, text)

    return _done(console, caller, case_id, act)


@router.post("/cases/{case_id}/narrow")
def narrow(
    console: Console, case_id: str, caller: PageChanger, sent: Annotated[dict[str, str], Depends(search_form)],
    text: Text = "",
) -> Response:  # fmt: skip
    """Narrow a case's hold."""

    def act() -> None:
        scoping.narrow_scope(console.deps.cases, caller.actor, case_id, _search_in(console, sent), text)

    return _done(console, caller, case_id, act)


@router.post("/cases/{case_id}/decide")
def decide(  # noqa: PLR0917 - FastAPI passes them by name
    console: Console, case_id: str, caller: PageChanger, decision: _Word = "", text: Text = "", balance: Text = ""
) -> Response:
    """Decide a case that somebody else opened."""

    def act() -> None:
        if decision not in {*Decision}:
            raise ProblemError(422, "Choose how to decide.")
        details = {"decision": decision, "balance": balance}
        casework.add_event(console.deps.cases, caller.actor, case_id, CaseEvent.DECIDED, text=text, details=details)

    return _done(console, caller, case_id, act)


@router.post("/cases/{case_id}/transcript")
def transcribe(  # noqa: PLR0917 - FastAPI passes them by name
    console: Console, case_id: str, caller: PageChanger, recording: _Word = "", form: _Word = "",
    transcript: Annotated[str, Form(max_length=60_000)] = "",
) -> Response:  # fmt: skip
    """Store a typed transcript; longer ones are uploaded or given at the shell."""

    def act() -> None:
        if form not in {*TranscriptForm}:
            raise ProblemError(422, "Choose how the transcript is written.")
        content = transcript.encode("utf-8", "replace")
        transcripts.transcribe(
            _transcripts(console), caller.actor, case_id, recording, content=content, form=TranscriptForm(form)
        )

    return _done(console, caller, case_id, act)


@router.post("/cases/{case_id}/transcript-file")
def upload_transcript(
    console: Console, case_id: str, caller: PageChanger, recording: _Word = "", file: UploadFile | None = None
) -> Response:
    """Store an uploaded transcript."""

    def act() -> None:
        if file is None or not file.filename:
            raise ProblemError(422, "Choose a file.")
        try:
            content, form = uploaded(file.filename, file.file.read(MOST_BYTES + 1))
        except TranscriptError as error:
            raise ProblemError(422, str(error)) from error
        transcripts.transcribe(_transcripts(console), caller.actor, case_id, recording, content=content, form=form)

    return _done(console, caller, case_id, act)


@router.get("/cases/{case_id}/transcripts/{one}")
def read_transcript(console: Console, case_id: str, one: str, caller: PageReader) -> HTMLResponse:
    """Show the newest transcript of a recording."""
    text = transcripts.read_of(_transcripts(console), caller.actor, case_id, one).written()
    return console.renderer.page("letter.html", caller, text=text, back=f"/cases/{quote(case_id, safe='')}")


async def _turn(console: Console) -> AsyncIterator[None]:
    async with console.proving:
        yield


@router.get("/cases/{case_id}/custody", dependencies=[Depends(_turn, scope="function")])
def custody(console: Console, case_id: str, caller: PageReader) -> HTMLResponse:
    """Show the chain of custody of a case, with its proof, for printing.

    Reads the whole log and every recording, so one thread at a time does it: pauses need threads too.
    """
    found = custody_of(console.deps.cases, caller.actor, case_id)
    return console.renderer.page("custody.html", caller, custody=found, now=console.deps.now())


def _transcripts(console: ConsoleParts) -> transcripts.TranscriptRepositories:
    deps = console.deps
    return transcripts.TranscriptRepositories(cases=deps.cases, kept=deps.transcripts, open=deps.copy_repositories.open)


def day_typed(typed: str) -> date | None:
    """Parse a day from a form, None if empty; ProblemError 422 if it is invalid."""
    try:
        return date_typed(typed) if typed.strip() else None
    except TypedDateError as error:
        raise ProblemError(422, f"{error}.") from error


def _search_in(console: ConsoleParts, sent: dict[str, str]) -> Search:
    """Parse the search form; ProblemError 422 if it is invalid."""
    form = read_form(sent, console.deps.timezone)
    if form.errors:
        raise ProblemError(422, next(iter(form.errors.values())))
    return form.search


def _ground(word: str) -> LegalGround | None:
    try:
        return LegalGround(word) if word else None
    except ValueError as error:
        raise ProblemError(422, "Choose the legal ground from the list.") from error


def _done(console: ConsoleParts, caller: ConsoleCaller, case_id: str, act: Callable[[], None]) -> Response:
    try:
        act()
    except ProblemError as error:
        if error.status in (404, 503):
            raise
        return _page(console, caller, case_id, problem=error.detail, status=error.status)
    return RedirectResponse(f"/cases/{case_id}", 303)


def _board(
    console: ConsoleParts,
    caller: ConsoleCaller,
    *,
    problem: str = "",
    status: int = 200,
    typed: dict[str, str] | None = None,
) -> HTMLResponse:
    repos = console.deps.cases
    listed = [_told(console, one) for one in casework.list_cases(repos, caller.actor)]
    return console.renderer.page(
        "cases.html", caller, status=status, problem=problem, cases=listed, grounds=_GROUNDS,
        typed=defaultdict(str, typed or {}),
    )  # fmt: skip


def _page(
    console: ConsoleParts, caller: ConsoleCaller, case_id: str, *, problem: str = "", status: int = 200,
    found: list[RecordingRow] | None = None,
) -> HTMLResponse:  # fmt: skip
    case = casework.read_case(console.deps.cases, caller.actor, case_id)
    steps = [step for step in CaseEvent if step in STEPS[case.state] - _FORMS]
    return console.renderer.page(
        "case.html", caller, status=status, problem=problem, steps=steps, found=found, decisions=list(Decision),
        written=console.deps.transcripts.newest(case.id), may_write=case.state is not CaseState.CLOSED,
        is_open=case.state is CaseState.OPEN, grounds=_GROUNDS,
        scope=scoping.scope_to_json(console.deps.cases, case), **_told(console, case),
        is_dpo=caller.person is not None and Role.DPO in caller.person.roles,
    )  # fmt: skip


def _told(console: ConsoleParts, case: Case) -> dict[str, object]:
    repos = console.deps.cases
    return {
        "case": case,
        "due": case_deadlines.due(repos, case),
        "is_pressing": case_deadlines.is_pressing(repos, case),
    }
