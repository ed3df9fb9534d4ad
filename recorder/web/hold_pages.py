"""Forms for legal holds on a recording's page; `recorder.web.hold_list_pages` has the pages of holds."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse

from recorder.audit.audit_service import incomplete
from recorder.common.problems import ProblemError
from recorder.permissions import Act, Actor
from recorder.retention.hold_lists import check_of
from recorder.retention.hold_repositories import HoldRepositories
from recorder.retention.holding import place_hold, reinstate_hold, release_hold, review_hold
from recorder.rules.holds import HoldWish
from recorder.rules.typed_dates import TypedDateError, date_typed
from recorder.web.forms import Sent
from recorder.web.parts import Console, PageChanger, Text
from recorder.web.recording_view import again, recording_page
from storage.retention_types import Hold, HoldKind

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class _Change:
    """A change of a hold, as typed."""

    reason: str
    review_on: str


def _change(reason: Text = "", review_on: Text = "") -> _Change:
    return _Change(reason, review_on)


Change = Annotated[_Change, Depends(_change)]


def _release(repos: HoldRepositories, actor: Actor, hold_id: str, change: _Change) -> Hold:
    return release_hold(repos, actor, hold_id, reason=change.reason)


def _reinstate(repos: HoldRepositories, actor: Actor, hold_id: str, change: _Change) -> Hold:
    return reinstate_hold(repos, actor, hold_id, reason=change.reason)


def _review(repos: HoldRepositories, actor: Actor, hold_id: str, change: _Change) -> Hold:
    return review_hold(repos, actor, hold_id, reason=change.reason, review_on=_day(change.review_on))


_ACTS: MappingProxyType[str, tuple[Callable[[HoldRepositories, Actor, str, _Change], Hold], str]] = MappingProxyType(
    {
        "release": (
            _release,
            "The hold is released. The recording is kept for 14 more days. Until then you can undo the release.",
        ),
        "reinstate": (_reinstate, "The hold is in force again."),
        "review": (_review, "The hold stays in force and has a new review date."),
    }
)
"""Functions that change a hold by a form, and the messages on success."""


@dataclass(frozen=True, slots=True)
class _Typed:
    """A new hold, as typed."""

    kind: str
    reason: str
    case_reference: str
    owner: str
    review_on: str
    against: str

    def wish(self) -> HoldWish:
        """Return the wish; ProblemError if it is invalid."""
        if self.kind not in set(HoldKind):
            raise incomplete("Select what the recording is kept for.", "kind")
        return HoldWish(
            kind=HoldKind(self.kind),
            reason=self.reason,
            case_reference=self.case_reference.strip(),
            owner=self.owner.strip(),
            review_on=_day(self.review_on),
            against=tuple(name.strip() for name in self.against.split(",") if name.strip()),
        )


def _typed(  # noqa: PLR0917 - FastAPI passes them by name
    kind: Text = "",
    reason: Text = "",
    case_reference: Text = "",
    owner: Text = "",
    review_on: Text = "",
    against: Text = "",
) -> _Typed:
    return _Typed(kind, reason, case_reference, owner, review_on, against)


def _day(text: str) -> date | None:
    if not text.strip():
        return None
    try:
        return date_typed(text)
    except TypedDateError as error:
        raise incomplete(f"Review date: {error}.", "review_on") from error


@router.post("/recordings/{recording_id}/hold")
def place(
    console: Console, recording_id: str, caller: PageChanger, typed: Annotated[_Typed, Depends(_typed)], sent: Sent
) -> HTMLResponse:
    """Place a hold."""
    try:
        place_hold(console.deps.hold_repositories, caller.actor, recording_id, typed.wish())
    except ProblemError as error:
        return again(console, caller, recording_id, error, Act.PLACE_HOLD, form=sent.named("hold"))
    return recording_page(console, caller, recording_id, said="The hold is in force and the recording is kept.")


@router.post("/recordings/{recording_id}/holds/{hold_id}/{act}")
def change_there(  # noqa: PLR0917 - FastAPI passes them by name
    console: Console, recording_id: str, hold_id: str, act: str, caller: PageChanger, change: Change, sent: Sent
) -> HTMLResponse:
    """Change a hold from its recording's page."""
    do, said = _known(act)
    check_of(console.deps.hold_repositories, hold_id, recording_id)
    try:
        do(console.deps.hold_repositories, caller.actor, hold_id, change)
    except ProblemError as error:
        return again(console, caller, recording_id, error, Act.RELEASE_HOLD, form=sent.named(f"hold-{hold_id}"))
    return recording_page(console, caller, recording_id, said=said)


def _known(act: str) -> tuple[Callable[[HoldRepositories, Actor, str, _Change], Hold], str]:
    if act not in _ACTS:
        raise ProblemError(404, "If you typed the web address, check that it is correct.")
    return _ACTS[act]
