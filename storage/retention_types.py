"""The vocabulary of keeping and destroying recordings: erasure orders, legal holds, rights requests. Pure.

Times are aware datetimes in UTC; positions are seconds from the start of the recording.
"""

import enum
from dataclasses import dataclass
from datetime import date, datetime

from storage.types import RecordingId


class ErasureKind(enum.StrEnum):
    """Why a span of a recording is to be erased."""

    CARD_DATA = "card_data"
    OPT_OUT = "opt_out"
    OTHER = "other"


class ErasureState(enum.StrEnum):
    """State of an erasure order; until it is ``done`` or ``declined`` the recording is locked."""

    WAITING = "waiting"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    DONE = "done"
    DECLINED = "declined"


ALONE = frozenset({ErasureState.CONFIRMED, ErasureState.DONE, ErasureState.FAILED})
"""States that an order with no decision can have only if it needed no second person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureOrder:
    """An order to destroy a span of one recording.

    Attributes:
        id: 8 hex.
        recording: The recording; it may still be in progress.
        start_s: Start of the span, seconds on the recording's clock.
        end_s: End of the span; None is the end of the recording.
        kind: Why.
        ordered_by: Who gave the order, as the audit log names them.
        ordered_at: When, UTC.
        state: Its state.
        decided_by: Who confirmed or declined it; None while it waits, or if it needs no confirmation.
        decided_at: When it was confirmed or declined.
        done_at: When the span was destroyed.
        problem: Why it failed; empty otherwise.
    """

    id: str
    recording: RecordingId
    start_s: float
    end_s: float | None
    kind: ErasureKind
    ordered_by: str
    ordered_at: datetime
    state: ErasureState
    decided_by: str | None = None
    decided_at: datetime | None = None
    done_at: datetime | None = None
    problem: str = ""


class HoldKind(enum.StrEnum):
    """Why a recording is kept after its retention period."""

    COMPLAINT = "complaint"
    TRAINING = "training"
    EVIDENCE = "evidence"
    SAR = "sar"
    DISCLOSURE = "disclosure"
    RESTRICTION = "restriction"
    """The use of the recording is restricted (UK GDPR article 18); the decisions on the claim place and release it."""


class HoldState(enum.StrEnum):
    """State of a legal hold; in all but ``over`` its recording is kept."""

    ACTIVE = "standing"
    GRACE = "grace"
    """Released, but the recording is kept for a while, so that the hold can be reinstated."""
    OVER = "over"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A legal hold: an instruction that a recording must be kept.

    Attributes:
        id: 8 hex.
        recording: The recording; it may still be in progress.
        kind: Why, in one word.
        reason: Why, in free text; empty once it expired.
        case_reference: Reference of the complaint, request or crime.
        owner: The account responsible for it.
        placed_by: Who placed it, as the audit log names them.
        placed_at: When, UTC.
        review_on: The day on which the owner must review whether it is still needed.
        against: Whom the complaint is about: account names, or an operator as rows name them.
        released_by: Who released it; None while it is active.
        released_at: When it was released.
        grace_until: Until when the recording is kept after the release; None while it is active.
    """

    id: str
    recording: RecordingId
    kind: HoldKind
    reason: str
    case_reference: str
    owner: str
    placed_by: str
    placed_at: datetime
    review_on: date
    against: tuple[str, ...] = ()
    released_by: str | None = None
    released_at: datetime | None = None
    grace_until: datetime | None = None

    def state_at(self, now: datetime) -> HoldState:
        """Return its state at a moment."""
        if self.grace_until is None:
            return HoldState.ACTIVE
        return HoldState.GRACE if self.grace_until > now else HoldState.OVER


class Right(enum.StrEnum):
    """A data subject's right that a rights request is about (UK GDPR articles 18, 21 and 17)."""

    RESTRICTION = "restriction"
    OBJECTION = "objection"
    ERASURE = "erasure"


class ClaimState(enum.StrEnum):
    """State of a rights request."""

    ASKED = "asked"
    UPHELD = "upheld"
    DECLINED = "declined"
    LIFTED = "lifted"
    """It was upheld, and was ended later."""
    WITHDRAWN = "withdrawn"
    DONE = "done"
    """The recording was destroyed because of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A data subject's request for restriction, objection or erasure, and the decision on it.

    Attributes:
        id: 8 hex.
        recording: The recording it is about.
        right: The right that is asked for.
        ground: The legal ground on which it is asked.
        received_on: The day the request arrived, in any form.
        asked_by: Who entered it, as the audit log names them.
        asked_at: When it was entered, UTC.
        requester: The data subject; empty once it expired.
        reason: Their reason; empty once it expired.
        case_reference: The council's reference, if it has one.
        state: Its state.
        hold: Id of the legal hold that keeps the recording while its use is restricted, or empty.
        decided_by: Who upheld or declined it, or None.
        decided_at: When, UTC.
        decision_ground: The ground on which it was declined; empty if it was upheld.
        words: The last reason given; the requester is told it.
        over_at: When it ceased to have effect, UTC; None while it has.
        use_ground: The ground on which the recording may be used despite the restriction, or empty.
        use_by: Who allowed that use.
        use_until: Until when it is allowed, UTC.
    """

    id: str
    recording: RecordingId
    right: Right
    ground: str
    received_on: date
    asked_by: str
    asked_at: datetime
    requester: str = ""
    reason: str = ""
    case_reference: str = ""
    state: ClaimState = ClaimState.ASKED
    hold: str = ""
    decided_by: str | None = None
    decided_at: datetime | None = None
    decision_ground: str = ""
    words: str = ""
    over_at: datetime | None = None
    use_ground: str = ""
    use_by: str | None = None
    use_until: datetime | None = None
