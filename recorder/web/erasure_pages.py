"""Pages for orders to erase: the list, and the forms on a recording's page."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.responses import Response

from recorder.common.problems import ProblemError
from recorder.permissions import Act
from recorder.retention.erasing import forgot_recording, order_erasure
from recorder.retention.erasure_decisions import decide_erasure
from recorder.rules.erasing import position_from
from recorder.web.auth import ConsoleCaller
from recorder.web.erasures import orders_for, three_of, titles_of
from recorder.web.forms import EMPTY, FieldErrors, Sent, TypedForm
from recorder.web.parts import Console, ConsoleParts, PageChanger, PageReader, Text
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


@router.get("/erasures")
def erasures(console: Console, caller: PageReader, done: str = "") -> HTMLResponse:
    """Show the newest orders; ``done`` says what was decided before."""
    orders = orders_for(console, caller.actor)
    return console.renderer.page(
        "erasures.html", caller, orders=orders, titles=titles_of(console, caller.actor, orders),
        said=_DECIDED.get(done, ""),
    )  # fmt: skip


@router.get("/erasures/{order_id}")
def erasure(console: Console, order_id: str, caller: PageReader) -> HTMLResponse:
    """Show one order, with the form that decides on it."""
    return _page(console, caller, order_id)


@router.post("/erasures/{order_id}/listen")
def listen(console: Console, order_id: str, caller: PageChanger, sent: Sent) -> HTMLResponse:
    """Let an approver of an order that needs three people hear its span."""
    assert caller.person is not None, "pages know sessions only, and those are people's"
    typed = sent.named(f"decide-{order_id}")
    try:
        recording, secret = console.recording_service.listening.grant_span(caller.person, order_id)
    except ProblemError as error:
        return _page(console, caller, order_id, error=error, form=typed.refused(error))
    return _page(console, caller, order_id, audio=f"/recordings/{recording}/audio/{secret}", form=typed)


@router.post("/erasures/{order_id}/{decision}")
def decide(  # noqa: PLR0917 - FastAPI passes them by name
    console: Console, order_id: str, decision: str, caller: PageChanger, sent: Sent, reason: Text = ""
) -> Response:
    """Confirm or decline an order."""
    if decision not in ("confirm", "decline"):
        raise ProblemError(404, "If you typed the web address, check that it is correct.")
    try:
        decide_erasure(console.deps.repos, caller.actor, order_id, confirm=decision == "confirm", reason=reason)
    except ProblemError as error:
        return _page(
            console, caller, order_id, error=error, form=sent.named(f"decide-{order_id}").refused(error)
        )  # fmt: skip
    return RedirectResponse(f"/erasures?done={decision}", 303)


_DECIDED = {"confirm": "Your confirmation is recorded.", "decline": "The erasure is declined."}


def _page(
    console: ConsoleParts, caller: ConsoleCaller, order_id: str, *, error: ProblemError | None = None,
    audio: str = "", form: TypedForm = EMPTY,
) -> HTMLResponse:  # fmt: skip
    """Return the page of an order; raises the error again if the person may not see the order."""
    order = next((one for one in orders_for(console, caller.actor) if one.id == order_id), None)
    if order is None:
        raise error or ProblemError(404, "There is no such order.")
    return console.renderer.page(
        "erasure.html", caller, status=error.status if error else 200, order=order, audio=audio, form=form,
        problem=error.detail if error else "", titles=titles_of(console, caller.actor, [order]),
        three=three_of(console, [order]),
    )  # fmt: skip
