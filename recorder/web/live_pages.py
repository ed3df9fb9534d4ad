"""The page of live calls, with its acts that work without a script. `opt_out_pages` decides on opt-outs."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, StreamingResponse
from starlette.concurrency import run_in_threadpool

from recorder.access.reachability import AccountsAwayError
from recorder.common.problems import ProblemError
from recorder.rules.call_target import CallTarget
from recorder.rules.wording import live_state
from recorder.web.auth import ConsoleCaller
from recorder.web.board_stream import BoardStream, Watcher
from recorder.web.conversations import by_conversation
from recorder.web.forms import EMPTY, Sent
from recorder.web.live_call_service import LiveCallService, SilentNode
from recorder.web.live_rows import LiveRow, is_of_team, row_of
from recorder.web.parts import Console, ConsoleParts, PageChanger, PageReader, PageWatcher, signed_in
from recorder.web.retroactive_spans import SPANS, chosen_span, span_page

router = APIRouter(include_in_schema=False)

SECOND_PLAYS = "The second message is played to the caller, who does not hear the officer until it ends."

_NOW = {"recording": "The call is being recorded.", "paused": "The recording is now paused."}

Ticked = Annotated[str, Form(max_length=10)]
Team = Annotated[str, Query(max_length=100)]
"""The team that the board is limited to; empty for all."""
SentTeam = Annotated[str, Form(alias="team", max_length=100)]
"""The same in a form of a row."""


@router.get("/live")
def live(console: Console, caller: PageReader, team: Team = "") -> HTMLResponse:
    """Show the live calls."""
    console.live.looks(caller.actor)
    return live_page(console, caller, team=team)


@router.get("/live/rows")
def live_rows(console: Console, caller: PageWatcher, team: Team = "") -> HTMLResponse:
    """Return the table's rows, for the page's script."""
    rows = _rows(caller, _calls(console.live, caller, is_shared=True), team)
    return console.renderer.page("live_rows.html", caller, rows=rows, team=team)


@router.get("/live/requests")
def live_requests(console: Console, caller: PageWatcher) -> HTMLResponse:
    """Return the opt-out requests, for the page's script."""
    return console.renderer.page("live_requests.html", caller, requests=requests_of(console, caller))


@router.get("/live/drain")
def live_drain(console: Console, caller: PageWatcher) -> HTMLResponse:
    """Return what the page says of drains and of nodes that do not answer, for the page's script."""
    console.live.looks(caller.actor)
    silent = console.live.silent_nodes()
    return console.renderer.page("live_drain.html", caller, drain=console.live.drain(), silent=silent)


@router.get("/live/changes")
async def live_changes(request: Request, console: Console, team: Team = "") -> StreamingResponse:
    """Stream the rows, and changes of them, to the page's script."""

    def watching() -> Watcher:
        caller = signed_in(request, console, is_activity=False)
        console.live.looks(caller.actor)
        return Watcher(caller=caller, around=console.live.around(caller.actor))

    stream = BoardStream(
        console.pulse, console.board, render=partial(console.renderer.live_rows, team=team),
        ask=lambda: run_in_threadpool(watching), team=team,
    )  # fmt: skip
    watcher = await run_in_threadpool(watching)
    return await console.watchers.stream(watcher.caller.actor.actor, stream.events(watcher))


@router.post("/live/{call}/opt-out-request")
def ask(console: Console, call: str, caller: PageChanger, team: SentTeam = "") -> HTMLResponse:
    """Raise an opt-out request with the managers."""
    said = "A manager of the team has been asked. The call is recorded until one of them decides."
    return _acted(console, caller, team, lambda: console.opt_outs.ask(caller.actor, call, ""), lambda _: said)


@router.post("/live/{call}/second-message")
def second_message(console: Console, call: str, caller: PageChanger, team: SentTeam = "") -> HTMLResponse:
    """Play the second message to the caller."""
    act = partial(console.live.second_message, caller.actor, CallTarget(call), "")
    return _acted(console, caller, team, act, lambda _: SECOND_PLAYS)


@router.post("/live/{call}/forgot")
def forgot(  # noqa: PLR0917 - FastAPI passes them by name
    console: Console,
    call: str,
    caller: PageChanger,
    sent: Sent,
    team: SentTeam = "",
    span: Ticked = "",
    paused_at: Ticked = "",
) -> HTMLResponse:
    """Pause at once and ask how far back; with an answer, have that span erased."""
    now_s, target = console.deps.now().timestamp(), CallTarget(call)
    if span in dict(SPANS):
        seconds = chosen_span(span, paused_at, now_s)
        act = partial(console.live.pause_retroactively, caller.actor, target, seconds, "")
        return _acted(console, caller, team, act, _forgotten)
    form = sent
    if not paused_at:
        form = EMPTY
        try:
            console.live.pause(caller.actor, target, "")
        except ProblemError as error:
            return live_page(console, caller, problem=error.detail, status=error.status, team=team)
        paused_at = str(int(now_s))
    row = call_of(console, caller, call)
    whose, state = row.get("operator") or row.get("extension", ""), live_state(str(row.get("state", "unknown")))
    return span_page(
        console.renderer, caller, form, action=f"/live/{quote(call, safe='')}/forgot",
        team=team, back=f"/live{_query(team)}", section="live", told=f"State of the recording of {whose}: {state}.",
        paused_at=paused_at,
    )  # fmt: skip


@router.post("/live/{call}/{act}")
def live_act(console: Console, call: str, act: str, caller: PageChanger, team: SentTeam = "") -> HTMLResponse:
    """Pause or resume without the page's script."""
    acts = {"pause": console.live.pause, "resume": console.live.resume}
    if act not in acts:
        raise ProblemError(404, "If you typed the web address, check that it is correct.")
    return _acted(console, caller, team, lambda: acts[act](caller.actor, CallTarget(call), ""), _now)


def _acted(
    console: ConsoleParts,
    caller: ConsoleCaller,
    team: str,
    act: Callable[[], dict[str, Any]],
    say: Callable[[dict[str, Any]], str],
) -> HTMLResponse:
    try:
        answer = act()
    except ProblemError as error:
        return live_page(console, caller, problem=error.detail, status=error.status, team=team)
    return live_page(console, caller, said=say(answer), team=team)


def _now(answer: dict[str, Any]) -> str:
    state = str(answer.get("state", "unknown"))
    return _NOW.get(state) or f"State of the recording: {live_state(state)}."


def _forgotten(answer: dict[str, Any]) -> str:
    waits = answer.get("erasure", {}).get("state") == "waiting"
    then = "A second person has to confirm the erasure." if waits else "The part will be erased after the call."
    return f"{_now(answer)} {then}"


def _query(team: str) -> str:
    return f"?{urlencode({'team': team})}" if team else ""


# What the pages show


def live_page(
    console: ConsoleParts, caller: ConsoleCaller, *, said: str = "", problem: str = "", status: int = 200,
    team: str = "",
) -> HTMLResponse:  # fmt: skip
    """Show the board, with what an act led to."""
    rows: list[LiveRow] | None = None
    requests: list[dict[str, Any]] = []
    drain: dict[str, Any] | None = None
    silent: list[SilentNode] = []
    teams: list[str] = []
    try:
        calls = _calls(console.live, caller)
        rows, requests = _rows(caller, calls, team), requests_of(console, caller)
        drain, silent = console.live.drain(), console.live.silent_nodes()
        teams = [*console.live.teams(caller.actor), *(one for call in calls for one in call.get("teams_now") or ())]
    except ProblemError as error:
        if error.status == 403:
            raise
        problem = problem or error.detail
    return console.renderer.page(
        "live.html", caller, status=status, rows=rows, requests=requests, drain=drain, silent=silent, said=said,
        problem=problem, team=team, teams=_choices(teams, team), query=_query(team), now=console.deps.now(),
    )  # fmt: skip


def _choices(teams: list[str], team: str) -> list[str]:
    """Return the teams to choose from; none where there is nothing to choose."""
    found = sorted({*teams, team} - {""})
    return found if len(found) > 1 or team else []


def _calls(live: LiveCallService, caller: ConsoleCaller, *, is_shared: bool = False) -> list[dict[str, Any]]:
    person = caller.person
    assert person is not None, "pages know sessions only, and those are people's"
    return live.calls(person, is_shared=is_shared)


def _rows(caller: ConsoleCaller, calls: list[dict[str, Any]], team: str) -> list[LiveRow]:
    shown = by_conversation(call for call in calls if is_of_team(call, team))
    return [row_of(call, caller.person) for call in shown.values()]


def requests_of(console: ConsoleParts, caller: ConsoleCaller) -> list[dict[str, Any]]:
    """Return the opt-out requests that a person sees, with the names of who raised and decided them."""
    person = caller.person
    assert person is not None, "pages know sessions only, and those are people's"
    return [
        {**one, **{f"{by}_name": _name(console, one.get(by)) for by in ("raised_by", "decided_by")}}
        for one in console.opt_outs.requests(person)
    ]


def _name(console: ConsoleParts, account: str | None) -> str:
    """Return a person's name; the account's while it is not known."""
    try:
        found = console.deps.people.find(account or "")
    except AccountsAwayError:
        found = None
    return (found.display_name if found is not None else "") or account or ""


def call_of(console: ConsoleParts, caller: ConsoleCaller, call_id: str) -> dict[str, Any]:
    """Return a live call that a person sees.

    Raises:
        ProblemError: 404: there is none.
    """
    for call in console.live.calls(caller.actor):
        if call.get("call") == call_id:
            return call
    raise ProblemError(404, "There is no such call in progress.")
