"""Opt-out requests over the daemon's socket: raise, list, grant, decline."""

from concurrent.futures import Future
from typing import Any

from recorder.calls.acts import ActEntry
from recorder.calls.call_services import CallServices
from recorder.calls.live_calls import LiveCalls, UnknownCallError
from recorder.calls.opt_out_acts import Answer, OptOutActs
from recorder.calls.opt_out_register import UnknownRequestError
from recorder.control.bodies import ActBody, GrantBody, PersonalBody, SocketCaller, WhoCalls
from recorder.control.call_thread_gateway import CallThreadGateway, subject_of
from recorder.control.permits import Permits, require_named
from recorder.control.routes import routes_of
from recorder.permissions import Act
from recorder.rules.opt_out import OptOutRequest

_OF_NOW = ("team", "teams_now", "extensions_now", "operators_now", "configured_now")
_NOT_RAISED = "The request could not be stored, so nobody was asked. Ask a manager yourself."
_NOT_DECLINED = "The decision could not be stored, so the request stays open."
_GRANTED = "Recording has ended, but not everything about it could be stored:"


class LiveOptOuts:
    """The routes of opt-out requests."""

    def __init__(self, services: CallServices, control: LiveCalls, gateway: CallThreadGateway) -> None:
        self._services = services
        self._control = control
        self._gateway = gateway
        self._permits = Permits(services)
        self._acts = OptOutActs(services, control.group_acts)

    async def requests(self, who: WhoCalls) -> dict[str, Any]:
        """List the requests of the calls in progress, decided ones too."""
        require_named(who)
        return {"opt_outs": await self._gateway.on_call_thread(self._listed)}

    def _listed(self) -> list[dict[str, Any]]:
        """Return the requests with those who have the call now, who may differ from those when it was raised."""
        now = {call["id"]: call for call in self._control.calls()}
        listed = [request.as_json() for request in self._services.opt_outs.all()]
        return [one | {key: now.get(one["call"], one)[key] for key in _OF_NOW} for one in listed]

    async def ask(self, call_id: str, body: PersonalBody, who: WhoCalls) -> dict[str, Any]:
        """Ask to stop recording one call; a manager of its team decides."""
        signature = _signature(Act.RAISE_OPT_OUT, call_id, body, who)

        def do() -> "Future[OptOutRequest]":
            person = body.person_of(who)
            around = self._permits.around(person, body)
            return self._acts.ask(self._control.call(call_id).controls, person, body.reason, signature.details, around)

        raised = await self._gateway.act(do, signature, missing=UnknownCallError.of_id(call_id))
        return (await self._gateway.stored(raised, _NOT_RAISED)).as_json()

    async def grant(self, request_id: str, body: GrantBody, who: WhoCalls) -> dict[str, Any]:
        """Grant a request: recording ends for the rest of the call."""
        signature = _signature(Act.OPT_OUT, request_id, body, who)
        details = {**signature.details, "way": "request"}

        def do() -> Answer:
            person, request = body.person_of(who), self._services.opt_outs.get(request_id)
            order = body.order(details, self._permits.around(person, body))
            return self._acts.grant(request, self._control.call(request.facts.call).controls, person, order)

        granted = await self._gateway.act(do, signature, missing=UnknownRequestError())
        answer = (await self._gateway.stored(granted, _GRANTED)).as_json()
        return {**answer, "id": request_id}

    async def decline(self, request_id: str, body: PersonalBody, who: WhoCalls) -> dict[str, Any]:
        """Decline a request: recording goes on."""
        signature = _signature(Act.DECLINE_OPT_OUT, request_id, body, who)

        def do() -> "Future[OptOutRequest]":
            person, request = body.person_of(who), self._services.opt_outs.get(request_id)
            call, around = self._control.call(request.facts.call).controls, self._permits.around(person, body)
            decline, details = self._acts.decline, signature.details
            return decline(request_id, call, person, reason=body.reason, details=details, around=around)

        declined = await self._gateway.act(do, signature, missing=UnknownRequestError())
        return (await self._gateway.stored(declined, _NOT_DECLINED)).as_json()


ROUTES = routes_of(
    LiveOptOuts,
    (
        ("GET", "/api/opt-outs", LiveOptOuts.requests),
        ("POST", "/api/calls/{call_id}/opt-out-request", LiveOptOuts.ask),
        ("POST", "/api/opt-outs/{request_id}/grant", LiveOptOuts.grant),
        ("POST", "/api/opt-outs/{request_id}/decline", LiveOptOuts.decline),
    ),
)


def _signature(act: Act, sent: str, body: ActBody, who: SocketCaller) -> ActEntry:
    details = {"os_user": who.os_user}
    return ActEntry(act=act.value, actor=who.actor, subject=subject_of(sent), details=details, text=body.reason)
