"""`recorder calls opt-out` and `recorder opt-outs`. The daemon, which knows the call, decides who may do what."""

from typing import Annotated, Any

import typer

from recorder.access.database import AuditNote
from recorder.cli import completion
from recorder.cli.context import LazyPersonContext
from recorder.cli.entries import audit
from recorder.cli.live import CallOption, ExtensionOption, around_of, ask, one_of, sign_in_for, target_of, tell, whole
from recorder.cli.options import ReasonOption
from recorder.cli.site import Calls
from recorder.control.client import OptOutGrant
from recorder.permissions import Act
from recorder.rules.live_facts import facts_listed
from recorder.rules.opt_out import may_see

_WHAT = "an opt-out"
RequestArgument = Annotated[str, typer.Argument(metavar="REQUEST", help="From `recorder opt-outs list`.")]
EraseOption = Annotated[
    bool | None,
    typer.Option(
        "--erase-before/--keep-before",
        help="Whether to erase the recording so far, once a second person agrees.",
        show_default="the service's rule",
    ),
]


def opt_out(
    context: LazyPersonContext,
    call: CallOption = None,
    extension: ExtensionOption = None,
    reason: ReasonOption = "",
    erase_before: EraseOption = None,
) -> None:
    """Stop recording for the rest of a call. This cannot be undone.

    Needs a manager of the call's team who is not on the call, and a reason. By this command you state that the caller
    asked not to be recorded, and that you judged that recording distresses them.
    """
    one_of(call, extension)
    subject = call or extension or ""
    person = sign_in_for(context, Act.OPT_OUT, _WHAT, subject=subject, reason=reason)
    grant = OptOutGrant(caller_asked=True, distress_judged=True, reason=reason, erase_before=erase_before)

    around = around_of(context.home, person)

    def end(client: Calls) -> dict[str, Any]:
        return client.opt_out(target_of(client, call, extension), person=person, grant=grant, around=around)

    tell(ask(context.home, end), json=context.json)


def list_requests(context: LazyPersonContext) -> None:
    """List opt-out requests of live calls that you are on or may see, including decided ones."""
    person = context.sign_in("a list of requests")
    around = around_of(context.home, person)
    listed = ask(context.home, lambda client: client.opt_outs(actor=person.actor))
    rows = [request for request in listed if may_see(person, facts_listed(request), around)]
    audit(
        context.home, AuditNote(act=Act.SEE_LIVE.value, subject="", details={"requests": len(rows)}), actor=person.actor
    )
    columns = [
        ("id", "Request"),
        ("state", "State"),
        ("call", "Call"),
        ("team", "Team"),
        ("raised_by", "Raised by"),
        ("raised_at", "At"),
        ("reason", "Reason"),
        ("decided_by", "Decided by"),
    ]
    context.print_rows(rows, columns, empty="no live call has an opt-out request")


def raise_request(
    context: LazyPersonContext,
    call: Annotated[
        str,
        typer.Option(
            "--call", metavar="ID", help="The call, or the beginning of its id.", autocompletion=completion.live_calls
        ),
    ],
    reason: ReasonOption = "",
) -> None:
    """Tell the managers of a call's team that the caller asks not to be recorded."""
    person = sign_in_for(context, Act.RAISE_OPT_OUT, _WHAT, subject=call, reason=reason)
    request = ask(context.home, lambda client: client.ask_opt_out(whole(client, call), person=person, reason=reason))
    context.tell(request, f"{request['id']}: waits for a manager's decision; the call is still recorded")


def grant_request(
    context: LazyPersonContext,
    request: RequestArgument,
    reason: ReasonOption = "",
    caller_asked: Annotated[
        bool, typer.Option("--caller-asked", help="You state that the caller asked not to be recorded.")
    ] = False,
    distress_judged: Annotated[
        bool, typer.Option("--distress-judged", help="You state that you judged that recording distresses the caller.")
    ] = False,
    erase_before: EraseOption = None,
) -> None:
    """Grant a request: recording stops for the rest of the call. Needs both statements and a reason."""
    person = sign_in_for(context, Act.OPT_OUT, _WHAT, subject=request, reason=reason)
    grant = OptOutGrant(
        caller_asked=caller_asked, distress_judged=distress_judged, reason=reason, erase_before=erase_before
    )
    around = around_of(context.home, person)
    done = ask(context.home, lambda client: client.grant_opt_out(request, person=person, grant=grant, around=around))
    tell(done, json=context.json)


def decline_request(context: LazyPersonContext, request: RequestArgument, reason: ReasonOption = "") -> None:
    """Decline a request, with a reason. The call is still recorded."""
    person = sign_in_for(context, Act.DECLINE_OPT_OUT, _WHAT, subject=request, reason=reason)
    around = around_of(context.home, person)
    declined = ask(
        context.home, lambda client: client.decline_opt_out(request, person=person, reason=reason, around=around)
    )
    context.tell(declined, f"{declined['id']}: declined; {declined['call']} is still recorded")
