"""Pages of a case for its recordings: search, take in or dismiss, and the scope of a wide hold."""

from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import HTMLResponse
from starlette.responses import Response

from recorder.data_subjects import casework, scoping
from recorder.data_subjects.case_progress import row_of
from recorder.notifications.kinds import NotificationKind
from recorder.web.case_forms import needs_one, recordings_in, search_typed
from recorder.web.case_view import CasePages, officers_of
from recorder.web.forms import Sent, TypedForm
from recorder.web.parts import Console, PageChanger, PageReader, Text
from recorder.web.settling import settle
from storage.types import RecordingId

router = APIRouter(include_in_schema=False)
_Ticked = Annotated[list[str], Form(default_factory=list, max_length=1000)]
MOST_SHOWN = 100
"""Recordings on the page that takes in or dismisses; the next ones follow when these are decided."""


@router.get("/cases/{case_id}/search")
def search_page(console: Console, case_id: str, caller: PageReader) -> HTMLResponse:
    """Ask what to search for."""
    return _search_in(CasePages(console=console, caller=caller, case_id=case_id), "case_search.html")


@router.post("/cases/{case_id}/search")
def search(console: Console, case_id: str, caller: PageChanger, sent: Sent) -> Response:
    """Search for a case; the search is logged in the case, and what it finds is held."""
    pages = CasePages(console=console, caller=caller, case_id=case_id, sent=sent)

    def act() -> None:
        wanted = search_typed(sent, console.deps.timezone)
        casework.search_for(console.deps.cases, caller.actor, case_id, wanted)

    return pages.after(act, lambda form, status: _search_in(pages, "case_search.html", form, status),
                       to="/recordings", done="searched")  # fmt: skip


@router.get("/cases/{case_id}/recordings")
def recordings(console: Console, case_id: str, caller: PageReader, done: str = "") -> HTMLResponse:
    """Show the recordings that are neither taken in nor dismissed, and those that were taken in."""
    return _recordings(CasePages(console=console, caller=caller, case_id=case_id), done=done)


@router.post("/cases/{case_id}/match")
def match(console: Console, case_id: str, caller: PageChanger, sent: Sent, recordings: _Ticked) -> Response:
    """Match recordings to a case, which holds them."""
    pages = CasePages(console=console, caller=caller, case_id=case_id, sent=sent)

    def act() -> None:
        casework.match(console.deps.cases, caller.actor, case_id, needs_one(recordings_in(recordings)))

    return pages.after(act, lambda form, status: _recordings(pages, form, status), to="/recordings", done="taken")


@router.get("/cases/{case_id}/dismiss")
def dismiss_rest(console: Console, case_id: str, caller: PageReader) -> HTMLResponse:
    """Ask why all recordings that are left are to be dismissed."""
    return _dismissal(CasePages(console=console, caller=caller, case_id=case_id), [])


@router.post("/cases/{case_id}/dismissal")
def dismissal(console: Console, case_id: str, caller: PageChanger, sent: Sent, recordings: _Ticked) -> Response:
    """Ask why the recordings that were ticked are to be dismissed."""
    pages, ticked = CasePages(console=console, caller=caller, case_id=case_id, sent=sent), recordings_in(recordings)
    if not ticked:
        errors = {"recordings": "Select a recording."}
        return _recordings(pages, TypedForm(values=sent.values, errors=errors, is_sent=True), 422)
    return _dismissal(pages, ticked)


@router.post("/cases/{case_id}/dismiss")
def dismiss(  # noqa: PLR0917 - FastAPI passes them by name
    console: Console,
    case_id: str,
    caller: PageChanger,
    sent: Sent,
    recordings: _Ticked,
    text: Text = "",
) -> Response:
    """Dismiss recordings; all that are left if none is named."""
    pages, which = CasePages(console=console, caller=caller, case_id=case_id, sent=sent), recordings_in(recordings)

    def act() -> None:
        scoping.dismiss(console.deps.cases, caller.actor, case_id, which, text, is_rest=not which)

    return pages.after(act, lambda form, status: _dismissal(pages, which, form, status),
                       to="/recordings", done="dismissed")  # fmt: skip


@router.get("/cases/{case_id}/confirm-scope")
def confirmation(console: Console, case_id: str, caller: PageReader) -> HTMLResponse:
    """Ask why all that the case found has to be held."""
    return CasePages(console=console, caller=caller, case_id=case_id).show("case_scope.html")


@router.post("/cases/{case_id}/confirm-scope")
def confirm_scope(console: Console, case_id: str, caller: PageChanger, sent: Sent, text: Text = "") -> Response:
    """Confirm a case's wide hold."""
    pages = CasePages(console=console, caller=caller, case_id=case_id, sent=sent)

    def act() -> None:
        scoping.confirm_scope(console.deps.cases, caller.actor, case_id, text)
        settle(console, case_id, NotificationKind.SCOPE_WAITS)

    return pages.after(act, lambda form, status: pages.show("case_scope.html", form=form, status=status),
                       done="confirmed")  # fmt: skip


@router.get("/cases/{case_id}/narrow")
def narrowing(console: Console, case_id: str, caller: PageReader) -> HTMLResponse:
    """Ask for the narrower search."""
    return _search_in(CasePages(console=console, caller=caller, case_id=case_id), "case_narrow.html")


@router.post("/cases/{case_id}/narrow")
def narrow(console: Console, case_id: str, caller: PageChanger, sent: Sent, text: Text = "") -> Response:
    """Narrow a case's hold."""
    pages = CasePages(console=console, caller=caller, case_id=case_id, sent=sent)

    def act() -> None:
        wanted = search_typed(sent, console.deps.timezone)
        scoping.narrow_scope(console.deps.cases, caller.actor, case_id, wanted, text)
        settle(console, case_id, NotificationKind.SCOPE_WAITS)

    return pages.after(act, lambda form, status: _search_in(pages, "case_narrow.html", form, status),
                       done="narrowed")  # fmt: skip


def _search_in(pages: CasePages, template: str, form: TypedForm | None = None, status: int = 200) -> HTMLResponse:
    """Show a page with a search."""
    return pages.show(template, form=form, status=status, officers=officers_of(pages.console, pages.caller))


def _recordings(pages: CasePages, form: TypedForm | None = None, status: int = 200, done: str = "") -> HTMLResponse:
    repos, case = pages.console.deps.cases, pages.case()
    shown = [(one, row_of(repos, one)) for one in pages.progress(case).undecided[:MOST_SHOWN]]
    return pages.show("case_recordings.html", form=form, status=status, done=done, shown=shown)


def _dismissal(pages: CasePages, which: list[str], form: TypedForm | None = None, status: int = 200) -> HTMLResponse:
    """Show the form; without its errors if it comes from the page where recordings were ticked."""
    repos = pages.console.deps.cases
    rows = [(one, row_of(repos, RecordingId(one))) for one in which]
    return pages.show("case_dismiss.html", form=form or TypedForm(), status=status, rows=rows)
