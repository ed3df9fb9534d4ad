"""What a test asks of the daemon of a home by its socket: calls and health, and acts as people have them done."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2

from tests.helpers import preloaded
from tests.helpers.signed_in import signing
from tests.helpers.starvation import stopwatch
from tests.helpers.unix_transport import UnixTransport
from tests.helpers.waiting import HANGS_S

_REPEATABLE = ("pause", "drain", "reload")
"""Acts that may be asked for again when the daemon got no CPU to confirm them."""
CONFIRM_S = 1.5
"""How long the daemon waits for an act before it answers 504."""
STARVED_S = 0.5
"""How long the daemon waits for a CPU meanwhile, at least, if that is the reason."""
PERSONAL = ("opt-out", "opt-out-request", "grant", "decline", "forgot", "second-message")


def starving(*pids: int) -> Callable[[], bool]:
    """Return what tells whether programs have got so little CPU since now that they could not confirm an act in time.

    What is not confirmed before `CONFIRM_S` has passed, or by programs that ran, has another cause.
    """
    began_s, took_s = time.monotonic(), stopwatch(*pids)

    def has_starved() -> bool:
        passed_s = time.monotonic() - began_s
        return passed_s >= CONFIRM_S and passed_s - took_s() >= STARVED_S

    return has_starved


class HomeActs:
    """The acts of a `RecorderHome`.

    Attributes:
        live: Client of the daemon's socket.
        daemon: The process; None before its first start, and in virtual time.
        unconfirmed: Acts that were not confirmed because the daemon got no CPU: a test looked at the state, or asked
            again.
    """

    def __init__(self, root: Path) -> None:
        self.live = httpx2.Client(
            transport=UnixTransport(root / "recorder.sock"), base_url="http://recorder", timeout=HANGS_S,
            event_hooks=signing(root),
        )  # fmt: skip
        self.daemon: subprocess.Popen[bytes] | preloaded.Daemon | None = None
        self.unconfirmed: list[str] = []

    @property
    def pid(self) -> int:
        """The daemon's process."""
        assert self.daemon is not None
        return self.daemon.pid

    def calls(self) -> list[dict[str, Any]]:
        """Return the recorded calls in progress."""
        answer = self.live.get("/api/calls", headers={"X-Recorder-Actor": "tests"})
        found: list[dict[str, Any]] = answer.raise_for_status().json()["calls"]
        return found

    def health(self) -> dict[str, Any]:
        """Return what the daemon says of itself."""
        found: dict[str, Any] = self.live.get("/api/health").raise_for_status().json()
        return found

    def act(self, path: str, *, by: str = "", **body: Any) -> httpx2.Response:
        """Post an act as `act_once`; again, if it may be, as often as the daemon got no CPU to confirm it."""
        if path.rpartition("/")[2] not in _REPEATABLE or self.daemon is None:  # virtual time starves nobody
            return self.act_once(path, by=by, **body)
        deadline_s = time.monotonic() + HANGS_S
        while True:
            has_starved = starving(self.pid)
            answer = self.act_once(path, by=by, **body)
            is_confirmed = answer.status_code != httpx2.codes.GATEWAY_TIMEOUT
            if is_confirmed or not has_starved() or time.monotonic() > deadline_s:
                return answer
            self.unconfirmed.append(path)

    def act_once(self, path: str, *, by: str = "", **body: Any) -> httpx2.Response:
        """Post an act to the daemon's socket, as a person when ``by`` is given.

        What only a person may do is said by a manager of no team who is on no call, unless ``person`` says otherwise;
        an opt-out comes with both statements. A pause and a resume are the officer's of the call or extension, with
        ``as="manager"`` a manager's of their team.
        """
        word = path.rpartition("/")[2]
        if by and word in PERSONAL:
            body = {"person": {"display_name": by, "roles": ["manager"]}, **body}
        if word in ("pause", "resume") and not str(body.get("as", "")).startswith("token:"):
            body = {"person": self._part(path.split("/")[-2], body.get("as", "officer")), **body}
            by = by or body["as"] if "as" in body else by or "officer"
        if by and word in ("opt-out", "grant"):
            body = {"caller_asked": True, "distress_judged": True, **body}
        token = str(body.get("as", ""))
        by = by or (token if token.startswith("token:") else "")
        return self.live.post(path, json=body, headers={"X-Recorder-Actor": by} if by else {})

    def _part(self, call: str, role: str) -> dict[str, Any]:
        """Return the officer of a call or extension, or a manager of its team, as the socket is told of them."""
        found = next((one for one in self.calls() if call in (one["id"], *one["extensions_now"])), None)
        if role == "manager":
            return {"display_name": "a manager", "roles": ["manager"], "teams": found["teams_now"] if found else []}
        number = call if found is None or call != found["id"] else next(iter(found["extensions_now"]), None)
        is_known = found is not None and (call == found["id"] or len(found["extensions_now"]) == 1)
        operators = found["operators_now"] if found is not None and is_known else []
        return {"display_name": next(iter(operators), ""), "roles": ["officer"], "extension": number}
