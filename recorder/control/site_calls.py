"""Live calls of all nodes of a site, with the methods of `recorder.control.client.LiveClient`.

Lists are merged. An act on a call goes to the node that has it. An act on an extension goes to every node, and is
answered only when every node has confirmed it; else the error is "Not confirmed" and names the nodes that have not.
Every method blocks, for about 2 s at most.
"""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from recorder.control.client import SERVICE, LiveClient, OptOutGrant, rows_of
from recorder.control.errors import DaemonRefusedError, not_confirmed
from recorder.control.site_lists import Found, SiteLists
from recorder.control.site_members import NodeAnswers, SiteMember, merged
from recorder.permissions import Actor, Person
from recorder.rules.call_target import CallTarget, ExtensionTarget, Target
from recorder.rules.live_access import NOTHING_KNOWN, Around

Json = dict[str, Any]


class SiteCalls(SiteLists):
    """The calls of a site with several nodes; see the module. Safe from any thread."""

    # --- acts on calls

    def pause(self, target: Target, *, actor: Actor, reason: str = "") -> Json:
        """Pause a call and all others at its extension, on every node; or the calls of an extension."""

        def there(extension: ExtensionTarget) -> Callable[[LiveClient], Json]:
            return lambda client: client.pause(extension, actor=actor, reason=reason, is_spread=True)

        if isinstance(target, ExtensionTarget):
            return self._everywhere(
                there(target), lambda client: client.pause(target, actor=actor, reason=reason), "pause"
            )
        found, *more = self._at(target.call)
        extensions = {number for one in (found, *more) for number in _extensions_of(one.row)}
        others = [self._later(there(ExtensionTarget(number)), found.member.name) for number in sorted(extensions)]

        def here(client: LiveClient) -> Json:
            return client.pause(target, actor=actor, reason=reason)

        too = [one.member.submit(here) for one in more]  # one of them lies, so it is done only if all say so
        answer = found.member.ask(here)
        for one in too:
            one.result()
        return _with_others(answer, found.member.name, [other() for other in others])

    def resume(self, target: Target, *, actor: Actor, reason: str = "") -> Json:
        """Resume a call, or the calls of an extension on every node, as far as the actor may."""
        if isinstance(target, ExtensionTarget):
            return self._everywhere(
                lambda client: client.resume(target, actor=actor, reason=reason, is_spread=True),
                lambda client: client.resume(target, actor=actor, reason=reason),
                "resume",
            )
        return self._call(target.call).member.ask(lambda client: client.resume(target, actor=actor, reason=reason))

    def pause_retroactively(self, target: Target, *, person: Person, seconds: float | None, reason: str = "") -> Json:
        """Pause, and order the last seconds to be erased."""

        def do(client: LiveClient, *, is_spread: bool = False) -> Json:
            return client.pause_retroactively(
                target, person=person, seconds=seconds, reason=reason, is_spread=is_spread
            )

        if isinstance(target, ExtensionTarget):
            return self._everywhere(lambda client: do(client, is_spread=True), do, "retroactive pause")
        return self._call(target.call).member.ask(do)

    def second_message(self, target: Target, *, person: Person, reason: str = "") -> Json:
        """Play the second message to the outside party of each call."""

        def do(client: LiveClient, *, is_spread: bool = False) -> Json:
            return client.second_message(target, person=person, reason=reason, is_spread=is_spread)

        if isinstance(target, ExtensionTarget):
            return self._everywhere(lambda client: do(client, is_spread=True), do, "second message")
        return self._call(target.call).member.ask(do)

    def opt_out(self, target: Target, *, person: Person, grant: OptOutGrant, around: Around = NOTHING_KNOWN) -> Json:
        """Stop recording for the rest of one call; an extension with calls at several nodes is refused."""

        def do(client: LiveClient) -> Json:
            return client.opt_out(target, person=person, grant=grant, around=around)

        if isinstance(target, CallTarget):
            return self._call(target.call).member.ask(do)
        answers = self._members.each(lambda client: client.calls(actor=person.actor))
        at = [
            node
            for node, calls in self._listed(answers).items()
            if any(target.number in _extensions_of(call) for call in calls)
        ]
        if len(at) > 1:
            detail = (
                f"Calls of extension {target.number} are at {_and(at)}, and this cannot be undone; "
                "say which call is meant."
            )
            raise DaemonRefusedError(409, {"title": "Conflict", "detail": detail})
        if not at and answers.silent:
            raise _unanswered("opt-out", answers, f"No other node has a call of extension {target.number}.")
        member = self._members.get(at[0]) if at else None
        return (member or self._members.first()).ask(do)

    def ask_opt_out(self, call: str, *, person: Person, reason: str = "") -> Json:
        """Raise an opt-out request."""
        return self._call(call).member.ask(lambda client: client.ask_opt_out(call, person=person, reason=reason))

    def grant_opt_out(
        self, request: str, *, person: Person, grant: OptOutGrant, around: Around = NOTHING_KNOWN
    ) -> Json:
        """Grant an opt-out request: recording stops for the rest of its call."""
        return self._request(request, person).ask(
            lambda client: client.grant_opt_out(request, person=person, grant=grant, around=around)
        )

    def decline_opt_out(self, request: str, *, person: Person, reason: str, around: Around = NOTHING_KNOWN) -> Json:
        """Decline an opt-out request."""
        return self._request(request, person).ask(
            lambda client: client.decline_opt_out(request, person=person, reason=reason, around=around)
        )

    # --- alarms

    def acknowledge_alarm(self, alarm: str, *, person: Person, remark: str, hours: float) -> Json:
        """Acknowledge an alarm at every node that has it."""
        answers = self._members.each(
            lambda client: client.acknowledge_alarm(alarm, person=person, remark=remark, hours=hours)
        )
        if not answers.given:
            raise answers.any_error()
        return next(iter(answers.given.values()))

    # --- sign-ons

    def sign_on(self, extension: str, *, person: Person, is_anothers: bool) -> Json:
        """Sign a person on at an extension, at every node; a code that must be keyed is the same at every node."""
        first = self._members.first()
        others = [one for one in self._members.all() if one.name != first.name]
        answer = first.ask(lambda client: client.sign_on(extension, person=person, is_anothers=is_anothers))
        if not others:
            return answer
        code = answer.get("code")
        answers = self._members.each(
            lambda client: client.sign_on(extension, person=person, is_anothers=is_anothers, code=code),
            without=(first.name,),
        )
        if answers.silent or answers.refused:
            raise _unanswered("sign-on", answers, f"You are signed on at {_and([first.name, *answers.given])}.")
        return answer

    def sign_off(self, extension: str, *, person: Person) -> Json:
        """Sign a person off from an extension, at every node."""
        answers = self._members.each(lambda client: client.sign_off(extension, person=person))
        if answers.silent:
            raise _unanswered("sign-off", answers, _done("You are signed off", answers))
        if not answers.given:
            raise answers.any_error()
        return next(iter(answers.given.values()))

    # --- where things are

    def _call(self, call: str) -> Found:
        """Return the node that has a call; asks all nodes if it is not known."""
        return _only(self._at(call))

    def _at(self, call: str) -> list[Found]:
        """Return the nodes that list a call, at least one."""
        return self._find(self._rows, "call", call) or self._call_anew(call)

    def _call_anew(self, call: str) -> list[Found]:
        answers = self._members.each(lambda client: client.calls(actor=SERVICE))
        self._remembered(self._rows, answers)
        found = self._find(self._rows, "call", call)
        if not found and answers.silent:
            raise _unanswered("act", answers, f"No other node has a call {call}: it may be there, or have ended.")
        # A daemon says, and notes, that there is no such call.
        return found or [Found(self._members.first(), {})]

    def _request(self, request: str, person: Person) -> SiteMember:
        found = self._find(self._requests, "id", request)
        if not found:
            answers = self._members.each(lambda client: client.opt_outs(actor=person.actor))
            self._remembered(self._requests, answers)
            found = self._find(self._requests, "id", request)
            if not found and answers.silent:
                raise _unanswered("decision", answers, "No other node has this request.")
        return _only(found).member if found else self._members.first()

    # --- several nodes

    def _later(self, act: Callable[[LiveClient], Json], without: str) -> Callable[[], NodeAnswers[Json]]:
        """Begin an act at all nodes but one, and return what waits for their answers."""
        done: list[NodeAnswers[Json]] = []
        thread = threading.Thread(
            target=lambda: done.append(self._members.each(act, without=(without,))), name="nodes-act", daemon=True
        )
        thread.start()

        def ended() -> NodeAnswers[Json]:
            thread.join()
            return done[0] if done else NodeAnswers()

        return ended

    def _everywhere(self, act: Callable[[LiveClient], Json], alone: Callable[[LiveClient], Json], what: str) -> Json:
        """Do an act on an extension at every node; ``alone`` asks one node, which refuses if nobody has such a call."""
        answers = self._members.each(act)
        calls = merged({node: rows_of(answer, "calls") for node, answer in answers.given.items()})
        if answers.silent:
            raise _unanswered(what, answers, _done(f"{len(calls)} calls are done", answers))
        if calls:
            return {"calls": calls}
        for error in answers.refused.values():
            raise error
        return self._members.first().ask(alone)


def _with_others(answer: Json, node: str, others: Collection[NodeAnswers[Json]]) -> Json:
    """Return the answer of an act on a call with those of the other nodes' calls at its extensions."""
    also = merged({node: rows_of(answer, "also")})
    silent: set[str] = set()
    for one in others:
        also += merged({name: rows_of(given, "calls") for name, given in one.given.items()})
        silent |= one.silent.keys()
    return {
        **answer,
        **({"also": also} if also else {}),
        **({"not_confirmed": sorted(silent)} if silent else {}),
    }


def _only(found: Sequence[Found]) -> Found:
    """Return the only node that lists a call or a request."""
    if len(found) > 1:
        nodes = _and([one.member.name for one in found])
        detail = f"{nodes} both say that they have this, which cannot be: nothing was done. Look at both nodes."
        raise DaemonRefusedError(409, {"title": "Conflict", "detail": detail})
    return found[0]


def _extensions_of(row: Mapping[str, Any]) -> list[str]:
    found = row.get("extensions_now")
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def _done(words: str, answers: NodeAnswers[Any]) -> str:
    return f"{words} at {_and([*answers.given])}." if answers.given else "No node has confirmed it."


def _unanswered(what: str, answers: NodeAnswers[Any], rest: str) -> DaemonRefusedError:
    """Return the error that some nodes have not confirmed an act, or refused it."""
    missing = [*answers.silent, *answers.refused]
    why = "; ".join(f"{node}: {error}" for node, error in (answers.silent | dict(answers.refused)).items())
    verb = "has" if len(missing) == 1 else "have"
    return not_confirmed(
        f"{_and(missing)} {verb} not confirmed the {what}. {rest} {why}", nodes=missing, confirmed=[*answers.given]
    )


def _and(names: Collection[str]) -> str:
    *most, last = [*names] or [""]
    return f"{', '.join(most)} and {last}" if most else last
