"""The acts of key sequences: pause, resume, card rule, opt-out by PIN, sign-on; and their confirmations.

`recorder.calls.keypad` recognises the keys. Call thread only.
"""

import logging
import time
from collections.abc import Callable, Collection
from concurrent.futures import Future
from functools import partial

from audio.types import Prompt
from recorder import permissions as access
from recorder.access.pins import PinAnswer
from recorder.access.sign_on_codes import SignOnCode
from recorder.calls.acts import ActEntry, PauseAnswer, audit_refusal
from recorder.calls.call_facts import facts_of
from recorder.calls.component import Component
from recorder.calls.group_acts import Done, GroupActs, audited_each, combined
from recorder.calls.opt_out_acts import OptOutActs
from recorder.calls.recordable_call import RecordableCall
from recorder.calls.recording_controls import RecordingControls
from recorder.calls.rules.call_events import CallState, Side
from recorder.calls.signing_on import SIGN_ON, sign_on
from recorder.rules.limits import RateLimit
from recorder.rules.live_access import Permit, Source, permit_of
from recorder.rules.pausing import AGENT, CARD_DIGITS, PauseState, RefusedError

_log = logging.getLogger(__name__)

OPT_OUT = "call.opt_out"
PAUSE, RESUME = "call.pause", "call.resume"
INFO = "call.info"

MOST_ACTS, ACTS_WITHIN_S = 10, 10.0
"""Most acts by keys in this time: more are a fault or a flood, and each writes an audit entry."""


CARD_REPEATED = "card_pauses_repeated"
"""The alarm: each pause by digits erases the last seconds, so a caller could evade recording by pressing keys."""
CARD_PAUSES = 3
"""Pauses in one call that raise the alarm. A caller who mistypes a card number causes two."""


class KeyActs(Component[RecordableCall]):
    """The acts of the keys on one side of a call. An internal call has an officer on either side.

    Args:
        side: The side of the keys.
    """

    def __init__(self, call: RecordableCall, controls: RecordingControls, groups: GroupActs, side: Side) -> None:
        super().__init__(call)
        self._controls = controls
        self._groups = groups
        self._side = side
        self._sounds = call.services.sounds
        self._limit = RateLimit(MOST_ACTS, ACTS_WITHIN_S)
        self._card_pauses = 0
        """Pauses by the caller's digits since the last card payment."""

    def pause(self) -> None:
        """Pause for the officer. Over the rate limit the pause is skipped only if it holds already."""
        if self._is_flooded() and AGENT in self._controls.lasting_reasons:
            return
        permit = permit_of(Source.OFFICER_KEYS, access.Act.PAUSE)
        at = (self._call.extension_on(self._side),)
        self._by_officer(PAUSE, lambda by: self._pause(AGENT, by, permit, at), self._sounds.paused)

    def resume(self) -> None:
        """Resume for the officer."""
        if not self._is_flooded():
            permit = permit_of(Source.OFFICER_KEYS, access.Act.RESUME)
            resume = partial(self._groups.resume, [self._controls], permit.authority)
            self._by_officer(RESUME, resume, self._sounds.resumed)

    def _pause(self, reason: str, by: str, permit: Permit, at: Collection[str] = ()) -> Done:
        return self._groups.pause([self._controls], reason, by, at=at, may_discard=permit.may_discard)

    def pause_for_card(self) -> None:
        """Pause because the outside party keyed digits that look like a card number."""
        if CARD_DIGITS in self._controls.lasting_reasons:
            self._groups.credit(self._controls, CARD_DIGITS)
            return
        by = "rule:card_digits"
        try:
            permit = permit_of(Source.CALLER_DIGITS, access.Act.PAUSE)
            done = self._pause(CARD_DIGITS, by, permit)
        except RefusedError:
            return  # recording has ended for the rest of the call
        self._count_card_pause()
        # The officer must know, because any caller can stop the recording by keying four digits.
        self._confirm(self._audited(done, PAUSE, by), self._sounds.paused)

    def _count_card_pause(self) -> None:
        call, pause_reasons = self._call, self._controls.recording.pause_reasons
        if pause_reasons.was_paid:
            self._card_pauses, pause_reasons.was_paid = 0, False
        self._card_pauses += 1
        if self._card_pauses >= CARD_PAUSES:
            call.services.alarm(CARD_REPEATED)
            call.services.publish({"event": "alarm", "alarm": CARD_REPEATED, "id": call.id})
            _log.warning(
                "call %s: the caller's digits paused it %d times, and no payment was made",
                call.id,
                self._card_pauses,
            )

    def opt_out(self, pin: str | None) -> None:
        """Check a manager's PIN, and grant an opt-out; None is an incomplete entry, which does not count as a try."""
        if pin is None or self._is_flooded():
            self._call.tell_officer(self._sounds.refused, self._side)
            return
        call = self._call
        checked = call.services.pins.check(
            pin, facts_of(self._controls.recording), extension=call.extension_on(self._side)
        )
        is_checked = self._with_call(self._pin_checked)
        checked.add_done_callback(lambda done: call.services.scheduler.submit(is_checked, done.result()))

    def _pin_checked(self, answer: PinAnswer) -> None:
        if answer.manager is None:
            self._refuse(OPT_OUT, self._officer, "the keys are locked" if answer.is_locked else "the PIN is wrong")
            return
        if self._call.progress.state is not CallState.JOINED:
            self._refuse(OPT_OUT, answer.manager, "the call has ended")
            return
        try:
            done = OptOutActs(self._call.services, self._groups).grant_by_keys(self._controls, answer.manager)
        except RefusedError as error:
            self._refuse(OPT_OUT, answer.manager, str(error))
            return
        self._confirm(done, self._sounds.ended)

    def sign_on(self, keyed: str | None) -> None:
        """Sign on the operator to whom the keyed code was issued; None is an incomplete entry."""
        if keyed is None or self._is_flooded():
            self._call.tell_officer(self._sounds.refused, self._side)
            return
        call, number = self._call, self._call.extension_on(self._side)
        extension = call.services.config.extensions.get(number)
        if extension is None or number not in call.numbers:  # the party on this side is not nominated
            self._refuse(SIGN_ON, self._officer, "this is not the phone of a nominated extension")
            return
        code = call.services.sign_on_codes.take(number, keyed)
        if code is None:
            self._refuse(SIGN_ON, self._officer, f"no such code waits for extension {number}")
            return
        details = {"carrier": "keys", "call": call.id}
        done = sign_on(
            call.services, extension, account=code.account, operator=code.operator, is_proven=True, details=details
        )
        signed_on = self._with_call(self._signed_on)
        done.add_done_callback(lambda future: call.services.scheduler.submit(signed_on, code, future.exception()))

    def _signed_on(self, code: SignOnCode, error: BaseException | None) -> None:
        if error is not None:
            self._refuse(SIGN_ON, code.account, "it could not be stored")
            return
        self._controls.recording.operators.prove(code.extension, code.operator)
        self._call.tell_officer(self._sounds.signed_on, self._side)

    def refuse_info(self, why: str, *, is_outside: bool) -> None:
        """Write an audit entry for an INFO that is ignored.

        Args:
            why: The reason, without any part of the body.
            is_outside: Whether it came from the outside party.
        """
        by = "caller" if is_outside else self._officer
        audit_refusal(
            self._call.services, ActEntry(act=INFO, actor=by, subject=self._call.id, details={"carrier": "info"}), why
        )

    # --- refusals and confirmations

    @property
    def _officer(self) -> str:
        recording = self._controls.recording
        if self._side is self._call.progress.officer:
            return f"officer:{recording.operator}"
        operators = recording.operators.at((self._call.extension_on(self._side),))
        return f"officer:{min(operators, default=recording.operator)}"

    def _is_flooded(self) -> bool:
        if self._limit.allows(time.monotonic_ns()):
            return False
        if self._limit.refused == 1:
            _log.warning("call %s: too many key sequences in a short time; they are ignored", self._call.id)
        return True

    def _by_officer(self, name: str, act: Callable[[str], Done], sound: Prompt) -> None:
        try:
            done = act(self._officer)
        except RefusedError as error:
            self._refuse(name, self._officer, str(error))
            return
        self._confirm(self._audited(done, name, self._officer), sound)

    def _audited(self, done: Done, name: str, by: str) -> "Future[PauseAnswer]":
        """Return the answer once the act is stored, and in the audit log, for every call that it was applied to."""
        return combined(audited_each(self._call.services, done, self._entry(name, by)))

    def _entry(self, name: str, by: str) -> ActEntry:
        return ActEntry(act=name, actor=by, subject=self._call.id, details={"carrier": "keys"})

    def _refuse(self, name: str, by: str, why: str) -> None:
        audit_refusal(self._call.services, self._entry(name, by), why)
        self._call.tell_officer(self._sounds.refused, self._side)

    def _confirm(self, answer: "Future[PauseAnswer]", sound: Prompt) -> None:
        """Play the confirmation once the act is on disk and in the audit log."""
        services, tell = self._call.services, self._with_call(self._tell)
        answer.add_done_callback(lambda done: services.scheduler.submit(tell, done, sound))

    def _tell(self, done: "Future[PauseAnswer]", sound: Prompt) -> None:
        if done.exception() is not None:
            sound = self._sounds.refused
        elif done.result().state is PauseState.DISCARDED:
            return  # `CardDiscard` has told the officer
        elif sound is self._sounds.resumed and done.result().state is not PauseState.RECORDING:
            sound = self._sounds.still_paused
        self._call.tell_officer(sound, self._side)
