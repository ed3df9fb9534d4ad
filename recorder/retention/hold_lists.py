"""Lists of legal holds that a person may see, and a hold as JSON."""

from datetime import datetime
from typing import Any

from recorder.permissions import Act, Actor, Person
from recorder.recordings.visibility import none_such
from recorder.retention.hold_repositories import HoldRepositories, known_call, known_hold, storage_problems
from recorder.rules.holds import HoldFacts, hold_facts, may_see
from storage.retention_types import Hold
from storage.rows import time_to_json
from storage.types import RecordingId, RecordingRow

LISTED = 500
"""Most holds in a list."""


def hold_to_json(hold: Hold, now: datetime) -> dict[str, Any]:
    """Return a hold as JSON values; ``state`` is the state now."""
    return {
        "id": hold.id,
        "recording": hold.recording,
        "kind": str(hold.kind),
        "state": str(hold.state_at(now)),
        "reason": hold.reason,
        "case_reference": hold.case_reference,
        "owner": hold.owner,
        "against": list(hold.against),
        "placed_by": hold.placed_by,
        "placed_at": time_to_json(hold.placed_at),
        "review_on": hold.review_on.isoformat(),
        "released_by": hold.released_by,
        "released_at": time_to_json(hold.released_at),
        "grace_until": time_to_json(hold.grace_until),
    }


def holds_shown(repos: HoldRepositories, actor: Actor, row: RecordingRow) -> list[Hold]:
    """Return the holds of a recording that an actor may see, ended ones too; none for most roles.

    Raises:
        ProblemError: 503: the database does not answer.
    """
    if not isinstance(actor, Person):
        return []
    with storage_problems():
        return [hold for hold in repos.holds.of_recording(row.id) if may_see(actor, hold, hold_facts(row))]


def holds_listed(repos: HoldRepositories, actor: Actor, *, is_due: bool, limit: int = LISTED) -> list[Hold]:
    """Return the holds that an actor may see, by review day; the look is written to the audit log.

    Args:
        repos: Where holds are kept.
        actor: Who asks.
        is_due: Only those due for review.
        limit: The most.

    Raises:
        ProblemError: 403: not theirs to see. 503: the audit log or the database does not answer.
    """
    person = repos.audit_service.require(actor, Act.PLACE_HOLD, "")
    repos.audit_service.note("hold.view", person.actor, "", {"due": is_due})
    now = repos.now()
    with storage_problems():
        if is_due:
            holds = repos.holds.due_for_review(now.date(), limit=limit)
        else:
            holds = repos.holds.all_in_effect(now, limit=limit)
        return [hold for hold in holds if may_see(person, hold, known_call(repos, hold))]


def holds_of(repos: HoldRepositories, actor: Actor, recording: str) -> list[Hold]:
    """Return the holds of one recording that an actor may see, ended ones too; the look is written to the audit log.

    Raises:
        ProblemError: 403: not theirs to see. 503: the audit log or the database does not answer.
    """
    person = repos.audit_service.require(actor, Act.PLACE_HOLD, recording)
    repos.audit_service.note("hold.view", person.actor, recording, {})
    with storage_problems():
        found = repos.holds.of_recording(RecordingId(recording))
        return [hold for hold in found if may_see(person, hold, known_call(repos, hold))]


def hold_seen(repos: HoldRepositories, actor: Actor, hold_id: str) -> tuple[Hold, HoldFacts]:
    """Return a hold that an actor may see, and the facts of its recording; the look is written to the audit log.

    Raises:
        ProblemError: 403: not theirs to see. 404: there is none for them. 503: the audit log or the database does not
            answer.
    """
    person = repos.audit_service.require(actor, Act.PLACE_HOLD, hold_id)
    hold = known_hold(repos, hold_id)
    call = known_call(repos, hold)
    repos.audit_service.note("hold.view", person.actor, hold.recording, {})
    if not may_see(person, hold, call):
        raise none_such("hold")
    return hold, call


def check_of(repos: HoldRepositories, hold_id: str, recording: str) -> None:
    """Check that a hold belongs to a recording.

    Raises:
        ProblemError: 404: it does not, or there is none; 503: the database does not answer.
    """
    if known_hold(repos, hold_id).recording != recording:
        raise none_such("hold")
