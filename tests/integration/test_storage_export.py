"""Copies from runs in memory to files: every byte of g711, alignment, formats, refusals."""

from collections.abc import Iterator
from pathlib import Path
from struct import unpack_from

import numpy as np
import pytest
import soundfile
from G722 import G722

from storage import runs
from storage.encoding import CopyFormat
from storage.errors import ExportError
from storage.export import export, prepare
from storage.g711 import DECODE, TRANSCODE
from storage.runs import ANCHOR, AUDIO, PCMA, PCMU, pack
from tests.helpers.storage_home import Site, block


class Source:
    def __init__(self, *blocks: bytes) -> None:
        self._blocks = blocks

    def blocks(self) -> Iterator[bytes]:
        return iter(self._blocks)


def g711(path: Path) -> tuple[int, bytes, bytes]:
    content = path.read_bytes()
    tag, channels, rate = unpack_from("<HHI", content, 20)
    assert (content[:4], content[8:12], channels, rate) == (b"RIFF", b"WAVE", 2, 8000)
    assert unpack_from("<I", content, 4)[0] == len(content) - 8
    data = content[content.index(b"data") + 8 :]
    return tag, data[0::2], data[1::2]


def test_g711_holds_the_stored_bytes_and_silence(tmp_path: Path) -> None:
    site = Site(tmp_path)
    path, _ = site.record(seconds=3)
    done: list[tuple[float, float]] = []
    made = export(
        site.open(path), tmp_path / "a.wav", CopyFormat.G711, duration_s=4.0, progress=lambda *at: done.append(at)
    )
    tag, left, right = g711(tmp_path / "a.wav")
    assert tag == 6
    assert left == bytes(i * 7 % 251 for i in range(24000)) + b"\xd5" * 8000
    assert right == bytes(i * 11 % 241 for i in range(24000)) + b"\xd5" * 8000
    assert (made.duration_s, done[-1]) == (4.0, (4.0, 4.0))
    assert (tmp_path / "a.wav").stat().st_mode & 0o777 == 0o600
    samples, _ = soundfile.read(tmp_path / "a.wav", dtype="int16")
    assert np.array_equal(samples[:24000, 0], DECODE[PCMA][np.frombuffer(left[:24000], np.uint8)])


def test_one_sided_gaps_and_a_long_pause(tmp_path: Path) -> None:
    late = 600 * 8000 + 17
    source = Source(pack(AUDIO, 1, PCMU, 5, payload=b"abc"), pack(AUDIO, 1, PCMU, late, payload=b"de"))
    export(source, tmp_path / "a.wav", CopyFormat.G711)
    tag, left, right = g711(tmp_path / "a.wav")
    assert tag == 7
    assert left == b"\xff" * (late + 2)
    assert right == b"\xff" * 5 + b"abc" + b"\xff" * (late - 8) + b"de"


def test_laws_are_made_the_left_ones(tmp_path: Path) -> None:
    every = bytes(range(256))
    source = Source(pack(AUDIO, 0, PCMU, 0, payload=every) + pack(AUDIO, 1, PCMA, 0, payload=every))
    export(source, tmp_path / "a.wav", CopyFormat.G711)
    tag, left, right = g711(tmp_path / "a.wav")
    assert (tag, left) == (7, every)
    assert right == TRANSCODE[PCMA, PCMU].tobytes()
    before, after = (DECODE[law][np.frombuffer(b, np.uint8)].astype(int) for law, b in ((PCMA, every), (PCMU, right)))
    assert np.all(np.abs(before - after) <= np.maximum(np.abs(before) * 0.035, 8))


def test_span(tmp_path: Path) -> None:
    source = Source(block(0), block(1), block(2))
    export(source, tmp_path / "a.wav", CopyFormat.G711, span_s=(0.5, 1.25))
    _, left, _ = g711(tmp_path / "a.wav")
    assert left == bytes(i * 7 % 251 for i in range(4000, 10000))
    with pytest.raises(ExportError, match="holds nothing"):
        export(source, tmp_path / "b.wav", CopyFormat.G711, span_s=(3.5, 4.0))
    assert not (tmp_path / "b.wav").exists()


def test_any_part_of_a_wav_file_is_that_of_the_whole(tmp_path: Path) -> None:
    """Both clocks drift, and the right side comes as A-law and as mu-law."""
    blocks = []
    for second in range(6):
        for channel, ahead in ((0, 0), (1, second * 40)):
            payload = bytes((second * 8000 + at) * (7 + channel) % 251 for at in range(8000))
            codec = PCMU if channel and second > 3 else PCMA
            blocks.append(
                pack(AUDIO, channel, codec, second * 8000 + ahead, payload=payload)
                + pack(ANCHOR, channel, codec, second * 8000 + ahead, aux=second * 1_000_000_000)
            )
    copy = prepare(Source(*blocks), CopyFormat.WAV, duration_s=6.5)
    whole = b"".join(copy.chunks())
    assert len(whole) == copy.size_bytes
    firsts = (0, 1, 43, 44, 45, 32043, 32044, 100_001, copy.size_bytes - 3, copy.size_bytes - 1)
    for first in firsts:
        for end in sorted({first + 1, first + 2, 50, 64_044, 150_003, copy.size_bytes}):
            if first < end <= copy.size_bytes:
                assert b"".join(copy.part(first, end)) == whole[first:end], (first, end)


@pytest.mark.parametrize("form", [CopyFormat.WAV, CopyFormat.FLAC, CopyFormat.MP3, CopyFormat.OPUS])
def test_formats_play_each_side_in_its_channel(tmp_path: Path, form: CopyFormat) -> None:
    times = np.arange(3 * 16000) / 16000
    wide = np.rint(8000 * np.sin(2 * np.pi * 1000 * times)).astype(np.int16)
    narrow = np.abs(
        DECODE[PCMA].astype(int)[None, :] - np.rint(8000 * np.sin(2 * np.pi * 400 * times[::2]))[:, None]
    ).argmin(1).astype(np.uint8).tobytes()  # fmt: skip
    coded = bytes(G722(16000, 64000).encode(wide))
    source = Source(
        *(
            pack(AUDIO, 0, PCMA, at, payload=narrow[at : at + 8000])
            + pack(AUDIO, 1, runs.G722, at, payload=coded[at : at + 8000])
            for at in (0, 8000, 16000)
        )
    )
    made = export(source, tmp_path / "copy", form)
    samples, rate = soundfile.read(tmp_path / "copy")
    assert (made.rate_hz, made.codecs) == (16000, ((PCMA,), (runs.G722,)))
    assert abs(len(samples) / rate - 3.0) < 0.1
    for channel, tone in ((0, 400), (1, 1000)):
        middle = samples[rate : 2 * rate, channel]
        power = np.abs(np.fft.rfft(middle * np.hanning(len(middle)))) ** 2
        assert abs(int(power.argmax()) - tone) <= 2
        assert power[tone - 3 : tone + 4].sum() / power.sum() > 0.98
        assert 0.15 < np.abs(middle).max() < 0.4


def test_drifting_clocks_are_aligned(tmp_path: Path) -> None:
    """The officer's clock runs 400 ppm fast: after ten minutes its click lies 240 ms late in the file."""
    blocks = []
    for second in range(600):
        ahead = second * 8000 * 400 // 1_000_000
        for channel, lead in ((0, 0), (1, ahead)):
            payload = bytearray(b"\xd5" * 8000)
            if second % 60 == 59:
                payload[4000:4040] = b"\x2a" * 40
            blocks.append(
                pack(AUDIO, channel, PCMA, second * 8000 + lead, payload=bytes(payload))
                + pack(ANCHOR, channel, PCMA, second * 8000 + lead, aux=second * 1_000_000_000)
            )
    export(Source(*blocks), tmp_path / "a.wav", CopyFormat.WAV)
    samples, rate = soundfile.read(tmp_path / "a.wav", dtype="int16")
    assert rate == 8000
    for minute in range(10):
        at = (minute * 60 + 59) * 8000
        clicks = [int(np.abs(samples[at : at + 8000, side].astype(int)).argmax()) for side in (0, 1)]
        assert abs(clicks[0] - 4000) < 8
        assert abs(clicks[0] - clicks[1]) < 40, f"minute {minute}: {clicks}"


def test_refusals_leave_nothing(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_text("mine")
    with pytest.raises(ExportError, match="exists"):
        export(Source(block(0)), there, CopyFormat.WAV)
    assert there.read_text() == "mine"
    with pytest.raises(ExportError, match="ask for wav"):
        export(Source(pack(AUDIO, 0, runs.G722, 0, payload=b"x")), tmp_path / "no", CopyFormat.G711)

    class Broken(Source):
        reads = 0

        def blocks(self) -> Iterator[bytes]:
            self.reads += 1
            yield block(0)
            if self.reads == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(Broken(), tmp_path / "no", CopyFormat.FLAC)
    assert not (tmp_path / "no").exists()


def test_nothing_is_skipped_where_the_first_packet_was_read_late(tmp_path: Path) -> None:
    """What follows a first packet that came 150 ms late lies 150 ms later in the channel; it is heard without a gap."""
    late, audio = 1200, bytes(position % 251 for position in range(40_000))
    anchors = b"".join(
        pack(ANCHOR, 0, PCMU, at, length=at, aux=(at - (late if second else 0)) * 125_000)
        for second, at in enumerate((0, 9200, 17_200, 25_200))
    )
    export(Source(anchors + pack(AUDIO, 0, PCMU, 0, payload=audio)), tmp_path / "a.wav", CopyFormat.WAV)
    samples, _ = soundfile.read(tmp_path / "a.wav", dtype="int16")
    expected = DECODE[PCMU][np.frombuffer(audio[late:], np.uint8)]
    assert np.array_equal(samples[: len(expected), 0], expected)
