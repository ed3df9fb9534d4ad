"""Compresses blocks of runs for archived recordings, and decompresses them (docs/storage-format.md). Pure (numpy).

Only the payload of G.711 runs is compressed. Position, codec and length of runs, anchors, losses and G.722 bytes stay
unchanged. FLAC is lossless: it encodes not samples but the rank of each code among the 256 codes of its law, from the
most negative to the most positive. So every byte is restored, both zeros of mu-law too, and the ranks are as smooth as
the sound. Opus is lossy: the nearest code to each decoded sample is restored.
"""

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
import soundfile
from numpy.typing import NDArray

from storage.errors import DamagedError
from storage.g711 import DECODE
from storage.runs import AUDIO, PCMA, PCMU, RUN_BYTES, TICKS_PER_S, Run, pack, parse
from storage.types import ArchiveFormat

Bytes = NDArray[np.uint8]
_Ints = NDArray[np.int16]

_HEAD = struct.Struct("<B3xIII")
_LARGEST = 16 << 20
"""Largest decompressed size of a block, bytes, for runs and audio each: larger ones were not written by `compress`."""

_NUMBERS = {ArchiveFormat.FLAC: 1, ArchiveFormat.OPUS: 2}
_FORMATS = {number: form for form, number in _NUMBERS.items()}


def _ranks(law: int) -> tuple[Bytes, Bytes]:
    """Return the rank of each code, and the code of each rank; of mu-law's two zeros 0x7F has the lower rank."""
    codes = np.arange(256)
    order = np.lexsort((codes, DECODE[law]))
    rank = np.empty(256, np.uint8)
    rank[order] = codes
    return rank, order.astype(np.uint8)


_RANK = {law: _ranks(law) for law in (PCMU, PCMA)}


def _nearest(law: int) -> Bytes:
    """Return the code nearest to each 16-bit sample, by sample + 32768; the lower sample wins a tie."""
    order = _RANK[law][1]
    levels = DECODE[law][order].astype(np.int32)
    middles = (levels[:-1] + levels[1:]) / 2
    return order[np.searchsorted(middles, np.arange(-32768, 32768), side="left")]


_NEAREST = {law: _nearest(law) for law in (PCMU, PCMA)}


def compress(block: bytes, form: ArchiveFormat) -> bytes:
    """Compress a block of runs.

    Raises:
        ValueError: Not a block of runs.
    """
    skeleton = bytearray()
    parts: tuple[list[_Ints], list[_Ints]] = ([], [])
    for run in parse(block):
        if _is_packed(run):
            skeleton += pack(run.kind, run.channel, run.codec, run.start, payload=run.payload.tobytes(), aux=run.aux)[
                :RUN_BYTES
            ]
            parts[run.channel].append(_to_ints(run, form))
        else:
            skeleton += pack(
                run.kind, run.channel, run.codec, run.start,
                payload=run.payload.tobytes(), length=run.length, aux=run.aux,
            )  # fmt: skip
    streams = [_encoded(np.concatenate(of_channel), form) if of_channel else b"" for of_channel in parts]
    small = zlib.compress(bytes(skeleton), 9)
    return _HEAD.pack(_NUMBERS[form], len(small), *map(len, streams)) + small + b"".join(streams)


def decompress(content: bytes) -> bytes:
    """Decompress a block of runs; the G.711 of Opus is approximate.

    Raises:
        DamagedError: It was not made by `compress`.
    """
    try:
        return _unpacked(content)
    except (ValueError, KeyError, IndexError, struct.error, zlib.error, soundfile.SoundFileError) as error:
        raise DamagedError(f"a packed block cannot be unpacked: {error}") from error


def format_of(content: bytes) -> ArchiveFormat:
    """Return the format of a compressed block.

    Raises:
        DamagedError: It has no known format.
    """
    try:
        return _FORMATS[content[0]]
    except (IndexError, KeyError) as error:
        raise DamagedError("a packed block is of no format that is known") from error


def _unpacked(content: bytes) -> bytes:
    number, *lengths = _HEAD.unpack_from(content)
    form, at = _FORMATS[number], _HEAD.size
    if _HEAD.size + sum(lengths) != len(content):
        raise ValueError(f"it has {len(content)} bytes, its parts {_HEAD.size + sum(lengths)}")
    parts = []
    for length in lengths:
        parts.append(content[at : at + length])
        at += length
    opener = zlib.decompressobj()
    skeleton = opener.decompress(parts[0], _LARGEST)
    if not opener.eof:
        raise ValueError("its runs are cut")
    streams = [_decoded(part, form) if part else np.empty(0, np.int16) for part in parts[1:]]
    return b"".join(_whole_runs(skeleton, (streams[0], streams[1]), form))


def _whole_runs(skeleton: bytes, streams: tuple[_Ints, _Ints], form: ArchiveFormat) -> Iterator[bytes]:
    """Yield every run with its payload; compressed payloads come from the streams."""
    used, at = [0, 0], 0
    while at < len(skeleton):
        head = skeleton[at : at + RUN_BYTES]
        kind, channel, codec, length = head[0], head[1] & 1, head[2], int.from_bytes(head[4:8], "little")
        at += RUN_BYTES
        if kind == AUDIO and codec in _RANK:
            values = streams[channel][used[channel] : used[channel] + length]
            if len(values) != length:
                raise ValueError(f"channel {channel} has {len(streams[channel])} samples, too few")
            used[channel] += length
            yield head + _to_codes(values, codec, form).tobytes()
        else:
            own = length if kind == AUDIO else 0
            yield head + skeleton[at : at + own]
            at += own
    if used != [len(stream) for stream in streams]:
        raise ValueError("the streams hold more samples than the runs")


def _is_packed(run: Run) -> bool:
    return run.kind == AUDIO and run.codec in _RANK


def _to_ints(run: Run, form: ArchiveFormat) -> _Ints:
    codes = np.frombuffer(run.payload, np.uint8)
    if form is ArchiveFormat.OPUS:
        return DECODE[run.codec][codes]
    return (_RANK[run.codec][0][codes].astype(np.int16) - 128) << 8


def _to_codes(values: _Ints, codec: int, form: ArchiveFormat) -> Bytes:
    table, index = _NEAREST[codec], values.astype(np.int32) + 32768
    if form is ArchiveFormat.FLAC:
        table, index = _RANK[codec][1], index >> 8
    codes: Bytes = table[index]
    return codes


def _encoded(values: _Ints, form: ArchiveFormat) -> bytes:
    file = io.BytesIO()
    if form is ArchiveFormat.FLAC:
        with soundfile.SoundFile(file, "w", TICKS_PER_S, 1, subtype="PCM_S8", format="FLAC") as sound:
            sound.write(values)
    else:
        with soundfile.SoundFile(file, "w", TICKS_PER_S, 1, subtype="OPUS", format="OGG") as sound:
            sound.write(values.astype(np.float32) / 32768)
    return file.getvalue()


def _decoded(content: bytes, form: ArchiveFormat) -> _Ints:
    with soundfile.SoundFile(io.BytesIO(content)) as sound:
        if sound.format != ("FLAC" if form is ArchiveFormat.FLAC else "OGG") or sound.frames > _LARGEST:
            raise ValueError("a stream is not of the block's format, or too long")
        values: _Ints = sound.read(dtype="int16")
    return values
