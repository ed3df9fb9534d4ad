"""The sides, states, events and commands of a call's table. Pure.

``A`` is the leg that was offered to the recorder, ``B`` the leg that it dialled. `recorder.calls.rules.call_table` has
the transitions.
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
    """The states of a call."""

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
    """The recorder handles the call; its route has at least one target."""


@dataclass(frozen=True, slots=True)
class Rang:
    """B is ringing; ``has_media`` if it sent SDP for early media."""

    has_media: bool = False


class After(enum.Enum):
    """What follows for the recording when a party was replaced, or another than the dialled party answered."""

    RECORD = "it goes on"
    ANNOUNCE = "the party who has not heard the notice hears it first"
    OUT_OF_SCOPE = "it stops"


@dataclass(frozen=True, slots=True)
class Answered:
    """B answered with media that can be bridged.

    Attributes:
        after: What follows for the recording from the party who answered.
        officer: The side of the officer from then on; None leaves it as it was.
    """

    after: After = After.RECORD
    officer: Side | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """B refused, or could not be bridged."""

    status: int


@dataclass(frozen=True, slots=True)
class Redirected:
    """B redirected the call, and the new target is being dialled."""


@dataclass(frozen=True, slots=True)
class Left:
    """A party hung up, cancelled, or did not answer any more (``is_lost``)."""

    side: Side
    is_lost: bool = False


@dataclass(frozen=True, slots=True)
class NoticeEnded:
    """The notice ended; ``complete`` if it was heard in full."""

    complete: bool


@dataclass(frozen=True, slots=True)
class SecondWanted:
    """The outside party pressed the key for the second message."""


@dataclass(frozen=True, slots=True)
class SecondEnded:
    """The second message ended."""


@dataclass(frozen=True, slots=True)
class ToneEnded:
    """The failure tone ended."""


@dataclass(frozen=True, slots=True)
class TransferBegan:
    """A transfer of the party on a side began; the transfer target is being called."""

    side: Side


@dataclass(frozen=True, slots=True)
class TransferTargetAnswered:
    """The transfer target can be joined; ``officer`` is the side of the officer from then on."""

    after: After
    officer: Side


@dataclass(frozen=True, slots=True)
class TransferTargetRefused:
    """The transfer target refused, or could not be bridged."""

    status: int


@dataclass(frozen=True, slots=True)
class Stopped:
    """The recorder ends the call, because it stops or because of an internal error."""

    reason: str


Event = (
    Begin
    | Rang
    | Answered
    | Refused
    | Redirected
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
    Begin, Rang, Answered, Refused, Redirected, Left, NoticeEnded, SecondWanted, SecondEnded, ToneEnded,
    TransferBegan, TransferTargetAnswered, TransferTargetRefused, Stopped,
)  # fmt: skip


# --- commands ---------------------------------------------------------------------------------------------------


class Play(enum.Enum):
    """The kinds of prompts."""

    NOTICE = "notice"
    SECOND = "second"
    RINGBACK = "ringback"
    HOLD = "hold"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class PlayTo:
    """Play a prompt to a leg, instead of any that is being played."""

    side: Side
    what: Play


@dataclass(frozen=True, slots=True)
class StopPlaying:
    """Stop the prompts on both legs."""


@dataclass(frozen=True, slots=True)
class Ring:
    """Send A a provisional response; ``early`` bridges B's early media, unrecorded."""

    early: bool


@dataclass(frozen=True, slots=True)
class JoinEarly:
    """Bridge B's early media to A, who was answered already, unrecorded."""


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
    """Bridge the legs and, if permitted, open the tap."""


@dataclass(frozen=True, slots=True)
class Replace:
    """Replace the party on a side by the transfer target, and hang up the replaced leg."""

    side: Side
    after: After


@dataclass(frozen=True, slots=True)
class DropTransferTarget:
    """Release the transfer target, because the party who stays has left."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """End a leg; ``reason`` is the value of Reason in the BYE, None for the one of the other side (RFC 3326)."""

    side: Side
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Finish:
    """Release the call's resources, and close its recording; the call is over."""

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
