"""HTTP interface of the console for live calls, under /api/."""

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
    """Reason of an act."""

    model_config = ConfigDict(extra="forbid")
    reason: str = Field(default="", max_length=MAX_REASON_CHARACTERS)


class ForgottenPause(ActReason):
    """A retroactive pause."""

    seconds: float | None = Field(gt=0, le=86_400, description="How far back to erase; null is the whole call")


class Calls(BaseModel):
    """Live calls."""

    calls: list[dict[str, Any]]


@router.get("/calls")
def calls(console: Console, caller: ApiReader) -> Calls:
    """Live calls."""
    return Calls(calls=console.live.calls(caller.actor))


@router.post("/calls/{call}/pause")
def pause(console: Console, call: CallPath, knock: ApiKnock, why: ActReason | None = None) -> dict[str, Any]:
    """Pause one call's recording; the answer comes when the recording gates of both channels are shut."""
    return console.live.pause(knock.caller().actor, CallTarget(call), why.reason if why else "")


@router.post("/calls/{call}/resume")
def resume(console: Console, call: CallPath, knock: ApiKnock, why: ActReason | None = None) -> dict[str, Any]:
    """Resume one call's recording, as far as the caller may."""
    return console.live.resume(knock.caller().actor, CallTarget(call), why.reason if why else "")


@router.post("/calls/{call}/forgot")
def forgot(console: Console, call: CallPath, caller: ApiChanger, span: ForgottenPause) -> dict[str, Any]:
    """Pause, and have the last seconds erased. Needs a person."""
    return console.live.pause_retroactively(caller.actor, CallTarget(call), span.seconds, span.reason)


@router.post("/calls/{call}/second-message")
def second_message(
    console: Console, call: CallPath, caller: ApiChanger, why: ActReason | None = None
) -> dict[str, Any]:
    """Play the second message to the caller, who hears it instead of the officer. Needs a person."""
    return console.live.second_message(caller.actor, CallTarget(call), why.reason if why else "")


@router.post("/extensions/{number}/pause")
def pause_extension(console: Console, number: Number, knock: ApiKnock, why: ActReason | None = None) -> dict[str, Any]:
    """Pause all calls of an extension."""
    return console.live.pause(knock.caller().actor, ExtensionTarget(number), why.reason if why else "")


@router.post("/extensions/{number}/resume")
def resume_extension(console: Console, number: Number, knock: ApiKnock, why: ActReason | None = None) -> dict[str, Any]:
    """Resume all calls of an extension."""
    return console.live.resume(knock.caller().actor, ExtensionTarget(number), why.reason if why else "")


@router.post("/extensions/{number}/forgot")
def forgot_extension(console: Console, number: Number, caller: ApiChanger, span: ForgottenPause) -> dict[str, Any]:
    """Pause all calls of an extension, and have the last seconds erased. Needs a person."""
    return console.live.pause_retroactively(caller.actor, ExtensionTarget(number), span.seconds, span.reason)


@router.post("/extensions/{number}/second-message")
def second_message_extension(
    console: Console, number: Number, caller: ApiChanger, why: ActReason | None = None
) -> dict[str, Any]:
    """Play the second message in all calls of an extension. Needs a person."""
    return console.live.second_message(caller.actor, ExtensionTarget(number), why.reason if why else "")


@router.get("/events", response_class=StreamingResponse)
async def events(request: Request, console: Console) -> StreamingResponse:
    """Changes of live calls as server-sent events, for the calls that GET /api/calls shows you."""
    watched = _Watched(request, console)
    actor = await run_in_threadpool(watched.look)
    known = await run_in_threadpool(console.live.calls, actor)
    is_told_all = isinstance(actor, Application) or isinstance(may(actor, Act.SEE_SYSTEM), Allowed)
    theirs = SeenEvents(watched.see, known, is_told_all=is_told_all)
    stream = theirs.of(console.deps.events(actor.actor))
    return await console.watchers.stream(actor.actor, stream, ask=partial(run_in_threadpool, watched.look))


class _Watched:
    """The reader of an event stream and their permissions, checked regularly while the stream is open."""

    def __init__(self, request: Request, console: ConsoleParts) -> None:
        self._request = request
        self._console = console
        self._who: tuple[Actor, Around] | None = None

    def look(self) -> Actor:
        """Identify the reader; blocks. Raises ProblemError if they may no longer read."""
        # An open stream must not keep an unused session alive.
        actor = self._console.gate.by_any(self._request, is_activity=False).actor
        self._console.live.looks(actor)
        if isinstance(actor, Application) and actor.extensions:
            sentence = "The stream shows every extension; this token is good for some only."
            raise self._console.audit_service.refusal(actor.actor, Act.SEE_LIVE, "", sentence)
        self._who = actor, self._console.live.around(actor)
        return actor

    def see(self, call: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return a call as the reader may see it, or None."""
        assert self._who is not None, "look() runs first"
        actor, around = self._who
        return seen(actor, call, around)
