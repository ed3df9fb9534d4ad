"""`recorder phone` on the wire: what the microphone takes is heard at the other phone, and the other way round."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

from recorder.cli.cli import app
from recorder.cli.phone import Stack
from recorder.config.reading import read_config
from recorder.demo.phones.kinds import PhoneKind, available
from tests.helpers.phones import Phone
from tests.helpers.recorder_home import RecorderHome, eventually, recorder_home
from tests.helpers.sound_card import SoundCard, loudest_hz, tone

RATE = 8000
SAID_HZ, HEARD_HZ = 1000, 620
CALLER = "02079460001"
PATIENCE_S = 60.0
PAIRS = [
    pytest.param(*pair, marks=pytest.mark.peer)
    for pair in ((PhoneKind.PJSUA2, PhoneKind.BUILT_IN), (PhoneKind.BUILT_IN, PhoneKind.BARESIP))
    if pair[0] in available()
]
"""The program of `recorder phone`, and the other phone: never the same code at both ends."""


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoundCard]:
    with SoundCard(tmp_path_factory.mktemp("card"), RATE) as card:
        yield card


class Command:
    """`recorder phone`, whose keys are written to its standard input."""

    def __init__(self, *words: str, env: dict[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "recorder", "phone", *words, "--json"], text=True, env={**os.environ, **(env or {})},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.said = ""

    def press(self, keys: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(keys)
        self._process.stdin.flush()

    def read_until(self, words: str) -> None:
        """Read what it says until it has said some words."""
        stream: IO[str] | None = self._process.stderr
        assert stream is not None
        while words not in self.said:
            line = stream.readline()
            assert line, self.said
            self.said += line

    def end(self, code: int = 0) -> dict[str, object]:
        """Wait for its end; return what it printed."""
        out, err = self._process.communicate(timeout=PATIENCE_S)
        self.said += err
        assert self._process.returncode == code, self.said
        found: dict[str, object] = json.loads(out)
        return found

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture(autouse=True)
def built_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the built-in phone in this process: pjsua2 aborts one that frees its objects on another thread."""
    monkeypatch.setattr("recorder.cli.phone._preferred", lambda: Stack.BUILT_IN)


def heard_hz(samples: np.ndarray) -> float:
    """Return the frequency of the loudest quarter of a second."""
    pieces = [samples[at : at + 2000] for at in range(0, len(samples) - 2000, 1000)]
    return loudest_hz(max(pieces, key=lambda one: float(np.square(one.astype(float)).sum())), RATE)


@pytest.mark.parametrize(("stack", "other"), PAIRS)
def test_both_hear_each_other_and_the_keys_arrive(
    card: SoundCard, stack: PhoneKind, other: PhoneKind, tmp_path: Path
) -> None:
    with Phone("2001", kind=other) as far:
        call_and_listen(card, far, stack, tmp_path)


def call_and_listen(card: SoundCard, far: Phone, stack: PhoneKind, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "far.wav", tone(HEARD_HZ, 20, rate=RATE), RATE, subtype="PCM_16")
    far.record(tmp_path / "arrived.wav")
    far.auto_answer(0.2, play=tmp_path / "far.wav")
    near = Command(f"2001@127.0.0.1:{far.port}", "--stack", str(stack), "--pause-keys", "*7", env=card.env)
    try:
        since = card.now()  # after the start, which takes as long as the card
        with card.spoken(tone(SAID_HZ, 30)):
            near.read_until("connected")
            near.press("p4")
            digits = "".join(far.wait_for("digit").text for _ in range(3))
            deadline = time.monotonic() + PATIENCE_S
            while np.count_nonzero(card.heard(since)[:, 0]) < 1.5 * RATE:
                assert time.monotonic() < deadline, near.said
                time.sleep(0.05)
            near.read_until("levels: sent -")
            near.press("h")
            done = near.end()
        far.wait_for("disconnected")
    finally:
        near.close()
    assert digits == "*74"
    assert abs(heard_hz(card.heard(since)[:, 0]) - HEARD_HZ) < 15
    arrived, _ = soundfile.read(tmp_path / "arrived.wav", dtype="int16")
    assert abs(heard_hz(arrived) - SAID_HZ) < 15
    assert (done["is_answered"], done["is_outgoing"], done["reason"]) == (True, True, "")
    assert "pause: sent *7" in near.said


def test_a_call_without_a_sound_device(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "far.wav", tone(HEARD_HZ, 20, rate=RATE), RATE, subtype="PCM_16")
    heard = tmp_path / "heard.wav"
    near = Command(
        "--listen", "127.0.0.1:0", "--answer-after", "0", "--tone", str(SAID_HZ), "--record-to", str(heard),
        "--talk-for", "1", "--stack", "built-in",
    )  # fmt: skip
    try:
        with Phone("02079460000", kind=PhoneKind.BUILT_IN) as far:
            near.read_until("listening at sip:phone@127.0.0.1:")
            port = near.said.partition("127.0.0.1:")[2].partition(";")[0]
            words = ["--listen", f"127.0.0.1:{port}", "--tone", "440", "--record-to", str(tmp_path / "none.wav")]
            taken = CliRunner().invoke(app, ["phone", *words])
            assert not (tmp_path / "none.wav").exists()
            assert (taken.exit_code, f"127.0.0.1:{port} cannot be used: Address already in use" in plain(taken)) == (
                1,
                True,
            )
            far.record(tmp_path / "arrived.wav")
            far.call(f"sip:phone@127.0.0.1:{port}", play=tmp_path / "far.wav")
            far.wait_for("disconnected")
            near.press("q")
            done = near.end()
    finally:
        near.close()
    assert "Nothing is heard: This machine has no loudspeaker" in " ".join(near.said.split())
    assert (done["is_answered"], done["is_outgoing"]) == (True, False)
    for file, hertz in ((heard, HEARD_HZ), (tmp_path / "arrived.wav", SAID_HZ)):
        samples, _ = soundfile.read(file, dtype="int16")
        assert len(samples) > RATE / 2
        assert abs(heard_hz(samples) - hertz) < 15, file
    assert heard.stat().st_mode & 0o777 == 0o600


def plain(result: Result) -> str:
    return " ".join(result.stderr.split())


@pytest.mark.parametrize("kind", ["refused", "silent"])
def test_a_call_that_is_not_answered(kind: str) -> None:
    with Phone("2001", kind=PhoneKind.BUILT_IN) as far:
        if kind == "silent":
            far.auto_answer(60)
        rings_s = {"refused": "30", "silent": "1"}[kind]
        words = [f"2001@127.0.0.1:{far.port}", "--tone", "440", "--ring-for", rings_s, "--json", "--stack", "built-in"]
        done = CliRunner().invoke(app, ["phone", *words])
    says = {"refused": "refused the call: 486", "silent": "did not answer within 1 s"}[kind]
    assert (done.exit_code, says in plain(done)) == (1, True), plain(done)
    document = json.loads(done.stdout)
    assert (document["is_answered"], says in document["reason"]) == (False, True)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("2001",), "2001 is not an address that can be called: give NUMBER@HOST"),
        (("2001@127.0.0.1:99999", "--tone", "440"), "is not an address that can be called"),
        (("2001@recorder.invalid", "--tone", "440"), "the host recorder.invalid is unknown"),
        (("2001@127.0.0.1", "--listen", "here:x"), "here:x is not an address to listen at"),
        (("2001@127.0.0.1",), "no microphone. Plug one in"),
        (("2001@127.0.0.1",), "give --tone HZ or --play FILE"),
        (("2001@127.0.0.1", "--tone", "440", "--speaker", "headset"), "no loudspeaker"),
        (("2001@127.0.0.1", "--play", "missing.wav"), "missing.wav is no WAV, FLAC or Ogg file"),
        (("2001@127.0.0.1", "--tone", "440", "--record-to", "kept.wav"), "kept.wav exists already"),
    ],
)
def test_what_cannot_be_done_is_said(
    words: tuple[str, ...], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kept.wav").write_bytes(b"kept")
    done = CliRunner().invoke(app, ["phone", *words])
    assert (done.exit_code, done.stdout, says in plain(done)) == (1, "", True), plain(done)
    assert (tmp_path / "kept.wav").read_bytes() == b"kept"
    assert [one.name for one in tmp_path.iterdir()] == ["kept.wav"]


def test_devices_are_listed(card: SoundCard, monkeypatch: pytest.MonkeyPatch) -> None:
    card.use(monkeypatch)
    done = CliRunner().invoke(app, ["phone", "--devices", "--json"])
    default = {"name": "default", "microphone": True, "loudspeaker": True, "is_default": True}
    assert default in json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.long
def test_an_officer_pauses_and_resumes(tmp_path: Path) -> None:
    """The configured keys, through a recorder, as an officer presses them."""
    with recorder_home(tmp_path, is_started=False, next_hop="127.0.0.1:5099") as home:
        words = ("--listen", "127.0.0.1:0", "--answer-after", "0", "--tone", str(SAID_HZ), "--user", "2001")
        officer = Command(*words, "--stack", "built-in", "-C", str(home.root))
        try:
            officer.read_until("listening at sip:2001@127.0.0.1:")
            home.edit("127.0.0.1:5099", officer.said.partition("sip:2001@")[2].partition(";")[0])
            home.start()
            with Phone(CALLER, kind=PhoneKind.BUILT_IN) as caller:
                caller.call("sip:2001@{}:{}".format(*home.sip))
                officer.read_until("connected")
                eventually(lambda: [one["state"] for one in home.calls()] == ["recording"], "it is recorded")
                officer.press("p")
                eventually(lambda: [one["state"] for one in home.calls()] == ["paused"], "it is paused")
                officer.press("r")
                eventually(lambda: [one["state"] for one in home.calls()] == ["recording"], "it goes on")
                officer.press("q")
                caller.wait_for("disconnected")
            officer.end()
        finally:
            officer.close()
    pause_keys, resume_keys = home_keys(home)
    assert f"pause: sent {pause_keys}" in officer.said
    assert f"resume: sent {resume_keys}" in officer.said


def home_keys(home: RecorderHome) -> tuple[str, str]:
    settings = read_config(home.config).pause
    return settings.pause_keys, settings.resume_keys
