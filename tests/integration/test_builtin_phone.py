"""The built-in phone, which the self-test uses: it talks to itself and to baresip, and does as it is told."""

import wave
from pathlib import Path

import numpy as np
import pytest

from recorder.demo.phones.kinds import PhoneKind, available, choose
from recorder.demo.phones.messages import RATE, PhoneError
from tests.helpers.phones import Phone

BUILT_IN = PhoneKind.BUILT_IN


def tone(path: Path, hertz: int, seconds: float) -> Path:
    ticks = np.arange(round(RATE * seconds))
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes((9000 * np.sin(2 * np.pi * hertz * ticks / RATE)).astype("<i2").tobytes())
    return path


def strongest(path: Path) -> float:
    with wave.open(str(path), "rb") as file:
        audio = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(float)
    return float(np.fft.rfftfreq(len(audio), 1 / RATE)[np.argmax(np.abs(np.fft.rfft(audio)))])


WITH_BARESIP = [
    pytest.param(*pair, marks=[pytest.mark.peer, pytest.mark.slow, pytest.mark.long])
    for pair in ((PhoneKind.BARESIP, BUILT_IN), (BUILT_IN, PhoneKind.BARESIP))
]


@pytest.mark.parametrize(("called", "calling"), [(BUILT_IN, BUILT_IN), *WITH_BARESIP])
def test_two_phones_hear_each_other_and_each_others_keys(tmp_path: Path, called: PhoneKind, calling: PhoneKind) -> None:
    # A WAV that lasts through keys and hold, though a program waits for a CPU meanwhile.
    seconds = 1.0 if called is calling is BUILT_IN else 6.0
    low, high = tone(tmp_path / "low.wav", 440, seconds), tone(tmp_path / "high.wav", 1000, seconds)
    with Phone("2001", kind=called) as officer, Phone("caller", kind=calling) as caller:
        officer.auto_answer(0.05, play=high)
        officer.record(tmp_path / "officer.wav")
        caller.record(tmp_path / "caller.wav")
        caller.call(f"sip:2001@127.0.0.1:{officer.port}", play=low)
        assert officer.wait_for("incoming").text.startswith("sip:caller@")
        assert caller.wait_for("early").code == 180
        assert caller.wait_for("confirmed").code == 200
        officer.wait_for("confirmed")
        caller.send_dtmf("1#")
        assert [officer.wait_for("digit").text, officer.wait_for("digit").text] == ["1", "#"]
        if calling is BUILT_IN:
            first, second = [one for one in caller.events if one.name == "pressed"] or (
                caller.wait_for("pressed"),
                caller.wait_for("pressed"),
            )
            assert (first.text, second.text) == ("1", "#")
            assert abs(second.code - first.code - 10 * 160) < 800, "it says where in the WAV a key was released"
            caller.hold()
            caller.hold(is_held=False)
        caller.wait_for("played")
        caller.hang_up()
        assert officer.wait_for("disconnected").code == 200
        assert caller.wait_for("disconnected").code == 200
    assert abs(strongest(tmp_path / "officer.wav") - 440) < 3
    assert abs(strongest(tmp_path / "caller.wav") - 1000) < 3


def test_refused_given_up_and_refused_commands() -> None:
    with Phone("2001", kind=BUILT_IN) as officer, Phone("caller", kind=BUILT_IN) as caller:
        uri = f"sip:2001@127.0.0.1:{officer.port}"
        caller.call(uri)
        assert officer.wait_for("refused").code == 486
        assert caller.wait_for("disconnected").code == 486
        officer.auto_answer(30.0)
        caller.call(uri)
        caller.wait_for("early")
        with pytest.raises(PhoneError, match="there is no answered call"):
            caller.send_dtmf("1")
        with pytest.raises(PhoneError, match="there is a call already"):
            caller.call(uri)
        caller.hang_up()
        assert caller.wait_for("disconnected").code == 487
        assert officer.wait_for("disconnected").code == 487
    with pytest.raises(PhoneError, match="no encryption"):
        Phone("2001", kind=BUILT_IN, srtp=True).start()


def test_it_is_always_there_and_taken_last() -> None:
    assert available()[-1] is BUILT_IN
    assert choose(BUILT_IN) is BUILT_IN
