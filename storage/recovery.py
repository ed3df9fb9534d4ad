"""Recovery: closes the containers that a dead daemon left open, without the private key."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from storage.container_rows import finished_file, survey_container, with_file
from storage.durable import AppendFile, remove
from storage.errors import DamagedError
from storage.format import (
    CHECK_BYTES,
    FORMAT_VERSION,
    MAGIC,
    FrameType,
    Prologue,
    Status,
    frame_header,
    is_recording_id,
)
from storage.recording import FrameWriter, settle
from storage.rows import time_from_json, time_to_json
from storage.runs import TICKS_PER_S
from storage.tree import Tree
from storage.types import FinishedFile, RecordingId
from storage.vault import Vault

STOPPED = "daemon_stopped"
"""Reason of a row whose container recovery closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """The result of recovering one ``.part``.

    Attributes:
        id: Recording id.
        row: The row to save in the index (JSON form), with path, bytes and sha256; `row_from_json` reads it.
        finished: The closed file, or None: it held nothing of the call, or there was a ``problem``.
        cut_bytes: Bytes of a torn or damaged tail that were cut off.
        problem: A sentence that says why it was not closed, or None. The ``.part`` is then unchanged.
    """

    id: RecordingId
    row: dict[str, Any]
    finished: FinishedFile | None
    cut_bytes: int = 0
    problem: str | None = None


Amend = Callable[[dict[str, Any]], dict[str, Any]]
"""Returns a row (JSON form) completed by facts that its container lacks; must not change its argument."""

Ended = Callable[[RecordingId], dict[str, Any] | None]
"""Returns the row (JSON form) of a call that ended while its container could not be closed; else None."""

Progress = Callable[[float, float], None]
"""Told the number of files done, and of all."""


def recover(
    vault: Vault,
    is_live: Callable[[RecordingId], bool],
    *,
    amend: Amend = lambda row: row,
    ended: Ended = lambda _: None,
    progress: Progress = lambda _done, _total: None,
) -> list[Recovered]:
    """Close every ``.part`` that no daemon is writing, as partial, without the private key.

    Each file is cut after its last whole frame. Its row is that of the newest index frame, with outcome ``partial`` and
    reason ``daemon_stopped``. Then footer, sync, rename, sync of the folder. A file whose daemon died between footer
    and rename is only renamed, and keeps its outcome. Safe to kill at any point and to run again.

    Args:
        vault: The store.
        is_live: Tells whether a running daemon writes a recording; such a file is left alone.
        amend: Completes a row that is closed as partial, before its segments are cut to the audio.
        ended: Gives the rows of calls whose end is known; they are saved unchanged.
        progress: Told the number of files done, and of all.

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
    """Close one ``.part`` of a call that has ended and whose writer has released it, as `recover` does.

    Args:
        vault: The store.
        path: The file.
        row: The row of the ended call (JSON form).
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
        survey = survey_container(path, vault.node)
    except DamagedError:
        if not _is_torn_beginning(path, recording):
            raise
        return _drop_empty(vault, path, recording)
    if survey.scan.prologue.id != recording:
        raise DamagedError(f"the file holds recording {survey.scan.prologue.id}")
    if survey.row is None:
        if _has_audio(path):
            raise DamagedError(f"its beginning is damaged after byte {survey.scan.whole_bytes}, and audio follows")
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
        finished = finished_file(vault, target, writer.digest(), file.size, status)
    finally:
        file.close()
    return Recovered(id=recording, row=with_file(row, finished), finished=finished, cut_bytes=survey.size - whole)


_BEGINNING = MAGIC + FORMAT_VERSION.to_bytes(2, "little")
_LOST_ZEROS = bytes(8)
"""A prologue has fewer zeros in a row; a write that a power cut lost leaves more."""
_LARGEST_BEGINNING_BYTES = 16_000
"""`Vault.create` writes less; one second of audio takes more."""
_AUDIO_HEADER = re.compile(frame_header(FrameType.AUDIO, 0, 0)[:4] + rb"(?!\0{4})")
"""Begins the header of a frame of audio: its type, zeros, and a length, which is not 0."""


def _is_torn_beginning(path: Path, recording: RecordingId) -> bool:
    """Tell whether `Vault.create` was cut off in this file: its prologue is cut or partly zeros, and no audio follows.

    Before the first sync a power cut may take any part of the beginning and leave a later part.
    """
    if _has_audio(path):
        return False
    content = path.read_bytes()
    prologue = content[: Prologue.length(recording) + CHECK_BYTES]
    is_container = all(found in (0, right) for found, right in zip(prologue, _BEGINNING, strict=False))
    is_cut = len(prologue) < Prologue.length(recording) + CHECK_BYTES
    return is_container and (is_cut or _LOST_ZEROS in prologue)


def _has_audio(path: Path) -> bool:
    """Tell whether audio may be in a file whose frames cannot be read.

    Audio is written only after the beginning was synced. With audio, the damage is not that of a cut in `Vault.create`.
    """
    return path.stat().st_size > _LARGEST_BEGINNING_BYTES or _AUDIO_HEADER.search(path.read_bytes()) is not None


def _refuse_foreign(vault: Vault, path: Path) -> None:
    """Raise DamagedError for a file that is not this vault's, so that it is neither cut nor removed."""
    if not is_recording_id(path.stem):
        raise DamagedError("its name is not that of a recording")
    if path.is_symlink() or not path.resolve().is_relative_to(vault.root.resolve()):
        raise DamagedError("it is a link, or lies behind one")


def _drop_empty(vault: Vault, path: Path, recording: RecordingId) -> Recovered:
    """Remove a file that holds nothing of a call, its key first; the row says that the call was not kept."""
    if Tree(vault.root).everywhere(recording) == [path]:
        vault.sealed.destroy(recording)
    remove(path)
    row = bare_row(recording) | {"operator_key": path.parent.name}
    return Recovered(id=recording, row=row, finished=None)


def bare_row(recording: RecordingId) -> dict[str, Any]:
    """Return a row (JSON form) made from a recording's id alone: its start, its extension, nothing kept."""
    day, extension, _ = recording.split("-", 2)
    started = datetime.strptime(day, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return {
        "id": recording, "started_at": time_to_json(started), "ended_at": None, "direction": "", "operator": "",
        "extension": extension, "service": "", "caller": "", "called": "", "outcome": "failed", "reason": STOPPED,
    }  # fmt: skip


_LONGEST_PACKET_S = 0.06
"""A recording gate need not shut on the edge of a packet: audio may end this much earlier, and nothing is lost."""


def _kept(segments: list[dict[str, Any]], audio_s: float) -> list[dict[str, Any]]:
    """Return the segments, corrected to the length of the audio on the disk.

    The last segment, open when the daemon died, ends with the audio. If the end of an earlier segment was still in the
    look-back, that segment ends with the audio too, and is ``lost`` from there on.
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
    """Return the row as of the end of the audio on the disk."""
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
