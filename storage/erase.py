"""Erases spans of a finished recording, for the key holder: a new container and key take the place of the old ones.

Steps, each durable before the next: the new key (``.next``), the new container (``.erasing``), both proved; then the
new key replaces the old one - from here on nothing opens the old container - and the new container the old one. Killed
anywhere, the next run clears up what was not finished, or finishes it. One run at a time for a recording.

The new key is sealed to the epoch of the old one: a recording must not live longer because part of it was erased.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path

from storage import crypto
from storage.durable import AppendFile, remove, sync_folder
from storage.errors import DamagedError, WriteFailedError
from storage.format import ContainerScan, Footer, FrameType, Prologue, RunningHash, Status, frame_header
from storage.keys import EpochKeys, EpochPublicKey, destroy_key
from storage.reader import RecordingReader, open_recording
from storage.recording import FrameWriter, encode_json
from storage.rows import row_to_json
from storage.runs import TICKS_PER_S
from storage.spans import (
    Cuts,
    Span,
    Survey,
    peaks_without,
    recorded_seconds,
    segments_without,
    ticks_within,
    without,
)
from storage.types import RecordingId, RecordingRow
from storage.vault import Vault
from storage.verify import verify

Progress = Callable[[float, float], None]
"""Called with seconds done and seconds in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What an erasure takes away.

    Attributes:
        silenced_s: Seconds of audio that are kept now and would be gone, left and right.
        row: The row as it would be; path, bytes and sha256 still those of now.
    """

    silenced_s: tuple[float, float]
    row: RecordingRow


def preview(
    vault: Vault, keys: EpochKeys, row: RecordingRow, spans: Sequence[Span], *, speech: Callable[[bytes], float]
) -> Preview:
    """Say what `erase_spans` would do; nothing is changed.

    Raises:
        DamagedError, KeyProblemError: The recording cannot be opened.
    """
    path = _path(vault, row)
    reader = open_recording(path, vault.home, keys)
    cuts = _survey(reader, spans)
    ticks = [0, 0]
    for block in reader.blocks():
        for channel, count in enumerate(ticks_within(block, cuts)):
            ticks[channel] += count
    silenced = (round(ticks[0] / TICKS_PER_S, 3), round(ticks[1] / TICKS_PER_S, 3))
    return Preview(silenced_s=silenced, row=_row_without(row, spans, cuts, speech))


def erase_spans(
    vault: Vault,
    keys: EpochKeys,
    row: RecordingRow,
    spans: Sequence[Span],
    *,
    speech: Callable[[bytes], float],
    progress: Progress = lambda _done, _total: None,
) -> RecordingRow:
    """Make spans of a recording unrecoverable silence; outside of them every byte stays.

    Constant memory, whatever the length. The caller holds a lock, and saves the row that is returned; until it has, a
    second run does no harm.

    Args:
        vault: Where the recording lies.
        keys: The private keys.
        row: The recording's row; its path is set.
        spans: What to erase; at least one.
        speech: Seconds of speech in a channel's peaks.
        progress: Told how far it is.

    Returns:
        The row as it is now.

    Raises:
        DamagedError: The recording is not what its node closed; nothing was changed.
        KeyProblemError: Its key or the private key of its month is not here; nothing was changed.
        WriteFailedError: The disk refused; the old recording is still whole, or the next run goes on.
    """
    path = _path(vault, row)
    try:
        clear_up(vault, keys, path)
        found = verify(path, vault.node.sign_public)
        if found.problem is not None:
            raise DamagedError(f"{path.name} is not what was recorded, and is not rewritten: {found.problem}")
        return _Rewriting(vault, keys, row, path).run(spans, speech, progress)
    except OSError as error:
        raise WriteFailedError(
            f"recording {row.id} cannot be rewritten: {error.strerror or error}", is_taken=False
        ) from error


def clear_up(vault: Vault, keys: EpochKeys, path: Path) -> None:
    """Bring a recording whose rewriting was killed to the old or to the new state; does nothing to any other.

    Raises:
        DamagedError, KeyProblemError: The recording or its private key cannot be opened; nothing was changed.
        OSError: As the system says.
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


def fresh_path(path: Path) -> Path:
    """Return the name that a rewritten container has until it takes the place of the old one."""
    return path.with_suffix(".erasing")


def _is_current(vault: Vault, keys: EpochKeys, fresh: Path) -> bool:
    """Tell whether the key that is in force is that of the new container: then there is no way back."""
    key = vault.sealed.open(RecordingId(fresh.stem), keys)
    try:
        RecordingReader(fresh, key)
    except DamagedError:
        return False
    return True


def _take_place(fresh: Path, path: Path) -> None:
    fresh.replace(path)
    sync_folder(path.parent)


def _path(vault: Vault, row: RecordingRow) -> Path:
    assert row.path is not None, "asked for a recording of which something was kept"
    return vault.locate(row.path)


def _survey(reader: RecordingReader, spans: Sequence[Span]) -> Cuts:
    survey = Survey()
    for block in reader.blocks():
        survey.take(block)
    return survey.cuts(spans)


def _row_without(
    row: RecordingRow, spans: Sequence[Span], cuts: Cuts, speech: Callable[[bytes], float]
) -> RecordingRow:
    peaks = peaks_without(row.peaks, cuts)
    segments = segments_without(row.segments, spans)
    return replace(
        row,
        segments=segments,
        recorded_s=recorded_seconds(segments),
        peaks=peaks,
        speech_s=(round(speech(peaks[0]), 1), round(speech(peaks[1]), 1)),
    )


def _status_of(path: Path) -> Status:
    with path.open("rb") as file:
        *_, last = ContainerScan(file).frames()
    return Footer.parse(last)[0].status


class _Rewriting:
    """One run over one recording that was found whole."""

    def __init__(self, vault: Vault, keys: EpochKeys, row: RecordingRow, path: Path) -> None:
        self._vault = vault
        self._row = row
        self._path = path
        self._epoch = keys.load_private(vault.sealed.locate(row.id)).public_key
        self._old = open_recording(path, vault.home, keys)

    def run(self, spans: Sequence[Span], speech: Callable[[bytes], float], progress: Progress) -> RecordingRow:
        cuts = _survey(self._old, spans)
        row = _row_without(self._row, spans, cuts, speech)
        key, fresh = crypto.new_key(), fresh_path(self._path)
        try:
            self._vault.sealed.seal_next(row.id, key, self._epoch)
            size, digest = self._write(fresh, key, row=row, spans=spans, cuts=cuts, progress=progress)
            self._prove(fresh, key, cuts)
        except BaseException:
            self._give_up(fresh)
            raise
        self._vault.sealed.take_next(row.id, self._epoch.name)
        _take_place(fresh, self._path)
        return replace(row, bytes=size, sha256=digest.hex())

    def _give_up(self, fresh: Path) -> None:
        with suppress(OSError):
            remove(fresh)
            destroy_key(self._vault.sealed.next_path(self._row.id, self._epoch.name))

    def _write(
        self, fresh: Path, key: bytes, *, row: RecordingRow, spans: Sequence[Span], cuts: Cuts, progress: Progress
    ) -> tuple[int, bytes]:
        """Write the new container; returns its size and digest, durable."""
        file = AppendFile.create(fresh)
        try:
            copy = _Copy(self._vault, file, self._epoch, key, row)
            for frame, plain in self._old.opened():
                copy.take(frame.type, plain, frame.ticks, cuts)
                progress(min(frame.ticks / TICKS_PER_S, row.duration_s), row.duration_s)
            digest = copy.close(spans, _status_of(self._path))
            file.sync()
        finally:
            file.close()
        return file.size, digest

    def _prove(self, fresh: Path, key: bytes, cuts: Cuts) -> None:
        """Read what was written, before the old recording goes for good.

        Raises:
            DamagedError: It is not what was meant.
        """
        state = verify(fresh, self._vault.node.sign_public)
        if state.problem is not None:
            raise DamagedError(f"the rewritten {fresh.name} is damaged: {state.problem}")
        kept = (left for block in self._old.blocks() if (left := without(block, cuts)))
        written = RecordingReader(fresh, key).blocks()
        if any(meant != found for meant, found in zip_longest(kept, written)):
            raise DamagedError(f"the rewritten {fresh.name} does not hold what was to be kept")


class _Copy:
    """The new container in the making."""

    def __init__(self, vault: Vault, file: AppendFile, epoch: EpochPublicKey, key: bytes, row: RecordingRow) -> None:
        self._sealer = crypto.StreamSealer(key)
        self._frames = FrameWriter(file, row.id, vault.node, RunningHash())
        self._fields = row_to_json(replace(row, path=None, bytes=None, sha256=None), with_peaks=True)
        self._prologue = Prologue(
            id=row.id,
            epoch=epoch.month,
            epoch_fingerprint=crypto.fingerprint(epoch.public),
            stream_header=self._sealer.header,
        ).pack()
        self._audio_frames = 0
        self._ticks = 0
        self._has_end = False
        self._frames.put(self._prologue)

    def take(self, kind: FrameType, plain: bytes, ticks: int, cuts: Cuts) -> None:
        """Copy a frame of the old container, without what is cut."""
        self._ticks = max(self._ticks, ticks)
        if kind is FrameType.HEAD:
            self._seal(kind, plain, bound=self._prologue)
            self._frames.put_index(self._fields, self._ticks)
        elif kind is FrameType.AUDIO:
            if kept := without(plain, cuts):
                self._seal(kind, kept)
                self._audio_frames += 1
        elif kind is FrameType.END:
            self._has_end = True  # written anew by `close`, behind the marks
        else:
            self._seal(kind, plain)
        self._frames.write()

    def close(self, spans: Sequence[Span], status: Status) -> bytes:
        """Write the marks, the end and the footer; returns the digest of the whole."""
        for span in spans:
            mark = {
                "kind": "erased",
                "start_s": span.start_s,
                "end_s": span.end_s,
                "reason": span.reason,
                "by": span.by,
            }
            self._seal(FrameType.MARK, encode_json(mark))
        if self._has_end:
            end = {"row": self._fields, "audio_frames": self._audio_frames, "ticks": self._ticks}
            self._seal(FrameType.END, encode_json(end), is_final=True)
        self._sealer.wipe()
        self._frames.put_index(self._fields, self._ticks)
        self._frames.put_footer(status, self._ticks)
        self._frames.write()
        return self._frames.digest()

    def _seal(self, kind: FrameType, plain: bytes, *, bound: bytes = b"", is_final: bool = False) -> None:
        header = frame_header(kind, len(plain) + crypto.STREAM_OVERHEAD_BYTES, self._ticks)
        self._frames.put(header, self._sealer.seal(plain, bound + header, is_final=is_final))
