"""Whether two recordings in progress are of one conversation. Pure.

A PBX that transfers or forwards a call to a nominated extension by way of the recorder passes it twice: the first call
goes on, between caller and PBX, and a second one begins, between PBX and the new officer. Both are recorded. They are
told from two calls of the same caller by the order of events: the PBX names the new officer on the first call while the
second one is in progress already.
"""

import enum
from dataclasses import dataclass

from recorder.calls.rules.transfer import is_same_line, tells_nothing


class Match(enum.Enum):
    """What is known of two calls."""

    NONE = "two conversations"
    POSSIBLE = "perhaps one: the caller's number is withheld"
    SAME = "one conversation"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationFacts:
    """One call, as far as it matters here.

    Attributes:
        began_s: When it was offered, monotonic seconds.
        identity_changed_s: When it was last learned that somebody else is on one of its sides; None: never.
        outside: The number of the other party than the officer now.
        is_claimed: That number is what a caller from outside says, who may claim to be an officer.
        officer: The extension of the officer now.
        officers: The extensions that had the call, that one included.
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
    # After a consultation the second call may still name the officer who asked, and has left.
    if second.outside in first.officers and not second.is_claimed:
        return Match.SAME
    if tells_nothing(first.outside) or tells_nothing(second.outside):
        return Match.POSSIBLE
    return Match.SAME if is_same_line(first.outside, second.outside) else Match.NONE
