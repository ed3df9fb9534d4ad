"""Is speech found where somebody speaks and nowhere else, better than by a threshold of peaks, and what does that cost?

Metric: F1 of slots of 0.1 s, with precision and recall, of the decision by webrtcvad (`audio.speech`) and of the
threshold of peaks that was used before, on speech in white, pink and babble noise at 20, 10 and 5 dB and on sounds that
are no speech; the share of slots of each sound that is taken for speech; sides that the sampled decision takes for
speakers, and by how much their seconds of speech are wrong; people who speak once and are found; CPU us for a
call-second that judging adds to the writer, the median of alternating rounds. Recorded speech and music are taken where
the packages of `benchmarks.speech_sounds` were extracted (``apt-get download NAME``, ``dpkg -x NAME_*.deb DIR/NAME``).
Some voices of espeak-ng are not the same to the sample each time: the last digit of a figure may differ.
Command: ``python -m benchmarks.speech [--corpus DIR] [--seconds 60] [--rounds 5] [--json]``.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audio._relay import survey
from audio.analysis import MIN_SPEECH_S, SLOT_TICKS, RecordingAnalysis, speech_slots
from audio.block_analysis import BlockAnalyser
from audio.blocks import HEADER, KIND_AUDIO
from audio.codecs import encode
from audio.speech import SLOTS_PER_S, WINDOW_SAMPLES, WINDOW_SLOTS, SpeechDetector, loud_slots
from audio.types import TICKS_PER_S, Channel, Codec
from benchmarks.machine import measured_here
from benchmarks.speech_sounds import (
    TONES,
    VOICES,
    Labels,
    Side,
    babble,
    brief,
    conversation,
    in_noise,
    pink,
    recorded,
    sounds,
    synthetic_speech,
    white,
)
from benchmarks.tone_channel import Samples
from benchmarks.tone_corpus import Kind
from benchmarks.tone_speech import Clip, SpeechError

SNRS_DB = (20, 10, 5)
SEED = 20
_MOST_TONES = 0.01
_SIDES = 3


@dataclass(slots=True)
class Score:
    """Slots that were found, found wrongly, and missed."""

    found: int = 0
    wrong: int = 0
    missed: int = 0

    def add(self, decided: Labels, labels: Labels) -> None:
        """Count a side."""
        self.found += int((decided & labels).sum())
        self.wrong += int((decided & ~labels).sum())
        self.missed += int((~decided & labels).sum())

    @property
    def f1(self) -> float:
        """Return the harmonic mean of precision and recall."""
        return 2 * self.found / max(2 * self.found + self.wrong + self.missed, 1)

    def figures(self) -> dict[str, float]:
        """Return what the document says."""
        return {
            "f1": round(self.f1, 4),
            "precision": round(self.found / max(self.found + self.wrong, 1), 4),
            "recall": round(self.found / max(self.found + self.missed, 1), 4),
        }


def peaks_of(samples: Samples) -> bytes:
    """Return the peak of each slot, as the core has it."""
    slots = np.abs(samples[: len(samples) // SLOT_TICKS * SLOT_TICKS].astype(np.int32)).reshape(-1, SLOT_TICKS)
    return bytes(np.minimum(slots.max(axis=1) >> 7, 255).astype(np.uint8).tobytes())


def by_peaks(samples: Samples) -> Labels:
    """Return the slots that the threshold of peaks takes for speech."""
    return np.frombuffer(speech_slots(peaks_of(samples)), np.bool_)


def by_detector(samples: Samples) -> Labels:
    """Return the slots that are speech, with every window judged."""
    detector, decided = SpeechDetector(), np.frombuffer(loud_slots(peaks_of(samples)), np.bool_).copy()
    whole = len(samples) // WINDOW_SAMPLES
    for index in range(whole):
        window = samples[index * WINDOW_SAMPLES : (index + 1) * WINDOW_SAMPLES]
        decided[index * WINDOW_SLOTS : (index + 1) * WINDOW_SLOTS] &= detector.slots(window)
    decided[whole * WINDOW_SLOTS :] = False
    return decided


def speakers(clips: Sequence[Clip], dice: np.random.Generator, *, seconds: float, snr_db: float) -> Iterator[Side]:
    """Yield sides on which somebody speaks, in white, pink and babble noise."""
    length = int(seconds * TICKS_PER_S)
    for name in ("white", "pink", "babble"):
        signal, labels = conversation(clips, dice, seconds=seconds)
        noise = babble(clips, length, dice) if name == "babble" else {"white": white, "pink": pink}[name](length, dice)
        yield Side(f"speech in {name} noise", in_noise(signal, noise, snr_db), labels)


def compared(sides: Iterable[Side]) -> tuple[Score, Score]:
    """Return the scores of the detector and of the threshold."""
    new, old = Score(), Score()
    for side in sides:
        slots = len(side.labels) // WINDOW_SLOTS * WINDOW_SLOTS
        new.add(by_detector(side.samples)[:slots], side.labels[:slots])
        old.add(by_peaks(side.samples)[:slots], side.labels[:slots])
    return new, old


def shares(silent: Sequence[Side]) -> dict[str, dict[str, float]]:
    """Return, for each sound, the share of slots that each decision takes for speech."""
    return {
        side.name: {
            "webrtcvad": round(float(by_detector(side.samples).mean()), 4),
            "peaks": round(float(by_peaks(side.samples).mean()), 4),
        }
        for side in silent
    }


def blocks(left: Samples, right: Samples, seconds: float) -> Iterator[bytes]:
    """Yield the blocks of a recording, a second in each."""
    payloads = [encode(Codec.PCMA, side) for side in (left, right)]
    for start in range(0, int(seconds * TICKS_PER_S), TICKS_PER_S):
        block = b""
        for channel in Channel:
            payload = payloads[channel][start : start + TICKS_PER_S]
            block += HEADER.pack(KIND_AUDIO, channel, Codec.PCMA, 0, len(payload), start, 0) + payload
        yield block


def _analysed(whole: Sequence[bytes], *, judges_speech: bool) -> tuple[RecordingAnalysis, float]:
    """Return what is measured of a recording, and the CPU seconds that it took."""
    analyser, analysis = BlockAnalyser(judges_speech=judges_speech), RecordingAnalysis()
    began_s = time.thread_time()
    for block in whole:
        analyser.take(analysis, memoryview(block), survey(block))
    analysis.totals()
    return analysis, time.thread_time() - began_s


def sampled(sides: Sequence[Side], seconds: float) -> dict[str, Any]:
    """Return how the decision of a whole recording, by its samples, compares with the labels."""
    errors, wrong = [], []
    for side in sides:
        analysis, _ = _analysed(list(blocks(side.samples, side.samples, seconds)), judges_speech=True)
        found_s, spoken_s = analysis.totals()[0].speech_s, side.labels.sum() / SLOTS_PER_S
        if (found_s >= MIN_SPEECH_S) != (spoken_s >= MIN_SPEECH_S):
            wrong.append(f"{side.name}: {found_s:.1f} s of {spoken_s:.1f} s")
        if spoken_s:
            errors.append(abs(found_s - spoken_s) / spoken_s)
    return {
        "sides": len(sides),
        "wrong": wrong,
        "median_error_percent": round(100 * float(statistics.median(errors)), 1) if errors else None,
    }


def brief_speakers(clips: Sequence[Clip], dice: np.random.Generator, *, seconds: float, count: int) -> dict[str, int]:
    """Return how many of ``count`` people who speak for 2.5 s are found, by the level of the noise they are in."""
    found = {}
    for noise_dbfs in (-60.0, -45.0, -38.0, -34.0):
        sides = [brief(clips, dice, seconds=seconds, noise_dbfs=noise_dbfs) for _ in range(count)]
        found[f"{noise_dbfs:g} dBFS"] = sum(
            _analysed(list(blocks(side.samples, side.samples, seconds)), judges_speech=True)[0].totals()[0].speech_s
            >= MIN_SPEECH_S
            for side in sides
        )
    return found


def cost(sides: Sequence[Side], *, seconds: float, rounds: int) -> dict[str, float]:
    """Return the CPU us for a call-second that judging adds, by what is heard on both sides."""
    added = {}
    for side in sides:
        whole, taken = list(blocks(side.samples, side.samples, seconds)), []
        for _ in range(rounds):
            without_s, with_s = (_analysed(whole, judges_speech=judges)[1] for judges in (False, True))
            taken.append(with_s - without_s)
        added[side.name] = round(statistics.median(taken) / seconds * 1e6, 2)
    return added


def measure(
    *, corpus: Path | None, seconds: float, rounds: int, voices: int = len(VOICES), calls_s: Sequence[int] = (60, 180)
) -> dict[str, Any]:
    """Run every part and return the document; SpeechError without espeak-ng."""
    dice = np.random.default_rng(SEED)
    kinds = {"synthetic": synthetic_speech(voices)}
    tunes: list[Clip] = []
    if corpus is not None:
        kinds["recorded"] = list(recorded(Kind.SPEECH, corpus))
        tunes = list(recorded(Kind.MUSIC, corpus))
    silent = list(sounds(dice, seconds=seconds, clips=tunes))
    document: dict[str, Any] = {"seconds": seconds, "clips": {name: len(clips) for name, clips in kinds.items()}}
    for snr_db in SNRS_DB:
        talking = {name: list(speakers(clips, dice, seconds=seconds, snr_db=snr_db)) for name, clips in kinds.items()}
        everybody = [side for sides in talking.values() for side in sides]
        document[f"{snr_db} dB"] = {
            "all": _both([*everybody, *silent]),
            **{f"{name} speech in noise": _both(sides) for name, sides in talking.items()},
            "whole recordings": sampled([*everybody, *silent], seconds),
        }
    document["taken for speech"] = shares(silent)
    longest = max(calls_s)
    document["brief speakers"] = {
        "seconds": longest,
        "of": rounds * 8,
        "found": brief_speakers(kinds["synthetic"], dice, seconds=longest, count=rounds * 8),
    }
    heard = [next(speakers(kinds["synthetic"], dice, seconds=longest, snr_db=30))]
    heard += [side for side in sounds(dice, seconds=longest) if side.name in ("hum_50", "white_noise", "arpeggios")]
    document["cpu_us_per_call_second"] = {f"{s} s": cost(heard, seconds=s, rounds=rounds) for s in calls_s}
    return document


def _both(sides: Sequence[Side]) -> dict[str, dict[str, float]]:
    new, old = compared(sides)
    return {"webrtcvad": new.figures(), "peaks": old.figures()}


def problems(document: dict[str, Any]) -> list[str]:
    """Return what is worse than it has to be."""
    found = []
    for snr_db in SNRS_DB:
        for name, both in document[f"{snr_db} dB"].items():
            if "webrtcvad" in both and both["webrtcvad"]["f1"] <= both["peaks"]["f1"]:
                found.append(f"{snr_db} dB, {name}: F1 {both['webrtcvad']['f1']}, by peaks {both['peaks']['f1']}")
    taken = document["taken for speech"]
    found += [
        f"{name}: {taken[name]['webrtcvad']:.1%} is speech" for name in TONES if taken[name]["webrtcvad"] >= _MOST_TONES
    ]
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 done, 1 failed with a reason, or the decision is worse than it has to be."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speech", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--corpus", type=Path, help="folder with extracted packages of recordings")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of each side")
    parser.add_argument("--rounds", type=int, default=5, help="of measuring what judging costs")
    parser.add_argument("--json", action="store_true", help="one document on standard output")
    options = parser.parse_args(arguments)
    if options.seconds < 10 or options.rounds < 1:
        parser.error("a side has 10 s or more, and there is a round at least")
    try:
        document = measure(corpus=options.corpus, seconds=options.seconds, rounds=options.rounds)
    except SpeechError as error:
        print(error, file=sys.stderr)
        return 1
    document |= measured_here()
    print(json.dumps(document, indent=2) if options.json else "\n".join(_lines(document)))
    wrong = problems(document)
    for problem in wrong:
        print(problem, file=sys.stderr)
    return 1 if wrong else 0


def _lines(document: dict[str, Any]) -> Iterator[str]:
    for snr_db in SNRS_DB:
        for name, both in document[f"{snr_db} dB"].items():
            if "webrtcvad" in both:
                yield f"{snr_db:3} dB, {name:30} F1 {both['webrtcvad']['f1']:.3f}, by peaks {both['peaks']['f1']:.3f}"
            else:
                yield f"{snr_db:3} dB, {name:30} {both}"
    yield f"people who speak for 2.5 s once: {document['brief speakers']}"
    for name, taken in document["taken for speech"].items():
        yield f"{name:50.50} {taken['webrtcvad']:6.1%} is speech, by peaks {taken['peaks']:6.1%}"
    for length, added in document["cpu_us_per_call_second"].items():
        yield f"judging a call of {length} adds, in CPU us a call-second: {added}"


if __name__ == "__main__":
    sys.exit(main())
