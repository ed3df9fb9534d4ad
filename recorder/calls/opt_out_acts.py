"""The acts of the opt-out workflow on calls in progress: ask, grant and decline. Call thread only.

Console, command line and a manager's keys all use these. `recorder.rules.opt_out` says who may do what.
"""

import contextlib
import secrets
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from recorder.calls.acts import ActEntry, PauseAnswer, PendingAct, audited, place_order, write_entry
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
    OptOutEvent,
    OptOutRequest,
    OptOutState,
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
"""The statements that a manager makes by keying their PIN on the officer's phone."""


Answer = Future[PauseAnswer]
"""The answer, once it is stored and in the audit log; OSError if it could not be stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOutDecision:
    """A decision to grant an opt-out.

    Attributes:
        reason: Why; free text.
        erase_before: Whether to erase the audio before the opt-out; None is by the service's rule.
        details: Further details for the audit log, such as the carrier.
        around: Facts about the manager from outside the call.
    """

    statements: Statements
    reason: str
    erase_before: bool | None
    details: dict[str, Any]
    around: Around = NOTHING_KNOWN


class OptOutActs:
    """The acts of the opt-out workflow; the requests are in ``services.opt_outs``."""

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
        """Ask for an opt-out; the future is done, and managers are notified, once the request is stored.

        Raises:
            DeniedError: The person may not ask, a request is open already, or recording has ended.
        """
        check_raise(person, facts_of(controls.recording), around)
        if controls.recording.pause_reasons.final is not None:
            raise DeniedError(Fault.TOO_LATE, "Recording of this call has ended already.")
        if any(self._services.opt_outs.open_of(member.id) for member in self._conversation(controls)):
            raise DeniedError(Fault.TOO_LATE, "This has been asked for already; a manager has yet to decide.")
        request = _new_request(facts_of(controls.recording), person, reason)
        return self._store(request, RAISED, person.actor, reason, details, undo=lambda: self._drop(request))

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
        """Decline a request; recording goes on.

        Raises:
            UnknownRequestError: There is no such request.
            DeniedError: The person may not decline it, or it was decided already.
        """
        request = self._services.opt_outs.get(request_id)
        check_decline(person, facts_of(controls.recording), reason, around)
        declined = request.after(OptOutEvent.DECLINE, at=utc_now(), by=person.actor)
        return self._store(declined, DECLINED, person.actor, reason, details, undo=lambda: self._restore(request))

    def grant(
        self, request: OptOutRequest, controls: RecordingControls, person: Person, grant: OptOutDecision
    ) -> Answer:
        """Grant a request: recording ends at once, for the rest of the call.

        Raises:
            DeniedError: The person may not grant it, a statement is missing, or it was decided already.
            RefusedError: Recording has ended already.
        """
        self.check(controls, person, grant)
        return self._grant(request, controls, person.actor, grant)

    def check(self, controls: RecordingControls, person: Person, grant: OptOutDecision) -> None:
        """Check that a person may grant an opt-out of a call, and of every call that ends with it.

        Raises:
            DeniedError: They may not, or a statement is missing.
        """
        # nobody may decide on a conversation that they take part in
        for member in (*self._conversation(controls), *controls.mates):
            check_grant(person, facts_of(member.recording), grant.statements, grant.reason, grant.around)

    def grant_directly(self, controls: RecordingControls, person: Person, grant: OptOutDecision) -> Answer:
        """Grant the open request of a call, or grant an opt-out without a request.

        Raises:
            DeniedError: The person may not grant it, or a statement is missing.
            RefusedError: Recording has ended already.
        """
        open_request = self._services.opt_outs.open_of(controls.id)
        request = open_request or _new_request(facts_of(controls.recording), person, grant.reason)
        return self.grant(request, controls, person, grant)

    def grant_by_keys(self, controls: RecordingControls, manager: str) -> Answer:
        """Grant an opt-out for a manager whose PIN was right; `recorder.access.pins` has checked the same rules.

        Raises:
            RefusedError: Recording has ended already.
        """
        open_request = self._services.opt_outs.open_of(controls.id)
        request = open_request or OptOutRequest(
            id=secrets.token_hex(4), facts=facts_of(controls.recording), raised_by=manager, raised_at=utc_now()
        )
        grant = OptOutDecision(statements=KEYS, reason="", erase_before=None, details={"carrier": "keys"})
        return self._grant(request, controls, manager, grant)

    def call_ended(self, call: RecordingId) -> None:
        """Let open requests of a call lapse, and remove its requests."""
        for request in self._services.opt_outs.of_call(call):
            self._services.opt_outs.drop(request.id)
            if request.state is OptOutState.RAISED:
                lapsed = request.after(OptOutEvent.LAPSE, at=utc_now())
                self._write(lapsed, LAPSED, "recorder", "", {"why": "call_ended"})
                self._publish(lapsed)
                self._services.opt_outs.save()

    def _conversation(self, controls: RecordingControls) -> list[RecordingControls]:
        """Return the controls of a recording, and of the others in progress of the same conversation."""
        return [controls, *self._groups.same_conversation(controls), *controls.twins]

    # --- effects

    def _grant(self, request: OptOutRequest, controls: RecordingControls, by: str, grant: OptOutDecision) -> Answer:
        granted = request.after(OptOutEvent.GRANT, at=utc_now(), by=by)
        is_erasing = request.facts.erase_on_opt_out if grant.erase_before is None else grant.erase_before
        act = controls.opt_out_only("opt_out", by)  # without its twins, because each has an erasure of its own
        self._services.opt_outs.put(granted)
        details = {
            **grant.details,
            "request": request.id,
            "raised_by": request.raised_by,
            "caller_asked": grant.statements.caller_asked,
            "distress_judged": grant.statements.distress_judged,
            "erase_before": is_erasing,
        }
        entry = ActEntry(act=GRANTED, actor=by, subject=controls.id, details=details, text=grant.reason)
        acts = [(controls.id, act), *self._opt_out_others(controls, by)]
        answer = combined(
            [
                audited(self._services, self._with_erasure(act, call, by) if is_erasing else act, _through(entry, call))
                for call, act in acts
            ]
        )
        answer.add_done_callback(lambda _: self._services.scheduler.submit(self._decided, granted))
        return answer

    def _opt_out_others(self, controls: RecordingControls, by: str) -> list[tuple[RecordingId, PendingAct]]:
        """Stop the other recordings of the conversation, and grant their open requests.

        Other sessions of a group are stopped by `SessionLinks.end_mates`; what was kept of them stays.
        """
        acts = []
        for other in self._conversation(controls)[1:]:
            with contextlib.suppress(RefusedError):  # recording has ended already
                acts.append((other.id, other.opt_out_only("opt_out", by)))
        for other in (*self._conversation(controls)[1:], *controls.mates):
            open_request = self._services.opt_outs.open_of(other.id)
            if open_request is not None:  # raised before the calls were known to belong together
                self._services.opt_outs.put(open_request.after(OptOutEvent.GRANT, at=utc_now(), by=by))
        return acts

    def _decided(self, request: OptOutRequest) -> None:
        self._services.opt_outs.save()
        self._publish(request)

    def _with_erasure(self, act: PendingAct, call: RecordingId, by: str) -> PendingAct:
        """Return an act that is done once the order to erase the audio before it is stored too."""
        done = PendingAct()

        def stopped(stored: PendingAct) -> None:
            error = stored.exception()
            if error is not None:
                done.set_exception(error)
                return
            answer = stored.result()
            if answer.position_s <= 0:  # nothing was recorded
                done.set_result(answer)
                return
            order = _erasure(call, answer.position_s, by)
            with_order = replace(answer, erasure=order)
            place_order(self._services, order).add_done_callback(lambda placed: _pass_on(placed, done, with_order))

        act.add_done_callback(stopped)
        return done

    def _store(
        self,
        request: OptOutRequest,
        act: str,
        by: str,
        reason: str,
        details: dict[str, Any],
        *,
        undo: Callable[[], None],
    ) -> "Future[OptOutRequest]":
        """Store a request and write its audit entry; call ``undo`` if the entry could not be written."""
        self._services.opt_outs.put(request)
        answer: Future[OptOutRequest] = Future()

        def on_disk(entry: "Future[None]") -> None:
            error = entry.exception()
            if error is not None:
                self._services.scheduler.submit(undo)
                answer.set_exception(error)
            else:
                self._services.scheduler.submit(self._publish, request)
                answer.set_result(request)

        self._services.opt_outs.save()
        self._write(request, act, by, reason, details).add_done_callback(on_disk)
        return answer

    def _drop(self, request: OptOutRequest) -> None:
        self._services.opt_outs.drop(request.id)
        self._services.opt_outs.save()

    def _restore(self, request: OptOutRequest) -> None:
        if any(known.id == request.id for known in self._services.opt_outs.all()):  # the call has not ended meanwhile
            self._services.opt_outs.put(request)
            self._services.opt_outs.save()

    def _write(self, request: OptOutRequest, act: str, by: str, reason: str, details: dict[str, Any]) -> "Future[None]":
        facts = {"request": request.id, "raised_by": request.raised_by, "team": request.facts.team, **details}
        return write_entry(
            self._services, ActEntry(act=act, actor=by, subject=request.facts.call, details=facts, text=reason)
        )

    def _publish(self, request: OptOutRequest) -> None:
        """Publish that a request has changed, without its reason: the stream goes to everybody."""
        facts = request.facts
        self._services.publish(
            {"event": "opt_out", "id": request.id, "call": facts.call, "state": request.state.value, "team": facts.team}
        )


def _through(entry: ActEntry, call: RecordingId) -> ActEntry:
    """Return the audit entry for a call of the conversation; it names the call of the decision as ``through``."""
    if call == entry.subject:
        return entry
    return replace(entry, subject=call, details={**entry.details, "through": entry.subject})


def _new_request(facts: CallFacts, person: Person, reason: str) -> OptOutRequest:
    return OptOutRequest(
        id=secrets.token_hex(4), facts=facts, raised_by=person.actor, raised_at=utc_now(), reason=reason
    )


def _erasure(call: RecordingId, position_s: float, by: str) -> ErasureOrder:
    """Return the order to erase the audio before an opt-out; it always waits for a second person."""
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


def _pass_on(stored: "Future[None]", done: PendingAct, answer: PauseAnswer) -> None:
    error = stored.exception()
    if error is not None:
        done.set_exception(error)
    else:
        done.set_result(answer)
