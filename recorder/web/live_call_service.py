"""Acts of people and other systems on live calls, for pages and API.

The daemon, which knows the call, decides whether a person may act on it. The console decides what is shown, by the same
rules (`recorder.rules.live_access`), and what a role or token may do at all.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from recorder.access.reachability import AccountsAwayError
from recorder.control.client import SERVICE
from recorder.permissions import Act, Actor, Allowed, Person, Role
from recorder.rules.authorisation import may
from recorder.rules.call_target import ExtensionTarget, Target
from recorder.rules.live_access import NOTHING_KNOWN, Around, Relation, relations_of, seen
from recorder.rules.seats import colleagues_of
from recorder.web.daemon_access import DaemonAccess
from recorder.web.sharing import Shared
from recorder.web.views import Views


@dataclass(frozen=True, slots=True, kw_only=True)
class SilentNode:
    """A node that does not answer, so that the state of its calls is not known.

    Attributes:
        name: Its name.
        since: Since when.
        may_have_calls: Whether it may still have calls, and not only be gone.
    """

    name: str
    since: datetime
    may_have_calls: bool


class LiveCallService:
    """Shows, pauses and resumes live calls: checks permission, then asks the daemon.

    Every method blocks and raises ProblemError: 403 refused, 404 no such call, 503 the audit log cannot be written, 504
    the daemon did not confirm. Other refusals of the daemon keep their status and message.
    """

    def __init__(
        self, daemon: DaemonAccess, *, managed: Callable[[], frozenset[str]], now: Callable[[], datetime]
    ) -> None:
        self._daemon = daemon
        self._managed = managed
        self._views = Views(daemon.audit_service, now)
        self._listed: Shared[list[dict[str, Any]]] = Shared(partial(daemon.ask, lambda live: live.calls(actor=SERVICE)))
        self._drain: Shared[dict[str, Any]] = Shared(partial(daemon.ask, lambda live: live.drain_state()))
        self._agents: Shared[list[dict[str, Any]]] = Shared(partial(daemon.ask, lambda live: live.agents()))

    def calls(self, actor: Actor, *, is_shared: bool = False) -> list[dict[str, Any]]:
        """Return the live calls as the actor may see them, each with the acts that they may do under ``may``.

        Args:
            actor: Who asks.
            is_shared: Whether one request to the daemon serves all who ask at the same time.
        """
        self.looks(actor)
        around = self.around(actor)
        listed = self._listed.get() if is_shared else self._daemon.ask(lambda live: live.calls(actor=actor.actor))
        return [shown for call in listed if (shown := seen(actor, call, around)) is not None]

    def looks(self, actor: Actor) -> None:
        """Check that an actor may see live calls, and log that once an hour."""
        self._daemon.audit_service.authorise(actor, Act.SEE_LIVE)
        self._views.note(actor, has_numbers=isinstance(may(actor, Act.SEE_NUMBERS), Allowed))

    def around(self, actor: Actor) -> Around:
        """Return the facts that an actor's permissions depend on, besides the account."""
        if not isinstance(actor, Person):
            return NOTHING_KNOWN
        around = self.managers(actor)
        if Role.OFFICER not in actor.roles:
            return around
        return replace(around, colleagues=colleagues_of(actor, self._agents.get()))

    def managers(self, person: Person) -> Around:
        """Return the teams with a manager present, which the daemon does not know, if the role needs them."""
        if Role.TEAM_LEADER not in person.roles:
            return Around(managed=None)
        try:
            return Around(managed=self._managed())
        except AccountsAwayError:
            return Around(managed=None)  # unknown: then a team leader decides on no opt-out

    def teams(self, actor: Actor) -> list[str]:
        """Return the teams whose calls an actor may see. The caller has checked that they may see any."""
        if not isinstance(actor, Person):
            return []
        if not any(Relation.OTHER in relations_of(role, Act.SEE_LIVE) for role in actor.roles):
            return sorted({*actor.teams, *self.around(actor).colleagues})
        return sorted({str(one.get("team") or "") for one in self._agents.get()} - {""})

    def health(self) -> dict[str, Any]:
        """Return the daemon's health report. The caller has checked the permission."""
        return self._daemon.ask(lambda live: live.health())

    def acknowledge_alarm(self, actor: Actor, alarm: str, remark: str, hours: float) -> dict[str, Any]:
        """Acknowledge an alarm of the daemon, which enters it into the audit log."""
        person = self._daemon.person(actor, Act.SEE_SYSTEM, "", remark)
        return self._daemon.ask(lambda live: live.acknowledge_alarm(alarm, person=person, remark=remark, hours=hours))

    def silent_nodes(self) -> list[SilentNode]:
        """Return the nodes that do not answer. The caller has checked the permission."""
        found = self._daemon.ask(lambda live: live.nodes())
        return [
            SilentNode(
                name=one["node"],
                since=datetime.fromisoformat(one["silent_since"]),
                may_have_calls=one["may_have_calls"],
            )
            for one in found
            if one["silent_since"] is not None
        ]

    def drain(self) -> dict[str, Any]:
        """Return whether new calls are refused, and how many calls are left. The caller has checked the permission."""
        return self._drain.get()

    def pause(self, actor: Actor, target: Target, reason: str) -> dict[str, Any]:
        """Pause a call, or all calls of an extension. The daemon pauses even if it cannot write the audit log."""
        self._require(actor, Act.PAUSE, target)
        return self._daemon.ask(lambda live: live.pause(target, actor=actor, reason=reason))

    def resume(self, actor: Actor, target: Target, reason: str) -> dict[str, Any]:
        """Resume a call, or all calls of an extension, as far as the actor may."""
        self._require(actor, Act.RESUME, target)
        return self._daemon.ask(lambda live: live.resume(target, actor=actor, reason=reason))

    def pause_retroactively(self, actor: Actor, target: Target, seconds: float | None, reason: str) -> dict[str, Any]:
        """Pause, and order the last seconds to be erased."""
        person = self._daemon.person(actor, Act.RETROACTIVE_PAUSE, target.subject, reason)
        return self._daemon.ask(
            lambda live: live.pause_retroactively(target, person=person, seconds=seconds, reason=reason)
        )

    def second_message(self, actor: Actor, target: Target, reason: str) -> dict[str, Any]:
        """Play the second message to the caller."""
        person = self._daemon.person(actor, Act.SECOND_MESSAGE, target.subject, reason)
        return self._daemon.ask(lambda live: live.second_message(target, person=person, reason=reason))

    def _require(self, actor: Actor, act: Act, target: Target) -> None:
        extension = target.number if isinstance(target, ExtensionTarget) else None
        self._daemon.audit_service.authorise(actor, act, target.subject, extension=extension)
