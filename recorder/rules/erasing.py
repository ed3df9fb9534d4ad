"""Who may order the erasure of a span of a recording, and who must confirm it. Pure.

An erasure destroys evidence, so one person alone may order it only for a pause that they forgot a moment ago.
"""

import enum
import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from recorder.permissions import Act, Allowed, Person, Refusal, Role
from recorder.rules.authorisation import may, operator_for
from recorder.rules.vouching import NOBODY, Vouched
from storage.retention_types import ALONE, ErasureKind, ErasureOrder, ErasureState
from storage.types import RecordingId, RecordingRow, SegmentKind

GRACE_S = 15 * 60.0
"""How long after a call its officer may erase what they forgot to pause, without a second person."""


ALONE_WITHIN = timedelta(days=1)
"""The orders of one person alone are added up for this long: any 24 hours, so that midnight begins nothing anew."""
WHOLE_SHARE = 0.9
"""A call counts as erased as a whole from this share of its length."""
MANY_WHOLE = 3
"""Whole calls that one person erased alone within `ALONE_WITHIN` that raise an alarm."""

HELD_ALONE_S = 60.0
"""Total card data of a recording under legal hold that the data protection officer may confirm alone.

More takes a third person, whom the order names, and somebody who has listened to the span.
"""


class Confirmation(enum.StrEnum):
    """The confirmation that an order needs before it is carried out."""

    NONE = "none"
    SECOND_PERSON = "second_person"
    DPO = "dpo"
    THREE = "three"
    """The data protection officer and a third person, whom the order names."""
    NEVER = "never"
    """It is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureFacts:
    """The facts of a recording that the erasure rules need.

    Attributes:
        operators: Its officers, as calls name them; several if it was transferred.
        extensions: The extensions that it was on.
        team: The team of that extension at the time; empty if unknown.
        is_proven: Whether its officers were at their own phones, or keyed a code there; see `recorder.rules.sign_on`.
        since_end_s: Seconds since the call ended; None while it goes on.
    """

    operators: frozenset[str]
    extensions: frozenset[str]
    team: str
    is_held: bool
    since_end_s: float | None
    is_proven: bool = True


def confirmation_for(
    kind: ErasureKind, about: ErasureFacts, person: Person, *, length_s: float, forgot_s: float, held_s: float = 0.0,
    day_s: float = 0.0, alone_day_s: float = math.inf,
) -> Confirmation:  # fmt: skip
    """Return the confirmation that an order needs.

    Args:
        kind: Why the span is to be erased.
        about: The recording.
        person: Who orders. Only the call's officer, at their own phone, may do so alone.
        length_s: Length to be erased, plus earlier erasures without a second person, seconds; see `alone_s`.
        forgot_s: ``[pause] forgot_s``: the length that needs no second person.
        held_s: Card data erased from the recording in all, earlier erasures included, seconds; see `card_s`.
        day_s: Length that they have erased alone within a day, this order included, seconds; see `day_alone_s`.
        alone_day_s: ``[pause] alone_day_s``: the length within a day that needs no second person.
    """
    if about.is_held:
        if kind is not ErasureKind.CARD_DATA:
            return Confirmation.NEVER
        return Confirmation.DPO if held_s <= HELD_ALONE_S else Confirmation.THREE
    is_fresh = about.since_end_s is None or about.since_end_s <= GRACE_S
    is_officers = about.is_proven and person.display_name != "" and person.display_name in about.operators
    is_little = length_s <= forgot_s and day_s <= alone_day_s
    if kind is ErasureKind.CARD_DATA and is_little and is_fresh and is_officers:
        return Confirmation.NONE
    return Confirmation.SECOND_PERSON


def is_live_order_confirmed(
    orders: Iterable[ErasureOrder], span_s: tuple[float, float], *, own_from_s: float | None, forgot_s: float
) -> bool:
    """Tell whether an order of a retroactive pause in a live call needs no second person.

    `confirmation_for` decides on finished recordings, and on orders that are not the officer's own.

    Args:
        orders: What was ordered of the recording so far.
        span_s: From, and to now.
        own_from_s: The position from which the officer has had the call; None: they may not erase alone.
        forgot_s: ``[pause] forgot_s``: the length that needs no second person.
    """
    start_s, now_s = span_s
    is_own = own_from_s is not None and start_s >= own_from_s  # earlier, another officer had the call
    return is_own and alone_s(orders, span_s, duration_s=now_s) <= forgot_s


def alone_s(orders: Iterable[ErasureOrder], span_s: tuple[float, float], *, duration_s: float) -> float:
    """Return the length erased without a second person once one more span is erased, seconds.

    Small orders add up, so nobody can erase a whole call alone, piece by piece.

    Args:
        orders: What was ordered of the recording so far.
        span_s: From and to.
        duration_s: The length of the recording so far.
    """
    alone = [order for order in orders if order.state in ALONE and order.decided_by is None]
    return _together_s([*(span_of(order, duration_s) for order in alone), span_s])


def day_alone_s(orders: Iterable[ErasureOrder], lengths: Mapping[RecordingId, float]) -> float:
    """Return the length that some orders erase together, of all their recordings, seconds.

    Args:
        orders: Orders of one person, which nobody else decided on.
        lengths: The length of each recording, seconds; one that is missing is 0 long.
    """
    return sum(_by_recording(orders, lengths).values())


def whole_alone(orders: Iterable[ErasureOrder], lengths: Mapping[RecordingId, float]) -> int:
    """Return how many recordings some orders erase as a whole, or nearly; the arguments are as for `day_alone_s`."""
    erased = _by_recording(orders, lengths)
    return sum(0 < lengths.get(one, 0.0) * WHOLE_SHARE <= length_s for one, length_s in erased.items())


def _by_recording(orders: Iterable[ErasureOrder], lengths: Mapping[RecordingId, float]) -> dict[RecordingId, float]:
    spans: dict[RecordingId, list[tuple[float, float]]] = {}
    for order in orders:
        spans.setdefault(order.recording, []).append(span_of(order, lengths.get(order.recording, order.start_s)))
    return {recording: _together_s(of) for recording, of in spans.items()}


def card_s(orders: Iterable[ErasureOrder], *, duration_s: float, span_s: tuple[float, float] | None = None) -> float:
    """Return the length erased or ordered to be erased as card data, by anybody, seconds.

    Args:
        orders: What was ordered of the recording so far; declined orders do not count.
        duration_s: The length of the recording.
        span_s: From and to of an order about to be given, or None.
    """
    of_cards = [one for one in orders if one.kind is ErasureKind.CARD_DATA and one.state is not ErasureState.DECLINED]
    return _together_s([*(span_of(order, duration_s) for order in of_cards), *([span_s] if span_s else [])])


def span_of(order: ErasureOrder, duration_s: float) -> tuple[float, float]:
    """Return the start and end of an order, seconds; an open end is that of the recording."""
    return order.start_s, duration_s if order.end_s is None else order.end_s


def _together_s(spans: Iterable[tuple[float, float]]) -> float:
    total_s, reached_s = 0.0, 0.0
    for start_s, end_s in sorted(spans):
        total_s += max(end_s - max(start_s, reached_s), 0.0)
        reached_s = max(reached_s, end_s)
    return total_s


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
        ValueError: The text is not a position; the message is a sentence.
    """
    sentence = f"{text!r} is not a time in a recording. Enter minutes and seconds, like 1:15.5, or seconds, like 75.5"
    total = 0.0
    parts = text.strip().split(":")
    for place, part in enumerate(parts):
        if not re.fullmatch(r"\d{1,6}(\.\d{1,6})?", part, re.ASCII) or (place > 0 and float(part) >= 60):
            raise ValueError(sentence)
        total = total * 60 + float(part)
    if len(parts) > 3:
        raise ValueError(sentence)
    return total


def may_order(person: Person, kind: ErasureKind, about: ErasureFacts, *, act: Act, reason: str) -> Allowed | Refusal:
    """Decide whether a person may order an erasure.

    Args:
        person: Who orders.
        kind: Why.
        about: The recording.
        act: RETROACTIVE_PAUSE for what should have been paused, else ERASE.
        reason: In their words; required for ERASE.
    """
    decision = may(person, act, reason=reason)
    if isinstance(decision, Allowed) and decision.own_only and not decision.team_only:
        operator = operator_for(person, min(about.operators, default=""), about.operators)
        decision = may(person, act, reason=reason, operator=operator)
    if isinstance(decision, Refusal):
        return decision
    if act is Act.RETROACTIVE_PAUSE and kind is not ErasureKind.CARD_DATA:
        return Refusal("You can mark only card data that should have been paused. Order an erasure for anything else.")
    is_own = act is Act.RETROACTIVE_PAUSE and person.display_name in about.operators
    if not is_own and not _answers_for(person, about.team):
        return Refusal("This call belongs to a team that is not yours.")
    if about.is_held and kind is not ErasureKind.CARD_DATA:
        return Refusal(
            "The recording is under a legal hold, so you may erase only card data. Ask the data protection officer."
        )
    return decision


def may_decide(
    person: Person,
    order: ErasureOrder,
    about: ErasureFacts,
    *,
    confirm: bool,
    third: str | None = None,
    others: Collection[str] = (),
    vouched: Vouched = NOBODY,
) -> Allowed | Refusal:
    """Decide whether a person may confirm or decline an order. It takes a second person, who was not in the call.

    Args:
        person: Who decides.
        order: The order.
        about: The recording.
        confirm: True to confirm, False to decline.
        third: Account of the third person that the order names, if it needs three.
        others: Who else approves the order.
        vouched: Who vouched for each account.
    """
    decision = may(person, Act.CONFIRM_ERASURE)
    if isinstance(decision, Refusal):
        return decision
    if order.ordered_by == person.actor:
        return Refusal("You gave this order yourself: a second person has to decide.")
    if person.display_name in about.operators or person.extension in about.extensions:
        return Refusal("This is your own call: somebody else has to decide.")
    if not _answers_for(person, about.team):
        return Refusal("This call belongs to a team that is not yours.")
    if about.is_held and confirm and order.kind is not ErasureKind.CARD_DATA:
        return Refusal("The recording is under a legal hold, so only card data may be erased from it.")
    if about.is_held and Role.DPO not in person.roles and person.name != third:
        return Refusal(
            "The recording is under a legal hold, so only the data protection officer decides what is erased from it."
        )
    problems = (vouched.problem(one, person.name) for one in (order.ordered_by, *others) if confirm)
    problem = next(filter(None, problems), None)
    return decision if problem is None else Refusal(problem)


def check_third(
    third: Person | None, order: ErasureOrder, about: ErasureFacts, vouched: Vouched = NOBODY
) -> str | None:
    """Return why a person cannot be the third person of an order, or None."""
    if third is None:
        return (
            f"This erases over {HELD_ALONE_S:.0f} s of card data from a held recording in all. A third person "
            "must approve it as well as you and the data protection officer. Enter the account of somebody who may and "
            "was not in the call."
        )
    decision = may_decide(third, order, about, confirm=True, third=third.name, vouched=vouched)
    return None if isinstance(decision, Allowed) else f"{third.name} cannot be the third person: {decision.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanFacts:
    """What a person is shown of a span without listening to it; seconds.

    Attributes:
        pauses: From and to of every pause of the call.
    """

    length_s: float
    caller_s: float
    officer_s: float
    pauses: tuple[tuple[float, float], ...]


_HEARD = 8
"""A tenth of a second counts as sound if its largest sample, 0 to 255, is over this."""


def facts_of(row: RecordingRow, order: ErasureOrder) -> SpanFacts:
    """Return the facts of a span that are known without listening to it."""
    start_s, end_s = span_of(order, row.duration_s)
    first, last = round(start_s * 10), round(end_s * 10)
    caller_s, officer_s = (sum(peak > _HEARD for peak in side[first:last]) / 10 for side in row.peaks)
    pauses = tuple((one.start_s, one.end_s) for one in row.segments if one.kind is SegmentKind.PAUSED)
    return SpanFacts(length_s=end_s - start_s, caller_s=caller_s, officer_s=officer_s, pauses=pauses)


def _answers_for(person: Person, team: str) -> bool:
    """Tell whether a person answers for a team: a manager for their own teams, team leader and DPO for all."""
    return bool(person.roles & {Role.TEAM_LEADER, Role.DPO}) or team in person.teams
