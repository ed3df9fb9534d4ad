"""Copies of recordings in every format, and what must not be in them.

A copy as G.711 is searched byte for byte. The others are decoded, resampled, and perhaps encoded with loss: there,
secrets are looked for as waveforms, 80 ms at a time, wherever in the copy they may stand.
"""

import random
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from recorder.recordings.home_stores import open_index, open_reader
from storage.encoding import CopyFormat
from storage.export import export
from storage.reader import RecordingReader, open_recording
from storage.types import Search
from tests.helpers.wave_file import wave_channels
from tests.leak.file_sinks import planted_container
from tests.leak.judge import Leak, owed_samples
from tests.leak.media import Band
from tests.leak.ring import Ring
from tests.leak.scene import Scene
from tests.leak.search import Finder, symbols_of
from tests.leak.signals import LINEAR, PCMA

TEMPLATE = 640
"""Samples that are looked for at a time: by chance they are like nothing in a copy to more than 0.2."""
ALIKE = 0.3
Samples = NDArray[np.float64]


def _decoded(path: Path) -> list[Samples]:
    data, rate = soundfile.read(path, dtype="float64", always_2d=True)
    if rate != 8000:
        data = soxr.resample(data, rate, 8000)
    return [np.ascontiguousarray(data[:, side]) for side in range(data.shape[1])]


def likeness(channel: Samples, templates: NDArray[np.float64]) -> list[tuple[float, int]]:
    """Return how alike the most similar part of a channel is to each template, in [0, 1], and where it is.

    Args:
        channel: Samples, one dimension.
        templates: One a row, all of the same length.
    """
    count, length = templates.shape
    if len(channel) < length:
        return [(0.0, 0)] * count
    size = 1 << (len(channel) + length).bit_length()
    spectrum = np.fft.rfft(channel, size)
    energy = np.concatenate(([0.0], np.cumsum(channel**2)))
    local = np.sqrt(np.maximum(energy[length:] - energy[:-length], 1e-6))
    # Where there is next to nothing, what is left of the encoder's noise may look like anything.
    weight = np.where(local < 0.01 * np.sqrt(length), 0.0, 1 / local)
    found = []
    for template in templates:
        crossed = np.fft.irfft(spectrum * np.conj(np.fft.rfft(template, size)), size)[: len(weight)]
        alike = np.abs(crossed) * weight
        at = int(alike.argmax())
        found.append((float(alike[at] / np.linalg.norm(template)), at))
    return found


def _templates(ring: Ring) -> Iterator[tuple[int, Samples]]:
    """Yield voice and waveform of what nobody may find, 80 ms at a time."""
    for voice in ring.voices:
        frames = [f for f in voice.frames if f.band is Band.SECRET]
        each = TEMPLATE // voice.frame_ticks + 1
        for start in range(0, len(frames) - each, each):
            several = frames[start : start + each]
            length = sum(f.length for f in several)
            if owed_samples(ring, voice.number, several[0].index, length) == length:
                codes = np.frombuffer(b"".join(f.payload for f in several)[:TEMPLATE], np.uint8)
                yield voice.number, LINEAR[voice.law][codes] / 32768


def check(
    scene: Scene, rings: Sequence[Ring], finder: Finder, most: int
) -> Iterator[tuple[str, Leak | None, str, int]]:
    """Export some of the calls in every format; yield the call, what was found, the format and the bytes."""
    home, settings = scene.home, scene.settings
    index = open_index(home, settings)
    rows = {row.caller: row for row in index.find(Search(limit=100_000))}
    index.close()
    kept = [
        ring
        for ring in rings
        if (row := rows.get(ring.plan.caller)) is not None and row.path is not None and row.duration_s > 1
    ]
    chosen = random.Random(len(kept)).sample(kept, min(most, len(kept)))
    for ring in chosen:
        row = rows[ring.plan.caller]
        templates = list(_templates(ring))
        for form in CopyFormat:
            found, size = _exported(open_reader(home, settings, row), form, finder, templates, row.duration_s)
            leak = None
            for what, offset, length in found:
                owed = length
                if what.startswith("secret ") and "/" in what:
                    voice, first = map(int, what.split()[1].split("/"))
                    owed = owed_samples(ring, voice, first, length)
                if owed:
                    leak = Leak(sink=f"export as {form.value}", what=what, offset=offset, length=owed)
                    break
            yield ring.plan.name, leak, form.value, size


def _exported(
    reader: RecordingReader, form: CopyFormat, finder: Finder, templates: list[tuple[int, Samples]], duration_s: float
) -> tuple[list[tuple[str, int, int]], int]:
    with tempfile.TemporaryDirectory(prefix="recorder-leak-export-") as folder:
        path = Path(folder) / f"copy.{form.value}"
        export(reader, path, form, duration_s=duration_s)
        size = path.stat().st_size
        if form is CopyFormat.G711:
            left, right, _ = wave_channels(path.read_bytes())
            return [
                (f"secret {hit.voice}/{hit.index}", hit.offset, hit.length)
                for channel in (left, right)
                for hit in finder.find(channel, has_linear=False)
            ], size
        channels = _decoded(path)
    found = []
    if templates:
        voices, waveforms = zip(*templates, strict=True)
        for channel in channels:
            for voice, (alike, at) in zip(voices, likeness(channel, np.array(waveforms)), strict=True):
                if alike > ALIKE:
                    found.append((f"waveform of voice {voice}, alike to {alike:.2f}", at, TEMPLATE))
    return found, size


def prove(scene: Scene, audio: bytes) -> dict[str, bool]:
    """Make a recording with a secret in it, and tell for each format whether the secret is found in the copy."""
    path = planted_container(scene, audio, "exports")
    finder = Finder()
    symbols = np.frombuffer(audio, np.uint8)
    finder.add_voice(1, symbols_of(symbols, PCMA))
    templates = [
        (1, LINEAR[PCMA][symbols[at : at + TEMPLATE]] / 32768) for at in range(0, len(audio) - TEMPLATE, TEMPLATE)
    ]
    proven = {}
    for form in CopyFormat:
        reader = open_recording(path, scene.home.root, scene.epochs)
        found, _ = _exported(reader, form, finder, templates[:4], len(audio) / 8000)
        proven[form.value] = len(found) >= (1 if form is CopyFormat.G711 else 4)
    return proven
