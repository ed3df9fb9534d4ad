"""Rights requests: restriction, objection and erasure of a recording, and what follows (P16). Pure.

UK GDPR articles 18, 21 and 17. One table defines the states of a request. A restricted recording is kept and can be
found, but nobody plays, copies or erases it, except on the grounds of article 18(2), which the data protection officer
accepts for a limited time. The person who entered a request does not decide it.
"""

import enum
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from types import MappingProxyType

from recorder.permissions import MAX_REASON_CHARACTERS, MIN_REASON_CHARACTERS, DeniedError, Fault, Person, Role
from recorder.rules.requesting import Approvers
from storage.retention_types import Claim, ClaimState, Right

MOST_USE_DAYS = 30
"""How long one decision may allow the use of a restricted recording."""
MAX_REQUESTER_CHARACTERS = 200
MAX_REFERENCE_CHARACTERS = 40


class ClaimEvent(enum.StrEnum):
    """The events of a rights request."""

    UPHOLD = "uphold"
    DECLINE = "decline"
    LIFT = "lift"
    WITHDRAW = "withdraw"
    ALLOW_USE = "allow_use"
    CARRY_OUT = "carry_out"
    """The sweep destroyed the recording."""


_ASKED, _UPHELD = ClaimState.ASKED, ClaimState.UPHELD
_DECISIONS = {
    (_ASKED, ClaimEvent.UPHOLD): ClaimState.UPHELD,
    (_ASKED, ClaimEvent.DECLINE): ClaimState.DECLINED,
    (_ASKED, ClaimEvent.WITHDRAW): ClaimState.WITHDRAWN,
    (_UPHELD, ClaimEvent.LIFT): ClaimState.LIFTED,
}
_USES = {(_ASKED, ClaimEvent.ALLOW_USE): _ASKED, (_UPHELD, ClaimEvent.ALLOW_USE): _UPHELD}
_DESTROYS = {(_UPHELD, ClaimEvent.CARRY_OUT): ClaimState.DONE}

TABLE: Mapping[Right, Mapping[tuple[ClaimState, ClaimEvent], ClaimState]] = MappingProxyType(
    {
        Right.RESTRICTION: {**_DECISIONS, **_USES},
        Right.OBJECTION: {**_DECISIONS, **_USES, **_DESTROYS},
        Right.ERASURE: {**_DECISIONS, **_DESTROYS},
    }
)
"""The state table of a rights request, by right; a pair that is not listed is refused."""

RESTRICTED: Mapping[Right, frozenset[ClaimState]] = MappingProxyType(
    {
        Right.RESTRICTION: frozenset({_ASKED, _UPHELD}),
        Right.OBJECTION: frozenset({_ASKED, _UPHELD}),
        Right.ERASURE: frozenset({_UPHELD}),
    }
)
"""States in which nobody may use the recording. Restriction and objection apply from the day they are asked for, until
they are verified (article 18(1)(a) and (d))."""

GROUNDS: Mapping[Right, Mapping[str, str]] = MappingProxyType(
    {
        Right.RESTRICTION: {
            "accuracy": "Its accuracy is contested (article 18(1)(a))",
            "unlawful": "It is unlawful, and they do not want it erased (article 18(1)(b))",
            "legal_claims": "They need it for a legal claim (article 18(1)(c))",
        },
        Right.OBJECTION: {"own_situation": "Grounds of their own situation (article 21(1))"},
        Right.ERASURE: {
            "no_longer_needed": "No longer needed for what it was made for (article 17(1)(a))",
            "objection": "They object, and nothing overrides that (article 17(1)(c))",
            "unlawful": "It is unlawful (article 17(1)(d))",
            "legal_duty": "It has to be erased by law (article 17(1)(e))",
        },
    }
)
"""The grounds on which each right can be asked for."""

_NEVER = {
    "not_theirs": "It is not about the requester, or that was not shown (article 12(6))",
    "unfounded": "Manifestly unfounded or excessive (article 12(5))",
    "no_ground": "None of the grounds applies",
}
REFUSALS: Mapping[Right, Mapping[str, str]] = MappingProxyType(
    {
        Right.RESTRICTION: _NEVER,
        Right.OBJECTION: {
            "overriding": "Compelling legitimate grounds override it (article 21(1))",
            "legal_claims": "It is needed for legal claims (article 21(1))",
            **_NEVER,
        },
        Right.ERASURE: {
            "public_task": "It is needed for a legal obligation or a task in the public interest (article 17(3)(b))",
            "legal_claims": "It is needed for legal claims (article 17(3)(e))",
            **_NEVER,
        },
    }
)
"""The grounds on which each right can be declined."""

USES: Mapping[str, str] = MappingProxyType(
    {
        "consent": "The data subject consents",
        "legal_claims": "Legal claims",
        "others_rights": "The rights of another person",
        "public_interest": "Important public interest",
    }
)
"""The grounds on which a restricted recording may still be used (article 18(2))."""

_DECIDED = frozenset({ClaimEvent.UPHOLD, ClaimEvent.DECLINE, ClaimEvent.LIFT, ClaimEvent.ALLOW_USE})


def state_after(claim: Claim, event: ClaimEvent) -> ClaimState:
    """Return the state of a rights request after an event.

    Raises:
        DeniedError: The table has no such event in this state.
    """
    state = TABLE[claim.right].get((claim.state, event))
    if state is None:
        raise DeniedError(
            Fault.TOO_LATE, f"Rights request {claim.id} ({claim.right}) is {claim.state}: this is not possible now."
        )
    return state


def is_restricting(claim: Claim) -> bool:
    """Tell whether a rights request restricts the use of the recording; see also `allows_use`."""
    return claim.state in RESTRICTED[claim.right]


def keeps(claim: Claim) -> bool:
    """Tell whether a rights request keeps the recording from being deleted, unless deletion is what was decided."""
    return is_restricting(claim) and not is_to_destroy(claim)


def is_to_destroy(claim: Claim) -> bool:
    """Tell whether the recording is to be destroyed: an erasure or objection was upheld."""
    return (claim.state, ClaimEvent.CARRY_OUT) in TABLE[claim.right]


def allows_use(claim: Claim, now: datetime) -> bool:
    """Tell whether the data protection officer allowed the use of the recording despite a restriction."""
    return claim.use_until is not None and now < claim.use_until


def why_restricted(claims: Iterable[Claim], now: datetime) -> str | None:
    """Return why nobody may use a recording, as a sentence without the requester and their reason; or None.

    Args:
        claims: The rights requests on the recording.
        now: The time, aware.
    """
    for claim in claims:
        if is_restricting(claim) and not allows_use(claim, now):
            return (
                f"This recording is restricted (rights request {claim.id}, {claim.right} {claim.state}): it is kept, "
                "and nobody may play, copy or erase it unless the data protection officer allows it for a time."
            )
    return None


def check_asking(claim: Claim, today: date) -> None:
    """Check the contents of a rights request that is entered. The table of acts says who may enter it.

    Raises:
        DeniedError: Something is missing or wrong.
    """
    if claim.ground not in GROUNDS[claim.right]:
        raise DeniedError(Fault.INCOMPLETE, f"Give the ground: {', '.join(GROUNDS[claim.right])}.", "ground")
    if not claim.requester or len(claim.requester) > MAX_REQUESTER_CHARACTERS or not claim.requester.isprintable():
        raise DeniedError(
            Fault.INCOMPLETE, f"Enter who is asking, in {MAX_REQUESTER_CHARACTERS} characters or fewer.", "requester"
        )
    if claim.received_on > today:
        raise DeniedError(Fault.INCOMPLETE, "The date of receipt must be today or in the past.", "on")
    _check_reference(claim.case_reference)
    _check_words(claim.reason, "Enter what they are asking for, in their words or yours.", "reason")


def check_event(
    person: Person, claim: Claim, event: ClaimEvent, *, ground: str, words: str, days: int | None, approvers: Approvers
) -> None:
    """Check whether a person may cause an event of a rights request now.

    Args:
        person: Who.
        claim: The request in its current state.
        event: The event.
        ground: Of a refusal or of a use.
        words: Their reason.
        days: For how long use is allowed.
        approvers: The people who may decide.

    Raises:
        DeniedError: They may not, something is missing, or it is too late.
    """
    state_after(claim, event)
    if event in _DECIDED:
        _check_decider(person, claim, event, approvers)
    _check_words(words, "Enter the reason. The requester is told it.", "words")
    if event is ClaimEvent.DECLINE and ground not in REFUSALS[claim.right]:
        raise DeniedError(
            Fault.INCOMPLETE, f"Give the ground for declining: {', '.join(REFUSALS[claim.right])}.", "ground"
        )
    if event is ClaimEvent.ALLOW_USE:
        if ground not in USES:
            raise DeniedError(Fault.INCOMPLETE, f"Give the ground for using it: {', '.join(USES)}.", "use_ground")
        if days is None or not 1 <= days <= MOST_USE_DAYS:
            raise DeniedError(Fault.INCOMPLETE, f"Use can be allowed for 1 to {MOST_USE_DAYS} days.", "days")


def use_until(now: datetime, days: int | None) -> datetime:
    """Return when a use that is allowed now ends; ``days`` was checked."""
    assert days is not None
    return now + timedelta(days=days)


def deciders(claim: Claim, approvers: Approvers) -> frozenset[str]:
    """Return the accounts that may decide a request: data protection officers and deputy, except who entered it."""
    return (approvers.with_role(Role.DPO) | approvers.deputies) - {claim.asked_by}


def _check_decider(person: Person, claim: Claim, event: ClaimEvent, approvers: Approvers) -> None:
    if person.name not in approvers.with_role(Role.DPO) | approvers.deputies:
        raise DeniedError(
            Fault.NOT_ALLOWED, "Only the data protection officer or their deputy decides rights requests."
        )
    if person.name == claim.asked_by and event is not ClaimEvent.LIFT:
        raise DeniedError(
            Fault.NOT_ALLOWED,
            "You entered this request, so the deputy has to decide it (`recorder approvers deputy NAME`).",
        )
    if event is not ClaimEvent.LIFT:
        approvers.vouched.check({claim.asked_by}, person.name)


def _check_words(words: str, sentence: str, field: str) -> None:
    if len(words.strip()) < MIN_REASON_CHARACTERS:
        raise DeniedError(Fault.INCOMPLETE, sentence, field)
    if len(words) > MAX_REASON_CHARACTERS:
        raise DeniedError(Fault.INCOMPLETE, f"Text must be {MAX_REASON_CHARACTERS} characters or fewer.", field)


def _check_reference(reference: str) -> None:
    is_fine = len(reference) <= MAX_REFERENCE_CHARACTERS and all(c.isalnum() or c in " ./#:_-" for c in reference)
    if not (is_fine and reference.isascii()):
        raise DeniedError(
            Fault.INCOMPLETE, "A case reference has at most 40 letters, digits, spaces and ./#:_-.", "case_reference"
        )
