"""Pages of cases: the list, one case with its tasks, its history and its chain of custody."""

from collections.abc import AsyncIterator

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse

from recorder.data_subjects import casework
from recorder.data_subjects.case_progress import row_of
from recorder.data_subjects.custody import custody_of
from recorder.rules import wording
from recorder.rules.cases import Decision
from recorder.web.case_view import DONE, CasePages, due_of
from recorder.web.parts import Console, PageReader

router = APIRouter(include_in_schema=False)
FILTERS = ("open", "closed")


@router.get("/cases")
def cases(console: Console, caller: PageReader, show: str = "", done: str = "") -> HTMLResponse:
    """Show the open cases, those due first at the top, or the closed ones, newest first."""
    chosen = show if show in FILTERS else FILTERS[0]
    listed = [due_of(console, one) for one in casework.list_cases(console.deps.cases, caller.actor)]
    of = {
        "open": [one for one in listed if one.case.closed_on is None],
        "closed": [one for one in listed if one.case.closed_on is not None],
    }
    of["closed"].sort(key=lambda one: one.case.entries[-1].at, reverse=True)
    counts = {name: len(of[name]) for name in FILTERS}
    return console.renderer.page(
        "cases.html", caller, cases=of[chosen], chosen=chosen, counts=counts, done=DONE.get(done, "")
    )


@router.get("/cases/{case_id}")
def case(console: Console, case_id: str, caller: PageReader, done: str = "") -> HTMLResponse:
    """Show one case: its tasks and its recordings."""
    return CasePages(console=console, caller=caller, case_id=case_id).show("case.html", done=done)


@router.get("/cases/{case_id}/history")
def history(console: Console, case_id: str, caller: PageReader, done: str = "") -> HTMLResponse:
    """Show the entries of a case."""
    pages = CasePages(console=console, caller=caller, case_id=case_id)
    ids = [entry.details["recording"] for entry in pages.case().entries if "recording" in entry.details]
    return pages.show(
        "case_history.html", done=done, decisions={str(one): wording.title(one) for one in Decision},
        rows={one: row_of(console.deps.cases, one) for one in ids},
    )  # fmt: skip


async def _turn(console: Console) -> AsyncIterator[None]:
    async with console.proving:
        yield


@router.get("/cases/{case_id}/custody", dependencies=[Depends(_turn, scope="function")])
def custody(console: Console, case_id: str, caller: PageReader) -> HTMLResponse:
    """Show the chain of custody of a case, with its proof, for printing.

    Reads the whole log and every recording, so one thread at a time does it: pauses need threads too.
    """
    found = custody_of(console.deps.cases, caller.actor, case_id)
    pages = CasePages(console=console, caller=caller, case_id=case_id)
    return pages.show("custody.html", custody=found, now=console.deps.now())
