"""A fax is suspected where tones persist and nobody speaks: recording stops, and goes on with the first voice."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from audio.codecs import encode
from audio.types import Codec
from tests.helpers.exchange import Exchange, Talk
from tests.helpers.recorder_home import eventually
from tests.helpers.virtual.exchange import exchange
from tests.helpers.voices import NEVER_SILENT, TICKS_PER_S

Sound = NDArray[np.float64]
WAIT_S = 8.0


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("fax")) as made:
        yield made


def sine(hz: float, seconds: float) -> Sound:
    found: Sound = 8000 * np.sin(2 * np.pi * hz * np.arange(round(seconds * TICKS_PER_S)) / TICKS_PER_S)
    return found


def hum(seconds: float) -> Sound:
    """Return a line on which nobody speaks."""
    found: Sound = np.random.default_rng(1).standard_normal(round(seconds * TICKS_PER_S)) * 15
    return found


def speech(seconds: float) -> Sound:
    """Return sound whose level moves as that of speech does."""
    rng = np.random.default_rng(2)
    count = round(seconds * TICKS_PER_S)
    gains = np.repeat(10 ** (rng.uniform(-20, 0, count // 160 + 1) / 20), 160)[:count]
    found: Sound = gains * rng.standard_normal(count) * 3000
    return found


def say(*parts: Sound) -> bytes:
    samples = np.clip(np.concatenate(parts), -32768, 32767).astype(np.int16)
    return encode(Codec.PCMA, samples).translate(NEVER_SILENT)


def joined(lines: Exchange, left: bytes, right: bytes) -> Talk:
    """Make a call whose sides begin to say this once they are joined."""
    talk = lines.call()
    talk.left.stream, talk.right.stream = say(hum(60)), say(hum(60))
    talk.join()
    for voice, stream in ((talk.left, left), (talk.right, right)):
        at = voice.sent[-1][0] + 1600
        voice.stream = voice.stream[:at] + stream
    return talk


def wait_state(talk: Talk, state: str) -> None:
    eventually(lambda: (talk.live or {})["state"] == state, f"the call is {state}", timeout_s=WAIT_S)


def alarms(lines: Exchange) -> int:
    return int(lines.home.health()["alarms"].get("fax_suspected", 0))


def kinds(talk: Talk) -> list[str]:
    return [segment["kind"] for segment in talk.hang_up()["segments"]]


def test_tones_that_last_and_nobody_who_speaks_stop_recording_until_somebody_speaks(lines: Exchange) -> None:
    before = alarms(lines)
    talk = joined(lines, say(sine(2100, 3.5), hum(5), speech(6)), say(hum(30)))
    wait_state(talk, "fax_suspected")
    assert alarms(lines) == before + 1
    wait_state(talk, "recording")
    talk.talk_for(1.0)
    row = talk.hang_up()
    assert (row["outcome"], row["reason"]) == ("partial", "fax_suspected")
    first, gap, last = row["segments"]
    assert [one["kind"] for one in row["segments"]] == ["recording", "fax_suspected", "recording"]
    assert (gap["by"], gap["operator"]) == ("rule:fax", first["operator"])
    assert first["end_s"] > 3.5, "what was said until then is kept"
    assert last["end_s"] - last["start_s"] > 0.8


def test_a_fax_that_goes_on_stays_unrecorded(lines: Exchange) -> None:
    talk = joined(lines, say(hum(60)), say(sine(2100, 3.0), sine(1750, 20)))
    wait_state(talk, "fax_suspected")
    talk.talk_for(1.5)
    assert kinds(talk) == ["recording", "fax_suspected"]


@pytest.mark.parametrize("side", ["left", "right"])
def test_who_speaks_after_a_tone_is_recorded_without_a_gap(lines: Exchange, side: str) -> None:
    """In an earlier version 0.6 s of the tone ended the recording, from either side."""
    streams = {"left": say(hum(30)), "right": say(hum(30))}
    streams[side] = say(sine(2100, 0.6), speech(8))
    talk = joined(lines, **streams)
    talk.talk_for(4.0)
    assert kinds(talk) == ["recording"]


def test_the_officer_who_speaks_while_a_tone_lasts_is_recorded(lines: Exchange) -> None:
    talk = joined(lines, say(sine(2100, 20)), say(speech(20)))
    talk.talk_for(6.0)
    assert kinds(talk) == ["recording"]


def test_bursts_of_a_steady_tone_are_no_calling_machine(lines: Exchange) -> None:
    burst = (sine(1120, 0.5), hum(0.5))
    talk = joined(lines, say(*burst * 9, hum(20)), say(hum(30)))
    talk.talk_for(9.0)
    assert kinds(talk) == ["recording"]


HOLE_S = 0.05
MACHINE_S = 12.0


@pytest.mark.parametrize("hz", [1100, 1120])
def test_a_calling_machine_is_one_by_its_pauses(lines: Exchange, hz: float) -> None:
    talk = joined(lines, say(*(sine(hz, 0.5), hum(3.0)) * 8), say(hum(40)))
    eventually(lambda: (talk.live or {})["state"] == "fax_suspected", "a fax is suspected", timeout_s=MACHINE_S)
    assert kinds(talk) == ["recording", "fax_suspected"]


def test_a_steady_tone_that_is_cut_in_the_rhythm_of_a_calling_machine_is_none(lines: Exchange) -> None:
    cut = (sine(1120, 0.5), hum(HOLE_S), sine(1120, 3.0 - 2 * HOLE_S), hum(HOLE_S))
    talk = joined(lines, say(*cut * 8, hum(20)), say(hum(60)))
    talk.talk_for(MACHINE_S + 4.0)
    assert kinds(talk) == ["recording"]


def test_one_burst_is_no_calling_machine(lines: Exchange) -> None:
    talk = joined(lines, say(sine(1120, 0.5), hum(30)), say(hum(30)))
    talk.talk_for(8.0)
    assert kinds(talk) == ["recording"]


def test_a_voice_does_not_end_what_somebody_paused(lines: Exchange) -> None:
    talk = joined(lines, say(sine(2100, 3.5), hum(4), speech(10)), say(hum(30)))
    wait_state(talk, "fax_suspected")
    assert lines.home.act(f"/api/calls/{(talk.live or {})['id']}/pause").status_code == 200
    talk.talk_for(6.0)
    assert (talk.live or {})["state"] == "paused"
    assert kinds(talk)[-1] == "paused"


def test_the_officer_may_say_that_it_is_no_fax(lines: Exchange) -> None:
    talk = joined(lines, say(sine(2100, 3.5), hum(20)), say(hum(30)))
    wait_state(talk, "fax_suspected")
    talk.right.press("*2")
    wait_state(talk, "recording")
    talk.talk_for(0.5)
    assert kinds(talk) == ["recording", "fax_suspected", "recording"]
