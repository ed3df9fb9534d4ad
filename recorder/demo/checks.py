"""Checks the demo's claims on the copy and on the audio that the caller's phone heard; draws the picture."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from recorder.calls.notices import SHIPPED
from storage.types import RecordingRow, SegmentKind

RATE = 8000
"""Sample rate of all comparisons, that of the telephone."""

Signal = NDArray[np.float64]

LIKE = 0.6
"""Threshold for a second of audio, normalised correlation: a real match scores over 0.95, chance under 0.5."""


@dataclass(frozen=True, slots=True)
class DemoClaim:
    """A claim of the demo about its result."""

    sentence: str
    is_true: bool


def claims(row: RecordingRow, copy: Path, heard: Path, sounds: dict[str, Path]) -> list[DemoClaim]:
    """Check every claim.

    Args:
        row: The recording's row.
        copy: Its stereo copy, caller left.
        heard: Audio that the caller's phone heard.
        sounds: Audio that was spoken: caller, officer, card, caller_after, officer_after.
    """
    left, right = (_load(copy, side) for side in (0, 1))

    def is_in(channel: Signal, name: str) -> bool:
        return float(np.median(_matches(channel, sounds[name]))) > LIKE

    def is_absent(channel: Signal, name: str) -> bool:
        return max(_matches(channel, sounds[name])) < LIKE

    is_marked = any(s.kind is SegmentKind.PAUSED and s.reason == "agent" for s in row.segments)
    return [
        DemoClaim("the notice reached the caller in full", _has_notice(_load(heard, 0))),
        DemoClaim("the caller is in the left channel", is_in(left, "caller")),
        DemoClaim("the officer is in the right channel", is_in(right, "officer")),
        DemoClaim("the caller is not in the right channel", is_absent(right, "caller")),
        DemoClaim("the caller is there again after the pause", is_in(left, "caller_after")),
        DemoClaim("the officer is there again after the pause", is_in(right, "officer_after")),
        DemoClaim("no second of the card number is in the left channel", is_absent(left, "card")),
        DemoClaim("no second of the card number is in the right channel", is_absent(right, "card")),
        DemoClaim("the paused span is silent in both channels", _is_silent(row, left, right)),
        DemoClaim("the segments name the pause and its reason", is_marked),
        DemoClaim("the outcome is recorded", str(row.outcome) == "recorded"),
    ]


def _load(path: Path, side: int) -> Signal:
    samples, rate = soundfile.read(path, dtype="float64", always_2d=True)
    resampled: Signal = soxr.resample(samples[:, side], rate, RATE)
    return resampled


def _matches(channel: Signal, sound: Path) -> list[float]:
    """Return the best match of each second of a sound in a channel, in [0, 1].

    Compared second by second, because the phones' clocks drift apart over longer times.
    """
    return [_best_match(channel, piece) for piece in _loud_seconds(_load(sound, 0))]


def _loud_seconds(signal: Signal) -> list[Signal]:
    pieces = [signal[at : at + RATE] for at in range(0, len(signal) - RATE, RATE)]
    return [piece for piece in pieces if np.sqrt(np.mean(piece**2)) > 0.01]


def _best_match(channel: Signal, piece: Signal) -> float:
    """Return the best normalised cross-correlation of a piece with any position of a channel."""
    if len(channel) < len(piece):
        return 0.0
    size = 1 << (len(channel) + len(piece) - 1).bit_length()
    spectrum = np.fft.rfft(channel, size) * np.conj(np.fft.rfft(piece, size))
    product = np.fft.irfft(spectrum, size)[: len(channel) - len(piece) + 1]
    energy = np.cumsum(np.concatenate([[0.0], channel**2]))
    window = energy[len(piece) :] - energy[: -len(piece)]
    floor = 1e-4 * len(piece)  # so that near-silence matches nothing
    return float(np.max(np.abs(product) / np.sqrt(np.maximum(window, floor) * np.sum(piece**2))))


def _has_notice(heard: Signal) -> bool:
    seconds = _loud_seconds(_load(SHIPPED / "first.en.flac", 0))
    return bool(seconds) and all(_best_match(heard, piece) > LIKE for piece in seconds)


def _is_silent(row: RecordingRow, *channels: Signal) -> bool:
    margin = 0.05  # the copy is aligned and resampled, so edges are not sample-exact
    paused = [s for s in row.segments if s.kind is SegmentKind.PAUSED]
    spans = [(round((s.start_s + margin) * RATE), round((s.end_s - margin) * RATE)) for s in paused]
    loudest = [float(np.max(np.abs(channel[a:b]), initial=0.0)) for a, b in spans for channel in channels]
    return bool(loudest) and max(loudest) < 0.002


def draw(row: RecordingRow, copy: Path, target: Path) -> None:
    """Draw both channels with the paused spans marked."""
    import matplotlib as mpl  # noqa: PLC0415 - a second to load, and needed here only

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    samples, rate = soundfile.read(copy, dtype="float64")
    step = rate // 100
    envelope: Any = np.abs(samples[: len(samples) // step * step]).reshape(-1, step, 2).max(axis=1)
    times = np.arange(len(envelope)) * step / rate
    figure, axes = plt.subplots(2, 1, sharex=True, figsize=(12, 4.5), layout="constrained")
    for side, (axis, who) in enumerate(zip(axes, ("Caller (left)", "Officer (right)"), strict=True)):
        axis.fill_between(times, -envelope[:, side], envelope[:, side], color="#1d70b8", linewidth=0)
        axis.set_ylabel(who)
        axis.set_ylim(-1, 1)
        axis.set_yticks([])
        for segment in row.segments:
            if segment.kind is not SegmentKind.RECORDING:
                axis.axvspan(segment.start_s, segment.end_s, color="#f47738", alpha=0.25)
                axis.text((segment.start_s + segment.end_s) / 2, 0.8, str(segment.kind), ha="center", va="top")
    axes[0].set_title(f"{row.id}: {row.outcome}, {row.recorded_s:.1f} s recorded, {row.paused_s:.1f} s paused")
    axes[1].set_xlabel("seconds since the sides were joined")
    figure.savefig(target, dpi=110)
    plt.close(figure)
