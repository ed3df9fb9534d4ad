"""`recorder requests`: access requests, absences, the deputy, and break-glass access."""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer

from recorder.access.listening import asking
from recorder.access.listening.appointing import acknowledge, end_deputy, mark_absent, to_acknowledge
from recorder.access.listening.emergencies import Emergency
from recorder.access.listening.repositories import AccessRepositories
from recorder.cli import completion
from recorder.cli.accounts import accounts_of
from recorder.cli.context import CommandContext, PersonContext
from recorder.cli.entries import shell_audit
from recorder.cli.erase import whole_id
from recorder.cli.identity import people_of
from recorder.cli.options import AccountArgument, ReasonOption
from recorder.cli.proposals import proposed
from recorder.cli.records import act_signed_in
from recorder.cli.results.accounts import AccountChange
from recorder.cli.results.cases import Absence
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.permissions import Act, Person
from recorder.rules.requesting import GRANT_DAYS, MOST_GRANT_DAYS, AccessKind, AccessRequest, Category, RequestWish
from storage.index import Index
from storage.rows import time_to_json
from storage.types import RecordingId

RequestArgument = Annotated[
    str, typer.Argument(metavar="REQUEST", help="From `recorder requests list`.", autocompletion=completion.requests)
]

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
"""Act of the audit log: a deputy is about to be proposed. `people.deputy` says that one was named."""


def ask(
    context: PersonContext,
    recordings: Annotated[
        list[str], typer.Argument(metavar="ID", help="Ids of recordings.", autocompletion=completion.recordings)
    ],
    category: Annotated[Category, typer.Option("--category", help="Purpose.")],
    reason: ReasonOption = "",
    leave: Annotated[AccessKind, typer.Option("--access", help="To listen, or also to export.")] = AccessKind.LISTEN,
    reference: Annotated[
        str,
        typer.Option(
            "--reference", metavar="REF", help="Reference of a case, or of an authorisation (elected members)."
        ),
    ] = "",
) -> None:
    """Ask for access to recordings. The team leader decides, or in their absence the data protection officer."""

    def act(repos: AccessRepositories, person: Person) -> AccessRequest:
        ids = tuple(RecordingId(whole_id(repos.index, one)) for one in recordings)
        wish = RequestWish(recordings=ids, category=category, reason=reason, leave=leave, reference=reference)
        return asking.ask(repos, person, wish)

    asked = _act(context, act)
    context.tell(asking.request_to_json(asked), f"request {asked.id} waits for a decision")


def grant(
    context: PersonContext,
    request: RequestArgument,
    days: Annotated[
        int, typer.Option("--days", min=1, max=MOST_GRANT_DAYS, help="Length of the grant, days.")
    ] = GRANT_DAYS,
    whole_call: Annotated[
        bool,
        typer.Option("--whole-call", help="The whole of each call, not their part; for a complaint, with --reason."),
    ] = False,
    reason: ReasonOption = "",
) -> None:
    """Grant a request. Officers and managers get their own part of each call, unless --whole-call is given."""

    def act(repos: AccessRepositories, person: Person) -> AccessRequest:
        return asking.decide(repos, person, request, granted=True, words=reason, days=days, is_whole=whole_call)

    done = _act(context, act)
    assert done.until is not None
    context.tell(asking.request_to_json(done), f"{done.account} has access until {context.moment(done.until)}")


def decline(context: PersonContext, request: RequestArgument, reason: ReasonOption = "") -> None:
    """Decline a request, with a reason that the requester can read."""

    def act(repos: AccessRepositories, person: Person) -> AccessRequest:
        return asking.decide(repos, person, request, granted=False, words=reason)

    done = _act(context, act)
    context.tell(asking.request_to_json(done), f"request {request} is declined")


def withdraw(context: PersonContext, request: RequestArgument) -> None:
    """Withdraw your own request."""
    done = _act(context, lambda repos, person: asking.withdraw(repos, person, request))
    context.tell(asking.request_to_json(done), f"request {request} is withdrawn")


def list_requests(
    context: PersonContext,
    waiting: Annotated[bool, typer.Option("--waiting", help="Only those that wait for your decision.")] = False,
) -> None:
    """List your own requests, or all requests if you decide on them."""
    found = _act(context, asking.to_decide if waiting else asking.seen)
    rows = [asking.request_to_json(one) for one in found]
    lines = [{**row, "recordings": ", ".join(row["recordings"])} for row in rows]
    empty = "no request waits for your decision" if waiting else "there are no requests"
    context.print_rows(rows, _COLUMNS, empty=empty, lines=lines)


def absent(context: PersonContext, account: AccountArgument) -> None:
    """Mark a team leader absent. While all are absent, the data protection officer decides on requests."""
    _act(context, lambda repos, person: mark_absent(repos, person, account, is_absent=True))
    context.tell(Absence(account=account, is_absent=True), f"{account} is absent")


def back(context: PersonContext, account: AccountArgument) -> None:
    """Mark a team leader present again."""
    _act(context, lambda repos, person: mark_absent(repos, person, account, is_absent=False))
    context.tell(Absence(account=account, is_absent=False), f"{account} is present")


def deputy(
    context: PersonContext,
    account: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="An account; leave it out to remove the deputy.")
    ] = None,
    reason: ReasonOption = "",
) -> None:
    """Propose the deputy of the data protection officer, who also decides on that officer's own requests.

    An administrator proposes. Another administrator, or a team leader if there is none, confirms with `recorder users
    confirm`. Neither may be a data protection officer. Without a name the deputy is removed at once.
    """
    if account is None:
        _act(context, end_deputy)
        context.tell(AccountChange(account=None), "the data protection officer has no deputy")
        return
    by = context.admin(Act.NAME_DEPUTY, account, noted_as=DEPUTY_ASKED)
    proposed(context, by, reason, lambda known, enter: known.name_deputy(by, account, reason=reason, enter=enter))


def emergencies(context: PersonContext) -> None:
    """List break-glass access that is not acknowledged. Needs the data protection officer or deputy."""
    found = _act(context, to_acknowledge)
    rows = [_emergency(one) for one in found]
    columns = [("id", "Emergency"), ("account", "By"), ("recording", "Recording"), ("at", "On"), ("reason", "Reason")]
    context.print_rows(rows, columns, empty="no break-glass access waits to be acknowledged")


def _emergency(one: Emergency) -> dict[str, Any]:
    return {
        "id": one.id, "account": one.account, "recording": one.recording, "at": time_to_json(one.at),
        "reason": one.reason,
    }  # fmt: skip


def acknowledge_one(
    context: PersonContext,
    emergency: Annotated[str, typer.Argument(metavar="EMERGENCY", help="From `recorder break-glass list`.")],
) -> None:
    """Acknowledge a break-glass access. Needs the data protection officer or deputy."""
    done = _act(context, lambda repos, person: acknowledge(repos, person, emergency))
    context.tell(_emergency(done), f"{emergency} is acknowledged")


def access_repositories(home: Home, index: Index) -> AccessRepositories:
    """Return the repositories for access requests."""
    people = people_of(home)
    return AccessRepositories.on(accounts_of(home), index, people, shell_audit(home), utc_now)


def _act(context: CommandContext, act: Callable[[AccessRepositories, Person], _T]) -> _T:
    return act_signed_in(
        context, "a request", lambda index, person: act(access_repositories(context.home, index), person)
    )
