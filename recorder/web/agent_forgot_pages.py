"""The page on which officers say that they forgot to pause in a call of theirs that has ended."""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form
from fastapi.responses import HTMLResponse

from recorder.common.problems import ProblemError
from recorder.retention.erasing import forgot_recording
from recorder.web.agent_pages import agent_page
from recorder.web.auth import ConsoleCaller
from recorder.web.forms import EMPTY, Sent, TypedForm
from recorder.web.parts import Console, ConsoleParts, PageChanger, PageReader
from storage.retention_types import ErasureState

router = APIRouter(include_in_schema=False)

ENDS: tuple[tuple[str, str], ...] = (
    ("30", "The last 30 seconds"),
    ("60", "The last minute"),
    ("120", "The last 2 minutes"),
    ("240", "The last 4 minutes"),
    ("all", "The whole call"),
)
"""How much of the end of a finished call may be chosen."""

_SAID = {
    ErasureState.CONFIRMED: "The part you chose will be erased in a moment. Until then nobody can play the recording.",
    ErasureState.WAITING: "A second person has to confirm the erasure. Until then nobody can play the recording.",
}
_UNCHOSEN = "Select how much of the call should be erased."

Ticked = Annotated[str, Form(max_length=10)]


@router.get("/agent/recordings/{recording_id}/forgot")
def forgot_form(console: Console, recording_id: str, caller: PageReader) -> HTMLResponse:
    """Ask how much of a finished call should be erased."""
    return _page(console, caller, recording_id, EMPTY)


@router.post("/agent/recordings/{recording_id}/forgot")
def forgot(console: Console, recording_id: str, caller: PageChanger, sent: Sent, span: Ticked = "") -> HTMLResponse:
    """Order the erasure of the end of a finished call, or of all of it."""
    try:
        if span not in dict(ENDS):
            raise ProblemError(422, _UNCHOSEN, fields={"span": _UNCHOSEN})
        seconds = None if span == "all" else float(span)
        order = forgot_recording(console.deps.repos, caller.actor, recording_id, seconds=seconds)
    except ProblemError as error:
        if error.status in (403, 404):
            raise
        return _page(console, caller, recording_id, sent.refused(error), status=error.status)
    return agent_page(console, caller, said=_SAID[order.state])


def _page(
    console: ConsoleParts, caller: ConsoleCaller, recording_id: str, form: TypedForm, *, status: int = 200
) -> HTMLResponse:
    row = console.recording_service.view(caller.actor, recording_id)
    return console.renderer.page(
        "agent_forgot.html", caller, status=status, row=row, form=form, spans=ENDS,
        action=f"/agent/recordings/{quote(row.id, safe='')}/forgot",
    )  # fmt: skip
