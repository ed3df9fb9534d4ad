"""The routes of a drain: begun, taken back, followed by a stop, looked at."""

from concurrent.futures import Future
from typing import Annotated, Any, Protocol

from pydantic import BaseModel, ConfigDict, Field

from recorder.common.problems import ProblemError
from recorder.common.system_user import os_user
from recorder.control.bodies import SocketCaller, WhoCalls
from recorder.control.call_thread_gateway import CallThreadGateway
from recorder.control.routes import routes_of

_LONGEST_S = 86_400.0


class DrainCommands(Protocol):
    """What the routes ask of the daemon, on the call thread; `recorder.service.draining.Draining` implements it."""

    def drain(self, by: str) -> "Future[None]":
        """Refuse new calls until that is taken back; return the audit entry."""

    def take_back(self, by: str) -> "Future[None] | None":
        """Take new calls again; return the audit entry, or None if there is no drain that can be taken back."""

    def stop(self, by: str, limit_s: float | None = None) -> "Future[None]":
        """Refuse new calls, and leave when the last call has ended or a limit is over; return the audit entry."""

    def as_json(self) -> dict[str, Any]:
        """Return the state."""


class DrainBody(BaseModel):
    """A drain.

    Attributes:
        stop: Whether the daemon leaves when the last call has ended.
        limit_s: After so many seconds such a stop ends the calls that are left; None for the configured limit.
    """

    model_config = ConfigDict(extra="forbid")

    stop: bool = False
    limit_s: Annotated[float | None, Field(ge=0, le=_LONGEST_S)] = None


class LiveDrain:
    """The routes of a drain."""

    def __init__(self, drain: DrainCommands, gateway: CallThreadGateway) -> None:
        self._drain = drain
        self._gateway = gateway

    async def state(self) -> dict[str, Any]:
        """Return whether new calls are refused, and how many are left."""
        return await self._gateway.on_call_thread(self._drain.as_json)

    async def begin(self, body: DrainBody, who: WhoCalls) -> dict[str, Any]:
        """Refuse new calls; with ``stop``, leave when the last call has ended."""
        _require_owner(who, is_stop=body.stop)
        if body.limit_s is not None and not body.stop:
            raise ProblemError(422, "limit_s is the limit of a stop: give stop too.")

        def begin() -> tuple["Future[None]", dict[str, Any]]:
            entry = self._drain.stop(who.actor, body.limit_s) if body.stop else self._drain.drain(who.actor)
            return entry, self._drain.as_json()

        entry, state = await self._gateway.on_call_thread(begin)
        await self._gateway.confirm(entry)
        return state

    async def take_back(self, who: WhoCalls) -> dict[str, Any]:
        """Take new calls again."""
        _require_owner(who)
        entry = await self._gateway.on_call_thread(lambda: self._drain.take_back(who.actor))
        if entry is None:
            state = (await self.state())["state"]
            why = "new calls are taken" if state == "running" else "the daemon is stopping: start it again instead"
            raise ProblemError(409, f"There is no drain to take back: {why}.")
        await self._gateway.confirm(entry)
        return await self.state()


ROUTES = routes_of(
    LiveDrain,
    (
        ("GET", "/api/drain", LiveDrain.state),
        ("POST", "/api/drain", LiveDrain.begin),
        ("POST", "/api/drain/cancel", LiveDrain.take_back),
    ),
)


def _require_owner(who: SocketCaller, *, is_stop: bool = False) -> None:
    """Check that the caller could send the daemon a signal: a console run as another user cannot stop calls.

    From another machine a user who has the accounts' signing key may drain, so that nodes can be upgraded one after
    another. Nobody can stop the daemon from there, because that ends calls.

    Raises:
        ProblemError: 403: the caller could not.
    """
    if who.console is not None:
        if is_stop:
            raise ProblemError(403, "A node is stopped on its own machine: run `recorder drain --stop` there.")
        if who.name:
            raise ProblemError(403, "A drain takes a user of the console's machine: run `recorder drain --node NAME`.")
        return
    if who.os_user not in ("root", os_user()):
        raise ProblemError(
            403, f"Only root and the daemon's own user may drain it: run this as root or as {os_user()}."
        )
