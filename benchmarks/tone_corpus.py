"""Recorded speech and music that Debian packages ship: which packages, and how to read what is in them.

A package is extracted, not installed: ``apt-get download NAME`` and ``dpkg -x NAME_*.deb DIR/NAME``, all below one
folder that is given to ``python -m benchmarks.tones --corpus``. What is not there is left out; the result says so.
"""

import enum
import io
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from benchmarks.tone_channel import RATE, Signal
from benchmarks.tone_speech import Clip

_SHORTEST_S = 0.1
_LONGEST_PIECE_S = 300
_SKY_FIRST_SPEECH = 50_000


class Kind(enum.StrEnum):
    """What a recording is of."""

    SPEECH = "recorded_speech"
    MUSIC = "music"


@dataclass(frozen=True, slots=True)
class Package:
    """A Debian package and those of its files that are recordings of one kind."""

    name: str
    kind: Kind
    pattern: str


_PROMPTS = (
    *(f"asterisk-core-sounds-{language}-wav" for language in ("en", "es", "fr", "it", "ru")),
    *("asterisk-prompt-de", "asterisk-prompt-es-co", "asterisk-prompt-fr-armelle", "asterisk-prompt-it-menardi-wav"),
)
PACKAGES = (
    *(Package(name, Kind.SPEECH, "**/*.wav" if name.endswith("wav") else "**/*.gsm") for name in _PROMPTS),
    Package("festvox-ru", Kind.SPEECH, "**/wav/*.wav"),
    Package("pocketsphinx-testdata", Kind.SPEECH, "**/*.wav"),
    Package("beneath-a-steel-sky", Kind.SPEECH, "**/sky.dnr"),
    Package("flight-of-the-amazon-queen", Kind.SPEECH, "**/queen.1c"),
    Package("drascula", Kind.SPEECH, "**/*.ALS"),
    Package("drascula-italian", Kind.SPEECH, "**/*.ALS"),
    Package("drascula-spanish", Kind.SPEECH, "**/*.ALS"),
    Package("klettres-data", Kind.SPEECH, "**/*.ogg"),
    Package("ktuberling-data", Kind.SPEECH, "**/sounds/**/*"),
    Package("hedgewars-data", Kind.SPEECH, "**/Sounds/voices/**/*.ogg"),
    Package("hedgewars-data", Kind.MUSIC, "**/Music/**/*.ogg"),
    Package("asterisk-moh-opsound-wav", Kind.MUSIC, "**/*.wav"),
    Package("warzone2100-music", Kind.MUSIC, "**/*.opus"),
    Package("singularity-music", Kind.MUSIC, "**/*.ogg"),
    Package("wesnoth-1.18-music", Kind.MUSIC, "**/*.ogg"),
)
BOOKS = ("fortunes", "fortunes-de", "fortunes-it", "fortunes-pl", "fortunes-cs")
"""Packages with text for the synthetic voices."""


class CorpusError(RuntimeError):
    """A file that should hold a recording cannot be read as one."""


def recordings(root: Path, pattern: str) -> Iterator[Clip]:
    """Yield the recordings below a folder, in the order of their names, at 8000 Hz and in pieces of at most 5 minutes.

    Several channels are added up. What is shorter than 0.1 s, and files that are no sound, are passed over.
    """
    for path in sorted(root.glob(pattern)):
        reader = _READERS.get(path.suffix.lower())
        if reader and path.is_file():
            for name, sound, rate in reader(path):
                yield from _pieces(name, sound, rate)


def _pieces(name: str, sound: Signal, rate: int) -> Iterator[Clip]:
    if len(sound) < _SHORTEST_S * rate:
        return
    signal = np.asarray(soxr.resample(sound, rate, RATE), np.float64) if rate != RATE else sound
    step = _LONGEST_PIECE_S * RATE
    for start in range(0, len(signal), step):
        yield Clip(f"{name}@{start // RATE}" if start else name, signal[start : start + step])


_Sound = tuple[str, Signal, int]


def _opened(name: str, file: Path | io.BytesIO, **options: object) -> Iterator[_Sound]:
    try:
        sound, rate = soundfile.read(file, dtype="float64", always_2d=True, **options)
    except soundfile.LibsndfileError:
        return
    yield name, sound.mean(axis=1) * 32767, rate


def _read_sound(path: Path) -> Iterator[_Sound]:
    return _opened(path.name, path)


def _read_gsm(path: Path) -> Iterator[_Sound]:
    return _opened(path.name, path, samplerate=RATE, channels=1, format="RAW", subtype="GSM610")


def _read_unsigned(path: Path) -> Iterator[_Sound]:
    yield path.name, _unsigned(path.read_bytes()), 11_025


def _unsigned(data: bytes) -> Signal:
    return (np.frombuffer(data, np.uint8).astype(np.float64) - 128) * 256


def _read_queen(path: Path) -> Iterator[_Sound]:
    """Read the MP3 files inside the game's bundle: a table of (name, bundle, offset, length), big-endian."""
    data = path.read_bytes()
    if data[:4] != b"QTBL":
        raise CorpusError(f"{path.name} begins with {data[:4]!r}, not QTBL")
    (count,) = struct.unpack_from(">H", data, 13)
    for index in range(count):
        name, _, offset, length = struct.unpack_from(">12sBII", data, 15 + 21 * index)
        if name.rstrip(b"\0").endswith(b".SB"):
            yield from _opened(name.rstrip(b"\0").decode(), io.BytesIO(data[offset : offset + length]))


def _read_sky(path: Path) -> Iterator[_Sound]:
    """Read the speech of the game's disk: a table of (number, offset, length); compressed entries are passed over."""
    table, disk = path.read_bytes(), path.with_suffix(".dsk").read_bytes()
    for index in range(struct.unpack_from("<I", table)[0]):
        entry = table[4 + 8 * index : 12 + 8 * index]
        offset = int.from_bytes(entry[2:5], "little")
        length = int.from_bytes(entry[5:8], "little") & 0x3FFFFF
        offset = (offset & 0x7FFFFF) << (4 if offset & 0x800000 else 0)
        number = int.from_bytes(entry[:2], "little")
        content = disk[offset + _SKY_HEADER : offset + length]
        if number >= _SKY_FIRST_SPEECH and content[:4] != b"RNC\1":
            yield f"{number}", _unsigned(content), 11_025


_SKY_HEADER = 22
_READERS: dict[str, Callable[[Path], Iterator[_Sound]]] = {
    **dict.fromkeys((".wav", ".ogg", ".opus", ".flac", ".mp3"), _read_sound),
    ".gsm": _read_gsm,
    ".als": _read_unsigned,
    ".1c": _read_queen,
    ".dnr": _read_sky,
}
