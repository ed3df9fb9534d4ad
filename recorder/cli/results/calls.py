"""Results about live calls and opt-outs."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOutMark:
    """The opt-out request of a live call."""

    id: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveCall:
    """A live call, as far as the person may see it."""

    id: str
    call: str
    started_at: str
    extension: str
    phase: str
    is_recorded: bool
    state: str
    reasons: list[str]
    conversation: str = ""
    direction: str = ""
    operator: str = ""
    extensions: list[str] = field(default_factory=list)
    operators: list[str] = field(default_factory=list)
    teams_now: list[str] = field(default_factory=list)
    extensions_now: list[str] = field(default_factory=list)
    operators_now: list[str] = field(default_factory=list)
    configured_now: list[str] = field(default_factory=list)
    proven_now: list[str] = field(default_factory=list)
    service: str = ""
    team: str = ""
    caller: str = ""
    called: str = ""
    state_since: str | None = None
    paused_s: float | None = None
    paused_since: str | None = None
    pause_max_s: float | None = None
    pause_erases_s: float | None = None
    pause_discards: bool = False
    position_s: float | None = None
    second_message: str | None = None
    erase_on_opt_out: bool = False
    opt_out: OptOutMark | None = None
    may: list[str] = field(default_factory=list)
    node: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureMark:
    """The order to erase that an act on a live call has made."""

    id: str
    state: str
    start_s: float
    end_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallState:
    """What became of the recording of a live call."""

    call: str
    state: str
    reasons: list[str]
    position_s: float
    erasure: ErasureMark | None = None
    kept: bool = False
    also: list[Any] = field(default_factory=list)
    not_confirmed: list[str] = field(default_factory=list)
    id: str = ""
    node: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOut:
    """An opt-out request."""

    id: str
    call: str
    state: str
    team: str
    extensions: list[str]
    operators: list[str]
    teams_now: list[str]
    extensions_now: list[str]
    operators_now: list[str]
    configured_now: list[str]
    proven_now: list[str]
    raised_by: str
    raised_at: str
    reason: str
    decided_by: str | None
    decided_at: str | None
    erase_on_opt_out: bool
    node: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """A nominated extension, and who is signed on there."""

    extension: str
    operator: str
    configured: str
    service: str
    team: str
    is_signed_on: bool
    is_proven: bool
    until: str | None
    not_at: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedOn:
    """A person who is signed on at a phone."""

    extension: str
    operator: str
    is_proven: bool
    until: str
    not_at: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOnCode:
    """A code to key at a phone, to be signed on there."""

    extension: str
    operator: str
    code: str
    keys: str
    good_until: str
    instead_of: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedOff:
    """A phone that somebody signed off from."""

    extension: str
    operator: str | None = None
    not_at: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneCall:
    """The last call of `recorder phone`: with whom, whether it was answered, and how it ended.

    Attributes:
        uri: The other side; empty if there was no call.
        is_outgoing: Whether the phone called.
        is_answered: Whether it was answered.
        duration_s: From the answer to the end, seconds.
        status: SIP status of its end.
        reason: Why it was not answered; empty if it was.
    """

    uri: str
    is_outgoing: bool
    is_answered: bool
    duration_s: float
    status: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundDeviceRow:
    """A sound device of this machine."""

    name: str
    microphone: bool
    loudspeaker: bool
    is_default: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedReason:
    """What a reason of an outcome means, and with which outcomes it stands."""

    reason: str
    words: str
    outcomes: list[str]
    means: str
    to_do: str
