"""Results about recordings, erasures and copies."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Officer:
    """Who was at an extension in a part of a call."""

    extension: str
    operator: str
    team: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A part of a recording."""

    start_s: float
    end_s: float
    kind: str
    reason: str
    by: str = ""
    operator: str = ""
    extension: str = ""
    officers: list[Officer] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardNotice:
    """A message of the notice, in the language and for the service for which it was chosen."""

    id: str
    sha256: str
    language: str
    service: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeProof:
    """What proves that the caller was told."""

    id: str
    sha256: str
    started_at: str | None
    ended_at: str | None
    complete: bool
    proof: str
    second_message: bool
    messages: list[HeardNotice] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """A party of a recording session."""

    name: str
    number: str
    role: str
    channel: str
    address: str
    extension: str
    joined_at: str | None
    left_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Archived:
    """How a recording was compressed."""

    format: str
    at: str
    original_sha256: str
    original_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """An order to erase a span of a recording."""

    id: str
    recording: str
    start_s: float
    end_s: float | None
    kind: str
    state: str
    ordered_by: str
    ordered_at: str
    decided_by: str | None
    decided_at: str | None
    done_at: str | None
    problem: str
    queued_because: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasurePreview:
    """What would be erased."""

    id: str
    dry_run: bool
    silenced_s: list[float]
    segments: list[Segment]
    needs_second_person: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A copy that was made of a recording."""

    id: str
    made_by: str
    made_at: str
    format: str
    start_s: float
    end_s: float
    redactions: int
    sha256: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondMessage:
    """A playing of the second message, and who asked for it."""

    started_at: str
    ended_at: str | None
    complete: bool
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A finished call."""

    id: str
    direction: str
    extension: str
    operator: str
    service: str
    caller: str
    called: str
    outcome: str
    reason: str
    duration_s: float
    recorded_s: float
    paused_s: float
    opted_out: bool
    card_payment: str
    path: str | None
    bytes: int | None
    sha256: str | None
    is_one_way: bool
    is_silent: bool
    operator_key: str
    team: str
    codecs: list[str]
    holds: list[str]
    related: list[str]
    speech_s: list[float]
    clipped: list[float]
    stream_s: list[float]
    drift_s: list[float]
    packets: list[int]
    packets_lost: list[int]
    operators: list[str]
    extensions: list[str]
    numbers: list[str]
    remarks: list[str]
    started_at: str
    ended_at: str | None
    retention_due: str | None
    segments: list[Segment]
    notice: NoticeProof | None
    participants: list[Participant]
    archived: Archived | None
    second_messages: list[SecondMessage] = field(default_factory=list)
    node: str = ""
    locked: bool = False
    erasures: list[Erasure] = field(default_factory=list)
    copies: list[Copy] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """A recording that was played, and the spans that were silent because no grant covers them, in seconds."""

    recording: str
    duration_s: float
    withheld: list[list[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportPlan:
    """A copy that would be written."""

    id: str
    start_s: float
    end_s: float
    is_whole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenCopy:
    """A copy that was written."""

    id: str
    path: str
    file: str
    format: str
    bytes: int
    sha256: str
    duration_s: float
    request: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenPackage:
    """A folder or archive of copies."""

    path: str
    copies: list[WrittenCopy]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivePlan:
    """Recordings that are due to be compressed."""

    recordings: int
    bytes: int
    after_days: int
    format: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedRecordings:
    """Recordings that were compressed."""

    recordings: int
    bytes_before: int
    bytes_after: int
    problems: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """Whether a recording is unchanged."""

    id: str
    ok: bool
    is_complete: bool
    bytes: int
    sha256: str
    signed_by: str
    problem: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """A recording that was left open, and is closed now."""

    id: str
    cut_bytes: int
    problem: str | None
    ok: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfinishedElsewhere:
    """An unfinished recording of a node that is away."""

    id: str
    node: str
    started_at: str
    seen_at: str | None
