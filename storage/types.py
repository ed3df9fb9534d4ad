"""The vocabulary of storage: a recording's row, its segments, searches, and the state of a container. Pure.

Times are aware datetimes in UTC; positions and lengths are seconds from the start of the recording. Holds, erasures and
rights requests are in `storage.retention_types`.
"""

import enum
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NewType

RecordingId = NewType("RecordingId", str)
"""``YYYYMMDDTHHMMSSZ-<extension>-<6 hex>``: sorts by time, easy to read out, safe as a file name."""


SELFTEST = "selftest"
"""Extension and operator of the calls that the recorder makes to test itself."""
SELFTEST_MARK = f"-{SELFTEST}-"
"""In the id of every recording of such a call, and of no other (`recorder.rules.policy.recording_id`)."""

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
    """Kind of a segment of a recording."""

    RECORDING = "recording"
    PAUSED = "paused"
    HOLD = "hold"
    OPTED_OUT = "opted_out"
    OUT_OF_SCOPE = "out_of_scope"
    ERASED = "erased"
    LOST = "lost"
    FAX = "fax"
    """Only in recordings of an older version, which did not yet end a suspicion of a fax with the first voice."""
    VOICEMAIL = "voicemail"
    FAX_SUSPECTED = "fax_suspected"
    """Tones of a fax were detected and nobody spoke. Not a pause; it ends with the first voice."""
    SILENCED = "silenced"
    """Digits were keyed; both channels are silent meanwhile."""
    WITHHELD = "withheld"
    """In a row that is shown to somebody: a span that they may not know of. Never stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Officer:
    """An officer of a call: the extension, and who had it then and of which team; "" is no team."""

    extension: str
    operator: str
    team: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A span of a recording of one kind; segments follow one another from 0 to the end without a gap.

    ``operator`` and ``extension`` say whose call it was then; empty where it was nobody's. ``officers`` names all
    officers who were on the call then, two on an internal call; empty also in segments of an older version.
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
class HeardNotice:
    """A message of a notice: the notice is played in several languages one after the other, if a service has several.

    Attributes:
        id: Name and version, such as ``first/3``.
        sha256: Hash of its sound file, hex.
        language: Tag of its language.
        service: The service whose callers it was chosen for.
    """

    id: str
    sha256: str
    language: str
    service: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeProof:
    """Proof that the notice of one call was played.

    ``proof`` is ``heard`` (the recorder played it), ``attested`` (a declared peer played it) or ``none``. Of several
    messages, ``id`` and ``sha256`` have the values of each, joined by ``+``.
    """

    id: str
    sha256: str
    started_at: datetime | None
    ended_at: datetime | None
    complete: bool
    proof: str
    second_message: bool = False
    messages: tuple[HeardNotice, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayedMessage:
    """One playing of the second message to a caller.

    Attributes:
        started_at: When it began, UTC.
        ended_at: When it ended; None if the call ended first.
        complete: Whether it was played to its end.
        by: Who asked for it; empty for the caller, by a key.
    """

    started_at: datetime
    ended_at: datetime | None = None
    complete: bool = False
    by: str = ""


class ArchiveFormat(enum.StrEnum):
    """How the audio of an archived recording is compressed."""

    FLAC = "flac"
    """Lossless: every byte can be restored."""
    OPUS = "opus"
    """Lossy, and smaller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Archived:
    """How and when a recording was archived.

    Attributes:
        format: How its audio is compressed.
        at: When, UTC.
        original_sha256: SHA-256 of the container before, hex.
        original_bytes: Size of the container before.
    """

    format: ArchiveFormat
    at: datetime
    original_sha256: str
    original_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """A person in a call, as a SIPREC client named them (RFC 7865).

    Attributes:
        name: Display name, or "".
        address: Address of record, ``sip:2001@pbx.example``.
        number: Its user part: a number or an extension.
        role: ``caller``, ``called``, or ``other`` for those who came later.
        channel: ``left`` or ``right`` if it has their voice alone, else "".
        extension: Their nominated extension, or "".
        joined_at: When they joined, if the client said so.
        left_at: When they left, if the client said so.
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
    """One call in the index. Its JSON form has these names.

    Attributes:
        extension: The extension that the call began with.
        operator: The officer who had ``extension`` when recording began.
        operators, extensions: Every officer and nominated extension of the call.
        numbers: All other numbers by which a party was known; a search finds the call by them too.
        participants: Only of a call that a SIPREC client sent.
        remarks: `recorder.calls.rules.siprec.Remark` words: how such a recording differs from others.
        codecs: Of the left and the right channel: those that were recorded, joined by ``+``, or if nothing was
            recorded the one that was negotiated.
        operator_key: The opaque name of the folder.
        path: Relative to the recordings' root; None when nothing was kept.
        speech_s: Seconds in which somebody spoke on each side.
        is_one_way: One side was heard and the other was not.
        is_silent: Audio was kept, and nobody spoke on either side.
        clipped: Share of each side's samples that have the codec's largest value, in [0, 1].
        stream_s: Seconds by the recorder's clock over which ``drift_s`` was measured.
        drift_s: Seconds by which each side's clock ran ahead of the recorder's in that time; negative: it was slow.
        packets: Packets that came for the recording; with all of these 0, an older version did not measure.
        packets_lost: Packets missing between them, by sequence number.
        second_messages: Each playing of the second message, in order; empty in rows of an older version, of which
            ``notice.second_message`` says only whether it was played.
        node: Name of the node that made the recording; "" on a site with one recorder.
        peaks: Per channel, the largest sample of each 0.1 s as a number in [0, 255].
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
    is_silent: bool = False
    clipped: tuple[float, float] = (0.0, 0.0)
    stream_s: tuple[float, float] = (0.0, 0.0)
    drift_s: tuple[float, float] = (0.0, 0.0)
    packets: tuple[int, int] = (0, 0)
    packets_lost: tuple[int, int] = (0, 0)
    operator_key: str = ""
    team: str = ""
    archived: Archived | None = None
    operators: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    participants: tuple[Participant, ...] = ()
    remarks: tuple[str, ...] = ()
    node: str = ""
    second_messages: tuple[PlayedMessage, ...] = ()
    peaks: Peaks = field(default=(b"", b""), repr=False)


class Channels(enum.StrEnum):
    """Sides of a call: the left is the caller's, the right the officer's."""

    BOTH = "both"
    LEFT = "left"
    RIGHT = "right"


@dataclass(frozen=True, slots=True, kw_only=True)
class Redaction:
    """A span that is silenced in a copy; the recording does not change.

    Attributes:
        start_s: Start, seconds on the recording's clock, at least 0.
        end_s: End, after ``start_s``.
        channels: Which side is silenced.
        reason: Why; printed on the cover sheet.
    """

    start_s: float
    end_s: float
    channels: Channels = Channels.BOTH
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visibility:
    """The calls that somebody may know of: those of some teams, and those of one officer.

    Attributes:
        teams: Teams as the rows name them, so those at the time of the call.
        operator: The officer; None is no officer's calls.
    """

    teams: tuple[str, ...] = ()
    operator: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What a search looks for; None matches everything. Times are [start, end). Names are matched exactly.

    Attributes:
        operators: Officers of whom any will do, at most `storage.searches.MOST_VALUES`; empty matches everything.
        numbers: Numbers of which any will do, likewise.
        outcomes: Outcomes of which any will do, likewise.
        team: Team of the call, or of an officer of it, at the time.
        within: What the searcher may know of.
        selftests: Whether to find calls of self-tests too, which people neither see nor count.
    """

    started_from: datetime | None = None
    started_to: datetime | None = None
    operator: str | None = None
    extension: str | None = None
    number: str | None = None
    outcome: Outcome | None = None
    service: str | None = None
    team: str | None = None
    operators: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    within: Visibility | None = None
    selftests: bool = False
    limit: int = 100
    offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingHead:
    """What a container says before its first audio: known when the tap opens, sealed as the first frame."""

    id: RecordingId
    started_at: datetime
    operator_key: str
    index_row: dict[str, Any]
    """The row so far, as JSON-able values; recovery makes the index's row from it."""


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
    """The result of `storage.verify.verify`.

    ``problem`` is None if the file is as its node closed it; else a sentence that says what is wrong, and where.
    """

    id: RecordingId
    path: Path
    is_complete: bool
    bytes: int
    sha256: str
    signed_by: str
    problem: str | None
