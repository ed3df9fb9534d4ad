"""Pages for orders to erase: the list, one order, and the decision on it."""

from collections.abc import Mapping
from urllib.parse import quote

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.responses import Response

from recorder.common.problems import ProblemError
from recorder.permissions import Person
from recorder.retention.erasure_decisions import decidable, decide_erasure, decisions_offered
from recorder.web.auth import ConsoleCaller
from recorder.web.call_names import CallNames
from recorder.web.erasures import order_for, orders_for, three_of
from recorder.web.forms import EMPTY, Sent, TypedForm
from recorder.web.parts import Console, ConsoleParts, PageChanger, PageReader, Text
from storage.retention_types import ErasureState

router = APIRouter(include_in_schema=False)

DONE: Mapping[str, str] = {
    "confirm": "The erasure is confirmed. It will be carried out in a moment.",
    "approve": "You have approved the erasure. Another person has to approve it too.",
    "decline": "The erasure is declined. The recording is no longer locked.",
}
"""What was done, by the code in an address after the act."""
_OPEN = (ErasureState.WAITING, ErasureState.FAILED)


@router.get("/erasures")
def erasures(console: Console, caller: PageReader) -> HTMLResponse:
    """Show the newest orders, those that wait for a second person first."""
    person = _person(caller)
    orders = orders_for(console, person)
    return console.renderer.page(
        "erasures.html", caller, problem="", names=CallNames(console.deps, person),
        waiting=[one for one in orders if one.state in _OPEN], others=[one for one in orders if one.state not in _OPEN],
    )  # fmt: skip


@router.get("/erasures/{order_id}")
def erasure(console: Console, order_id: str, caller: PageReader, done: str = "") -> HTMLResponse:
    """Show one order."""
    return _page(console, caller, order_id, done=DONE.get(done, ""))


@router.get("/erasures/{order_id}/{decision}")
def decision_page(console: Console, order_id: str, decision: str, caller: PageReader) -> HTMLResponse:
    """Ask for the reason, and whether it is to be done."""
    decidable(console.deps.repos, caller.actor, order_id, confirm=_is_confirmed(decision))
    return _page(console, caller, order_id, decision=decision)


@router.post("/erasures/{order_id}/listen")
def listen(console: Console, order_id: str, caller: PageChanger) -> HTMLResponse:
    """Let an approver of an order that needs three people hear its span."""
    recording, secret = console.recording_service.listening.grant_span(_person(caller), order_id)
    return _page(console, caller, order_id, audio=f"/recordings/{recording}/audio/{secret}")


@router.post("/erasures/{order_id}/{decision}")
def decide(  # noqa: PLR0917 - FastAPI passes them by name
    console: Console, order_id: str, decision: str, caller: PageChanger, sent: Sent, reason: Text = ""
) -> Response:
    """Confirm or decline an order."""
    confirm = _is_confirmed(decision)
    try:
        order = decide_erasure(console.deps.repos, caller.actor, order_id, confirm=confirm, reason=reason)
    except ProblemError as error:
        if error.status != 422:
            raise
        form = sent.named(f"decide-{order_id}").refused(error)
        return _page(console, caller, order_id, decision=decision, status=error.status, form=form)
    done = "approve" if confirm and order.state is ErasureState.WAITING else decision
    return RedirectResponse(f"/erasures/{quote(order_id, safe='')}?done={done}", 303)


def _is_confirmed(decision: str) -> bool:
    if decision not in ("confirm", "decline"):
        raise ProblemError(404, "If you typed the web address, check that it is correct.")
    return decision == "confirm"


def _page(
    console: ConsoleParts, caller: ConsoleCaller, order_id: str, *, decision: str = "", status: int = 200,
    audio: str = "", form: TypedForm = EMPTY, done: str = "",
) -> HTMLResponse:  # fmt: skip
    person = _person(caller)
    order = order_for(console, person, order_id)
    names = CallNames(console.deps, person)
    return console.renderer.page(
        "erasure_decision.html" if decision else "erasure.html", caller, status=status, form=form, order=order,
        decision=decision, done=done, audio=audio, names=names, call=names.call(order.recording),
        three=three_of(console, [order]).get(order.id), offered=decisions_offered(console.deps.repos, person, order),
    )  # fmt: skip


def _person(caller: ConsoleCaller) -> Person:
    assert caller.person is not None, "pages know sessions only, and those are people's"
    return caller.person
