"""Who may place, review, release and take back a hold, and what a hold must say. Pure.

Keeping is the safe side, so more people may place and take back than may release. Whoever a complaint is about, or was
in the call, has no say in how long it is kept.
"""

import enum
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from types import MappingProxyType

from recorder.permissions import Act, Actor, Allowed, Person, Refusal, Role
from recorder.rules.authorisation import may
from recorder.rules.call_parts import officers_on
from storage.retention_types import ErasureKind, ErasureOrder, Hold, HoldKind
from storage.types import RecordingRow

GRACE = timedelta(days=14)
"""How long a recording is kept after its hold was released, so that a mistake can be taken back."""

LONGEST_REVIEW = timedelta(days=366)
"""A hold that nobody looks at for longer is forgotten, not kept."""

REVIEW_AFTER: Mapping[HoldKind, timedelta] = MappingProxyType(
    {
        HoldKind.COMPLAINT: timedelta(days=90),
        HoldKind.TRAINING: timedelta(days=180),
        HoldKind.EVIDENCE: timedelta(days=180),
        HoldKind.SAR: timedelta(days=90),  # one month and its extension by two
        HoldKind.DISCLOSURE: timedelta(days=180),
        HoldKind.RESTRICTION: timedelta(days=90),
    }
)
"""When a hold is looked at again, where nobody says otherwise."""

_MANAGEMENT = frozenset({Role.MANAGER, Role.TEAM_LEADER})
_ALL = _MANAGEMENT | {Role.DPO}

PLACERS: Mapping[HoldKind, frozenset[Role]] = MappingProxyType(
    {
        HoldKind.COMPLAINT: _ALL,
        HoldKind.TRAINING: _MANAGEMENT,  # "because management found it valuable" (P18)
        HoldKind.EVIDENCE: _ALL,
        HoldKind.SAR: frozenset({Role.TEAM_LEADER, Role.DPO}),
        HoldKind.DISCLOSURE: frozenset({Role.TEAM_LEADER, Role.DPO}),
        HoldKind.RESTRICTION: frozenset(),  # placed by a claim: `recorder rights`
    }
)
"""Who may place a hold; a manager only on recordings of their teams."""

RELEASERS: Mapping[HoldKind, frozenset[Role]] = MappingProxyType(
    {
        HoldKind.COMPLAINT: _ALL,
        HoldKind.TRAINING: _ALL,
        HoldKind.EVIDENCE: _ALL,
        HoldKind.SAR: frozenset({Role.DPO}),
        HoldKind.DISCLOSURE: frozenset({Role.DPO}),
        HoldKind.RESTRICTION: frozenset({Role.DPO}),
    }
)
"""Who may release a hold; a manager only on recordings of their teams."""

KEEPERS: Mapping[HoldKind, frozenset[Role]] = MappingProxyType(
    {kind: PLACERS[kind] | RELEASERS[kind] for kind in HoldKind}
)
"""Who may own a hold, set its next review, and take its release back."""

HELD = "held"
"""In the place of the kinds of hold, for who may not know them."""

_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ./#:_-]{0,39}", re.ASCII)
"""A reference is not free text: the audit log keeps it for good, so it must have no room for a story."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldCall:
    """What the rules have to know of a recording.

    Attributes:
        operators: Whose call it was, as calls name them; several where it was transferred, none where nobody knows.
        extensions: The extensions that it was on.
        team: The team of that extension at the time; empty where it is not known.
        teams: Those of whom a part of it was, the team above included.
    """

    operators: frozenset[str]
    extensions: frozenset[str]
    team: str
    teams: frozenset[str] = frozenset()


def held_call(row: RecordingRow) -> HeldCall:
    """Return what the rules have to know of a recording."""
    _, teams = officers_on(row)
    return HeldCall(
        operators=frozenset((row.operator, *row.operators)) - {""},
        extensions=frozenset((row.extension, *row.extensions)),
        team=row.team if row.team in teams else "",
        teams=teams,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldWish:
    """A hold as somebody asks for it.

    Attributes:
        kind: Why, in one word.
        reason: Why, in words.
        case_reference: Of the complaint, request or crime; training may have none.
        owner: Account name of who looks after it; empty is whoever places it.
        review_on: The day to look at it again; None is what suits the kind.
        against: Whom a complaint is about: account names, names of accounts as calls show them, or the operator.
    """

    kind: HoldKind
    reason: str
    case_reference: str = ""
    owner: str = ""
    review_on: date | None = None
    against: tuple[str, ...] = ()


def problem_with(wish: HoldWish) -> str | None:
    """Return what is wrong with a wish, as a sentence, or None; the reason and the day are looked at elsewhere."""
    if wish.kind is not HoldKind.TRAINING and not wish.case_reference:
        return f"A hold of kind {wish.kind} takes the reference of its case."
    if wish.case_reference and not _REFERENCE.fullmatch(wish.case_reference):
        return "A case's reference is at most 40 letters, digits, blanks and ./#:_-, a letter or digit first."
    if wish.against and wish.kind is not HoldKind.COMPLAINT:
        return "Only a complaint is against somebody."
    return None


def review_day(kind: HoldKind, wished: date | None, *, today: date) -> date | str:
    """Return the day on which a hold is to be looked at again, or a sentence that says what is wrong with it."""
    day = today + REVIEW_AFTER[kind] if wished is None else wished
    if day <= today:
        return "The day of the review must be in the future."
    if day > today + LONGEST_REVIEW:
        return f"The day of the review is more than a year away; the last one that can be is {today + LONGEST_REVIEW}."
    return day


def may_place(person: Person, kind: HoldKind, call: HeldCall, *, reason: str) -> Allowed | Refusal:
    """Decide whether somebody may place a hold."""
    if kind is HoldKind.RESTRICTION:
        return Refusal("What keeps a restricted recording comes with the claim: `recorder rights ask`.")
    decision = may(person, Act.PLACE_HOLD, reason=reason)
    if isinstance(decision, Refusal):
        return decision
    return _refusal(person, PLACERS, kind, call, "place") or decision


def may_release(person: Person, hold: Hold, call: HeldCall, *, reason: str) -> Allowed | Refusal:
    """Decide whether somebody may release a hold."""
    decision = may(person, Act.RELEASE_HOLD, reason=reason)
    if isinstance(decision, Refusal):
        return decision
    return _refusal(person, RELEASERS, hold.kind, call, "release") or _partial(person, hold, call) or decision


def may_review(person: Person, hold: Hold, call: HeldCall, *, reason: str) -> Allowed | Refusal:
    """Decide whether somebody may set a hold's next review, and who owns it."""
    decision = may(person, Act.PLACE_HOLD, reason=reason)
    if isinstance(decision, Refusal):
        return decision
    return _refusal(person, KEEPERS, hold.kind, call, "review") or _partial(person, hold, call) or decision


def may_reinstate(person: Person, hold: Hold, call: HeldCall, *, reason: str) -> Allowed | Refusal:
    """Decide whether somebody may take a release back: whoever keeps does no harm, be they in the call or not."""
    decision = may(person, Act.PLACE_HOLD, reason=reason)
    if isinstance(decision, Refusal):
        return decision
    return _refusal(person, KEEPERS, hold.kind, call, "take back the release of") or decision


def may_see(person: Person, hold: Hold, call: HeldCall) -> bool:
    """Tell whether somebody is shown what a hold says: not whoever it is about, and a manager only of their teams."""
    is_keeper = _refusal(person, KEEPERS, hold.kind, call, "see") is None
    return is_keeper and _partial(person, hold, call) is None


def kinds_seen(actor: Actor, kinds: tuple[str, ...], call: HeldCall) -> tuple[str, ...]:
    """Return by which kinds of hold a recording is kept, as somebody is shown it: to most, only that it is.

    An officer must not learn from their own call's page that a complaint is made, or that the police ask for it.

    Args:
        actor: Who.
        kinds: Those that keep it.
        call: The recording.
    """
    if not kinds or (isinstance(actor, Person) and _looks_after_holds(actor, call)):
        return kinds
    return (HELD,)


def problem_with_owner(owner: Person, hold: Hold, call: HeldCall) -> str | None:
    """Return why somebody cannot look after a hold, as a sentence, or None."""
    refused = _refusal(owner, KEEPERS, hold.kind, call, "look after") or _partial(owner, hold, call)
    if refused is None:
        return None
    return f"{owner.name} cannot own this hold: they could not review it. Name somebody who may."


def is_named(person: Person, hold: Hold) -> bool:
    """Tell whether a hold's complaint is about somebody."""
    return bool({name.casefold() for name in hold.against} & {person.name.casefold(), person.display_name.casefold()})


class OrderVerdict(enum.StrEnum):
    """What is to become of an order to erase that is about to be carried out."""

    CARRY_OUT = "carry_out"
    ASK_THE_DPO = "ask_the_dpo"
    NEVER = "never"


def verdict_on(order: ErasureOrder, holds: Iterable[Hold]) -> OrderVerdict:
    """Look once more at an order to erase before it is carried out: a hold may have come since it was given.

    Whoever decided after the last hold was placed was the DPO: nobody else may (`recorder.rules.erasing.may_decide`).

    Args:
        order: The order.
        holds: Those that keep its recording now.
    """
    placed = [hold.placed_at for hold in holds]
    if not placed:
        return OrderVerdict.CARRY_OUT
    if order.kind is not ErasureKind.CARD_DATA:
        return OrderVerdict.NEVER
    knew = order.decided_at is not None and order.decided_at >= max(placed)
    return OrderVerdict.CARRY_OUT if knew else OrderVerdict.ASK_THE_DPO


def _refusal(
    person: Person, allowed: Mapping[HoldKind, frozenset[Role]], kind: HoldKind, call: HeldCall, verb: str
) -> Refusal | None:
    roles = person.roles & allowed[kind]
    if not roles:
        names = ", ".join(role for role in Role if role in allowed[kind])
        return Refusal(f"Your role does not allow you to {verb} a hold of kind {kind}. Roles that do: {names}.")
    if roles == {Role.MANAGER} and {call.team, *call.teams}.isdisjoint(person.teams):
        return Refusal("This is a call of a team that is not yours.")
    return None


def _partial(person: Person, hold: Hold, call: HeldCall) -> Refusal | None:
    """Refuse whoever is a party to it."""
    if is_named(person, hold):
        return Refusal("This complaint is about you: somebody else has to decide about its hold.")
    if _was_on(person, call):
        return Refusal("This is your own call: somebody else has to decide about its holds.")
    return None


def _was_on(person: Person, call: HeldCall) -> bool:
    named = {operator.casefold() for operator in call.operators}
    return person.extension in call.extensions or person.display_name.casefold() in named


def _looks_after_holds(person: Person, call: HeldCall) -> bool:
    """Tell whether somebody may place holds on a recording, and was not in the call."""
    roles = person.roles & _ALL
    is_of_team = roles != {Role.MANAGER} or not {call.team, *call.teams}.isdisjoint(person.teams)
    return bool(roles) and is_of_team and not _was_on(person, call)
