"""Sign-ons at phones over the daemon's socket: list, sign on, sign off."""

from datetime import datetime
from typing import Any

from recorder.access.agents import SignOnClashError
from recorder.calls.acts import ActEntry
from recorder.calls.call_services import CallServices
from recorder.calls.live_calls import UnknownCallError
from recorder.calls.signing_on import SIGN_ON, sign_on
from recorder.common.problems import ProblemError
from recorder.control.bodies import PersonalBody, SignOnBody, SocketCaller, WhoCalls
from recorder.control.call_thread_gateway import CallThreadGateway, subject_of
from recorder.control.routes import routes_of
from recorder.permissions import Act, DeniedError, Fault, Person, Refusal
from recorder.rules.authorisation import may
from recorder.rules.policy import Extension
from recorder.rules.seats import own_teams
from recorder.rules.sign_on import SignOn, SignOnWay, displaced, is_own_phone, route_to

CODE = "agent.sign_on.code"
"""A code to be keyed at a phone was shown; the entry does not contain it."""
SIGN_OFF = "agent.sign_off"
_WITHOUT_PEOPLE = ("extension", "service", "team", "is_signed_on")


class LiveSignOns:
    """The routes of sign-ons."""

    def __init__(self, services: CallServices, gateway: CallThreadGateway) -> None:
        self._services = services
        self._gateway = gateway

    async def agents(self, who: WhoCalls) -> dict[str, Any]:
        """List who is at which extension, and recent takeovers; callers without a name see no people."""
        listed = [self._listed(one) for one in self._services.config.extension]
        if not who.name:
            return {"agents": [{key: one[key] for key in _WITHOUT_PEOPLE} for one in listed], "takeovers": []}
        takeovers = [
            {
                "extension": one.extension,
                "operator": one.operator,
                "instead_of": one.instead_of,
                "at": _iso(one.at),
            }
            for one in self._services.sign_ons.takeovers()
        ]
        return {"agents": listed, "takeovers": takeovers}

    def _listed(self, extension: Extension) -> dict[str, Any]:
        there = self._services.sign_ons.of(extension.number)
        return {
            "extension": extension.number,
            "operator": extension.operator if there is None else there.operator,
            "configured": extension.operator,
            "service": extension.service,
            "team": extension.team,
            "is_signed_on": there is not None,
            "is_proven": there is None or there.is_proven,
            "until": None if there is None else self._until(there),
        }

    def _until(self, there: SignOn) -> str:
        return _iso(self._services.sign_ons.until(there))

    async def sign_on(self, extension: str, body: SignOnBody, who: WhoCalls) -> dict[str, Any]:
        """Sign a person on at an extension, or give them a code to key at that phone.

        The answer has ``code`` and ``keys`` if the person is not signed on yet.
        """
        signature = ActEntry(
            act=SIGN_ON, actor=who.actor, subject=subject_of(extension), details={"os_user": who.os_user}
        )
        person = await self._gateway.act(
            lambda: self._check(extension, body, who), signature, missing=UnknownCallError.of_extension(extension)
        )
        found, there = self._services.config.extensions[extension], self._services.sign_ons.of(extension)
        teams = self._teams_of(person)
        if route_to(person, found, there, teams=teams, is_anothers=body.is_anothers) is SignOnWay.BY_CODE:
            return await self._by_code(person, found, there, who, body.code)
        done = sign_on(
            self._services,
            found,
            account=person.name,
            operator=person.display_name,
            is_proven=is_own_phone(person, found, is_anothers=body.is_anothers),
            details={"os_user": who.os_user},
        )
        try:
            made = await self._gateway.stored(done, "The sign-on could not be stored, so nobody is signed on:")
        except SignOnClashError as clash:
            raise ProblemError(409, f"{clash.operator} is signed on at extension {extension} now.") from clash
        return {
            "extension": extension,
            "operator": made.operator,
            "is_proven": made.is_proven,
            "until": self._until(made),
        }

    def _check(self, extension: str, body: SignOnBody, who: SocketCaller) -> Person:
        person = body.person_of(who)
        if extension not in self._services.config.extensions:
            raise ProblemError(404, f"Extension {extension} is not nominated; see [[extension]] in recorder.toml.")
        decision = may(person, Act.SIGN_ON)
        if isinstance(decision, Refusal):
            raise DeniedError(Fault.NOT_ALLOWED, decision.reason)
        if not person.display_name:
            raise DeniedError(Fault.NOT_ALLOWED, "Your account has no display name, so calls cannot be filed under it.")
        return person

    def _teams_of(self, person: Person) -> frozenset[str]:
        """Return a person's teams: their account's, and those of the phones configured as theirs."""
        return frozenset(person.teams) | own_teams(person, self._services.config.extension)

    async def _by_code(
        self, person: Person, extension: Extension, there: SignOn | None, who: SocketCaller, code: str | None
    ) -> dict[str, Any]:
        keys, operator = self._services.config.sign_on_keys, person.display_name
        before = displaced(operator, extension, there)
        details = {"operator": operator} | ({} if before is None else {"instead_of": before})
        if keys is None:
            await self._gateway.audit(f"{SIGN_ON}.refused", who, extension.number, details, "")
            raise ProblemError(
                409,
                f"Extension {extension.number} takes a code that is keyed at the phone, but `[sign_on] keys` is off: "
                "ask the people who run this system.",
            )
        made = self._services.sign_on_codes.issue(extension.number, account=person.name, operator=operator, digits=code)
        await self._gateway.audit(CODE, who, extension.number, details, "")
        return {
            "extension": extension.number,
            "operator": operator,
            "code": made.digits,
            "keys": f"{keys}{made.digits}#",
            "good_until": _iso(made.until),
            "instead_of": before,
        }

    async def sign_off(self, extension: str, body: PersonalBody, who: WhoCalls) -> dict[str, Any]:
        """Sign a person off from an extension; nobody else can."""
        details = {"os_user": who.os_user}
        signature = ActEntry(act=SIGN_OFF, actor=who.actor, subject=subject_of(extension), details=details)
        missing = UnknownCallError.of_extension(extension)
        person = await self._gateway.act(lambda: self._there(extension, body, who), signature, missing=missing)
        await self._gateway.audit(SIGN_OFF, who, extension, {"operator": person.display_name}, "")
        act = self._services.sign_ons.sign_off
        await self._gateway.confirm(self._services.act_writer.submit(act, extension, person.display_name))
        return {"extension": extension, "operator": person.display_name}

    def _there(self, extension: str, body: PersonalBody, who: SocketCaller) -> Person:
        person, there = body.person_of(who), self._services.sign_ons.of(extension)
        if there is None or there.operator != person.display_name:
            raise ProblemError(409, f"You are not signed on at extension {extension}.")
        return person


ROUTES = routes_of(
    LiveSignOns,
    (
        ("GET", "/api/agents", LiveSignOns.agents),
        ("POST", "/api/agents/{extension}/sign-on", LiveSignOns.sign_on),
        ("POST", "/api/agents/{extension}/sign-off", LiveSignOns.sign_off),
    ),
)


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
