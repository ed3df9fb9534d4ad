"""The page that finds recordings."""

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse

from recorder.web.auth import ConsoleCaller
from recorder.web.filters import FIELDS, PAGE_SIZE, read_form
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
) -> dict[str, str]:
    """Return the values of a search form, for `recorder.web.filters.read_form`."""
    sent = (from_date, from_time, to_date, to_time, operator, extension, number, outcome, page)
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


def _listing(console: ConsoleParts, caller: ConsoleCaller, sent: dict[str, str]) -> HTMLResponse:
    form = read_form(sent, console.deps.timezone)
    found = None if form.errors else console.recording_service.search(caller.actor, form.search)
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
    )
