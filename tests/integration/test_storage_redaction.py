"""What is silenced in a copy is not in it, in no format and not at its edges; outside of it every byte is there."""

import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from G722 import G722

from storage import runs
from storage.encoding import CopyFormat
from storage.export import export, prepare
from storage.g711 import DECODE, SILENCE
from storage.runs import ANCHOR, AUDIO, PCMA, PCMU, pack
from storage.types import Channels, Redaction
from tests.helpers.storage_home import ID, Site, block, head, row

SECRET = 2, 3
"""Seconds that hold the secret."""
SECONDS = 4
SECRET_HZ = 1100


class Source:
    def __init__(self, *blocks: bytes) -> None:
        self._blocks = blocks

    def blocks(self) -> Iterator[bytes]:
        return iter(self._blocks)


def voices(seed: int, *, secret_hz: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Two sides of noise; between SECRET the left side depends on the seed, or is a tone."""
    rng = np.random.default_rng(0)
    sides = rng.normal(scale=900, size=(2, SECONDS * 8000))
    begin, end = (second * 8000 for second in SECRET)
    secret = np.random.default_rng(seed).normal(scale=3000, size=end - begin)
    if secret_hz is not None:
        secret = 9000 * np.sin(2 * np.pi * secret_hz * np.arange(end - begin) / 8000)
    sides[0, begin:end] = secret
    return sides[0], sides[1]


def alaw(samples: np.ndarray) -> bytes:
    order = np.argsort(DECODE[PCMA], kind="stable")
    near = np.clip(np.searchsorted(DECODE[PCMA][order], samples), 0, 255)
    return order[near].astype(np.uint8).tobytes()


def g722(samples: np.ndarray) -> bytes:
    wide = np.repeat(samples, 2).astype(np.int16)
    return bytes(G722(16000, 64000).encode(wide))


def source(seed: int, *, codec: int = PCMA, secret_hz: float | None = None, ppm: int = 0) -> Source:
    """A call whose left sender's clock runs so much fast, in blocks of a second."""
    left, right = voices(seed, secret_hz=secret_hz)
    coded = (g722 if codec == runs.G722 else alaw)(left), alaw(right)
    if codec == runs.G722:
        begin, end = (second * 8000 for second in SECRET)
        plain = g722(voices(0)[0])  # the same outside, whatever the encoder remembers of the secret
        coded = plain[:begin] + coded[0][begin:end] + plain[end:], coded[1]
    blocks = []
    for second in range(SECONDS):
        at = second * 8000
        lead = at * ppm // 1_000_000
        for channel, which, start in ((0, codec, at + lead), (1, PCMA, at)):
            blocks.append(
                pack(AUDIO, channel, which, start, payload=coded[channel][at : at + 8000])
                + pack(ANCHOR, channel, which, start, aux=second * 1_000_000_000)
            )
    return Source(*blocks)


def copy(made: Source, form: CopyFormat, *redactions: Redaction) -> bytes:
    return b"".join(prepare(made, form, redactions=redactions, duration_s=float(SECONDS)).chunks())


def sound(content: bytes) -> tuple[np.ndarray, int]:
    samples, rate = soundfile.read(io.BytesIO(content), always_2d=True)
    return samples, rate


HIDDEN = Redaction(start_s=2.0, end_s=3.0, reason="card number")


@pytest.mark.parametrize(
    ("form", "codec"),
    [
        (form, codec)
        for form in CopyFormat
        for codec in (PCMA, runs.G722)
        if (form, codec) != (CopyFormat.G711, runs.G722)
    ],
)
def test_a_copy_is_the_same_whatever_was_said_in_it(form: CopyFormat, codec: int) -> None:
    """Two calls that differ in the silenced second only give one and the same copy: nothing of it can be there."""
    first, second = (copy(source(seed, codec=codec), form, HIDDEN) for seed in (1, 2))
    open_first, open_second = (copy(source(seed, codec=codec), form) for seed in (1, 2))
    if form is CopyFormat.OPUS:  # each Ogg stream has a number of its own
        assert np.array_equal(sound(first)[0], sound(second)[0])
        assert not np.array_equal(sound(open_first)[0], sound(open_second)[0])
    else:
        assert first == second
        assert open_first != open_second


@pytest.mark.parametrize("form", CopyFormat)
def test_the_silenced_tone_is_found_nowhere(form: CopyFormat) -> None:
    def strongest(content: bytes) -> float:
        samples, rate = sound(content)
        window = np.hanning(rate // 20)
        probe = np.exp(-2j * np.pi * SECRET_HZ * np.arange(len(window)) / rate) * window
        return float(np.abs(np.convolve(samples[:, 0], probe[::-1], "valid")).max())

    made = source(1, secret_hz=SECRET_HZ)
    assert strongest(copy(made, form, HIDDEN)) < 0.12 * strongest(copy(made, form))


def test_one_side_is_silenced_with_its_margin_and_every_other_byte_stays() -> None:
    made = source(1)
    before, after = (copy(made, CopyFormat.G711, *some)[58:] for some in ((), (
        Redaction(start_s=1.0, end_s=1.5, channels=Channels.RIGHT, reason="a neighbour"),)))  # fmt: skip
    margin = 400  # 0.05 s either side
    begin, end = 8000 - margin, 12_000 + margin
    silence = bytes([SILENCE[PCMA]])
    assert after[0::2] == before[0::2]
    assert after[1::2] == before[1 : 2 * begin : 2] + silence * (end - begin) + before[2 * end + 1 :: 2]


def test_what_is_silenced_is_where_it_is_heard_when_clocks_differ() -> None:
    """The left clock runs 2 % fast: its second 2 to 3 lies 40 to 60 ms later in the file."""
    made = source(1, secret_hz=SECRET_HZ, ppm=20_000)
    first, second = (
        copy(source(seed, ppm=20_000), form, HIDDEN) for seed, form in ((1, CopyFormat.WAV), (2, CopyFormat.WAV))
    )
    assert first == second
    left = copy(made, CopyFormat.G711, HIDDEN)[58::2]
    tone = np.abs(DECODE[PCMA][np.frombuffer(left, np.uint8)].astype(int))
    assert tone.max() < 6000


@pytest.mark.parametrize("law", [PCMA, PCMU])
def test_g711_of_a_span_is_the_stored_bytes(tmp_path: Path, law: int) -> None:
    site = Site(tmp_path)
    opened = site.vault.create(head())
    stored: dict[int, bytearray] = {0: bytearray(), 1: bytearray()}
    for second in range(4):
        opened.append(block(second, codec=law))
        for run in runs.parse(block(second, codec=law)):
            stored[run.channel] += run.payload
    finished = opened.close(row(ID, ended_at="2026-11-24T09:30:04Z"), is_complete=True)
    reader = site.open(site.vault.root / finished.path)
    export(reader, tmp_path / "span.wav", CopyFormat.G711, span_s=(0.7501, 2.2))
    content = (tmp_path / "span.wav").read_bytes()
    assert content[58::2] == bytes(stored[0][6001:17600])
    assert content[59::2] == bytes(stored[1][6001:17600])
    assert content[20:22] == {PCMA: b"\x06\x00", PCMU: b"\x07\x00"}[law]


@pytest.mark.parametrize("form", [CopyFormat.FLAC, CopyFormat.MP3])
def test_a_stream_is_what_a_file_would_be(form: CopyFormat) -> None:
    """An encoder that may go back in its file gives the same bytes: heads are complete though nothing is sought."""
    made = source(1)
    samples = np.frombuffer(copy(made, CopyFormat.WAV)[44:], "<i2").reshape(-1, 2)
    file = io.BytesIO()
    container, subtype = {CopyFormat.FLAC: ("FLAC", "PCM_16"), CopyFormat.MP3: ("MP3", "MPEG_LAYER_III")}[form]
    with soundfile.SoundFile(file, "w", 8000, 2, subtype=subtype, format=container) as written:
        for at in range(0, len(samples), 8000):
            some = samples[at : at + 8000]
            written.write(some if form is CopyFormat.FLAC else some.astype(np.float32) / 32768)
    assert copy(made, form) == file.getvalue()
    assert sound(copy(made, form))[0].shape[0] >= SECONDS * 8000


def test_what_lies_outside_a_span_is_not_in_the_copy() -> None:
    def of_span(seed: int) -> bytes:
        made = source(seed, codec=runs.G722)
        return b"".join(prepare(made, CopyFormat.WAV, span_s=(0.5, 2.0)).chunks())

    narrow = [
        b"".join(
            prepare(
                Source(*(b"".join(source(seed).blocks()),), *g722_right()), CopyFormat.WAV, span_s=(0.5, 2.0)
            ).chunks()
        )
        for seed in (1, 2)
    ]
    assert narrow[0] == narrow[1]
    assert of_span(1) == of_span(2)


def g722_right() -> list[bytes]:
    """Makes a copy wide, so that the left side is resampled."""
    return [pack(AUDIO, 1, runs.G722, SECONDS * 8000, payload=b"\xfa" * 800)]


def test_opus_heads_are_not_completed_later() -> None:
    assert re.match(rb"OggS", copy(source(1), CopyFormat.OPUS))
