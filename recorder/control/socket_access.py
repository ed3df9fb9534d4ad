"""The requirement of every route of the daemon's socket, and the acts of phone keys. Pure.

The daemon does not start with a route that is not listed here. Console or command line name the actor; the daemon
decides by `recorder.rules.live_access` at the moment of the act.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from recorder.permissions import Act
from recorder.rules.live_access import Source
from recorder.rules.requirement import Requirement, UnlistedError, known, live, takes, unlocked

_NAMED = "numbers, for callers that name a person; console and command line limit what that person sees"
_UNNAMED = "extension and state for callers that name nobody; all of it for those that name a person"

SOCKET: Mapping[str, Requirement] = MappingProxyType(
    {
        "GET /openapi.json": unlocked("the description of the socket"),
        "GET /api/node": unlocked("the node's name, and the moment that requests to it are signed for"),
        "GET /api/health": unlocked("the daemon's health, and who has acknowledged alarms: nothing about calls"),
        "POST /api/reload": unlocked("as SIGHUP; what changed is in the audit log"),
        "GET /api/alarms": unlocked("alarms, and who has acknowledged them: nothing about calls"),
        "POST /api/alarms/acknowledge": takes(Act.SEE_SYSTEM),
        "GET /api/drain": unlocked("whether new calls are refused, and how many are left"),
        "POST /api/drain": unlocked("as SIGTERM, for the users who may send that: root and the daemon's own"),
        "POST /api/drain/cancel": unlocked("likewise"),
        "POST /api/selftests": unlocked("for the users who may stop the daemon; only calls of its own phones"),
        "GET /api/selftests": unlocked("likewise"),
        "POST /api/selftests/end": unlocked("likewise; deletes the recordings of self-tests, and no other"),
        "GET /api/agents": unlocked("extensions for callers that name nobody; sign-ons for those that name a person"),
        "GET /api/calls": unlocked(_UNNAMED),
        "GET /api/events": known(_NAMED),
        "GET /api/opt-outs": known(_NAMED),
        "POST /api/agents/{extension}/sign-on": takes(Act.SIGN_ON),
        "POST /api/agents/{extension}/sign-off": takes(Act.SIGN_ON, note="their own sign-on only"),
        "POST /api/calls/{call_id}/pause": live(Act.PAUSE),
        "POST /api/calls/{call_id}/resume": live(Act.RESUME),
        "POST /api/calls/{call_id}/forgot": live(Act.RETROACTIVE_PAUSE),
        "POST /api/calls/{call_id}/opt-out": live(Act.OPT_OUT),
        "POST /api/calls/{call_id}/opt-out-request": live(Act.RAISE_OPT_OUT),
        "POST /api/calls/{call_id}/second-message": live(Act.SECOND_MESSAGE),
        "POST /api/extensions/{number}/pause": live(Act.PAUSE),
        "POST /api/extensions/{number}/resume": live(Act.RESUME),
        "POST /api/extensions/{number}/forgot": live(Act.RETROACTIVE_PAUSE),
        "POST /api/extensions/{number}/opt-out": live(Act.OPT_OUT),
        "POST /api/extensions/{number}/second-message": live(Act.SECOND_MESSAGE),
        "POST /api/opt-outs/{request_id}/grant": live(Act.OPT_OUT),
        "POST /api/opt-outs/{request_id}/decline": live(Act.DECLINE_OPT_OUT),
    }
)
"""Every route of the daemon's socket."""

LOCAL_ONLY = frozenset(
    {
        "GET /openapi.json", "HEAD /openapi.json", "POST /api/reload",
        "POST /api/selftests", "GET /api/selftests", "POST /api/selftests/end",
    }
)  # fmt: skip
"""Routes that other machines cannot use: the kernel's word for who asks on the socket is what protects them. A drain
may come from elsewhere (`recorder.control.drains`), a stop not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """An act of phone keys.

    Attributes:
        source: The source of the act; None for keys that do nothing to the recording.
        act: The act; None if there is nothing to refuse.
        note: Who keys them, and for what.
    """

    source: Source | None = None
    act: Act | None = None
    note: str


KEYS: Mapping[str, Keys] = MappingProxyType(
    {
        "[pause] pause_keys": Keys(source=Source.OFFICER_KEYS, act=Act.PAUSE, note="the officer on either side"),
        "[pause] resume_keys": Keys(source=Source.OFFICER_KEYS, act=Act.RESUME, note="the officer on either side"),
        "[pause] manager_keys": Keys(
            source=Source.MANAGER_PIN, act=Act.OPT_OUT, note="a manager who may grant it, by their PIN"
        ),
        "[pause] card_digits": Keys(
            source=Source.CALLER_DIGITS,
            act=Act.PAUSE,
            note="the caller, by so many digits within a short time",
        ),
        "[sign_on] keys": Keys(act=Act.SIGN_ON, note="the person who was given the code, at the phone that it is for"),
        "[notice] second_key": Keys(note="the caller, to hear the second message (P6)"),
    }
)
"""Every key, by its setting in recorder.toml."""


def check_socket(routes: Iterable[str]) -> None:
    """Check that every route of the socket is listed.

    Args:
        routes: Method and path pattern of each.

    Raises:
        UnlistedError: One is not.
    """
    unlisted = sorted(set(routes) - SOCKET.keys())
    if unlisted:
        raise UnlistedError(f"{', '.join(unlisted)}: not listed in recorder/control/socket_access.py")
