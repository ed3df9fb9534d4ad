"""The orders to erase that somebody is shown; reading them is an act like any other."""

from recorder.console.parts import Parts
from recorder.domain.access import Act, Actor
from storage.types import ErasureOrder

SHOWN = 200
"""Orders, newest first."""


def orders_for(console: Parts, actor: Actor) -> list[ErasureOrder]:
    """Return the newest orders, for whoever may confirm some.

    Raises:
        ProblemError: They may not, or the audit log cannot be written.
    """
    console.rules.require(actor, Act.CONFIRM_ERASURE)
    console.rules.note(actor.actor, "erasure.view", "")
    return console.deps.books.erasures.newest(SHOWN)
