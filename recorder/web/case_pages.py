"""Pages for cases of subject access and disclosure: the list, and one case with its entries."""

from collections.abc import AsyncIterator, Callable
from datetime import date
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, UploadFile
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.responses import Response

from recorder.audit.audit_service import incomplete
from recorder.common.problems import ProblemError
from recorder.data_subjects import case_deadlines, casework, scoping, transcripts
from recorder.data_subjects.case_rules import STEPS
from recorder.data_subjects.custody import custody_of
from recorder.notifications.kinds import NotificationKind
from recorder.permissions import Role
from recorder.rules import wording
from recorder.rules.cases import Case, CaseEvent, CaseKind, CaseState, Decision, LegalGround
from recorder.rules.transcripts import MOST_BYTES, TranscriptError, TranscriptForm, uploaded
from recorder.rules.typed_dates import TypedDateError, date_typed
from recorder.web.auth import ConsoleCaller
from recorder.web.filters import read_form
from recorder.web.forms import EMPTY, Sent, TypedForm
from recorder.web.pages import search_form
from recorder.web.parts import Console, ConsoleParts, PageChanger, PageReader, Text
from recorder.web.settling import settle
from storage.types import RecordingRow, Search

_GROUNDS = {ground: wording.title(ground) for ground in LegalGround}
router = APIRouter(include_in_schema=False)
_Word = Annotated[str, Form(max_length=40)]
SearchFields = Annotated[dict[str, str], Depends(search_form)]

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
    console: Console, caller: PageChanger, search: SearchFields, sent: Sent, requester: Text = "",
    form: Text = "", text: Text = "", on: _Word = "", ground: _Word = "", hold: _Word = "",
) -> Response:  # fmt: skip
    """Open a case and hold the recordings that fit its search; with a legal ground it is a disclosure."""
    try:
        wanted = _search_in(console, search)
        case = casework.open_case(
            console.deps.cases, caller.actor, kind=CaseKind.DISCLOSURE if ground else CaseKind.SUBJECT_ACCESS,
            requester=requester, form=form, text=text, received_on=day_typed(on), ground=_ground(ground),
            search=wanted, expected=int(hold) if hold.isascii() and hold.isdigit() else None,
        )  # fmt: skip
    except ProblemError as error:
        if error.status == 503:
            raise
        return _board(console, caller, problem=error.detail, status=error.status, form=sent.refused(error))
    return RedirectResponse(f"/cases/{case.id}", 303)


@router.get("/cases/{case_id}")
def case(console: Console, case_id: str, caller: PageReader) -> HTMLResponse:
    """Show one case."""
    return _page(console, caller, case_id)


@router.post("/cases/{case_id}/step")
def add_event(  # noqa: PLR0917 - FastAPI passes them by name
    console: Console, case_id: str, caller: PageChanger, sent: Sent, step: _Word = "", text: Text = "", on: _Word = ""
) -> Response:
    """Write an event into a case."""

    def act() -> None:
        if step not in {*CaseEvent} - _FORMS:
            raise incomplete("Choose what happened.", "step")
        casework.add_event(console.deps.cases, caller.actor, case_id, CaseEvent(step), text=text, on=day_typed(on))

    return _done(console, caller, case_id, act, sent.named("step"))


@router.post("/cases/{case_id}/search")
def search_again(console: Console, case_id: str, caller: PageChanger, search: SearchFields, sent: Sent) -> HTMLResponse:
    """Search for a case; the search is logged in the case."""
    try:
        wanted = _search_in(console, search)
        found = list(casework.search_for(console.deps.cases, caller.actor, case_id, wanted))
    except ProblemError as error:
        if error.status == 503:
            raise
        form = sent.named("search").refused(error)
        return _page(console, caller, case_id, problem=error.detail, status=error.status, form=form)
    return _page(console, caller, case_id, found=found, form=sent.named("search"))


@router.post("/cases/{case_id}/match")
def match(console: Console, case_id: str, caller: PageChanger, sent: Sent, recordings: Text = "") -> Response:
    """Match recordings to a case, which holds them."""

    def act() -> None:
        casework.match(console.deps.cases, caller.actor, case_id, recordings.replace(",", " ").split())

    return _done(console, caller, case_id, act, sent.named("match"))


@router.post("/cases/{case_id}/dismiss")
def dismiss(  # noqa: PLR0917 - FastAPI passes them by name
    console: Console, case_id: str, caller: PageChanger, sent: Sent, recordings: Text = "", text: Text = ""
) -> Response:
    """Dismiss recordings."""

    def act() -> None:
        which = recordings.replace(",", " ").split()
        scoping.dismiss(console.deps.cases, caller.actor, case_id, which, text, is_rest=not which)

    return _done(console, caller, case_id, act, sent.named("dismiss"))


@router.post("/cases/{case_id}/confirm-scope")
def confirm_scope(console: Console, case_id: str, caller: PageChanger, sent: Sent, text: Text = "") -> Response:
    """Confirm a case's wide hold."""

    def act() -> None:
        scoping.confirm_scope(console.deps.cases, caller.actor, case_id, text)
        settle(console, case_id, NotificationKind.SCOPE_WAITS)

    return _done(console, caller, case_id, act, sent.named("confirm-scope"))


@router.post("/cases/{case_id}/narrow")
def narrow(  # noqa: PLR0917 - FastAPI passes them by name
    console: Console, case_id: str, caller: PageChanger, search: SearchFields, sent: Sent, text: Text = ""
) -> Response:
    """Narrow a case's hold."""

    def act() -> None:
        scoping.narrow_scope(console.deps.cases, caller.actor, case_id, _search_in(console, search), text)
        settle(console, case_id, NotificationKind.SCOPE_WAITS)

    return _done(console, caller, case_id, act, sent.named("narrow"))


@router.post("/cases/{case_id}/decide")
def decide(  # noqa: PLR0917 - FastAPI passes them by name
    console: Console, case_id: str, caller: PageChanger, sent: Sent, decision: _Word = "", text: Text = "",
    balance: Text = "",
) -> Response:  # fmt: skip
    """Decide a case that somebody else opened."""

    def act() -> None:
        if decision not in {*Decision}:
            raise incomplete("Choose how to decide.", "decision")
        details = {"decision": decision, "balance": balance}
        casework.add_event(console.deps.cases, caller.actor, case_id, CaseEvent.DECIDED, text=text, details=details)

    return _done(console, caller, case_id, act, sent.named("decide"))


@router.post("/cases/{case_id}/transcript")
def transcribe(  # noqa: PLR0917 - FastAPI passes them by name
    console: Console, case_id: str, caller: PageChanger, sent: Sent, recording: _Word = "", form: _Word = "",
    transcript: Annotated[str, Form(max_length=60_000)] = "",
) -> Response:  # fmt: skip
    """Store a typed transcript; longer ones are uploaded or given at the shell."""

    def act() -> None:
        if form not in {*TranscriptForm}:
            raise incomplete("Choose how the transcript is written.", "form")
        content = transcript.encode("utf-8", "replace")
        transcripts.transcribe(
            _transcripts(console), caller.actor, case_id, recording, content=content, form=TranscriptForm(form)
        )

    return _done(console, caller, case_id, act, sent.named("transcript"))


@router.post("/cases/{case_id}/transcript-file")
def upload_transcript(  # noqa: PLR0917 - FastAPI passes them by name
    console: Console, case_id: str, caller: PageChanger, sent: Sent, recording: _Word = "",
    file: UploadFile | None = None,
) -> Response:  # fmt: skip
    """Store an uploaded transcript."""

    def act() -> None:
        if file is None or not file.filename:
            raise incomplete("Choose a file.", "file")
        try:
            content, form = uploaded(file.filename, file.file.read(MOST_BYTES + 1))
        except TranscriptError as error:
            raise incomplete(str(error), "file") from error
        transcripts.transcribe(_transcripts(console), caller.actor, case_id, recording, content=content, form=form)

    return _done(console, caller, case_id, act, sent.named("transcript-file"))


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
        raise incomplete(f"{error}.", "on") from error


def _search_in(console: ConsoleParts, sent: dict[str, str]) -> Search:
    """Parse the search form; ProblemError 422 if it is invalid."""
    form = read_form(sent, console.deps.timezone)
    if form.errors:
        raise ProblemError(422, next(iter(form.errors.values())), fields=form.errors)
    return form.search


def _ground(word: str) -> LegalGround | None:
    try:
        return LegalGround(word) if word else None
    except ValueError as error:
        raise incomplete("Choose the legal ground from the list.", "ground") from error


def _done(
    console: ConsoleParts, caller: ConsoleCaller, case_id: str, act: Callable[[], None], form: TypedForm
) -> Response:
    try:
        act()
    except ProblemError as error:
        if error.status in (404, 503):
            raise
        return _page(console, caller, case_id, problem=error.detail, status=error.status, form=form.refused(error))
    return RedirectResponse(f"/cases/{case_id}", 303)


def _board(
    console: ConsoleParts,
    caller: ConsoleCaller,
    *,
    problem: str = "",
    status: int = 200,
    form: TypedForm = EMPTY,
) -> HTMLResponse:
    repos = console.deps.cases
    listed = [_told(console, one) for one in casework.list_cases(repos, caller.actor)]
    return console.renderer.page(
        "cases.html", caller, status=status, problem=problem, cases=listed, grounds=_GROUNDS,
        form=form, typed=form,
    )  # fmt: skip


def _page(
    console: ConsoleParts, caller: ConsoleCaller, case_id: str, *, problem: str = "", status: int = 200,
    found: list[RecordingRow] | None = None, form: TypedForm = EMPTY,
) -> HTMLResponse:  # fmt: skip
    case = casework.read_case(console.deps.cases, caller.actor, case_id)
    steps = [step for step in CaseEvent if step in STEPS[case.state] - _FORMS]
    return console.renderer.page(
        "case.html", caller, status=status, problem=problem, form=form, steps=steps, found=found,
        decisions=list(Decision), written=console.deps.transcripts.newest(case.id),
        may_write=case.state is not CaseState.CLOSED, is_open=case.state is CaseState.OPEN, grounds=_GROUNDS,
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
