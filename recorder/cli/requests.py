"""`recorder requests`: leave to hear recordings: asked for, decided; who is absent, and who stands in."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from recorder.access.database import open_people
from recorder.access.listening import asking
from recorder.access.listening.appointing import acknowledge, end_deputy, mark_absent, to_acknowledge
from recorder.access.listening.books import HearingBooks
from recorder.audit.ledger import Ledger
from recorder.cli.erase import whole_id
from recorder.cli.proposals import proposed
from recorder.cli.records import act_signed_in
from recorder.cli.shared import (
    AsOption,
    HomeOption,
    JsonOption,
    PasswordOption,
    ReasonOption,
    admin,
    load_home,
    people_of,
    print_json,
    print_table,
    say,
    tell,
)
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.common.system_user import os_user
from recorder.config.settings import Config
from recorder.permissions import Act, Person
from recorder.rules.requesting import LEAVE_DAYS, MOST_LEAVE_DAYS, AccessRequest, Category, Leave, RequestWish
from storage.audit import AuditLog
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
    recordings: Annotated[list[str], typer.Argument(metavar="ID", help="Recordings' ids.")],
    category: Annotated[Category, typer.Option("--category", help="For what.")],
    reason: ReasonOption = "",
    leave: Annotated[Leave, typer.Option("--leave", help="To listen, or to take copies too.")] = Leave.LISTEN,
    reference: Annotated[
        str, typer.Option("--reference", metavar="REF", help="A case's, or an authorisation's (elected members).")
    ] = "",
    name: AsOption = None,
    password_file: PasswordOption = None,
    home: HomeOption = Path(),
    json: JsonOption = False,
) -> None:
    """Ask to hear recordings; the team leader decides, in their absence the data protection officer."""

    def act(books: HearingBooks, person: Person) -> AccessRequest:
        ids = tuple(RecordingId(whole_id(books.index, one)) for one in recordings)
        wish = RequestWish(recordings=ids, category=category, reason=reason, leave=leave, reference=reference)
        return asking.ask(books, person, wish)

    asked = _act(home, name, password_file, act)
    tell(asking.request_to_json(asked), f"request {asked.id} is on its way", json=json)


@requests.command("grant")
def grant(
    request: RequestArgument,
    days: Annotated[int, typer.Option("--days", min=1, max=MOST_LEAVE_DAYS, help="For how long.")] = LEAVE_DAYS,
    whole_call: Annotated[
        bool, typer.Option("--whole-call", help="All of each call, not their part: for a complaint, with --reason.")
    ] = False,
    reason: ReasonOption = "",
    name: AsOption = None,
    password_file: PasswordOption = None,
    home: HomeOption = Path(),
    json: JsonOption = False,
) -> None:
    """Grant a request: of each call what was asked for, which for officers and managers is their part of it."""

    def act(books: HearingBooks, person: Person) -> AccessRequest:
        return asking.decide(books, person, request, granted=True, words=reason, days=days, is_whole=whole_call)

    done = _act(home, name, password_file, act)
    assert done.until is not None
    tell(asking.request_to_json(done), f"{done.account} has leave until {done.until:%Y-%m-%d %H:%M} UTC", json=json)


@requests.command("decline")
def decline(
    request: RequestArgument,
    reason: ReasonOption = "",
    name: AsOption = None,
    password_file: PasswordOption = None,
    home: HomeOption = Path(),
    json: JsonOption = False,
) -> None:
    """Decline a request; takes a reason, which whoever asked can read."""

    def act(books: HearingBooks, person: Person) -> AccessRequest:
        return asking.decide(books, person, request, granted=False, words=reason)

    done = _act(home, name, password_file, act)
    tell(asking.request_to_json(done), f"request {request} is declined", json=json)


@requests.command("withdraw")
def withdraw(
    request: RequestArgument, name: AsOption = None, password_file: PasswordOption = None, home: HomeOption = Path()
) -> None:
    """Take a request of one's own back."""
    _act(home, name, password_file, lambda books, person: asking.withdraw(books, person, request))
    say(f"request {request} is withdrawn")


@requests.command("list")
def list_requests(
    waiting: Annotated[bool, typer.Option("--waiting", help="Only those that wait for you to decide.")] = False,
    name: AsOption = None,
    password_file: PasswordOption = None,
    home: HomeOption = Path(),
    json: JsonOption = False,
) -> None:
    """List one's own requests, or everybody's for whoever decides."""
    found = _act(home, name, password_file, asking.to_decide if waiting else asking.seen)
    rows = [asking.request_to_json(one) for one in found]
    if json:
        print_json(rows)
        return
    lines: list[dict[str, Any]] = [{**row, "recordings": ", ".join(row["recordings"])} for row in rows]
    print_table(lines, _COLUMNS, empty="no request waits for you" if waiting else "there are no requests")


@requests.command("absent")
def absent(
    account: AccountArgument,
    name: AsOption = None,
    password_file: PasswordOption = None,
    home: HomeOption = Path(),
) -> None:
    """Mark a team leader absent: while all are, requests go to the data protection officer."""
    _act(home, name, password_file, lambda books, person: mark_absent(books, person, account, is_absent=True))
    say(f"{account} is absent")


@requests.command("back")
def back(
    account: AccountArgument,
    name: AsOption = None,
    password_file: PasswordOption = None,
    home: HomeOption = Path(),
) -> None:
    """Mark a team leader present again."""
    _act(home, name, password_file, lambda books, person: mark_absent(books, person, account, is_absent=False))
    say(f"{account} is present")


@requests.command("deputy")
def deputy(
    account: Annotated[str | None, typer.Argument(metavar="[NAME]", help="An account; none: nobody.")] = None,
    reason: ReasonOption = "",
    name: AsOption = None,
    password_file: PasswordOption = None,
    home: HomeOption = Path(),
) -> None:
    """Propose who stands in for the data protection officer, and decides that officer's own requests.

    An administrator proposes; another one, or a team leader where there is none, confirms it with `recorder users
    confirm`. Neither of the two is a data protection officer. Without a name nobody stands in, at once.
    """
    if account is None:
        _act(home, name, password_file, end_deputy)
        say("nobody stands in for the data protection officer")
        return
    place, _ = load_home(home)
    by = admin(place, name, password_file, Act.NAME_DEPUTY, account, noted_as=DEPUTY_ASKED)
    proposed(place, by, reason, lambda known, enter: known.name_deputy(by, account, reason=reason, enter=enter))


@requests.command("emergencies")
def emergencies(
    name: AsOption = None, password_file: PasswordOption = None, home: HomeOption = Path(), json: JsonOption = False
) -> None:
    """List what was heard without approval and nobody has acknowledged: for the officer or deputy who does."""
    found = _act(home, name, password_file, to_acknowledge)
    rows = [
        {"id": one.id, "account": one.account, "recording": one.recording, "at": time_to_json(one.at),
         "reason": one.reason}
        for one in found
    ]  # fmt: skip
    columns = [("id", "Emergency"), ("account", "By"), ("recording", "Recording"), ("at", "On"), ("reason", "Reason")]
    if json:
        print_json(rows)
    else:
        print_table(rows, columns, empty="everything that was heard without approval is acknowledged")


@requests.command("acknowledge")
def acknowledge_one(
    emergency: Annotated[str, typer.Argument(metavar="EMERGENCY", help="From `recorder requests emergencies`.")],
    name: AsOption = None,
    password_file: PasswordOption = None,
    home: HomeOption = Path(),
) -> None:
    """Take note of a recording that was heard without approval; the data protection officer's."""
    _act(home, name, password_file, lambda books, person: acknowledge(books, person, emergency))
    say(f"{emergency} is acknowledged")


def hearing_books(home: Home, index: Index) -> HearingBooks:
    """Return what requests are kept in."""
    people = people_of(home)
    ledger = Ledger(audit=AuditLog(home.audit), origin={"where": "shell", "os_user": os_user()})
    return HearingBooks.on(open_people(home.people), index, people, ledger, utc_now)


def _act(home: Path, name: str | None, password_file: Path | None, act: Callable[[HearingBooks, Person], _T]) -> _T:
    def done(place: Home, _config: Config, index: Index, person: Person) -> _T:
        return act(hearing_books(place, index), person)

    return act_signed_in(home, name, password_file, "a request", done)
