"""Client of the daemon's socket, for command line and console.

The socket speaks HTTP+JSON. ``X-Recorder-Actor`` names the actor, signed (`recorder.access.signing`); the body has
reason and authority.
"""

import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx2

from recorder.access.signing import Said, Signer
from recorder.control.connections import DaemonAnswer, DaemonConnections, NobodyThereError
from recorder.control.headers import ACTOR_HEADER, SIGNATURE_HEADER
from recorder.permissions import Actor, Application, LocalUser, Person
from recorder.rules.call_target import CallTarget, Target
from recorder.rules.live_access import NOTHING_KNOWN, Around
from storage.errors import KeyProblemError

SERVICE = "recorder:console"
"""The actor when the console itself asks, for everybody that it serves."""
_BASE = "http://recorder"
_CALLS = "/api/calls"
_EVENTS = "/api/events"
_HEALTH = "/api/health"
_AGENTS = "/api/agents"
_OPT_OUTS = "/api/opt-outs"
_DRAIN = "/api/drain"
_JSON = {"Content-Type": "application/json"}
_FIRST_ERROR = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOutGrant:
    """The statements of a manager who grants an opt-out.

    Attributes:
        reason: Why, in words that can be checked later.
        erase_before: Whether to erase what was recorded before; None for the service's rule.
    """

    caller_asked: bool
    distress_judged: bool
    reason: str
    erase_before: bool | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the request body."""
        return {
            "caller_asked": self.caller_asked,
            "distress_judged": self.distress_judged,
            "reason": self.reason,
            "erase_before": self.erase_before,
        }


class DaemonUnavailableError(Exception):
    """The daemon did not answer, and may or may not have acted; the message says what to do next."""


class DaemonRefusedError(Exception):
    """The daemon answered with an error.

    Attributes:
        status: HTTP status.
        problem: Its problem document (RFC 9457).
    """

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(str(problem.get("detail") or problem.get("title") or f"HTTP {status}"))
        self.status = status
        self.problem = problem


def _path(target: Target, act: str) -> str:
    if isinstance(target, CallTarget):
        return f"{_CALLS}/{quote(target.call, safe='')}/{act}"
    return f"/api/extensions/{quote(target.number, safe='')}/{act}"


def _headers(actor: str) -> dict[str, str]:
    # A header is ASCII (RFC 9110 section 5.5); a person's name need not be.
    return {ACTOR_HEADER: quote(actor, safe=" :.@-_")}


def _named(actor: Actor) -> dict[str, str]:
    """Return the header that names the actor; the socket itself names people without an account."""
    return {} if isinstance(actor, LocalUser) else _headers(actor.actor)


def _of(actor: Actor, around: Around = NOTHING_KNOWN) -> dict[str, Any]:
    """Return what the daemon must know of the actor: a person, whose password was checked here, or a token."""
    if isinstance(actor, Application):
        return {"as": actor.actor} | ({"extensions": sorted(actor.extensions)} if actor.extensions else {})
    if isinstance(actor, LocalUser):
        return {}
    person = {
        "display_name": actor.display_name,
        "roles": sorted(actor.roles),
        "teams": list(actor.teams),
        "extension": actor.extension,
    }
    return {"person": person | ({} if around.managed is None else {"managed": sorted(around.managed)})}


def _unavailable(path: Path, error: Exception) -> DaemonUnavailableError:
    if isinstance(error, TimeoutError | httpx2.TimeoutException):
        return DaemonUnavailableError(f"The daemon at {path} did not answer in time: see `recorder calls` and its log.")
    if isinstance(error, NobodyThereError | httpx2.ConnectError):
        if not path.exists():
            return DaemonUnavailableError(
                f"No daemon is running here ({path} is missing): start it with `recorder up`."
            )
        return DaemonUnavailableError(
            f"The daemon's socket {path} does not answer: start it with `recorder up`, as a user who may open it."
        )
    return DaemonUnavailableError(f"The daemon at {path} broke off its answer: see `recorder calls` and its log.")


def _result(answer: DaemonAnswer) -> dict[str, Any]:
    try:
        document = json.loads(answer.content)
    except ValueError:
        document = None
    is_error = answer.status >= _FIRST_ERROR
    if not isinstance(document, dict):
        document = {"title": answer.reason, "detail": "The daemon's answer is not a JSON object."}
        raise DaemonRefusedError(answer.status if is_error else 502, document)
    if is_error:
        raise DaemonRefusedError(answer.status, document)
    return document


class _Daemon:
    """Sends signed requests to the daemon's socket."""

    def __init__(self, path: Path, signer: Signer | None, *, timeout_s: float) -> None:
        self._path = path
        self._signer = signer
        self._connections = DaemonConnections(path, timeout_s=timeout_s)

    def close(self) -> None:
        self._connections.close()

    def act(self, path: str, actor: Actor, reason: str) -> dict[str, Any]:
        return self.send("POST", path, headers=_named(actor), json={"reason": reason, **_of(actor)})

    def personal(
        self,
        path: str,
        person: Person,
        around: Around = NOTHING_KNOWN,
        **body: Any,  # noqa: ANN401 - JSON
    ) -> dict[str, Any]:
        return self.send("POST", path, headers=_headers(person.actor), json={**body, **_of(person, around)})

    def send(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, json: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        content = b"" if json is None else _dumped(json)
        signed = signed_headers(self._signer, method, path, headers or {}, content)
        try:
            return _result(self._connections.ask(method, path, {**_JSON, **signed}, content))
        except OSError as error:
            raise _unavailable(self._path, error) from error


class _Client:
    """Has the connections to the daemon of a client, which are closed at its end."""

    def __init__(self, path: Path, *, signer: Signer | None = None, timeout_s: float = 5.0) -> None:
        self._daemon = _Daemon(path, signer, timeout_s=timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _t: type[BaseException] | None, _e: BaseException | None, _b: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._daemon.close()


class LiveClient(_Client):
    """Acts on live calls over the daemon's socket. Every method blocks; safe to share between threads.

    Every method raises DaemonUnavailableError and DaemonRefusedError. The daemon, which knows the call, decides what
    the person may do (`recorder.rules.live_access`). Acts return its answer with ``call, state, reasons, position_s``,
    or a list of these under ``calls`` if the target is an extension.

    Args:
        path: The daemon's socket.
        signer: Signs the actor's name; None to name nobody.
        timeout_s: Longest wait for the connection, and again for the answer.
    """

    def health(self) -> dict[str, Any]:
        """Return the daemon's health."""
        return self._daemon.send("GET", _HEALTH)

    def calls(self, *, actor: str = "") -> list[dict[str, Any]]:
        """Return the calls in progress, as the daemon lists them."""
        answer = self._daemon.send("GET", _CALLS, headers=_headers(actor))
        calls = answer.get("calls", [])
        return [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []

    def pause(self, target: Target, *, actor: Actor, reason: str = "") -> dict[str, Any]:
        """Pause recording; returns once the recording gates of both channels are shut."""
        return self._daemon.act(_path(target, "pause"), actor, reason)

    def resume(self, target: Target, *, actor: Actor, reason: str = "") -> dict[str, Any]:
        """Clear the pause reasons that the actor may clear."""
        return self._daemon.act(_path(target, "resume"), actor, reason)

    def pause_retroactively(
        self, target: Target, *, person: Person, seconds: float | None, reason: str = ""
    ) -> dict[str, Any]:
        """Pause recording, and order the last seconds to be erased; None for everything so far."""
        return self._daemon.personal(_path(target, "forgot"), person, seconds=seconds, reason=reason)

    def opt_out(
        self, target: Target, *, person: Person, grant: OptOutGrant, around: Around = NOTHING_KNOWN
    ) -> dict[str, Any]:
        """Stop recording for the rest of a call in progress; cannot be undone."""
        return self._daemon.personal(_path(target, "opt-out"), person, around, **grant.as_json())

    def second_message(self, target: Target, *, person: Person, reason: str = "") -> dict[str, Any]:
        """Play the second message to the outside party."""
        return self._daemon.personal(_path(target, "second-message"), person, reason=reason)

    def opt_outs(self, *, actor: str = "") -> list[dict[str, Any]]:
        """Return the opt-out requests of the calls in progress, oldest first, decided ones too."""
        found: list[dict[str, Any]] = self._daemon.send("GET", _OPT_OUTS, headers=_headers(actor))["opt_outs"]
        return found

    def ask_opt_out(self, call: str, *, person: Person, reason: str = "") -> dict[str, Any]:
        """Ask to stop recording a call; returns the request."""
        return self._daemon.personal(_path(CallTarget(call), "opt-out-request"), person, reason=reason)

    def grant_opt_out(
        self, request: str, *, person: Person, grant: OptOutGrant, around: Around = NOTHING_KNOWN
    ) -> dict[str, Any]:
        """Grant a request: recording ends for the rest of the call."""
        return self._daemon.personal(f"{_OPT_OUTS}/{quote(request, safe='')}/grant", person, around, **grant.as_json())

    def decline_opt_out(
        self, request: str, *, person: Person, reason: str, around: Around = NOTHING_KNOWN
    ) -> dict[str, Any]:
        """Decline a request: recording goes on."""
        return self._daemon.personal(f"{_OPT_OUTS}/{quote(request, safe='')}/decline", person, around, reason=reason)

    def drain_state(self) -> dict[str, Any]:
        """Return whether the daemon refuses new calls, as `DrainClient.state` does."""
        return self._daemon.send("GET", _DRAIN)

    def agents(self) -> list[dict[str, Any]]:
        """Return nominated extensions and who is at them."""
        agents: list[dict[str, Any]] = self._daemon.send("GET", _AGENTS, headers=_headers(SERVICE))["agents"]
        return agents

    def takeovers(self) -> list[dict[str, Any]]:
        """Return recent takeovers of phones."""
        answer = self._daemon.send("GET", _AGENTS, headers=_headers(SERVICE))
        takeovers: list[dict[str, Any]] = answer.get("takeovers", [])
        return takeovers

    def sign_on(self, extension: str, *, person: Person, is_anothers: bool) -> dict[str, Any]:
        """Sign a person on at an extension; calls that begin from then on are theirs.

        Args:
            extension: A nominated one.
            person: Who.
            is_anothers: Whether it is another account's own extension.

        Returns:
            The result; with ``code`` and ``keys`` if a code must be keyed at the phone first.
        """
        path = f"{_AGENTS}/{quote(extension, safe='')}/sign-on"
        return self._daemon.personal(path, person, is_anothers=is_anothers)

    def sign_off(self, extension: str, *, person: Person) -> dict[str, Any]:
        """Sign a person off from an extension."""
        return self._daemon.personal(f"{_AGENTS}/{quote(extension, safe='')}/sign-off", person)

    def reload(self) -> dict[str, Any]:
        """Make the daemon read its configuration again."""
        return self._daemon.send("POST", "/api/reload")


class DrainClient(_Client):
    """Drains the daemon over its socket, as the user of this process. Every method blocks and returns the state.

    Every method raises DaemonUnavailableError and DaemonRefusedError.
    """

    def state(self) -> dict[str, Any]:
        """Return ``state``, ``since``, ``calls`` in progress, ``refused`` calls and ``left_s`` to a stop's limit."""
        return self._daemon.send("GET", _DRAIN)

    def drain(self) -> dict[str, Any]:
        """Have new calls refused."""
        return self._daemon.send("POST", _DRAIN, json={})

    def stop(self, limit_s: float | None = None) -> dict[str, Any]:
        """Have new calls refused, and the daemon leave when the last call has ended, or after ``limit_s``."""
        return self._daemon.send("POST", _DRAIN, json={"stop": True, "limit_s": limit_s})

    def take_back(self) -> dict[str, Any]:
        """Have new calls taken again."""
        return self._daemon.send("POST", f"{_DRAIN}/cancel")


def _dumped(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document).encode("ascii")


def signed_headers(
    signer: Signer | None, method: str, target: str, headers: Mapping[str, str], content: bytes = b""
) -> dict[str, str]:
    """Return headers with the signature of the actor, if they name one.

    Raises:
        DaemonUnavailableError: The signing key cannot be read; nothing was sent.
    """
    actor = headers.get(ACTOR_HEADER)
    if not actor or signer is None:
        return dict(headers)
    try:
        signature = signer.sign(Said(method=method, target=target, actor=actor, content=content))
    except (OSError, KeyProblemError) as error:
        raise DaemonUnavailableError(
            f"Cannot sign your name for the daemon ({error}): run this as the user that the console runs as."
        ) from error
    return {**headers, SIGNATURE_HEADER: signature}


async def events(
    path: Path, *, actor: str, signer: Signer, connect_s: float = 2.0, silence_s: float = 30.0, beat_s: float = 10.0
) -> AsyncGenerator[bytes]:
    """Yield the daemon's server-sent events as they come, as bytes.

    Args:
        path: The daemon's socket.
        actor: Who watches.
        signer: Signs that.
        connect_s: Longest wait for the connection and the start of the answer.
        silence_s: Longest time without an event or comment.
        beat_s: How often the daemon sends a comment while nothing happens, 0.2 to 10.

    Raises:
        DaemonUnavailableError: It is not there, or fell silent.
        DaemonRefusedError: It answered with an error.
    """
    target = f"{_EVENTS}?beat_s={beat_s:g}"
    headers = signed_headers(signer, "GET", target, _headers(actor))
    timeout = httpx2.Timeout(connect_s, read=silence_s)
    transport = httpx2.AsyncHTTPTransport(uds=str(path))
    try:
        async with (
            httpx2.AsyncClient(transport=transport, base_url=_BASE, timeout=timeout, trust_env=False) as http,
            http.stream("GET", target, headers=headers) as response,
        ):
            if response.is_error:
                content = await response.aread()
                _result(DaemonAnswer(status=response.status_code, reason=response.reason_phrase, content=content))
            async for chunk in response.aiter_raw():
                yield chunk
    except httpx2.HTTPError as error:
        raise _unavailable(path, error) from error
