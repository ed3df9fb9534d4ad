"""The page on which team leaders are marked absent, so that requests go to the data protection officer."""

from collections.abc import Mapping

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.responses import Response

from recorder.access.listening.appointing import mark_absent
from recorder.web.call_names import CallNames
from recorder.web.parts import Console, PageChanger, PageReader

router = APIRouter(include_in_schema=False)

DONE: Mapping[str, str] = {
    "absent": "The team leader is marked absent.",
    "back": "The team leader is marked present.",
}
"""What was done, by the code in an address after the act."""


@router.get("/absence")
def absence(console: Console, caller: PageReader, done: str = "") -> HTMLResponse:
    """Show which team leaders are absent."""
    assert caller.person is not None, "pages know sessions only, and those are people's"
    approvers = console.deps.hearing.approvers
    return console.renderer.page(
        "absence.html", caller, leaders=sorted(approvers.leaders), absent=approvers.absent, problem="",
        names=CallNames(console.deps, caller.person), done=DONE.get(done, ""),
    )  # fmt: skip


@router.post("/team-leaders/{account}/absent")
def leave_to_others(console: Console, account: str, caller: PageChanger) -> Response:
    """Mark a team leader absent."""
    mark_absent(console.deps.hearing, caller.actor, account, is_absent=True)
    return RedirectResponse("/absence?done=absent", 303)


@router.post("/team-leaders/{account}/back")
def come_back(console: Console, account: str, caller: PageChanger) -> Response:
    """Mark a team leader present again."""
    mark_absent(console.deps.hearing, caller.actor, account, is_absent=False)
    return RedirectResponse("/absence?done=back", 303)
