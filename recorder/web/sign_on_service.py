"""Sign-on and sign-off at extensions, for pages and API."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from recorder.access.operator_names import MisnamedOperator, misnamed_operators
from recorder.permissions import Act, Actor, Person
from recorder.rules.seats import seats_of
from recorder.web.daemon_access import DaemonAccess


class SignOnService:
    """Signs people on and off at extensions, and returns theirs; blocks and raises like `LiveCallService`."""

    def __init__(self, daemon: DaemonAccess) -> None:
        self._daemon = daemon

    def extensions(self, person: Person, calls: Iterable[Mapping[str, Any]] = ()) -> list[str]:
        """Return a person's nominated extensions: where they signed on, and their own unless taken, which comes first.

        An extension that is not nominated is left out, as its calls are not recorded.

        Args:
            person: The person.
            calls: Live calls that they may see; a call stays theirs after their sign-on ends.
        """
        agents = self._daemon.ask(lambda live: live.agents())
        theirs = {seat["extension"] for seat in seats_of(person, agents)}
        for call in calls:
            if person.display_name and person.display_name in call.get("operators_now", ()):
                theirs.update(call["extensions_now"])
        return sorted(theirs, key=lambda number: (number != person.extension, number))

    def sign_on(self, actor: Actor, number: str, *, is_anothers: bool) -> dict[str, Any]:
        """Sign a person on at an extension, so that calls that begin there from now on are theirs.

        The answer has ``code`` and ``keys`` if a code must be keyed at the phone first.
        """
        person = self._daemon.person(actor, Act.SIGN_ON, number, "")
        return self._daemon.ask(lambda live: live.sign_on(number, person=person, is_anothers=is_anothers))

    def sign_off(self, actor: Actor, number: str) -> dict[str, Any]:
        """Sign a person off from an extension where they are signed on."""
        person = self._daemon.person(actor, Act.SIGN_ON, number, "")
        if number not in [seat["extension"] for seat in self.signed_on(person)]:
            raise self._daemon.audit_service.refusal(
                person.actor, Act.SIGN_ON, number, f"You are not signed on at extension {number}.", status=409
            )
        return self._daemon.ask(lambda live: live.sign_off(number, person=person))

    def signed_on(self, person: Person) -> list[dict[str, Any]]:
        """Return the extensions where a person is signed on, as the daemon lists them."""
        agents = self._daemon.ask(lambda live: live.agents())
        return [agent for agent in agents if agent["is_signed_on"] and agent["operator"] == person.display_name]

    def misnamed(self, person: Person, people: Collection[Person]) -> list[MisnamedOperator]:
        """Return the extensions that name a person's account instead of the name that calls are found by."""
        agents = self._daemon.ask(lambda live: live.agents())
        operators = [(one["extension"], one["operator"]) for one in agents if not one["is_signed_on"]]
        return [one for one in misnamed_operators(operators, people) if one.person.name == person.name]

    def takeovers(self, person: Person) -> list[dict[str, Any]]:
        """Return recent sign-ons by which this person took over a phone, or lost one."""
        names = {person.display_name} - {""}
        found = self._daemon.ask(lambda live: live.takeovers())
        return [one for one in found if names & {one["operator"], one["instead_of"]}]
