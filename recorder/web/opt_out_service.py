"""Acts on opt-out requests, for pages and API.

The daemon, which knows the call, decides who may decide on a request.
"""

from typing import Any

from recorder.control.client import OptOutGrant
from recorder.permissions import Act, Actor, Person
from recorder.rules.call_target import CallTarget
from recorder.rules.live_facts import facts_listed
from recorder.rules.opt_out import may_decide, may_see
from recorder.web.daemon_access import DaemonAccess
from recorder.web.live_call_service import LiveCallService


class OptOutService:
    """Shows, raises and decides opt-out requests; blocks and raises like `LiveCallService`."""

    def __init__(self, daemon: DaemonAccess, live_calls: LiveCallService) -> None:
        self._daemon = daemon
        self._live_calls = live_calls

    def requests(self, actor: Actor) -> list[dict[str, Any]]:
        """Return the requests of the calls that a person is on or may see, oldest first, including decided ones.

        Each says under ``may_decide`` whether this person may decide it.
        """
        self._live_calls.looks(actor)
        if not isinstance(actor, Person):
            raise self._daemon.audit_service.refusal(
                actor.actor, Act.SEE_LIVE, "", "Requests to opt out are for people, not tokens."
            )
        found, around = self._daemon.ask(lambda live: live.opt_outs(actor=actor.actor)), self._live_calls.around(actor)
        return [
            {**one, "may_decide": one.get("state") == "raised" and may_decide(actor, facts_listed(one), around)}
            for one in found
            if may_see(actor, facts_listed(one), around)
        ]

    def ask(self, actor: Actor, call: str, reason: str) -> dict[str, Any]:
        """Raise an opt-out request."""
        person = self._daemon.person(actor, Act.RAISE_OPT_OUT, call, reason)
        return self._daemon.ask(lambda live: live.ask_opt_out(call, person=person, reason=reason))

    def opt_out(self, actor: Actor, call: str, grant: OptOutGrant) -> dict[str, Any]:
        """Stop recording for the rest of a call."""
        person = self._daemon.person(actor, Act.OPT_OUT, call, grant.reason)
        around = self._live_calls.managers(person)
        return self._daemon.ask(lambda live: live.opt_out(CallTarget(call), person=person, grant=grant, around=around))

    def grant(self, actor: Actor, request: str, grant: OptOutGrant) -> dict[str, Any]:
        """Grant a request: recording stops for the rest of its call."""
        person = self._daemon.person(actor, Act.OPT_OUT, request, grant.reason)
        around = self._live_calls.managers(person)
        return self._daemon.ask(lambda live: live.grant_opt_out(request, person=person, grant=grant, around=around))

    def decline(self, actor: Actor, request: str, reason: str) -> dict[str, Any]:
        """Decline a request."""
        person = self._daemon.person(actor, Act.DECLINE_OPT_OUT, request, reason)
        around = self._live_calls.managers(person)
        return self._daemon.ask(lambda live: live.decline_opt_out(request, person=person, reason=reason, around=around))
