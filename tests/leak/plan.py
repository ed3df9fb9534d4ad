"""Which calls are made: every trigger at every moment, seeded. Pure.

A call is made from the run's seed and its own number alone, so that one that failed can be made again by itself.
"""

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from tests.leak.signals import PCMA, PCMU

KEYS = ("key_rfc4733", "key_relay", "key_info", "key_inband")
ACTS = ("api_call", "api_extension", "console", "cli", "socket", "socket_extension")
CARDS = ("card_rfc4733", "card_relay", "card_info", "card_inband")
DIGITS = ("digits_rfc4733", "digits_relay", "digits_info", "digits_inband")
OPT_OUTS = ("opt_out_console", "opt_out_cli")
SESSIONS = ("session_socket", "session_token")
"""Acts on a recording session (SIPREC)."""
TRIGGERS = (*KEYS, *ACTS, *CARDS, *DIGITS, *OPT_OUTS, "hold", *SESSIONS)

SHAPES = (
    "plain", "late", "too_late", "step_forward", "step_backward", "step_before", "new_source", "out_of_order",
    "duplicated", "loss",
    "ptime_10", "ptime_30", "gap",
)  # fmt: skip
"""Moments that are a matter of how packets arrive."""
RESTARTS = frozenset({"step_forward", "step_backward", "step_before", "new_source", "re_invite"})
"""Moments in which a clock begins anew: what comes within 200 ms of an opening is then not trusted, and not kept."""
STRAYS = ("stray", "stale")
"""Moments in which somebody else sends to the call's ports: from its beginning on; from a call before, and after it."""
EVENTS = ("re_invite", "held", "early", "hang_up", "transferred", "passed_twice", *STRAYS)
FAULTS = ("stalled", "frozen", "killed")
MOMENTS = (*SHAPES, *EVENTS, *FAULTS)

_NO_CALL = "of the recorder's own legs, or of its disk and process: calls have it"
_OF_ONE = (
    "each of the two recordings of a talk has a hold and digits of its own: nothing is passed from one to the other"
)
_NOT_EARLY = "digits and keys count from the joining on, and nobody is held before it"
IMPOSSIBLE: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        **{(trigger, "early"): _NOT_EARLY for trigger in (*KEYS, *CARDS, *DIGITS, "hold")},
        ("hold", "held"): "it is one",
        ("hold", "transferred"): "the caller is on hold",
        **{(trigger, "passed_twice"): _OF_ONE for trigger in (*DIGITS, "hold")},
        **{
            (trigger, moment): _NO_CALL
            for trigger in SESSIONS
            for moment in ("re_invite", "held", "early", "transferred", "passed_twice", *FAULTS)
        },
    }
)
"""Cells of the matrix that have no call, and why."""
CELLS = tuple((t, m) for t in TRIGGERS for m in MOMENTS if (t, m) not in IMPOSSIBLE)

VIA_CONSOLE = frozenset({"console", "api_call", "api_extension", "opt_out_console"})
"""What cannot be done where no console runs."""
_AGENTS_RESUME = ("key_rfc4733", "key_relay", "key_info", "key_inband", "console", "socket", "socket_extension")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One call.

    Attributes:
        number: In the run; gives the caller's number and the secrets.
        seed: Of everything else that is random in it.
        trigger: What stops the recording.
        moment: What happens meanwhile.
        laws: Codec of the caller and of the officer.
        ptime_ms: Of both.
        sides: Whose packets arrive distorted: 0 the caller's, 1 the officer's.
        before_s: Talk before the trigger.
        closed_s: Talk while nothing may be kept.
        after_s: Talk afterwards.
        resume: How recording goes on, or "" when it does not.
        digits: What the caller keys.
        hangs_up: 0 the caller, 1 the officer.
        intruder: Who tries to have recording go on and may not: "", ``caller_keys``, ``caller_info`` or ``token``.
    """

    number: int
    seed: str
    trigger: str
    moment: str
    laws: tuple[int, int]
    ptime_ms: int
    sides: tuple[int, ...]
    before_s: float
    closed_s: float
    after_s: float
    resume: str
    digits: str
    hangs_up: int
    intruder: str = ""

    @property
    def caller(self) -> str:
        """The caller's telephone number, of this call only."""
        return f"01632{self.number:06d}"

    @property
    def needs_console(self) -> bool:
        """Tell whether the call cannot be made where no console runs."""
        return bool({self.trigger, self.resume} & VIA_CONSOLE) or self.intruder == "token"

    @property
    def name(self) -> str:
        """What a failure calls it."""
        run_seed, number = self.seed.split(":")
        return f"call {self.number} ({self.trigger} x {self.moment}, --seed {run_seed} --only {number})"


def plan(run_seed: int, number: int, trigger: str, moment: str, *, is_short: bool = False) -> Plan:
    """Return the call of a number."""
    seed = f"{run_seed}:{number}"
    rng = random.Random(seed)
    ptime = {"ptime_10": 10, "ptime_30": 30}.get(moment, 20)
    closed_s = rng.uniform(0.7, 1.3) if is_short or rng.random() < 0.6 else rng.uniform(1.3, 3.6)
    return Plan(
        number=number,
        seed=seed,
        trigger=trigger,
        moment=moment,
        laws=(rng.choice((PCMA, PCMA, PCMU)), PCMA if moment == "re_invite" else rng.choice((PCMA, PCMA, PCMU))),
        ptime_ms=ptime,
        sides=rng.choice(((0,), (1,), (0, 1), (0, 1))),
        before_s=rng.uniform(1.2, 1.7),
        closed_s=closed_s,
        after_s=rng.uniform(5.0, 5.4) if moment == "too_late" else rng.uniform(0.7, 1.2),
        resume=_resume(trigger, rng),
        digits=_digits(trigger, rng),
        hangs_up=rng.randrange(2),
        intruder=_intruder(trigger, moment, rng),
    )


def _resume(trigger: str, rng: random.Random) -> str:
    if trigger in (*OPT_OUTS, *DIGITS):
        return ""
    if trigger in ("api_call", "api_extension", "hold", "cli"):
        return trigger
    if trigger in SESSIONS:
        return {"session_socket": "socket", "session_token": "api_call"}[trigger]
    return rng.choice(_AGENTS_RESUME)


def _intruder(trigger: str, moment: str, rng: random.Random) -> str:
    is_agents = trigger in (*KEYS, *CARDS, "console", "cli", "socket", "socket_extension")
    if not is_agents or moment in ("early", "frozen", *RESTARTS):
        return ""
    return rng.choice(("", "", "caller_keys", "caller_info", "token"))


def _digits(trigger: str, rng: random.Random) -> str:
    if trigger in DIGITS:
        count = rng.choice((1, 2, 3))
    elif trigger in CARDS:
        count = rng.choice((4, 6, 13, 16, 16, 16))
    else:
        return ""
    digits = rng.choice("45") + "".join(rng.choice("0123456789") for _ in range(count - 1))
    return digits if "000" not in digits else digits.replace("000", "071")


def matrix(run_seed: int, calls: int, *, is_short: bool = False) -> list[Plan]:
    """Return the calls of a run: every cell as often as the number allows, the rest at random.

    With fewer calls than cells every trigger and every moment still comes, and the pairs are spread over the table.
    """
    rng = random.Random(run_seed)
    chosen: list[tuple[str, str]] = []
    while calls - len(chosen) >= len(CELLS):
        chosen += CELLS
    chosen += _spread(calls - len(chosen), rng)
    return [plan(run_seed, i, t, m, is_short=is_short) for i, (t, m) in enumerate(chosen)]


def two_matrices(run_seed: int, calls: int) -> tuple[list[Plan], list[Plan]]:
    """Return the calls of a short run, and those of the run with the next seed, numbered after them."""
    later = (replace(one, number=one.number + calls) for one in matrix(run_seed + 1, calls, is_short=True))
    return matrix(run_seed, calls, is_short=True), list(later)


def without_console(run_seed: int) -> list[Plan]:
    """Return a plain call of every trigger that needs no console."""
    chosen: list[Plan] = []
    for trigger in TRIGGERS:
        tried = (plan(run_seed, len(TRIGGERS) * i + len(chosen), trigger, "plain", is_short=True) for i in range(40))
        chosen += [one for one in tried if not one.needs_console][:1]
    return chosen


def _spread(count: int, rng: random.Random) -> list[tuple[str, str]]:
    """Return different cells in which triggers and moments come equally often, as far as that goes."""
    left = list(CELLS)
    rng.shuffle(left)
    used: Counter[str] = Counter()
    chosen = []
    for _ in range(count):
        cell = min(left, key=lambda cell: (used[cell[0]] + used[cell[1]], used[cell[0]]))
        left.remove(cell)
        used.update(cell)
        chosen.append(cell)
    return chosen
