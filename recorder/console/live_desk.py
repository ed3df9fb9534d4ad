"""What people and other systems do to calls in progress, for pages and API alike.

Which call is whose, and which opt-out somebody may decide, is for the daemon to say: it alone knows the call. What is
decided here is what a role or a token is good for at all.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from recorder.console.deps import Live
from recorder.console.rules import Rules
from recorder.console.sharing import Shared
from recorder.domain.access import Act, Actor, Application, Person, speaks_as_manager
from recorder.domain.opt_out import CallFacts, may_see
from recorder.live.client import DaemonRefusedError, DaemonUnavailableError, Grant
from recorder.problems import ProblemError
from storage.types import RecordingId

T = TypeVar("T")


class LiveDesk:
    """Decides, then asks the daemon.

    Every method blocks and raises ProblemError: 403 refused, 404 no such call, 503 the audit log cannot be written, 504
    the daemon did not confirm. Whatever else the daemon refuses keeps its status and sentence.
    """

    def __init__(self, live: Live, rules: Rules) -> None:
        self._live = live
        self._rules = rules
        self._listed: Shared[list[dict[str, Any]]] = Shared(live.calls)

    def calls(self, actor: Actor, *, is_shared: bool = False) -> list[dict[str, Any]]:
        """Return the calls in progress that this actor may see; who may not decide on opt-outs does not see them.

        Args:
            actor: Who asks.
            is_shared: Whether the daemon is asked once for all who ask at the same time.
        """
        self._rules.require(actor, Act.SEE_LIVE)
        calls = self._daemon(self._listed.get if is_shared else lambda: self._live.calls(actor=actor.actor))
        if isinstance(actor, Application) and actor.extensions:
            calls = [call for call in calls if call.get("extension") in actor.extensions]
        return [as_seen(actor, call) for call in calls]

    def health(self) -> dict[str, Any]:
        """Return what the daemon says of itself, to whoever was allowed to see it."""
        return self._daemon(self._live.health)

    def extensions(self, person: Person) -> list[str]:
        """Return the nominated extensions that somebody sits at: where they signed on, and their own unless taken.

        Their own comes first. One that is not nominated is left out: its calls are not recorded.
        """
        agents = self._daemon(self._live.agents)
        theirs = [agent["extension"] for agent in agents if _sits_at(person, agent)]
        return sorted(theirs, key=lambda number: number != person.extension)

    def sign_on(self, actor: Actor, number: str, *, takes_over: bool) -> dict[str, Any]:
        """Have a person sit at an extension: calls that begin there from now on are theirs.

        Raises:
            ProblemError: As all here; 409 where somebody else is signed on and is not to be taken over from.
        """
        person = self._person(actor, Act.SIGN_ON, number, "")
        act = self._live.sign_on
        return self._daemon(lambda: act(number, person.display_name, actor=person.actor, takes_over=takes_over))

    def sign_off(self, actor: Actor, number: str) -> dict[str, Any]:
        """Have a person sit at an extension no longer; one's own sign-on only."""
        person = self._person(actor, Act.SIGN_ON, number, "")
        if number not in self.signed_on(person):
            raise self._rules.refuse(
                person.actor, Act.SIGN_ON, number, f"You are not signed on at extension {number}.", status=409
            )
        return self._daemon(lambda: self._live.sign_off(number, actor=person.actor))

    def signed_on(self, person: Person) -> list[str]:
        """Return the extensions at which somebody has signed on."""
        agents = self._daemon(self._live.agents)
        return [
            agent["extension"] for agent in agents if agent["is_signed_on"] and agent["operator"] == person.display_name
        ]

    def pause(self, actor: Actor, call: str, reason: str) -> dict[str, Any]:
        """Pause a call. The daemon writes the audit log; that it cannot never stops a pause."""
        return self._simple(self._live.pause, actor, Act.PAUSE, call, reason)

    def resume(self, actor: Actor, call: str, reason: str) -> dict[str, Any]:
        """Resume a call, as far as this actor may."""
        return self._simple(self._live.resume, actor, Act.RESUME, call, reason)

    def pause_extension(self, actor: Actor, number: str, reason: str) -> dict[str, Any]:
        """Pause every call of an extension."""
        self._rules.require(actor, Act.PAUSE, number, extension=number)
        act = self._live.pause_extension
        return self._daemon(lambda: act(number, actor=actor.actor, reason=reason, authority=_authority(actor)))

    def resume_extension(self, actor: Actor, number: str, reason: str) -> dict[str, Any]:
        """Resume every call of an extension."""
        self._rules.require(actor, Act.RESUME, number, extension=number)
        act = self._live.resume_extension
        return self._daemon(lambda: act(number, actor=actor.actor, reason=reason, authority=_authority(actor)))

    def forgot(self, actor: Actor, call: str, seconds: float | None, reason: str) -> dict[str, Any]:
        """Pause a call, and order what was recorded of its last seconds to be erased."""
        person = self._person(actor, Act.FORGOT, call, reason)
        return self._daemon(lambda: self._live.forgot(call, person=person, seconds=seconds, reason=reason))

    def forgot_extension(self, actor: Actor, number: str, seconds: float | None, reason: str) -> dict[str, Any]:
        """Do so for every call of an extension."""
        person = self._person(actor, Act.FORGOT, number, reason)
        act = self._live.forgot_extension
        return self._daemon(lambda: act(number, person=person, seconds=seconds, reason=reason))

    def second_message(self, actor: Actor, call: str, reason: str) -> dict[str, Any]:
        """Have the second message played to the caller."""
        person = self._person(actor, Act.SECOND_MESSAGE, call, reason)
        return self._daemon(lambda: self._live.second_message(call, person=person, reason=reason))

    def second_message_extension(self, actor: Actor, number: str, reason: str) -> dict[str, Any]:
        """Do so in every call of an extension."""
        person = self._person(actor, Act.SECOND_MESSAGE, number, reason)
        return self._daemon(lambda: self._live.second_message_extension(number, person=person, reason=reason))

    # Opt-outs

    def opt_outs(self, actor: Actor) -> list[dict[str, Any]]:
        """Return the requests of the calls that a person is on or answers for, oldest first, decided ones too."""
        self._rules.require(actor, Act.SEE_LIVE)
        if not isinstance(actor, Person):
            raise self._rules.refuse(actor.actor, Act.SEE_LIVE, "", "Requests to opt out are for people, not tokens.")
        found = self._daemon(lambda: self._live.opt_outs(actor=actor.actor))
        return [request for request in found if may_see(actor, facts_of(request))]

    def ask_opt_out(self, actor: Actor, call: str, reason: str) -> dict[str, Any]:
        """Ask that a call be recorded no longer."""
        person = self._person(actor, Act.RAISE_OPT_OUT, call, reason)
        return self._daemon(lambda: self._live.ask_opt_out(call, person=person, reason=reason))

    def opt_out(self, actor: Actor, call: str, grant: Grant) -> dict[str, Any]:
        """Stop recording for the rest of a call."""
        person = self._person(actor, Act.OPT_OUT, call, grant.reason)
        return self._daemon(lambda: self._live.opt_out(call, person=person, grant=grant))

    def grant_opt_out(self, actor: Actor, request: str, grant: Grant) -> dict[str, Any]:
        """Grant a request: recording ends for the rest of its call."""
        person = self._person(actor, Act.OPT_OUT, request, grant.reason)
        return self._daemon(lambda: self._live.grant_opt_out(request, person=person, grant=grant))

    def decline_opt_out(self, actor: Actor, request: str, reason: str) -> dict[str, Any]:
        """Decline a request."""
        person = self._person(actor, Act.DECLINE_OPT_OUT, request, reason)
        return self._daemon(lambda: self._live.decline_opt_out(request, person=person, reason=reason))

    # What they have in common

    def _person(self, actor: Actor, act: Act, subject: str, reason: str) -> Person:
        self._rules.require(actor, act, subject, reason=reason)
        assert isinstance(actor, Person), "the table gives these acts to nobody else"
        return actor

    def _simple(self, do: Callable[..., T], actor: Actor, act: Act, call: str, reason: str) -> T:
        """Do an act on a call; whether it is of an extension that a token is good for the daemon knows."""
        self._rules.require(actor, act, call)
        extensions = actor.extensions if isinstance(actor, Application) else frozenset()
        said = {"actor": actor.actor, "reason": reason, "authority": _authority(actor), "extensions": extensions}
        return self._daemon(lambda: do(call, **said))

    def _daemon(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except DaemonUnavailableError as error:
            raise ProblemError(504, str(error), title="Not confirmed", extra={"state": "not_confirmed"}) from error
        except DaemonRefusedError as error:
            if error.status == 504:
                raise ProblemError(504, str(error), title="Not confirmed", extra={"state": "not_confirmed"}) from error
            status = error.status if 400 <= error.status < 500 or error.status == 503 else 502
            raise ProblemError(status, str(error)) from error


def _sits_at(person: Person, agent: dict[str, Any]) -> bool:
    is_theirs = agent["extension"] == person.extension and not agent["is_signed_on"]
    return is_theirs or agent["operator"] == person.display_name


def _authority(actor: Actor) -> str:
    if isinstance(actor, Application):
        return actor.actor
    return "manager" if isinstance(actor, Person) and speaks_as_manager(actor) else "officer"


def as_seen(actor: Actor, call: dict[str, Any]) -> dict[str, Any]:
    """Return a call as somebody sees it: who may not decide on opt-outs does not see them."""
    if isinstance(actor, Person) and may_see(actor, facts_of(call)):
        return call
    return {**call, "opt_out": None}


def facts_of(listed: dict[str, Any]) -> CallFacts:
    """Return what the rules need to know of a call, out of what the daemon lists."""
    return CallFacts(
        call=RecordingId(str(listed.get("call"))),
        team=str(listed.get("team") or ""),
        extensions=_names(listed, "extension"),
        operators=_names(listed, "operator"),
    )


def facts_now(listed: dict[str, Any]) -> CallFacts:
    """Return the same of who is on a call now."""
    extensions, operators = (frozenset(listed.get(f"{what}_now") or ()) for what in ("extensions", "operators"))
    return replace(facts_of(listed), extensions=extensions, operators=operators)


def _names(listed: dict[str, Any], what: str) -> frozenset[str]:
    """Return both sides' names: of a request they are listed as such, of a call only the first is."""
    every = listed.get(f"{what}s") or [listed.get(what)]
    return frozenset(str(name) for name in every if name)
