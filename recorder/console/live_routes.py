"""The HTTP+JSON interface of the console to calls in progress, under /api/."""

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from recorder.console.api import PROBLEMS
from recorder.console.auth import Caller
from recorder.console.parts import ApiChanger, ApiKnock, ApiReader, Console, Parts
from recorder.domain.access import MAX_REASON_CHARACTERS, Act, Application

router = APIRouter(prefix="/api", responses={**PROBLEMS, 409: PROBLEMS[403]})

CallPath = Annotated[str, Path(description="The call's id, from GET /api/calls", max_length=100)]
Number = Annotated[str, Path(description="A nominated extension's number", max_length=40)]


class Why(BaseModel):
    """Why something is done."""

    model_config = ConfigDict(extra="forbid")
    reason: str = Field(default="", max_length=MAX_REASON_CHARACTERS)


class Forgotten(Why):
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
def pause(console: Console, call: CallPath, knock: ApiKnock, why: Why | None = None) -> dict[str, Any]:
    """Pause one call's recording; answered once both channels are gated."""
    return console.live.pause(knock.caller().actor, call, why.reason if why else "")


@router.post("/calls/{call}/resume")
def resume(console: Console, call: CallPath, knock: ApiKnock, why: Why | None = None) -> dict[str, Any]:
    """Resume one call's recording, as far as the caller may."""
    return console.live.resume(knock.caller().actor, call, why.reason if why else "")


@router.post("/calls/{call}/forgot")
def forgot(console: Console, call: CallPath, caller: ApiChanger, span: Forgotten) -> dict[str, Any]:
    """Pause, and have what was recorded of the last seconds erased; takes a person."""
    return console.live.forgot(caller.actor, call, span.seconds, span.reason)


@router.post("/calls/{call}/second-message")
def second_message(console: Console, call: CallPath, caller: ApiChanger, why: Why | None = None) -> dict[str, Any]:
    """Have the second message played to the caller, who hears it and not the officer until it ends; takes a person."""
    return console.live.second_message(caller.actor, call, why.reason if why else "")


@router.post("/extensions/{number}/pause")
def pause_extension(console: Console, number: Number, knock: ApiKnock, why: Why | None = None) -> dict[str, Any]:
    """Pause every call of an extension."""
    return console.live.pause_extension(knock.caller().actor, number, why.reason if why else "")


@router.post("/extensions/{number}/resume")
def resume_extension(console: Console, number: Number, knock: ApiKnock, why: Why | None = None) -> dict[str, Any]:
    """Resume every call of an extension."""
    return console.live.resume_extension(knock.caller().actor, number, why.reason if why else "")


@router.post("/extensions/{number}/forgot")
def forgot_extension(console: Console, number: Number, caller: ApiChanger, span: Forgotten) -> dict[str, Any]:
    """Do so for every call of an extension."""
    return console.live.forgot_extension(caller.actor, number, span.seconds, span.reason)


@router.post("/extensions/{number}/second-message")
def second_message_extension(
    console: Console, number: Number, caller: ApiChanger, why: Why | None = None
) -> dict[str, Any]:
    """Do so in every call of an extension."""
    return console.live.second_message_extension(caller.actor, number, why.reason if why else "")


def _watching(request: Request, console: Parts) -> Caller:
    # An open stream must not keep a session alive that nobody uses.
    caller = console.gate.by_any(request, is_activity=False)
    console.rules.require(caller.actor, Act.SEE_LIVE)
    if isinstance(caller.actor, Application) and caller.actor.extensions:
        sentence = "The stream shows every extension; this token is good for some only."
        raise console.rules.refuse(caller.actor.actor, Act.SEE_LIVE, "", sentence)
    return caller


@router.get("/events", response_class=StreamingResponse)
async def events(request: Request, console: Console) -> StreamingResponse:
    """Live calls as they change: server-sent events, as the daemon sends them."""
    who = partial(run_in_threadpool, _watching, request, console)
    actor = (await who()).actor.actor
    return await console.watchers.stream(actor, console.deps.events(actor), ask=who)
