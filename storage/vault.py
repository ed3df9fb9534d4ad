"""The store of containers under a recorder's home, and the recovery of those that a dead daemon left open.

One writer thread uses a Vault's recordings; `recover`, `read_row` and `verify` need no private key.
"""

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from storage import crypto
from storage.durable import AppendFile, make_folder, remove
from storage.epochs import current_public
from storage.errors import DamagedError, KeyProblemError, OutsideError, VaultError, WriteFailedError
from storage.format import (
    FORMAT_VERSION,
    MAGIC,
    ContainerScan,
    FrameType,
    Prologue,
    Status,
    is_recording_id,
    open_container,
)
from storage.keys import NodeKeys, SealedKeys, destroy_key
from storage.reader import RecordingReader, epoch_of, open_recording
from storage.recording import FrameWriter, OpenRecording, index_context, settle
from storage.rows import time_from_json, time_to_json
from storage.runs import TICKS_PER_S
from storage.tree import DEPTH, Tree, each_file, files_of
from storage.types import FinishedFile, RecordingHead, RecordingId
from storage.verify import verify

__all__ = [
    "DamagedError",
    "KeyProblemError",
    "OpenRecording",
    "RecordingReader",
    "Recovered",
    "Vault",
    "VaultError",
    "WriteFailedError",
    "bare_row",
    "close_left_open",
    "destroy",
    "epoch_of",
    "open_recording",
    "read_begun_row",
    "read_row",
    "recover",
    "verify",
]

_SUFFIXES = (".rec", ".part", ".erasing")
_OPERATOR_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")
STOPPED = "daemon_stopped"
"""Reason of a row that recovery closed."""


class Vault:
    """Makes and finds containers.

    Args:
        home: The recorder's home; ``recordings`` and ``keys`` are below it.
        node: The node's keys.
    """

    def __init__(self, home: Path, node: NodeKeys) -> None:
        self.home = home
        self.root = home / "recordings"
        self.node = node
        self.sealed = SealedKeys(home)
        self._epochs = home / "keys" / "epochs"

    def folder(self, started_at: datetime, operator_key: str) -> Path:
        """Return the folder of a recording: UTC date, then the operator's opaque key.

        Raises:
            ValueError: The key is not made of 1 to 64 letters, digits, ``-`` and ``_``.
        """
        if not _OPERATOR_KEY.fullmatch(operator_key):
            raise ValueError("an operator key is made of 1 to 64 letters, digits, '-' and '_'")
        return self.root / started_at.astimezone(UTC).strftime("%Y/%m/%d") / operator_key

    def create(self, head: RecordingHead) -> OpenRecording:
        """Begin a recording: its file, its sealed key and its first frames are durable when this returns.

        The file is made before the key, so that a kill leaves no key of which nothing else is there: nobody could tell
        such a one from the key of a container that a restored disk lacks, and it would keep its epoch's private key.

        Raises:
            ValueError: The id or the operator key is not safe as a file name.
            KeyProblemError: There is no epoch key to seal to.
            WriteFailedError: The disk refused; what is left, if anything, is a file that recovery removes.
        """
        if not is_recording_id(head.id):
            raise ValueError(f"{head.id!r} is not a recording id")
        folder = self.folder(head.started_at, head.operator_key)
        epoch = current_public(self._epochs, head.started_at)
        key = crypto.new_wipeable_key()
        try:
            make_folder(folder)
            file = AppendFile.create(folder / f"{head.id}.part")
            try:
                key_path = self.sealed.seal(head.id, key, epoch)
                sealer = crypto.StreamSealer(key)
            except OSError:
                file.close()
                remove(file.path)
                raise
        except OSError as error:
            raise _refused(head.id, error) from error
        finally:
            crypto.wipe(key)
        prologue = Prologue(
            id=head.id,
            epoch=epoch.month,
            epoch_fingerprint=crypto.fingerprint(epoch.public),
            stream_header=sealer.header,
        )
        recording = OpenRecording(
            file=file, head=head, root=self.root, key_path=key_path, prologue=prologue,
            sealer=sealer, node=self.node, is_fallback_epoch=epoch.is_fallback,
        )  # fmt: skip
        try:
            recording.begin()
        except OSError as error:
            recording.discard()
            raise _refused(head.id, error) from error
        return recording

    def unfinished(self) -> list[Path]:
        """Return every ``.part``, oldest first."""
        return sorted(_ending_in(".part", self.root), key=lambda path: path.name)

    def finished(self) -> Iterator[Path]:
        """Yield every ``.rec``, in no order; `read_row` gives each one's row (reindex)."""
        return _ending_in(".rec", self.root)

    def files_of(self, recording: RecordingId) -> list[Path]:
        """Return the files of one recording, in whatever state they are, as `storage.tree.files_of` finds them.

        Raises:
            ValueError: Not a recording id.
        """
        if not is_recording_id(recording):
            raise ValueError(f"{recording!r} is not a recording id")
        return sorted(map(Path, files_of(self.root, [recording]).get(recording, ())))

    def locate(self, path: str) -> Path:
        """Return the file of a row's path.

        Raises:
            OutsideError: The path, or what it is a link to, leads out of the recordings.
        """
        found = self.root / path
        is_plain = not Path(path).is_absolute() and ".." not in Path(path).parts
        if not is_plain or not found.resolve().is_relative_to(self.root.resolve()):
            raise OutsideError(
                f"the index says that it lies at {path!r}, which leads out of the recordings: the index was changed, "
                "or a folder is a link; nothing was opened"
            )
        return found

    def strangers(self) -> Iterator[Path]:
        """Yield what lies among the recordings and is none, nor one in the making: foreign, moved to another depth."""
        for folder, folders, files in os.walk(self.root):
            names = [*files, *(name for name in folders if Path(folder, name).is_symlink())]
            depth = len(Path(folder).relative_to(self.root).parts)
            for name in names:
                path = Path(folder, name)
                is_ours = depth == DEPTH and is_recording_id(path.stem) and path.suffix in _SUFFIXES
                if not is_ours:
                    yield path


def _ending_in(suffix: str, root: Path) -> Iterator[Path]:
    return (path for path in each_file(root) if path.name.endswith(suffix))


def _refused(recording: RecordingId, error: OSError) -> WriteFailedError:
    reason = os.strerror(error.errno) if error.errno else str(error)
    return WriteFailedError(f"recording {recording} cannot be begun: {reason}", is_taken=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What became of one ``.part``.

    Attributes:
        id: Recording id.
        row: The row to be saved in the index (JSON form), path, bytes and sha256 included; `row_from_json` reads it.
        finished: The closed file, or None when nothing of the call was in it, or ``problem`` says why not.
        cut_bytes: Bytes of a torn or damaged tail that were cut off.
        problem: None, or a sentence; the ``.part`` is then untouched and will be tried again.
    """

    id: RecordingId
    row: dict[str, Any]
    finished: FinishedFile | None
    cut_bytes: int = 0
    problem: str | None = None


@dataclass(slots=True)
class _VaultSurvey:
    """What a pass over a container without its key says."""

    scan: ContainerScan
    size: int
    row: dict[str, Any] | None = None
    ticks: int = 0
    status: Status | None = None


def _survey(path: Path, node: NodeKeys) -> _VaultSurvey:
    with open_container(path) as file:
        survey = _VaultSurvey(ContainerScan(file), os.fstat(file.fileno()).st_size)
        recording = survey.scan.prologue.id
        try:
            for frame in survey.scan.frames():
                survey.ticks = max(survey.ticks, frame.ticks)
                if frame.type is FrameType.INDEX:
                    context = index_context(recording, frame.header, frame.offset)
                    survey.row = json.loads(crypto.open_index(frame.body, node.index_key, context))
                elif frame.type is FrameType.FOOTER:
                    survey.status = Status(frame.body[0])
        except DamagedError as error:
            if not error.whole_bytes:  # an index frame of another node: not a torn tail, nothing may be cut
                raise
    return survey


def read_row(vault: Vault, path: Path) -> dict[str, Any]:
    """Rebuild the row of a finished container from its newest index frame, with path, bytes and sha256.

    Raises:
        DamagedError: Not a container of this node, damaged, or unfinished.
        OSError: It cannot be read.
    """
    survey = _survey(path, vault.node)
    if survey.row is None or survey.status is None or survey.size != survey.scan.whole_bytes:
        raise DamagedError(f"{path.name} is damaged or unfinished", whole_bytes=survey.scan.whole_bytes)
    return _with_file(survey.row, _finished_file(vault, path, survey.scan.hash.digest(), survey.size, survey.status))


def read_begun_row(vault: Vault, path: Path) -> dict[str, Any]:
    """Return the row of a container in whatever state it is, as its newest whole index frame has it.

    Raises:
        DamagedError: Not a container of this node, or none of its index frames is whole.
        OSError: It cannot be read.
    """
    survey = _survey(path, vault.node)
    if survey.row is None:
        raise DamagedError(f"{path.name} does not say what call it is of", whole_bytes=survey.scan.whole_bytes)
    return survey.row


def _finished_file(vault: Vault, path: Path, digest: bytes, size: int, status: Status) -> FinishedFile:
    return FinishedFile(
        path=path.relative_to(vault.root).as_posix(),
        bytes=size,
        sha256=digest.hex(),
        is_complete=status is Status.COMPLETE,
    )


def _with_file(row: dict[str, Any], file: FinishedFile) -> dict[str, Any]:
    return {**row, "path": file.path, "bytes": file.bytes, "sha256": file.sha256}


Amend = Callable[[dict[str, Any]], dict[str, Any]]
"""Returns a row (JSON form) with what its container did not know yet; must not change the one it gets."""


Ended = Callable[[RecordingId], dict[str, Any] | None]
"""Returns the row (JSON form) of a call whose end was known when its container could not be closed; else None."""


Progress = Callable[[float, float], None]


def recover(
    vault: Vault,
    is_live: Callable[[RecordingId], bool],
    *,
    amend: Amend = lambda row: row,
    ended: Ended = lambda _: None,
    progress: Progress = lambda _done, _total: None,
) -> list[Recovered]:
    """Close every ``.part`` that no daemon is writing, as partial, without the private key.

    Each is cut after its last whole frame; the row is rebuilt from the newest index frame, with outcome ``partial``
    and reason ``daemon_stopped``; footer, sync, rename, sync of the folder. It may be killed anywhere and run
    again. A file whose daemon died between footer and rename only gets its name, and keeps its outcome.

    Args:
        vault: Where to look.
        is_live: Tells whether a recording is being written by a running daemon; it is left alone.
        amend: What else is known of a row that is closed as partial, before its segments are cut to the audio.
        ended: Rows that say already how the call ended and what of it was kept; they are taken as they are.
        progress: Told how many are done, and how many there are.

    Returns:
        One entry for each file that was tried. The caller saves the rows.
    """
    left = [path for path in vault.unfinished() if not is_live(RecordingId(path.stem))]
    done = []
    for path in left:
        done.append(_recover_one(vault, path, RecordingId(path.stem), amend, ended))
        progress(len(done), len(left))
    return done


def close_left_open(vault: Vault, path: Path, row: dict[str, Any]) -> Recovered:
    """Close one ``.part`` of a call that has ended and whose writer has let go of it, as `recover` does.

    Args:
        vault: Where it lies.
        path: The file.
        row: How the call ended, and what was kept of it (JSON form).
    """
    return _recover_one(vault, path, RecordingId(path.stem), lambda found: found, lambda _: row)


def _recover_one(vault: Vault, path: Path, recording: RecordingId, amend: Amend, ended: Ended) -> Recovered:
    try:
        _refuse_foreign(vault, path)
        return _close_part(vault, path, recording, amend, ended)
    except (DamagedError, OSError, ValueError) as error:
        reason = error.strerror or str(error) if isinstance(error, OSError) else str(error)
        return Recovered(id=recording, row={}, finished=None, problem=f"{path.name}: {reason}")


def _close_part(vault: Vault, path: Path, recording: RecordingId, amend: Amend, ended: Ended) -> Recovered:
    try:
        survey = _survey(path, vault.node)
    except DamagedError:
        if not _is_torn_beginning(path):
            raise
        return _drop_empty(vault, path, recording)
    if survey.scan.prologue.id != recording:
        raise DamagedError(f"the file holds recording {survey.scan.prologue.id}")
    if survey.row is None:
        return _drop_empty(vault, path, recording)
    whole = survey.scan.whole_bytes
    file = AppendFile.reopen(path, size=whole)
    try:
        row, status, running = survey.row, survey.status, survey.scan.hash
        writer = FrameWriter(file, recording, vault.node, running)
        if status is None:
            row, status = ended(recording) or _stopped(amend(row), survey.ticks), Status.PARTIAL
            writer.put_index(row, survey.ticks)
            writer.put_footer(status, survey.ticks)
            writer.write()
        target = settle(file, sync=file.sync)
        finished = _finished_file(vault, target, writer.digest(), file.size, status)
    finally:
        file.close()
    return Recovered(id=recording, row=_with_file(row, finished), finished=finished, cut_bytes=survey.size - whole)


_OURS = MAGIC + FORMAT_VERSION.to_bytes(2, "little")
_NAMED_BYTES = len(_OURS)
_LARGEST_EMPTY_BYTES = 256
"""A file this short cannot hold more than a torn prologue: the daemon died before `create` returned."""


def _is_torn_beginning(path: Path) -> bool:
    """Tell whether a file is what a kill leaves of one that was just made: a cut prologue, or zeros in its place."""
    if path.stat().st_size > _LARGEST_EMPTY_BYTES:
        return False
    content = path.read_bytes()
    begins_like_ours = content[:_NAMED_BYTES] == _OURS[: len(content)]
    return begins_like_ours or not content.strip(b"\0")


def _refuse_foreign(vault: Vault, path: Path) -> None:
    """Do nothing, unless a file is none of this vault's: that is neither cut nor removed.

    Raises:
        DamagedError: It is a link, lies behind one, or is not named like a recording.
    """
    if not is_recording_id(path.stem):
        raise DamagedError("its name is not that of a recording")
    if path.is_symlink() or not path.resolve().is_relative_to(vault.root.resolve()):
        raise DamagedError("it is a link, or lies behind one")


def _drop_empty(vault: Vault, path: Path, recording: RecordingId) -> Recovered:
    """Remove a file in which nothing of a call can be, its key first; the row says that the call was not kept."""
    if Tree(vault.root).everywhere(recording) == [path]:
        vault.sealed.destroy(recording)
    remove(path)
    row = bare_row(recording) | {"operator_key": path.parent.name}
    return Recovered(id=recording, row=row, finished=None)


def bare_row(recording: RecordingId) -> dict[str, Any]:
    """Return what a recording's id alone says, as a row (JSON form): when, which extension, nothing kept."""
    day, extension, _ = recording.split("-", 2)
    started = datetime.strptime(day, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return {
        "id": recording, "started_at": time_to_json(started), "ended_at": None, "direction": "", "operator": "",
        "extension": extension, "service": "", "caller": "", "called": "", "outcome": "failed", "reason": STOPPED,
    }  # fmt: skip


def destroy(vault: Vault, recording: RecordingId) -> None:
    """Destroy the sealed key of a recording that was left open, then its file; what is missing is fine.

    Raises:
        ValueError: That is no id of a recording.
        OSError: The system refused; call again.
    """
    if not is_recording_id(recording):
        raise ValueError(f"{recording!r} is not a recording id")
    for path in vault.home.glob(f"keys/sealed/*/{recording}.key"):
        destroy_key(path)
    for path in vault.root.glob(f"*/*/*/*/{recording}.part"):
        remove(path)


_LONGEST_PACKET_S = 0.06
"""A gate need not shut on the edge of a packet: so much before it nothing may be there, and nothing is lost."""


def _kept(segments: list[dict[str, Any]], audio_s: float) -> list[dict[str, Any]]:
    """Return the segments as they are true of the audio on the disk.

    The last one, open when the daemon died, ends with the audio. An earlier one of which the end was still in the
    look-back is recorded as far as the audio goes, and ``lost`` from there on.
    """
    kept: list[dict[str, Any]] = []
    for segment in segments[:-1]:
        if segment["kind"] != "recording" or segment["end_s"] <= audio_s + _LONGEST_PACKET_S:
            kept.append(segment)
            continue
        at = max(segment["start_s"], audio_s)
        kept.append(segment | {"end_s": at})
        kept.append({"start_s": at, "end_s": segment["end_s"], "kind": "lost", "reason": STOPPED, "by": ""})
    last = segments[-1]
    end_s = audio_s if last["kind"] == "recording" else max(audio_s, last["end_s"])
    kept.append(last | {"end_s": max(end_s, last["start_s"])})
    return [segment for segment in kept[:-1] if segment["end_s"] > segment["start_s"]] + kept[-1:]


def _stopped(row: dict[str, Any], ticks: int) -> dict[str, Any]:
    """Return the row as it stands at the end of the audio that is left."""
    end_s = ticks / TICKS_PER_S
    segments = _kept(row["segments"], end_s) if row.get("segments") else []
    if segments:
        end_s = segments[-1]["end_s"]
    total = {
        kind: round(sum(s["end_s"] - s["start_s"] for s in segments if s["kind"] == kind), 4)
        for kind in ("recording", "paused")
    }
    started = time_from_json(row["started_at"])
    assert started is not None
    return row | {
        "outcome": "partial",
        "reason": STOPPED,
        "segments": segments,
        "duration_s": end_s,
        "recorded_s": total["recording"] if segments else end_s,
        "paused_s": total["paused"],
        "ended_at": time_to_json(started + timedelta(seconds=end_s)),
    }
