"""Pages of a case for its letters: which there are, each to read, and as text.

`recorder.web.letter_pages` has the PDF.
"""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from starlette.responses import Response

from recorder.common.problems import ProblemError
from recorder.data_subjects import case_deadlines
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


@router.get("/cases/{case_id}/letter/{which}")
def read_letter(console: Console, case_id: str, which: str, caller: PageReader) -> HTMLResponse:
    """Show a letter as it will be."""
    pages = CasePages(console=console, caller=caller, case_id=case_id)
    kind = _kind(which)
    paragraphs = _text(console, pages.case(), kind).strip().split("\n\n")
    return pages.show("case_letter.html", which=kind, paragraphs=paragraphs)


@router.get("/cases/{case_id}/letter/{which}/text")
def letter_as_text(console: Console, case_id: str, which: str, caller: PageReader) -> Response:
    """Download a letter as plain text."""
    case, kind = CasePages(console=console, caller=caller, case_id=case_id).case(), _kind(which)
    name = f"{case.id} {wording.title(kind)}.txt"  # ids and words of the program, so it needs no escaping
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(_text(console, case, kind), media_type="text/plain; charset=utf-8", headers=headers)


def _kind(word: str) -> Letter:
    try:
        return Letter(word)
    except ValueError as error:
        raise ProblemError(404, "There is no such letter.") from error


def _text(console: ConsoleParts, case: Case, which: Letter) -> str:
    repos = console.deps.cases
    try:
        return letter(which, case, site=console.deps.site, today=repos.today, due=case_deadlines.due(repos, case))
    except NotYetError as error:
        raise ProblemError(409, str(error)) from error


def _why_not(console: ConsoleParts, case: Case, which: Letter) -> str:
    try:
        _text(console, case, which)
    except ProblemError as error:
        return error.detail
    return ""
