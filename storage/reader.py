"""Opens a container for the key holder. Never used by the daemon: it has no private key."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from storage import crypto
from storage.epochs import EpochKeys
from storage.errors import DamagedError, RewrittenError
from storage.format import STREAM_TYPES, ContainerScan, Footer, Frame, FrameType, Status, open_container
from storage.keys import SealedKeys
from storage.packing import unpacked
from storage.types import RecordingId

_REWRITTEN = "the recording was erased from, archived or deleted while it was read: try again"


class RecordingReader:
    """The opened content of one container; may be read through any number of times, in constant memory.

    The file is opened anew for each time, so that what was erased meanwhile is given to nobody: `RewrittenError`.

    Attributes:
        id: Recording id.
        head: What was known when recording began: id, started_at, operator_key, row.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        """Open the head.

        Raises:
            DamagedError: Not a container, changed, or not of this key.
            RewrittenError: It was rewritten in this very moment.
        """
        self._path = path
        self._key = key
        with open_container(path) as file:
            self._prologue = ContainerScan(file).prologue
        self.id = RecordingId(self._prologue.id)
        self.head: dict[str, Any] = json.loads(next(self.opened())[1])

    def seal_beside(self, plain: bytes, associated: bytes) -> bytes:
        """Seal what belongs to this recording and lies elsewhere: when the recording's key is gone, so is that.

        Args:
            plain: What.
            associated: What it is; to open it takes the same.
        """
        return crypto.seal_index(plain, crypto.key_beside(self._key), self.id.encode() + b"/" + associated)

    def open_beside(self, sealed: bytes, associated: bytes) -> bytes:
        """Open what `seal_beside` sealed.

        Raises:
            DamagedError: It is another recording's, or this one was rewritten since and has another key.
        """
        return crypto.open_index(sealed, crypto.key_beside(self._key), self.id.encode() + b"/" + associated)

    def frames(self) -> Iterator[tuple[FrameType, bytes]]:
        """Yield type and plaintext of every sealed frame in order, packed audio as the audio that it holds.

        Raises:
            DamagedError: As `opened`.
        """
        return (content(frame, plain) for frame, plain in self.opened())

    def opened(self) -> Iterator[tuple[Frame, bytes]]:
        """Yield every sealed frame in order with its plaintext, packed audio as it is packed.

        Raises:
            DamagedError: At the first frame that is cut, changed, moved or missing; a file without a footer or
                with one that says complete but without its end fails at the end.
            RewrittenError: The file is not the one that was opened at first; nothing of it was given.
        """
        with self._opened_again() as file:
            scan = ContainerScan(file)
            if scan.prologue != self._prologue:  # a rewritten recording has a key of its own
                raise RewrittenError(_REWRITTEN)
            opener = crypto.StreamOpener(self._key, scan.prologue.stream_header)
            bound, has_ended, status = scan.prologue.pack(), False, None
            for frame in scan.frames():
                if frame.type is FrameType.FOOTER:
                    status = Footer.parse(frame)[0].status
                if frame.type not in STREAM_TYPES:
                    continue
                plain, has_ended = opener.open(frame.body, bound + frame.header)
                bound = b""
                yield frame, plain
        if status is None or (status is Status.COMPLETE and not has_ended):
            raise DamagedError("the recording's end is missing")

    def _opened_again(self) -> BinaryIO:
        try:
            return open_container(self._path)
        except FileNotFoundError as error:
            raise RewrittenError(_REWRITTEN) from error

    def blocks(self) -> Iterator[bytes]:
        """Yield each audio block: runs as docs/media-core.md lays out."""
        return (plain for kind, plain in self.frames() if kind is FrameType.AUDIO)

    def marks(self) -> Iterator[dict[str, Any]]:
        """Yield each mark."""
        return (json.loads(plain) for frame, plain in self.opened() if frame.type is FrameType.MARK)

    def end(self) -> dict[str, Any] | None:
        """Return what was known when recording ended (row, audio_frames, ticks), or None after a crash."""
        return next((json.loads(plain) for frame, plain in self.opened() if frame.type is FrameType.END), None)


def content(frame: Frame, plain: bytes) -> tuple[FrameType, bytes]:
    """Return what an opened frame holds: a packed one holds audio.

    Raises:
        DamagedError: It cannot be unpacked.
    """
    return (FrameType.AUDIO, unpacked(plain)) if frame.type is FrameType.PACKED else (frame.type, plain)


def fresh_path(path: Path) -> Path:
    """Return the name that a rewritten container has until it takes the place of the old one."""
    return path.with_suffix(".erasing")


def open_recording(path: Path, home: Path, keys: EpochKeys) -> RecordingReader:
    """Open a finished container with the private key of the epoch that its key is sealed to; `verify` it first.

    Where a rewriting was killed between its two renames, the key is that of the new container, which has not got its
    name yet: then that one is opened.

    Args:
        path: The ``.rec`` file.
        home: The recorder's home that holds its sealed key.
        keys: The private keys.

    Raises:
        KeyProblemError: The sealed key is gone (deleted recording), the private key is not here, or does not open it.
        DamagedError: The container is not what was written.
    """
    with open_container(path) as file:
        recording = RecordingId(ContainerScan(file).prologue.id)
    sealed = SealedKeys(home)
    key = sealed.open(recording, keys)
    while True:
        try:
            return _opened(path, key)
        except (DamagedError, RewrittenError):
            newer = sealed.open(recording, keys)  # it may have been rewritten between the key and the container
            if newer == key:
                raise
            key = newer


def _opened(path: Path, key: bytes) -> RecordingReader:
    try:
        return RecordingReader(path, key)
    except DamagedError:
        with suppress(FileNotFoundError):
            return RecordingReader(fresh_path(path), key)
        raise


def epoch_of(path: Path) -> str:
    """Return the month ``YYYY-MM`` that a recording's key was first sealed to; `SealedKeys.find` knows where it is now.

    Raises:
        DamagedError: Not a container, or its prologue is damaged.
    """
    with open_container(path) as file:
        return ContainerScan(file).prologue.epoch
