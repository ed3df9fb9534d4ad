"""Who sees the phone numbers of a call. Pure.

ICT sees that a call was recorded and how, to keep the recorder working, but not who called: of the numbers only the
last three digits are shown (P11). A person with another role besides ICT sees what that role sees.
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
    """Decide whether an actor may find calls by number, and which. The role ICT does not count."""
    if not isinstance(actor, Person):
        return may(actor, Act.SEARCH)
    decision = may(_without_ict(actor), Act.SEARCH)
    if isinstance(decision, Refusal) and Role.ICT in actor.roles:
        return Refusal("ICT does not see phone numbers, so it cannot search by number.")
    return decision


def shown_to(actor: Actor, row: RecordingRow, *, has_grant: bool = False) -> RecordingRow:
    """Return a row as it is shown to an actor who may see the call.

    Args:
        actor: Who.
        row: The call.
        has_grant: Whether they have an access grant for it.
    """
    if not isinstance(actor, Person) or Role.ICT not in actor.roles:
        return row
    operator, team = relation(actor, row)
    decision = may(_without_ict(actor), Act.VIEW, operator=operator, team=team, has_grant=has_grant)
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
