"""Audio on its way to a browser."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from recorder.common.problems import ProblemError
from recorder.web.deps import AudioFile
from storage.errors import StorageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """Response to a player: the bytes ``[first, end)`` of a WAV file of ``size`` bytes.

    Attributes:
        audio: The bytes.
        first: Position of the first byte.
        end: Position after the last byte.
        size: Size of the whole file, bytes.
        is_part: Whether the player asked for a part.
    """

    audio: AudioFile
    first: int
    end: int
    size: int
    is_part: bool


def begun(audio: AudioFile) -> AudioFile:
    """Produce the first bytes of a response before it starts, so that errors can still be reported."""
    try:
        first = next(audio.chunks, b"")
    except StorageError as error:
        raise ProblemError(409, f"The recording cannot be copied: {error}.") from error
    return replace(audio, chunks=_from_first(first, audio.chunks))


def _from_first(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield first
        yield from rest
    finally:
        close = getattr(rest, "close", None)
        if close is not None:
            close()
