"""Who may have a span of a recording erased, who must confirm it, and who may not. Pure.

What is erased is evidence that is gone: one person alone may do it only for what was forgotten a moment ago.
"""

import enum
import re
from collections.abc import Iterable
from dataclasses import dataclass

from recorder.permissions import Act, Allowed, Person, Refusal, Role
from recorder.rules.authorisation import may, operator_for
from storage.retention_types import ErasureKind, ErasureOrder, ErasureState
from storage.types import RecordingRow, SegmentKind

GRACE_S = 15 * 60.0
"""How long after a call its officer may still have forgotten to pause without asking a second person."""


HELD_ALONE_S = 60.0
"""So much card data of a held recording, in all, goes once the data protection officer has confirmed it; more takes a
third person, whom the order names, and somebody who has listened to the span."""


class Confirmation(enum.StrEnum):
    """What an order needs before it is carried out."""

    NONE = "none"
    SECOND_PERSON = "second_person"
    DPO = "dpo"
    THREE = "three"
    """The data protection officer and a third person, whom the order names."""
    NEVER = "never"
    """It is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What the rules have to know of a recording.

    Attributes:
        operators: Whose call it was, as calls name them; several where it was transferred.
        extensions: The extensions that it was on.
        team: The team of that extension at the time; empty where it is not known.
        is_proven: Its officers were at their own phones, or keyed a code there; see `recorder.rules.sign_on`.
        is_held: Somebody keeps it: a complaint, a request for information.
        since_end_s: Seconds since the call ended; None while it goes on.
    """

    operators: frozenset[str]
    extensions: frozenset[str]
    team: str
    is_held: bool
    since_end_s: float | None
    is_proven: bool = True


def confirmation_for(
    kind: ErasureKind, about: About, person: Person, *, length_s: float, forgot_s: float, held_s: float = 0.0
) -> Confirmation:
    """Return what an order needs.

    Args:
        kind: Why the span is to go.
        about: The recording.
        person: Who orders: only the call's officer, at their own phone, does so alone.
        length_s: How much is to go, what went before without a second person included, seconds; see `alone_s`.
        forgot_s: ``[pause] forgot_s``: how much may go without a second person.
        held_s: How much card data goes of it in all, what went before included, seconds; see `card_s`.
    """
    if about.is_held:
        if kind is not ErasureKind.CARD_DATA:
            return Confirmation.NEVER
        return Confirmation.DPO if held_s <= HELD_ALONE_S else Confirmation.THREE
    is_fresh = about.since_end_s is None or about.since_end_s <= GRACE_S
    is_officers = about.is_proven and person.display_name != "" and person.display_name in about.operators
    if kind is ErasureKind.CARD_DATA and length_s <= forgot_s and is_fresh and is_officers:
        return Confirmation.NONE
    return Confirmation.SECOND_PERSON


def alone_s(orders: Iterable[ErasureOrder], span_s: tuple[float, float], *, duration_s: float) -> float:
    """Return how much of a recording is gone, or will be, without a second person, once a span goes too; seconds.

    Small orders add up: nobody erases a whole call alone, piece by piece.

    Args:
        orders: What was ordered of the recording so far.
        span_s: From and to.
        duration_s: The length of the recording so far.
    """
    alone = [order for order in orders if order.state in _ALONE and order.decided_by is None]
    return _together_s([*(span_of(order, duration_s) for order in alone), span_s])


def card_s(orders: Iterable[ErasureOrder], *, duration_s: float, span_s: tuple[float, float] | None = None) -> float:
    """Return how much of a recording goes, or went, as card data, by whoever's word; seconds.

    Args:
        orders: What was ordered of the recording so far; one that was declined does not count.
        duration_s: The length of the recording.
        span_s: From and to of one that is about to be ordered, or None.
    """
    of_cards = [one for one in orders if one.kind is ErasureKind.CARD_DATA and one.state is not ErasureState.DECLINED]
    return _together_s([*(span_of(order, duration_s) for order in of_cards), *([span_s] if span_s else [])])


def span_of(order: ErasureOrder, duration_s: float) -> tuple[float, float]:
    """Return from where to where an order reaches, in a recording of a length."""
    return order.start_s, duration_s if order.end_s is None else order.end_s


def _together_s(spans: Iterable[tuple[float, float]]) -> float:
    total_s, reached_s = 0.0, 0.0
    for start_s, end_s in sorted(spans):
        total_s += max(end_s - max(start_s, reached_s), 0.0)
        reached_s = max(reached_s, end_s)
    return total_s


_ALONE = frozenset({ErasureState.CONFIRMED, ErasureState.DONE, ErasureState.FAILED})
"""States in which an order that nobody has decided was given without a second person."""

STATE_AT_ORDER = {
    Confirmation.NONE: ErasureState.CONFIRMED,
    Confirmation.SECOND_PERSON: ErasureState.WAITING,
    Confirmation.DPO: ErasureState.WAITING,
    Confirmation.THREE: ErasureState.WAITING,
}
"""The state in which an order begins."""


def position_from(text: str) -> float:
    """Read a position in a recording: seconds, ``mm:ss`` or ``h:mm:ss``.

    Raises:
        ValueError: It is none; a sentence.
    """
    sentence = f"{text!r} is no position in a recording; write seconds (75.5) or mm:ss (1:15.5)"
    total = 0.0
    parts = text.strip().split(":")
    for place, part in enumerate(parts):
        if not re.fullmatch(r"\d{1,6}(\.\d{1,6})?", part, re.ASCII) or (place > 0 and float(part) >= 60):
            raise ValueError(sentence)
        total = total * 60 + float(part)
    if len(parts) > 3:
        raise ValueError(sentence)
    return total


def may_order(person: Person, kind: ErasureKind, about: About, *, act: Act, reason: str) -> Allowed | Refusal:
    """Decide whether somebody may order an erasure.

    Args:
        person: Who orders.
        kind: Why.
        about: The recording.
        act: RETROACTIVE_PAUSE for what should have been paused, else ERASE.
        reason: In their words; demanded for ERASE.
    """
    decision = may(person, act, reason=reason)
    if isinstance(decision, Allowed) and decision.own_only and not decision.team_only:
        operator = operator_for(person, min(about.operators, default=""), about.operators)
        decision = may(person, act, reason=reason, operator=operator)
    if isinstance(decision, Refusal):
        return decision
    if act is Act.RETROACTIVE_PAUSE and kind is not ErasureKind.CARD_DATA:
        return Refusal("What was forgotten to pause is card data; anything else is erased by its own act.")
    is_own = act is Act.RETROACTIVE_PAUSE and person.display_name in about.operators
    if not is_own and not _answers_for(person, about.team):
        return Refusal("This is a call of a team that is not yours.")
    if about.is_held and kind is not ErasureKind.CARD_DATA:
        return Refusal("The recording is held, so nothing but card data may be erased from it. Ask the DPO.")
    return decision


def may_decide(
    person: Person, order: ErasureOrder, about: About, *, confirm: bool, third: str | None = None
) -> Allowed | Refusal:
    """Decide whether somebody may confirm or decline an order: a second person, who was not in the call.

    Args:
        person: Who.
        order: Which.
        about: The recording.
        confirm: How.
        third: The person whom an order names that takes three.
    """
    decision = may(person, Act.CONFIRM_ERASURE)
    if isinstance(decision, Refusal):
        return decision
    if order.ordered_by == person.actor:
        return Refusal("You gave this order yourself: it takes a second person.")
    if person.display_name in about.operators or person.extension in about.extensions:
        return Refusal("This is your own call: somebody else has to decide.")
    if not _answers_for(person, about.team):
        return Refusal("This is a call of a team that is not yours.")
    if about.is_held and confirm and order.kind is not ErasureKind.CARD_DATA:
        return Refusal("The recording is held, so nothing but card data may be erased from it.")
    if about.is_held and Role.DPO not in person.roles and person.name != third:
        return Refusal("The recording is held: only the DPO decides what is erased from it.")
    return decision


def check_third(third: Person | None, order: ErasureOrder, about: About) -> str | None:
    """Return why somebody cannot be the third person of an order, or None."""
    if third is None:
        return (
            f"With this, more than {HELD_ALONE_S:.0f} s of a held recording go as card data. That takes a third person "
            "beside you and the DPO: name the account of somebody who may approve it and was not in the call."
        )
    decision = may_decide(third, order, about, confirm=True, third=third.name)
    return None if isinstance(decision, Allowed) else f"{third.name} cannot be the third person: {decision.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanFacts:
    """What somebody sees of a span who does not listen to it; seconds.

    Attributes:
        length_s: How long it is.
        caller_s: In how much of it something is heard of the caller.
        officer_s: The same of the officer.
        pauses: When the recording was paused, in all of the call: from and to.
    """

    length_s: float
    caller_s: float
    officer_s: float
    pauses: tuple[tuple[float, float], ...]


_HEARD = 8
"""A tenth of a second whose largest sample is over this, of 255, is not silence."""


def facts_of(row: RecordingRow, order: ErasureOrder) -> SpanFacts:
    """Return what is known of a span without listening to it."""
    start_s, end_s = span_of(order, row.duration_s)
    first, last = round(start_s * 10), round(end_s * 10)
    caller_s, officer_s = (sum(peak > _HEARD for peak in side[first:last]) / 10 for side in row.peaks)
    pauses = tuple((one.start_s, one.end_s) for one in row.segments if one.kind is SegmentKind.PAUSED)
    return SpanFacts(length_s=end_s - start_s, caller_s=caller_s, officer_s=officer_s, pauses=pauses)


def _answers_for(person: Person, team: str) -> bool:
    """Tell whether somebody answers for a team: a manager for their own ones, team leader and DPO for every one."""
    return bool(person.roles & {Role.TEAM_LEADER, Role.DPO}) or team in person.teams
