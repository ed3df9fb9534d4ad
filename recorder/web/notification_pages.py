"""The page of a person's notifications: open tasks, decisions, deadlines, and weekly figures for the DPO."""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.responses import Response

from recorder.web.parts import Console, PageChanger, PageReader

router = APIRouter(include_in_schema=False)


@router.get("/notifications")
def notifications(console: Console, caller: PageReader) -> HTMLResponse:
    """Show this person's notifications, newest first: all that were told, and those that still wait."""
    assert caller.person is not None, "pages know sessions only, and those are people's"
    told = console.deps.watch.box.of_account(caller.person.name)
    return console.renderer.page("notifications.html", caller, told=told, waits=[one for one in told if one.waits])


@router.post("/notifications/seen")
def mark_seen(console: Console, caller: PageChanger) -> Response:
    """Mark all notifications of this person as seen."""
    assert caller.person is not None
    console.deps.watch.box.mark_seen(caller.person.name)
    return RedirectResponse("/notifications", 303)
