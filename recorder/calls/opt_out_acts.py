"""The steps of the opt-out workflow on calls in progress: decided, done, stored, told. Call thread only.

Who may take a step is `recorder.rules.opt_out`'s; console, command line and the manager's keys all come through here.
"""

import contextlib
import secrets
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from recorder.calls.acts import Act, ActEntry, PauseAnswer, audited, place_order, write_entry
from recorder.calls.call_facts import facts_of
from recorder.calls.call_services import CallServices
from recorder.calls.group_acts import GroupActs, combined
from recorder.calls.opt_out_register import DECLINED, GRANTED, LAPSED, RAISED
from recorder.calls.recording_controls import RecordingControls
from recorder.common.clock import utc_now
from recorder.permissions import DeniedError, Fault, Person
from recorder.rules.live_access import NOTHING_KNOWN, Around
from recorder.rules.live_facts import CallFacts
from recorder.rules.opt_out import (
    OptOutRequest,
    OptOutState,
    OptOutStep,
    Statements,
    check_decline,
    check_grant,
    check_raise,
)
from recorder.rules.pausing import RefusedError
from storage.erasures import new_order_id
from storage.retention_types import ErasureKind, ErasureOrder, ErasureState
from storage.types import RecordingId

KEYS = Statements(caller_asked=True, distress_judged=True)
"""What a manager states by keying their PIN on the officer's phone: the keys have no other meaning."""


Answer = Future[PauseAnswer]
"""What was done, once it is stored and signed; OSError when it could not be stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOutGrant:
    """What somebody who grants an opt-out says with it.

    Attributes:
        statements: What they put their name to.
        reason: Why; free text.
        erase_before: Erase what was recorded before; None leaves it to the service's rule.
        details: How the order came, for the audit log.
        around: What else is known of who grants it.
    """

    statements: Statements
    reason: str
    erase_before: bool | None
    details: dict[str, Any]
    around: Around = NOTHING_KNOWN


class OptOutActs:
    """The steps; keeps nothing itself: requests are in ``services.opt_outs``."""

    def __init__(self, services: CallServices, groups: GroupActs) -> None:
        self._services = services
        self._groups = groups

    def ask(
        self,
        controls: RecordingControls,
        person: Person,
        reason: str,
        details: dict[str, Any],
        around: Around = NOTHING_KNOWN,
    ) -> "Future[OptOutRequest]":
        """Raise a request; the answer comes, and managers are told, once it is stored.

        Raises:
            DeniedError: They may not, one is open already, or recording has ended for good.
        """
        check_raise(person, facts_of(controls.recording), around)
        if controls.recording.pause_reasons.final is not None:
            raise DeniedError(Fault.TOO_LATE, "Recording of this call has ended for good already.")
        if any(self._services.opt_outs.open_of(one.id) for one in self._conversation(controls)):
            raise DeniedError(Fault.TOO_LATE, "This has been asked for already; a manager has yet to decide.")
        request = _new_request(facts_of(controls.recording), person, reason)
        return self._stored(request, RAISED, person.actor, reason, details, undo=lambda: self._forget(request))

    def decline(
        self,
        request_id: str,
        controls: RecordingControls,
        person: Person,
        *,
        reason: str,
        details: dict[str, Any],
        around: Around,
    ) -> "Future[OptOutRequest]":
        """Decline a request; the call goes on being recorded.

        Raises:
            UnknownRequestError: There is no such request.
            DeniedError: They may not, or it is decided already.
        """
        request = self._services.opt_outs.get(request_id)
        check_decline(person, facts_of(controls.recording), reason, around)
        declined = request.after(OptOutStep.DECLINE, at=utc_now(), by=person.actor)
        return self._stored(declined, DECLINED, person.actor, reason, details, undo=lambda: self._restore(request))

    def grant(self, request: OptOutRequest, controls: RecordingControls, person: Person, order: OptOutGrant) -> Answer:
        """Grant a request: recording ends at once, for the rest of the call.

        Raises:
            DeniedError: They may not, something is missing, or it is decided already.
            RefusedError: Recording has ended for good already.
        """
        self.check(controls, person, order)
        return self._grant(request, controls, person.actor, order)

    def check(self, controls: RecordingControls, person: Person, order: OptOutGrant) -> None:
        """Make sure that somebody may grant an opt-out of a call.

        Raises:
            DeniedError: They may not, or something is missing.
        """
        for one in self._conversation(controls):  # nobody decides on a conversation that they are in
            check_grant(person, facts_of(one.recording), order.statements, order.reason, order.around)

    def grant_directly(self, controls: RecordingControls, person: Person, order: OptOutGrant) -> Answer:
        """Grant what nobody has raised, or what is open of the call: raised and granted in one.

        Raises:
            DeniedError: They may not, or something is missing.
            RefusedError: Recording has ended for good already.
        """
        open_request = self._services.opt_outs.open_of(controls.id)
        request = open_request or _new_request(facts_of(controls.recording), person, order.reason)
        return self.grant(request, controls, person, order)

    def grant_by_keys(self, controls: RecordingControls, manager: str) -> Answer:
        """Grant an opt-out on the word of a manager whose PIN was right: `people.pins` has asked the same rules.

        Raises:
            RefusedError: Recording has ended for good already.
        """
        open_request = self._services.opt_outs.open_of(controls.id)
        request = open_request or OptOutRequest(
            id=secrets.token_hex(4), facts=facts_of(controls.recording), raised_by=manager, raised_at=utc_now()
        )
        order = OptOutGrant(statements=KEYS, reason="", erase_before=None, details={"carrier": "keys"})
        return self._grant(request, controls, manager, order)

    def call_ended(self, call: RecordingId) -> None:
        """Let what is open of a call lapse, and forget the call's requests."""
        for request in self._services.opt_outs.of_call(call):
            self._services.opt_outs.drop(request.id)
            if request.state is OptOutState.RAISED:
                lapsed = request.after(OptOutStep.LAPSE, at=utc_now())
                self._write(lapsed, LAPSED, "recorder", "", {"why": "call_ended"})
                self._publish(lapsed)
                self._services.opt_outs.save()

    def _conversation(self, controls: RecordingControls) -> list[RecordingControls]:
        """Return a recording and the others in progress of the same conversation."""
        return [controls, *self._groups.same_conversation(controls), *controls.twins]

    # --- done, stored, told

    def _grant(self, request: OptOutRequest, controls: RecordingControls, by: str, order: OptOutGrant) -> Answer:
        granted = request.after(OptOutStep.GRANT, at=utc_now(), by=by)
        is_erasing = request.facts.erase_on_opt_out if order.erase_before is None else order.erase_before
        act = controls.opt_out_only("opt_out", by)  # of this one only: its twins have an erasure of their own
        self._services.opt_outs.put(granted)
        details = {
            **order.details,
            "request": request.id,
            "raised_by": request.raised_by,
            "caller_asked": order.statements.caller_asked,
            "distress_judged": order.statements.distress_judged,
            "erase_before": is_erasing,
        }
        signature = ActEntry(act=GRANTED, actor=by, subject=controls.id, details=details, text=order.reason)
        acts = [(controls.id, act), *self._on_others(controls, by)]
        told = combined(
            [
                audited(self._services, self._with_erasure(one, of, by) if is_erasing else one, _through(signature, of))
                for of, one in acts
            ]
        )
        told.add_done_callback(lambda _: self._services.scheduler.submit(self._decided, granted))
        return told

    def _on_others(self, controls: RecordingControls, by: str) -> list[tuple[RecordingId, Act]]:
        """Stop the other recordings of the conversation: whoever asked is not to be recorded by those either."""
        acts = []
        for other in self._conversation(controls)[1:]:
            with contextlib.suppress(RefusedError):  # it has ended for good already
                acts.append((other.id, other.opt_out_only("opt_out", by)))
            asked = self._services.opt_outs.open_of(other.id)
            if asked is not None:  # the same wish, raised before it was known to be one conversation
                self._services.opt_outs.put(asked.after(OptOutStep.GRANT, at=utc_now(), by=by))
        return acts

    def _decided(self, request: OptOutRequest) -> None:
        self._services.opt_outs.save()
        self._publish(request)

    def _with_erasure(self, act: Act, call: RecordingId, by: str) -> Act:
        """Return an act that is done when the order to erase what was recorded before it is stored too."""
        done = Act()

        def stopped(stored: Act) -> None:
            error = stored.exception()
            if error is not None:
                done.set_exception(error)
                return
            answer = stored.result()
            if answer.position_s <= 0:  # nothing was recorded
                done.set_result(answer)
                return
            order = _erasure(call, answer.position_s, by)
            passed_on = replace(answer, erasure=order)
            place_order(self._services, order).add_done_callback(lambda one: _pass_on(one, done, passed_on))

        act.add_done_callback(stopped)
        return done

    def _stored(
        self,
        request: OptOutRequest,
        act: str,
        by: str,
        reason: str,
        details: dict[str, Any],
        *,
        undo: Callable[[], None],
    ) -> "Future[OptOutRequest]":
        """Return a request once it is in the audit log and in the file; undone where it could not be written."""
        self._services.opt_outs.put(request)
        told: Future[OptOutRequest] = Future()

        def on_disk(entry: "Future[None]") -> None:
            error = entry.exception()
            if error is not None:
                self._services.scheduler.submit(undo)
                told.set_exception(error)
            else:
                self._services.scheduler.submit(self._publish, request)
                told.set_result(request)

        self._services.opt_outs.save()
        self._write(request, act, by, reason, details).add_done_callback(on_disk)
        return told

    def _forget(self, request: OptOutRequest) -> None:
        self._services.opt_outs.drop(request.id)
        self._services.opt_outs.save()

    def _restore(self, request: OptOutRequest) -> None:
        if any(one.id == request.id for one in self._services.opt_outs.all()):  # else the call has ended meanwhile
            self._services.opt_outs.put(request)
            self._services.opt_outs.save()

    def _write(self, request: OptOutRequest, act: str, by: str, reason: str, details: dict[str, Any]) -> "Future[None]":
        facts = {"request": request.id, "raised_by": request.raised_by, "team": request.facts.team, **details}
        return write_entry(
            self._services, ActEntry(act=act, actor=by, subject=request.facts.call, details=facts, text=reason)
        )

    def _publish(self, request: OptOutRequest) -> None:
        """Tell listeners that a request has changed. Why is not theirs to know: the stream goes to everybody."""
        facts = request.facts
        self._services.publish(
            {"event": "opt_out", "id": request.id, "call": facts.call, "state": request.state.value, "team": facts.team}
        )


def _through(signature: ActEntry, call: RecordingId) -> ActEntry:
    """Return the entry for one of the recordings of a conversation: others name the one that was decided on."""
    if call == signature.subject:
        return signature
    return replace(signature, subject=call, details={**signature.details, "through": signature.subject})


def _new_request(facts: CallFacts, person: Person, reason: str) -> OptOutRequest:
    return OptOutRequest(
        id=secrets.token_hex(4), facts=facts, raised_by=person.actor, raised_at=utc_now(), reason=reason
    )


def _erasure(call: RecordingId, position_s: float, by: str) -> ErasureOrder:
    """Return the order to erase what was said before an opt-out; it always waits for a second person."""
    return ErasureOrder(
        id=new_order_id(),
        recording=call,
        start_s=0.0,
        end_s=round(position_s, 4),
        kind=ErasureKind.OPT_OUT,
        ordered_by=by,
        ordered_at=utc_now(),
        state=ErasureState.WAITING,
    )


def _pass_on(stored: "Future[None]", done: Act, answer: PauseAnswer) -> None:
    error = stored.exception()
    if error is not None:
        done.set_exception(error)
    else:
        done.set_result(answer)
