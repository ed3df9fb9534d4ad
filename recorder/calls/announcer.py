"""What is played to the parties of one call: notice, second message, ringback, hold, failure tones. Call thread only.

When what plays is the table's (`recorder.calls.rules.call_table`); whether the notice was heard in full is known here.
"""

from dataclasses import replace
from datetime import datetime

from audio.types import DtmfPolicy, Prompt, PromptEnded
from recorder.calls.bridged_call import BridgedCall
from recorder.calls.call_services import Sounds
from recorder.calls.component import Component
from recorder.calls.party_media import PartyMedia
from recorder.calls.rules.call_events import (
    CallState,
    Event,
    NoticeEnded,
    Play,
    PlayTo,
    SecondEnded,
    Side,
    Stopped,
    ToneEnded,
)
from recorder.calls.rules.transfer import Party
from recorder.common.clock import utc_now
from storage.types import NoticeProof

FEW_LOST = 0.05
"""Share of a notice's packets that a caller may report lost while it still counts as heard in full."""

MOST_HELD_S = 300.0
"""How long the notice waits for the end of a hold: the call has a place and ports, and nobody notices who is gone."""


class Announcer(Component[BridgedCall]):
    """Plays to the parties of one call.

    Args:
        call: The call.
        sounds: What can be played.

    Attributes:
        notice_began: When the notice was begun, or None.
        notice_ended: When it ended, in full or not.
    """

    def __init__(self, call: BridgedCall, sounds: Sounds) -> None:
        super().__init__(call)
        self._sounds = sounds
        self._waiting: dict[Side, PlayTo] = {}
        self._hearer: Party | None = None
        """Who was there when the notice began: another who comes meanwhile has not heard all of it."""
        self._was_held = False
        """The hearer held the call since the notice began, so that a part of it went nowhere."""
        self.notice_began: datetime | None = None
        self.notice_ended: datetime | None = None

    def play(self, command: PlayTo) -> None:
        """Play something to a side, as soon as it is known where to; the notice, as soon as it can be heard."""
        party = self._call.sides[command.side]
        if not party.is_settled or self._must_wait(command, party):  # a delayed offer says where to with the ACK
            self._waiting[command.side] = command
            if party.is_settled:
                end = self._with_call(self._end_if_held)
                self._call.services.scheduler.call_later(MOST_HELD_S, end, command)
            return
        party.leg.unbridge()
        if command.what is Play.NOTICE:
            self.notice_began, self._was_held = utc_now(), False
            self._hearer = self._call.parties[command.side]
        if command.what in (Play.NOTICE, Play.SECOND):
            self._listen(party)
        party.leg.play(
            self._sound(command.what), tag=_TAGS[command.what], loop=command.what in (Play.RINGBACK, Play.HOLD)
        )

    def _must_wait(self, command: PlayTo, party: PartyMedia) -> bool:
        """Tell whether the notice waits for the end of a hold: who holds must not get past it.

        Whom we called may answer like this for good, as announcement services do: there it is played to nobody.
        """
        is_caller = command.side is Side.A
        return command.what is Play.NOTICE and party.is_held and (is_caller or self._was_held)

    def _end_if_held(self, command: PlayTo) -> None:
        """End the call if the notice still waits for the end of the same hold."""
        if self._waiting.get(command.side) is command and self._call.progress.state in _ANNOUNCING:
            self._call.apply(Stopped("no_media"))

    def session_changed(self, side: Side) -> None:
        """Note that a side holds now, or no longer does."""
        if side is self._call.progress.outside and self._call.sides[side].is_held:
            self._was_held = True
        else:
            self.settled(side)

    def settled(self, side: Side) -> None:
        """Play what waited for a side to say where it wants its media, or to end its hold."""
        waiting = self._waiting.pop(side, None)
        if waiting is not None:
            self.play(waiting)

    def listen_for_keys(self) -> None:
        """Look for the key of the second message in what the outside party sends; nobody else gets its digits."""
        self._listen(self._call.sides[self._call.progress.outside])

    def ended(self, side: Side, event: PromptEnded) -> Event | None:
        """Take the end of a prompt; return what that means for the call, if anything."""
        played = _PLAY_OF.get(event.tag)
        if played is Play.FAILED:
            return ToneEnded()
        if side is not self._call.progress.outside:
            return None
        if played is Play.NOTICE:
            self.notice_ended = utc_now()
            is_complete = event.complete and self._was_received(side, event)
            if not is_complete and self._was_held and self._call.progress.state in _ANNOUNCING:
                self.play(PlayTo(side, Play.NOTICE))  # nobody is connected by holding the notice away
                return None
            if is_complete and self._call.parties[side] is self._hearer:
                self._call.parties[side] = replace(self._hearer, is_told=True)
            return NoticeEnded(complete=is_complete)
        return SecondEnded() if played is Play.SECOND else None

    def proof(self, *, second_message: bool) -> NoticeProof:
        """Return what is known of the notice; ``second_message``: the second message was begun."""
        first = self._sounds.first
        is_complete = bool(self._call.progress.notice_complete)
        return NoticeProof(
            id=f"{first.name}/{first.version}",
            sha256=first.sha256,
            started_at=self.notice_began,
            ended_at=self.notice_ended,
            complete=is_complete,
            proof="heard" if is_complete else "none",
            second_message=second_message,
        )

    def _listen(self, party: PartyMedia) -> None:
        party.leg.listen(DtmfPolicy.SWALLOW, tones=self._call.services.config.media.detect_tones)

    def _sound(self, what: Play) -> Prompt:
        sounds = self._sounds
        return {
            Play.NOTICE: sounds.first.prompt,
            Play.SECOND: (sounds.second or sounds.first).prompt,
            Play.RINGBACK: sounds.ringback,
            Play.HOLD: sounds.hold,
            Play.FAILED: sounds.failed,
        }[what]

    def _was_received(self, side: Side, event: PromptEnded) -> bool:
        lost = self._call.sides[side].leg.remote_lost
        return lost is None or lost <= event.packets_due * FEW_LOST


_ANNOUNCING = (CallState.NOTICE, CallState.NOTICE_HELD)
_TAGS = {play: number for number, play in enumerate(Play, 1)}
_PLAY_OF = {number: play for play, number in _TAGS.items()}
