"""What people and other systems do to calls in progress, for pages and API alike.

Which call is whose the daemon decides when somebody acts: it alone knows the call. What somebody is shown is decided
here, by the same rules (`recorder.rules.live_access`); so is what a role or a token is good for at all.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from recorder.access.operator_names import MisnamedOperator, misnamed_operators
from recorder.common.problems import ProblemError
from recorder.control.client import SERVICE, DaemonRefusedError, DaemonUnavailableError, OptOutGrant
from recorder.permissions import Act, Actor, Allowed, Person, Role
from recorder.rules.authorisation import may
from recorder.rules.call_target import CallTarget, ExtensionTarget
from recorder.rules.live_access import NOTHING_KNOWN, Around, seen
from recorder.rules.live_facts import facts_listed
from recorder.rules.opt_out import may_decide, may_see
from recorder.rules.seats import colleagues_of, seats_of
from recorder.web.deps import Live
from recorder.web.rules import Rules
from recorder.web.sharing import Shared
from recorder.web.views import Views

T = TypeVar("T")


class LiveDesk:
    """Decides, then asks the daemon.

    Every method blocks and raises ProblemError: 403 refused, 404 no such call, 503 the audit log cannot be written, 504
    the daemon did not confirm. Whatever else the daemon refuses keeps its status and sentence.
    """

    def __init__(
        self, live: Live, rules: Rules, *, managed: Callable[[], frozenset[str]], now: Callable[[], datetime]
    ) -> None:
        self._live = live
        self._rules = rules
        self._managed = managed
        self._views = Views(rules, now)
        self._listed: Shared[list[dict[str, Any]]] = Shared(lambda: live.calls(actor=SERVICE))
        self._agents: Shared[list[dict[str, Any]]] = Shared(live.agents)

    def calls(self, actor: Actor, *, is_shared: bool = False) -> list[dict[str, Any]]:
        """Return the calls in progress as this actor may see them, each with what they may do to it under ``may``.

        Args:
            actor: Who asks.
            is_shared: Whether the daemon is asked once for all who ask at the same time.
        """
        self.looks(actor)
        around = self.around(actor)
        listed = self._daemon(self._listed.get if is_shared else lambda: self._live.calls(actor=actor.actor))
        return [shown for call in listed if (shown := seen(actor, call, around)) is not None]

    def looks(self, actor: Actor) -> None:
        """Make sure that somebody may look at live calls, and have it in the audit log once an hour."""
        self._rules.require(actor, Act.SEE_LIVE)
        self._views.note(actor, has_numbers=isinstance(may(actor, Act.SEE_NUMBERS), Allowed))

    def around(self, actor: Actor) -> Around:
        """Return what is known of somebody beside their account."""
        if not isinstance(actor, Person):
            return NOTHING_KNOWN
        around = self._managers(actor)
        if Role.OFFICER not in actor.roles:
            return around
        return replace(around, colleagues=colleagues_of(actor, self._daemon(self._agents.get)))

    def _managers(self, person: Person) -> Around:
        """Return what the daemon cannot find out: which teams have a manager there, where that counts."""
        return Around(managed=self._managed() if Role.TEAM_LEADER in person.roles else None)

    def health(self) -> dict[str, Any]:
        """Return what the daemon says of itself, to whoever was allowed to see it."""
        return self._daemon(self._live.health)

    def extensions(self, person: Person, calls: Iterable[Mapping[str, Any]] = ()) -> list[str]:
        """Return the nominated extensions that somebody sits at: where they signed on, and their own unless taken.

        Their own comes first. One that is not nominated is left out: its calls are not recorded.

        Args:
            person: Who.
            calls: Calls in progress as they see them: one that is theirs stays with them when their sign-on ends.
        """
        agents = self._daemon(self._live.agents)
        theirs = {seat["extension"] for seat in seats_of(person, agents)}
        for call in calls:
            if person.display_name and person.display_name in call.get("operators_now", ()):
                theirs.update(call["extensions_now"])
        return sorted(theirs, key=lambda number: (number != person.extension, number))

    def sign_on(self, actor: Actor, number: str, *, is_anothers: bool) -> dict[str, Any]:
        """Have a person sit at an extension: calls that begin there from now on are theirs.

        The answer has ``code`` and ``keys`` where they have to be keyed at the phone first.
        """
        person = self._person(actor, Act.SIGN_ON, number, "")
        return self._daemon(lambda: self._live.sign_on(number, person=person, is_anothers=is_anothers))

    def sign_off(self, actor: Actor, number: str) -> dict[str, Any]:
        """Have a person sit at an extension no longer; one's own sign-on only."""
        person = self._person(actor, Act.SIGN_ON, number, "")
        if number not in [seat["extension"] for seat in self.signed_on(person)]:
            raise self._rules.refuse(
                person.actor, Act.SIGN_ON, number, f"You are not signed on at extension {number}.", status=409
            )
        return self._daemon(lambda: self._live.sign_off(number, person=person))

    def signed_on(self, person: Person) -> list[dict[str, Any]]:
        """Return the extensions at which somebody has signed on, as the daemon lists them."""
        agents = self._daemon(self._live.agents)
        return [agent for agent in agents if agent["is_signed_on"] and agent["operator"] == person.display_name]

    def misnamed(self, person: Person, people: Collection[Person]) -> list[MisnamedOperator]:
        """Return the extensions that name a person otherwise than their calls are found by."""
        agents = self._daemon(self._live.agents)
        operators = [(one["extension"], one["operator"]) for one in agents if not one["is_signed_on"]]
        return [one for one in misnamed_operators(operators, people) if one.person.name == person.name]

    def takeovers(self, person: Person) -> list[dict[str, Any]]:
        """Return the phones that somebody took over lately, or that were taken over from them."""
        names = {person.display_name} - {""}
        found = self._daemon(self._live.takeovers)
        return [one for one in found if names & {one["operator"], one["instead_of"]}]

    def pause(self, actor: Actor, call: str, reason: str) -> dict[str, Any]:
        """Pause a call. The daemon writes the audit log; that it cannot never stops a pause."""
        self._rules.require(actor, Act.PAUSE, call)
        return self._daemon(lambda: self._live.pause(CallTarget(call), actor=actor, reason=reason))

    def resume(self, actor: Actor, call: str, reason: str) -> dict[str, Any]:
        """Resume a call, as far as this actor may."""
        self._rules.require(actor, Act.RESUME, call)
        return self._daemon(lambda: self._live.resume(CallTarget(call), actor=actor, reason=reason))

    def pause_extension(self, actor: Actor, number: str, reason: str) -> dict[str, Any]:
        """Pause every call of an extension."""
        self._rules.require(actor, Act.PAUSE, number, extension=number)
        return self._daemon(lambda: self._live.pause(ExtensionTarget(number), actor=actor, reason=reason))

    def resume_extension(self, actor: Actor, number: str, reason: str) -> dict[str, Any]:
        """Resume every call of an extension."""
        self._rules.require(actor, Act.RESUME, number, extension=number)
        return self._daemon(lambda: self._live.resume(ExtensionTarget(number), actor=actor, reason=reason))

    def forgot(self, actor: Actor, call: str, seconds: float | None, reason: str) -> dict[str, Any]:
        """Pause a call, and order what was recorded of its last seconds to be erased."""
        person = self._person(actor, Act.FORGOT, call, reason)
        return self._daemon(lambda: self._live.forgot(CallTarget(call), person=person, seconds=seconds, reason=reason))

    def forgot_extension(self, actor: Actor, number: str, seconds: float | None, reason: str) -> dict[str, Any]:
        """Do so for every call of an extension."""
        person = self._person(actor, Act.FORGOT, number, reason)
        target = ExtensionTarget(number)
        return self._daemon(lambda: self._live.forgot(target, person=person, seconds=seconds, reason=reason))

    def second_message(self, actor: Actor, call: str, reason: str) -> dict[str, Any]:
        """Have the second message played to the caller."""
        person = self._person(actor, Act.SECOND_MESSAGE, call, reason)
        return self._daemon(lambda: self._live.second_message(CallTarget(call), person=person, reason=reason))

    def second_message_extension(self, actor: Actor, number: str, reason: str) -> dict[str, Any]:
        """Do so in every call of an extension."""
        person = self._person(actor, Act.SECOND_MESSAGE, number, reason)
        return self._daemon(lambda: self._live.second_message(ExtensionTarget(number), person=person, reason=reason))

    # Opt-outs

    def opt_outs(self, actor: Actor) -> list[dict[str, Any]]:
        """Return the requests of the calls that a person is on or sees, oldest first, decided ones too.

        Each says under ``may_decide`` whether it is theirs to decide.
        """
        self.looks(actor)
        if not isinstance(actor, Person):
            raise self._rules.refuse(actor.actor, Act.SEE_LIVE, "", "Requests to opt out are for people, not tokens.")
        found, around = self._daemon(lambda: self._live.opt_outs(actor=actor.actor)), self.around(actor)
        return [
            {**one, "may_decide": one.get("state") == "raised" and may_decide(actor, facts_listed(one), around)}
            for one in found
            if may_see(actor, facts_listed(one), around)
        ]

    def ask_opt_out(self, actor: Actor, call: str, reason: str) -> dict[str, Any]:
        """Ask that a call be recorded no longer."""
        person = self._person(actor, Act.RAISE_OPT_OUT, call, reason)
        return self._daemon(lambda: self._live.ask_opt_out(call, person=person, reason=reason))

    def opt_out(self, actor: Actor, call: str, grant: OptOutGrant) -> dict[str, Any]:
        """Stop recording for the rest of a call."""
        person = self._person(actor, Act.OPT_OUT, call, grant.reason)
        around = self._managers(person)
        return self._daemon(lambda: self._live.opt_out(CallTarget(call), person=person, grant=grant, around=around))

    def grant_opt_out(self, actor: Actor, request: str, grant: OptOutGrant) -> dict[str, Any]:
        """Grant a request: recording ends for the rest of its call."""
        person = self._person(actor, Act.OPT_OUT, request, grant.reason)
        around = self._managers(person)
        return self._daemon(lambda: self._live.grant_opt_out(request, person=person, grant=grant, around=around))

    def decline_opt_out(self, actor: Actor, request: str, reason: str) -> dict[str, Any]:
        """Decline a request."""
        person = self._person(actor, Act.DECLINE_OPT_OUT, request, reason)
        around, decline = self._managers(person), self._live.decline_opt_out
        return self._daemon(lambda: decline(request, person=person, reason=reason, around=around))

    # What they have in common

    def _person(self, actor: Actor, act: Act, subject: str, reason: str) -> Person:
        self._rules.require(actor, act, subject, reason=reason)
        assert isinstance(actor, Person), "the table gives these acts to nobody else"
        return actor

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
