"""Plays prompts to the parties of one call: notice, second message, ringback, hold, failure tone. Call thread only.

`recorder.calls.rules.call_table` says when each is played. This module finds out whether the notice was heard in full.
"""

from dataclasses import replace
from datetime import datetime

from audio.types import DtmfPolicy, Prompt, PromptEnded
from recorder.calls.announcements import CallAnnouncements
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
from recorder.calls.tallies import COMPLETE, CUT_SHORT
from recorder.common.clock import utc_now
from storage.types import NoticeProof

FEW_LOST = 0.05
"""Share of the notice's packets that may be reported lost (RTCP) while it still counts as heard in full."""

MOST_HELD_S = 300.0
"""How long the notice waits for the end of a SIP hold, since the call uses ports and its caller may be gone."""


class Announcer(Component[BridgedCall]):
    """Plays prompts to the parties of one call.

    Attributes:
        notice_began: When the notice began, UTC, or None.
        notice_ended: When it ended, in full or not, UTC, or None.
    """

    def __init__(self, call: BridgedCall, sounds: Sounds, announcements: CallAnnouncements) -> None:
        super().__init__(call)
        self._sounds = sounds
        self._announcements = announcements
        self._waiting: dict[Side, PlayTo] = {}
        self._hearer: Party | None = None
        """The party to whom the notice was begun; another who replaces them has not heard all of it."""
        self._is_a_unaware = False
        """A's INVITE was answered, and A may not know of that yet."""
        self._was_held = False
        """The hearer put the call on hold during the notice, and did not hear a part of it."""
        self.notice_began: datetime | None = None
        self.notice_ended: datetime | None = None

    def play(self, command: PlayTo) -> None:
        """Play a prompt to a side once its media address is known; the notice, once it can be heard.

        A telephone plays nothing before it has the 200, which may be lost or late.
        """
        party = self._call.sides[command.side]
        is_unaware = command.what is Play.NOTICE and command.side is Side.A and self._is_a_unaware
        if is_unaware or not party.is_settled or self._must_wait(command, party):  # the ACK may have the address
            self._waiting[command.side] = command
            if party.is_settled and not is_unaware:
                end = self._with_call(self._end_if_held)
                self._call.services.scheduler.call_later(MOST_HELD_S, end, command)
            return
        party.leg.unbridge()
        if command.what is Play.NOTICE:
            self.notice_began, self._was_held = utc_now(), False
            self._hearer = self._call.parties[command.side]
        if command.what in (Play.NOTICE, Play.SECOND):
            self._listen(party)
        if command.what is Play.SECOND:
            self._call.recording.second_message_began()
        party.leg.play(
            self._sound(command.what), tag=_TAGS[command.what], loop=command.what in (Play.RINGBACK, Play.HOLD)
        )

    def _must_wait(self, command: PlayTo, party: PartyMedia) -> bool:
        """Tell whether the notice waits for the end of a SIP hold, so that nobody can skip it by a hold.

        A party who was called and answers with a hold may never end it, as announcement services do. For them the
        notice does not wait.
        """
        is_caller = command.side is Side.A
        return command.what is Play.NOTICE and party.is_held and (is_caller or self._was_held)

    def _end_if_held(self, command: PlayTo) -> None:
        if self._waiting.get(command.side) is command and self._call.progress.state in _ANNOUNCING:
            self._call.apply(Stopped("no_media"))

    def answered_a(self) -> None:
        """Note that A's INVITE was answered: the notice waits until A is known to have the answer."""
        self._is_a_unaware = True

    def acknowledged(self) -> None:
        """Note that A has the answer to its INVITE, and play what waited for that."""
        self._is_a_unaware = False
        self.settled(Side.A)

    def session_changed(self, side: Side) -> None:
        """Note a change of a side's session, which may begin or end a SIP hold."""
        if side is self._call.progress.outside and self._call.sides[side].is_held:
            self._was_held = True
        else:
            self.settled(side)

    def settled(self, side: Side) -> None:
        """Play the prompt that waited for a side's media address or for the end of its hold."""
        waiting = self._waiting.pop(side, None)
        if waiting is not None:
            self.play(waiting)

    def listen_for_keys(self) -> None:
        """Detect the outside party's key for the second message; their digits are not relayed."""
        self._listen(self._call.sides[self._call.progress.outside])

    def ended(self, side: Side, event: PromptEnded) -> Event | None:
        """Handle the end of a prompt; return the event for the call's table, or None."""
        played = _PLAY_OF.get(event.tag)
        if played is Play.FAILED:
            return ToneEnded()
        if side is not self._call.progress.outside:
            return None
        if played is Play.NOTICE:
            self.notice_ended = utc_now()
            is_complete = event.complete and self._was_received(side, event)
            self._call.services.tallies.notices.add(COMPLETE if is_complete else CUT_SHORT)
            if not is_complete and self._was_held and self._call.progress.state in _ANNOUNCING:
                self.play(PlayTo(side, Play.NOTICE))  # a hold must not be a way to skip the notice
                return None
            if is_complete and self._call.parties[side] is self._hearer:
                self._call.parties[side] = replace(self._hearer, is_told=True)
            return NoticeEnded(complete=is_complete)
        if played is not Play.SECOND:
            return None
        self._call.recording.second_message_ended(is_complete=event.complete)
        return SecondEnded()

    def proof(self, *, second_message: bool) -> NoticeProof:
        """Return the proof of the notice; ``second_message`` is whether the second message was begun."""
        first = self._announcements.first
        is_complete = bool(self._call.progress.notice_complete)
        return NoticeProof(
            id=first.id,
            sha256=first.sha256,
            started_at=self.notice_began,
            ended_at=self.notice_ended,
            complete=is_complete,
            proof="heard" if is_complete else "none",
            second_message=second_message,
            messages=first.heard,
        )

    def _listen(self, party: PartyMedia) -> None:
        party.leg.listen(DtmfPolicy.SWALLOW, tones=self._call.services.config.media.detect_tones)

    def _sound(self, what: Play) -> Prompt:
        sounds, announcements = self._sounds, self._announcements
        return {
            Play.NOTICE: announcements.first.prompt,
            Play.SECOND: (announcements.second or announcements.first).prompt,
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
