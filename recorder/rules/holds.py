"""Who may place, review, release and reinstate a legal hold, and what a hold must say. Pure.

Keeping a recording is the safe side, so more people may place and reinstate a hold than may release one. The subject of
a complaint and the people on the call have no say in how long it is kept. `recorder.rules.deletion` decides that a hold
keeps a due recording.
"""

import enum
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from types import MappingProxyType

from recorder.permissions import Act, Actor, Allowed, Person, Refusal, Role
from recorder.rules import times
from recorder.rules.authorisation import may
from recorder.rules.call_parts import officers_on
from recorder.rules.wording import words
from storage.retention_types import ErasureKind, ErasureOrder, Hold, HoldKind
from storage.types import RecordingRow

GRACE = timedelta(days=14)
"""How long a recording is kept after its hold was released, so that a mistaken release can be undone."""

LONGEST_REVIEW = timedelta(days=366)
"""The longest time until a hold's next review."""

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
"""Time until the first review, where the person who places the hold names no day."""

_MANAGEMENT = frozenset({Role.MANAGER, Role.TEAM_LEADER})
_ALL = _MANAGEMENT | {Role.DPO}

PLACERS: Mapping[HoldKind, frozenset[Role]] = MappingProxyType(
    {
        HoldKind.COMPLAINT: _ALL,
        HoldKind.TRAINING: _MANAGEMENT,  # "because management found it valuable" (P18)
        HoldKind.EVIDENCE: _ALL,
        HoldKind.SAR: frozenset({Role.TEAM_LEADER, Role.DPO}),
        HoldKind.DISCLOSURE: frozenset({Role.TEAM_LEADER, Role.DPO}),
        HoldKind.RESTRICTION: frozenset(),  # placed by a rights request: `recorder claims`
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
"""Who may own a hold, set its next review, and reinstate it."""

HELD = "held"
"""Shown in place of the kinds of hold to people who may not know them."""

_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ./#:_-]{0,39}", re.ASCII)
"""The audit log keeps references permanently, so they are not free text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldFacts:
    """The facts of a recording that the hold rules need.

    Attributes:
        operators: Its officers, as calls name them; several if it was transferred, none if unknown.
        extensions: The extensions that it was on.
        team: The team of that extension at the time; empty if unknown.
        teams: Teams that a part of it belongs to, the team above included.
    """

    operators: frozenset[str]
    extensions: frozenset[str]
    team: str
    teams: frozenset[str] = frozenset()


def hold_facts(row: RecordingRow) -> HoldFacts:
    """Return the facts of a recording that the hold rules need."""
    _, teams = officers_on(row)
    return HoldFacts(
        operators=frozenset((row.operator, *row.operators)) - {""},
        extensions=frozenset((row.extension, *row.extensions)),
        team=row.team if row.team in teams else "",
        teams=teams,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldWish:
    """A hold as a person asks for it.

    Attributes:
        case_reference: Reference of the complaint, request or crime; optional for training.
        owner: Account that looks after it; empty for the person who places it.
        review_on: The day of the next review; None for the default of the kind.
        against: Subjects of a complaint: account names, display names of accounts, or the operator.
    """

    kind: HoldKind
    reason: str
    case_reference: str = ""
    owner: str = ""
    review_on: date | None = None
    against: tuple[str, ...] = ()


def problem_with(wish: HoldWish) -> tuple[str, str] | None:
    """Return what is wrong with a wish: the field and a sentence; or None. Reason and day are checked elsewhere."""
    if wish.kind is not HoldKind.TRAINING and not wish.case_reference:
        return "case_reference", "Enter the reference of the case. Only a hold for training needs none."
    if wish.case_reference and not _REFERENCE.fullmatch(wish.case_reference):
        return (
            "case_reference",
            "A case reference has at most 40 letters, digits, spaces and ./#:_-, and begins with a letter or digit.",
        )
    if wish.against and wish.kind is not HoldKind.COMPLAINT:
        return "against", "Only a hold for a complaint can name a person whom it is about."
    return None


def review_day(kind: HoldKind, wished: date | None, *, today: date) -> date | str:
    """Return the day of a hold's next review, or a sentence that says what is wrong with the wished day."""
    day = today + REVIEW_AFTER[kind] if wished is None else wished
    if day <= today:
        return "The review date must be in the future."
    if day > today + LONGEST_REVIEW:
        return f"The review date must be {times.day(today + LONGEST_REVIEW)} or earlier."
    return day


def may_place(person: Person, kind: HoldKind, call: HoldFacts, *, reason: str) -> Allowed | Refusal:
    """Decide whether a person may place a hold."""
    if kind is HoldKind.RESTRICTION:
        return Refusal("A rights request places this hold: see Data rights, or `recorder claims add`.")
    decision = may(person, Act.PLACE_HOLD, reason=reason)
    if isinstance(decision, Refusal):
        return decision
    return _refusal(person, PLACERS, kind, call, "place") or decision


def may_release(person: Person, hold: Hold, call: HoldFacts, *, reason: str) -> Allowed | Refusal:
    """Decide whether a person may release a hold."""
    decision = may(person, Act.RELEASE_HOLD, reason=reason)
    if isinstance(decision, Refusal):
        return decision
    return _refusal(person, RELEASERS, hold.kind, call, "release") or _partial(person, hold, call) or decision


def may_review(person: Person, hold: Hold, call: HoldFacts, *, reason: str) -> Allowed | Refusal:
    """Decide whether a person may set a hold's next review and owner."""
    decision = may(person, Act.PLACE_HOLD, reason=reason)
    if isinstance(decision, Refusal):
        return decision
    return _refusal(person, KEEPERS, hold.kind, call, "review") or _partial(person, hold, call) or decision


def may_reinstate(person: Person, hold: Hold, call: HoldFacts, *, reason: str) -> Allowed | Refusal:
    """Decide whether a person may undo the release of a hold. People who were in the call may: keeping is safe."""
    decision = may(person, Act.PLACE_HOLD, reason=reason)
    if isinstance(decision, Refusal):
        return decision
    return _refusal(person, KEEPERS, hold.kind, call, "take back the release of") or decision


def may_see(person: Person, hold: Hold, call: HoldFacts) -> bool:
    """Tell whether a person may read a hold: not its subject nor people on the call; managers for their teams."""
    is_keeper = _refusal(person, KEEPERS, hold.kind, call, "see") is None
    return is_keeper and _partial(person, hold, call) is None


def kinds_seen(actor: Actor, kinds: tuple[str, ...], call: HoldFacts) -> tuple[str, ...]:
    """Return the kinds of hold as an actor may see them. Most see only that the recording is held.

    Officers must not learn from their own call's page that there is a complaint, or that the police ask for it.

    Args:
        actor: Who looks.
        kinds: The kinds that keep the recording.
        call: The recording.
    """
    if not kinds or (isinstance(actor, Person) and _looks_after_holds(actor, call)):
        return kinds
    return (HELD,)


def problem_with_owner(owner: Person, hold: Hold, call: HoldFacts) -> str | None:
    """Return why a person cannot own a hold, as a sentence, or None."""
    refused = _refusal(owner, KEEPERS, hold.kind, call, "look after") or _partial(owner, hold, call)
    if refused is None:
        return None
    return f"{owner.name} cannot own this hold, because they may not review it. Enter somebody who may."


def is_named(person: Person, hold: Hold) -> bool:
    """Tell whether a hold's complaint is about a person."""
    return bool({name.casefold() for name in hold.against} & {person.name.casefold(), person.display_name.casefold()})


class OrderVerdict(enum.StrEnum):
    """What to do with an order to erase that is about to be carried out."""

    CARRY_OUT = "carry_out"
    ASK_THE_DPO = "ask_the_dpo"
    NEVER = "never"


def verdict_on(order: ErasureOrder, holds: Iterable[Hold]) -> OrderVerdict:
    """Check an order to erase against holds placed since it was given.

    A decision made after the last hold was placed was the DPO's: nobody else may make it
    (`recorder.rules.erasing.may_decide`).

    Args:
        order: The order.
        holds: The holds on its recording now.
    """
    placed = [hold.placed_at for hold in holds]
    if not placed:
        return OrderVerdict.CARRY_OUT
    if order.kind is not ErasureKind.CARD_DATA:
        return OrderVerdict.NEVER
    knew = order.decided_at is not None and order.decided_at >= max(placed)
    return OrderVerdict.CARRY_OUT if knew else OrderVerdict.ASK_THE_DPO


def _refusal(
    person: Person, allowed: Mapping[HoldKind, frozenset[Role]], kind: HoldKind, call: HoldFacts, verb: str
) -> Refusal | None:
    roles = person.roles & allowed[kind]
    if not roles:
        names = ", ".join(words(role) for role in Role if role in allowed[kind])
        return Refusal(f"Your role does not allow you to {verb} a hold for: {words(kind)}. Roles that do: {names}.")
    if roles == {Role.MANAGER} and {call.team, *call.teams}.isdisjoint(person.teams):
        return Refusal("This call belongs to a team that is not yours.")
    return None


def _partial(person: Person, hold: Hold, call: HoldFacts) -> Refusal | None:
    """Refuse the subject of the complaint and the people on the call."""
    if is_named(person, hold):
        return Refusal("This complaint is about you: somebody else has to decide about its hold.")
    if _was_on(person, call):
        return Refusal("This is your own call: somebody else has to decide about its holds.")
    return None


def _was_on(person: Person, call: HoldFacts) -> bool:
    named = {operator.casefold() for operator in call.operators}
    return person.extension in call.extensions or person.display_name.casefold() in named


def _looks_after_holds(person: Person, call: HoldFacts) -> bool:
    """Tell whether a person may place holds on a recording, and was not in the call."""
    roles = person.roles & _ALL
    is_of_team = roles != {Role.MANAGER} or not {call.team, *call.teams}.isdisjoint(person.teams)
    return bool(roles) and is_of_team and not _was_on(person, call)
