"""Forms that order an erasure, on a recording's page; `recorder.web.erasure_list_pages` has the pages of orders."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from recorder.common.problems import ProblemError
from recorder.permissions import Act
from recorder.retention.erasing import forgot_recording, order_erasure
from recorder.rules.erasing import position_from
from recorder.web.forms import FieldErrors, Sent
from recorder.web.parts import Console, PageChanger, Text
from recorder.web.recording_view import again, to_page
from storage.retention_types import ErasureKind, ErasureState

router = APIRouter(include_in_schema=False)

_DONE = {ErasureState.CONFIRMED: "erasing", ErasureState.WAITING: "erasure_waits"}
"""Codes of `recorder.web.recording_view.DONE`."""


@dataclass(frozen=True, slots=True)
class _Form:
    """A span as typed, and the reason."""

    start: str
    end: str
    reason: str
    third: str

    def span_s(self) -> tuple[float, float | None]:
        """Return the span; an empty end is the end of the recording. ProblemError at its fields if it is invalid."""
        errors, start_s, end_s = FieldErrors(), 0.0, None
        with errors.of("start"):
            start_s = position_from(self.start)
        with errors.of("end"):
            end_s = position_from(self.end) if self.end.strip() else None
        errors.check()
        return start_s, end_s


def _form(start: Text = "", end: Text = "", reason: Text = "", third: Text = "") -> _Form:
    return _Form(start, end, reason, third.strip())


SpanForm = Annotated[_Form, Depends(_form)]


@router.post("/recordings/{recording_id}/forgot")
def forgot(console: Console, recording_id: str, caller: PageChanger, form: SpanForm, sent: Sent) -> Response:
    """Order the erasure of a span that should have been paused."""
    try:
        order = forgot_recording(
            console.deps.repos, caller.actor, recording_id, span_s=form.span_s(), reason=form.reason,
            third=form.third,
        )  # fmt: skip
    except ProblemError as error:
        return again(console, caller, recording_id, error, Act.RETROACTIVE_PAUSE, form=sent.named("forgot"))
    return to_page(order.recording, _DONE[order.state])


@router.post("/recordings/{recording_id}/erase")
def erase(console: Console, recording_id: str, caller: PageChanger, form: SpanForm, sent: Sent) -> Response:
    """Order the erasure of a span for another reason."""
    try:
        order = order_erasure(
            console.deps.repos,
            caller.actor,
            recording_id,
            span_s=form.span_s(),
            kind=ErasureKind.OTHER,
            reason=form.reason,
        )
    except ProblemError as error:
        return again(console, caller, recording_id, error, Act.ERASE, form=sent.named("erase"))
    return to_page(order.recording, _DONE[order.state])
