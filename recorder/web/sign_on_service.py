"""Who sits at which extension: people sign on and off there, for pages and API alike."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from recorder.access.operator_names import MisnamedOperator, misnamed_operators
from recorder.permissions import Act, Actor, Person
from recorder.rules.seats import seats_of
from recorder.web.daemon_access import DaemonAccess


class SignOnService:
    """Signs people on at extensions, and says at which they sit; blocks and raises as `LiveCallService`."""

    def __init__(self, daemon: DaemonAccess) -> None:
        self._daemon = daemon

    def extensions(self, person: Person, calls: Iterable[Mapping[str, Any]] = ()) -> list[str]:
        """Return the nominated extensions that somebody sits at: where they signed on, and their own unless taken.

        Their own comes first. One that is not nominated is left out: its calls are not recorded.

        Args:
            person: Who.
            calls: Calls in progress as they see them: one that is theirs stays with them when their sign-on ends.
        """
        agents = self._daemon.ask(lambda live: live.agents())
        theirs = {seat["extension"] for seat in seats_of(person, agents)}
        for call in calls:
            if person.display_name and person.display_name in call.get("operators_now", ()):
                theirs.update(call["extensions_now"])
        return sorted(theirs, key=lambda number: (number != person.extension, number))

    def sign_on(self, actor: Actor, number: str, *, is_anothers: bool) -> dict[str, Any]:
        """Have a person sit at an extension: calls that begin there from now on are theirs.

        The answer has ``code`` and ``keys`` where they have to be keyed at the phone first.
        """
        person = self._daemon.person(actor, Act.SIGN_ON, number, "")
        return self._daemon.ask(lambda live: live.sign_on(number, person=person, is_anothers=is_anothers))

    def sign_off(self, actor: Actor, number: str) -> dict[str, Any]:
        """Have a person sit at an extension no longer; one's own sign-on only."""
        person = self._daemon.person(actor, Act.SIGN_ON, number, "")
        if number not in [seat["extension"] for seat in self.signed_on(person)]:
            raise self._daemon.rules.refusal(
                person.actor, Act.SIGN_ON, number, f"You are not signed on at extension {number}.", status=409
            )
        return self._daemon.ask(lambda live: live.sign_off(number, person=person))

    def signed_on(self, person: Person) -> list[dict[str, Any]]:
        """Return the extensions at which somebody has signed on, as the daemon lists them."""
        agents = self._daemon.ask(lambda live: live.agents())
        return [agent for agent in agents if agent["is_signed_on"] and agent["operator"] == person.display_name]

    def misnamed(self, person: Person, people: Collection[Person]) -> list[MisnamedOperator]:
        """Return the extensions that name a person otherwise than their calls are found by."""
        agents = self._daemon.ask(lambda live: live.agents())
        operators = [(one["extension"], one["operator"]) for one in agents if not one["is_signed_on"]]
        return [one for one in misnamed_operators(operators, people) if one.person.name == person.name]

    def takeovers(self, person: Person) -> list[dict[str, Any]]:
        """Return the phones that somebody took over lately, or that were taken over from them."""
        names = {person.display_name} - {""}
        found = self._daemon.ask(lambda live: live.takeovers())
        return [one for one in found if names & {one["operator"], one["instead_of"]}]
