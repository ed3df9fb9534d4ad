"""Legal holds on a recording's page, and what the person may do with them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from recorder.permissions import Person, Refusal
from recorder.retention.hold_lists import holds_shown
from recorder.rules.holds import HoldFacts, hold_facts, may_place, may_reinstate, may_release, may_review
from recorder.web.auth import ConsoleCaller
from recorder.web.parts import ConsoleParts
from storage.retention_types import Hold, HoldKind, HoldState
from storage.types import RecordingRow


def holds_on_page(console: ConsoleParts, caller: ConsoleCaller, row: RecordingRow) -> dict[str, Any]:
    """Return the holds that a person may see, with state and permitted acts, and the kinds that they may place.

    Raises:
        ProblemError: The database does not answer.
    """
    person = caller.person
    if person is None:
        return {"holds": [], "kinds": []}
    call, now = hold_facts(row), console.deps.now()

    shown = [
        (hold, hold.state_at(now), acts_offered(person, hold, call, now))
        for hold in holds_shown(console.deps.hold_repositories, person, row)
    ]
    return {"holds": shown, "kinds": kinds_offered(person, [call]) if row.path is not None else []}


def acts_offered(person: Person, hold: Hold, call: HoldFacts, now: datetime) -> list[str]:
    """Return what a person may do with a hold now: release, review, reinstate."""
    rules = {
        HoldState.ACTIVE: {"release": may_release, "review": may_review},
        HoldState.GRACE: {"reinstate": may_reinstate},
    }.get(hold.state_at(now), {})
    return [act for act, rule in rules.items() if not isinstance(rule(person, hold, call, reason="shown"), Refusal)]


def kinds_offered(person: Person, calls: Sequence[HoldFacts]) -> list[HoldKind]:
    """Return the kinds of hold that a person may place on each of some calls; none if there are no calls."""
    return [
        kind
        for kind in HoldKind
        if calls and not any(isinstance(may_place(person, kind, call, reason="shown"), Refusal) for call in calls)
    ]
