"""Replaces a finished recording by a new container with a new key, for erasing and for archiving.

Steps, each durable before the next: write the new key (``.next``) and the new container (``.erasing``), and prove both;
replace the old key by the new one, after which nothing opens the old container; replace the old container. After a kill
the next run undoes or completes the rewrite. Only one run at a time for a recording.

The new key is sealed to the epoch of the old one, so that a recording does not live longer because it was rewritten.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, Protocol

from storage import crypto
from storage.durable import AppendFile, remove, sync_folder
from storage.epochs import EpochKeys, EpochPublicKey
from storage.errors import DamagedError, WriteFailedError
from storage.format import ContainerScan, Footer, FrameType, Prologue, RunningHash, Status, frame_header
from storage.keys import destroy_key
from storage.reader import RecordingReader, content, fresh_path, open_recording
from storage.recording import FrameWriter, encode_json
from storage.rows import row_to_json
from storage.runs import TICKS_PER_S, Run, parse
from storage.types import RecordingId, RecordingRow
from storage.vault import Vault
from storage.verify import verify

Progress = Callable[[float, float], None]
"""Called with the seconds done and the seconds in all."""
Exchanging = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A recording that was verified and opened.

    Attributes:
        reader: Its content.
        sha256: Digest of its container, hex.
        bytes: Size of its container.
    """

    reader: RecordingReader
    sha256: str
    bytes: int


class Change(Protocol):
    """How a recording is changed by a rewrite."""

    @property
    def version(self) -> int:
        """Format version of the new container."""

    @property
    def row(self) -> RecordingRow:
        """The new row, but for path, bytes and sha256."""

    @property
    def marks(self) -> Sequence[Mapping[str, Any]]:
        """Marks to add after the existing ones."""

    def take(self, block: bytes) -> Iterator[tuple[FrameType, bytes]]:
        """Yield the frames for a block of audio; audio may be held back for `rest`."""

    def rest(self) -> Iterator[tuple[FrameType, bytes]]:
        """Yield the audio held back; called before a frame without audio, and at the end."""

    def meant(self, block: bytes) -> bytes:
        """Return the runs that must be read back for a block of audio."""

    def is_as_meant(self, meant: Run, found: Run) -> bool:
        """Tell whether a run that was read back is as `meant` returned it."""


def rewrite(
    vault: Vault,
    keys: EpochKeys,
    row: RecordingRow,
    plan: Callable[[Whole], Change],
    *,
    progress: Progress = lambda _done, _total: None,
    exchanging: Exchanging = nullcontext,
) -> RecordingRow:
    """Rewrite a recording; durable when this returns. Uses constant memory.

    The caller holds a lock and saves the returned row; until then it may run again.

    Args:
        vault: The store.
        keys: The private keys.
        row: The recording's row, with a path.
        plan: Returns the change for the verified and opened recording.
        progress: Called with the seconds done and the seconds in all.
        exchanging: Gives the context in which the old key is destroyed; if it cannot be entered, nothing is changed.

    Returns:
        The new row.

    Raises:
        DamagedError: The recording is not as its node closed it; nothing was changed.
        KeyProblemError: Its key or the private key of its epoch is missing; nothing was changed.
        StorageError: It is elsewhere, and cannot be reached; nothing was changed.
        WriteFailedError: The disk refused; the old recording is whole, or the next run continues.
    """
    try:
        path = vault.bring(row)
        clear_up(vault, keys, path)
        found = verify(path, vault.trusted)
        if found.problem is not None:
            raise DamagedError(f"{path.name} is not what was recorded, and is not rewritten: {found.problem}")
        whole = Whole(reader=open_recording(path, vault.home, keys), sha256=found.sha256, bytes=found.bytes)
        return _Rewriting(vault, keys, path, whole.reader, plan(whole)).run(progress, exchanging)
    except OSError as error:
        raise WriteFailedError(
            f"recording {row.id} cannot be rewritten: {error.strerror or error}", is_taken=False
        ) from error


def clear_up(vault: Vault, keys: EpochKeys, path: Path) -> None:
    """Undo or complete a rewrite that was killed; without one, do nothing.

    Raises:
        DamagedError, KeyProblemError: The recording or its private key cannot be opened; nothing was changed.
        OSError: From the system.
    """
    fresh = fresh_path(path)
    if fresh.exists():
        if _is_current(vault, keys, fresh):
            _take_place(fresh, path)
            return
        remove(fresh)
    for epoch in vault.sealed.epochs():
        next_key = vault.sealed.next_path(RecordingId(path.stem), epoch)
        if next_key.exists():
            destroy_key(next_key)


def _is_current(vault: Vault, keys: EpochKeys, fresh: Path) -> bool:
    """Tell whether the sealed key is that of the new container, so that the rewrite must be completed."""
    key = vault.sealed.open(RecordingId(fresh.stem), keys)
    try:
        RecordingReader(fresh, key)
    except DamagedError:
        return False
    return True


def _take_place(fresh: Path, path: Path) -> None:
    fresh.replace(path)
    sync_folder(path.parent)


def _status_of(path: Path) -> Status:
    with path.open("rb") as file:
        (last,) = deque(ContainerScan(file).frames(), maxlen=1)  # one at a time: an hour of them is 58 MB
    return Footer.parse(last)[0].status


def _runs(blocks: Iterable[bytes]) -> Iterator[Run]:
    return chain.from_iterable(map(parse, blocks))


class _Rewriting:
    """The rewrite of one verified recording."""

    def __init__(self, vault: Vault, keys: EpochKeys, path: Path, old: RecordingReader, change: Change) -> None:
        self._vault = vault
        self._path = path
        self._id = RecordingId(path.stem)
        self._epoch = keys.load_private(vault.sealed.locate(self._id)).public_key
        self._old = old
        self._change = change

    def run(self, progress: Progress, exchanging: Exchanging) -> RecordingRow:
        key, fresh = crypto.new_key(), fresh_path(self._path)
        with ExitStack() as exchange:
            try:
                self._vault.sealed.seal_next(self._id, key, self._epoch)
                size, digest = self._write(fresh, key, progress)
                self._prove(fresh, key)
                exchange.enter_context(exchanging())
            except BaseException:
                self._give_up(fresh)
                raise
            self._vault.sealed.take_next(self._id, self._epoch.name)
            _take_place(fresh, self._path)
        return replace(self._change.row, bytes=size, sha256=digest.hex())

    def _give_up(self, fresh: Path) -> None:
        with suppress(OSError):
            remove(fresh)
            destroy_key(self._vault.sealed.next_path(self._id, self._epoch.name))

    def _write(self, fresh: Path, key: bytes, progress: Progress) -> tuple[int, bytes]:
        """Write the new container; returns its size and digest, durable."""
        total_s = self._change.row.duration_s
        file = AppendFile.create(fresh)
        try:
            copy = _Copy(self._vault, file, self._epoch, key, self._change)
            for frame, plain in self._old.opened():
                copy.take(*content(frame, plain), frame.ticks)
                progress(min(frame.ticks / TICKS_PER_S, total_s), total_s)
            digest = copy.close(_status_of(self._path))
            file.sync()
        finally:
            file.close()
        return file.size, digest

    def _prove(self, fresh: Path, key: bytes) -> None:
        """Read the new container back before the old one is destroyed.

        Raises:
            DamagedError: It is not as planned.
        """
        state = verify(fresh, self._vault.node.sign_public)
        if state.problem is not None:
            raise DamagedError(f"the rewritten {fresh.name} is damaged: {state.problem}")
        meant = _runs(map(self._change.meant, self._old.blocks()))
        found = _runs(RecordingReader(fresh, key).blocks())
        for one, other in zip_longest(meant, found):
            if one is None or other is None or not self._change.is_as_meant(one, other):
                raise DamagedError(f"the rewritten {fresh.name} does not hold what was to be kept")


class _Copy:
    """Writes the new container."""

    def __init__(self, vault: Vault, file: AppendFile, epoch: EpochPublicKey, key: bytes, change: Change) -> None:
        row = change.row
        self._change = change
        self._sealer = crypto.StreamSealer(key)
        self._frames = FrameWriter(file, row.id, vault.node, RunningHash())
        self._fields = row_to_json(replace(row, path=None, bytes=None, sha256=None), with_peaks=True)
        self._prologue = Prologue(
            id=row.id,
            epoch=epoch.month,
            epoch_fingerprint=crypto.fingerprint(epoch.public),
            stream_header=self._sealer.header,
            version=change.version,
        ).pack()
        self._audio_frames = 0
        self._ticks = 0
        self._has_end = False
        self._frames.put(self._prologue)

    def take(self, kind: FrameType, plain: bytes, ticks: int) -> None:
        """Copy a frame of the old container, changed."""
        if kind is not FrameType.AUDIO:
            self._put_audio(self._change.rest())
        self._ticks = max(self._ticks, ticks)
        if kind is FrameType.HEAD:
            self._seal(kind, plain, bound=self._prologue)
            self._frames.put_index(self._fields, self._ticks)
        elif kind is FrameType.AUDIO:
            self._put_audio(self._change.take(plain))
        elif kind is FrameType.END:
            self._has_end = True  # `close` writes a new one, after the marks
        else:
            self._seal(kind, plain)
        self._frames.write()

    def close(self, status: Status) -> bytes:
        """Write the marks, the end and the footer; returns the digest of the file."""
        self._put_audio(self._change.rest())
        for mark in self._change.marks:
            self._seal(FrameType.MARK, encode_json(mark))
        if self._has_end:
            end = {"row": self._fields, "audio_frames": self._audio_frames, "ticks": self._ticks}
            self._seal(FrameType.END, encode_json(end), is_final=True)
        self._sealer.wipe()
        self._frames.put_index(self._fields, self._ticks)
        self._frames.put_footer(status, self._ticks)
        self._frames.write()
        return self._frames.digest()

    def _put_audio(self, frames: Iterable[tuple[FrameType, bytes]]) -> None:
        for kind, plain in frames:
            self._seal(kind, plain)
            self._audio_frames += 1

    def _seal(self, kind: FrameType, plain: bytes, *, bound: bytes = b"", is_final: bool = False) -> None:
        header = frame_header(kind, len(plain) + crypto.STREAM_OVERHEAD_BYTES, self._ticks)
        self._frames.put(header, self._sealer.seal(plain, bound + header, is_final=is_final))
