"""How a recording is stopped and goes on: each trigger as the people and systems of a call would pull it."""

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from tests.helpers.home_acts import starving
from tests.helpers.recorder_home import HANGS_S, eventually
from tests.helpers.sip_peer import Call
from tests.leak.site import ERASE_S, MANAGER, RefusedError, State, UnconfirmedError

if TYPE_CHECKING:
    from tests.leak.ring import Ring

KEY_TRIES = 3
"""How often keys are pressed of which nothing comes."""
ACT_TRIES = 3
"""How often an act is asked for that the recorder got no CPU to confirm."""
AGAIN_S = 8.0
"""How long keys or an act may take to have an effect before they are tried again."""
REASON = "the caller is distressed and asked not to be recorded"


@dataclass(frozen=True, slots=True)
class Act:
    """When something was asked for, and when it was known to be done (monotonic seconds)."""

    asked_s: float
    done_s: float


Do = Callable[["Ring"], Act]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """One way to stop a recording.

    Attributes:
        do: Pulls it, and waits until it is known to have worked.
        lead_s: From the beginning of the act to the moment at which it is complete (a key's end).
        slack_s: How long it may then take; until then nobody says anything secret.
        erase_s: What it promises to erase before that moment.
        service: Whose extension is called.
    """

    do: Do
    lead_s: float = 0.0
    slack_s: float = 0.08
    erase_s: float = ERASE_S
    service: str = "Desk"


def _heard(
    ring: "Ring",
    asked_s: float,
    fits: Callable[[State], bool],
    what: str,
    done_s: float | None = None,
    *,
    timeout_s: float = HANGS_S,
) -> Act:
    """Return when the daemon said so, or was known to have done it, whichever was first."""
    said = ring.site.wait_state(ring.id, fits, what, since_s=asked_s - 0.001, timeout_s=timeout_s)
    return Act(asked_s, said.at_s if done_s is None else min(said.at_s, done_s))


def _confirmed(ring: "Ring", ask: Callable[[], object], goal: Callable[[State], bool], what: str) -> Act:
    """Ask for something; where the recorder got no CPU to confirm it, look whether it is done, and else ask again."""
    asked_s = time.monotonic()
    for _ in range(ACT_TRIES - 1):
        has_starved = starving(*ring.site.serving)
        try:
            ask()
        except UnconfirmedError:
            if not has_starved():
                raise
            ring.site.home.unconfirmed.append(what)
            with contextlib.suppress(TimeoutError):
                return _heard(ring, asked_s, goal, what, timeout_s=AGAIN_S)
        else:
            return _heard(ring, asked_s, goal, what, time.monotonic())
    ask()
    return _heard(ring, asked_s, goal, what, time.monotonic())


def _is_held(state: State) -> bool:
    return state.state in ("paused", "opted_out", "discarded")


def _is_open(state: State) -> bool:
    return state.state == "recording"


def _by_keys(keys: str, goal: Callable[[State], bool], *, in_band: bool) -> Do:
    def do(ring: "Ring") -> Act:
        before = ring.right.pressed
        ring.right.press(keys, ms=100 if in_band else 80, in_band=in_band)
        eventually(lambda: ring.right.pressed >= before + len(keys), "the officer's keys are pressed")
        return _heard(ring, ring.right.key_ends[-1], goal, f"the officer's {keys}")

    return do


def send_info(call: Call, signal: str, content_type: str) -> None:
    """Send a key by INFO."""
    relay = f"Signal={signal}\r\nDuration=160\r\n".encode()
    call.request("INFO", relay if content_type.endswith("relay") else signal.encode(), content_type)


def _by_info(keys: str, goal: Callable[[State], bool], content_type: str, *, timeout_s: float = HANGS_S) -> Do:
    def do(ring: "Ring") -> Act:
        for key in keys:
            before = len(ring.second.replies_to("INFO"))
            asked_s = time.monotonic()
            send_info(ring.second, key, content_type)
            if key == "*":
                ring.wait(ring.second, lambda call, before=before: len(call.replies_to("INFO")) > before)  # type: ignore[misc]
        return _heard(ring, asked_s, goal, f"the officer's {keys} by INFO", timeout_s=timeout_s)

    return do


def _until_heard(do: Do) -> Do:
    """Press again, as people do, when nothing came of it: keys that came too far apart are no control sequence."""

    def repeated(ring: "Ring") -> Act:
        for _ in range(KEY_TRIES - 1):
            with contextlib.suppress(TimeoutError):
                return do(ring)
        return do(ring)

    return repeated


def _by_post(how: str, word: str, goal: Callable[[State], bool]) -> Do:
    def do(ring: "Ring") -> Act:
        one, all_of = f"/api/calls/{ring.id}/{word}", f"/api/extensions/{ring.extension}/{word}"
        path = all_of if how.endswith("_extension") else one
        posts = {"socket": ring.site.by_socket, "api": ring.site.by_token, "console": ring.site.by_person}
        post = posts[how.partition("_")[0]]
        return _confirmed(ring, lambda: post(path), goal, f"{word} by {how}")

    return do


def _by_command(*words: str, goal: Callable[[State], bool], is_signed: bool = False) -> Do:
    def do(ring: "Ring") -> Act:
        home = ring.site.home
        who: tuple[str, ...] = ()  # without an account a pause is root's at the machine
        if is_signed:
            who = (*ring.site.as_manager, "--reason", REASON)
        elif words == ("resume",):
            who = ring.site.as_officer
        command = (*words, "--call", ring.id, *who, "-C", str(home.root))
        return _confirmed(ring, lambda: ring.site.command(*command), goal, f"{words[0]} by command")

    return do


def _opt_out_by_console(ring: "Ring") -> Act:
    path = f"/api/calls/{ring.id}/opt-out"

    def ask() -> None:
        try:
            ring.site.by_person(path, is_manager=True, reason=REASON, caller_asked=True, distress_judged=True)
        except RefusedError as error:
            if " 422 " not in str(error):
                raise
            ring.site.by_person(path, is_manager=True, reason=REASON)

    return _confirmed(ring, ask, _is_held, f"{MANAGER}'s opt-out")


def _card_by_media(*, in_band: bool) -> Do:
    def do(ring: "Ring") -> Act:
        ring.left.press(ring.plan.digits, ms=60 if not in_band else 80, in_band=in_band)
        eventually(lambda: ring.left.pressed >= 4, "four of the caller's digits are pressed")
        act = _heard(ring, ring.left.key_ends[3], _is_held, "the fourth digit")
        eventually(lambda: not ring.left.is_pressing, "all of the caller's digits are pressed")
        return act

    return do


def _card_by_info(content_type: str) -> Do:
    def do(ring: "Ring") -> Act:
        asked = []
        for digit in ring.plan.digits:
            asked.append(time.monotonic())
            send_info(ring.first, digit, content_type)
            time.sleep(0.12)
        ring.left.pressed = len(asked)
        return _heard(ring, asked[3], _is_held, "the fourth digit by INFO")

    return do


def _hold(ring: "Ring") -> Act:
    asked_s = ring.re_offer(direction="sendonly")
    return _heard(ring, asked_s, lambda s: "hold" in s.reasons, "the hold is taken for one")


def _unhold(ring: "Ring") -> Act:
    asked_s = ring.re_offer(direction="sendrecv")
    return _heard(ring, asked_s, _is_open, "the hold is over")


RELAY, DTMF = "application/dtmf-relay", "application/dtmf"
_KEY_LEAD_S, _TONE_LEAD_S = 0.22, 0.26

TRIGGERS: Mapping[str, Trigger] = MappingProxyType(
    {
        "key_rfc4733": Trigger(do=_by_keys("*1", _is_held, in_band=False), lead_s=_KEY_LEAD_S),
        "key_inband": Trigger(do=_by_keys("*1", _is_held, in_band=True), lead_s=_TONE_LEAD_S, slack_s=0.16),
        "key_relay": Trigger(do=_by_info("*1", _is_held, RELAY), slack_s=0.12),
        "key_info": Trigger(do=_by_info("*1", _is_held, DTMF), slack_s=0.12),
        **{
            how: Trigger(do=_by_post(how, "pause", _is_held))
            for how in ("socket", "socket_extension", "api_call", "api_extension", "console")
        },
        "session_socket": Trigger(do=_by_post("socket", "pause", _is_held)),
        "session_token": Trigger(do=_by_post("api_call", "pause", _is_held)),
        "cli": Trigger(do=_by_command("pause", goal=_is_held), slack_s=2.5),
        "card_rfc4733": Trigger(do=_card_by_media(in_band=False), lead_s=0.44),
        "card_inband": Trigger(do=_card_by_media(in_band=True), lead_s=0.5, slack_s=0.16),
        "card_relay": Trigger(do=_card_by_info(RELAY), lead_s=0.36, slack_s=0.12),
        "card_info": Trigger(do=_card_by_info(DTMF), lead_s=0.36, slack_s=0.12),
        "opt_out_console": Trigger(do=_opt_out_by_console),
        "opt_out_cli": Trigger(do=_by_command("opt-out", goal=_is_held, is_signed=True), slack_s=3.5),
        "hold": Trigger(do=_hold, erase_s=0.0, slack_s=0.15, service="Quiet"),
    }
)
"""What stops a recording. Digits that stop nothing are in `tests.leak.ring`."""

RESUMES: Mapping[str, tuple[Do, float]] = MappingProxyType(
    {
        "key_rfc4733": (_by_keys("*2", _is_open, in_band=False), _KEY_LEAD_S),
        "key_inband": (_by_keys("*2", _is_open, in_band=True), _TONE_LEAD_S),
        "key_relay": (_until_heard(_by_info("*2", _is_open, RELAY, timeout_s=AGAIN_S)), 0.0),
        "key_info": (_until_heard(_by_info("*2", _is_open, DTMF, timeout_s=AGAIN_S)), 0.0),
        **{
            how: (_by_post(how, "resume", _is_open), 0.0)
            for how in ("socket", "socket_extension", "api_call", "api_extension", "console")
        },
        "cli": (_by_command("resume", goal=_is_open), 0.0),
        "hold": (_unhold, 0.0),
    }
)
"""What lets it go on, and from the beginning of the act to the moment at which it is complete."""
