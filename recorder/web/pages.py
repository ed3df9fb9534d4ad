"""The page that finds recordings."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, StreamingResponse
from starlette.responses import RedirectResponse, Response

from recorder.common.problems import ProblemError
from recorder.permissions import Person, Refusal
from recorder.recordings.number_masking import may_search_numbers
from recorder.web.auth import ConsoleCaller
from recorder.web.filters import DATE_PARTS, PAGE_SIZE, read_form
from recorder.web.forms import Sent, asked
from recorder.web.parts import Console, ConsoleParts, PageChanger, PageReader
from recorder.web.recording_title import who_of
from recorder.web.search_form import address_of, fields_of, page_links, shown_again
from storage.types import Outcome

router = APIRouter(include_in_schema=False)


@router.get("/recordings")
def recordings(request: Request, console: Console, caller: PageReader) -> Response:
    """Find the recordings that the address asks for, or the newest.

    A browser sends every field of a form, the empty ones too: it is led on to an address without them. Addresses have
    numbers, and are in no log (`recorder.web.server`) nor told to other sites (`Referrer-Policy`).
    """
    sent = asked(request)
    if any(name in DATE_PARTS or not value for name, value in request.query_params.multi_items()):
        typed = {name: sent[name] for name in sent.values}
        address = address_of("/recordings", typed, page=sent["page"])
        if address != f"/recordings?{request.scope['query_string'].decode('ascii', 'replace')}":
            return RedirectResponse(address, 303)
    return _listing(console, caller, fields_of(sent, console.deps.now(), ZoneInfo(console.deps.timezone)))


@router.post("/recordings")
def search(console: Console, caller: PageChanger, sent: Sent) -> HTMLResponse:
    """Find recordings, at a site whose addresses have no numbers (``search_by_post``)."""
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
        "recordings.html",
        caller,
        status=422 if form.errors else 200,
        form=shown_again(form),
        typed=form.typed,
        page=form.page,
        found=found,
        pages=pages,
        by_post=console.deps.search_by_post,
        address_of=partial(address_of, "/recordings", form.typed),
        links=page_links(form.page, pages, has_next=has_next),
        outcomes=list(Outcome),
        pickers=pickers,
        is_own_only=pickers.officers == [person.display_name],
        sees_numbers=not isinstance(may_search_numbers(person), Refusal),
        who_of=who_of,
        granted=console.recording_service.granted(person, found.rows) if found else frozenset(),
    )
