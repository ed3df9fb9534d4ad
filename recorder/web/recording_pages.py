"""Pages of one recording: its own, those of acts on it, its audio and copies of it."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, StreamingResponse
from starlette.responses import RedirectResponse, Response

from recorder.common.problems import ProblemError
from recorder.permissions import Act, Person
from recorder.web.auth import ConsoleCaller
from recorder.web.copies import CopyForm
from recorder.web.forms import Sent
from recorder.web.parts import Console, ConsoleParts, PageChanger, PageReader, Text
from recorder.web.recording_view import DONE, again, recording_page
from recorder.web.streams import download, played

router = APIRouter(include_in_schema=False)


@router.get("/recordings/{recording_id}")
def recording(console: Console, recording_id: str, caller: PageReader, done: str = "") -> HTMLResponse:
    """Show one recording; ``done`` says what was done before."""
    return recording_page(console, caller, recording_id, said=DONE.get(done, ""))


@router.get("/recordings/{recording_id}/request")
def ask(console: Console, recording_id: str, caller: PageReader) -> Response:
    """Show the form that asks to hear a recording; elected members, who see no recording before, have theirs."""
    if not console.renderer.can(_person(caller), Act.VIEW):
        return RedirectResponse("/requests", 303)
    return _page_of(console, caller, recording_id, Act.ASK)


@router.get("/recordings/{recording_id}/hold")
def hold(console: Console, recording_id: str, caller: PageReader) -> HTMLResponse:
    """Show the form that places a hold."""
    return _page_of(console, caller, recording_id, Act.PLACE_HOLD)


@router.get("/recordings/{recording_id}/holds")
def holds(console: Console, recording_id: str, caller: PageReader) -> HTMLResponse:
    """Show the holds on a recording, with the forms that change them."""
    console.recording_service.check(caller.actor, Act.PLACE_HOLD, recording_id)
    return recording_page(console, caller, recording_id, act=Act.RELEASE_HOLD)


@router.get("/recordings/{recording_id}/forgot")
def forgot(console: Console, recording_id: str, caller: PageReader) -> HTMLResponse:
    """Show the form of an officer who forgot to pause."""
    return _page_of(console, caller, recording_id, Act.RETROACTIVE_PAUSE)


@router.get("/recordings/{recording_id}/erase")
def erase(console: Console, recording_id: str, caller: PageReader) -> HTMLResponse:
    """Show the form that orders an erasure for another reason."""
    return _page_of(console, caller, recording_id, Act.ERASE)


@router.get("/recordings/{recording_id}/break-glass")
def break_glass(console: Console, recording_id: str, caller: PageReader) -> HTMLResponse:
    """Show the form of ICT, who may listen without approval."""
    return _page_of(console, caller, recording_id, Act.PLAY)


def _page_of(console: ConsoleParts, caller: ConsoleCaller, recording_id: str, act: Act) -> HTMLResponse:
    console.recording_service.check(caller.actor, act, recording_id)
    return recording_page(console, caller, recording_id, act=act)


_WITH_PLAYER = {"forgot": Act.RETROACTIVE_PAUSE, "erase": Act.ERASE}
"""Pages besides the recording's own that have a player."""


@router.post("/recordings/{recording_id}/play")
def play(console: Console, recording_id: str, caller: PageChanger, sent: Sent, reason: Text = "") -> HTMLResponse:
    """Permit listening to a recording, for a reason; the field ``page`` names the page that shows the player."""
    person, page = _person(caller), _WITH_PLAYER.get(sent["page"], Act.VIEW)
    if page is not Act.VIEW:
        console.recording_service.check(person, page, recording_id)
    try:
        secret = console.recording_service.listening.grant_play(person, recording_id, reason)
    except ProblemError as error:
        is_break_glass = console.renderer.can(person, Act.PLAY) and not console.recording_service.leave(
            person, recording_id
        )
        page = Act.PLAY if is_break_glass else page
        return again(console, caller, recording_id, error, Act.PLAY, form=sent.named("play"), page=page)
    return recording_page(console, caller, recording_id, audio=_audio(recording_id, secret), act=page)


def _copy_form(  # noqa: PLR0917 - FastAPI passes them by name
    reason: Text = "",
    audio_format: Annotated[str, Form(alias="format", max_length=20)] = "",
    start: Text = "",
    end: Text = "",
    redact: Text = "",
    redact_reason: Text = "",
    requester: Text = "",
    ground: Text = "",
    passphrase: Text = "",
    package: Text = "",
    case: Text = "",
) -> CopyForm:
    return CopyForm(
        audio_format=audio_format, reason=reason, start=start, end=end, redact=redact, redact_reason=redact_reason,
        requester=requester, ground=ground, passphrase=passphrase, is_package=bool(package), case=case,
    )  # fmt: skip


@router.post("/recordings/{recording_id}/preview")
def preview(
    console: Console, recording_id: str, caller: PageChanger, form: Annotated[CopyForm, Depends(_copy_form)], sent: Sent
) -> HTMLResponse:
    """Permit hearing a copy before it is made."""
    typed = sent.named("copy")
    try:
        secret, span_s = console.recording_service.listening.grant_preview(_person(caller), recording_id, form)
    except ProblemError as error:
        return again(console, caller, recording_id, error, Act.EXPORT, form=typed)
    return recording_page(
        console, caller, recording_id, audio=_audio(recording_id, secret), form=typed, preview_s=span_s
    )


@router.get("/recordings/{recording_id}/audio/{secret}")
def audio(request: Request, console: Console, recording_id: str, secret: str, caller: PageReader) -> StreamingResponse:
    """Stream the decoded audio, or the part that a player asks for, to a person with permission."""
    # If-Range never matches, because these files have no validator.
    wanted = None if "if-range" in request.headers else request.headers.get("range")
    return played(console.recording_service.listening.play(_person(caller), recording_id, secret, wanted))


@router.post("/recordings/{recording_id}/export")
def export(
    console: Console, recording_id: str, caller: PageChanger, form: Annotated[CopyForm, Depends(_copy_form)], sent: Sent
) -> Response:
    """Make a copy, for a reason."""
    try:
        return download(console.recording_service.export(caller.actor, recording_id, form), recording_id)
    except ProblemError as error:
        return again(console, caller, recording_id, error, Act.EXPORT, form=sent.named("copy"))


def _audio(recording_id: str, secret: str) -> str:
    return f"/recordings/{recording_id}/audio/{secret}"


def _person(caller: ConsoleCaller) -> Person:
    assert caller.person is not None, "pages know sessions only, and those are people's"
    return caller.person
