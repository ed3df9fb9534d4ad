"""Client of one daemon, for command line and console: over its socket, or over mutual TLS on another machine.

It speaks HTTP+JSON. ``X-Recorder-Actor`` names the actor, signed (`recorder.access.signing`); the body has
reason and authority.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from recorder.access.signing import Signer
from recorder.control.connections import DaemonAnswer
from recorder.control.errors import DaemonRefusedError
from recorder.control.headers import ACTOR_HEADER
from recorder.control.links import Link, SocketLink
from recorder.permissions import Actor, Application, LocalUser, Person
from recorder.rules.call_target import CallTarget, Target
from recorder.rules.live_access import NOTHING_KNOWN, Around

SERVICE = "recorder:console"
"""The actor when the console itself asks, for everybody that it serves."""
_CALLS = "/api/calls"
EVENTS = "/api/events"
_HEALTH = "/api/health"
_AGENTS = "/api/agents"
_OPT_OUTS = "/api/opt-outs"
_DRAIN = "/api/drain"
_ALARMS = "/api/alarms"
_SELFTESTS = "/api/selftests"
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


def _path(target: Target, act: str) -> str:
    if isinstance(target, CallTarget):
        return f"{_CALLS}/{quote(target.call, safe='')}/{act}"
    return f"/api/extensions/{quote(target.number, safe='')}/{act}"


def actor_header(actor: str) -> dict[str, str]:
    """Return the header that names who acts."""
    # A header is ASCII (RFC 9110 section 5.5); a person's name need not be.
    return {ACTOR_HEADER: quote(actor, safe=" :.@-_")}


def _named(actor: Actor) -> dict[str, str]:
    """Return the header that names the actor; the socket itself names people without an account."""
    return {} if isinstance(actor, LocalUser) else actor_header(actor.actor)


def _spread(is_spread: bool) -> dict[str, bool]:
    return {"is_spread": True} if is_spread else {}


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


def result_of(answer: DaemonAnswer) -> dict[str, Any]:
    """Return the JSON object of an answer.

    Raises:
        DaemonRefusedError: It is an error, or no JSON object.
    """
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


def rows_of(answer: Mapping[str, Any], key: str, texts: Collection[str] = ()) -> list[dict[str, Any]]:
    """Return the rows of a list in an answer; what is no row, or lacks one of the texts, is left out."""
    rows = answer.get(key)
    return [
        row
        for row in (rows if isinstance(rows, list) else ())
        if isinstance(row, dict) and all(isinstance(row.get(text), str) for text in texts)
    ]


class _Daemon:
    """Sends requests to a daemon."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def close(self) -> None:
        self._link.close()

    def act(
        self,
        path: str,
        actor: Actor,
        reason: str,
        *,
        is_idempotent: bool = False,
        **body: Any,  # noqa: ANN401 - JSON
    ) -> dict[str, Any]:
        document = {"reason": reason, **body, **_of(actor)}
        return self.send("POST", path, headers=_named(actor), json=document, is_idempotent=is_idempotent)

    def personal(
        self,
        path: str,
        person: Person,
        around: Around = NOTHING_KNOWN,
        **body: Any,  # noqa: ANN401 - JSON
    ) -> dict[str, Any]:
        return self.send("POST", path, headers=actor_header(person.actor), json={**body, **_of(person, around)})

    def send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: Mapping[str, Any] | None = None,
        is_idempotent: bool = False,
    ) -> dict[str, Any]:
        content = b"" if json is None else _dumped(json)
        fields = {**_JSON, **(headers or {})}
        return result_of(self._link.ask(method, path, fields, content, is_idempotent=is_idempotent))


class _Client:
    """Has the connections to the daemon of a client, which are closed at its end."""

    def __init__(self, at: Path | Link, *, signer: Signer | None = None, timeout_s: float = 5.0) -> None:
        self._daemon = _Daemon(SocketLink(at, signer, timeout_s=timeout_s) if isinstance(at, Path) else at)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _t: type[BaseException] | None, _e: BaseException | None, _b: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._daemon.close()


class LiveClient(_Client):
    """Acts on the live calls of one daemon. Every method blocks; safe to share between threads.

    Every method raises DaemonUnavailableError and DaemonRefusedError. The daemon, which knows the call, decides what
    the person may do (`recorder.rules.live_access`). Acts return its answer with ``call, state, reasons, position_s``,
    or a list of these under ``calls`` if the target is an extension. With ``is_spread`` the act on an extension is sent
    to every node of a site, and a daemon without such a call answers an empty list.

    Args:
        at: The daemon's socket, or a link to it.
        signer: Signs the actor's name at the socket; None to name nobody.
        timeout_s: Longest wait for the answer at the socket.
    """

    def health(self) -> dict[str, Any]:
        """Return the daemon's health."""
        return self._daemon.send("GET", _HEALTH)

    def calls(self, *, actor: str = "") -> list[dict[str, Any]]:
        """Return the calls in progress, as the daemon lists them."""
        return rows_of(self._daemon.send("GET", _CALLS, headers=actor_header(actor)), "calls")

    def pause(self, target: Target, *, actor: Actor, reason: str = "", is_spread: bool = False) -> dict[str, Any]:
        """Pause recording; returns once the recording gates of both channels are shut.

        It is the one act that may be sent twice to another node: a second pause for the same reason erases nothing
        more, starts no timer anew and is ended by the same resume. Each that arrives has its entry in the audit log.
        """
        return self._daemon.act(_path(target, "pause"), actor, reason, is_idempotent=True, **_spread(is_spread))

    def resume(self, target: Target, *, actor: Actor, reason: str = "", is_spread: bool = False) -> dict[str, Any]:
        """Clear the pause reasons that the actor may clear."""
        return self._daemon.act(_path(target, "resume"), actor, reason, **_spread(is_spread))

    def pause_retroactively(
        self, target: Target, *, person: Person, seconds: float | None, reason: str = "", is_spread: bool = False
    ) -> dict[str, Any]:
        """Pause recording, and order the last seconds to be erased; None for everything so far."""
        more = _spread(is_spread)
        return self._daemon.personal(
            _path(target, "forgot"), person, NOTHING_KNOWN, seconds=seconds, reason=reason, **more
        )

    def opt_out(
        self, target: Target, *, person: Person, grant: OptOutGrant, around: Around = NOTHING_KNOWN
    ) -> dict[str, Any]:
        """Stop recording for the rest of a call in progress; cannot be undone."""
        return self._daemon.personal(_path(target, "opt-out"), person, around, **grant.as_json())

    def second_message(
        self, target: Target, *, person: Person, reason: str = "", is_spread: bool = False
    ) -> dict[str, Any]:
        """Play the second message to the outside party."""
        more = _spread(is_spread)
        return self._daemon.personal(_path(target, "second-message"), person, NOTHING_KNOWN, reason=reason, **more)

    def opt_outs(self, *, actor: str = "") -> list[dict[str, Any]]:
        """Return the opt-out requests of the calls in progress, oldest first, decided ones too."""
        return rows_of(self._daemon.send("GET", _OPT_OUTS, headers=actor_header(actor)), "opt_outs")

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

    def alarms(self) -> dict[str, Any]:
        """Return the alarms that stand, and those that have ended, newest first: ``standing`` and ``ended``."""
        return self._daemon.send("GET", _ALARMS)

    def acknowledge_alarm(self, alarm: str, *, person: Person, remark: str, hours: float) -> dict[str, Any]:
        """Acknowledge an alarm for a number of hours; returns it."""
        path = f"{_ALARMS}/acknowledge"
        return self._daemon.personal(path, person, NOTHING_KNOWN, alarm=alarm, remark=remark, hours=hours)

    def nodes(self) -> list[dict[str, Any]]:
        """Return the nodes of a site with several (`recorder.control.site_calls`); none, as this is one daemon."""
        return []

    def drain_state(self) -> dict[str, Any]:
        """Return whether the daemon refuses new calls, as `DrainClient.state` does."""
        return self._daemon.send("GET", _DRAIN)

    def agents(self) -> list[dict[str, Any]]:
        """Return nominated extensions and who is at them."""
        return rows_of(self._daemon.send("GET", _AGENTS, headers=actor_header(SERVICE)), "agents", ("extension",))

    def takeovers(self) -> list[dict[str, Any]]:
        """Return recent takeovers of phones."""
        answer = self._daemon.send("GET", _AGENTS, headers=actor_header(SERVICE))
        return rows_of(answer, "takeovers", ("extension", "operator", "instead_of"))

    def sign_on(self, extension: str, *, person: Person, is_anothers: bool, code: str | None = None) -> dict[str, Any]:
        """Sign a person on at an extension; calls that begin from then on are theirs.

        Args:
            extension: A nominated one.
            person: Who.
            is_anothers: Whether it is another account's own extension.
            code: A code that another node has given them, to give here too.

        Returns:
            The result; with ``code`` and ``keys`` if a code must be keyed at the phone first.
        """
        path = f"{_AGENTS}/{quote(extension, safe='')}/sign-on"
        more = {} if code is None else {"code": code}
        return self._daemon.personal(path, person, NOTHING_KNOWN, is_anothers=is_anothers, **more)

    def sign_off(self, extension: str, *, person: Person) -> dict[str, Any]:
        """Sign a person off from an extension."""
        return self._daemon.personal(f"{_AGENTS}/{quote(extension, safe='')}/sign-off", person)

    def reload(self) -> dict[str, Any]:
        """Make the daemon read its configuration again."""
        return self._daemon.send("POST", "/api/reload")


class SelfTestClient(_Client):
    """Runs a self-test at a daemon, as the user of this process. Every method blocks and returns the state.

    Every method raises DaemonUnavailableError and DaemonRefusedError.
    """

    def begin(self, caller_port: int, callee_port: int, public_key: str) -> dict[str, Any]:
        """Begin one; return its secret number and the settings in force."""
        body = {"caller_port": caller_port, "callee_port": callee_port, "public_key": public_key}
        return self._daemon.send("POST", _SELFTESTS, json=body)

    def state(self) -> dict[str, Any]:
        """Return how it goes."""
        return self._daemon.send("GET", _SELFTESTS)

    def end(self, run: str, *, failed: Sequence[str], duration_s: float) -> dict[str, Any]:
        """End it with its result; the daemon deletes its recording."""
        body = {"run": run, "failed": list(failed), "duration_s": round(duration_s, 1)}
        return self._daemon.send("POST", f"{_SELFTESTS}/end", json=body)


class DrainClient(_Client):
    """Drains a daemon, as the user of this process. Every method blocks and returns the state.

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
