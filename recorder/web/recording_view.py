"""Renders the pages of one recording: its own, and one for each act on it."""

from types import MappingProxyType
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from fastapi.responses import HTMLResponse, RedirectResponse

from recorder.common.problems import ProblemError
from recorder.exports.left_out import Ground
from recorder.permissions import Act, Refusal
from recorder.rules import wording
from recorder.rules.authorisation import may
from recorder.rules.call_parts import is_part, withheld_of
from recorder.rules.requesting import GRANT_ENDED, AccessKind, AccessRequest, Category, RequestState
from recorder.web.auth import ConsoleCaller
from recorder.web.forms import EMPTY, TypedForm
from recorder.web.holds import holds_on_page
from recorder.web.parts import ConsoleParts
from recorder.web.recording_parts import parts_on_page
from recorder.web.recording_player import player_of
from recorder.web.recording_title import title_of
from storage.encoding import CopyFormat
from storage.erasures import is_open
from storage.retention_types import HoldKind
from storage.types import RecordingRow

_GROUNDS = {ground: wording.title(ground) for ground in Ground}
DONE = MappingProxyType(
    {
        "erasing": "The part is marked and will be erased in a moment. Until then the recording is locked.",
        "erasure_waits": "The part is marked and the recording is locked. A second person has to confirm the erasure.",
    }
)
"""Sentences after an act, by the code in the address: no other text comes from an address."""

PAGES = MappingProxyType(
    {
        Act.PLAY: "recording_break_glass.html", Act.ASK: "recording_ask.html", Act.PLACE_HOLD: "recording_hold.html",
        Act.RETROACTIVE_PAUSE: "recording_forgot.html", Act.ERASE: "recording_erase.html",
        Act.RELEASE_HOLD: "recording_holds.html",
    }
)  # fmt: skip
"""The page of an act on a recording; an act without one is done on the recording's own page."""


def recording_page(
    console: ConsoleParts, caller: ConsoleCaller, recording_id: str, *, status: int = 200, problem: str = "",
    audio: str = "", said: str = "", form: TypedForm = EMPTY, act: Act = Act.VIEW,
    preview_s: tuple[float, float] | None = None,
) -> HTMLResponse:  # fmt: skip
    """Return a page of a recording.

    Args:
        console: The console.
        caller: The person who sees it.
        recording_id: The recording.
        status: HTTP status.
        problem: Error of the form that was sent.
        audio: URL of the audio, if listening was permitted.
        said: Message about what was done.
        form: The form that was refused, to show again.
        act: The act that the page is for, see `PAGES`; the recording's own page for any other.
        preview_s: From and to of the copy that the audio is a preview of.

    Raises:
        ProblemError: It may not be shown.
    """
    service = console.recording_service
    row = service.view(caller.actor, recording_id)
    orders = service.orders(row)
    leave, copying = (service.leave(caller.actor, row.id, wanted) for wanted in (AccessKind.LISTEN, AccessKind.COPY))
    withheld, not_copied = (withheld_of(row, one.heard(row.id)) if one is not None else [] for one in (leave, copying))
    zone = ZoneInfo(console.deps.timezone)
    return console.renderer.page(
        PAGES.get(act, "recording.html"), caller, status=status, row=row, title=title_of(row, zone),
        document_title=title_of(row, zone, has_number=False), formats=list(CopyFormat), grounds=_GROUNDS,
        problem=problem, form=form, said=said, orders=orders, copies=service.copies(row),
        player=player_of(row, audio, preview_s=preview_s), is_locked=any(map(is_open, orders)),
        restricted=service.restriction(row),
        leave=leave, may_copy=copying is not None, withheld=withheld, not_copied=not_copied, is_part=is_part(row),
        categories=list(Category), held=_held(row), waiting=_waiting(console, caller, row),
        **holds_on_page(console, caller, row), **_told(console, caller, row, act),
    )  # fmt: skip


def _held(row: RecordingRow) -> list[str]:
    """Return in words what a recording is held for; a person who may not know that sees that it is held."""
    kinds = set(HoldKind)
    return [wording.held_for(HoldKind(kind)) if kind in kinds else "held" for kind in row.holds]


def _waiting(console: ConsoleParts, caller: ConsoleCaller, row: RecordingRow) -> list[AccessRequest]:
    """Return the person's own requests for a recording that nobody has decided on yet."""
    requests = console.deps.hearing.requests.of_recording(row.id)
    return [one for one in requests if one.account == caller.actor.actor and one.state is RequestState.WAITING]


def _told(console: ConsoleParts, caller: ConsoleCaller, row: RecordingRow, act: Act) -> dict[str, Any]:
    """Return journey and history, which the pages of acts do not show."""
    return {} if act in PAGES else parts_on_page(console, caller, row)


def again(
    console: ConsoleParts, caller: ConsoleCaller, recording_id: str, error: ProblemError, act: Act,
    *, form: TypedForm = EMPTY, page: Act | None = None,
) -> HTMLResponse:  # fmt: skip
    """Show the page of a form with its error and what was typed; raise other errors again.

    Args:
        console: The console.
        caller: The person who sees it.
        recording_id: The recording.
        error: Why the form was refused.
        act: What the form was for.
        form: What was typed.
        page: The act whose page has the form; None is ``act``.
    """
    is_theirs = not isinstance(may(caller.actor, act, reason="asked elsewhere", has_grant=True), Refusal)
    if not is_theirs or error.status not in (403, 409, 422):
        raise error
    try:
        return recording_page(
            console, caller, recording_id, status=error.status, problem=error.detail, form=form.refused(error),
            act=act if page is None else page,
        )  # fmt: skip
    except ProblemError as unseen:
        if error.detail != GRANT_ENDED:
            raise
        raise error from unseen  # they may not see the page any more, but are told why


def to_page(recording_id: str, done: str) -> RedirectResponse:
    """Return the way back to a recording's page after an act; ``done`` is a code of `DONE`."""
    assert done in DONE, "a code says what was done"
    return RedirectResponse(f"/recordings/{quote(recording_id)}?done={done}", 303)
