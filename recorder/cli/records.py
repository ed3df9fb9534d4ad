"""`recorder recordings list` and `recorder recordings show`."""

import itertools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar
from zoneinfo import ZoneInfo

import typer

from recorder.access.database import AuditNote
from recorder.cli import completion
from recorder.cli.context import CommandContext, PersonContext
from recorder.cli.entries import audit, refuse
from recorder.cli.errors import said_plainly
from recorder.cli.identity import requests_of
from recorder.cli.output import fail, print_json, print_json_list, print_table, say
from recorder.common.home import Home
from recorder.permissions import HEARS, Act, DeniedError, Person, Refusal
from recorder.recordings.home_stores import open_index
from recorder.recordings.searching import describe, findable, knows, shown, typed
from recorder.retention.erasure_repositories import order_to_json
from recorder.rules.authorisation import knows_all, may
from recorder.rules.call_parts import is_withheld, relation
from recorder.rules.requesting import GRANT_ENDED, AccessKind, AccessRequest
from recorder.rules.typed_dates import TypedDateError, moment_in, moment_typed
from storage.copy_list import CopyList, copy_to_json
from storage.erasures import Erasures, is_open
from storage.errors import NotFoundError
from storage.format import is_recording_id
from storage.index import COUNTED, Index
from storage.rows import row_to_json
from storage.tombstones import Deletions
from storage.types import Outcome, RecordingId, RecordingRow, Search

SHOWN_ROWS = 100
"""Rows shown to people by default; programs get all rows."""

MOST_ROWS = 1_000_000

FromOption = Annotated[str | None, typer.Option("--from", metavar="T", help="From this time or day on.")]
ToOption = Annotated[str | None, typer.Option("--to", metavar="T", help="Before this time; a day is included.")]
OperatorOption = Annotated[
    str | None,
    typer.Option(
        "--operator",
        metavar="X",
        help="Calls of this operator, by the whole name.",
        autocompletion=completion.operators,
    ),
]
ExtensionOption = Annotated[
    str | None,
    typer.Option("--extension", metavar="N", help="Calls of this extension.", autocompletion=completion.extensions),
]
NumberOption = Annotated[
    str | None,
    typer.Option(
        "--number-file", metavar="F|-", help="A file with a whole number, in any spelling: users can see arguments."
    ),
]

FOUND_COLUMNS = [
    ("id", "Recording"),
    ("when", "When"),
    ("direction", "Direction"),
    ("operator", "Operator"),
    ("caller", "Caller"),
    ("outcome", "Outcome"),
    ("reason", "Reason"),
    ("recorded_s", "Recorded, s"),
]
"""Columns of a table of calls."""

_T = TypeVar("_T")


@contextmanager
def opened_index(context: CommandContext) -> Iterator[Index]:
    """Open the index for a command; exit with a message if it cannot be opened."""
    index = open_index(context.home, context.config)
    try:
        yield index
    finally:
        index.close()


def act_signed_in(context: CommandContext, what: str, act: Callable[[Index, Person], _T]) -> _T:
    """Sign a person in and do something with the index; exit with a message if it is refused.

    Args:
        context: The command.
        what: What the person asks for, for the message.
        act: The act; the message of a ProblemError is printed.
    """
    person = context.sign_in(what)
    with opened_index(context) as index:
        return act(index, person)


def find(
    context: PersonContext,
    from_: FromOption = None,
    to: ToOption = None,
    operator: OperatorOption = None,
    extension: ExtensionOption = None,
    number_file: NumberOption = None,
    outcome: Annotated[Outcome | None, typer.Option("--outcome", metavar="O")] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, max=MOST_ROWS, show_default="100, with --json all")
    ] = None,
) -> None:
    """Find calls by time, whole name of the operator, extension, number in a file, and outcome, newest first.

    The number is a whole one in any spelling, and of anybody who was on the call. The console finds parts of names and
    the last digits of numbers too. You find the calls that your role may see, as in the console. The search is logged.
    """
    zone = context.zone
    search = replace(
        search_from(zone, from_, to, operator, extension, number_file),
        outcome=outcome,
        limit=limit or (MOST_ROWS if context.json else SHOWN_ROWS),
    )
    person = context.sign_in("a search")
    search = permitted_search(context.home, person, search)
    with opened_index(context) as index:
        if context.json:
            print_json_list(_found(index, person, search))
            return
        page, counted = index.page(search)
    rows = [shown(person, row) for row in page if knows(person, row)]
    print_table([_line(row, zone) for row in rows], FOUND_COLUMNS, empty="no call matches", zone=zone)
    if counted > len(rows):
        total = f"more than {COUNTED}" if counted > COUNTED else counted
        say(f"{len(rows)} of {total} calls; give --limit to see more")


def _found(index: Index, person: Person, search: Search) -> Iterator[dict[str, Any]]:
    locked = {order.recording for order in Erasures(index.database).open_orders()}
    known = (row for row in index.each(search) if knows(person, row))
    for row in itertools.islice(known, search.limit):
        yield {**row_to_json(shown(person, row)), "locked": row.id in locked}


def permitted_search(home: Home, person: Person, search: Search) -> Search:
    """Return the part of a search that a person may find, after logging it; exit if refused."""
    text = typed(search) or ""
    try:
        allowed = findable(person, search)
    except DeniedError as error:
        refuse(home, Act.SEARCH, person, str(error), text=text)
    audit(home, AuditNote(act=Act.SEARCH.value, subject="", details=describe(search)), actor=person.actor, text=text)
    return allowed


def _line(row: RecordingRow, zone: ZoneInfo) -> dict[str, Any]:
    return {**row_to_json(row), "when": f"{row.started_at.astimezone(zone):%Y-%m-%d %H:%M:%S}"}


def search_from(
    zone: ZoneInfo,
    from_: str | None,
    to: str | None,
    operator: str | None,
    extension: str | None,
    number_file: str | None,
) -> Search:
    """Return the search that a command's options ask for; exit if one is invalid."""
    return Search(
        started_from=moment(from_, zone, is_end=False), started_to=moment(to, zone, is_end=True), operator=operator,
        extension=extension, number=number_from(number_file),
    )  # fmt: skip


def moment(text: str | None, zone: ZoneInfo, *, is_end: bool) -> datetime | None:
    """Parse a time or day in the site's time zone, as UTC; exit if it is invalid.

    A day as an end includes that day, and a time that comes twice as an end includes its second hour.
    """
    if text is None:
        return None
    try:
        typed_at = moment_typed(text)
    except TypedDateError as error:
        fail(f"{text!r} is not a time: {error}; or give a day with a time, like 28/11/2026 14:30", 2)
    try:
        return moment_in(typed_at, zone, is_end=is_end)
    except TypedDateError as error:
        fail(f"{text!r}: {error}", 2)


def number_from(source: str | None) -> str | None:
    """Read a number from the first line of a file or of standard input; exit if there is none."""
    if source is None:
        return None
    with said_plainly(code=2):
        text = sys.stdin.readline() if source == "-" else Path(source).read_text().partition("\n")[0]
    return text.strip() or fail("the number file is empty", 2)


ORDER_COLUMNS = [
    ("id", "Order to erase"),
    ("recording", "Recording"),
    ("start_s", "From, s"),
    ("end_s", "To, s"),
    ("kind", "Why"),
    ("state", "State"),
    ("ordered_by", "Ordered by"),
    ("ordered_at", "On"),
    ("decided_by", "Decided by"),
    ("problem", "Problem"),
]
"""Columns of a table of orders."""

COPY_COLUMNS = [
    ("id", "Copy"),
    ("made_at", "On"),
    ("made_by", "By"),
    ("format", "Format"),
    ("start_s", "From, s"),
    ("end_s", "To, s"),
    ("redactions", "Silenced spans"),
    ("sha256", "SHA-256"),
]
"""Columns of a table of copies; a copy without a hash was not completed."""

_NONE = "there is no such recording, or more than one begins so; `recorder recordings list` lists them"
"""Said of recordings that do not exist and of those a person may not see, so that ids cannot be guessed."""

IdArgument = Annotated[
    str, typer.Argument(metavar="ID", help="A recording's id, or its beginning.", autocompletion=completion.recordings)
]


_TABLES = ("segments", "notice", "participants")
"""Fields of a row that `show` prints as separate tables."""
_MESSAGES = [("id", "Notice heard"), ("language", "Language"), ("service", "Service")]
_PARTICIPANTS = [
    ("name", "Name"),
    ("number", "Number"),
    ("role", "Role"),
    ("channel", "Channel"),
    ("address", "Address"),
]


def show(context: PersonContext, recording: IdArgument) -> None:
    """Show one call: outcome, notice, segments, erasures and copies."""
    person = context.sign_in("a recording's details")
    row = _row_seen(context, person, recording)
    with opened_index(context) as index:
        orders = Erasures(index.database).of_recording(row.id)
        orders = [one for one in orders if not is_withheld(row, one.start_s, one.end_s)]
        copies = [copy_to_json(copy) for copy in CopyList(index.database).of_recording(row.id)]
    fields = {**row_to_json(row), "locked": any(map(is_open, orders))}
    if context.json:
        print_json({**fields, "erasures": [order_to_json(order) for order in orders], "copies": copies})
        return
    facts = [{"key": key, "value": value} for key, value in fields.items() if key not in _TABLES]
    notice = {key: value for key, value in (fields["notice"] or {}).items() if key != "messages"}
    facts += [{"key": f"notice.{key}", "value": value} for key, value in notice.items()]
    print_table(facts, [("key", ""), ("value", "")], empty="")
    columns = [("start_s", "From, s"), ("end_s", "To, s"), ("kind", "What"), ("reason", "Reason"), ("by", "By")]
    print_table(fields["segments"], columns, empty="this call has no recording")
    if messages := (fields["notice"] or {}).get("messages"):
        print_table(messages, _MESSAGES, empty="")
    if fields["participants"]:
        print_table(fields["participants"], _PARTICIPANTS, empty="")
    if orders:
        print_table([order_to_json(order) for order in orders], ORDER_COLUMNS, empty="")
    if copies:
        print_table(copies, COPY_COLUMNS, empty="")


def _row_seen(context: CommandContext, person: Person, recording: str) -> RecordingRow:
    """Return the parts of a row that a person may see, after logging it; otherwise exit as if there were none."""
    row, leave = row_known(context, person, recording, Act.VIEW)
    audit(context.home, AuditNote(act=Act.VIEW.value, subject=row.id), actor=person.actor)
    return shown(person, row, leave)


def row_known(
    context: CommandContext, person: Person, recording: str, act: Act
) -> tuple[RecordingRow, AccessRequest | None]:
    """Return the row of an id or its beginning, and the person's access grant for it; exit if they may not know of it.

    In that case the message is the same as for a missing recording, and the attempt is logged.

    Args:
        context: The command.
        person: The person who asks.
        recording: The id, as typed.
        act: The act they want to do.
    """
    requests = requests_of(context.home)
    with opened_index(context) as index:
        try:
            row = index.get(recording)
        except NotFoundError:
            row = None
    named = row.id if row is not None else RecordingId(recording) if is_recording_id(recording) else None
    leave = None if named is None else requests.leave(person, named, AccessKind.LISTEN, row)
    if row is None:
        decision = may(person, Act.VIEW, has_grant=True)
    else:
        operator, team = relation(person, row)
        decision = may(person, Act.VIEW, operator=operator, team=team, has_grant=leave is not None)
    is_known = knows_all(person)
    if row is not None and act in HEARS and isinstance(may(person, act, reason="break-glass"), Refusal):
        wanted = AccessKind.COPY if act is Act.EXPORT else AccessKind.LISTEN
        if requests.has_ended(person, row, wanted):
            refuse(context.home, act, person, GRANT_ENDED, subject=row.id)
    if isinstance(decision, Refusal):
        refuse(
            context.home, act, person, decision.reason, subject=row.id if row else "", said=None if is_known else _NONE
        )
    if row is None:
        if is_known or leave is not None:  # a person with a grant may know that it was deleted
            return row_of(context, recording), leave
        fail(_NONE)
    return row, leave


def row_of(context: CommandContext, recording: str) -> RecordingRow:
    """Return the row of an id or its beginning; exit if there is none."""
    with opened_index(context) as index:
        try:
            return index.get(recording)
        except NotFoundError as error:
            tombstone = Deletions(index.database).get(RecordingId(recording)) if is_recording_id(recording) else None
            fail(f"{error}; `recorder recordings list` lists them" if tombstone is None else tombstone.sentence)
