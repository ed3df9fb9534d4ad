"""The page that takes recordings, chosen in a list, into a case."""

from urllib.parse import quote

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.responses import Response

from recorder.audit.audit_service import incomplete
from recorder.common.problems import ProblemError
from recorder.data_subjects import casework
from recorder.rules.cases import CaseState
from recorder.web.auth import ConsoleCaller
from recorder.web.call_names import CallNames
from recorder.web.case_forms import needs_one, recordings_in
from recorder.web.case_view import due_of, person_of
from recorder.web.forms import EMPTY, Sent, TypedForm
from recorder.web.parts import Console, ConsoleParts, PageChanger, PageReader
from recorder.web.request_pages import Chosen

router = APIRouter(include_in_schema=False)


@router.get("/cases/add")
def choose(console: Console, caller: PageReader, recording: Chosen = ()) -> HTMLResponse:
    """Show the open cases that recordings can be taken into."""
    return _page(console, caller, list(recording), EMPTY)


@router.post("/cases/add")
def add(console: Console, caller: PageChanger, sent: Sent) -> Response:
    """Take recordings into a case, which holds them."""
    wanted, case = recordings_in(sent.values.get("recordings", ())), sent["case"]
    try:
        if not case:
            raise incomplete("Select a case.", "case")
        casework.match(console.deps.cases, caller.actor, case, needs_one(wanted))
    except ProblemError as error:
        if error.status not in (409, 422):
            raise
        return _page(console, caller, wanted, sent.refused(error), status=error.status)
    return RedirectResponse(f"/cases/{quote(case, safe='')}?done=taken", 303)


def _page(
    console: ConsoleParts, caller: ConsoleCaller, recordings: list[str], form: TypedForm, *, status: int = 200
) -> HTMLResponse:
    found = casework.list_cases(console.deps.cases, caller.actor)
    return console.renderer.page(
        "case_add.html", caller, status=status, form=form,
        calls=CallNames(console.deps, person_of(caller)).calls(dict.fromkeys(recordings)),
        cases=[due_of(console, case) for case in found if case.state is CaseState.OPEN],
    )  # fmt: skip
