"""The page of live calls, and the forms of opt-outs and retroactive pauses. All work without a script."""

from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, StreamingResponse
from starlette.concurrency import run_in_threadpool

from recorder.common.problems import ProblemError
from recorder.control.client import OptOutGrant
from recorder.notifications.kinds import NotificationKind
from recorder.rules.call_target import CallTarget
from recorder.web.auth import ConsoleCaller
from recorder.web.board_stream import BoardStream, Watcher
from recorder.web.conversations import by_conversation
from recorder.web.live_call_service import LiveCallService, SilentNode
from recorder.web.live_rows import LiveRow, row_of
from recorder.web.opt_out_service import OptOutService
from recorder.web.parts import Console, ConsoleParts, PageChanger, PageReader, PageWatcher, Text, signed_in
from recorder.web.settling import settle

router = APIRouter(include_in_schema=False)

SPANS: tuple[tuple[str, str], ...] = (
    ("30", "30 seconds"),
    ("60", "1 minute"),
    ("120", "2 minutes"),
    ("240", "4 minutes"),
    ("all", "The whole call so far"),
)
"""Spans that an officer may choose for a retroactive pause."""

SECOND_PLAYS = "The second message is played to the caller, who does not hear the officer until it ends."

Ticked = Annotated[str, Form(max_length=10)]


@router.get("/live")
def live(console: Console, caller: PageReader) -> HTMLResponse:
    """Show the live calls."""
    console.live.looks(caller.actor)
    return _live_page(console, caller)


@router.get("/live/rows")
def live_rows(console: Console, caller: PageWatcher) -> HTMLResponse:
    """Return the table's rows, for the page's script."""
    return console.renderer.page("live_rows.html", caller, rows=_rows(console.live, caller, is_shared=True))


@router.get("/live/requests")
def live_requests(console: Console, caller: PageWatcher) -> HTMLResponse:
    """Return the opt-out requests, for the page's script."""
    return console.renderer.page("live_requests.html", caller, requests=_requests(console.opt_outs, caller))


@router.get("/live/drain")
def live_drain(console: Console, caller: PageWatcher) -> HTMLResponse:
    """Return what the page says of drains and of nodes that do not answer, for the page's script."""
    console.live.looks(caller.actor)
    silent = console.live.silent_nodes()
    return console.renderer.page("live_drain.html", caller, drain=console.live.drain(), silent=silent)


@router.get("/live/changes")
async def live_changes(request: Request, console: Console) -> StreamingResponse:
    """Stream the rows, and changes of them, to the page's script."""

    def watching() -> Watcher:
        caller = signed_in(request, console, is_activity=False)
        console.live.looks(caller.actor)
        return Watcher(caller=caller, around=console.live.around(caller.actor))

    stream = BoardStream(
        console.pulse, console.board, render=console.renderer.live_rows, ask=lambda: run_in_threadpool(watching)
    )
    watcher = await run_in_threadpool(watching)
    return await console.watchers.stream(watcher.caller.actor.actor, stream.events(watcher))


@router.post("/live/{call}/opt-out-request")
def ask(console: Console, call: str, caller: PageChanger) -> HTMLResponse:
    """Raise an opt-out request with the managers."""
    said = "A manager of the team has been asked. The call is recorded until one of them decides."
    return _acted(console, caller, lambda: console.opt_outs.ask(caller.actor, call, ""), lambda _: said)


@router.get("/live/{call}/opt-out")
def opt_out_form(console: Console, call: str, caller: PageReader) -> HTMLResponse:
    """Show the form with which a manager opts a call out without a request."""
    return _decision_page(console, caller, _call(console, caller, call), None)


@router.post("/live/{call}/opt-out")
def opt_out(  # noqa: PLR0917 - FastAPI passes them by name
    console: Console,
    call: str,
    caller: PageChanger,
    caller_asked: Ticked = "",
    distress_judged: Ticked = "",
    erase_before: Ticked = "",
    reason: Text = "",
) -> HTMLResponse:
    """End the recording of a call."""
    grant = _grant(caller_asked, distress_judged, erase_before, reason)
    try:
        answer = console.opt_outs.opt_out(caller.actor, call, grant)
    except ProblemError as error:
        return _decision_page(console, caller, _call(console, caller, call), None, grant=grant, problem=error)
    return _live_page(console, caller, said=_ended(answer))


@router.get("/opt-outs/{request_id}")
def decision_form(console: Console, request_id: str, caller: PageReader) -> HTMLResponse:
    """Show an opt-out request with the form to decide it."""
    request = _request(console, caller, request_id)
    return _decision_page(console, caller, _call(console, caller, str(request.get("call"))), request)


@router.post("/opt-outs/{request_id}/{decision}")
def decide(  # noqa: PLR0917 - FastAPI passes them by name
    console: Console,
    request_id: str,
    decision: str,
    caller: PageChanger,
    caller_asked: Ticked = "",
    distress_judged: Ticked = "",
    erase_before: Ticked = "",
    reason: Text = "",
) -> HTMLResponse:
    """Grant or decline an opt-out request."""
    if decision not in ("grant", "decline"):
        raise ProblemError(404, "There is no such page.")
    grant = _grant(caller_asked, distress_judged, erase_before, reason)
    try:
        if decision == "decline":
            console.opt_outs.decline(caller.actor, request_id, reason)
            settle(console, request_id, NotificationKind.OPT_OUT_WAITS)
            return _live_page(console, caller, said="The request is declined. The call is still recorded.")
        answer = console.opt_outs.grant(caller.actor, request_id, grant)
        settle(console, request_id, NotificationKind.OPT_OUT_WAITS)
        return _live_page(console, caller, said=_ended(answer))
    except ProblemError as error:
        request = next((one for one in _requests(console.opt_outs, caller) if one["id"] == request_id), None)
        if request is None:  # its call has ended, or they may not see it
            return _live_page(console, caller, problem=error.detail, status=error.status)
        call = _call(console, caller, str(request.get("call")))
        return _decision_page(console, caller, call, request, grant=grant, problem=error)


@router.post("/live/{call}/second-message")
def second_message(console: Console, call: str, caller: PageChanger) -> HTMLResponse:
    """Play the second message to the caller."""
    return _acted(
        console, caller, lambda: console.live.second_message(caller.actor, CallTarget(call), ""), lambda _: SECOND_PLAYS
    )


@router.post("/live/{call}/forgot")
def forgot(console: Console, call: str, caller: PageChanger, span: Ticked = "", paused_at: Ticked = "") -> HTMLResponse:
    """Pause at once and ask how far back; with an answer, have that span erased."""
    now_s = console.deps.now().timestamp()
    if span not in dict(SPANS):
        try:
            console.live.pause(caller.actor, CallTarget(call), "")
        except ProblemError as error:
            return _live_page(console, caller, problem=error.detail, status=error.status)
        row = _call(console, caller, call)
        return console.renderer.page(
            "retroactive_pause.html", caller, action=f"/live/{quote(call, safe='')}/forgot", back="/live",
            whose=row.get("operator") or row.get("extension", ""), spans=SPANS, paused_at=int(now_s),
        )  # fmt: skip
    seconds = span_s(span, paused_at, now_s)
    return _acted(
        console,
        caller,
        lambda: console.live.pause_retroactively(caller.actor, CallTarget(call), seconds, ""),
        _forgotten,
    )


@router.post("/live/{call}/{act}")
def live_act(console: Console, call: str, act: str, caller: PageChanger) -> HTMLResponse:
    """Pause or resume without the page's script."""
    acts = {"pause": console.live.pause, "resume": console.live.resume}
    if act not in acts:
        raise ProblemError(404, "There is no such page.")
    return _acted(console, caller, lambda: acts[act](caller.actor, CallTarget(call), ""), _now)


def _acted(
    console: ConsoleParts,
    caller: ConsoleCaller,
    act: Callable[[], dict[str, Any]],
    say: Callable[[dict[str, Any]], str],
) -> HTMLResponse:
    try:
        answer = act()
    except ProblemError as error:
        return _live_page(console, caller, problem=error.detail, status=error.status)
    return _live_page(console, caller, said=say(answer))


def span_s(span: str, paused_at: str, now_s: float) -> float | None:
    """Return how far back a retroactive pause reaches, seconds from now; None is the whole call.

    The chosen span counts back from the pause, not from the time when the form was sent.
    """
    since_s = max(now_s - float(paused_at), 0.0) if paused_at.isdigit() else 0.0
    return None if span == "all" else float(span) + since_s


def _now(answer: dict[str, Any]) -> str:
    return f"The recording is now {str(answer.get('state', 'in an unknown state')).replace('_', ' ')}."


def _ended(answer: dict[str, Any]) -> str:
    then = " A second person has to confirm that what was recorded before is erased." if "erasure" in answer else ""
    return f"The recording of this call has ended for good.{then}"


def _forgotten(answer: dict[str, Any]) -> str:
    waits = answer.get("erasure", {}).get("state") == "waiting"
    then = "A second person has to confirm the erasure." if waits else "The span is erased once the call has ended."
    return f"{_now(answer)} {then}"


def _grant(caller_asked: str, distress_judged: str, erase_before: str, reason: str) -> OptOutGrant:
    return OptOutGrant(
        caller_asked=bool(caller_asked),
        distress_judged=bool(distress_judged),
        erase_before=bool(erase_before),
        reason=reason,
    )


# What the pages show


def _live_page(
    console: ConsoleParts, caller: ConsoleCaller, *, said: str = "", problem: str = "", status: int = 200
) -> HTMLResponse:
    rows: list[LiveRow] | None = None
    requests: list[dict[str, Any]] = []
    drain: dict[str, Any] | None = None
    silent: list[SilentNode] = []
    try:
        rows, requests = _rows(console.live, caller), _requests(console.opt_outs, caller)
        drain, silent = console.live.drain(), console.live.silent_nodes()
    except ProblemError as error:
        if error.status == 403:
            raise
        problem = problem or error.detail
    return console.renderer.page(
        "live.html", caller, status=status, rows=rows, requests=requests, drain=drain, silent=silent, said=said,
        problem=problem,
    )  # fmt: skip


def _decision_page(
    console: ConsoleParts,
    caller: ConsoleCaller,
    call: dict[str, Any],
    request: dict[str, Any] | None,
    *,
    grant: OptOutGrant | None = None,
    problem: ProblemError | None = None,
) -> HTMLResponse:
    erases = call.get("erase_on_opt_out", False) if grant is None else grant.erase_before
    return console.renderer.page(
        "opt_out.html",
        caller,
        status=200 if problem is None else problem.status,
        call=call,
        request=request,
        grant=grant,
        erases=erases,
        problem="" if problem is None else problem.detail,
    )


def _rows(live: LiveCallService, caller: ConsoleCaller, *, is_shared: bool = False) -> list[LiveRow]:
    person = caller.person
    assert person is not None, "pages know sessions only, and those are people's"
    calls = by_conversation(live.calls(person, is_shared=is_shared))
    return [row_of(call) for call in calls.values()]


def _requests(opt_outs: OptOutService, caller: ConsoleCaller) -> list[dict[str, Any]]:
    person = caller.person
    assert person is not None, "pages know sessions only, and those are people's"
    return opt_outs.requests(person)


def _request(console: ConsoleParts, caller: ConsoleCaller, request_id: str) -> dict[str, Any]:
    for request in _requests(console.opt_outs, caller):
        if request["id"] == request_id:
            return request
    raise ProblemError(404, "There is no such request of a call in progress.")


def _call(console: ConsoleParts, caller: ConsoleCaller, call_id: str) -> dict[str, Any]:
    for call in console.live.calls(caller.actor):
        if call.get("call") == call_id:
            return call
    raise ProblemError(404, "There is no such call in progress.")
