"""Acts on one live call, or on every call of an extension: pause, resume, opt-out, retroactive pause."""

from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from recorder import permissions as access
from recorder.calls.acts import ActEntry, PauseAnswer, audited
from recorder.calls.call_services import CallServices
from recorder.calls.group_acts import act_on_each, audited_each
from recorder.calls.live_calls import LiveCalls, UnknownCallError
from recorder.calls.opt_out_acts import OptOutActs
from recorder.calls.recorded_part import RecordedPart
from recorder.control.bodies import ActBody, GrantBody, PersonalBody, RetroactivePauseBody, SocketCaller, WhoCalls
from recorder.control.call_thread_gateway import CallThreadGateway, subject_of
from recorder.control.permits import Permits
from recorder.control.routes import routes_of
from recorder.rules.call_target import CallTarget, ExtensionTarget, Target
from recorder.rules.pausing import AGENT, MANAGER, Authority, payment_app

Calls = Callable[[], list[RecordedPart]]
Answer = Future[PauseAnswer]
Body = TypeVar("Body", bound=ActBody)

_REASONS = {Authority.OFFICER: AGENT, Authority.MANAGER: MANAGER}
"""The pause reason of each authority."""

_HOLDS = {
    access.Act.RESUME: "Recording stays paused, but the state could not be stored:",
    access.Act.PAUSE: "Recording has stopped, but the state could not be stored:",
    access.Act.OPT_OUT: "Recording has ended, but not everything about it could be stored:",
    access.Act.SECOND_MESSAGE: "The second message plays, but:",
    access.Act.RETROACTIVE_PAUSE: "Recording has stopped, but what is to be erased could not be stored:",
}


class LiveActs:
    """The routes of acts on live calls."""

    def __init__(self, services: CallServices, control: LiveCalls, gateway: CallThreadGateway) -> None:
        self._services = services
        self._control = control
        self._gateway = gateway
        self._permits = Permits(services)
        self._opt_outs = OptOutActs(services, control.group_acts)

    async def pause(self, call_id: str, body: ActBody, who: WhoCalls) -> dict[str, Any]:
        """Pause one call and all others at its extension; answers when all are paused."""
        return _as_one(await self._pause(_found(self._control, CallTarget(call_id)), body, who))

    async def pause_extension(self, number: str, body: ActBody, who: WhoCalls) -> dict[str, Any]:
        """Pause every call of an extension."""
        return {"calls": await self._there(self._pause, number, body, who)}

    async def resume(self, call_id: str, body: ActBody, who: WhoCalls) -> dict[str, Any]:
        """Resume one call, and at its extension the calls that the same acts had paused."""
        return _as_one(await self._resume(_found(self._control, CallTarget(call_id)), body, who))

    async def resume_extension(self, number: str, body: ActBody, who: WhoCalls) -> dict[str, Any]:
        """Resume the calls of an extension that are not on SIP hold, and others that the same acts had paused."""
        return {"calls": await self._there(self._resume, number, body, who)}

    async def retroactive_pause(self, call_id: str, body: RetroactivePauseBody, who: WhoCalls) -> dict[str, Any]:
        """Pause one call, and order its last seconds to be erased."""
        return _as_one(await self._forgot(_found(self._control, CallTarget(call_id)), body, who))

    async def retroactive_pause_extension(
        self, number: str, body: RetroactivePauseBody, who: WhoCalls
    ) -> dict[str, Any]:
        """Do so for the calls of an extension that are not on SIP hold; the others are paused."""
        return {"calls": await self._there(self._forgot, number, body, who)}

    async def opt_out(self, call_id: str, body: GrantBody, who: WhoCalls) -> dict[str, Any]:
        """Stop recording one call for the rest of the call; a manager decides."""
        return (await self._opt_out(_found(self._control, CallTarget(call_id)), body, who))[0]

    async def opt_out_extension(self, number: str, body: GrantBody, who: WhoCalls) -> dict[str, Any]:
        """Stop recording the conversation of an extension that is not on SIP hold; 409 if there are several."""

        def find() -> list[RecordedPart]:
            calls = self._control.calls_of(number)
            self._check_opt_out(calls, body, who)  # first, so that others learn nothing of the calls
            meant = self._control.group_acts.one_conversation([call.controls for call in calls])
            return [call for call in calls if call.controls in meant]

        (answer,) = await self._opt_out(_at(number, find), body, who)
        return {"calls": [answer, *answer.pop("also", ())]}

    async def second_message(self, call_id: str, body: PersonalBody, who: WhoCalls) -> dict[str, Any]:
        """Play the second message to the outside party of one call."""
        return (await self._second_message(_found(self._control, CallTarget(call_id)), body, who))[0]

    async def second_message_extension(self, number: str, body: PersonalBody, who: WhoCalls) -> dict[str, Any]:
        """Play the second message in every call of an extension."""
        return {"calls": await self._there(self._second_message, number, body, who)}

    async def _there(
        self,
        act: "Callable[[FoundCalls, Body, SocketCaller], Awaitable[list[dict[str, Any]]]]",
        number: str,
        body: Body,
        who: SocketCaller,
    ) -> list[dict[str, Any]]:
        """Do an act on the calls of an extension; every node is asked for it, and those without such a call do none."""
        if body.is_spread and not await self._gateway.on_call_thread(lambda: self._control.has_calls_of(number)):
            return []
        return await act(_found(self._control, ExtensionTarget(number)), body, who)

    # --- shared by calls and extensions
    # The audit entry is made in the step that does the act, so it is written even if the caller has given up.

    async def _pause(self, found: "FoundCalls", body: ActBody, who: SocketCaller) -> list[dict[str, Any]]:
        signature = _signature(access.Act.PAUSE, found, body, who)

        def pause() -> list[Answer]:
            theirs = self._permits.of(found.calls(), access.Act.PAUSE, body, who)
            reason = _REASONS.get(theirs.permit.authority, AGENT)
            if theirs.permit.authority is Authority.TOKEN:
                reason = payment_app(_token(body) or "")
            may_discard = theirs.permit.may_discard
            act = self._control.group_acts.pause
            done = act(theirs.gates, reason, signature.actor, at=body.extensions, may_discard=may_discard)
            return audited_each(self._services, done, signature)

        return await self._each(pause, signature, found)

    async def _resume(self, found: "FoundCalls", body: ActBody, who: SocketCaller) -> list[dict[str, Any]]:
        signature = _signature(access.Act.RESUME, found, body, who)

        def resume() -> list[Answer]:
            theirs = self._permits.of(found.calls(), access.Act.RESUME, body, who)
            act = self._control.group_acts.resume
            done = act(theirs.gates, theirs.permit.authority, signature.actor, token=_token(body))
            return audited_each(self._services, done, signature)

        return await self._each(resume, signature, found)

    async def _forgot(self, found: "FoundCalls", body: RetroactivePauseBody, who: SocketCaller) -> list[dict[str, Any]]:
        signature = _signature(access.Act.RETROACTIVE_PAUSE, found, body, who)

        def retroactive_pause() -> list[Answer]:
            body.person_of(who)
            theirs = self._permits.of(found.calls(), access.Act.RETROACTIVE_PAUSE, body, who)
            may_alone = theirs.permit.may_erase_alone
            act = self._control.group_acts.pause_retroactively
            done = act(theirs.gates, body.seconds, signature.actor, may_erase_alone=may_alone)
            return audited_each(self._services, done, signature)

        return await self._each(retroactive_pause, signature, found)

    async def _second_message(self, found: "FoundCalls", body: PersonalBody, who: SocketCaller) -> list[dict[str, Any]]:
        signature = _signature(access.Act.SECOND_MESSAGE, found, body, who)

        def play() -> list[Answer]:
            body.person_of(who)
            theirs = self._permits.of(found.calls(), access.Act.SECOND_MESSAGE, body, who)
            done = act_on_each(theirs.calls, lambda call: call.second.play(signature.actor))
            return [audited(self._services, act, signature.of(call.id)) for call, act in done]

        return await self._each(play, signature, found)

    async def _opt_out(self, found: "FoundCalls", body: GrantBody, who: SocketCaller) -> list[dict[str, Any]]:
        signature = _signature(access.Act.OPT_OUT, found, body, who)
        details = {**signature.details, "way": "direct"}

        def grant() -> list[Answer]:
            calls = found.calls()
            person = self._check_opt_out(calls, body, who)
            order = body.order(details, self._permits.around(person, body))
            gates = [call.controls for call in calls]
            return [
                act
                for _, act in act_on_each(
                    gates, lambda controls: self._opt_outs.grant_directly(controls, person, order)
                )
            ]

        return await self._each(grant, signature, found)

    def _check_opt_out(self, calls: list[RecordedPart], body: GrantBody, who: SocketCaller) -> access.Person:
        person = body.person_of(who)
        order = body.order({}, self._permits.around(person, body))
        for call in calls:
            self._opt_outs.check(call.controls, person, order)
        return person

    async def _each(
        self, start: Callable[[], list[Answer]], signature: ActEntry, found: "FoundCalls"
    ) -> list[dict[str, Any]]:
        acts = await self._gateway.ended(start, signature, missing=found.missing)
        holds = _HOLDS[access.Act(signature.act)]
        return [(await self._gateway.stored(one, holds)).as_json() for one in acts]


ROUTES = routes_of(
    LiveActs,
    (
        ("POST", "/api/calls/{call_id}/pause", LiveActs.pause),
        ("POST", "/api/extensions/{number}/pause", LiveActs.pause_extension),
        ("POST", "/api/calls/{call_id}/resume", LiveActs.resume),
        ("POST", "/api/extensions/{number}/resume", LiveActs.resume_extension),
        ("POST", "/api/calls/{call_id}/opt-out", LiveActs.opt_out),
        ("POST", "/api/extensions/{number}/opt-out", LiveActs.opt_out_extension),
        ("POST", "/api/calls/{call_id}/forgot", LiveActs.retroactive_pause),
        ("POST", "/api/extensions/{number}/forgot", LiveActs.retroactive_pause_extension),
        ("POST", "/api/calls/{call_id}/second-message", LiveActs.second_message),
        ("POST", "/api/extensions/{number}/second-message", LiveActs.second_message_extension),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundCalls:
    """The calls that an act is for.

    Attributes:
        sent: The id or extension as it was sent.
        calls: Finds them; raises UnknownCallError.
        missing: The answer if there is none, and to people who may not know of them.
    """

    sent: str
    calls: Calls
    missing: UnknownCallError


def _found(control: LiveCalls, target: Target) -> FoundCalls:
    if isinstance(target, CallTarget):
        return FoundCalls(
            sent=target.call,
            calls=lambda: [control.call(target.call)],
            missing=UnknownCallError.of_id(target.call),
        )
    return _at(target.number, lambda: control.calls_of(target.number))


def _at(number: str, calls: Calls) -> FoundCalls:
    return FoundCalls(sent=number, calls=calls, missing=UnknownCallError.of_extension(number))


def _as_one(answers: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the answer for one call, with those of other calls that the act reached under ``also``."""
    first, *others = answers
    return {**first, "also": [*first.get("also", ()), *others]} if others else first


def _signature(name: access.Act, found: FoundCalls, body: ActBody, who: SocketCaller) -> ActEntry:
    """Return the audit entry of an act; without account or token the actor is the operating system's user."""
    actor = body.actor_of(who)
    name_of = who.actor if body.person is not None else actor.actor
    said = "person" if isinstance(actor, access.Person) else actor.actor
    details = {"as": said, "os_user": who.os_user}
    return ActEntry(act=name.value, actor=name_of, subject=subject_of(found.sent), details=details, text=body.reason)


def _token(body: ActBody) -> str | None:
    prefix, _, name = body.authority.partition(":")
    return name if prefix == Authority.TOKEN else None
