"""The words of a call's table: its sides and states, what can happen, what has to be done. Pure.

``A`` is the leg that was offered to us, ``B`` the leg that we dialled. What follows from what is in
`recorder.calls.rules.call_table`.
"""

import enum
from dataclasses import dataclass


class Side(enum.Enum):
    """The two legs of a call."""

    A = "a"
    B = "b"

    @property
    def other(self) -> "Side":
        """Return the other leg."""
        return Side.B if self is Side.A else Side.A


class CallState(enum.Enum):
    """Where a call is."""

    OFFERED = "offered"
    NOTICE = "notice"
    SECOND = "second message"
    RINGING = "ringing after the notice"
    RINGING_FIRST = "ringing before the notice"
    NOTICE_HELD = "notice, answered side held"
    SECOND_HELD = "second message, answered side held"
    JOINED = "joined"
    TRANSFERRING = "joined, a newcomer is called"
    LEFT_ALONE = "one side has left, a newcomer is called"
    CLEARING = "clearing"
    THROUGH_RINGING = "passed on, ringing"
    THROUGH_JOINED = "passed on, joined"
    ENDED = "ended"


# --- events -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Begin:
    """The offer was accepted for handling; routing found at least one target."""


@dataclass(frozen=True, slots=True)
class Rang:
    """B is ringing; ``has_media`` when it sent early media's SDP."""

    has_media: bool = False


class After(enum.Enum):
    """What becomes of the recording once a party was replaced, or another one than the dialled answered."""

    RECORD = "it goes on"
    ANNOUNCE = "the one who was not told hears the notice first"
    OUT_OF_SCOPE = "it stops"


@dataclass(frozen=True, slots=True)
class Answered:
    """B answered with media that can be joined.

    Attributes:
        after: What becomes of the recording with the party who answered.
        officer: The side that has the keys from then on; None leaves it as it was.
    """

    after: After = After.RECORD
    officer: Side | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """B came to nothing."""

    status: int


@dataclass(frozen=True, slots=True)
class Left:
    """A party hung up, cancelled, or its dialog timed out (``is_lost``: nobody hung up)."""

    side: Side
    is_lost: bool = False


@dataclass(frozen=True, slots=True)
class NoticeEnded:
    """The first message ended; ``complete`` when it was heard in full."""

    complete: bool


@dataclass(frozen=True, slots=True)
class SecondWanted:
    """The outside party pressed the key for the second message."""


@dataclass(frozen=True, slots=True)
class SecondEnded:
    """The second message ended."""


@dataclass(frozen=True, slots=True)
class ToneEnded:
    """The tone that tells a caller of a failed attempt ended."""


@dataclass(frozen=True, slots=True)
class TransferBegan:
    """Somebody is to take the place of a side, and is being called."""

    side: Side


@dataclass(frozen=True, slots=True)
class TransferTargetAnswered:
    """The transfer target can be joined; ``officer`` is the side that has the keys from then on."""

    after: After
    officer: Side


@dataclass(frozen=True, slots=True)
class TransferTargetRefused:
    """The transfer target came to nothing."""

    status: int


@dataclass(frozen=True, slots=True)
class Stopped:
    """We end the call: the daemon stops, or an internal error leaves no other way."""

    reason: str


Event = (
    Begin
    | Rang
    | Answered
    | Refused
    | Left
    | NoticeEnded
    | SecondWanted
    | SecondEnded
    | ToneEnded
    | TransferBegan
    | TransferTargetAnswered
    | TransferTargetRefused
    | Stopped
)
EVENTS: tuple[type[Event], ...] = (
    Begin, Rang, Answered, Refused, Left, NoticeEnded, SecondWanted, SecondEnded, ToneEnded,
    TransferBegan, TransferTargetAnswered, TransferTargetRefused, Stopped,
)  # fmt: skip


# --- commands ---------------------------------------------------------------------------------------------------


class Play(enum.Enum):
    """What is played to a leg."""

    NOTICE = "notice"
    SECOND = "second"
    RINGBACK = "ringback"
    HOLD = "hold"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class PlayTo:
    """Play something to a leg, in the place of what was being played to it."""

    side: Side
    what: Play


@dataclass(frozen=True, slots=True)
class StopPlaying:
    """Stop whatever is played to either leg."""


@dataclass(frozen=True, slots=True)
class Ring:
    """Tell A that B is ringing; ``early`` joins B's early media, unrecorded."""

    early: bool


@dataclass(frozen=True, slots=True)
class JoinEarly:
    """Let A, who is connected already, hear B's early media, unrecorded."""


@dataclass(frozen=True, slots=True)
class AnswerA:
    """Answer A."""


@dataclass(frozen=True, slots=True)
class RefuseA:
    """Refuse A with a final status."""

    status: int


@dataclass(frozen=True, slots=True)
class Dial:
    """Dial target number ``index`` of the route."""

    index: int


@dataclass(frozen=True, slots=True)
class Join:
    """Bridge the legs and, where it is permitted, open the tap."""


@dataclass(frozen=True, slots=True)
class Replace:
    """Put the transfer target in the place of a side, and hang up on whoever was there."""

    side: Side
    after: After


@dataclass(frozen=True, slots=True)
class DropTransferTarget:
    """Give the transfer target up: there is nobody any more to join them with."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """End a leg."""

    side: Side
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Finish:
    """The call is over: settle its outcome and give back what it held."""

    end: str


Command = (
    PlayTo
    | StopPlaying
    | Ring
    | JoinEarly
    | AnswerA
    | RefuseA
    | Dial
    | Join
    | Replace
    | DropTransferTarget
    | HangUp
    | Finish
)
