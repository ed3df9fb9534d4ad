"""The keys of one recorded call, whatever carries them: the officer's control keys and the outside party's digits.

Runs on the call thread. The media core has dealt with RFC 4733 and tones already: it withheld control keys and silenced
the outside party's digits. SIP INFO is dealt with here, by the same rules.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol

from audio.dtmf import CardRule, ControlAction, ControlMatcher, InfoDigitError, parse_info_digit
from audio.types import Prompt
from recorder.acts import Act, PauseAnswer, Signature, signed
from recorder.domain import call as table
from recorder.domain.call import Call, Side
from recorder.domain.pausing import AGENT, CARD_DIGITS, Authority, PauseState, RefusedError
from recorder.works import Works
from sip.events import Body

INFO_MASK_BEFORE_S = 0.6
INFO_MASK_AFTER_S = 0.4
"""An INFO comes after its tone began, by an unknown time: what may hold the tone is silenced."""

STAR_WAIT_S = 1.6
"""A little over the time that a held ``*`` waits for its second key."""


class KeyedCall(Protocol):
    """What the keys act on; `recorder.recorded_call.RecordedCall` is the real one."""

    operator: str
    works: Works
    call: Call

    @property
    def id(self) -> str:
        """The recording's id."""

    @property
    def mask_card_digits(self) -> bool:
        """Tell whether the outside party's digits are kept from the officer."""

    @property
    def pause_reasons(self) -> frozenset[str]:
        """Return what holds the pause."""

    def apply(self, event: table.Event) -> None:
        """Feed the table."""

    def pause(self, reason: str, by: str) -> Act:
        """Pause the recording."""

    def resume(self, authority: Authority, by: str) -> Act:
        """Take away the reasons that an authority may clear."""

    def mask_lately(self, before_s: float, after_s: float) -> None:
        """Silence what was recorded around now."""

    def pass_info(self, side: Side, body: Body) -> None:
        """Send an INFO of one side on to the other."""

    def tell_officer(self, sound: Prompt) -> None:
        """Play a confirmation to the officer."""


class Keypad:
    """What keys do in one call."""

    def __init__(self, call: KeyedCall) -> None:
        self._call = call
        config = call.works.config
        self._sounds = call.works.sounds
        self._second_key = config.notice.second_key
        self._acts: dict[str, Callable[[], None]] = {
            config.pause.pause_keys: self._pause,
            config.pause.resume_keys: self._resume,
        }
        self._matcher = ControlMatcher(frozenset(self._acts))
        self._card = CardRule(digits=config.pause.card_digits, within_s=config.pause.card_window_s)

    @property
    def control_keys(self) -> tuple[str, ...]:
        """Return the sequences that the media core is to withhold."""
        return tuple(self._acts)

    def forget_digits(self) -> None:
        """Count the card rule from nothing again: recording goes on."""
        self._card.forget()

    def digit(self, digit: str | None) -> None:
        """Take a digit of the outside party; its value matters only before the sides are joined."""
        if not self._call.call.was_joined:
            if digit == self._second_key:
                self._call.apply(table.SecondWanted())
        elif self._card.count(time.monotonic_ns()):
            self._pause_for_card()

    def control(self, keys: str) -> None:
        """Take a control sequence of the officer."""
        if self._call.call.was_joined and keys in self._acts:
            self._acts[keys]()

    def info(self, side: Side, body: Body) -> None:
        """Take an INFO: digits by the rules of their side, anything else is passed on."""
        try:
            digit = parse_info_digit(body.content_type, body.content)
        except InfoDigitError:
            return
        if digit is None:
            self._call.pass_info(side, body)
        elif side is self._call.call.outside:
            self._outside_info(digit, body)
        else:
            for action in self._matcher.press(digit, time.monotonic_ns()):
                self._officer_info(action, digit, body)

    # --- the outside party

    def _pause_for_card(self) -> None:
        if CARD_DIGITS in self._call.pause_reasons:
            return
        by = "rule:card_digits"
        try:
            done = self._call.pause(CARD_DIGITS, by)
        except RefusedError:
            return  # recording has ended for good: there is nothing left to pause
        # The officer must know: whoever keys four digits stops the recording of what they say next.
        self._confirm("call.pause", by, done, self._sounds.paused)

    def _outside_info(self, digit: str, body: Body) -> None:
        self._call.mask_lately(INFO_MASK_BEFORE_S, INFO_MASK_AFTER_S)
        self.digit(digit)
        if not self._call.mask_card_digits:
            self._call.pass_info(self._call.call.outside, body)

    # --- the officer

    def _officer_info(self, action: ControlAction, digit: str, body: Body) -> None:
        officer = self._call.call.officer
        if action is ControlAction.SWALLOW:
            self.control("*" + digit)
        if action in (ControlAction.REPLAY, ControlAction.REPLAY_AND_HOLD, ControlAction.REPLAY_AND_PASS):
            self._replay_star(body.content_type)
        if action in (ControlAction.PASS, ControlAction.REPLAY_AND_PASS):
            self._call.pass_info(officer, body)
        if action in (ControlAction.HOLD, ControlAction.REPLAY_AND_HOLD):
            self._call.works.scheduler.call_later(STAR_WAIT_S, self._release_star, body.content_type)

    def _release_star(self, content_type: str) -> None:
        if self._matcher.wait(time.monotonic_ns()):
            self._replay_star(content_type)

    def _replay_star(self, content_type: str) -> None:
        is_relay = content_type.split(";", 1)[0].strip().lower() == "application/dtmf-relay"
        content = b"Signal=*\r\nDuration=160\r\n" if is_relay else b"*"
        self._call.pass_info(self._call.call.officer, Body(content=content, content_type=content_type))

    def _pause(self) -> None:
        self._act("call.pause", lambda by: self._call.pause(AGENT, by), self._sounds.paused)

    def _resume(self) -> None:
        self._act("call.resume", lambda by: self._call.resume(Authority.OFFICER, by), self._sounds.resumed)

    def _act(self, name: str, act: Callable[[str], Act], done_sound: Prompt) -> None:
        by = f"officer:{self._call.operator}"
        try:
            done = act(by)
        except RefusedError:
            self._call.tell_officer(self._sounds.refused)
            return
        self._confirm(name, by, done, done_sound)

    def _confirm(self, name: str, by: str, act: Act, sound: Prompt) -> None:
        """Tell the officer once the act is on disk and in the log: a tone that is heard is a promise."""
        signature = Signature(act=name, actor=by, subject=self._call.id, details={"carrier": "keys"})

        def told(future: "Future[PauseAnswer]") -> None:
            if future.exception() is not None:
                heard = self._sounds.refused
            elif name == "call.resume" and future.result().state is not PauseState.RECORDING:
                heard = self._sounds.still_paused
            else:
                heard = sound
            self._call.works.scheduler.submit(self._call.tell_officer, heard)

        signed(self._call.works, act, signature).add_done_callback(told)
