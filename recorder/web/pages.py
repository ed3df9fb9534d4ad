"""The page that finds recordings."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse, StreamingResponse
from starlette.responses import Response

from recorder.common.problems import ProblemError
from recorder.permissions import Person
from recorder.web.auth import ConsoleCaller
from recorder.web.filters import FIELDS, PAGE_SIZE, Preset, read_form
from recorder.web.parts import Console, ConsoleParts, PageChanger, PageReader, Text
from storage.types import Outcome

router = APIRouter(include_in_schema=False)


def search_form(  # noqa: PLR0917 - FastAPI passes them by name
    from_date: Text = "",
    from_time: Text = "",
    to_date: Text = "",
    to_time: Text = "",
    operator: Text = "",
    extension: Text = "",
    number: Text = "",
    outcome: Text = "",
    page: Text = "",
    service: Text = "",
    team: Text = "",
    preset: Text = "",
) -> dict[str, str]:
    """Return the values of a search form, for `recorder.web.filters.read_form`."""
    sent = (from_date, from_time, to_date, to_time, operator, extension, number, outcome, page, service, team, preset)
    return dict(zip(FIELDS, sent, strict=True))


@router.get("/recordings")
def recordings(console: Console, caller: PageReader) -> HTMLResponse:
    """Show the newest recordings."""
    return _listing(console, caller, {})


@router.post("/recordings")
def search(
    console: Console, caller: PageChanger, sent: Annotated[dict[str, str], Depends(search_form)]
) -> HTMLResponse:
    """Find recordings. A POST, so that no number is in a URL or a log."""
    return _listing(console, caller, sent)


@router.post("/recordings/csv")
def search_csv(
    console: Console, caller: PageChanger, sent: Annotated[dict[str, str], Depends(search_form)]
) -> Response:
    """Find recordings and return them as CSV, newest first."""
    form = read_form(sent, console.deps.timezone, now=console.deps.now())
    if form.errors:
        return _listing(console, caller, sent)
    try:
        lines = console.recording_service.list_as_csv(caller.actor, form.search)
    except ProblemError as error:
        if not error.fields:
            raise
        return _listing(console, caller, sent)
    name = f"calls-{console.deps.now():%Y%m%d-%H%M%S}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=headers)


def _person(caller: ConsoleCaller) -> Person:
    assert caller.person is not None, "pages know sessions only, and those are people's"
    return caller.person


def _listing(console: ConsoleParts, caller: ConsoleCaller, sent: dict[str, str]) -> HTMLResponse:
    form, found = read_form(sent, console.deps.timezone, now=console.deps.now()), None
    try:
        found = None if form.errors else console.recording_service.search(caller.actor, form.search)
    except ProblemError as error:
        if not error.fields:
            raise
        form = replace(form, errors=error.fields)
    pages = max(1, -(-found.total // PAGE_SIZE)) if found and not found.is_more else None
    has_next = found is not None and (len(found.rows) == PAGE_SIZE if pages is None else form.page < pages)
    status = 422 if form.errors else 200
    return console.renderer.page(
        "recordings.html",
        caller,
        status=status,
        form=form,
        found=found,
        pages=pages,
        has_next=has_next,
        outcomes=list(Outcome),
        pickers=console.recording_service.partial.pickers(_person(caller)),
        presets=list(Preset),
    )
