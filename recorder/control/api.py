"""The daemon's HTTP+JSON on a unix socket that only its user may open.

It runs on a thread with its own asyncio loop. Every act is passed to the call thread, done there in one step, and
answered when its state is on disk; if that cannot be confirmed in time, the answer says so
(`recorder.control.call_thread_gateway`).
"""

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import FastAPI, Query
from fastapi.responses import StreamingResponse

from recorder.access.signing import Verifier
from recorder.calls.call_services import CallServices
from recorder.calls.live_calls import LiveCalls
from recorder.calls.opt_out_register import newest
from recorder.common import problem_answers
from recorder.common.clock import utc_now
from recorder.common.web import application, patterns_of
from recorder.control import acts, alarms, drains, opt_outs, selftests, sign_ons
from recorder.control.acts import LiveActs
from recorder.control.alarms import LiveAlarms
from recorder.control.bodies import WhoCalls
from recorder.control.broadcast import KEEP_ALIVE_S, SHORTEST_BEAT_S, Broadcast
from recorder.control.call_thread_gateway import CallThreadGateway
from recorder.control.drains import DrainCommands, LiveDrain
from recorder.control.health_report import standing
from recorder.control.opt_outs import LiveOptOuts
from recorder.control.permits import require_named
from recorder.control.routes import routes_of, serve
from recorder.control.selftests import LiveSelfTests, SelfTestCommands
from recorder.control.sign_ons import LiveSignOns
from recorder.control.socket_access import check_socket
from recorder.permissions import LocalUser
from recorder.rules.alarm_book import acknowledgement_to_json
from recorder.rules.live_access import seen


class LiveApi:
    """The routes that read; acts are in `LiveActs`, `LiveOptOuts` and `LiveSignOns`. One per daemon."""

    def __init__(
        self,
        services: CallServices,
        control: LiveCalls,
        broadcast: Broadcast,
        *,
        reload: Callable[[str], dict[str, Any]],
        call_thread: Callable[[], dict[str, Any]],
        disk: Callable[[], dict[str, Any] | None],
        drain: DrainCommands,
        verifier: Verifier,
        selftests: SelfTestCommands,
        node: Callable[[], dict[str, Any] | None] = lambda: None,
    ) -> None:
        self._services = services
        self._control = control
        self._broadcast = broadcast
        self._reload = reload
        self._call_thread, self._disk = call_thread, disk
        self._drain = drain
        self._verifier = verifier
        self._selftests = selftests
        self._node = node
        self._gateway = CallThreadGateway(services)

    def app(self) -> FastAPI:
        """Return the application."""
        app = application(title="Recorder, live", routes=[*_ROUTES])
        problem_answers.install(app)
        app.state.verifier = self._verifier
        serve(
            app,
            (
                self,
                LiveActs(self._services, self._control, self._gateway),
                LiveOptOuts(self._services, self._control, self._gateway),
                LiveSignOns(self._services, self._gateway),
                LiveAlarms(self._services, self._gateway),
                LiveDrain(self._drain, self._gateway),
                LiveSelfTests(self._selftests, self._gateway),
            ),
        )
        check_socket(patterns_of(app.routes))
        return app

    async def node(self) -> dict[str, Any]:
        """Return the node's name, and what others need to sign requests to it."""
        return asdict(self._verifier.greeting)

    async def health(self) -> dict[str, Any]:
        """Return the daemon's health."""
        services = self._services
        found = await asyncio.to_thread(standing, services)
        review_on = services.config.site.policy_review_on
        writer = services.writer.counters
        drain = await self._gateway.on_call_thread(self._drain.as_json)
        acknowledged = {
            one.name: acknowledgement_to_json(one.acknowledged)
            for one in services.alarms.standing()
            if one.acknowledged is not None and one.name in found.alarms
        }
        return {
            "status": "alarm" if found.alarms.keys() - acknowledged.keys() else "ok",
            "alarms": found.alarms,
            "acknowledged": acknowledged,
            "sip": str(services.sip_status.address),
            "carriage": found.transports,
            "calls": drain["calls"],
            "drain": drain,
            "counts": dict(self._control.counts),
            "call_thread": self._call_thread(),
            "signalling": services.sip_status.counters,
            "names_not_resolved": found.failing_names,
            "registrations": await self._gateway.on_call_thread(lambda: services.sip_status.registrations),
            "media": {**services.relay.counters(), "io": services.relay.io},
            "writer": {"lag_s": round(writer.lag_s, 3), "late_periods": writer.late_periods},
            "disk": self._disk(),
            "dropped_events": self._broadcast.dropped,
            "audit": {
                "late_entries": services.late.waiting + services.shell_late.waiting,
                "anchors": services.anchoring.as_json(),
            },
            "retention": found.retention,
            "mail": found.mail,
            "forwarding": found.forwarding,
            "objects": found.objects,
            "backup": found.backup,
            "verification": found.verification,
            "selftest": found.selftest,
            "policy": {"review_on": None if review_on is None else review_on.isoformat()},
            "notices": [one.as_json() for one in services.sounds.announcements.playing(utc_now())],
            **({} if (node := self._node()) is None else {"node": node}),
        }

    async def calls(self, who: WhoCalls) -> dict[str, Any]:
        """List the recorded calls in progress, each with its newest opt-out request.

        A caller without a name sees extension and state only. Console and command line know the accounts, so they limit
        what a named person sees.
        """
        listed = await self._gateway.on_call_thread(self._listed)
        if not who.name:
            shown = (seen(LocalUser(name=who.os_user), call) for call in listed)
            listed = [call for call in shown if call is not None]
        return {"calls": listed}

    def _listed(self) -> list[dict[str, Any]]:
        return [{**row, "opt_out": self._opt_out_of(row)} for row in self._control.calls()]

    def _opt_out_of(self, row: dict[str, Any]) -> dict[str, str] | None:
        request = newest(self._services.opt_outs.of_call(row["id"]))
        return None if request is None else {"id": request.id, "state": request.state.value}

    async def events(
        self, who: WhoCalls, beat_s: Annotated[float, Query(ge=SHORTEST_BEAT_S, le=KEEP_ALIVE_S)] = KEEP_ALIVE_S
    ) -> StreamingResponse:
        """Stream events as they happen."""
        require_named(who)
        return StreamingResponse(
            self._broadcast.listen(beat_s), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )

    async def reload(self, who: WhoCalls) -> dict[str, Any]:
        """Read the configuration again; calls in progress keep their settings."""
        return await asyncio.to_thread(self._reload, who.actor)


_ROUTES = (
    *routes_of(
        LiveApi,
        (
            ("GET", "/api/node", LiveApi.node),
            ("GET", "/api/health", LiveApi.health),
            ("GET", "/api/calls", LiveApi.calls),
            ("GET", "/api/events", LiveApi.events),
            ("POST", "/api/reload", LiveApi.reload),
        ),
    ),
    *acts.ROUTES,
    *opt_outs.ROUTES,
    *sign_ons.ROUTES,
    *alarms.ROUTES,
    *drains.ROUTES,
    *selftests.ROUTES,
)
