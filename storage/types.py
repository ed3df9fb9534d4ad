"""The vocabulary of storage: a recording's row, its segments, and what a vault says of a file.

Pure. Times are aware datetimes in UTC; positions and lengths are seconds from the start of the recording.
"""

import enum
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, NewType

RecordingId = NewType("RecordingId", str)
"""``YYYYMMDDTHHMMSSZ-<extension>-<6 hex>``: sorts by time, can be read over the phone, safe as a file name."""


Peaks = tuple[bytes, bytes]
"""Per channel, the largest sample of each 0.1 s as a number in [0, 255]."""


class Outcome(enum.StrEnum):
    """How a call ended for the record; one per call, always with a reason."""

    RECORDED = "recorded"
    PARTIAL = "partial"
    BLOCKED = "blocked"
    NO_CONVERSATION = "no_conversation"
    FAILED = "failed"


class SegmentKind(enum.StrEnum):
    """What a span of a recording is."""

    RECORDING = "recording"
    PAUSED = "paused"
    HOLD = "hold"
    OPTED_OUT = "opted_out"
    OUT_OF_SCOPE = "out_of_scope"
    ERASED = "erased"
    LOST = "lost"
    FAX = "fax"
    """Of recordings made before a suspicion of a fax ended with the first voice."""
    VOICEMAIL = "voicemail"
    FAX_SUSPECTED = "fax_suspected"
    """Tones of a fax were heard and nobody spoke; nobody decided it, and it ends with the first voice."""
    SILENCED = "silenced"
    """Digits were keyed; both channels are silent for as long as that lasted."""
    WITHHELD = "withheld"
    """Of a row as somebody is shown it: not theirs to know of. Never stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Officer:
    """Somebody whose calls are recorded, at an extension: who they were then, and of which team; "" is of none."""

    extension: str
    operator: str
    team: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A span of a recording; spans follow one another from 0 to the end without a gap.

    ``operator`` and ``extension`` say whose call it was then; they are empty where nobody's was. ``officers`` names all
    who were on the call then and whose calls are recorded, two of an internal call; empty also where a version before
    it wrote the segment.
    """

    start_s: float
    end_s: float
    kind: SegmentKind
    reason: str = ""
    by: str = ""
    operator: str = ""
    extension: str = ""
    officers: tuple[Officer, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeProof:
    """What is known of the notice of one call.

    ``proof`` is ``heard`` (we played it), ``attested`` (a declared peer played it) or ``none``.
    """

    id: str
    sha256: str
    started_at: datetime | None
    ended_at: datetime | None
    complete: bool
    proof: str
    second_message: bool = False


class ArchiveFormat(enum.StrEnum):
    """What an archived recording's audio is packed in."""

    FLAC = "flac"
    """Exact: every byte comes back."""
    OPUS = "opus"
    """Smaller; what comes back sounds like it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Archived:
    """That a recording's audio was packed, and what its container was before.

    Attributes:
        format: In what.
        at: When, UTC.
        original_sha256: Of the container before, hex.
        original_bytes: Its size.
    """

    format: ArchiveFormat
    at: datetime
    original_sha256: str
    original_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """Somebody who took part in a call, as a SIPREC client named them (RFC 7865).

    Attributes:
        name: Display name, or "".
        address: Address of record, ``sip:2001@pbx.example``.
        number: Its user part: a number or an extension.
        role: ``caller``, ``called``, or ``other`` for those who came later.
        channel: ``left`` or ``right`` where their voice alone is on it, else "".
        extension: The nominated extension that they are, or "".
        joined_at: When they came, if that was said.
        left_at: When they went, likewise.
    """

    name: str
    address: str
    number: str
    role: str
    channel: str = ""
    extension: str = ""
    joined_at: datetime | None = None
    left_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingRow:
    """One call in the index: the JSON of design section 7 has these names.

    ``extension`` is the one that the call began with, ``operator`` whoever had it when recording began; ``operators``
    and ``extensions`` name everybody whose call it was. ``numbers`` are all other numbers by which somebody on the call
    was known: the call is found by them too. ``participants`` are known of calls that a SIPREC client copied to us;
    ``remarks`` are words of `recorder.calls.rules.siprec.Remark` that say how such a recording differs from others.
    ``codecs`` are those of the left and the right channel: of what was kept, joined by ``+``; where nothing was kept,
    what was settled. ``operator_key`` is the opaque folder name; ``path`` is relative to the recordings' root, None
    when nothing was kept. ``peaks`` holds, per channel, the largest sample of each 0.1 s as a number in [0, 255].
    """

    id: RecordingId
    started_at: datetime
    ended_at: datetime | None
    direction: str
    extension: str
    operator: str
    service: str
    caller: str
    called: str
    outcome: Outcome
    reason: str
    duration_s: float = 0.0
    recorded_s: float = 0.0
    paused_s: float = 0.0
    codecs: tuple[str, str] = ("", "")
    notice: NoticeProof | None = None
    segments: tuple[Segment, ...] = ()
    opted_out: bool = False
    card_payment: str = "pause"
    path: str | None = None
    bytes: int | None = None
    sha256: str | None = None
    retention_due: datetime | None = None
    holds: tuple[str, ...] = ()
    related: tuple[RecordingId, ...] = ()
    speech_s: tuple[float, float] = (0.0, 0.0)
    is_one_way: bool = False
    operator_key: str = ""
    team: str = ""
    archived: Archived | None = None
    operators: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    participants: tuple[Participant, ...] = ()
    remarks: tuple[str, ...] = ()
    peaks: Peaks = field(default=(b"", b""), repr=False)


class ErasureKind(enum.StrEnum):
    """Why a span of a recording is to go."""

    CARD_DATA = "card_data"
    OPT_OUT = "opt_out"
    OTHER = "other"


class ErasureState(enum.StrEnum):
    """Where an order to erase stands; until it is ``done`` or ``declined`` the recording is locked."""

    WAITING = "waiting"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    DONE = "done"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureOrder:
    """An order to erase a span of one recording for good.

    Attributes:
        id: 8 hex, names the order.
        recording: Whose span; it may still be in the making.
        start_s: Start of the span, seconds on the recording's clock.
        end_s: End of the span; None is the end of the recording.
        kind: Why.
        ordered_by: Who gave the order, as the audit log names them.
        ordered_at: When, UTC.
        state: Where it stands.
        decided_by: Who confirmed or declined it; None while it waits, or where nobody has to.
        decided_at: When.
        done_at: When the span was gone.
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
    """Why a recording is kept beyond its day."""

    COMPLAINT = "complaint"
    TRAINING = "training"
    EVIDENCE = "evidence"
    SAR = "sar"
    DISCLOSURE = "disclosure"
    RESTRICTION = "restriction"
    """Its use is restricted, so it must not go either; placed and released by the claim's decisions."""


class HoldState(enum.StrEnum):
    """Where a hold stands; in all but ``over`` its recording is kept."""

    STANDING = "standing"
    GRACE = "grace"
    """Released, and kept for a while yet, so that a mistake can be taken back."""
    OVER = "over"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Somebody's word that a recording must be kept.

    Attributes:
        id: 8 hex, names the hold.
        recording: What is kept; it may still be in the making.
        kind: Why, in one word.
        reason: Why, in words; empty once it expired.
        case_reference: Of the complaint, request or crime.
        owner: Who looks after it; an account's name.
        placed_by: Who placed it, as the audit log names them.
        placed_at: When, UTC.
        review_on: The day on which somebody must ask whether it is still needed.
        against: Whom the complaint is about: account names, or an operator as calls name them.
        released_by: Who released it; None while it stands.
        released_at: When.
        grace_until: Until when the recording is kept all the same; None while it stands.
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
        """Return where it stands at a moment."""
        if self.grace_until is None:
            return HoldState.STANDING
        return HoldState.GRACE if self.grace_until > now else HoldState.OVER


class Right(enum.StrEnum):
    """What a data subject can ask of a recording beside a copy (UK GDPR articles 18, 21 and 17)."""

    RESTRICTION = "restriction"
    OBJECTION = "objection"
    ERASURE = "erasure"


class ClaimState(enum.StrEnum):
    """Where a claim stands."""

    ASKED = "asked"
    UPHELD = "upheld"
    DECLINED = "declined"
    LIFTED = "lifted"
    """It was upheld, and is so no longer."""
    WITHDRAWN = "withdrawn"
    DONE = "done"
    """The recording was destroyed because of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a data subject asks of a recording, and what became of it.

    Attributes:
        id: 8 hex, names the claim.
        recording: Which recording.
        right: What is asked.
        ground: On which ground, as the law has them.
        received_on: The day it came, in whatever form.
        asked_by: Who wrote it down, as the audit log names them.
        asked_at: When, UTC.
        requester: Who asks; empty once it expired.
        reason: What they say; empty once it expired.
        case_reference: Of the council, if it has one.
        state: Where it stands.
        hold: The hold that keeps the recording while its use is restricted; empty where there is none.
        decided_by: Who upheld or declined it, or None.
        decided_at: When, UTC.
        decision_ground: On which ground it was declined; empty where it was upheld.
        words: What they said last: the requester is told it.
        over_at: Since when nothing follows from it any more, UTC; None while something does.
        use_ground: On which ground the recording may be used all the same, or empty.
        use_by: Who decided that.
        use_until: Until when, UTC.
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


class Channels(enum.StrEnum):
    """Sides of a call: the left is the caller's, the right the officer's."""

    BOTH = "both"
    LEFT = "left"
    RIGHT = "right"


@dataclass(frozen=True, slots=True, kw_only=True)
class Redaction:
    """A span that is silenced in a copy, the recording left as it is.

    Attributes:
        start_s: Where it starts, seconds on the recording's clock, at least 0.
        end_s: Where it ends, after ``start_s``.
        channels: Whose side.
        reason: Why; the cover sheet says it.
    """

    start_s: float
    end_s: float
    channels: Channels = Channels.BOTH
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The part of all calls that somebody may know of: those of some teams, and those of one officer.

    Attributes:
        teams: Of the teams as they stand in the rows, so those of the time of the call.
        operator: The officer's; None is nobody's.
    """

    teams: tuple[str, ...] = ()
    operator: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What to find; None matches everything. Times are [start, end). ``text`` of names is matched exactly."""

    started_from: datetime | None = None
    started_to: datetime | None = None
    operator: str | None = None
    extension: str | None = None
    number: str | None = None
    outcome: Outcome | None = None
    within: Part | None = None
    limit: int = 100
    offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingHead:
    """What a container says before its first audio: known when the tap opens, sealed as its first frame."""

    id: RecordingId
    started_at: datetime
    operator_key: str
    index_row: dict[str, Any]
    """The row so far, as JSON-able values; recovery rebuilds the index from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedFile:
    """A container that was closed, synced and renamed."""

    path: str
    """Relative to the recordings' root."""
    bytes: int
    sha256: str
    is_complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What `verify` found, without the private key.

    ``problem`` is None when the file is what its node closed; else a sentence that names what is wrong and where.
    """

    id: RecordingId
    path: Path
    is_complete: bool
    bytes: int
    sha256: str
    signed_by: str
    problem: str | None
