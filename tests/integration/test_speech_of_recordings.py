"""What blocks of real voices and other sounds come to: speech of each side, in each codec, with packets missing."""

from collections.abc import Iterator

import numpy as np
import pytest
import soxr

from audio._relay import survey
from audio.analysis import ChannelTotals, RecordingAnalysis, is_one_way, is_silent, speech_seconds
from audio.block_analysis import BlockAnalyser
from audio.blocks import AudioRun
from audio.codecs import encode
from audio.speech import Samples, SpeechDetector
from audio.types import Channel, Codec
from benchmarks.speech_sounds import conversation, hum, music, synthetic_speech
from benchmarks.tone_channel import RATE, Signal
from tests.reference.blocks import encode_block

SECONDS = 30


@pytest.fixture(scope="module")
def voice() -> Signal:
    """A side on which somebody speaks, with pauses."""
    return conversation(synthetic_speech(3), np.random.default_rng(2), seconds=SECONDS)[0]


@pytest.fixture
def analyser() -> Iterator[BlockAnalyser]:
    analyser = BlockAnalyser()
    yield analyser
    assert not analyser._window.any(), "nothing of a window is left"


def coded(signal: Signal, codec: Codec) -> bytes:
    if codec is Codec.G722:
        signal = soxr.resample(signal, RATE, 16_000)
    return encode(codec, np.clip(np.rint(signal), -32_768, 32_767).astype(np.int16))


def heard(
    analyser: BlockAnalyser, left: Signal, right: Signal, codec: Codec = Codec.PCMA, *, loses: int = 0
) -> tuple[ChannelTotals, ChannelTotals]:
    """Return what a recording of two sides comes to, written every second; every ``loses``-th packet is missing."""
    analysis, sides, length = RecordingAnalysis(), [coded(left, codec), coded(right, codec)], 160 if loses else RATE
    for start in range(0, SECONDS * RATE, RATE):
        runs = [
            AudioRun(channel=side, codec=codec, start=at, payload=sides[side][at : at + length])
            for side in Channel
            for at in range(start, start + RATE, length)
            if not loses or at // 160 % loses
        ]
        block = encode_block(runs)
        analyser.take(analysis, memoryview(block), survey(block))
    return analysis.totals()


SILENCE: Signal = np.zeros(SECONDS * RATE)


@pytest.mark.parametrize(
    ("codec", "loses"),
    [(Codec.PCMA, 0), (Codec.PCMU, 0), (Codec.G722, 0), (Codec.PCMA, 10)],
    ids=["a-law", "mu-law", "g722", "a packet of ten missing"],
)
def test_a_voice_is_found_in_each_codec(analyser: BlockAnalyser, voice: Signal, codec: Codec, loses: int) -> None:
    left, right = heard(analyser, voice, SILENCE, codec, loses=loses)
    by_peaks_s = speech_seconds(left.peaks)  # without noise they tell it well
    assert 0.75 * by_peaks_s <= left.speech_s <= 1.2 * by_peaks_s
    assert (right.speech_s, is_one_way(left, right), is_silent(left, right)) == (0.0, True, False)


@pytest.mark.parametrize(
    ("sound", "codec"), [("hum", Codec.PCMA), ("hum", Codec.G722), ("music", Codec.PCMA)], ids=["hum", "g722", "music"]
)
def test_a_side_with_hum_or_music_only_is_one_on_which_nobody_speaks(
    analyser: BlockAnalyser, voice: Signal, sound: str, codec: Codec
) -> None:
    length = SECONDS * RATE
    other = {"hum": lambda: hum(length, 50), "music": lambda: music(length, np.random.default_rng(4), is_broken=False)}
    left, right = heard(analyser, 2000 * other[sound](), voice, codec)
    assert is_one_way(left, right), (left.speech_s, right.speech_s)
    assert speech_seconds(left.peaks) >= 1.0, "by peaks alone both sides would be heard"
    assert is_silent(left, left)


def test_two_voices_are_two_speakers(analyser: BlockAnalyser, voice: Signal) -> None:
    left, right = heard(analyser, voice, voice[::-1].copy())
    assert not is_one_way(left, right)
    assert not is_silent(left, right)


def test_clipping_is_counted_in_each_codec(analyser: BlockAnalyser) -> None:
    loud = 60_000 * np.sin(np.arange(SECONDS * RATE) * 2 * np.pi * 400 / RATE)
    for codec in (Codec.PCMA, Codec.PCMU, Codec.G722):
        left, right = heard(analyser, loud, loud / 4, codec)
        assert 0.4 < left.clipped < 0.8, codec
        assert right.clipped == 0.0, codec


def test_speech_is_left_to_peaks_where_no_window_could_be_judged(voice: Signal) -> None:
    left, _ = heard(BlockAnalyser(judges_speech=False), voice, SILENCE)
    assert left.speech_s == speech_seconds(left.peaks)


def test_a_window_of_a_bug_is_wiped_too(
    analyser: BlockAnalyser, voice: Signal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_self: SpeechDetector, window: Samples) -> tuple[bool, ...]:
        assert window.any()
        raise RuntimeError("a bug")

    monkeypatch.setattr(SpeechDetector, "slots", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        heard(analyser, voice, SILENCE)
