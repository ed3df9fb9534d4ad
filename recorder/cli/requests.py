"""`recorder requests`: leave to hear recordings: asked for, decided; who is absent, and who stands in."""

from collections.abc import Callable
from typing import Annotated, TypeVar

import typer

from recorder.access.database import open_people
from recorder.access.listening import asking
from recorder.access.listening.appointing import acknowledge, end_deputy, mark_absent, to_acknowledge
from recorder.access.listening.repositories import AccessRepositories
from recorder.cli.context import CommandContext, PersonContext, PersonJsonContext
from recorder.cli.erase import whole_id
from recorder.cli.proposals import proposed
from recorder.cli.records import act_signed_in
from recorder.cli.shared import (
    ReasonOption,
    people_of,
    say,
    shell_audit,
)
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.permissions import Act, Person
from recorder.rules.requesting import GRANT_DAYS, MOST_GRANT_DAYS, AccessKind, AccessRequest, Category, RequestWish
from storage.index import Index
from storage.rows import time_to_json
from storage.types import RecordingId

requests = typer.Typer(no_args_is_help=True, help="Leave to hear recordings: asked for, granted, declined.")
RequestArgument = Annotated[str, typer.Argument(metavar="REQUEST", help="From `recorder requests list`.")]
AccountArgument = Annotated[str, typer.Argument(metavar="NAME", help="An account.")]
_COLUMNS = [
    ("id", "Request"),
    ("account", "By"),
    ("recordings", "Recordings"),
    ("category", "For what"),
    ("leave", "Leave"),
    ("state", "State"),
    ("decided_by", "Decided by"),
    ("until", "Until"),
    ("reason", "Reason"),
]
_T = TypeVar("_T")
DEPUTY_ASKED = "people.deputy.asked"
"""As the audit log has it: somebody was about to propose the deputy. `people.deputy` is that one was named."""


@requests.command("ask")
def ask(
    context: PersonJsonContext,
    recordings: Annotated[list[str], typer.Argument(metavar="ID", help="Recordings' ids.")],
    category: Annotated[Category, typer.Option("--category", help="For what.")],
    reason: ReasonOption = "",
    leave: Annotated[AccessKind, typer.Option("--leave", help="To listen, or to take copies too.")] = AccessKind.LISTEN,
    reference: Annotated[
        str, typer.Option("--reference", metavar="REF", help="A case's, or an authorisation's (elected members).")
    ] = "",
) -> None:
    """Ask to hear recordings; the team leader decides, in their absence the data protection officer."""

    def act(repos: AccessRepositories, person: Person) -> AccessRequest:
        ids = tuple(RecordingId(whole_id(repos.index, one)) for one in recordings)
        wish = RequestWish(recordings=ids, category=category, reason=reason, leave=leave, reference=reference)
        return asking.ask(repos, person, wish)

    asked = _act(context, act)
    context.tell(asking.request_to_json(asked), f"request {asked.id} is on its way")


@requests.command("grant")
def grant(
    context: PersonJsonContext,
    request: RequestArgument,
    days: Annotated[int, typer.Option("--days", min=1, max=MOST_GRANT_DAYS, help="For how long.")] = GRANT_DAYS,
    whole_call: Annotated[
        bool, typer.Option("--whole-call", help="All of each call, not their part: for a complaint, with --reason.")
    ] = False,
    reason: ReasonOption = "",
) -> None:
    """Grant a request: of each call what was asked for, which for officers and managers is their part of it."""

    def act(repos: AccessRepositories, person: Person) -> AccessRequest:
        return asking.decide(repos, person, request, granted=True, words=reason, days=days, is_whole=whole_call)

    done = _act(context, act)
    assert done.until is not None
    context.tell(asking.request_to_json(done), f"{done.account} has leave until {done.until:%Y-%m-%d %H:%M} UTC")


@requests.command("decline")
def decline(context: PersonJsonContext, request: RequestArgument, reason: ReasonOption = "") -> None:
    """Decline a request; takes a reason, which whoever asked can read."""

    def act(repos: AccessRepositories, person: Person) -> AccessRequest:
        return asking.decide(repos, person, request, granted=False, words=reason)

    done = _act(context, act)
    context.tell(asking.request_to_json(done), f"request {request} is declined")


@requests.command("withdraw")
def withdraw(context: PersonContext, request: RequestArgument) -> None:
    """Take a request of one's own back."""
    _act(context, lambda repos, person: asking.withdraw(repos, person, request))
    say(f"request {request} is withdrawn")


@requests.command("list")
def list_requests(
    context: PersonJsonContext,
    waiting: Annotated[bool, typer.Option("--waiting", help="Only those that wait for you to decide.")] = False,
) -> None:
    """List one's own requests, or everybody's for whoever decides."""
    found = _act(context, asking.to_decide if waiting else asking.seen)
    rows = [asking.request_to_json(one) for one in found]
    lines = [{**row, "recordings": ", ".join(row["recordings"])} for row in rows]
    empty = "no request waits for you" if waiting else "there are no requests"
    context.print_rows(rows, _COLUMNS, empty=empty, lines=lines)


@requests.command("absent")
def absent(context: PersonContext, account: AccountArgument) -> None:
    """Mark a team leader absent: while all are, requests go to the data protection officer."""
    _act(context, lambda repos, person: mark_absent(repos, person, account, is_absent=True))
    say(f"{account} is absent")


@requests.command("back")
def back(context: PersonContext, account: AccountArgument) -> None:
    """Mark a team leader present again."""
    _act(context, lambda repos, person: mark_absent(repos, person, account, is_absent=False))
    say(f"{account} is present")


@requests.command("deputy")
def deputy(
    context: PersonContext,
    account: Annotated[str | None, typer.Argument(metavar="[NAME]", help="An account; none: nobody.")] = None,
    reason: ReasonOption = "",
) -> None:
    """Propose who stands in for the data protection officer, and decides that officer's own requests.

    An administrator proposes; another one, or a team leader where there is none, confirms it with `recorder users
    confirm`. Neither of the two is a data protection officer. Without a name nobody stands in, at once.
    """
    if account is None:
        _act(context, end_deputy)
        say("nobody stands in for the data protection officer")
        return
    by = context.admin(Act.NAME_DEPUTY, account, noted_as=DEPUTY_ASKED)
    proposed(context, by, reason, lambda known, enter: known.name_deputy(by, account, reason=reason, enter=enter))


@requests.command("emergencies")
def emergencies(context: PersonJsonContext) -> None:
    """List what was heard without approval and nobody has acknowledged: for the officer or deputy who does."""
    found = _act(context, to_acknowledge)
    rows = [
        {"id": one.id, "account": one.account, "recording": one.recording, "at": time_to_json(one.at),
         "reason": one.reason}
        for one in found
    ]  # fmt: skip
    columns = [("id", "Emergency"), ("account", "By"), ("recording", "Recording"), ("at", "On"), ("reason", "Reason")]
    context.print_rows(rows, columns, empty="everything that was heard without approval is acknowledged")


@requests.command("acknowledge")
def acknowledge_one(
    context: PersonContext,
    emergency: Annotated[str, typer.Argument(metavar="EMERGENCY", help="From `recorder requests emergencies`.")],
) -> None:
    """Take note of a recording that was heard without approval; the data protection officer's."""
    _act(context, lambda repos, person: acknowledge(repos, person, emergency))
    say(f"{emergency} is acknowledged")


def hearing_books(home: Home, index: Index) -> AccessRepositories:
    """Return what requests are kept in."""
    people = people_of(home)
    return AccessRepositories.on(open_people(home.people), index, people, shell_audit(home), utc_now)


def _act(context: CommandContext, act: Callable[[AccessRepositories, Person], _T]) -> _T:
    return act_signed_in(context, "a request", lambda index, person: act(hearing_books(context.home, index), person))
