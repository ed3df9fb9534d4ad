"""The console's pages for recordings."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, StreamingResponse
from starlette.responses import Response

from recorder.common.problems import ProblemError
from recorder.exports.left_out import Ground
from recorder.permissions import Act, Person, Refusal
from recorder.recordings.number_masking import may_search_numbers
from recorder.rules import wording
from recorder.rules.authorisation import may
from recorder.rules.call_parts import is_part, withheld_of
from recorder.rules.requesting import AccessKind, Category
from recorder.web.auth import ConsoleCaller
from recorder.web.copies import CopyForm
from recorder.web.filters import PAGE_SIZE, read_form
from recorder.web.forms import EMPTY, Sent, TypedForm
from recorder.web.holds import holds_on_page
from recorder.web.parts import Console, ConsoleParts, PageChanger, PageReader, Text
from recorder.web.recording_parts import parts_on_page
from recorder.web.recording_title import who_of
from recorder.web.search_form import fields_of, page_links, shown_again
from recorder.web.streams import download, played
from storage.encoding import CopyFormat
from storage.erasures import is_open
from storage.types import Outcome

_GROUNDS = {ground: wording.title(ground) for ground in Ground}
router = APIRouter(include_in_schema=False)


# Recordings


@router.get("/recordings")
def recordings(console: Console, caller: PageReader) -> HTMLResponse:
    """Show the newest recordings."""
    return _listing(console, caller, {})


@router.post("/recordings")
def search(console: Console, caller: PageChanger, sent: Sent) -> HTMLResponse:
    """Find recordings. A POST, so that no number is in a URL or a log."""
    return _listing(console, caller, fields_of(sent, console.deps.now(), ZoneInfo(console.deps.timezone)))


@router.post("/recordings/csv")
def search_csv(console: Console, caller: PageChanger, sent: Sent) -> Response:
    """Find recordings and return them as CSV, newest first."""
    fields = fields_of(sent, console.deps.now(), ZoneInfo(console.deps.timezone))
    form = read_form(fields, console.deps.timezone)
    if form.errors:
        return _listing(console, caller, fields)
    try:
        lines = console.recording_service.list_as_csv(caller.actor, form.search)
    except ProblemError as error:
        if not error.fields:
            raise
        return _listing(console, caller, fields)
    name = f"calls-{console.deps.now():%Y%m%d-%H%M%S}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=headers)


@router.get("/recordings/{recording_id}")
def recording(console: Console, recording_id: str, caller: PageReader) -> HTMLResponse:
    """Show one recording."""
    return recording_page(console, caller, recording_id)


@router.post("/recordings/{recording_id}/play")
def play(console: Console, recording_id: str, caller: PageChanger, reason: Text = "") -> HTMLResponse:
    """Permit listening to a recording, for a reason."""
    try:
        secret = console.recording_service.grant_play(_person(caller), recording_id, reason)
    except ProblemError as error:
        return again(console, caller, recording_id, error, Act.PLAY)
    return recording_page(console, caller, recording_id, audio=f"/recordings/{recording_id}/audio/{secret}")


@router.get("/recordings/{recording_id}/audio/{secret}")
def audio(request: Request, console: Console, recording_id: str, secret: str, caller: PageReader) -> StreamingResponse:
    """Stream the decoded audio, or the part that a player asks for, to a person with permission."""
    # If-Range never matches, because these files have no validator.
    wanted = None if "if-range" in request.headers else request.headers.get("range")
    return played(console.recording_service.play(_person(caller), recording_id, secret, wanted))


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


@router.post("/recordings/{recording_id}/export")
def export(
    console: Console, recording_id: str, caller: PageChanger, form: Annotated[CopyForm, Depends(_copy_form)], sent: Sent
) -> Response:
    """Make a copy, for a reason."""
    try:
        return download(console.recording_service.export(caller.actor, recording_id, form), recording_id)
    except ProblemError as error:
        return again(console, caller, recording_id, error, Act.EXPORT, form=sent.named("copy"))


def _person(caller: ConsoleCaller) -> Person:
    assert caller.person is not None, "pages know sessions only, and those are people's"
    return caller.person


def _listing(console: ConsoleParts, caller: ConsoleCaller, fields: Mapping[str, str]) -> HTMLResponse:
    person, form, found = _person(caller), read_form(fields, console.deps.timezone), None
    try:
        found = None if form.errors else console.recording_service.search(person, form.search)
    except ProblemError as error:
        if not error.fields:
            raise
        form = replace(form, errors=error.fields)
    pages = max(1, -(-found.total // PAGE_SIZE)) if found and not found.is_more else None
    has_next = found is not None and (len(found.rows) == PAGE_SIZE if pages is None else form.page < pages)
    pickers = console.recording_service.partial.pickers(person)
    return console.renderer.page(
        "recordings.html", caller, status=422 if form.errors else 200, form=shown_again(form), typed=form.typed,
        page=form.page, found=found, pages=pages, links=page_links(form.page, pages, has_next=has_next),
        outcomes=list(Outcome), pickers=pickers, is_own_only=pickers.officers == [person.display_name],
        sees_numbers=not isinstance(may_search_numbers(person), Refusal),
        who_of=who_of, granted=console.recording_service.granted(person) if found else frozenset(),
    )  # fmt: skip


def recording_page(
    console: ConsoleParts, caller: ConsoleCaller, recording_id: str, *, status: int = 200, problem: str = "",
    audio: str = "", said: str = "", form: TypedForm = EMPTY,
) -> HTMLResponse:  # fmt: skip
    """Return a recording's page.

    Args:
        console: The console.
        caller: The person who sees it.
        recording_id: The recording.
        status: HTTP status.
        problem: Error of the form that was sent.
        audio: URL of the audio, if listening was permitted.
        said: Message about what was done.
        form: The form that was refused, to show again.

    Raises:
        ProblemError: It may not be shown.
    """
    service = console.recording_service
    row = service.view(caller.actor, recording_id)
    orders = service.orders(row)
    leave, copying = (service.leave(caller.actor, row.id, wanted) for wanted in (AccessKind.LISTEN, AccessKind.COPY))
    withheld, not_copied = (withheld_of(row, one.heard(row.id)) if one is not None else [] for one in (leave, copying))
    return console.renderer.page(
        "recording.html", caller, status=status, row=row, formats=list(CopyFormat), grounds=_GROUNDS,
        problem=problem, form=form,
        audio=audio, said=said, orders=orders, copies=service.copies(row), is_locked=any(map(is_open, orders)),
        restricted=service.restriction(row),
        leave=leave, may_copy=copying is not None, withheld=withheld, not_copied=not_copied, is_part=is_part(row),
        categories=list(Category), **holds_on_page(console, caller, row),
        **parts_on_page(console, caller, row),
    )  # fmt: skip


def again(
    console: ConsoleParts, caller: ConsoleCaller, recording_id: str, error: ProblemError, act: Act,
    *, form: TypedForm = EMPTY,
) -> HTMLResponse:  # fmt: skip
    """Show the recording's page with the error of a form, and what was typed; raise other errors again."""
    is_theirs = not isinstance(may(caller.actor, act, reason="asked elsewhere", has_grant=True), Refusal)
    if not is_theirs or error.status not in (403, 409, 422):
        raise error
    return recording_page(
        console, caller, recording_id, status=error.status, problem=error.detail, form=form.refused(error)
    )
