"""`recorder holds`: legal holds, which keep recordings beyond their retention period."""

from collections.abc import Callable
from datetime import date
from functools import partial
from typing import Annotated

import typer

from recorder.access.accounts import usable_people
from recorder.cli import completion
from recorder.cli.accounts import accounts_of
from recorder.cli.context import CommandContext, PersonContext
from recorder.cli.entries import shell_audit
from recorder.cli.erase import whole_id
from recorder.cli.identity import people_of
from recorder.cli.options import ReasonOption
from recorder.cli.output import fail
from recorder.cli.records import MOST_ROWS, act_signed_in
from recorder.common.clock import utc_now
from recorder.data_subjects.case_deadlines import needed_hold
from recorder.data_subjects.case_repository import CaseRepository
from recorder.permissions import Person
from recorder.recordings.home_stores import open_vault
from recorder.retention.hold_lists import LISTED, hold_to_json, holds_listed, holds_of
from recorder.retention.hold_repositories import HoldRepositories
from recorder.retention.holding import place_hold, reinstate_hold, release_hold, review_hold
from recorder.rules import times
from recorder.rules.holds import HoldWish
from recorder.rules.typed_dates import TypedDateError, date_typed
from storage.audit import AuditLog
from storage.holds import Holds
from storage.index import Index
from storage.retention_types import Hold, HoldKind

HoldArgument = Annotated[
    str, typer.Argument(metavar="HOLD", help="From `recorder holds list`.", autocompletion=completion.holds)
]
ReviewOption = Annotated[
    str | None,
    typer.Option(
        "--review",
        metavar="DATE",
        help="Day of the next review, like 28/11/2026.",
        show_default="90 or 180 days by kind",
    ),
]
OwnerOption = Annotated[
    str, typer.Option("--owner", metavar="NAME", help="Account of the person responsible.", show_default=False)
]
_COLUMNS = [
    ("id", "Hold"),
    ("recording", "Recording"),
    ("kind", "Kind"),
    ("state", "State"),
    ("case_reference", "Case"),
    ("owner", "Owner"),
    ("review_on", "Review on"),
    ("placed_by", "Placed by"),
    ("placed_at", "On"),
    ("against", "Against"),
    ("grace_until", "Kept until"),
    ("reason", "Reason"),
]


def add(
    context: PersonContext,
    recording: Annotated[
        str,
        typer.Argument(metavar="ID", help="Id of a recording or of a live call.", autocompletion=completion.recordings),
    ],
    kind: Annotated[HoldKind, typer.Option("--kind", help="Kind of hold.")],
    reason: ReasonOption = "",
    case: Annotated[str, typer.Option("--case", metavar="REF", help="The case's reference.")] = "",
    owner: OwnerOption = "",
    review: ReviewOption = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            "--complained-about",
            metavar="NAME",
            help="Person complained about, who cannot release it. May be repeated.",
        ),
    ] = None,
) -> None:
    """Hold a recording for a complaint, training, evidence, a subject access request or a disclosure."""
    wish = HoldWish(
        kind=kind,
        reason=reason,
        case_reference=case,
        owner=owner,
        review_on=day_from(review),
        against=(*(against or ()),),
    )

    def place(repos: HoldRepositories, person: Person) -> Hold:
        return place_hold(repos, person, whole_id(repos.index, recording), wish)

    placed = _act(context, place)
    context.tell(
        hold_to_json(placed, utc_now()),
        f"hold {placed.id} is placed: {placed.recording} is kept; review on {times.day(placed.review_on)}",
    )


def release(context: PersonContext, hold_id: HoldArgument, reason: ReasonOption = "") -> None:
    """Release a hold. The recording is kept for 14 more days, in which the hold can be reinstated."""
    done = _act(context, lambda repos, person: release_hold(repos, person, hold_id, reason=reason))
    assert done.grace_until is not None
    sentence = f"hold {done.id} is released; it keeps {done.recording} until {context.day(done.grace_until)}"
    context.tell(hold_to_json(done, utc_now()), f"{sentence}, and can be reinstated until then")


def reinstate(context: PersonContext, hold_id: HoldArgument, reason: ReasonOption = "") -> None:
    """Reinstate a released hold, within its 14 days."""
    done = _act(context, lambda repos, person: reinstate_hold(repos, person, hold_id, reason=reason))
    context.tell(hold_to_json(done, utc_now()), f"hold {done.id} is reinstated: {done.recording} is kept")


def review(
    context: PersonContext,
    hold_id: HoldArgument,
    reason: ReasonOption = "",
    review: ReviewOption = None,
    owner: OwnerOption = "",
) -> None:
    """Review a hold: say why it is still needed, when to review it next, and who is responsible."""
    day = day_from(review)

    def say_so(repos: HoldRepositories, person: Person) -> Hold:
        return review_hold(repos, person, hold_id, reason=reason, review_on=day, owner=owner)

    done = _act(context, say_so)
    review_on = times.day(done.review_on)
    context.tell(hold_to_json(done, utc_now()), f"hold {done.id} stays; {done.owner} reviews it on {review_on}")


def list_holds(
    context: PersonContext,
    due: Annotated[bool, typer.Option("--due", help="Only holds due for review.")] = False,
    recording: Annotated[
        str | None, typer.Option("--recording", metavar="ID", help="All holds of one recording, including ended ones.")
    ] = None,
) -> None:
    """List the legal holds in force that you may see, by the day of their review."""
    now = utc_now()

    def listed(index: Index, person: Person) -> list[Hold]:
        repos = hold_repositories(context, index)
        if recording is None:
            return holds_listed(repos, person, is_due=due, limit=MOST_ROWS if context.json else LISTED)
        found = holds_of(repos, person, whole_id(index, recording))
        return [one for one in found if not due or (one.released_at is None and one.review_on <= now.date())]

    found = act_signed_in(context, "a list of holds", listed)
    rows = [hold_to_json(one, now) for one in found]
    lines = [{**row, "against": ", ".join(row["against"])} for row in rows]
    context.print_rows(
        rows, _COLUMNS, empty="no hold is due for review" if due else "no recording is held", lines=lines
    )


def _act(context: CommandContext, act: Callable[[HoldRepositories, Person], Hold]) -> Hold:
    return act_signed_in(context, "a hold", lambda index, person: act(hold_repositories(context, index), person))


def hold_repositories(context: CommandContext, index: Index) -> HoldRepositories:
    """Return the repositories for legal holds; exit with a message on storage errors."""
    vault = open_vault(context.home, context.config, index)
    people = people_of(context.home)
    cases = CaseRepository(accounts_of(context.home), now=utc_now)
    return HoldRepositories(
        index=index,
        holds=Holds(index.database),
        audit=AuditLog(context.home.audit),
        audit_service=shell_audit(context.home),
        vault=vault,
        people=lambda: usable_people(people),
        state=context.home.state,
        now=utc_now,
        needed=partial(needed_hold, cases, context.config.site.timezone),
    )


def day_from(text: str | None) -> date | None:
    """Parse a date; exit if it is invalid."""
    if text is None:
        return None
    try:
        return date_typed(text)
    except TypedDateError as error:
        fail(f"{text!r} is not a date: {error}", 2)


def day_in_words(text: str) -> str:
    """Return a day of a JSON document in words."""
    return times.day(date.fromisoformat(text))
