"""Pages of a case for its letters: which there are, each to read, and to download as PDF or text."""

from datetime import datetime
from zoneinfo import ZoneInfo

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from starlette.responses import Response

from recorder.common.problems import ProblemError
from recorder.data_subjects import case_deadlines
from recorder.data_subjects.letter_paper import pdf_of
from recorder.data_subjects.letters import Letter, NotYetError, letter
from recorder.rules import wording
from recorder.rules.cases import Case
from recorder.web.case_view import CasePages
from recorder.web.parts import Console, ConsoleParts, PageReader

router = APIRouter(include_in_schema=False)


@router.get("/cases/{case_id}/letters")
def letters(console: Console, case_id: str, caller: PageReader) -> HTMLResponse:
    """Show which letters there are."""
    pages = CasePages(console=console, caller=caller, case_id=case_id)
    case = pages.case()
    return pages.show("case_letters.html", letters=[(which, _why_not(console, case, which)) for which in Letter])


@router.get("/cases/{case_id}/letters/{which}")
def read_letter(console: Console, case_id: str, which: str, caller: PageReader) -> HTMLResponse:
    """Show a letter as it will be."""
    pages = CasePages(console=console, caller=caller, case_id=case_id)
    kind = _kind(which)
    paragraphs = _text(console, pages.case(), kind).strip().split("\n\n")
    return pages.show("case_letter.html", which=kind, paragraphs=paragraphs)


@router.get("/cases/{case_id}/letters/{which}/text")
def letter_as_text(console: Console, case_id: str, which: str, caller: PageReader) -> Response:
    """Download a letter as plain text."""
    case, kind = CasePages(console=console, caller=caller, case_id=case_id).case(), _kind(which)
    return _download(case, kind, _text(console, case, kind).encode(), "txt", "text/plain; charset=utf-8")


@router.get("/cases/{case_id}/letters/{which}/pdf")
def letter_as_pdf(console: Console, case_id: str, which: str, caller: PageReader) -> Response:
    """Download a letter as PDF."""
    case, kind = CasePages(console=console, caller=caller, case_id=case_id).case(), _kind(which)
    title = f"{console.deps.site}: {wording.words(kind)}, {case.id}"
    return _download(case, kind, pdf_of(_text(console, case, kind), title=title), "pdf", "application/pdf")


def _kind(word: str) -> Letter:
    try:
        return Letter(word)
    except ValueError as error:
        raise ProblemError(404, "There is no such letter.") from error


def _text(console: ConsoleParts, case: Case, which: Letter) -> str:
    repos = console.deps.cases
    now: datetime = console.deps.now()
    today = now.astimezone(ZoneInfo(console.deps.timezone)).date()
    try:
        return letter(which, case, site=console.deps.site, today=today, due=case_deadlines.due(repos, case))
    except NotYetError as error:
        raise ProblemError(409, str(error)) from error


def _why_not(console: ConsoleParts, case: Case, which: Letter) -> str:
    try:
        _text(console, case, which)
    except ProblemError as error:
        return error.detail
    return ""


def _download(case: Case, which: Letter, content: bytes, suffix: str, media_type: str) -> Response:
    name = f"{case.id}-{which}.{suffix}"
    return Response(content, media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'})
