"""The keys of one recorded call, whatever carries them: officers' control keys and the outside party's digits.

An internal call has an officer on either side. The keys of both act, each for the extension and the officer there.

Runs on the call thread. The media core has dealt with RFC 4733 and tones already: it withheld control keys and secret
entries, and silenced the outside party's digits. SIP INFO is dealt with here, by the same rules. What the keys then do
is `recorder.calls.key_acts`.
"""

import logging
import time
from collections.abc import Callable

from audio.dtmf import SAME_PRESS_NS, CardRule, ControlAction, ControlMatcher, InfoDigitError, parse_info_digit
from audio.types import DigitSource
from recorder.calls.component import Component
from recorder.calls.group_acts import GroupActs
from recorder.calls.key_acts import KeyActs
from recorder.calls.recordable_call import RecordableCall
from recorder.calls.recording_controls import RecordingControls
from recorder.calls.rules.call_events import SecondWanted, Side
from recorder.config.settings import Pause
from recorder.rules.limits import RateLimit
from sip.events import Body

_log = logging.getLogger(__name__)

INFO_MASK_BEFORE_S = 0.6
INFO_MASK_AFTER_S = 0.4
"""An INFO comes after its tone began, by an unknown time: what may hold the tone is silenced."""

STAR_WAIT_S = 1.6
"""A little over the time that a held ``*`` waits for its second key."""

SECRET_LOOK_S = 1.0
"""How often a secret entry by INFO is looked at, to end when nobody keys on."""

MOST_INFOS, INFOS_WITHIN_S = 50, 2.0
"""More INFOs of one side in so short a time are no person's keys: they are neither counted nor passed on."""
_MOST_IGNORED = 8
"""Entries of the audit log, for each call, about INFO that is ignored."""


def card_rule(settings: Pause) -> CardRule:
    """Return what counts the digits of one call's outside party."""
    return CardRule(digits=settings.card_digits, within_s=settings.card_window_s)


class Keypad(Component[RecordableCall]):
    """The keys of one call.

    Args:
        call: The call.
        controls: What is done to its recording.
        groups: Acts on more than one recording.
        card: Counts the outside party's digits.
    """

    def __init__(self, call: RecordableCall, controls: RecordingControls, groups: GroupActs, card: CardRule) -> None:
        super().__init__(call)
        self._recording = controls.recording
        self._acts = {side: KeyActs(call, controls, groups, side) for side in Side}
        self._card = card
        config = call.services.config
        self._second_key = config.notice.second_key
        self._control: dict[str, Callable[[KeyActs], None]] = {
            config.pause.pause_keys: KeyActs.pause,
            config.pause.resume_keys: KeyActs.resume,
        }
        entries = {config.pause.manager_keys: KeyActs.opt_out, config.sign_on_keys: KeyActs.sign_on}
        self._entries: dict[str, Callable[[KeyActs, str | None], None]] = {
            prefix: act for prefix, act in entries.items() if prefix is not None
        }
        self._secret = tuple(self._entries)
        self._matchers = {side: ControlMatcher(frozenset(self._control), frozenset(self._secret)) for side in Side}
        self._last: dict[tuple[Side, str], tuple[DigitSource, int]] = {}
        self._looking: set[Side] = set()
        self._infos = {side: RateLimit(MOST_INFOS, INFOS_WITHIN_S) for side in Side}
        self._ignored: set[tuple[Side, str]] = set()

    @property
    def control_keys(self) -> tuple[str, ...]:
        """Return the sequences that the media core is to withhold."""
        return tuple(self._control)

    @property
    def secret_keys(self) -> tuple[str, ...]:
        """Return the prefixes after which the media core is to withhold every key; none where it is off."""
        return self._secret

    def digit(self, digit: str | None, carrier: DigitSource) -> None:
        """Take a digit of the outside party; None where the media core keeps its value to itself."""
        if not self._call.progress.was_joined:
            if digit == self._second_key:
                self._call.apply(SecondWanted())
            return
        heard = digit if carrier is DigitSource.INBAND else None
        if self._card.count(self._call.services.lateness.asked_ns, carrier, heard=heard):
            self._acts[self._call.progress.officer].pause_for_card()

    def control(self, keys: str, carrier: DigitSource, side: Side) -> None:
        """Take a control sequence of the officer on a side."""
        if self._call.progress.was_joined and keys in self._control and not self._is_repeat(keys, carrier, side):
            self._control[keys](self._acts[side])

    def secret(self, prefix: str, digits: str | None, carrier: DigitSource, side: Side) -> None:
        """Take what was keyed after a secret prefix by the officer on a side; None when it was broken off."""
        if self._call.progress.was_joined and prefix in self._secret and not self._is_repeat(prefix, carrier, side):
            self._entries[prefix](self._acts[side], digits)

    def _is_repeat(self, keys: str, carrier: DigitSource, side: Side) -> bool:
        """Tell whether keys have come already by another carrier: a telephone may send a tone and an INFO of it."""
        now_ns = time.monotonic_ns()
        other, at_ns = self._last.get((side, keys), (carrier, 0))
        if other is not carrier and now_ns - at_ns <= SAME_PRESS_NS:
            return True
        self._last[side, keys] = (carrier, now_ns)
        return False

    # --- SIP INFO

    def info(self, side: Side, body: Body) -> None:
        """Take an INFO: digits by the rules of their side, anything else is passed on."""
        is_outside = side is self._call.progress.outside
        try:
            digit = parse_info_digit(body.content_type, body.content)
        except InfoDigitError as error:
            self._ignore(side, str(error))
            return
        if digit is not None and is_outside:  # silenced however fast they come
            self._recording.mask_around_now(INFO_MASK_BEFORE_S, INFO_MASK_AFTER_S)
        if self._is_flood(side):
            return
        if digit is None:
            self._call.pass_info(side, body)
        elif is_outside and not (self._call.progress.was_joined and self._call.has_keys(side)):
            self._outside_info(digit, body)
        else:
            for action in self._matchers[side].press(digit, time.monotonic_ns()):
                self._officer_info(side, action, digit, body)

    def _is_flood(self, side: Side) -> bool:
        limit = self._infos[side]
        if limit.allows(time.monotonic_ns()):
            return False
        if limit.refused == 1:
            _log.warning("call %s: a flood of INFO from side %s is ignored", self._call.id, side.value)
            self._ignore(side, f"more than {MOST_INFOS} INFO in {INFOS_WITHIN_S:g} s")
        return True

    def _ignore(self, side: Side, why: str) -> None:
        """Write down why INFO of a side is ignored: once for each reason, whoever sends more fills no log."""
        if (side, why) not in self._ignored and len(self._ignored) < _MOST_IGNORED:
            self._ignored.add((side, why))
            self._acts[side].refuse_info(why, is_outside=not self._call.has_keys(side))

    def _outside_info(self, digit: str, body: Body) -> None:
        self.digit(digit, DigitSource.INFO)
        is_ours = digit == self._second_key and not self._call.progress.was_joined
        if not self._recording.service.mask_card_digits and not is_ours:
            self._call.pass_info(self._call.progress.outside, body)

    def _officer_info(self, side: Side, action: ControlAction, digit: str, body: Body) -> None:
        if action in _SECRET:
            self._secret_info(side, action)
        if action is ControlAction.SWALLOW:
            self.control("*" + digit, DigitSource.INFO, side)
        if action in (ControlAction.REPLAY, ControlAction.REPLAY_AND_HOLD, ControlAction.REPLAY_AND_PASS):
            self._replay_star(side, body.content_type)
        if action in (ControlAction.PASS, ControlAction.REPLAY_AND_PASS):
            if side is self._call.progress.outside:
                self.digit(digit, DigitSource.INFO)
            self._call.pass_info(side, body)
        if action in (ControlAction.HOLD, ControlAction.REPLAY_AND_HOLD):
            release = self._with_call(self._release_star)
            self._call.services.scheduler.call_later(STAR_WAIT_S, release, side, body.content_type)

    def _release_star(self, side: Side, content_type: str) -> None:
        if ControlAction.REPLAY in self._matchers[side].wait(time.monotonic_ns()):
            self._replay_star(side, content_type)

    def _replay_star(self, side: Side, content_type: str) -> None:
        is_relay = content_type.split(";", 1)[0].strip().lower() == "application/dtmf-relay"
        content = b"Signal=*\r\nDuration=160\r\n" if is_relay else b"*"
        self._call.pass_info(side, Body(content=content, content_type=content_type))

    def _secret_info(self, side: Side, action: ControlAction) -> None:
        """Take a key of a secret entry: nothing of it goes anywhere, nor may its tone be in the recording."""
        self._recording.mask_around_now(INFO_MASK_BEFORE_S, INFO_MASK_AFTER_S)
        if action is ControlAction.SECRET:
            if side not in self._looking:
                self._look_later(side)
            return
        keyed = self._matchers[side].take_secret()
        if keyed is not None:
            self.secret(keyed.prefix, keyed.digits if keyed.is_complete else None, DigitSource.INFO, side)

    def _look_later(self, side: Side) -> None:
        self._looking.add(side)
        self._call.services.scheduler.call_later(SECRET_LOOK_S, self._with_call(self._look_at_secret), side)

    def _look_at_secret(self, side: Side) -> None:
        self._looking.discard(side)
        if ControlAction.SECRET_BROKEN in self._matchers[side].wait(time.monotonic_ns()):
            self._secret_info(side, ControlAction.SECRET_BROKEN)
        elif self._matchers[side].is_secret:
            self._look_later(side)


_SECRET = (ControlAction.SECRET, ControlAction.SECRET_ENDED, ControlAction.SECRET_BROKEN)
