"""The HTTP+JSON interface of the console to calls in progress, under /api/."""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from recorder.permissions import MAX_REASON_CHARACTERS, Act, Actor, Allowed, Application
from recorder.rules.authorisation import may
from recorder.rules.call_target import CallTarget, ExtensionTarget
from recorder.rules.live_access import Around, seen
from recorder.web.api import PROBLEMS
from recorder.web.parts import ApiChanger, ApiKnock, ApiReader, Console, ConsoleParts
from recorder.web.seen_events import SeenEvents

router = APIRouter(prefix="/api", responses={**PROBLEMS, 409: PROBLEMS[403]})

CallPath = Annotated[str, Path(description="The call's id, from GET /api/calls", max_length=100)]
Number = Annotated[str, Path(description="A nominated extension's number", max_length=40)]


class ActReason(BaseModel):
    """Why something is done."""

    model_config = ConfigDict(extra="forbid")
    reason: str = Field(default="", max_length=MAX_REASON_CHARACTERS)


class ForgottenPause(ActReason):
    """A pause that was forgotten."""

    seconds: float | None = Field(gt=0, le=86_400, description="How far back it should have begun; null: always")


class Calls(BaseModel):
    """Calls in progress."""

    calls: list[dict[str, Any]]


@router.get("/calls")
def calls(console: Console, caller: ApiReader) -> Calls:
    """Calls in progress."""
    return Calls(calls=console.live.calls(caller.actor))


@router.post("/calls/{call}/pause")
def pause(console: Console, call: CallPath, knock: ApiKnock, why: ActReason | None = None) -> dict[str, Any]:
    """Pause one call's recording; answered once both channels are gated."""
    return console.live.pause(knock.caller().actor, CallTarget(call), why.reason if why else "")


@router.post("/calls/{call}/resume")
def resume(console: Console, call: CallPath, knock: ApiKnock, why: ActReason | None = None) -> dict[str, Any]:
    """Resume one call's recording, as far as the caller may."""
    return console.live.resume(knock.caller().actor, CallTarget(call), why.reason if why else "")


@router.post("/calls/{call}/forgot")
def forgot(console: Console, call: CallPath, caller: ApiChanger, span: ForgottenPause) -> dict[str, Any]:
    """Pause, and have what was recorded of the last seconds erased; takes a person."""
    return console.live.pause_retroactively(caller.actor, CallTarget(call), span.seconds, span.reason)


@router.post("/calls/{call}/second-message")
def second_message(
    console: Console, call: CallPath, caller: ApiChanger, why: ActReason | None = None
) -> dict[str, Any]:
    """Have the second message played to the caller, who hears it and not the officer until it ends; takes a person."""
    return console.live.second_message(caller.actor, CallTarget(call), why.reason if why else "")


@router.post("/extensions/{number}/pause")
def pause_extension(console: Console, number: Number, knock: ApiKnock, why: ActReason | None = None) -> dict[str, Any]:
    """Pause every call of an extension."""
    return console.live.pause(knock.caller().actor, ExtensionTarget(number), why.reason if why else "")


@router.post("/extensions/{number}/resume")
def resume_extension(console: Console, number: Number, knock: ApiKnock, why: ActReason | None = None) -> dict[str, Any]:
    """Resume every call of an extension."""
    return console.live.resume(knock.caller().actor, ExtensionTarget(number), why.reason if why else "")


@router.post("/extensions/{number}/forgot")
def forgot_extension(console: Console, number: Number, caller: ApiChanger, span: ForgottenPause) -> dict[str, Any]:
    """Do so for every call of an extension."""
    return console.live.pause_retroactively(caller.actor, ExtensionTarget(number), span.seconds, span.reason)


@router.post("/extensions/{number}/second-message")
def second_message_extension(
    console: Console, number: Number, caller: ApiChanger, why: ActReason | None = None
) -> dict[str, Any]:
    """Do so in every call of an extension."""
    return console.live.second_message(caller.actor, ExtensionTarget(number), why.reason if why else "")


@router.get("/events", response_class=StreamingResponse)
async def events(request: Request, console: Console) -> StreamingResponse:
    """Live calls as they change: server-sent events of the calls that you may see, as GET /api/calls shows them."""
    watched = _Watched(request, console)
    actor = await run_in_threadpool(watched.look)
    known = await run_in_threadpool(console.live.calls, actor)
    is_told_all = isinstance(actor, Application) or isinstance(may(actor, Act.SEE_SYSTEM), Allowed)
    theirs = SeenEvents(watched.see, known, is_told_all=is_told_all)
    stream = theirs.of(console.deps.events(actor.actor))
    return await console.watchers.stream(actor.actor, stream, ask=partial(run_in_threadpool, watched.look))


class _Watched:
    """Who reads a stream of events, and what they may see; looked at again and again while it is open."""

    def __init__(self, request: Request, console: ConsoleParts) -> None:
        self._request = request
        self._console = console
        self._who: tuple[Actor, Around] | None = None

    def look(self) -> Actor:
        """Return who reads it; blocks. Raises ProblemError where they may no more."""
        # An open stream must not keep a session alive that nobody uses.
        actor = self._console.gate.by_any(self._request, is_activity=False).actor
        self._console.live.looks(actor)
        if isinstance(actor, Application) and actor.extensions:
            sentence = "The stream shows every extension; this token is good for some only."
            raise self._console.rules.refusal(actor.actor, Act.SEE_LIVE, "", sentence)
        self._who = actor, self._console.live.around(actor)
        return actor

    def see(self, call: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return a call as they may see it."""
        assert self._who is not None, "who reads it is looked at first"
        actor, around = self._who
        return seen(actor, call, around)
