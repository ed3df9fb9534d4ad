"""Acts on one live call, or on every call of an extension: pause, resume, opt out, "I forgot to pause"."""

import re
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

from fastapi import FastAPI

from recorder.calls.acts import Act, PauseAnswer, Signature, signed
from recorder.calls.control import Control
from recorder.calls.opt_out_acts import OptOutActs, facts_now, facts_of
from recorder.calls.taped_call import TapedCall
from recorder.calls.works import Works
from recorder.domain import access
from recorder.domain.opt_out import CallFacts, check_theirs
from recorder.domain.pausing import AGENT, MANAGER, Authority, payment_app
from recorder.live.bodies import ActBody, Caller, ForgotBody, GrantBody, PersonalBody, WhoCalls
from recorder.live.door import Door, subject_of
from recorder.problems import ProblemError

_TOKEN = re.compile(r"token:[\w.@ -]{1,64}\Z")
Calls = Callable[[], list[TapedCall]]
Answer = Future[PauseAnswer]

_HOLDS = {
    access.Act.RESUME: "Recording stays paused, but the state could not be stored:",
    access.Act.PAUSE: "Recording has stopped, but the state could not be stored:",
    access.Act.OPT_OUT: "Recording has ended, but not everything about it could be stored:",
    access.Act.SECOND_MESSAGE: "The second message plays, but:",
    access.Act.FORGOT: "Recording has stopped, but what is to be erased could not be stored:",
}


class LiveActs:
    """The routes of acts."""

    def __init__(self, works: Works, control: Control, door: Door) -> None:
        self._works = works
        self._control = control
        self._door = door
        self._opt_outs = OptOutActs(works)

    def install(self, app: FastAPI) -> None:
        """Add the routes to an application."""
        for word in ("pause", "resume", "opt-out", "forgot", "second-message"):
            name = word.replace("-", "_")
            app.post(f"/api/calls/{{call_id}}/{word}")(getattr(self, name))
            app.post(f"/api/extensions/{{number}}/{word}")(getattr(self, f"{name}_extension"))

    async def pause(self, call_id: str, body: ActBody, who: WhoCalls) -> dict[str, Any]:
        """Pause one call."""
        signature = _signature(access.Act.PAUSE, call_id, body, who)
        return (await self._simple(self._one(call_id, body), _pause(body, who), signature))[0]

    async def pause_extension(self, number: str, body: ActBody, who: WhoCalls) -> dict[str, Any]:
        """Pause every call of an extension."""
        signature = _signature(access.Act.PAUSE, number, body, who)
        return {"calls": await self._simple(self._all(number), _pause(body, who), signature)}

    async def resume(self, call_id: str, body: ActBody, who: WhoCalls) -> dict[str, Any]:
        """Resume one call."""
        signature = _signature(access.Act.RESUME, call_id, body, who)
        return (await self._simple(self._one(call_id, body), _resume(body, who), signature))[0]

    async def resume_extension(self, number: str, body: ActBody, who: WhoCalls) -> dict[str, Any]:
        """Resume every call of an extension."""
        signature = _signature(access.Act.RESUME, number, body, who)
        return {"calls": await self._simple(self._all(number), _resume(body, who), signature)}

    async def forgot(self, call_id: str, body: ForgotBody, who: WhoCalls) -> dict[str, Any]:
        """Pause one call, and order what was recorded of its last seconds to be erased."""
        return (await self._forgot(call_id, self._one(call_id, body), body, who))[0]

    async def forgot_extension(self, number: str, body: ForgotBody, who: WhoCalls) -> dict[str, Any]:
        """Do so for every call of an extension."""
        return {"calls": await self._forgot(number, self._all(number), body, who)}

    async def opt_out(self, call_id: str, body: GrantBody, who: WhoCalls) -> dict[str, Any]:
        """Stop recording one call for good, on the word of a manager."""
        return (await self._opt_out(call_id, self._one(call_id, body), body, who))[0]

    async def opt_out_extension(self, number: str, body: GrantBody, who: WhoCalls) -> dict[str, Any]:
        """Stop recording every call of an extension that is in progress."""
        return {"calls": await self._opt_out(number, self._all(number), body, who)}

    async def second_message(self, call_id: str, body: PersonalBody, who: WhoCalls) -> dict[str, Any]:
        """Play the second message to the outside party of one call."""
        return (await self._second_message(call_id, self._one(call_id, body), body, who))[0]

    async def second_message_extension(self, number: str, body: PersonalBody, who: WhoCalls) -> dict[str, Any]:
        """Do so in every call of an extension."""
        return {"calls": await self._second_message(number, self._all(number), body, who)}

    def _one(self, call_id: str, body: ActBody) -> Calls:
        def find() -> list[TapedCall]:
            call = self._control.call(call_id)
            if body.extensions and facts_of(call).extensions.isdisjoint(body.extensions):
                name = body.authority.removeprefix("token:")
                raise access.DeniedError(access.Fault.NOT_ALLOWED, f"Token {name} is not good for this extension.")
            return [call]

        return find

    def _all(self, number: str) -> Calls:
        return lambda: self._control.calls_of(number)

    # --- what they have in common

    async def _simple(self, find: Calls, act: Callable[[TapedCall], Act], signature: Signature) -> list[dict[str, Any]]:
        return await self._each(find, partial(self._signed, act, signature), signature)

    async def _forgot(self, sent: str, find: Calls, body: ForgotBody, who: Caller) -> list[dict[str, Any]]:
        signature = _signature(access.Act.FORGOT, sent, body, who)
        theirs = _theirs(find, access.Act.FORGOT, body, who, facts_of)
        return await self._simple(theirs, lambda call: call.forgot(body.seconds, who.actor), signature)

    async def _second_message(self, sent: str, find: Calls, body: PersonalBody, who: Caller) -> list[dict[str, Any]]:
        signature = _signature(access.Act.SECOND_MESSAGE, sent, body, who)
        theirs = _theirs(find, access.Act.SECOND_MESSAGE, body, who, facts_now)
        return await self._simple(theirs, lambda call: call.second.play(who.actor), signature)

    async def _opt_out(self, sent: str, find: Calls, body: GrantBody, who: Caller) -> list[dict[str, Any]]:
        signature = _signature(access.Act.OPT_OUT, sent, body, who)
        order = body.order({**signature.details, "way": "direct"})

        def find_theirs() -> list[TapedCall]:
            person, calls = body.person_of(who), find()
            for call in calls:
                self._opt_outs.check(call, person, order)
            return calls

        def grant(call: TapedCall) -> Answer:
            return self._opt_outs.grant_directly(call, body.person_of(who), order)

        return await self._each(find_theirs, grant, signature)

    def _signed(self, act: Callable[[TapedCall], Act], signature: Signature, call: TapedCall) -> Answer:
        # Signed in the same step: an act that nobody waits for any more is in the log all the same.
        return signed(self._works, act(call), signature.of(call.id))

    async def _each(
        self, find: Calls, act: Callable[[TapedCall], Answer], signature: Signature
    ) -> list[dict[str, Any]]:
        acts = await self._door.ended(lambda: [one for _, one in self._control.each(find(), act)], signature)
        holds = _HOLDS[access.Act(signature.act)]
        return [(await self._door.stored(one, holds)).as_json() for one in acts]


def _signature(name: access.Act, sent: str, body: ActBody, who: Caller) -> Signature:
    details = {"as": body.authority, "os_user": who.os_user}
    return Signature(act=name.value, actor=who.actor, subject=subject_of(sent), details=details, text=body.reason)


def _theirs(
    find: Calls, act: access.Act, body: PersonalBody, who: Caller, facts: Callable[[TapedCall], CallFacts]
) -> Calls:
    """Return a finder of calls that are this person's to act on, by facts of them; DeniedError where one is not."""

    def find_theirs() -> list[TapedCall]:
        person, calls = body.person_of(who), find()
        for call in calls:
            check_theirs(person, act, facts(call))
        return calls

    return find_theirs


def _pause(body: ActBody, who: Caller) -> Callable[[TapedCall], Act]:
    authority, token = _authority(body)
    reason = {Authority.MANAGER: MANAGER, Authority.TOKEN: payment_app(token or "")}.get(authority, AGENT)
    return lambda call: call.pause(reason, who.actor)


def _resume(body: ActBody, who: Caller) -> Callable[[TapedCall], Act]:
    authority, token = _authority(body)
    return lambda call: call.resume(authority, who.actor, token=token)


def _authority(body: ActBody) -> tuple[Authority, str | None]:
    if _TOKEN.match(body.authority):
        return Authority.TOKEN, body.authority.removeprefix("token:")
    if body.authority in (Authority.OFFICER, Authority.MANAGER):
        return Authority(body.authority), None
    raise ProblemError(422, "as must be officer, manager or token:NAME.")
