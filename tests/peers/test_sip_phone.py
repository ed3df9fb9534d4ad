"""The pjsua2 phone: two of them call each other, each hears the other's tone and nothing else."""

import math
import struct
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

if sys.version_info >= (3, 13):
    pytest.skip("pjsua2 has no wheels for this Python", allow_module_level=True)
from recorder.demo.phones.phone import Phone, PhoneError

pytestmark = [pytest.mark.peer, pytest.mark.slow]
RATE = 8000


def tone(path: Path, hertz: int, seconds: float) -> Path:
    samples = [int(9000 * math.sin(2 * math.pi * hertz * at / RATE)) for at in range(int(RATE * seconds))]
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return path


def heard(path: Path) -> tuple[float, float]:
    """Return the strongest frequency and the share of the energy within 20 Hz of it."""
    with wave.open(str(path), "rb") as file:
        assert file.getframerate() == RATE
        audio: NDArray[np.float64] = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.float64)
    power = np.abs(np.fft.rfft(audio)) ** 2
    hertz = np.fft.rfftfreq(len(audio), 1 / RATE)
    top = float(hertz[np.argmax(power)])
    return top, float(power[np.abs(hertz - top) < 20].sum() / power.sum())


def test_two_phones_talk(tmp_path: Path) -> None:
    low, high = tone(tmp_path / "low.wav", 440, 2.0), tone(tmp_path / "high.wav", 1000, 2.0)
    with Phone("2001") as officer, Phone("caller") as caller:
        officer.auto_answer(0.2, play=high)
        officer.record(tmp_path / "officer.wav")
        caller.record(tmp_path / "caller.wav")
        caller.call(f"sip:2001@127.0.0.1:{officer.port}", play=low)
        assert officer.wait_for("incoming").text.startswith("<sip:caller@")
        caller.wait_for("confirmed")
        caller.send_dtmf("1#")
        assert [officer.wait_for("digit").text, officer.wait_for("digit").text] == ["1", "#"]
        caller.wait_for("played")
        caller.hang_up()
        assert officer.wait_for("disconnected").code == 200
        caller.wait_for("disconnected")
    for name, hertz in (("officer", 440), ("caller", 1000)):
        top, share = heard(tmp_path / f"{name}.wav")
        assert abs(top - hertz) < 2
        assert share > 0.9


def test_refusal_and_unknown_file(tmp_path: Path) -> None:
    with Phone("2001") as officer, Phone("caller") as caller:
        officer.reject_with(486)
        caller.call(f"sip:2001@127.0.0.1:{officer.port}")
        assert caller.wait_for("disconnected").code == 486
        with pytest.raises(PhoneError, match="no confirmed within"):
            caller.wait_for("confirmed", timeout_s=0.1)
        with pytest.raises(PhoneError, match="no such WAV"):
            caller.play(tmp_path / "absent.wav")
    with pytest.raises(PhoneError, match="not started"):
        caller.hang_up()
