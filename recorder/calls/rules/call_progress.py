"""How far one call has come: the state that the table of `recorder.calls.rules.call_table` works on. Pure."""

from dataclasses import dataclass

from recorder.calls.rules.call_events import CallState, Side
from recorder.rules.policy import Direction, NoticeWhen


@dataclass(slots=True, kw_only=True)
class CallProgress:
    """What the rules need to know of one call.

    Attributes:
        is_nominated: It is announced and recorded; otherwise passed on as it is.
        direction: Which side is ours.
        notice_when: The service's rule.
        targets: How many targets the route has.
        has_second: A second message is set.
        target: Index of the target being dialled.
        second_wanted: The key was pressed before its message could play.
        second_played: The second message was begun.
        is_second_playing: It is being played now.
        is_early_heard: A, who is connected, hears B's early media.
        notice_complete: The notice was heard in full; None until it ended.
        was_joined: The sides were connected.
        was_cut_off: It ended since a side did not answer any more.
        transferor: The side whose place a transfer target is to take, while one is called.
        alone: Who is left when an attempt has failed, and hears so.
        keys: The side that has the keys, once a transfer has settled it; by the direction until then.
        end: How it ended.
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
    keys: Side | None = None
    end: str = ""

    @property
    def outside(self) -> Side:
        """Return the leg of the party who hears the notice."""
        return self.officer.other

    @property
    def officer(self) -> Side:
        """Return the leg of the party who has the keys."""
        if self.keys is not None:
            return self.keys
        return Side.A if self.direction is Direction.OUTBOUND else Side.B
