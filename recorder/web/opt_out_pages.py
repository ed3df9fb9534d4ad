"""The pages on which a manager decides that a call is no longer recorded, with or without a request of its officer."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form
from fastapi.responses import HTMLResponse

from recorder.common.problems import ProblemError
from recorder.control.client import OptOutGrant
from recorder.notifications.kinds import NotificationKind
from recorder.web.auth import ConsoleCaller
from recorder.web.forms import EMPTY, FieldErrors, Sent, TypedForm
from recorder.web.live_pages import call_of, live_page, requests_of
from recorder.web.parts import Console, ConsoleParts, PageChanger, PageReader, Text
from recorder.web.settling import settle

router = APIRouter(include_in_schema=False)

Ticked = Annotated[str, Form(max_length=10)]

_BOTH = "Confirm both statements to end the recording."
_DECLINED = "You declined the request. The call is still being recorded."


def _grant(
    caller_asked: Ticked = "", distress_judged: Ticked = "", erase_before: Ticked = "", reason: Text = ""
) -> OptOutGrant:
    return OptOutGrant(
        caller_asked=bool(caller_asked),
        distress_judged=bool(distress_judged),
        erase_before=bool(erase_before),
        reason=reason,
    )


GrantForm = Annotated[OptOutGrant, Depends(_grant)]


@router.get("/live/{call}/opt-out")
def opt_out_form(console: Console, call: str, caller: PageReader) -> HTMLResponse:
    """Show the form with which a manager opts a call out without a request."""
    return _page(console, caller, call_of(console, caller, call), None)


@router.post("/live/{call}/opt-out")
def opt_out(console: Console, call: str, caller: PageChanger, grant: GrantForm, sent: Sent) -> HTMLResponse:
    """End the recording of a call."""
    try:
        answer = console.opt_outs.opt_out(caller.actor, call, grant)
    except ProblemError as error:
        refused = sent.refused(_at_its_fields(error, grant))
        return _page(console, caller, call_of(console, caller, call), None, form=refused, status=error.status)
    return live_page(console, caller, said=_ended(answer))


@router.get("/opt-outs/{request_id}")
def decision_form(console: Console, request_id: str, caller: PageReader) -> HTMLResponse:
    """Show an opt-out request with the form to decide it."""
    request = _request(console, caller, request_id)
    if request is None:
        raise ProblemError(404, "There is no such request of a call in progress.")
    return _page(console, caller, call_of(console, caller, str(request.get("call"))), request)


@router.post("/opt-outs/{request_id}")
def choose(  # noqa: PLR0917 - FastAPI passes them by name
    console: Console, request_id: str, caller: PageChanger, grant: GrantForm, sent: Sent, decision: Ticked = ""
) -> HTMLResponse:
    """Decide on a request, as the form says."""
    return _decided(console, caller, request_id, decision, grant, sent)


@router.post("/opt-outs/{request_id}/{decision}")
def decide(  # noqa: PLR0917 - FastAPI passes them by name
    console: Console, request_id: str, decision: str, caller: PageChanger, grant: GrantForm, sent: Sent
) -> HTMLResponse:
    """Grant or decline an opt-out request."""
    if decision not in ("grant", "decline"):
        raise ProblemError(404, "If you typed the web address, check that it is correct.")
    return _decided(console, caller, request_id, decision, grant, sent)


def _decided(  # noqa: PLR0917
    console: ConsoleParts, caller: ConsoleCaller, request_id: str, decision: str, grant: OptOutGrant, sent: TypedForm
) -> HTMLResponse:
    try:
        if decision == "decline":
            console.opt_outs.decline(caller.actor, request_id, grant.reason)
            settle(console, request_id, NotificationKind.OPT_OUT_WAITS)
            return live_page(console, caller, said=_DECLINED)
        if decision == "grant":
            answer = console.opt_outs.grant(caller.actor, request_id, grant)
            settle(console, request_id, NotificationKind.OPT_OUT_WAITS)
            return live_page(console, caller, said=_ended(answer))
        undecided = "Select whether you want to end the recording."
        raise ProblemError(422, undecided, fields={"decision": undecided})
    except ProblemError as error:
        request = _request(console, caller, request_id)
        if request is None:  # its call has ended, or they may not see it
            return live_page(console, caller, problem=error.detail, status=error.status)
        told = _at_its_fields(error, grant, is_grant=decision == "grant")
        call = call_of(console, caller, str(request.get("call")))
        return _page(console, caller, call, request, form=sent.refused(told), status=error.status)


def _at_its_fields(error: ProblemError, grant: OptOutGrant, *, is_grant: bool = True) -> ProblemError:
    """Return a refusal of what was stated with a sentence at each field that lacks something."""
    if error.status != 422:
        return error
    wrong = FieldErrors()
    if is_grant and not (grant.caller_asked and grant.distress_judged):
        wrong["distress_judged" if grant.caller_asked else "caller_asked"] = _BOTH
    return ProblemError(422, error.detail, fields={**wrong, **error.fields})


def _ended(answer: dict[str, Any]) -> str:
    then = " A second person has to confirm that what was recorded before is erased." if "erasure" in answer else ""
    return f"The recording of this call has ended for good.{then}"


def _page(
    console: ConsoleParts,
    caller: ConsoleCaller,
    call: dict[str, Any],
    request: dict[str, Any] | None,
    *,
    form: TypedForm = EMPTY,
    status: int = 200,
) -> HTMLResponse:
    return console.renderer.page("opt_out.html", caller, status=status, call=call, request=request, form=form)


def _request(console: ConsoleParts, caller: ConsoleCaller, request_id: str) -> dict[str, Any] | None:
    return next((one for one in requests_of(console, caller) if one["id"] == request_id), None)
