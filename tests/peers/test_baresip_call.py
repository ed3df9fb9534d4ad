"""A soft phone that nobody here wrote calls in, hears the notice, and talks; its tone is found in its channel."""

import math
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from audio.codecs import ALAW_TO_LINEAR, encode
from audio.types import Codec
from benchmarks.ports import free_port
from tests.helpers.exchange import Exchange, exchange
from tests.helpers.recorder_home import HANGS_S, NOTICE_HZ, NOTICE_S, eventually, tone_file
from tests.helpers.sip_peer import State

BARESIP = shutil.which("baresip")
MODULES = Path("/usr/lib/baresip/modules")
PHONE_HZ, OFFICER_HZ = 440, 1100
TALK_S = 3.0
pytestmark = pytest.mark.peer

CONFIG = """
module_path {modules}
module g711.so
module aufile.so
module sndfile.so
module srtp.so
module_app account.so
module_app menu.so
sip_listen 0.0.0.0:{sip}
audio_source aufile,{said}
audio_player aufile,{folder}/played.wav
audio_alert aufile,{folder}/alert.wav
snd_path {folder}
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
"""
"""sndfile writes what the phone hears. aufile does so in baresip 1.1 (Debian 13), and not in 1.0 (Debian 12)."""
NUMBER = "0163296077"
MIRROR = ('srtp = "off" ', 'srtp = "optional" ')


@contextmanager
def running(folder: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A baresip with the accounts and the configuration of a folder; it is ended whatever happens."""
    assert BARESIP is not None, "`make setup` installs baresip"
    command = ["prlimit", "--core=0", BARESIP, "-f", str(folder), *words]
    with (folder / "baresip.log").open("wb") as log:
        phone = subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=log, stderr=log)
    try:
        yield phone
    finally:
        phone.terminate()
        try:
            phone.wait(HANGS_S)
        except subprocess.TimeoutExpired:
            phone.kill()
            phone.wait(HANGS_S)
        assert phone.stdin is not None
        phone.stdin.close()


@contextmanager
def baresip(folder: Path, number: str, target: str, *, account: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """A phone that dials at once and says a sine; `heard_by` reads what it hears."""
    sip = free_port()
    said = tone_file(folder / "said.wav", PHONE_HZ, 30)
    (folder / "accounts").write_text(f"<sip:{number}@127.0.0.1:{sip}>;regint=0;audio_codecs=PCMA{account}\n")
    (folder / "config").write_text(CONFIG.format(modules=MODULES, sip=sip, said=said, folder=folder).lstrip())
    with running(folder, "-e", f"/dial {target}") as phone:
        yield phone


def heard_by(folder: Path) -> NDArray[np.float64]:
    """Return what the phone with this folder decoded, at 8 kHz, up to now."""
    (path,) = folder.glob("dump-*-dec.wav")
    heard, rate = soundfile.read(path, dtype="int16")
    assert rate == 8000
    return np.asarray(heard, dtype=np.float64)


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """The officer is offered SRTP when the caller has it."""
    with exchange(tmp_path_factory.mktemp("baresip"), edits=(MIRROR,)) as made:
        yield made


def sine(hz: float, seconds: float) -> bytes:
    ticks = np.arange(int(8000 * seconds))
    return encode(Codec.PCMA, (8000 * np.sin(2 * math.pi * hz * ticks / 8000)).astype(np.int16))


def pass_time(seconds: float) -> None:
    """Let phones that have a clock of their own talk for so long."""
    until_s = time.monotonic() + seconds
    eventually(lambda: time.monotonic() > until_s, "time passes")


def seconds_of(samples: NDArray[np.float64], hz: float) -> float:
    """Return how many seconds of a signal at 8 kHz are this tone, in windows of 50 ms."""
    found = 0
    for start in range(0, len(samples) - 400, 400):
        power = np.abs(np.fft.rfft(samples[start : start + 400] * np.hanning(400))) ** 2
        near = slice(round(hz / 20) - 3, round(hz / 20) + 4)
        found += bool(power.sum() > 1e8 and power[near].sum() > 0.8 * power.sum())
    return found * 0.05


@pytest.mark.parametrize("encryption", ["", ";mediaenc=srtp-mand"])
def test_baresip_hears_the_notice_and_is_recorded_in_its_channel(
    lines: Exchange, tmp_path: Path, encryption: str
) -> None:
    talk = lines.expect(NUMBER + str(len(encryption)), srtp=(False, bool(encryption)))
    talk.right.stream = sine(OFFICER_HZ, 20)
    with baresip(tmp_path, talk.number, "sip:2001@{}:{}".format(*lines.home.sip), account=encryption) as phone:
        second = talk.wait_second()
        second.wait_for(lambda call: call.state is State.CONFIRMED, HANGS_S)
        talk.right.listen_under(second.remote_body)
        talk.right.talk(second.remote_media)
        recording = talk.wait_phase("joined")["id"]
        joined_s = time.monotonic()
        eventually(
            lambda: time.monotonic() - joined_s > TALK_S and len(talk.right.heard) > 100,
            "they talk",
        )
        phone.terminate()
        phone.wait(HANGS_S)
    second.wait_ended()
    talk.right.hush()
    row = lines.home.row_of(talk.number)
    assert (row["id"], row["outcome"], row["reason"]) == (recording, "recorded", "caller_hung_up")
    assert row["notice"]["complete"] is True

    left, right, _ = lines.home.copy(recording)
    caller, officer = (ALAW_TO_LINEAR[np.frombuffer(channel, np.uint8)].astype(float) for channel in (left, right))
    assert seconds_of(caller, PHONE_HZ) > TALK_S - 0.5
    assert seconds_of(caller, OFFICER_HZ) == 0
    assert seconds_of(officer, OFFICER_HZ) > TALK_S - 0.5
    assert seconds_of(officer, PHONE_HZ) == 0

    heard = heard_by(tmp_path)
    assert seconds_of(heard, NOTICE_HZ) >= NOTICE_S - 0.15
    assert seconds_of(heard, OFFICER_HZ) > TALK_S - 1
