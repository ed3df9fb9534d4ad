"""Recognises keys in one recorded call: officers' key sequences and the outside party's digits. Call thread only.

An internal call has an officer on either side. The keys of each act for the extension and officer on their side.

The media core handles RFC 4733 events and in-band DTMF: it withholds key sequences and PIN entries, and silences the
outside party's digits. This module applies the same rules to SIP INFO. `recorder.calls.key_acts` has the acts.
"""

import logging
import time
from collections.abc import Callable
from functools import cached_property

from audio.dtmf import ControlAction, ControlMatcher, InfoDigitError, info_body, parse_info_digit
from audio.types import DigitSource
from recorder.calls.component import Component
from recorder.calls.group_acts import GroupActs
from recorder.calls.key_acts import KeyActs
from recorder.calls.recordable_call import RecordableCall
from recorder.calls.recording_controls import RecordingControls
from recorder.calls.rules.call_events import SecondWanted, Side
from recorder.config.settings import Pause
from recorder.rules.card_digits import SAME_PRESS_NS, CardRule
from recorder.rules.limits import RateLimit
from sip.events import Body

_log = logging.getLogger(__name__)

INFO_MASK_BEFORE_S = 0.6
INFO_MASK_AFTER_S = 0.4
"""Audio silenced around an INFO digit: the INFO comes an unknown time after its tone began."""

STAR_WAIT_S = 1.6
"""Slightly more than the time that a withheld ``*`` waits for its second key."""

SECRET_CHECK_S = 1.0
"""How often a PIN entry by INFO is checked for its time-out."""

MOST_INFOS, INFOS_WITHIN_S = 50, 2.0
"""Most INFO requests of one side in this time: more are not a person's keys, and are ignored."""
_MOST_IGNORED = 8
"""Most audit entries of one call about ignored INFO."""


def card_rule(settings: Pause) -> CardRule:
    """Return the rule that counts the digits of one call's outside party."""
    return CardRule(digits=settings.card_digits, within_s=settings.card_window_s)


class Keypad(Component[RecordableCall]):
    """Recognises the keys of one call.

    Args:
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
        self._last: dict[tuple[Side, str], tuple[DigitSource, int]] = {}
        self._secret_checks: set[Side] = set()
        """Sides for which a check of a PIN entry is scheduled."""
        self._ignored: set[tuple[Side, str]] = set()

    @cached_property
    def _matchers(self) -> dict[Side, ControlMatcher]:
        """Recognise key sequences by INFO on each side; made at the first INFO, which most calls do not have."""
        return {side: ControlMatcher(frozenset(self._control), frozenset(self._secret)) for side in Side}

    @cached_property
    def _infos(self) -> dict[Side, RateLimit]:
        """Limit the INFO requests of each side; made at the first one."""
        return {side: RateLimit(MOST_INFOS, INFOS_WITHIN_S) for side in Side}

    @property
    def control_keys(self) -> tuple[str, ...]:
        """Return the key sequences that the media core withholds."""
        return tuple(self._control)

    @property
    def secret_keys(self) -> tuple[str, ...]:
        """Return the prefixes after which the media core withholds every key; empty if PIN entry is off."""
        return self._secret

    def digit(self, digit: str | None, carrier: DigitSource) -> None:
        """Handle a digit of the outside party; None if the media core does not disclose its value."""
        if not self._call.progress.was_joined:
            if digit == self._second_key:
                self._call.apply(SecondWanted())
            return
        heard = digit if carrier is DigitSource.INBAND else None
        if self._card.count(self._call.services.lateness.asked_ns, carrier, heard=heard):
            self._acts[self._call.progress.officer].pause_for_card()

    def control(self, keys: str, carrier: DigitSource, side: Side) -> None:
        """Handle a key sequence of the officer on a side."""
        if self._call.progress.was_joined and keys in self._control and not self._is_repeat(keys, carrier, side):
            self._control[keys](self._acts[side])

    def secret(self, prefix: str, digits: str | None, carrier: DigitSource, side: Side) -> None:
        """Handle a PIN entry of the officer on a side: the digits after a prefix; None if it is incomplete."""
        if self._call.progress.was_joined and prefix in self._secret and not self._is_repeat(prefix, carrier, side):
            self._entries[prefix](self._acts[side], digits)

    def _is_repeat(self, keys: str, carrier: DigitSource, side: Side) -> bool:
        """Tell whether the same keys came by another carrier just before: a phone may send a tone and an INFO."""
        now_ns = time.monotonic_ns()
        other, at_ns = self._last.get((side, keys), (carrier, 0))
        if other is not carrier and now_ns - at_ns <= SAME_PRESS_NS:
            return True
        self._last[side, keys] = (carrier, now_ns)
        return False

    # --- SIP INFO

    def info(self, side: Side, body: Body) -> None:
        """Handle an INFO: digits by the rules of their side; other bodies are passed on."""
        is_outside = side is self._call.progress.outside
        try:
            digit = parse_info_digit(body.content_type, body.content)
        except InfoDigitError as error:
            self._ignore(side, str(error))
            return
        if digit is not None and is_outside:  # before the flood check, so that every digit is silenced
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
            _log.warning("call %s: too many INFO requests from side %s; they are ignored", self._call.id, side.value)
            self._ignore(side, f"more than {MOST_INFOS} INFO in {INFOS_WITHIN_S:g} s")
        return True

    def _ignore(self, side: Side, why: str) -> None:
        """Write an audit entry for an ignored INFO, once for each side and reason, so that the log cannot be filled."""
        if (side, why) not in self._ignored and len(self._ignored) < _MOST_IGNORED:
            self._ignored.add((side, why))
            self._acts[side].refuse_info(why, is_outside=not self._call.has_keys(side))

    def _outside_info(self, digit: str, body: Body) -> None:
        self.digit(digit, DigitSource.INFO)
        is_second_key = digit == self._second_key and not self._call.progress.was_joined
        if not self._recording.service.mask_card_digits and not is_second_key:
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
        self._call.pass_info(side, Body(content=info_body(content_type, "*"), content_type=content_type))

    def _secret_info(self, side: Side, action: ControlAction) -> None:
        """Handle a key of a PIN entry: it is not passed on, and its tone is silenced in the recording."""
        self._recording.mask_around_now(INFO_MASK_BEFORE_S, INFO_MASK_AFTER_S)
        if action is ControlAction.SECRET:
            if side not in self._secret_checks:
                self._schedule_secret_check(side)
            return
        keyed = self._matchers[side].take_secret()
        if keyed is not None:
            self.secret(keyed.prefix, keyed.digits if keyed.is_complete else None, DigitSource.INFO, side)

    def _schedule_secret_check(self, side: Side) -> None:
        self._secret_checks.add(side)
        self._call.services.scheduler.call_later(SECRET_CHECK_S, self._with_call(self._check_secret), side)

    def _check_secret(self, side: Side) -> None:
        self._secret_checks.discard(side)
        if ControlAction.SECRET_BROKEN in self._matchers[side].wait(time.monotonic_ns()):
            self._secret_info(side, ControlAction.SECRET_BROKEN)
        elif self._matchers[side].is_secret:
            self._schedule_secret_check(side)


_SECRET = (ControlAction.SECRET, ControlAction.SECRET_ENDED, ControlAction.SECRET_BROKEN)
