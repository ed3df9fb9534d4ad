"""The page of live calls; it works without its script too."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, StreamingResponse
from starlette.concurrency import run_in_threadpool

from recorder.console.auth import Caller
from recorder.console.parts import Console, PageChanger, PageReader, PageWatcher, Parts, signed_in
from recorder.console.streams import changes, event_stream
from recorder.domain.access import Act
from recorder.problems import ProblemError

router = APIRouter(include_in_schema=False)


@router.get("/live")
def live(console: Console, caller: PageReader) -> HTMLResponse:
    """Show the calls in progress."""
    console.rules.require(caller.actor, Act.SEE_LIVE)
    console.rules.note(caller.actor.actor, Act.SEE_LIVE, "")
    return _live_page(console, caller)


@router.get("/live/rows")
def live_rows(console: Console, caller: PageWatcher) -> HTMLResponse:
    """Return the table's rows, for the page's script."""
    return console.renderer.page("live_rows.html", caller, calls=console.live.calls(caller.actor))


@router.get("/live/changes")
async def live_changes(request: Request, console: Console) -> StreamingResponse:
    """Tell the page's script when to ask for the rows again."""
    caller = await run_in_threadpool(signed_in, request, console, is_activity=False)
    await run_in_threadpool(console.rules.require, caller.actor, Act.SEE_LIVE)
    return await event_stream(changes(console.deps.events(caller.actor.actor)))


@router.post("/live/{call}/{act}")
def live_act(console: Console, call: str, act: str, caller: PageChanger) -> HTMLResponse:
    """Pause or resume without the page's script."""
    acts = {"pause": console.live.pause, "resume": console.live.resume}
    if act not in acts:
        raise ProblemError(404, "There is no such page.")
    try:
        answer = acts[act](caller.actor, call, "")
    except ProblemError as error:
        return _live_page(console, caller, problem=error.detail, status=error.status)
    return _live_page(console, caller, said=f"The recording is now {answer.get('state', 'in an unknown state')}.")


def _live_page(console: Parts, caller: Caller, *, said: str = "", problem: str = "", status: int = 200) -> HTMLResponse:
    calls: list[dict[str, Any]] = []
    try:
        calls = console.live.calls(caller.actor)
    except ProblemError as error:
        if error.status == 403:
            raise
        problem = problem or error.detail
    return console.renderer.page("live.html", caller, status=status, calls=calls, said=said, problem=problem)
