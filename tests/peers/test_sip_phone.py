"""The phones of demo and tests: each calls each, hears the other's tone and nothing else, and does as it is told."""

import math
import os
import shutil
import signal
import struct
import threading
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from recorder.demo.phones.kinds import PhoneKind, available, choose
from recorder.demo.phones.messages import PhoneError
from tests.helpers.phones import PAIRS, PHONES, Phone
from tests.helpers.recorder_home import eventually
from tests.helpers.sip_peer import Answer, Officer

pytestmark = [pytest.mark.peer, pytest.mark.slow]
RATE = 8000
STALL_S = 0.7

each_phone = pytest.mark.parametrize("kind", PHONES)
each_pair = pytest.mark.parametrize(("called", "calling"), PAIRS)


def tone(path: Path, hertz: int, seconds: float) -> Path:
    samples = [int(9000 * math.sin(2 * math.pi * hertz * at / RATE)) for at in range(int(RATE * seconds))]
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return path


def audio_of(path: Path) -> NDArray[np.float64]:
    """Return the samples of a WAV, also while it is being written, when its header does not know their number yet."""
    head, _, data = path.read_bytes().partition(b"data")
    assert struct.unpack_from("<HHI", head, 20) == (1, 1, RATE), "PCM, one channel"
    return np.frombuffer(data[4 : len(data) // 2 * 2], dtype="<i2").astype(np.float64)


def heard(path: Path) -> tuple[float, float]:
    """Return the strongest frequency and the share of the energy within 20 Hz of it."""
    audio = audio_of(path)
    power = np.abs(np.fft.rfft(audio)) ** 2
    hertz = np.fft.rfftfreq(len(audio), 1 / RATE)
    top = float(hertz[np.argmax(power)])
    return top, float(power[np.abs(hertz - top) < 20].sum() / power.sum())


def seconds_of(path: Path, hertz: float) -> float:
    """Return for how long a tone is heard, in steps of 0.1 s; 0 where nothing was written yet."""
    if not path.exists() or path.stat().st_size < 100:
        return 0.0
    size = RATE // 10
    audio = audio_of(path)
    blocks = audio[: len(audio) // size * size].reshape(-1, size)
    power = np.abs(np.fft.rfft(blocks * np.hanning(size), axis=1)) ** 2
    near = slice(round(hertz / 10) - 2, round(hertz / 10) + 3)
    is_loud = power.sum(axis=1) > 1e9
    return 0.1 * float(np.sum(is_loud & (power[:, near].sum(axis=1) > 0.8 * power.sum(axis=1))))


def uri(phone: Phone) -> str:
    return f"sip:2001@127.0.0.1:{phone.port}"


@contextmanager
def stalled(phone: Phone, seconds: float) -> Iterator[None]:
    """The phone's process gets no CPU for so long, as on a busy machine."""
    pid = phone.pid
    os.kill(pid, signal.SIGSTOP)
    timer = threading.Timer(seconds, os.kill, (pid, signal.SIGCONT))
    timer.start()
    try:
        yield
    finally:
        timer.join()


@each_pair
def test_two_phones_talk(tmp_path: Path, called: PhoneKind, calling: PhoneKind) -> None:
    low, high = tone(tmp_path / "low.wav", 440, 2.0), tone(tmp_path / "high.wav", 1000, 2.0)
    with Phone("2001", kind=called) as officer, Phone("caller", kind=calling) as caller:
        officer.auto_answer(0.2, play=high)
        officer.record(tmp_path / "officer.wav")
        caller.record(tmp_path / "caller.wav")
        caller.call(uri(officer), play=low)
        assert officer.wait_for("incoming").text.startswith("sip:caller@")
        assert caller.wait_for("early").code == 180
        assert caller.wait_for("confirmed").code == 200
        officer.wait_for("confirmed")
        caller.send_dtmf("1#")
        assert [officer.wait_for("digit").text, officer.wait_for("digit").text] == ["1", "#"]
        caller.wait_for("played")
        caller.hang_up()
        assert officer.wait_for("disconnected").code == 200
        assert caller.wait_for("disconnected").code == 200
        # Complete as soon as the call is over, not only when the phones are gone.
        for name, hertz in (("officer", 440), ("caller", 1000)):
            top, share = heard(tmp_path / f"{name}.wav")
            assert abs(top - hertz) < 2
            assert share > 0.9
        assert [event.name for event in officer.events if event.name not in {"played", "digit"}] == [
            *("started", "incoming", "early", "confirmed", "disconnected"),
        ]
        assert [event.name for event in caller.events] == [
            *("started", "calling", "early", "confirmed", "played", "disconnected"),
        ]


@each_pair
def test_keys_in_sdp(tmp_path: Path, called: PhoneKind, calling: PhoneKind) -> None:
    with Phone("2001", kind=called, srtp=True) as officer, Phone("caller", kind=calling, srtp=True) as caller:
        officer.auto_answer(0, play=tone(tmp_path / "high.wav", 1000, 10))
        caller.record(tmp_path / "heard.wav")
        caller.call(uri(officer))
        caller.wait_for("confirmed")
        with pytest.raises(PhoneError, match="no disconnected within"):
            caller.wait_for("disconnected", timeout_s=1.5)
        eventually(lambda: seconds_of(tmp_path / "heard.wav", 1000) >= 0.5, "the tone is heard")
        caller.hang_up()
        caller.wait_for("disconnected")


@each_pair
def test_hold_and_what_is_played_and_recorded_in_a_call(tmp_path: Path, called: PhoneKind, calling: PhoneKind) -> None:
    """A WAV takes the place of another; a recording begun in a call has what came from then on, across a hold."""
    first, second, third = (tone(tmp_path / f"{hz}.wav", hz, 10) for hz in (500, 900, 1300))
    with Phone("2001", kind=called) as officer, Phone("caller", kind=calling) as caller:
        officer.auto_answer(0, play=first)
        caller.record(tmp_path / "before.wav")
        caller.call(uri(officer))
        caller.wait_for("confirmed")
        officer.wait_for("confirmed")
        eventually(lambda: seconds_of(tmp_path / "before.wav", 500) >= 0.5, "the first WAV is heard")
        officer.play(second)
        eventually(lambda: seconds_of(tmp_path / "before.wav", 900) >= 0.5, "the second WAV is heard")
        caller.record(tmp_path / "heard.wav")
        eventually(lambda: seconds_of(tmp_path / "heard.wav", 900) >= 0.8, "the second WAV is recorded")
        caller.hold()
        time.sleep(0.5)
        caller.hold(is_held=False)
        officer.play(third)
        eventually(lambda: seconds_of(tmp_path / "heard.wav", 1300) >= 0.8, "the third WAV is recorded")
        officer.hang_up()
        assert caller.wait_for("disconnected").code == 200
        officer.wait_for("disconnected")
    assert seconds_of(tmp_path / "heard.wav", 500) == 0
    assert seconds_of(tmp_path / "heard.wav", 900) >= 0.8
    assert seconds_of(tmp_path / "heard.wav", 1300) >= 0.8


@each_pair
def test_refusal(called: PhoneKind, calling: PhoneKind) -> None:
    with Phone("2001", kind=called) as officer, Phone("caller", kind=calling) as caller:
        officer.auto_answer(0)
        officer.reject()
        for _ in range(2):  # a refused call leaves nothing behind
            caller.call(uri(officer))
            assert caller.wait_for("disconnected").code == 486
            refused = officer.wait_for("refused")
            assert refused.code == 486
            assert refused.text.startswith("sip:caller@")
        officer.auto_answer(0)
        caller.call(uri(officer))
        caller.wait_for("confirmed")
        assert {event.name for event in officer.events} == {"started", "refused"}


@each_pair
def test_a_caller_who_gives_up(called: PhoneKind, calling: PhoneKind) -> None:
    with Phone("2001", kind=called) as officer, Phone("caller", kind=calling) as caller:
        officer.auto_answer(30)
        caller.call(uri(officer))
        caller.wait_for("early")
        caller.hang_up()
        assert caller.wait_for("disconnected").code == 487
        assert officer.wait_for("disconnected").code == 487


@each_phone
def test_a_call_that_cannot_be_delivered(kind: PhoneKind) -> None:
    with Officer(answer=lambda _: Answer(status=503)) as peer, Phone("caller", kind=kind) as caller:
        caller.call("sip:2001@{}:{}".format(*peer.address))
        assert caller.wait_for("disconnected").code == 503
        assert len(peer.incoming()) == 1


@pytest.mark.long
@each_phone
def test_nobody_is_there(kind: PhoneKind) -> None:
    """Neither phone takes notice of an ICMP error: it gives up after 32 s, which is SIP's timer B."""
    with Phone("caller", kind=kind) as caller:
        caller.call("sip:2001@127.0.0.1:9")
        assert caller.wait_for("disconnected", timeout_s=40).code in {408, 503}


@each_phone
def test_what_a_phone_refuses(tmp_path: Path, kind: PhoneKind) -> None:
    with Phone("2001", kind=kind) as officer, Phone("caller", kind=kind) as caller:
        with pytest.raises(PhoneError, match="not a SIP URI"):
            caller.call("nonsense")
        with pytest.raises(PhoneError, match="there is no answered call"):
            caller.send_dtmf("1")
        with pytest.raises(PhoneError, match="there is no answered call"):
            caller.hold()
        with pytest.raises(PhoneError, match="there is no call"):
            caller.play(tone(tmp_path / "tone.wav", 440, 0.5))
        with pytest.raises(PhoneError, match="not digits"):
            caller.send_dtmf("1 2")
        with pytest.raises(PhoneError, match="no such WAV"):
            caller.call(uri(officer), play=tmp_path / "absent.wav")
        (tmp_path / "text.wav").write_text("no sound")
        with pytest.raises(PhoneError, match="not a WAV"):
            caller.call(uri(officer), play=tmp_path / "text.wav")
        with pytest.raises(PhoneError, match="no such folder"):
            caller.record(tmp_path / "absent" / "heard.wav")
        caller.hang_up()
        officer.auto_answer(30)
        caller.call(uri(officer))
        caller.wait_for("early")
        with pytest.raises(PhoneError, match="there is a call already"):
            caller.call(uri(officer))
        with pytest.raises(PhoneError, match="no confirmed within"):
            caller.wait_for("confirmed", timeout_s=0.1)
    with pytest.raises(PhoneError, match="not started"):
        caller.hang_up()


@each_phone
def test_a_command_that_has_returned_has_been_carried_out(kind: PhoneKind) -> None:
    """A process that waits for the CPU must not meet a call before it knows how to answer it."""
    with Phone("2001", kind=kind) as officer, Phone("caller", kind=kind) as caller:
        began_s = time.monotonic()
        with stalled(officer, STALL_S):
            officer.auto_answer(0.1)
            assert time.monotonic() - began_s > 0.8 * STALL_S
        caller.call(uri(officer))
        officer.wait_for("incoming")
        caller.wait_for("confirmed")


@each_phone
def test_a_call_that_comes_while_the_phone_gets_no_cpu_is_answered(kind: PhoneKind) -> None:
    """The INVITE is there before the process runs again: it is answered as was said before it was sent."""
    with Phone("2001", kind=kind) as officer, Phone("caller", kind=kind) as caller:
        officer.reject()
        os.kill(officer.pid, signal.SIGSTOP)
        resume = threading.Timer(STALL_S, os.kill, (officer.pid, signal.SIGCONT))
        resume.start()
        officer.auto_answer(0.1)
        caller.call(uri(officer))
        resume.join()
        officer.wait_for("incoming")
        caller.wait_for("confirmed")
        assert "refused" not in [event.name for event in officer.events]


@each_phone
def test_a_phone_that_dies(kind: PhoneKind) -> None:
    with Phone("2001", kind=kind) as phone:
        os.kill(phone.pid, signal.SIGKILL)
        with pytest.raises(PhoneError, match="its process has ended"):
            phone.wait_for("incoming")
        with pytest.raises(PhoneError, match="its process has ended"):
            phone.reject()


def test_baresip_ends_with_its_phone() -> None:
    """However the phone's process ends, its baresip does not stay behind."""
    for how in (signal.SIGKILL, None):
        with Phone("2001", kind=PhoneKind.BARESIP) as phone:
            children = Path(f"/proc/{phone.pid}/task/{phone.pid}/children").read_text().split()
            names = {child: Path(f"/proc/{child}/comm").read_text().strip() for child in children}
            assert list(names.values()) == ["baresip"]
            if how is not None:
                os.kill(phone.pid, how)
        for child in names:
            eventually(lambda child=child: not is_running(child), "baresip has ended")  # type: ignore[misc]


def is_running(pid: str) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_baresip_itself_dies() -> None:
    with Phone("2001", kind=PhoneKind.BARESIP) as phone:
        child = Path(f"/proc/{phone.pid}/task/{phone.pid}/children").read_text().split()[0]
        os.kill(int(child), signal.SIGKILL)
        with pytest.raises(PhoneError, match=r"baresip has ended|its process has ended"):
            phone.wait_for("incoming")


def test_a_machine_without_phones(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "baresip").write_text("#!/bin/sh\necho broken >&2\nexit 3\n")
    (tmp_path / "baresip").chmod(0o755)
    for program in ("setpriv", "prlimit", "sh"):
        (tmp_path / program).symlink_to(shutil.which(program) or "")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PhoneError, match=r"baresip cannot start: baresip ended at its start: broken"):
        Phone("2001", kind=PhoneKind.BARESIP).start()
    (tmp_path / "baresip").unlink()
    with pytest.raises(PhoneError, match="install the Debian package baresip-core"):
        Phone("2001", kind=PhoneKind.BARESIP).start()
    if PhoneKind.PJSUA2 not in PHONES:
        assert choose() is PhoneKind.BUILT_IN
        with pytest.raises(PhoneError, match=r"on Python 3\.11 or 3\.12"):
            choose(PhoneKind.PJSUA2)


def test_which_phone_is_taken() -> None:
    assert set(available()) == {*PHONES, PhoneKind.BUILT_IN}
    assert choose() is (PhoneKind.PJSUA2 if PhoneKind.PJSUA2 in PHONES else PhoneKind.BARESIP)
    assert choose(PhoneKind.BARESIP) is PhoneKind.BARESIP
