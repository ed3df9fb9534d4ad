"""What people and other systems do to calls in progress, for pages and API alike.

Which call is whose the daemon decides when somebody acts: it alone knows the call. What somebody is shown is decided
here, by the same rules (`recorder.rules.live_access`); so is what a role or a token is good for at all.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from recorder.control.client import SERVICE
from recorder.permissions import Act, Actor, Allowed, Person, Role
from recorder.rules.authorisation import may
from recorder.rules.call_target import ExtensionTarget, Target
from recorder.rules.live_access import NOTHING_KNOWN, Around, seen
from recorder.rules.seats import colleagues_of
from recorder.web.daemon_access import DaemonAccess
from recorder.web.sharing import Shared
from recorder.web.views import Views


class LiveCallService:
    """Shows calls in progress, pauses and resumes them: decides, then asks the daemon.

    Every method blocks and raises ProblemError: 403 refused, 404 no such call, 503 the audit log cannot be written, 504
    the daemon did not confirm. Whatever else the daemon refuses keeps its status and sentence.
    """

    def __init__(
        self, daemon: DaemonAccess, *, managed: Callable[[], frozenset[str]], now: Callable[[], datetime]
    ) -> None:
        self._daemon = daemon
        self._managed = managed
        self._views = Views(daemon.rules, now)
        self._listed: Shared[list[dict[str, Any]]] = Shared(partial(daemon.ask, lambda live: live.calls(actor=SERVICE)))
        self._agents: Shared[list[dict[str, Any]]] = Shared(partial(daemon.ask, lambda live: live.agents()))

    def calls(self, actor: Actor, *, is_shared: bool = False) -> list[dict[str, Any]]:
        """Return the calls in progress as this actor may see them, each with what they may do to it under ``may``.

        Args:
            actor: Who asks.
            is_shared: Whether the daemon is asked once for all who ask at the same time.
        """
        self.looks(actor)
        around = self.around(actor)
        listed = self._listed.get() if is_shared else self._daemon.ask(lambda live: live.calls(actor=actor.actor))
        return [shown for call in listed if (shown := seen(actor, call, around)) is not None]

    def looks(self, actor: Actor) -> None:
        """Make sure that somebody may look at live calls, and have it in the audit log once an hour."""
        self._daemon.rules.authorise(actor, Act.SEE_LIVE)
        self._views.note(actor, has_numbers=isinstance(may(actor, Act.SEE_NUMBERS), Allowed))

    def around(self, actor: Actor) -> Around:
        """Return what is known of somebody beside their account."""
        if not isinstance(actor, Person):
            return NOTHING_KNOWN
        around = self.managers(actor)
        if Role.OFFICER not in actor.roles:
            return around
        return replace(around, colleagues=colleagues_of(actor, self._agents.get()))

    def managers(self, person: Person) -> Around:
        """Return what the daemon cannot find out: which teams have a manager there, where that counts."""
        return Around(managed=self._managed() if Role.TEAM_LEADER in person.roles else None)

    def health(self) -> dict[str, Any]:
        """Return what the daemon says of itself, to whoever was allowed to see it."""
        return self._daemon.ask(lambda live: live.health())

    def pause(self, actor: Actor, target: Target, reason: str) -> dict[str, Any]:
        """Pause a call, or every call of an extension. The daemon does so even where it cannot write the audit log."""
        self._require(actor, Act.PAUSE, target)
        return self._daemon.ask(lambda live: live.pause(target, actor=actor, reason=reason))

    def resume(self, actor: Actor, target: Target, reason: str) -> dict[str, Any]:
        """Resume a call, or every call of an extension, as far as this actor may."""
        self._require(actor, Act.RESUME, target)
        return self._daemon.ask(lambda live: live.resume(target, actor=actor, reason=reason))

    def pause_retroactively(self, actor: Actor, target: Target, seconds: float | None, reason: str) -> dict[str, Any]:
        """Pause, and order what was recorded of the last seconds to be erased."""
        person = self._daemon.person(actor, Act.RETROACTIVE_PAUSE, target.subject, reason)
        return self._daemon.ask(
            lambda live: live.pause_retroactively(target, person=person, seconds=seconds, reason=reason)
        )

    def second_message(self, actor: Actor, target: Target, reason: str) -> dict[str, Any]:
        """Have the second message played to the caller."""
        person = self._daemon.person(actor, Act.SECOND_MESSAGE, target.subject, reason)
        return self._daemon.ask(lambda live: live.second_message(target, person=person, reason=reason))

    def _require(self, actor: Actor, act: Act, target: Target) -> None:
        extension = target.number if isinstance(target, ExtensionTarget) else None
        self._daemon.rules.authorise(actor, act, target.subject, extension=extension)
