"""The state of one call, which the table of `recorder.calls.rules.call_table` reads and changes. Pure."""

from dataclasses import dataclass

from recorder.calls.rules.call_events import CallState, Side
from recorder.rules.policy import Direction, NoticeWhen


@dataclass(slots=True, kw_only=True)
class CallProgress:
    """The state of one call.

    Attributes:
        is_nominated: The call gets the notice and is recorded; otherwise it is a passthrough call.
        direction: The direction, which says on which side the officer is.
        notice_when: When the service plays the notice.
        targets: How many targets the route has.
        has_second: A second message is set.
        target: Index of the target that is being dialled.
        second_wanted: The key for the second message was pressed before it could be played.
        second_played: The second message was begun.
        is_second_playing: The second message is being played now.
        is_early_heard: A, who was answered, hears B's early media.
        notice_complete: The notice was heard in full; None until it ended.
        was_joined: The sides were joined.
        was_cut_off: The call ended because a side did not answer any more.
        transferor: The side whose party a transfer replaces, while the target is being called.
        alone: The side that is left after a failed attempt, and hears the failure tone.
        cause: The final status of that attempt; 0 before.
        keys: The officer's side, once an answer or a transfer has changed it; None is by the direction.
    """

    is_nominated: bool
    direction: Direction
    notice_when: NoticeWhen
    targets: int
    has_second: bool = True
    state: CallState = CallState.OFFERED
    target: int = 0
    second_wanted: bool = False
    second_played: bool = False
    is_second_playing: bool = False
    is_early_heard: bool = False
    notice_complete: bool | None = None
    was_joined: bool = False
    was_cut_off: bool = False
    transferor: Side | None = None
    alone: Side = Side.A
    cause: int = 0
    keys: Side | None = None
    end: str = ""

    @property
    def outside(self) -> Side:
        """Return the side of the outside party, who hears the notice."""
        return self.officer.other

    @property
    def officer(self) -> Side:
        """Return the side of the officer, whose keys control the recording."""
        if self.keys is not None:
            return self.keys
        return Side.A if self.direction is Direction.OUTBOUND else Side.B
