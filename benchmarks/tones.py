"""How often does the tone detector hear a key that nobody pressed, which keys does it miss, and what of a tone passes?

Metric: false digits and false card pauses (the default rule: 4 digits in 10 s; also on a masked leg, where it is not
told the keys) per hour, each with its upper 95 % bound, over synthetic speech, recorded speech and music, each by
itself; percent of digits missed, by condition and length; at which digit of a card number the rule pauses; ms of a tone
that have gone on to the other side when its digit is known. Speech and music go over a telephone
line each (level, noise, band, A-law or mu-law at random) into the detector that ships, faster than real time.
Recorded sound comes from Debian packages extracted below ``--corpus`` (benchmarks/tone_corpus.py names them) and from
folders of one's own; what is missing to the hours asked for is spoken by espeak-ng.
Command: ``python -m benchmarks.tones --speech-hours 50 --music-hours 5 --corpus DIR [--json]``.
"""

import argparse
import collections
import itertools
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import measured_here
from benchmarks.tone_channel import RATE, Law, Line, rms_of, some_line, transmit
from benchmarks.tone_corpus import BOOKS, PACKAGES, CorpusError, Kind, recordings
from benchmarks.tone_fragment import FragmentError, masked, unmasked
from benchmarks.tone_listener import Listener
from benchmarks.tone_misses import KEYS, Disturbances, card_numbers, key_signal, table
from benchmarks.tone_speech import Clip, SpeechError, spoken, synthetic_clips
from benchmarks.tone_statistics import upper_count
from benchmarks.tone_text import read_books

_SEED = 20_261_125
_PLANTED = "4711"
_WORST_CLIPS = 10
_ALIKE = 4
"""As many first digits of a card number that are the same as the default card rule counts."""
_SECONDS_PER_HOUR = 3600


def planted_digits_found() -> str:
    """Put keys into speech and return what the benchmark makes of it: a detector that hears nothing would pass it."""
    rng = np.random.default_rng(_SEED)
    signal = spoken(
        "I would like to pay, here is my number, are you ready? One moment. Yes, that is all.", voice="en-gb"
    )
    for index, key in enumerate(_PLANTED):
        at = (index + 1) * len(signal) // (len(_PLANTED) + 2)
        signal[at : at + 800] = key_signal(key, 800, rng, rms=rms_of(-14))
    line = Line(law=Law.A, noise_dbm0=-50, is_narrow=True)
    listener = Listener()
    found = listener.hear("planted", transmit(signal, line, rng))
    return found if listener.card_pauses else ""


def false_alarms(clips: Iterable[Clip], hours: float, *, name: str, seed: int) -> dict[str, Any]:
    """Let the detector hear clips until ``hours`` are full or there are no more, and return what it took for keys."""
    rng, listener, told_h = np.random.default_rng(seed), Listener(), 0.0
    for clip in clips:
        if listener.heard_s >= hours * _SECONDS_PER_HOUR:
            break
        listener.hear(clip.name, transmit(clip.signal, some_line(rng), rng))
        if listener.heard_s / _SECONDS_PER_HOUR >= told_h:
            _progress(f"{name}: {told_h:.1f} h, {len(listener.digits)} digits, {len(listener.card_pauses)} card pauses")
            told_h += 0.1
    clips_of_digits = collections.Counter(digit.clip for digit in listener.digits)
    return {
        "name": name,
        "hours": round(listener.heard_s / _SECONDS_PER_HOUR, 3),
        "digits": len(listener.digits),
        "card_pauses": len(listener.card_pauses),
        "masked_card_pauses": len(listener.masked_card_pauses),
        "fax_tones": listener.fax_tones,
        "clips_with_digits": len(clips_of_digits),
        "worst_clips": dict(clips_of_digits.most_common(_WORST_CLIPS)),
        "detector_us_per_second": round(listener.cpu_s / max(listener.heard_s, 1) * 1e6, 1),
    }


def _summary(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Add parts up, with rates and their upper 95 % bounds."""
    heard = [part for part in parts if part["hours"]]
    hours = sum(part["hours"] for part in heard)
    total: dict[str, Any] = {"hours": round(hours, 2)}
    for what in ("digits", "card_pauses", "masked_card_pauses", "fax_tones"):
        count = sum(part[what] for part in heard)
        total |= {
            what: count,
            f"{what}_per_hour": round(count / hours, 4) if hours else None,
            f"{what}_per_hour_at_most": round(upper_count(count) / hours, 4) if hours else None,
        }
    return {**total, "parts": heard, "absent": [part["name"] for part in parts if not part["hours"]]}


def _recorded(kind: Kind, corpora: list[Path], own: list[Path], hours: float) -> list[dict[str, Any]]:
    sources = [
        (f"{package.name} ({package.pattern})", [corpus / package.name for corpus in corpora], package.pattern)
        for package in PACKAGES
        if package.kind is kind
    ] + [(folder.name, [folder], "**/*") for folder in own]
    parts: list[dict[str, Any]] = []
    for number, (name, folders, pattern) in enumerate(sources):
        left_h = hours - sum(part["hours"] for part in parts)
        clips = itertools.chain.from_iterable(recordings(folder, pattern) for folder in folders)
        parts.append(false_alarms(clips, left_h, name=name, seed=_SEED + number))
    return parts


def _synthetic(corpora: list[Path], hours: float) -> dict[str, Any]:
    books: dict[str, list[str]] = {}
    for name in BOOKS:
        language = name.partition("-")[2] or "en"
        books[language] = [saying for corpus in corpora for saying in read_books(corpus / name, language)]
    return false_alarms(synthetic_clips(books, seed=_SEED), hours, name="espeak-ng", seed=_SEED)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Run every part that was asked for and return the document.

    Raises:
        SpeechError: espeak-ng is missing or failed.
        CorpusError: A package's file is not what it should be.
        FragmentError: The relay did not pass the tones on.
    """
    document: dict[str, Any] = {"planted": _PLANTED, "planted_found": planted_digits_found()}
    speech = _recorded(Kind.SPEECH, options.corpus, options.speech, options.speech_hours)
    document["recorded_speech"] = _summary(speech)
    left_h = options.speech_hours - document["recorded_speech"]["hours"]
    synthetic = [_synthetic(options.corpus, left_h)] if left_h > 0 else []
    document["synthetic_speech"] = _summary(synthetic)
    document["speech"] = {key: value for key, value in _summary(speech + synthetic).items() if key not in _DETAILS}
    document["music"] = _summary(_recorded(Kind.MUSIC, options.corpus, options.music, options.music_hours))
    if options.digits:
        disturbances = Disturbances(np.random.default_rng(_SEED))
        document["misses"] = list(table(options.digits, disturbances, lambda name: _progress(f"misses: {name}")))
        document["card_numbers"] = card_numbers(max(options.digits // 2, 1), seed=_SEED)
        document["card_numbers_alike"] = card_numbers(max(options.digits // 2, 1), seed=_SEED, alike=_ALIKE)
    if options.fragment_step:
        _progress("fragments through the relay")
        document["unmasked_leg"] = unmasked(KEYS, step=options.fragment_step)
        document["masked_leg"] = masked(KEYS, seed=_SEED)
    return document


_DETAILS = ("parts", "absent")


def _progress(line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{line:78.78}", end="", file=sys.stderr, flush=True)


def _lines(document: dict[str, Any]) -> Iterator[str]:
    yield f"planted {document['planted']}, found {document['planted_found'] or 'nothing'}"
    heads = (("hours", 7), ("digits", 7), ("per hour", 8), ("at most", 8), ("card pauses", 12), ("at most", 8))
    yield f"{'':34} {' '.join(f'{head:>{width}}' for head, width in heads)} {'masked':>7}"
    for name in ("recorded_speech", "synthetic_speech", "speech", "music"):
        total = document[name]
        if total["hours"]:
            yield (
                "{name:34} {hours:7.2f} {digits:7} {digits_per_hour:8.2f} {digits_per_hour_at_most:8.2f} "
                "{card_pauses:12} {card_pauses_per_hour_at_most:8.2f} {masked_card_pauses:7}"
            ).format(name=name.replace("_", " "), **total)
        for part in total.get("parts", []):
            yield "  {name:32.32} {hours:7.2f} {digits:7} {card_pauses:30} {masked_card_pauses:16}".format(**part)
        if total.get("absent"):
            yield f"  not there: {', '.join(total['absent'])}"
    for condition, rows in itertools.groupby(document.get("misses", []), key=lambda row: row["condition"]):
        cells = " ".join(f"{row['duration_ms']:>4} ms {row['missed_percent']:6.2f} %" for row in rows)
        yield f"missed, {condition:32} {cells}"
    for name in ("card_numbers", "card_numbers_alike", "unmasked_leg", "masked_leg"):
        if name in document:
            yield f"{name.replace('_', ' ')}: {document[name]}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 done, 1 failed with a reason, or speech or music would have paused a recording."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tones", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--speech-hours", type=float, default=1.0, help="hours of speech, recorded before synthetic")
    parser.add_argument("--music-hours", type=float, default=1.0, help="hours of music at most")
    parser.add_argument("--corpus", type=Path, action="append", default=[], help="folder with extracted packages")
    parser.add_argument(
        "--speech", type=Path, action="append", default=[], help="folder of recorded speech of one's own"
    )
    parser.add_argument("--music", type=Path, action="append", default=[], help="folder of music of one's own")
    parser.add_argument("--digits", type=int, default=480, help="digits for each condition and length; 0 leaves it out")
    parser.add_argument("--fragment-step", type=int, default=8, help="ticks between alignments; 0 leaves it out")
    parser.add_argument("--json", action="store_true", help="one document on standard output")
    options = parser.parse_args(arguments)
    if options.speech_hours < 0 or options.music_hours < 0 or options.digits < 0:
        parser.error("hours and digits must not be negative")
    if not 0 <= options.fragment_step <= RATE // 50:
        parser.error("a step is one packet of 160 ticks at most")
    try:
        document = measure(options)
    except (SpeechError, CorpusError, FragmentError) as error:
        print(error, file=sys.stderr)
        return 1
    document = {**document, **measured_here()}
    _progress("")
    if options.json:
        print(json.dumps(document, indent=1))
    else:
        print("\n".join(_lines(document)))
    is_blind = document["planted_found"] != _PLANTED
    return 1 if is_blind or document["speech"]["card_pauses"] or document["music"]["card_pauses"] else 0


if __name__ == "__main__":
    sys.exit(main())
