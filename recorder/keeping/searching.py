"""Which recordings a search finds for somebody, and what the audit log keeps of it. Pure."""

from dataclasses import replace
from typing import Any

from recorder.domain.access import Act, Actor, Allowed, DeniedError, Fault, Person, Refused, may
from recorder.domain.number_masking import may_search_numbers
from storage.types import Part, Search

_TYPED = ("operator", "extension", "number")


def narrowed(actor: Actor, search: Search) -> Search:
    """Return a search of those recordings only that somebody may find.

    Args:
        actor: Who searches.
        search: What they asked for.

    Raises:
        DeniedError: They may find none of what they asked for.
    """
    decision = may(actor, Act.SEARCH, extension=search.extension)
    if isinstance(decision, Allowed) and search.number is not None:
        decision = may_search_numbers(actor)
    if isinstance(decision, Refused):
        raise DeniedError(Fault.NOT_ALLOWED, decision.reason)
    if not decision.is_part or not isinstance(actor, Person):
        return search
    own = actor.display_name if decision.own_only else None
    teams = actor.teams if decision.team_only else ()
    if not teams and search.operator not in (None, own):
        raise DeniedError(Fault.NOT_ALLOWED, "You see only recordings of your own calls.")
    return replace(search, within=Part(teams=teams, operator=own))


def describe(search: Search) -> dict[str, Any]:
    """Return what the audit log keeps of a search for ever: nothing that was typed freely."""
    return {
        "from": search.started_from.isoformat() if search.started_from else None,
        "to": search.started_to.isoformat() if search.started_to else None,
        "by": [name for name in _TYPED if getattr(search, name) is not None],
        "outcome": search.outcome,
        "offset": search.offset,
    }


def typed(search: Search) -> str | None:
    """Return what was typed freely, as text of the audit log, which may expire; None when nothing was."""
    parts = [f"{name}: {getattr(search, name)}" for name in _TYPED if getattr(search, name) is not None]
    return "; ".join(parts) or None
