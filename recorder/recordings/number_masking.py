"""Who sees the telephone numbers of a call. Pure.

ICT sees that a call was recorded and how, to keep the recorder working, but not who called: its rows have numbers of
which only the last three digits are left (P11). A role that is somebody's beside ICT shows what that role shows.
"""

import re
from dataclasses import replace

from recorder.permissions import Act, Actor, Allowed, Person, Refusal, Role
from recorder.rules.authorisation import may
from recorder.rules.call_parts import relation
from storage.types import Participant, RecordingRow

_ALL_BUT_THREE = re.compile(r"[0-9](?=(?:[^0-9]*[0-9]){3})")


def masked(number: str) -> str:
    """Return a number with all but its last three digits hidden."""
    return _ALL_BUT_THREE.sub("*", number)


def may_search_numbers(actor: Actor) -> Allowed | Refusal:
    """Decide whether somebody may find calls by their number, and which: as without the role ICT."""
    if not isinstance(actor, Person):
        return may(actor, Act.SEARCH)
    decision = may(_without_ict(actor), Act.SEARCH)
    if isinstance(decision, Refusal) and Role.ICT in actor.roles:
        return Refusal("ICT does not see telephone numbers, so it finds no call by one.")
    return decision


def shown_to(actor: Actor, row: RecordingRow, *, has_leave: bool = False) -> RecordingRow:
    """Return a row as somebody may see it, who may see the call.

    Args:
        actor: Who.
        row: The call.
        has_leave: Whether somebody gave them leave to hear it.
    """
    if not isinstance(actor, Person) or Role.ICT not in actor.roles:
        return row
    operator, team = relation(actor, row)
    decision = may(_without_ict(actor), Act.VIEW, operator=operator, team=team, has_leave=has_leave)
    return row if isinstance(decision, Allowed) else _masked(row)


def _without_ict(person: Person) -> Person:
    return replace(person, roles=person.roles - {Role.ICT})


def _masked(row: RecordingRow) -> RecordingRow:
    ours = {row.extension, *row.extensions}

    def hidden(number: str) -> str:
        return number if number in ours else masked(number)

    def one(participant: Participant) -> Participant:
        if participant.extension:
            return participant
        return replace(
            participant, name=masked(participant.name), address=masked(participant.address),
            number=hidden(participant.number),
        )  # fmt: skip

    return replace(
        row, caller=hidden(row.caller), called=hidden(row.called), numbers=tuple(map(hidden, row.numbers)),
        participants=tuple(map(one, row.participants)),
    )  # fmt: skip
