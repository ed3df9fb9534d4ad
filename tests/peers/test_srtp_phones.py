"""Soft phones that take nothing but SRTP, none of them ours: they hear each other, and both sides are recorded."""

import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio.codecs import ALAW_TO_LINEAR
from recorder.demo.phones.kinds import PhoneKind
from tests.helpers.exchange import exchange
from tests.helpers.phones import PAIRS, PHONES, Phone
from tests.helpers.recorder_home import NOTICE_HZ, NOTICE_S, RecorderHome, eventually, recorder_home, tone_file
from tests.helpers.sip_peer import State
from tests.peers.test_baresip_call import MIRROR, OFFICER_HZ, PHONE_HZ, pass_time, seconds_of, sine

pytestmark = [pytest.mark.peer, pytest.mark.slow]
NUMBER = "01632960888"


def tones_of(home: RecorderHome, recording: str) -> list[tuple[float, float]]:
    """Return how long the caller's tone and the officer's stand in each channel."""
    channels = [ALAW_TO_LINEAR[np.frombuffer(channel, np.uint8)].astype(float) for channel in home.copy(recording)[:2]]
    return [(seconds_of(channel, PHONE_HZ), seconds_of(channel, OFFICER_HZ)) for channel in channels]


def tone_in(path: Path, hz: float) -> float:
    return seconds_of(soundfile.read(path, dtype="int16")[0].astype(float), hz)


@pytest.mark.parametrize(("called", "calling"), PAIRS)
def test_a_call_between_phones_that_insist_on_srtp(tmp_path: Path, called: PhoneKind, calling: PhoneKind) -> None:
    """libre's SRTP is baresip's, libsrtp's pjsua2's: where both are, each at either side."""
    with (
        Phone("2001", kind=called, srtp=True) as officer,
        Phone(NUMBER, kind=calling, srtp=True) as phone,
        recorder_home(tmp_path, next_hop=f"127.0.0.1:{officer.port}", edits=(MIRROR,)) as home,
    ):
        officer.auto_answer(0.1, play=tone_file(tmp_path / "officer.wav", OFFICER_HZ, 30))
        officer.record(tmp_path / "heard.officer.wav")
        phone.record(tmp_path / "heard.wav")
        phone.call("sip:2001@{}:{}".format(*home.sip), play=tone_file(tmp_path / "said.wav", PHONE_HZ, 30))
        officer.wait_for("confirmed")
        eventually(lambda: any(call["phase"] == "joined" for call in home.calls()), "they are joined")
        pass_time(3)
        phone.hang_up()
        officer.wait_for("disconnected")
        phone.wait_for("disconnected")
        row = home.row_of(NUMBER)
        assert (row["outcome"], row["reason"]) == ("recorded", "caller_hung_up")
        assert "srtp_unauthentic" not in home.health()["alarms"]
        (caller, none), (nothing, officers) = tones_of(home, row["id"])
    assert min(caller, officers) > 2
    assert none == nothing == 0
    assert tone_in(tmp_path / "heard.wav", NOTICE_HZ) >= NOTICE_S - 0.15
    assert tone_in(tmp_path / "heard.wav", OFFICER_HZ) > 1.8
    assert tone_in(tmp_path / "heard.officer.wav", PHONE_HZ) > 1.8


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.long if kind is not PHONES[0] else ()) for kind in PHONES]
)
def test_a_phone_holds_and_resumes_with_keys_in_its_offers(tmp_path: Path, kind: PhoneKind) -> None:
    with Phone(NUMBER, kind=kind, srtp=True) as phone, exchange(tmp_path / "recorder", edits=(MIRROR,)) as lines:
        talk = lines.expect(NUMBER, srtp=(False, True))
        talk.right.stream = sine(OFFICER_HZ, 20)
        phone.record(tmp_path / "heard.wav")
        phone.call("sip:2001@{}:{}".format(*lines.home.sip), play=tone_file(tmp_path / "said.wav", PHONE_HZ, 30))
        second = talk.wait_second(timeout_s=15)
        second.wait_for(lambda call: call.state is State.CONFIRMED)
        talk.right.listen_under(second.remote_body)
        talk.right.talk(second.remote_media)
        recording = talk.wait_phase("joined")["id"]
        pass_time(1.5)
        phone.hold()
        second.wait_for(lambda call: len(call.requests("INVITE")) == 2)
        pass_time(0.5)
        phone.hold(is_held=False)
        second.wait_for(lambda call: len(call.requests("INVITE")) == 3)
        talk.right.listen_under(second.remote_body)
        resumed_s = time.monotonic()
        eventually(lambda: len(talk.right.heard_audio(resumed_s)) > 125, "the officer hears the caller again")
        phone.hang_up()
        second.wait_ended()
        talk.right.hush()
        row = lines.home.row_of(NUMBER)
        assert (row["id"], row["outcome"], row["reason"]) == (recording, "recorded", "caller_hung_up")
        assert "srtp_unauthentic" not in lines.home.health()["alarms"]
        (caller, none), (nothing, called) = tones_of(lines.home, row["id"])
        assert caller > 2
        assert called > 2
        assert none == nothing == 0
    assert tone_in(tmp_path / "heard.wav", OFFICER_HZ) > 2
