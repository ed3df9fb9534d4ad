"""Writes the container of a recording in progress. One thread."""

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from storage import crypto
from storage.durable import AppendFile, remove, sync_folder
from storage.errors import WriteFailedError
from storage.format import Footer, FrameType, Prologue, RunningHash, Status, frame_header
from storage.keys import NodeKeys, destroy_key
from storage.runs import end_of_audio
from storage.types import FinishedFile, RecordingHead, RecordingId


def encode_json(fields: Mapping[str, Any]) -> bytes:
    """Return compact UTF-8 JSON of a mapping."""
    return _encode(fields).encode()


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def index_context(recording: str, header: bytes, offset: int) -> bytes:
    """Return the associated data of an index frame, which binds it to its recording and offset."""
    return recording.encode("ascii") + b"\0" + header + offset.to_bytes(8, "little")


def finished_path(part: Path) -> Path:
    """Return the path of a ``.part`` after it is closed."""
    return part.with_suffix(".rec")


class FrameWriter:
    """Appends frames with the running hash; makes index frames and footer. Used by writing, recovery and rewriting."""

    __slots__ = ("_file", "_hash", "_id", "_node", "_pending")

    def __init__(self, file: AppendFile, recording: RecordingId, node: NodeKeys, running: RunningHash) -> None:
        self._file = file
        self._id = recording
        self._node = node
        self._hash = running
        self._pending: list[bytes | bytearray] = []

    @property
    def position(self) -> int:
        """Offset of the next frame, with the frames that are not written yet."""
        return self._file.size + sum(map(len, self._pending))

    @property
    def has_pending(self) -> bool:
        """Tell whether sealed frames are not written yet."""
        return bool(self._pending)

    def digest(self) -> bytes:
        """Return the SHA-256 over all frames so far."""
        return self._hash.digest()

    def put(self, *parts: bytes | bytearray) -> None:
        """Queue the parts of a frame or of the prologue, and their check; the parts are not copied."""
        self._pending += *parts, self._hash.check(*parts)

    def put_index(self, row: Mapping[str, Any], ticks: int) -> None:
        """Queue an index frame: the row, sealed to the node."""
        plain = encode_json(row)
        header = frame_header(FrameType.INDEX, len(plain) + crypto.INDEX_OVERHEAD_BYTES, ticks)
        context = index_context(self._id, header, self.position)
        self.put(header, crypto.seal_index(plain, self._node.index_key, context))

    def put_footer(self, status: Status, ticks: int) -> None:
        """Queue the signed footer; nothing may follow."""
        footer = Footer(
            status=status,
            closed_ms=time.time_ns() // 1_000_000,
            covered_bytes=self.position,
            digest=self._hash.digest(),
            fingerprint=crypto.fingerprint(self._node.sign_public),
            id=self._id,
        )
        header = frame_header(FrameType.FOOTER, footer.body_bytes(), ticks)
        signed = footer.pack()
        self.put(header, signed + crypto.sign(footer.signed_message(header), self._node.sign_secret))

    def write(self) -> None:
        """Write the queued frames.

        Raises:
            OSError: None of them is in the file; they stay queued for the next try.
        """
        if self._pending:
            self._file.append(self._pending)
            self._pending = []


def settle(file: AppendFile, *, sync: Callable[[], None]) -> Path:
    """Make a complete container durable, and rename it to its final name; safe to repeat after a kill."""
    sync()
    target = finished_path(file.path)
    if target.exists():
        raise FileExistsError(17, "a finished recording of that name exists", str(target))
    file.path.rename(target)
    sync_folder(target.parent)
    return target


class OpenRecording:
    """A container being written: `append` audio, `update` and `mark`, then `close` or `discard`.

    Made by `storage.vault.Vault.create`. Every method that writes raises WriteFailedError if the disk refuses; the file
    then still ends after a whole frame, and the next call writes the queued frames first.
    """

    __slots__ = (
        "_audio_frames", "_file", "_frames", "_key_path", "_root", "_sealer", "_ticks", "epoch", "id",
        "is_fallback_epoch",
    )  # fmt: skip

    def __init__(
        self, *, file: AppendFile, head: RecordingHead, root: Path, key_path: Path, prologue: Prologue,
        sealer: crypto.StreamSealer, node: NodeKeys, is_fallback_epoch: bool,
    ) -> None:  # fmt: skip
        self.id = head.id
        self.epoch = prologue.epoch
        self.is_fallback_epoch = is_fallback_epoch
        """The current month has no epoch key: alarm the key holder."""
        self._file = file
        self._root = root
        self._key_path = key_path
        self._sealer = sealer
        self._ticks = 0
        self._audio_frames = 0
        self._frames = FrameWriter(file, head.id, node, RunningHash())
        clear = prologue.pack()
        self._frames.put(clear)
        fields = {
            "id": head.id,
            "started_at": head.started_at.isoformat(),
            "operator_key": head.operator_key,
            "row": head.index_row,
        }
        self._put_sealed(FrameType.HEAD, encode_json(fields), bound=clear)
        self._frames.put_index(head.index_row, 0)

    @property
    def path(self) -> Path:
        """The ``.part`` file."""
        return self._file.path

    @property
    def ticks(self) -> int:
        """End of the audio appended so far, ticks of 1/8000 s from the opening of the tap."""
        return self._ticks

    def begin(self) -> None:
        """Write prologue, head and first row durably; called once, by the vault.

        Raises:
            OSError: From the system.
        """
        self._frames.write()
        self._file.sync()

    def append(self, block: bytes | memoryview, *, end: int | None = None) -> None:
        """Seal a block of runs and append it, without sync; empty blocks are skipped.

        The block is not copied; the caller wipes it.

        Args:
            block: The runs.
            end: Position after the last tick of audio or loss in it, if the caller knows it.

        Raises:
            ValueError: Not a block of runs, or larger than a frame; nothing was written.
            WriteFailedError: The disk refused; ``is_taken`` says who has the block.
        """
        if not block:
            return
        ticks = end_of_audio(block) if end is None else end
        self._retry()
        self._ticks = max(self._ticks, ticks)
        self._put_sealed(FrameType.AUDIO, block)
        self._audio_frames += 1
        self._write()

    def update(self, index_row: Mapping[str, Any]) -> None:
        """Append the present row, sealed to the node, for recovery; no sync.

        Raises:
            WriteFailedError: The disk refused.
        """
        self._retry()
        self._frames.put_index(index_row, self._ticks)
        self._write()

    def mark(self, fields: Mapping[str, Any]) -> None:
        """Append an event, sealed like the audio; no sync.

        Raises:
            WriteFailedError: The disk refused.
        """
        self._retry()
        self._put_sealed(FrameType.MARK, encode_json(fields))
        self._write()

    def sync(self) -> None:
        """Make all appended bytes durable.

        Raises:
            WriteFailedError: The disk refused; bytes synced before are safe.
        """
        self._retry()
        try:
            self._file.sync()
        except OSError as error:
            raise self._failure(error, is_taken=True) from error

    def close(self, index_row: Mapping[str, Any], *, is_complete: bool) -> FinishedFile:
        """Write the end, the last row and the signed footer, sync, rename to ``.rec``, sync the folder.

        Args:
            index_row: The final row, still without path, bytes and sha256.
            is_complete: False marks the file as partial: some audio is missing.

        Raises:
            WriteFailedError: The disk refused. The ``.part`` stays and is closed by recovery.
        """
        status = Status.COMPLETE if is_complete else Status.PARTIAL
        end = {"row": index_row, "audio_frames": self._audio_frames, "ticks": self._ticks}
        self._put_sealed(FrameType.END, encode_json(end), is_final=True)
        self._sealer.wipe()
        self._frames.put_index(index_row, self._ticks)
        self._frames.put_footer(status, self._ticks)
        try:
            self._frames.write()
            target = settle(self._file, sync=self._file.sync)
        except OSError as error:
            raise self._failure(error, is_taken=True) from error
        finally:
            self._file.close()
        return FinishedFile(
            path=target.relative_to(self._root).as_posix(),
            bytes=self._file.size,
            sha256=self._frames.digest().hex(),
            is_complete=is_complete,
        )

    def discard(self) -> None:
        """Destroy the sealed key, then the file, durably and in that order: nothing opens a file that a kill leaves.

        Raises:
            WriteFailedError: The system refused; call again.
        """
        self._file.close()
        try:
            destroy_key(self._key_path)
            remove(self._file.path)
        except OSError as error:
            raise self._failure(error, is_taken=False) from error

    def _put_sealed(
        self, kind: FrameType, plain: bytes | memoryview, *, bound: bytes = b"", is_final: bool = False
    ) -> None:
        header = frame_header(kind, len(plain) + crypto.STREAM_OVERHEAD_BYTES, self._ticks)
        self._frames.put(header, self._sealer.seal(plain, bound + header, is_final=is_final))

    def _retry(self) -> None:
        if self._frames.has_pending:
            try:
                self._frames.write()
            except OSError as error:
                raise self._failure(error, is_taken=False) from error

    def _write(self) -> None:
        try:
            self._frames.write()
        except OSError as error:
            raise self._failure(error, is_taken=True) from error

    def _failure(self, error: OSError, *, is_taken: bool) -> WriteFailedError:
        reason = os.strerror(error.errno) if error.errno else str(error)
        return WriteFailedError(f"recording {self.id} cannot be written: {reason}", is_taken=is_taken)
