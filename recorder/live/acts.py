"""Acts on one live call, or on every call of an extension: pause, resume, opt out, "I forgot to pause"."""

import re
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from fastapi import FastAPI

from recorder.calls.acts import PauseAnswer, Signature, signed
from recorder.calls.control import Control
from recorder.calls.group_acts import Done, each, signatures
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
        """Pause one call, and every other one that is at its extension; done when all are."""
        return _as_one(await self._pause(call_id, self._one(call_id, body), body, who))

    async def pause_extension(self, number: str, body: ActBody, who: WhoCalls) -> dict[str, Any]:
        """Pause every call of an extension."""
        return {"calls": await self._pause(number, self._all(number), body, who)}

    async def resume(self, call_id: str, body: ActBody, who: WhoCalls) -> dict[str, Any]:
        """Resume one call, and of others at its extension what the same acts had paused."""
        return _as_one(await self._resume(call_id, self._one(call_id, body), body, who))

    async def resume_extension(self, number: str, body: ActBody, who: WhoCalls) -> dict[str, Any]:
        """Resume the calls of an extension that are not on hold, and of others what the same acts had paused."""
        return {"calls": await self._resume(number, self._all(number), body, who)}

    async def forgot(self, call_id: str, body: ForgotBody, who: WhoCalls) -> dict[str, Any]:
        """Pause one call, and order what was recorded of its last seconds to be erased."""
        return _as_one(await self._forgot(call_id, self._one(call_id, body), body, who))

    async def forgot_extension(self, number: str, body: ForgotBody, who: WhoCalls) -> dict[str, Any]:
        """Do so for the calls of an extension that are not on hold; the others are paused."""
        return {"calls": await self._forgot(number, self._all(number), body, who)}

    async def opt_out(self, call_id: str, body: GrantBody, who: WhoCalls) -> dict[str, Any]:
        """Stop recording one call for good, on the word of a manager."""
        return (await self._opt_out(call_id, self._one(call_id, body), body, who))[0]

    async def opt_out_extension(self, number: str, body: GrantBody, who: WhoCalls) -> dict[str, Any]:
        """Stop recording the conversation of an extension that is not on hold; 409 where there are several."""

        def find() -> list[TapedCall]:
            calls = self._control.calls_of(number)
            self._check_opt_out(calls, body, who)  # who may not grant it learns nothing of the calls
            return self._control.group_acts.one_conversation(calls)

        (answer,) = await self._opt_out(number, find, body, who)
        return {"calls": [answer, *answer.pop("also", ())]}

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

    async def _pause(self, sent: str, find: Calls, body: ActBody, who: Caller) -> list[dict[str, Any]]:
        signature = _signature(access.Act.PAUSE, sent, body, who)
        authority, token = _authority(body)
        reason = {Authority.MANAGER: MANAGER, Authority.TOKEN: payment_app(token or "")}.get(authority, AGENT)
        pause = self._control.group_acts.pause
        return await self._each(
            lambda: self._signed(pause(find(), reason, who.actor, at=body.extensions), signature), signature
        )

    async def _resume(self, sent: str, find: Calls, body: ActBody, who: Caller) -> list[dict[str, Any]]:
        signature = _signature(access.Act.RESUME, sent, body, who)
        authority, token = _authority(body)
        resume = self._control.group_acts.resume
        return await self._each(
            lambda: self._signed(resume(find(), authority, who.actor, token=token), signature), signature
        )

    async def _forgot(self, sent: str, find: Calls, body: ForgotBody, who: Caller) -> list[dict[str, Any]]:
        signature = _signature(access.Act.FORGOT, sent, body, who)
        theirs = _theirs(find, access.Act.FORGOT, body, who, facts_of)
        forgot = self._control.group_acts.forgot
        return await self._each(lambda: self._signed(forgot(theirs(), body.seconds, who.actor), signature), signature)

    async def _second_message(self, sent: str, find: Calls, body: PersonalBody, who: Caller) -> list[dict[str, Any]]:
        signature = _signature(access.Act.SECOND_MESSAGE, sent, body, who)
        theirs = _theirs(find, access.Act.SECOND_MESSAGE, body, who, facts_now)

        def play() -> list[Answer]:
            done = each(theirs(), lambda call: call.second.play(who.actor))
            return [signed(self._works, act, signature.of(call.id)) for call, act in done]

        return await self._each(play, signature)

    async def _opt_out(self, sent: str, find: Calls, body: GrantBody, who: Caller) -> list[dict[str, Any]]:
        signature = _signature(access.Act.OPT_OUT, sent, body, who)
        order = body.order({**signature.details, "way": "direct"})

        def grant() -> list[Answer]:
            calls = find()
            person = self._check_opt_out(calls, body, who)
            return [act for _, act in each(calls, lambda call: self._opt_outs.grant_directly(call, person, order))]

        return await self._each(grant, signature)

    def _check_opt_out(self, calls: list[TapedCall], body: GrantBody, who: Caller) -> access.Person:
        person = body.person_of(who)
        for call in calls:
            self._opt_outs.check(call, person, body.order({}))
        return person

    def _signed(self, done: Done, signature: Signature) -> list[Answer]:
        # Signed in the same step: an act that nobody waits for any more is in the log all the same.
        return signatures(self._works, done, signature)

    async def _each(self, start: Callable[[], list[Answer]], signature: Signature) -> list[dict[str, Any]]:
        acts = await self._door.ended(start, signature)
        holds = _HOLDS[access.Act(signature.act)]
        return [(await self._door.stored(one, holds)).as_json() for one in acts]


def _as_one(answers: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the answer to an act on one call: its own, with what became of the other calls that it reached."""
    first, *others = answers
    return {**first, "also": [*first.get("also", ()), *others]} if others else first


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


def _authority(body: ActBody) -> tuple[Authority, str | None]:
    if _TOKEN.match(body.authority):
        return Authority.TOKEN, body.authority.removeprefix("token:")
    if body.authority in (Authority.OFFICER, Authority.MANAGER):
        return Authority(body.authority), None
    raise ProblemError(422, "as must be officer, manager or token:NAME.")
