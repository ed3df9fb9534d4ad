"""Digits by every carrier over the wire: what the caller keys is in no recording, and four in ten seconds pause it.

Each test is one call, or one of each side, one after another in one daemon.
"""

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.helpers.exactness import SILENT_ALAW, SILENT_ULAW, Kept, kept_of
from tests.helpers.exchange import Exchange, Talk
from tests.helpers.keying import Carrier, Pressed, info_of, press, put_tone, tone, wait_said
from tests.helpers.recorder_home import eventually
from tests.helpers.virtual.exchange import exchange
from tests.helpers.voices import FRAME, PCMA, PCMU, TICKS_PER_S

ERASE_S, LOOK_BACK_S = 1.0, 2.5
EDITS = (("look_back_s = 5.0", f"look_back_s = {LOOK_BACK_S}"), ("erase_s = 3.0", f"erase_s = {ERASE_S}"))
AROUND = TICKS_PER_S // 5
"""200 ms, which are silenced before and after a digit."""
SLACK = 200
"""A packet, and what it is taken late by when packets gather, and the resolution of a block of the detector."""
INFO_BEFORE, INFO_AFTER = int(0.6 * TICKS_PER_S), int(0.4 * TICKS_PER_S)
BLOCKS = 600
"""A tone's first trace is put up to two blocks of the detector early, its end as much late."""

ENDING = 1200
"""Media legs are open for a moment after the hang-up, when nobody speaks any more."""

KEYINGS = {
    "rfc4733": (Carrier.EVENT, PCMA),
    "info dtmf-relay": (Carrier.RELAY, PCMA),
    "info dtmf": (Carrier.PLAIN, PCMA),
    "info nortel": (Carrier.NORTEL, PCMA),
    "in-band a-law": (Carrier.TONE, PCMA),
    "in-band mu-law": (Carrier.TONE, PCMU),
}
SPREADS: dict[str, tuple[float, ...]] = {
    "one digit": (0.0,),
    "three digits": (0.0, 1.3, 2.6),
    "four digits in 9.9 s": (0.0, 3.3, 6.6, 9.9),
    "four digits in 10.1 s": (0.0, 3.4, 6.7, 10.1),
}
MANY = ("three digits", "four digits in 10.1 s")
"""Spreads of several digits that do not pause: each carrier's are in "four digits in 9.9 s" too."""


@dataclass
class Keyed:
    """A call in which keys were pressed, once it is filed."""

    talk: Talk
    law: int
    presses: list[Pressed] = field(default_factory=list)
    hung_up_s: float = 0.0
    states: list[str] = field(default_factory=list)
    """State of the call after each press."""
    row: dict[str, Any] = field(default_factory=dict)
    kept: tuple[Kept, ...] = ()

    def state_after(self, goal: str) -> None:
        """Note the state once it is what it should become, or has had time to."""
        deadline = time.monotonic() + 0.5
        while (state := self.talk.wait_phase("joined")["state"]) != goal and time.monotonic() < deadline:
            time.sleep(0.02)
        self.states.append(state)

    def end(self) -> None:
        """Hang up, and read what was kept, decrypted."""
        self.hung_up_s = time.monotonic()
        self.row = self.talk.hang_up()
        left, right, law = self.talk.home.copy(self.row["id"])
        assert law == ("ulaw" if self.law == PCMU else "alaw")
        silence = SILENT_ULAW if self.law == PCMU else SILENT_ALAW
        self.kept = (
            kept_of(left, self.talk.left, silence=silence),
            kept_of(right, self.talk.right, silence=silence),
        )


def keyed(lines: Exchange, carrier: Carrier, law: int, spread: tuple[float, ...]) -> Keyed:
    """Make a call in which the caller presses keys so many seconds after the first."""
    talk = lines.call(laws=(law, law))
    talk.join()
    talk.talk_for(ERASE_S + 0.8)
    found = Keyed(talk, law)
    begin = talk.left.sent[-1][0] // FRAME * FRAME + 10 * FRAME
    for number, after_s in enumerate(spread):
        at = begin + round(after_s * TICKS_PER_S / FRAME) * FRAME
        found.presses.append(press(talk.left, talk.first, "4111"[number], carrier, at=at))
        found.state_after("paused" if number == 3 else "recording")
    talk.talk_for(0.8)
    found.end()
    return found


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("digits"), edits=EDITS) as made:
        yield made


def orders() -> list[Any]:
    """Return each keying with each spread; for MANY, one carrier of events and one of tones, the rest is `long`."""
    return [
        pytest.param(
            keying, spread,
            marks=pytest.mark.long if spread in MANY and keying not in ("rfc4733", "in-band a-law") else (),
            id=f"{spread}-{keying}",
        )
        for spread in SPREADS
        for keying in KEYINGS
    ]  # fmt: skip


@pytest.mark.parametrize(("keying", "spread"), orders())
def test_digits_are_absent_and_everything_else_is_exact(lines: Exchange, keying: str, spread: str) -> None:
    call = keyed(lines, *KEYINGS[keying], SPREADS[spread])
    is_paused = spread == "four digits in 9.9 s"
    apart_s = (call.presses[-1].start - call.presses[0].start) / TICKS_PER_S
    assert apart_s == pytest.approx(SPREADS[spread][-1], abs=0.04), "the keys were pressed when they should be"
    assert call.states == ["recording"] * (len(call.presses) - 1) + ["paused" if is_paused else "recording"]
    kinds = {segment["kind"] for segment in call.row["segments"]}
    assert kinds == {"recording", "silenced"} | ({"paused"} if is_paused else set())
    until = call.row["duration_s"]
    if is_paused:
        closed = call.row["segments"][-1]
        assert (closed["reason"], closed["by"]) == ("card_digits", "rule:card_digits")
        until = closed["start_s"]
        key_s = (call.presses[-1].start - call.kept[0].offset) / TICKS_PER_S
        assert until == pytest.approx(key_s - ERASE_S, abs=0.5), "at the fourth digit, less what a pause erases"
    for kept in call.kept:
        assert_silent_around(kept, call, int(until * TICKS_PER_S))
        assert_said_silent(kept, call.row)


def assert_said_silent(kept: Kept, row: dict[str, Any]) -> None:
    """What is silent between two spans that are kept is no segment that says *recording*, and the other way round."""
    said = [one for one in row["segments"] if one["kind"] == "silenced"]
    assert {(one["reason"], one["extension"]) for one in said} == {("digits", "2001")}
    spans = [(round(one["start_s"] * TICKS_PER_S), round(one["end_s"] * TICKS_PER_S)) for one in said]
    for before, after in itertools.pairwise(kept.spans):
        assert any(start - BLOCKS <= before[1] and after[0] <= end + BLOCKS for start, end in spans), (before, after)
    for start, end in spans:
        inside = [one for one in kept.spans if one[0] < end - BLOCKS and start + BLOCKS < one[1]]
        assert not inside, f"{inside} is kept, and called silenced"


def assert_silent_around(kept: Kept, call: Keyed, until: int) -> None:
    """Nothing within 200 ms of a press is kept, and everything is that is not near one."""
    presses = [on_channel(one, kept, call.talk) for one in call.presses]
    for one in presses:
        first, last = one.start - AROUND + SLACK, one.end + AROUND - SLACK
        inside = [span for span in kept.spans if span[0] < last and first < span[1]]
        assert not inside, f"kept {inside} near the digit in [{one.start}, {one.end})"
    spans = [(start, min(end, until)) for start, end in kept.spans if start < until]
    gaps = [(before[1], after[0]) for before, after in itertools.pairwise(spans)]
    assert len(gaps) <= len(presses)
    late = max(voice.lateness() for voice in (call.talk.left, call.talk.right))
    for gap in gaps:
        near = [may_be_silent(one, late) for one in presses]
        assert any(start <= gap[0] and gap[1] <= end for start, end in near), f"{gap} is silent, not near {near}"
    assert all(start < until + SLACK for start, _ in kept.spans), "nothing after the pause"
    said = kept.voice.tick_at(call.hung_up_s) - kept.offset
    assert spans[-1][1] >= min(until - ENDING, said), "up to the end, or the pause"


def on_channel(one: Pressed, kept: Kept, talk: Talk) -> Pressed:
    """Return a press of the caller's in positions of a channel: the same moments by the clock of its own voice.

    A channel begins where its first packet arrived: how late that one was, on a busy machine, is nobody's press.
    """
    shift = round((talk.left.base_s() - kept.voice.base_s()) * TICKS_PER_S) - kept.offset
    info = None if one.info is None else (one.info[0] + shift, one.info[1] + shift)
    return Pressed(one.start + shift, one.end + shift, info)


def may_be_silent(one: Pressed, late: int) -> tuple[int, int]:
    """Return what may be silenced for a press at most: a stream that was sent late once may be heard late again."""
    first, last = one.start - AROUND - BLOCKS - late, one.end + AROUND + BLOCKS + late
    if one.info is not None:  # it took effect between its sending and its answer
        first, last = min(first, one.info[0] - INFO_BEFORE - FRAME), max(last, one.info[1] + INFO_AFTER + FRAME)
    return first, last


# --- two carriers, and keys that do not count


def two_carriers(lines: Exchange) -> Keyed:
    """Three keys, each as an event that follows its tone: as a gateway does that leaves the tone in the audio."""
    talk = lines.call()
    talk.join()
    talk.talk_for(ERASE_S + 0.8)
    found = Keyed(talk, PCMA)
    for key in "411":
        sounded = put_tone(talk.left, key)
        wait_said(talk.left, sounded.end)
        event = press(talk.left, talk.first, key, Carrier.EVENT)
        found.presses.append(Pressed(sounded.start, event.end))
        found.state_after("paused")
    talk.talk_for(0.5)
    sounded = put_tone(talk.left, "1")
    wait_said(talk.left, sounded.end)
    found.state_after("paused")
    found.end()
    return found


def keys_before(lines: Exchange) -> Keyed:
    """Keys during the notice, then three that count."""
    talk = lines.call()
    talk.begin()
    talk.wait_phase("notice")
    talk.left.press("333", ms=60)
    eventually(lambda: len(talk.left.pressed) == 3, "three keys during the notice")
    talk.join()
    talk.talk_for(0.5)
    found = Keyed(talk, PCMA)
    for key in "411":
        found.presses.append(press(talk.left, talk.first, key, Carrier.EVENT))
    found.state_after("paused")
    found.end()
    return found


# --- the officer's keys


def officer_keys(lines: Exchange, carrier: Carrier, law: int) -> tuple[Talk, Kept, list[Pressed], str]:
    """The officer keys a digit, which is passed on, and then the keys of a pause."""
    talk = lines.call(laws=(law, law))
    talk.join()
    leg = talk.wait_second()
    talk.talk_for(ERASE_S + 0.8)
    presses = [press(talk.right, leg, "5", carrier)]
    talk.talk_for(ERASE_S + 0.6)
    presses += [press(talk.right, leg, key, carrier) for key in "*1"]
    live = eventually(lambda: (c := talk.live) and c["state"] == "paused" and c, "the officer's keys pause")
    assert isinstance(live, dict)
    assert live["reasons"] == ["agent"]
    talk.talk_for(0.3)
    row = talk.hang_up()
    _, right, _ = talk.home.copy(row["id"])
    silence = SILENT_ULAW if law == PCMU else SILENT_ALAW
    return talk, kept_of(right, talk.right, silence=silence), presses, row["segments"][-1]["reason"]


def caller_stars(lines: Exchange, carrier: Carrier, law: int) -> tuple[Talk, list[str]]:
    """The caller keys what would pause on the other side, with its echo on the officer's leg where it is a tone."""
    talk = lines.call(laws=(law, law))
    talk.join()
    talk.talk_for(0.8)
    for key in "*1":
        if carrier is Carrier.TONE:
            talk.right.stream = _with_echo(talk, key)
        press(talk.left, talk.first, key, carrier)
        talk.talk_for(0.1)
    talk.talk_for(0.6)
    state = talk.wait_phase("joined")["state"]
    return talk, [state, *(segment["kind"] for segment in talk.hang_up()["segments"])]


def _with_echo(talk: Talk, key: str) -> bytes:
    """Return what the officer's phone sends while it echoes a tone that the caller is about to sound."""
    sound = tone(key, talk.right.law)
    start = talk.right.sent[-1][0] + 6 * FRAME
    return talk.right.stream[:start] + sound + talk.right.stream[start + len(sound) :]


@dataclass(frozen=True)
class Rest:
    """The other calls, by what is keyed in them and how."""

    keyed: dict[str, Keyed]
    officers: dict[str, tuple[Talk, Kept, list[Pressed], str]]
    callers: dict[str, tuple[Talk, list[str]]]


@pytest.fixture(scope="module")
def rest(lines: Exchange) -> Rest:
    """Make the other calls."""
    return Rest(
        {"two carriers": two_carriers(lines), "before": keys_before(lines)},
        {name: officer_keys(lines, *way) for name, way in KEYINGS.items()},
        {name: caller_stars(lines, *way) for name, way in KEYINGS.items()},
    )


def test_a_digit_that_comes_by_two_carriers_counts_once(rest: Rest) -> None:
    call = rest.keyed["two carriers"]
    assert call.states == ["recording", "recording", "recording", "paused"]
    assert {segment["reason"] for segment in call.row["segments"][:-1]} == {"", "digits"}
    assert call.row["segments"][-1]["reason"] == "card_digits"


def test_digits_before_the_joining_do_not_count(rest: Rest) -> None:
    call = rest.keyed["before"]
    assert call.states == ["recording"]
    assert {segment["kind"] for segment in call.row["segments"]} == {"recording", "silenced"}


@pytest.mark.parametrize("keying", KEYINGS)
def test_an_officers_digit_is_passed_on_and_kept_and_their_control_keys_pause(rest: Rest, keying: str) -> None:
    talk, kept, presses, reason = rest.officers[keying]
    carrier, _ = KEYINGS[keying]
    assert reason == "agent"
    digit = presses[0]
    if carrier is Carrier.EVENT:
        assert talk.left.heard_keys() == "5", "the digit, and not the control keys"
        return
    start, end = digit.start - kept.offset, digit.end - kept.offset
    assert any(a <= start and end <= b for a, b in kept.spans), "the officer's digit is not masked"
    if carrier is not Carrier.TONE:
        bodies = [request.body for request in talk.first.requests("INFO")]
        assert bodies == [info_of(carrier, "5")], "the digit, and not the control keys"


@pytest.mark.parametrize("keying", KEYINGS)
def test_the_callers_control_keys_and_their_echo_never_pause(rest: Rest, keying: str) -> None:
    talk, (state, *kinds) = rest.callers[keying]
    assert (state, set(kinds)) == ("recording", {"recording", "silenced"})
    if KEYINGS[keying][0] is Carrier.EVENT:
        assert talk.right.heard_keys() == "*1", "the officer gets what the caller keys"
