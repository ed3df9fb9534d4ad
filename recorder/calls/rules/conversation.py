"""Decides whether two recordings in progress are of one conversation. Pure.

A PBX may transfer or forward a call to a nominated extension through the recorder. Then the conversation is two calls:
the first goes on between caller and PBX, and the second begins between PBX and the new officer. Both are recorded. The
order of events tells this from two calls of the same caller: the PBX names the new officer on the first call after the
second one has begun.
"""

import enum
from dataclasses import dataclass

from recorder.calls.rules.transfer import is_same_line, tells_nothing


class Match(enum.Enum):
    """Whether two calls are one conversation."""

    NONE = "two conversations"
    POSSIBLE = "perhaps one: the caller's number is withheld"
    SAME = "one conversation"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationFacts:
    """The facts about one call that decide.

    Attributes:
        began_s: When the call began, monotonic seconds.
        identity_changed_s: When a party last changed, monotonic seconds; None if none has.
        outside: The number of the outside party now.
        officer: The extension of the officer now.
        officers: The extensions that had the call, the current one included.
        is_claimed: A caller outside asserted the outside party's number, and may claim an officer's.
    """

    began_s: float
    identity_changed_s: float | None
    outside: str
    officer: str
    officers: frozenset[str]
    is_claimed: bool = False


def match(one: ConversationFacts, other: ConversationFacts) -> Match:
    """Tell whether two calls are one conversation."""
    first, second = sorted((one, other), key=lambda passage: passage.began_s)
    is_learned = first.identity_changed_s is not None and first.identity_changed_s >= second.began_s
    if first.officer != second.officer or not is_learned:
        return Match.NONE
    # After a consultation the second call may still name the first officer, who has left, as its outside party.
    if second.outside in first.officers and not second.is_claimed:
        return Match.SAME
    if tells_nothing(first.outside) or tells_nothing(second.outside):
        return Match.POSSIBLE
    return Match.SAME if is_same_line(first.outside, second.outside) else Match.NONE
