"""Commands on live calls and `recorder reload`. They talk to the daemon's socket."""

from collections.abc import Callable
from typing import Annotated, Any

import typer
from sqlalchemy.exc import SQLAlchemyError

from recorder.access.database import AuditNote
from recorder.access.reachability import AccountsAwayError
from recorder.access.sessions import Sessions
from recorder.access.signed_in import managed_teams
from recorder.access.signing import Signer
from recorder.cli import completion
from recorder.cli.accounts import accounts_of
from recorder.cli.context import CommandContext, LazyHomeContext, LazyPersonContext
from recorder.cli.entries import audit, note_unnamed, refuse
from recorder.cli.identity import people_of, sign_in_rules
from recorder.cli.options import ReasonOption
from recorder.cli.output import fail, print_json, say
from recorder.cli.site import Calls, open_calls
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.common.system_user import os_user
from recorder.control.client import LiveClient
from recorder.control.errors import DaemonRefusedError, DaemonUnavailableError
from recorder.permissions import Act, Fault, LocalUser, Person, Refusal
from recorder.rules.authorisation import may
from recorder.rules.call_target import CallTarget, ExtensionTarget, Target
from recorder.rules.live_access import Around, seen
from recorder.rules.seats import colleagues_of

CallOption = Annotated[
    str | None,
    typer.Option(
        "--call", metavar="ID", help="A call, by its id or the beginning of it.", autocompletion=completion.live_calls
    ),
]
ExtensionOption = Annotated[
    str | None,
    typer.Option("--extension", metavar="N", help="All calls of an extension.", autocompletion=completion.extensions),
]
CallArgument = Annotated[
    str,
    typer.Argument(
        metavar="CALL", help="A live call, by its id or the beginning of it.", autocompletion=completion.live_calls
    ),
]


def list_calls(home: Home, actor: str = "") -> list[dict[str, Any]]:
    """Return the live calls, and say which nodes do not answer; exit if none does."""

    def listed(client: Calls) -> list[dict[str, Any]]:
        rows = client.calls(actor=actor)
        for node in client.nodes():
            if node["silent_since"] is not None:
                say(f"{node['node']}: no answer, so its calls are unknown")
        return rows

    found: list[dict[str, Any]] = ask(home, listed)
    return found


def ask(home: Home, question: Callable[[Calls], Any]) -> Any:  # noqa: ANN401 - JSON
    """Ask the daemons of a site; exit with their message if they refuse."""
    with open_calls(home) as client:
        try:
            return question(client)
        except (DaemonUnavailableError, DaemonRefusedError) as error:
            fail(str(error))


def calls(context: LazyPersonContext) -> None:
    """List the live calls that are recorded, as far as you may see them.

    Without an account only extension and state are shown, enough to pause a call.
    """
    person = _person(context, "to see live calls")
    rows = _seen_unnamed(context.home) if person is None else seen_by(context.home, person)
    columns = [
        ("id", "Call"),
        ("phase", "Phase"),
        ("state", "Recording"),
        ("extension", "Extension"),
        ("operator", "Operator"),
        ("caller", "Caller"),
        ("position_s", "At, s"),
        ("opt_out", "Opt-out"),
    ]
    if any("node" in row for row in rows):
        columns.append(("node", "Node"))
    shown = [{**row, "opt_out": (row.get("opt_out") or {}).get("state")} for row in rows]
    context.print_rows(rows, columns, empty="no nominated extension has a call in progress", lines=shown)


def show_call(context: LazyPersonContext, call: CallArgument) -> None:
    """Show one live call, as far as you may see it."""
    person = context.sign_in("to see live calls", goes_on=True)
    fits = [row for row in seen_by(context.home, person) if row["id"].startswith(call)]
    if len(fits) != 1:
        fail("there is no such live call, or more than one begins so; `recorder calls list` lists them")
    context.print_fields(fits[0])


def pause(
    context: LazyPersonContext,
    call: CallOption = None,
    extension: ExtensionOption = None,
    reason: ReasonOption = "",
) -> None:
    """Pause recording. Audio of the last seconds is erased too."""
    _act(context, "pause", call, extension, reason)


def resume(
    context: LazyPersonContext,
    call: CallOption = None,
    extension: ExtensionOption = None,
    reason: ReasonOption = "",
) -> None:
    """Resume recording. Needs the call's officer, a manager of its team or the DPO.

    An officer clears pauses by officers and by the caller's digits; a manager clears every pause reason.
    """
    _act(context, "resume", call, extension, reason)


def _act(context: CommandContext, act: str, call: str | None, extension: str | None, reason: str) -> None:
    one_of(call, extension)
    find = _pauser if act == "pause" else _person
    person = find(context, f"to {act} as somebody")
    # Anybody who can open the socket may pause, as accounts or audit log may be down. The audit entry says so.
    actor = person or LocalUser(name=os_user())

    def act_on(client: Calls) -> dict[str, Any]:
        target = target_of(client, call, extension)
        if act == "pause":
            return client.pause(target, actor=actor, reason=reason)
        return client.resume(target, actor=actor, reason=reason)

    tell(ask(context.home, act_on), json=context.json)


def _person(context: CommandContext, what: str) -> Person | None:
    """Sign a person in if one is named or has a token; else return None."""
    return context.sign_in(what, goes_on=True) if context.is_personal else None


def _pauser(context: CommandContext, what: str) -> Person | None:
    """Return the person who pauses, or None with a message if a token or the accounts fail: the pause goes on."""
    try:
        person = _person(context, what)
        if person is None or context.name is not None or Signer(context.home.root).is_able():
            return person
    except typer.Exit:
        if context.name is not None:
            raise
    except AccountsAwayError as error:
        say(str(error))
    except (OSError, SQLAlchemyError) as error:
        say(f"{context.home.people}: {error}")
    say(f"you are not signed in: pausing as {os_user()}, without an account")
    return None


def _seen_unnamed(home: Home) -> list[dict[str, Any]]:
    rows = list_calls(home)
    note_unnamed(home, Act.SEE_LIVE.value, {"numbers": False})
    return rows


def seen_by(home: Home, person: Person) -> list[dict[str, Any]]:
    """Return the live calls as a person may see them, after logging that they looked; exit if they may not."""
    around = around_of(home, person)
    rows = list_calls(home, person.actor)
    shown = [row for call in rows if (row := seen(person, call, around)) is not None]
    numbers = any("caller" in row for row in shown)
    audit(home, AuditNote(act=Act.SEE_LIVE.value, subject="", details={"numbers": numbers}), actor=person.actor)
    return shown


def around_of(home: Home, person: Person) -> Around:
    """Return facts that a person's permissions depend on: colleagues, and teams with a manager present."""
    sessions = Sessions(accounts_of(home), now=utc_now, limits=sign_in_rules(home).limits)
    return Around(
        colleagues=colleagues_of(person, ask(home, lambda client: client.agents())),
        managed=managed_teams(people_of(home), sessions),
    )


def sign_in_for(context: CommandContext, act: Act, what: str, *, subject: str, reason: str = "") -> Person:
    """Sign a person in whose role permits the act; a refusal is logged and exits."""
    person = context.sign_in(what)
    decision = may(person, act, reason=reason)
    if isinstance(decision, Refusal):
        if decision.fault is Fault.INCOMPLETE and decision.field:
            fail(decision.reason)
        refuse(context.home, act, person, decision.reason, subject=subject, text=reason)
    return person


def one_of(call: str | None, extension: str | None) -> None:
    """Exit with code 2 unless exactly one of two options was given."""
    if (call is None) == (extension is None):
        fail("give either --call ID or --extension N", 2)


def tell(answer: dict[str, Any], *, json: bool) -> None:
    """Print the result of an act on one call, or on all calls of an extension."""
    answers = answer.get("calls", [answer, *answer.get("also", ())])
    if json:
        print_json(answers if "calls" in answer else answer)
        return
    if missing := answer.get("not_confirmed"):
        say(f"not confirmed by {', '.join(missing)}: other calls of the extension there may go on being recorded")
    for one in answers:
        held = f" ({', '.join(one['reasons'])})" if one["reasons"] else ""
        say(f"{one['call']}: {one['state']}{held} from {one['position_s']:.2f} s")
        if one.get("kept"):
            say(f"{one['call']}: it has a legal hold or a rights request, so it was paused and not discarded")
        order = one.get("erasure")
        if order is not None:
            waits = "waits for a second person" if order["state"] == "waiting" else "is done when the call has ended"
            say(f"{one['call']}: erasing {order['start_s']:.2f} to {order['end_s']:.2f} s {waits}")


def whole(client: Calls, prefix: str) -> str:
    """Return the id of the one live call with this prefix, or the prefix if there is none."""
    fits = [row["id"] for row in client.calls() if row["id"].startswith(prefix)]
    if len(fits) > 1:
        fail(f"{len(fits)} calls begin with {prefix}; give more characters of the id")
    return fits[0] if fits else prefix


def target_of(client: Calls, call: str | None, extension: str | None) -> Target:
    """Return the target of an act: all calls of an extension, or the one live call with this prefix."""
    return CallTarget(whole(client, call or "")) if extension is None else ExtensionTarget(extension)


def reload(context: LazyHomeContext) -> None:
    """Apply a changed recorder.toml on this machine. No call is dropped."""
    with LiveClient(context.home.socket, signer=Signer(context.home.root)) as client:
        try:
            answer = client.reload()
        except (DaemonUnavailableError, DaemonRefusedError) as error:
            fail(str(error))
    if context.json:
        print_json(answer)
        return
    say("changed: " + (", ".join(answer["changed"]) or "nothing"))
    if answer["needs_restart"]:
        say("applied only after a restart: " + ", ".join(answer["needs_restart"]))
