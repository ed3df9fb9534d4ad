"""Restriction, objection and erasure: what a data subject asks of a recording, and what follows (P16). Pure.

UK GDPR articles 18, 21 and 17. One table says what can happen to a claim. While the use of a recording is restricted it
is kept and found, and nobody plays, copies or erases it, but on the grounds of article 18(2), which the data protection
officer decides for a time. Whoever wrote a claim down does not decide it.
"""

import enum
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from types import MappingProxyType

from recorder.permissions import MAX_REASON_CHARACTERS, MIN_REASON_CHARACTERS, DeniedError, Fault, Person, Role
from recorder.rules.requesting import Approvers
from storage.retention_types import Claim, ClaimState, Right

MOST_USE_DAYS = 30
"""For so long at most use of a restricted recording is allowed by one decision."""
MAX_REQUESTER_CHARACTERS = 200
MAX_REFERENCE_CHARACTERS = 40


class ClaimEvent(enum.StrEnum):
    """What can happen to a claim."""

    UPHOLD = "uphold"
    DECLINE = "decline"
    LIFT = "lift"
    WITHDRAW = "withdraw"
    ALLOW_USE = "allow_use"
    CARRY_OUT = "carry_out"
    """The recording is destroyed; the sweep does that."""


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
"""The life of a claim by right; what is not here is refused."""

RESTRICTED: Mapping[Right, frozenset[ClaimState]] = MappingProxyType(
    {
        Right.RESTRICTION: frozenset({_ASKED, _UPHELD}),
        Right.OBJECTION: frozenset({_ASKED, _UPHELD}),
        Right.ERASURE: frozenset({_UPHELD}),
    }
)
"""In which states nobody uses the recording: a restriction and an objection count from the day they are asked, until
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
"""On which grounds each can be asked."""

_NEVER = {
    "not_theirs": "It is not about whoever asks, or that was not shown (article 12(6))",
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
"""On which grounds each can be declined."""

USES: Mapping[str, str] = MappingProxyType(
    {
        "consent": "The data subject consents",
        "legal_claims": "Legal claims",
        "others_rights": "The rights of another person",
        "public_interest": "Important public interest",
    }
)
"""On which grounds a restricted recording is used all the same (article 18(2))."""

_DECIDED = frozenset({ClaimEvent.UPHOLD, ClaimEvent.DECLINE, ClaimEvent.LIFT, ClaimEvent.ALLOW_USE})


def state_after(claim: Claim, event: ClaimEvent) -> ClaimState:
    """Return where a claim stands after something has happened to it.

    Raises:
        DeniedError: The table has no such event in this state.
    """
    state = TABLE[claim.right].get((claim.state, event))
    if state is None:
        raise DeniedError(Fault.TOO_LATE, f"Claim {claim.id} ({claim.right}) is {claim.state}: that cannot happen now.")
    return state


def is_restricting(claim: Claim) -> bool:
    """Tell whether nobody uses the recording because of a claim; see also `allows_use`."""
    return claim.state in RESTRICTED[claim.right]


def keeps(claim: Claim) -> bool:
    """Tell whether a claim keeps the recording from being deleted: not where deleting it is what was decided."""
    return is_restricting(claim) and not is_to_destroy(claim)


def is_to_destroy(claim: Claim) -> bool:
    """Tell whether it was decided that the recording goes: an erasure or an objection that was upheld."""
    return (claim.state, ClaimEvent.CARRY_OUT) in TABLE[claim.right]


def allows_use(claim: Claim, now: datetime) -> bool:
    """Tell whether the data protection officer decided that the recording may be used all the same."""
    return claim.use_until is not None and now < claim.use_until


def why_restricted(claims: Iterable[Claim], now: datetime) -> str | None:
    """Return why nobody may use a recording, a sentence that says nothing of who asked or why; None: they may.

    Args:
        claims: Those on the recording.
        now: The time, aware.
    """
    for claim in claims:
        if is_restricting(claim) and not allows_use(claim, now):
            return (
                f"The use of this recording is restricted (claim {claim.id}, {claim.right} {claim.state}): it is kept, "
                "and nobody plays, copies or erases it, unless the data protection officer allows it for a time."
            )
    return None


def check_asking(claim: Claim, today: date) -> None:
    """Decide whether a claim can be written down like this; by whom is the table of acts'.

    Raises:
        DeniedError: Something is missing or wrong.
    """
    if claim.ground not in GROUNDS[claim.right]:
        raise DeniedError(Fault.INCOMPLETE, f"Say on which ground: {', '.join(GROUNDS[claim.right])}.")
    if not claim.requester or len(claim.requester) > MAX_REQUESTER_CHARACTERS or not claim.requester.isprintable():
        raise DeniedError(Fault.INCOMPLETE, f"Say who asks, in at most {MAX_REQUESTER_CHARACTERS} characters.")
    if claim.received_on > today:
        raise DeniedError(Fault.INCOMPLETE, "The day it came lies in the future.")
    _check_reference(claim.case_reference)
    _check_words(claim.reason, "Say what they ask, in their words or yours.")


def check_event(
    person: Person, claim: Claim, event: ClaimEvent, *, ground: str, words: str, days: int | None, approvers: Approvers
) -> None:
    """Decide whether somebody may let this happen to a claim now.

    Args:
        person: Who.
        claim: As it stands.
        event: What.
        ground: Of a refusal or of a use.
        words: What they say.
        days: For how long use is allowed.
        approvers: Who there is to decide.

    Raises:
        DeniedError: They may not, something is missing, or it is too late.
    """
    state_after(claim, event)
    if event in _DECIDED:
        _check_decider(person, claim, event, approvers)
    _check_words(words, "Say why: the requester is told it.")
    if event is ClaimEvent.DECLINE and ground not in REFUSALS[claim.right]:
        raise DeniedError(Fault.INCOMPLETE, f"Say on which ground it is declined: {', '.join(REFUSALS[claim.right])}.")
    if event is ClaimEvent.ALLOW_USE:
        if ground not in USES:
            raise DeniedError(Fault.INCOMPLETE, f"Say on which ground it may be used: {', '.join(USES)}.")
        if days is None or not 1 <= days <= MOST_USE_DAYS:
            raise DeniedError(Fault.INCOMPLETE, f"Use is allowed for 1 to {MOST_USE_DAYS} days.")


def use_until(now: datetime, days: int | None) -> datetime:
    """Return until when use is allowed that is decided now; ``days`` was checked."""
    assert days is not None
    return now + timedelta(days=days)


def deciders(claim: Claim, approvers: Approvers) -> frozenset[str]:
    """Return the accounts that may decide a claim: the data protection officers and their deputy, less who wrote it."""
    return (approvers.with_role(Role.DPO) | approvers.deputies) - {claim.asked_by}


def _check_decider(person: Person, claim: Claim, event: ClaimEvent, approvers: Approvers) -> None:
    if person.name not in approvers.with_role(Role.DPO) | approvers.deputies:
        raise DeniedError(Fault.NOT_ALLOWED, "The data protection officer decides claims, or their deputy.")
    if person.name == claim.asked_by and event is not ClaimEvent.LIFT:
        raise DeniedError(
            Fault.NOT_ALLOWED,
            "Whoever wrote a claim down does not decide it: the deputy does (`recorder requests deputy NAME`).",
        )


def _check_words(words: str, sentence: str) -> None:
    if len(words.strip()) < MIN_REASON_CHARACTERS:
        raise DeniedError(Fault.INCOMPLETE, sentence)
    if len(words) > MAX_REASON_CHARACTERS:
        raise DeniedError(Fault.INCOMPLETE, f"No text may be longer than {MAX_REASON_CHARACTERS} characters.")


def _check_reference(reference: str) -> None:
    is_fine = len(reference) <= MAX_REFERENCE_CHARACTERS and all(c.isalnum() or c in " ./#:_-" for c in reference)
    if not (is_fine and reference.isascii()):
        raise DeniedError(
            Fault.INCOMPLETE, "A case's reference is at most 40 letters, digits, blanks and ./#:_-, and no story."
        )
