"""The routes of a self-test: begun, looked at, ended with its result. For the daemon's own user and root."""

import secrets
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Annotated, Any, Protocol

from pydantic import BaseModel, ConfigDict, Field

from recorder.common.problems import ProblemError
from recorder.common.system_user import os_user
from recorder.control.bodies import SocketCaller, WhoCalls
from recorder.control.call_thread_gateway import CallThreadGateway
from recorder.control.routes import routes_of

Port = Annotated[int, Field(ge=1024, le=65_535)]


class SelfTestCommands(Protocol):
    """What the routes ask of the daemon, on the call thread; `recorder.service.selftests.SelfTests` implements it."""

    def ready(self, run: str | None = None) -> None:
        """Check that a self-test can begin now, or that one is in progress and can end."""

    def begin(self, by: str, *, run: str, ports: tuple[int, int], public_key: bytes) -> dict[str, Any]:
        """Admit the phones of a self-test."""

    def as_json(self) -> dict[str, Any]:
        """Return how it goes."""

    def end(self, run: str, *, failed: Sequence[str], duration_s: float) -> "Future[None]":
        """End it with its result."""


class BeginBody(BaseModel):
    """The phones of a self-test, and the key to which its recording is sealed too."""

    model_config = ConfigDict(extra="forbid")

    caller_port: Port
    callee_port: Port
    public_key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class EndBody(BaseModel):
    """The result of a self-test.

    Attributes:
        failed: Names of the checks that failed; none: it passed.
    """

    model_config = ConfigDict(extra="forbid")

    run: Annotated[str, Field(max_length=40)]
    failed: Annotated[list[Annotated[str, Field(pattern=r"^[a-z_]{1,40}$")]], Field(max_length=40)]
    duration_s: Annotated[float, Field(ge=0, le=3600)]


class LiveSelfTests:
    """The routes of self-tests."""

    def __init__(self, selftests: SelfTestCommands, gateway: CallThreadGateway) -> None:
        self._selftests = selftests
        self._gateway = gateway

    async def begin(self, body: BeginBody, who: WhoCalls) -> dict[str, Any]:
        """Begin a self-test."""
        _require_owner(who)
        ports = body.caller_port, body.callee_port
        if ports[0] == ports[1]:
            raise ProblemError(422, "The two phones need a port each.")
        key, run = bytes.fromhex(body.public_key), secrets.token_hex(8)
        await self._gateway.on_call_thread(self._selftests.ready)
        await self._gateway.audit("selftest.begun", who, "", {"run": run}, "")
        return await self._gateway.on_call_thread(
            lambda: self._selftests.begin(who.actor, run=run, ports=ports, public_key=key)
        )

    async def state(self, who: WhoCalls) -> dict[str, Any]:
        """Return how the self-test in progress, or the last one, goes."""
        _require_owner(who)
        return await self._gateway.on_call_thread(self._selftests.as_json)

    async def end(self, body: EndBody, who: WhoCalls) -> dict[str, Any]:
        """End a self-test with its result; its recording is deleted after the answer."""
        _require_owner(who)
        await self._gateway.on_call_thread(lambda: self._selftests.ready(body.run))
        state = await self._gateway.on_call_thread(self._selftests.as_json)
        details = {"run": body.run, "passed": not body.failed, "failed": body.failed}
        await self._gateway.audit("selftest.ended", who, state["recording"] or "", details, "")
        await self._gateway.on_call_thread(
            lambda: self._selftests.end(body.run, failed=body.failed, duration_s=body.duration_s)
        )
        return await self.state(who)


def _require_owner(who: SocketCaller) -> None:
    """Check that the caller could send the daemon a signal: a self-test makes a call and deletes its recording.

    Raises:
        ProblemError: 403: the caller could not.
    """
    if who.console is not None or who.os_user not in ("root", os_user()):
        raise ProblemError(
            403, f"Only root and the daemon's own user may run a self-test: run this as root or as {os_user()}, there."
        )


ROUTES = routes_of(
    LiveSelfTests,
    (
        ("POST", "/api/selftests", LiveSelfTests.begin),
        ("GET", "/api/selftests", LiveSelfTests.state),
        ("POST", "/api/selftests/end", LiveSelfTests.end),
    ),
)
