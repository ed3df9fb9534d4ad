"""Reads the row of a container from its index frames, without the private key.

An index frame is sealed to the node, so every row is checked to be of this node.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage import crypto
from storage.containers import Container
from storage.errors import DamagedError
from storage.format import ContainerScan, FrameType, Status, open_container
from storage.keys import NodeKeys
from storage.recording import index_context
from storage.types import FinishedFile
from storage.vault import Vault


@dataclass(slots=True)
class ContainerSurvey:
    """The result of one pass over a container without its key.

    Attributes:
        scan: The scan, at the end of the last whole frame.
        size: Of the file, bytes.
        row: The row of the newest index frame, or None: there is none.
        ticks: Length of the audio.
        status: Of the footer, or None: the container is unfinished.
    """

    scan: ContainerScan
    size: int
    row: dict[str, Any] | None = None
    ticks: int = 0
    status: Status | None = None


def survey_container(container: Container, node: NodeKeys) -> ContainerSurvey:
    """Read a container up to its last whole frame; a torn or damaged tail is left unread.

    Raises:
        DamagedError: Not a container of this node, or without a whole prologue.
        OSError: It cannot be read.
    """
    with open_container(container) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        survey = ContainerSurvey(ContainerScan(file), size)
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
            if not error.whole_bytes:  # an index frame of another node is not a torn tail: nothing may be cut off
                raise
    return survey


def read_row(vault: Vault, path: Path) -> dict[str, Any]:
    """Return the row of a finished container from its newest index frame, with path, bytes and sha256.

    Raises:
        DamagedError: Not a container of this node, damaged, or unfinished.
        OSError: It cannot be read.
    """
    survey = survey_container(path, vault.node)
    if survey.row is None or survey.status is None or survey.size != survey.scan.whole_bytes:
        raise DamagedError(f"{path.name} is damaged or unfinished", whole_bytes=survey.scan.whole_bytes)
    return with_file(survey.row, finished_file(vault, path, survey.scan.hash.digest(), survey.size, survey.status))


def read_begun_row(vault: Vault, path: Path) -> dict[str, Any]:
    """Return the row of a container, finished or not, from its newest whole index frame.

    Raises:
        DamagedError: Not a container of this node, or none of its index frames is whole.
        OSError: It cannot be read.
    """
    survey = survey_container(path, vault.node)
    if survey.row is None:
        raise DamagedError(f"{path.name} does not say what call it is of", whole_bytes=survey.scan.whole_bytes)
    return survey.row


def finished_file(vault: Vault, path: Path, digest: bytes, size: int, status: Status) -> FinishedFile:
    """Return the `FinishedFile` of a closed container."""
    return FinishedFile(
        path=path.relative_to(vault.root).as_posix(),
        bytes=size,
        sha256=digest.hex(),
        is_complete=status is Status.COMPLETE,
    )


def with_file(row: dict[str, Any], file: FinishedFile) -> dict[str, Any]:
    """Return a row (JSON form) with path, bytes and sha256 of its file."""
    return {**row, "path": file.path, "bytes": file.bytes, "sha256": file.sha256}
