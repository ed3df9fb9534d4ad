"""The daemon's own HTTP+JSON, on a unix socket that only its user may open.

Runs on a thread with its own asyncio loop. Every act crosses to the call thread, is done there in one step, and is
answered when its state is on disk; if that cannot be confirmed in time, the answer says so.
"""

import asyncio
import contextlib
import re
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import unquote

import uvicorn
from fastapi import Depends, FastAPI, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from recorder import problems
from recorder.acts import Act, PauseAnswer, Signature, signed
from recorder.broadcast import Broadcast
from recorder.control import Control, UnknownCallError
from recorder.domain.access import MIN_REASON_CHARACTERS
from recorder.domain.pausing import AGENT, MANAGER, Authority, RefusedError, payment_app
from recorder.live_client import ACTOR_HEADER
from recorder.peercred import PeerCredProtocol, user_name
from recorder.problems import ProblemError
from recorder.recorded_call import RecordedCall
from recorder.works import Works
from storage.errors import AuditUnavailableError

CONFIRM_S = 1.5
"""An act that is not confirmed by then is answered 504: the page shows "not confirmed" within 2 s."""

_T = TypeVar("_T")
_TOKEN = re.compile(r"token:[\w.@ -]{1,64}\Z")


class ActBody(BaseModel):
    """Why an act is done, and with whose authority: ``officer``, ``manager`` or ``token:NAME``."""

    model_config = ConfigDict(populate_by_name=True, extra="forbid")
    reason: Annotated[str, Field(max_length=1000)] = ""
    authority: Annotated[str, Field(alias="as", max_length=80)] = "officer"


class SignOnBody(BaseModel):
    """Who signs on."""

    model_config = ConfigDict(extra="forbid")
    operator: Annotated[str, Field(min_length=1, max_length=100)]


class Caller(BaseModel):
    """Who is at the other end: the kernel's word, and the name they gave."""

    os_user: str
    name: str

    @property
    def actor(self) -> str:
        """Return the name for the audit log: a person's, else the OS user's."""
        return self.name or f"os:{self.os_user}"


def _caller(request: Request) -> Caller:
    client = (request.client.host, request.client.port) if request.client else None
    user = user_name(client)
    if user is None:
        raise ProblemError(403, "The kernel does not say who is calling; use the recorder's own socket.")
    return Caller(os_user=user, name=unquote(request.headers.get(ACTOR_HEADER, ""))[:100])


WhoCalls = Annotated[Caller, Depends(_caller)]


class LiveApi:
    """The routes; one per daemon."""

    def __init__(
        self, works: Works, control: Control, broadcast: Broadcast, *, reload: Callable[[str], dict[str, Any]]
    ) -> None:
        self._works = works
        self._control = control
        self._broadcast = broadcast
        self._reload = reload

    def app(self) -> FastAPI:
        """Return the application."""
        app = FastAPI(title="Recorder, live", docs_url=None, redoc_url=None)
        problems.install(app)
        app.get("/api/health")(self.health)
        app.get("/api/calls")(self.calls)
        app.get("/api/events")(self.events)
        app.get("/api/agents")(self.agents)
        app.post("/api/calls/{call_id}/pause")(self.pause)
        app.post("/api/calls/{call_id}/resume")(self.resume)
        app.post("/api/calls/{call_id}/opt-out")(self.opt_out)
        app.post("/api/extensions/{number}/pause")(self.pause_extension)
        app.post("/api/extensions/{number}/resume")(self.resume_extension)
        app.post("/api/extensions/{number}/opt-out")(self.opt_out_extension)
        app.post("/api/agents/{extension}/sign-on")(self.sign_on)
        app.post("/api/agents/{extension}/sign-off")(self.sign_off)
        app.post("/api/reload")(self.reload)
        return app

    # --- reading

    async def health(self) -> dict[str, Any]:
        """Return how the daemon is."""
        works = self._works
        return {
            "status": "alarm" if works.alarms else "ok",
            "alarms": dict(works.alarms),
            "sip": str(works.endpoint.address),
            "calls": await self._on_call_thread(lambda: self._control.live),
            "counts": dict(self._control.counts),
            "media": works.relay.counters(),
            "dropped_events": self._broadcast.dropped,
        }

    async def calls(self, _who: WhoCalls) -> dict[str, Any]:
        """List the recorded calls in progress."""
        return {"calls": await self._on_call_thread(self._control.calls)}

    async def events(self, _who: WhoCalls) -> StreamingResponse:
        """Stream what happens."""
        return StreamingResponse(
            self._broadcast.listen(), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )

    async def agents(self, _who: WhoCalls) -> dict[str, Any]:
        """List who is signed on."""
        config = self._works.config
        signed = self._works.sign_ons.all()
        rows = [
            {
                "extension": extension.number,
                "operator": signed.get(extension.number, extension.operator),
                "service": extension.service,
                "is_signed_on": extension.number in signed,
            }
            for extension in config.extension
        ]
        return {"agents": rows}

    # --- acts on one call or every call of an extension

    async def pause(self, call_id: str, body: ActBody, who: WhoCalls) -> dict[str, Any]:
        """Pause one call."""
        return (await self._acts("call.pause", self._one(call_id), _pause(body, who), body, who))[0]

    async def resume(self, call_id: str, body: ActBody, who: WhoCalls) -> dict[str, Any]:
        """Resume one call."""
        return (await self._acts("call.resume", self._one(call_id), _resume(body, who), body, who))[0]

    async def opt_out(self, call_id: str, body: ActBody, who: WhoCalls) -> dict[str, Any]:
        """Stop recording one call for good."""
        act = _opt_out(body, who)
        return (await self._acts("call.opt_out", self._one(call_id), act, body, who))[0]

    async def pause_extension(self, number: str, body: ActBody, who: WhoCalls) -> dict[str, Any]:
        """Pause every call of an extension."""
        return {"calls": await self._acts("call.pause", self._all(number), _pause(body, who), body, who)}

    async def resume_extension(self, number: str, body: ActBody, who: WhoCalls) -> dict[str, Any]:
        """Resume every call of an extension."""
        return {"calls": await self._acts("call.resume", self._all(number), _resume(body, who), body, who)}

    async def opt_out_extension(self, number: str, body: ActBody, who: WhoCalls) -> dict[str, Any]:
        """Stop recording every call of an extension that is in progress."""
        return {"calls": await self._acts("call.opt_out", self._all(number), _opt_out(body, who), body, who)}

    def _one(self, call_id: str) -> Callable[[], list[RecordedCall]]:
        return lambda: [self._control.call(call_id)]

    def _all(self, number: str) -> Callable[[], list[RecordedCall]]:
        return lambda: self._control.calls_of(number)

    async def _acts(
        self,
        name: str,
        find: Callable[[], list[RecordedCall]],
        act: Callable[[RecordedCall], Act],
        body: ActBody,
        who: Caller,
    ) -> list[dict[str, Any]]:
        def do() -> "list[Future[PauseAnswer]]":
            # Signed in the same step: an act that nobody waits for any more is in the log all the same.
            return [
                signed(self._works, one, self._signature(name, who, call, body))
                for call, one in self._control.each(find(), act)
            ]

        try:
            acts = await self._on_call_thread(do)
        except UnknownCallError as error:
            raise ProblemError(404, f"{error}.") from error
        except RefusedError as error:
            await self._audit(f"{name}.refused", who, "", {"why": str(error)}, body.reason)
            raise ProblemError(409, f"{error}.") from error
        return [(await self._stored(name, one)).as_json() for one in acts]

    async def _stored(self, name: str, act: "Future[PauseAnswer]") -> PauseAnswer:
        try:
            return await self._confirm(act)
        except OSError as error:
            holds = "Recording stays paused" if name == "call.resume" else "Recording has stopped"
            detail = f"{holds}, but the state could not be stored: {error.strerror or error}."
            raise ProblemError(503, detail, title="Not stored") from error

    def _signature(self, name: str, who: Caller, call: RecordedCall, body: ActBody) -> Signature:
        details = {"as": body.authority, "os_user": who.os_user}
        return Signature(act=name, actor=who.actor, subject=call.id, details=details, text=body.reason)

    async def _audit(self, act: str, who: Caller, subject: str, details: dict[str, Any], reason: str) -> None:
        details = {**details, "os_user": who.os_user}
        future = self._works.clerk.submit(
            self._works.audit.append, act=act, actor=who.actor, subject=subject, details=details, text=reason or None
        )
        try:
            await self._confirm(future)
        except AuditUnavailableError:
            self._works.alarm("audit_unavailable")

    # --- agents, reload

    async def sign_on(self, extension: str, body: SignOnBody, who: WhoCalls) -> dict[str, Any]:
        """Sign an operator on at an extension."""
        if extension not in self._works.config.extensions:
            raise ProblemError(404, f"Extension {extension} is not nominated; see [[extension]] in recorder.toml.")
        await self._audit("agent.sign_on", who, extension, {"operator": body.operator}, "")
        await self._confirm(self._works.clerk.submit(self._works.sign_ons.sign_on, extension, body.operator))
        return {"extension": extension, "operator": body.operator}

    async def sign_off(self, extension: str, who: WhoCalls) -> dict[str, Any]:
        """Sign off whoever is signed on at an extension."""
        await self._audit("agent.sign_off", who, extension, {}, "")
        was_there = await self._confirm(self._works.clerk.submit(self._works.sign_ons.sign_off, extension))
        if not was_there:
            raise ProblemError(409, f"Nobody is signed on at extension {extension}.")
        return {"extension": extension}

    async def reload(self, who: WhoCalls) -> dict[str, Any]:
        """Read the configuration again; calls in progress keep what they began with."""
        return await asyncio.to_thread(self._reload, who.actor)

    # --- the way to the call thread

    async def _on_call_thread(self, fn: Callable[[], _T]) -> _T:
        future: Future[_T] = Future()

        def run() -> None:
            try:
                future.set_result(fn())
            except Exception as error:  # noqa: BLE001 - goes to whoever asked
                future.set_exception(error)

        self._works.scheduler.submit(run)
        return await self._confirm(future)

    async def _confirm(self, future: "Future[_T]") -> _T:
        try:
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(future)), CONFIRM_S)
        except TimeoutError as error:
            detail = f"Not confirmed within {CONFIRM_S:g} s; see `recorder calls` for the state."
            raise ProblemError(504, detail, title="Not confirmed") from error


def _pause(body: ActBody, who: Caller) -> Callable[[RecordedCall], Act]:
    authority, token = _authority(body)
    reason = {Authority.MANAGER: MANAGER, Authority.TOKEN: payment_app(token or "")}.get(authority, AGENT)
    return lambda call: call.pause(reason, who.actor)


def _resume(body: ActBody, who: Caller) -> Callable[[RecordedCall], Act]:
    authority, token = _authority(body)
    return lambda call: call.resume(authority, who.actor, token=token)


def _opt_out(body: ActBody, who: Caller) -> Callable[[RecordedCall], Act]:
    if not who.name or who.name.startswith(("os:", "token:")):
        raise ProblemError(403, "An opt-out is granted by a person: give --as NAME.")
    if len(body.reason.strip()) < MIN_REASON_CHARACTERS:
        raise ProblemError(422, "An opt-out needs a reason: give --reason TEXT.")
    return lambda call: call.opt_out("opt_out", who.actor)


def _authority(body: ActBody) -> tuple[Authority, str | None]:
    if _TOKEN.match(body.authority):
        return Authority.TOKEN, body.authority.removeprefix("token:")
    if body.authority in (Authority.OFFICER, Authority.MANAGER):
        return Authority(body.authority), None
    raise ProblemError(422, "as must be officer, manager or token:NAME.")


class SocketServer:
    """Serves an application on a unix socket, 0600, on a thread of its own."""

    def __init__(self, app: FastAPI, path: Path) -> None:
        self._path = path
        self._socket = _bind(path)
        config = uvicorn.Config(
            app,
            http=PeerCredProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="socket", daemon=True)

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def close(self) -> None:
        """Stop serving, remove the socket."""
        self._server.should_exit = True
        self._thread.join(5)
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()

    def _run(self) -> None:
        # uvicorn arms signals on the main thread only; this one is not.
        asyncio.run(self._server.serve(sockets=[self._socket]))


def _bind(path: Path) -> socket.socket:
    """Bind the socket so that it never exists with wider permissions than 0600."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    beside = path.with_name(f".{path.name}.new")
    with contextlib.suppress(FileNotFoundError):
        beside.unlink()
    listening.bind(str(beside))
    beside.chmod(0o600)
    beside.rename(path)
    listening.listen(64)
    return listening
