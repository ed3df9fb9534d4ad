"""Opens containers for the key holder. The daemon does not use it: it has no private key."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from storage import crypto
from storage.archive_codec import decompress
from storage.containers import Container, path_of_container
from storage.epochs import EpochKeys
from storage.errors import DamagedError, RewrittenError
from storage.format import STREAM_TYPES, ContainerScan, Footer, Frame, FrameType, Status, open_container
from storage.keys import SealedKeys, open_sealed_key
from storage.known_nodes import check_signer
from storage.types import RecordingId

_REWRITTEN = "the recording was erased from, archived or deleted while it was read: try again"


class RecordingReader:
    """The decrypted content of one container; can be read any number of times, in constant memory.

    The container is opened again for each pass; if it was rewritten since, `RewrittenError` is raised, so that nobody
    reads erased audio.

    Attributes:
        id: Recording id.
        head: The head: id, started_at, operator_key, row at the beginning of the recording.
    """

    def __init__(self, container: Container, key: bytes) -> None:
        """Read the head.

        Raises:
            DamagedError: Not a container, changed, or sealed with another key.
            RewrittenError: It was rewritten at the same time.
        """
        self._container = container
        self._key = key
        with open_container(container) as file:
            self._prologue = ContainerScan(file).prologue
        self.id = RecordingId(self._prologue.id)
        self.head: dict[str, Any] = json.loads(next(self.opened())[1])

    def seal_beside(self, plain: bytes, associated: bytes) -> bytes:
        """Seal data about this recording that is stored elsewhere; it can be opened only while the recording can.

        Args:
            plain: The data.
            associated: The kind of data; opening takes the same.
        """
        return crypto.seal_index(plain, crypto.key_beside(self._key), self.id.encode() + b"/" + associated)

    def open_beside(self, sealed: bytes, associated: bytes) -> bytes:
        """Open data that `seal_beside` sealed.

        Raises:
            DamagedError: It is another recording's, or this recording was rewritten since and has another key.
        """
        return crypto.open_index(sealed, crypto.key_beside(self._key), self.id.encode() + b"/" + associated)

    def frames(self) -> Iterator[tuple[FrameType, bytes]]:
        """Yield type and plaintext of every sealed frame in order; compressed audio is decompressed.

        Raises:
            DamagedError: As `opened`.
        """
        return (content(frame, plain) for frame, plain in self.opened())

    def opened(self) -> Iterator[tuple[Frame, bytes]]:
        """Yield every sealed frame in order with its plaintext; compressed audio stays compressed.

        Raises:
            DamagedError: A frame is cut, changed, moved or missing; at the end, the footer is missing, or it says that
                the recording is complete but the end frame is missing.
            RewrittenError: The file was rewritten since it was first opened; nothing was yielded.
        """
        with self._opened_again() as file:
            scan = ContainerScan(file)
            if scan.prologue != self._prologue:  # a rewritten recording has another key
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
            return open_container(self._container)
        except FileNotFoundError as error:
            raise RewrittenError(_REWRITTEN) from error

    def blocks(self) -> Iterator[bytes]:
        """Yield each audio block: runs as in docs/media-core.md."""
        return (plain for kind, plain in self.frames() if kind is FrameType.AUDIO)

    def marks(self) -> Iterator[dict[str, Any]]:
        """Yield each mark."""
        return (json.loads(plain) for frame, plain in self.opened() if frame.type is FrameType.MARK)

    def end(self) -> dict[str, Any] | None:
        """Return the end frame (row, audio_frames, ticks), or None after a crash."""
        return next((json.loads(plain) for frame, plain in self.opened() if frame.type is FrameType.END), None)


def content(frame: Frame, plain: bytes) -> tuple[FrameType, bytes]:
    """Return type and content of a decrypted frame; PACKED is decompressed to AUDIO.

    Raises:
        DamagedError: It cannot be decompressed.
    """
    return (FrameType.AUDIO, decompress(plain)) if frame.type is FrameType.PACKED else (frame.type, plain)


def fresh_path(path: Path) -> Path:
    """Return the path of a rewritten container until it replaces the old one."""
    return path.with_suffix(".erasing")


def open_recording(container: Container, home: Path, keys: EpochKeys) -> RecordingReader:
    """Open a finished container with the private key of the epoch that its key is sealed to.

    In a site with several nodes the footer must be signed by a known one. That the footer fits the content, `verify`
    checks. If a rewrite was killed between its two renames, the sealed
    key is that of the new container, which is opened under its temporary name.

    Args:
        container: The ``.rec`` file, or the container elsewhere.
        home: The recorder's home with the sealed key; without one there, that of the container elsewhere is used.
        keys: The private keys.

    Raises:
        KeyProblemError: The sealed key is missing (deleted recording), or the private key is missing or does not fit.
        DamagedError: The container is damaged, or a node that this site does not know has signed it.
    """
    with open_container(container) as file:
        recording = RecordingId(ContainerScan(file).prologue.id)
    if (name := path_of_container(container).stem) != recording:
        raise DamagedError(f"it holds recording {recording}, not {name}: it was renamed or exchanged")
    check_signer(container, home)
    key = _key_of(container, recording, home, keys)
    while True:
        try:
            return _opened(container, key)
        except (DamagedError, RewrittenError):
            newer = _key_of(container, recording, home, keys)  # it may have been rewritten since the key was read
            if newer == key:
                raise
            key = newer


def _key_of(container: Container, recording: RecordingId, home: Path, keys: EpochKeys) -> bytes:
    """Return a recording's key: from the sealed key of this home, or from the one that is stored elsewhere."""
    sealed = SealedKeys(home)
    if isinstance(container, Path) or sealed.find(recording) is not None:
        return sealed.open(recording, keys)
    stored = container.sealed_key()
    if stored is None:
        return sealed.open(recording, keys)  # raises: there is none
    epoch, content = stored
    return open_sealed_key(content, recording, keys.load_private(epoch), "its sealed key in the object store")


def _opened(container: Container, key: bytes) -> RecordingReader:
    try:
        return RecordingReader(container, key)
    except DamagedError:
        with suppress(FileNotFoundError):
            return RecordingReader(fresh_path(path_of_container(container)), key)
        raise


def epoch_of(path: Path) -> str:
    """Return the month ``YYYY-MM`` of the epoch that a recording's key was first sealed to.

    `SealedKeys.find` returns the present epoch.

    Raises:
        DamagedError: Not a container, or its prologue is damaged.
    """
    with open_container(path) as file:
        return ContainerScan(file).prologue.epoch
