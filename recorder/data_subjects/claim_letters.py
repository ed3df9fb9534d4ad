"""Letters about restriction, objection and erasure: plain text for the council's paper."""

import enum
from collections.abc import Callable, Mapping
from datetime import date
from types import MappingProxyType

from recorder.data_subjects.letters import ROUTES, NotYetError, written
from recorder.retention.rights import REFUSALS
from recorder.rules.times import day
from recorder.rules.wording import words
from storage.retention_types import Claim, ClaimState, Right


class ClaimLetter(enum.StrEnum):
    """Kinds of letter."""

    ACKNOWLEDGEMENT = "acknowledgement"
    DECISION = "decision"
    LIFTING = "lifting"


_WHAT: Mapping[Right, str] = MappingProxyType(
    {
        Right.RESTRICTION: "to restrict how we use a recording of a call",
        Right.OBJECTION: "that we no longer use a recording of a call",
        Right.ERASURE: "to erase a recording of a call",
    }
)
_NOW: Mapping[Right, str] = MappingProxyType(
    {
        Right.RESTRICTION: "From now on we keep the recording but do not use it, until we have looked into this.",
        Right.OBJECTION: "From now on we keep the recording but do not use it, until we have looked into this.",
        Right.ERASURE: "",
    }
)
_UPHELD: Mapping[Right, str] = MappingProxyType(
    {
        Right.RESTRICTION: "We have restricted the use of the recording: we keep it but do not use it. We will tell "
        "you before the restriction ends.",
        Right.OBJECTION: "We have stopped using the recording. We will erase it as soon as nothing requires us to keep "
        "it.",
        Right.ERASURE: "We will erase the recording as soon as nothing requires us to keep it.",
    }
)


def claim_letter(which: ClaimLetter, claim: Claim, *, site: str, today: date, due: date | None) -> str:
    """Return the text of a letter.

    Args:
        which: Kind of letter.
        claim: The rights request.
        site: Name of the council.
        today: Today in the council's time zone.
        due: The day by which the request is answered.

    Raises:
        NotYetError: The request is not in the state for this letter.
    """
    reference = claim.case_reference or claim.id
    return written(_BODIES[which](claim, due), site=site, today=today, reference=reference, to=claim.requester)


def _acknowledged(claim: Claim, due: date | None) -> str:
    asked = f"On {day(claim.received_on)} you asked us {_WHAT[claim.right]}."
    answer = f"We will answer by {day(due)}." if due else ""
    return "\n\n".join(filter(None, [asked, _NOW[claim.right], answer]))


def _decided(claim: Claim, _due: date | None) -> str:
    if claim.state is ClaimState.UPHELD:
        return "\n\n".join(filter(None, [_UPHELD[claim.right], claim.words, ROUTES]))
    if claim.state is ClaimState.DONE:
        return "\n\n".join(filter(None, ["We have erased the recording.", claim.words, ROUTES]))
    if claim.state is not ClaimState.DECLINED:
        raise NotYetError(f"Request {claim.id} has no decision yet: it is {words(claim.state)}.")
    ground = REFUSALS[claim.right][claim.decision_ground]
    return (
        f"You asked us {_WHAT[claim.right]}. We have decided not to do this.\n\n"
        f"The ground is: {ground}\n\nThe reasons are: {claim.words}\n\n{ROUTES}"
    )


def _lifted(claim: Claim, _due: date | None) -> str:
    if claim.right is not Right.RESTRICTION or claim.state not in (ClaimState.UPHELD, ClaimState.LIFTED):
        raise NotYetError(f"Request {claim.id} is not a restriction that ends.")
    told = "We are ending the restriction on the use of the recording of your call."
    reasons = f"\n\nThe reasons are: {claim.words}" if claim.state is ClaimState.LIFTED else ""
    return f"{told}{reasons}\n\n{ROUTES}"


_BODIES: Mapping[ClaimLetter, Callable[[Claim, date | None], str]] = MappingProxyType(
    {
        ClaimLetter.ACKNOWLEDGEMENT: _acknowledged,
        ClaimLetter.DECISION: _decided,
        ClaimLetter.LIFTING: _lifted,
    }
)
