"""The recorded part of a bridged call: its recording, its keys, its prompts and its parties. Call thread only.

`recorder.calls.bridged_media` negotiates and joins the media. The recorded part stays in memory after its call has
ended, until the media are closed and the recording is filed.
"""

import logging
from functools import partial

from audio.types import (
    ControlPressed,
    DigitPressed,
    FaxHeard,
    MediaEvent,
    MediaResumed,
    MediaStopped,
    MediaUnauthentic,
    Prompt,
    PromptEnded,
    SecretEntered,
    SourceMoved,
    SourceRefused,
    VoiceHeard,
)
from audio.types import LegId as MediaLegId
from recorder.calls.announcements import CallAnnouncements
from recorder.calls.announcer import Announcer
from recorder.calls.bridged_call import BridgedCall
from recorder.calls.call_interfaces import TransferableCall
from recorder.calls.call_listing import CallListing
from recorder.calls.call_media import CallMedia
from recorder.calls.component import Component
from recorder.calls.early_info import EarlyInfo
from recorder.calls.fax_watch import FaxWatch
from recorder.calls.group_acts import GroupActs
from recorder.calls.keypad import Keypad, card_rule
from recorder.calls.media_errors import source_text
from recorder.calls.recording import Recording, silence_of
from recorder.calls.recording_controls import RecordingControls
from recorder.calls.registry import CallRegistry
from recorder.calls.rules.call_events import CallState, Event, Side
from recorder.calls.rules.keys_by_side import keys_act
from recorder.calls.rules.transfer import Party
from recorder.calls.second_message import SecondMessage
from recorder.calls.silence_probe import SilenceProbe
from recorder.rules.outcome import Facts
from recorder.rules.policy import Extension, Nomination, recording_id
from sip.events import Body
from storage.types import NoticeProof

_log = logging.getLogger(__name__)


class RecordedCall(Component[TransferableCall], BridgedCall):
    """The recorded part of one call.

    Args:
        nomination: The extension for which the call is recorded, and the call's direction.
        random_hex: Makes the id unique.
        thread: Index of the media thread that has the call.
        announcements: The messages that are played in it.
    """

    second: SecondMessage

    def __init__(
        self,
        call: TransferableCall,
        nomination: Nomination,
        *,
        random_hex: str,
        thread: int,
        announcements: CallAnnouncements,
        registry: CallRegistry,
        groups: GroupActs,
    ) -> None:
        super().__init__(call)
        self.services, self.clock, self.progress = call.services, call.clock, call.progress
        self.legs, self.parties = call.legs, call.parties
        self._offered = call.offered
        self._registry = registry
        self.id = recording_id(
            self.clock.started_at, nomination.extension.number, random_hex, is_selftest=nomination.is_selftest
        )
        self.recording = Recording(self, nomination, self.services.config.service_of(nomination.extension))
        card = card_rule(self.services.config.pause)
        self.controls = RecordingControls(self.recording, card.forget)
        self.keypad = Keypad(self, self.controls, groups, card)
        self.sides = CallMedia(self, thread)
        self.announcer = Announcer(self, self.recording.sounds, announcements)
        self.second = second = SecondMessage(self, self.recording, announcements.second)
        self.listing = CallListing(self.recording, self.controls, lambda: second.state, groups)
        self.early_info = EarlyInfo(self.id)
        self.fax = FaxWatch(self, self.controls)
        self._silence = SilenceProbe(self)

    @property
    def parts(self) -> tuple[object, ...]:
        """Return what `RecordedPart.parts` says, the media of both parties, and early INFO bodies."""
        return (*super().parts, self.sides, *self.sides.values(), self.early_info, self.fax, self.announcer)

    # --- events

    def apply(self, event: Event) -> None:
        """Apply an event to the call's table, and carry out the commands that it returns."""
        self._call.apply(event)

    def adopt_media(self, leg: MediaLegId) -> None:
        """Hand the events of a media leg to this call from now on."""
        self._registry.adopt_media(leg, self._call)

    def receive_media(self, event: MediaEvent, leg: MediaLegId) -> None:
        """Handle an event of one of the call's media legs."""
        side = self.sides.side_of(leg)
        if side is None:
            return
        match event:
            case PromptEnded():
                call_event = None if self.second.ended(event) else self.announcer.ended(side, event)
                if call_event is not None:
                    self.apply(call_event)
            case ControlPressed() if self.has_keys(side):
                self.keypad.control(event.keys, event.source, side)
            case SecretEntered() if self.has_keys(side):
                self.keypad.secret(event.prefix, event.digits if event.is_complete else None, event.source, side)
            case DigitPressed() if side is self.progress.outside:
                self.keypad.digit(event.digit, event.source)
            case FaxHeard() | VoiceHeard():
                self.fax.take(side, event)
            case MediaStopped():
                _log.warning("call %s: no RTP on side %s for %.0f s", self.id, side.value, event.silent_s)
                self._silence.fell_silent(side)
            case MediaResumed():
                _log.info("call %s: RTP again on side %s", self.id, side.value)
                self._silence.heard(side)
            case MediaUnauthentic():
                _log.error(
                    "call %s: %d packets of side %s failed SRTP authentication", self.id, event.packets, side.value
                )
                self.services.alarm("srtp_unauthentic")
            case SourceRefused() | SourceMoved():
                level = logging.WARNING if isinstance(event, SourceRefused) else logging.INFO
                _log.log(level, "call %s: side %s: %s", self.id, side.value, source_text(event))
            case _:
                pass

    def pass_info(self, side: Side, body: Body) -> None:
        """Send an INFO of one side on to the other, once the sides are joined."""
        other = self.legs.of(side.other)
        if not self.progress.was_joined:
            self.early_info.keep(side, body)
        elif other is not None:
            self.services.endpoint.send_info(other, body)

    # --- parties

    @property
    def caller(self) -> str:
        """Return the caller's number."""
        return self._offered.asserted_user or self._offered.from_user

    @property
    def called(self) -> str:
        """Return the dialled number."""
        return self._offered.request_user

    @property
    def numbers(self) -> frozenset[str]:
        """Return the nominated extensions that are on the call now."""
        return self.parties.numbers

    @property
    def officer_extension(self) -> str:
        """Return the extension on the officer's side now."""
        extension = self.parties.officer
        return extension.number if extension is not None else self.recording.nomination.extension.number

    def has_keys(self, side: Side) -> bool:
        """Tell whether key sequences of a side control the recording; on an internal call those of both do."""
        return keys_act(side, officer=self.progress.officer, there=self.parties[side].extension)

    def extension_on(self, side: Side) -> str:
        """Return the nominated extension on a side; `officer_extension` if there is none."""
        extension = self.parties[side].extension
        return extension.number if extension is not None else self.officer_extension

    @property
    def ends(self) -> tuple[Party, Extension] | None:
        """Return the outside party and the officer's extension now."""
        officer = self.parties.officer
        has_both_legs = None not in (self.legs.a, self.legs.b)  # a transfer may have given one to another call
        return (self.parties.outside, officer) if officer is not None and has_both_legs else None

    @property
    def is_held(self) -> bool:
        """Tell whether a party has put the call on hold (SIP hold)."""
        return self.sides.is_held

    # --- output

    def tell_officer(self, sound: Prompt, side: Side | None = None) -> None:
        """Play a confirmation to an officer, if the sides are joined; before, other prompts are played to them."""
        if self.progress.state is CallState.JOINED:
            self.sides[side or self.progress.officer].leg.play(sound, tag=0)

    @property
    def proof(self) -> NoticeProof:
        """Return the proof that the notice was played."""
        return self.announcer.proof(second_message=self.progress.second_played)

    @property
    def is_listed(self) -> bool:
        """Return True: every recorded call is listed."""
        return True

    def publish(self) -> None:
        """Publish the call's state, if anybody watches."""
        if self.services.is_watched():
            self.services.publish({"event": "call", **self.listing.as_json()})

    # --- the end

    @property
    def media_legs(self) -> list[MediaLegId | None]:
        """Return the media legs of both sides."""
        return [party.leg.id for party in self.sides.values()]

    def close(self, end: str) -> None:
        """Close the media of both sides, then the recording."""
        recording, was_cut_off = self.recording, self.progress.was_cut_off
        outside, officer = (self.sides[side].codec_name for side in (self.progress.outside, self.progress.officer))
        silent_s = silence_of(self.services.relay, self.media_legs) if was_cut_off else 0.0
        self.sides.close()
        facts = Facts(
            end=end,
            was_joined=self.progress.was_joined,
            blocked=recording.blocked,
            fault=recording.fault,
            is_cut_off=was_cut_off,
        )
        close = partial(recording.close, facts, (outside, officer), self.clock.now, silent_s=silent_s)
        self.controls.discard.when_decided(recording.with_call(close))
