"""Which recordings a search finds for an actor, what they see of each, and what the audit log keeps. Pure."""

from dataclasses import replace
from typing import Any

from recorder.permissions import Act, Actor, Allowed, DeniedError, Fault, Person, Refusal
from recorder.recordings.number_masking import may_search_numbers, shown_to
from recorder.rules.authorisation import may
from recorder.rules.call_parts import narrowed, relation, seen_by
from recorder.rules.holds import hold_facts, kinds_seen
from recorder.rules.requesting import AccessRequest
from storage.types import RecordingRow, Search, Visibility

_TYPED = ("operator", "extension", "number")


def findable(actor: Actor, search: Search) -> Search:
    """Return a search limited to the recordings that an actor may find.

    Raises:
        DeniedError: They may find none of it.
    """
    decision = may(actor, Act.SEARCH, extension=search.extension)
    if isinstance(decision, Allowed) and (search.number is not None or search.numbers):
        decision = may_search_numbers(actor)
    if isinstance(decision, Refusal):
        raise DeniedError(Fault.NOT_ALLOWED, decision.reason)
    if not decision.is_part or not isinstance(actor, Person):
        return search
    own = actor.display_name if decision.own_only else None
    teams = actor.teams if decision.team_only else ()
    if not teams and search.operator not in (None, own):
        raise DeniedError(Fault.NOT_ALLOWED, "You see only recordings of your own calls.")
    return replace(search, within=Visibility(teams=teams, operator=own))


def knows(actor: Actor, row: RecordingRow) -> bool:
    """Tell whether an actor may know of a call that the index found: it also lists officers of very short parts."""
    if not isinstance(actor, Person):
        return True
    operator, team = relation(actor, row)
    return not isinstance(may(actor, Act.VIEW, operator=operator, team=team), Refusal)


def shown(actor: Actor, row: RecordingRow, leave: AccessRequest | None = None) -> RecordingRow:
    """Return a row as an actor sees it: numbers masked, parts of others withheld, kinds of hold hidden.

    Args:
        actor: Who.
        row: The call.
        leave: The granted request by which they may hear it now.
    """
    heard = () if leave is None else leave.heard(row.id)
    row = replace(row, holds=kinds_seen(actor, row.holds, hold_facts(row)))
    return narrowed(shown_to(actor, row, has_grant=leave is not None), seen_by(actor, row, heard))


def describe(search: Search) -> dict[str, Any]:
    """Return what the audit log keeps permanently of a search: nothing that was typed."""
    return {
        "from": search.started_from.isoformat() if search.started_from else None,
        "to": search.started_to.isoformat() if search.started_to else None,
        "by": [name for name in _TYPED if getattr(search, name) is not None],
        "outcome": search.outcome,
        **{name: value for name in ("service", "team") if (value := getattr(search, name)) is not None},
        "offset": search.offset,
    }


def typed(search: Search) -> str | None:
    """Return what was typed, as a text of the audit log that may expire; None if nothing was."""
    parts = [f"{name}: {getattr(search, name)}" for name in _TYPED if getattr(search, name) is not None]
    return "; ".join(parts) or None
