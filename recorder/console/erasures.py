"""The orders to erase that somebody is shown; reading them is an act like any other."""

from recorder.console.parts import Parts
from recorder.domain.access import Act, Actor, Person
from recorder.reports import teams_seen_by
from storage.errors import NotFoundError
from storage.types import ErasureOrder

SHOWN = 200
"""Orders, newest first."""


def orders_for(console: Parts, actor: Actor) -> list[ErasureOrder]:
    """Return the newest orders, for whoever may confirm some; a manager's are those of calls of their teams.

    Raises:
        ProblemError: They may not, or the audit log cannot be written.
    """
    console.rules.require(actor, Act.CONFIRM_ERASURE)
    console.rules.note(actor.actor, "erasure.view", "")
    orders = console.deps.books.erasures.newest(SHOWN)
    assert isinstance(actor, Person), "no token may confirm anything"
    seen = teams_seen_by(actor)
    return orders if seen is None else [order for order in orders if _team_of(console, order) in seen]


def _team_of(console: Parts, order: ErasureOrder) -> str | None:
    try:
        return console.deps.index.get(order.recording).team
    except NotFoundError:
        return None  # deleted since: nobody's
