"""Archives a finished recording, for the key holder: its audio packed, everything else as it was.

How, and what a kill leaves, is `storage.rewrite`'s. The digest and the size of the original stay in the row, which the
container holds, and in a mark.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from storage.epochs import EpochKeys
from storage.errors import ArchiveError
from storage.format import ARCHIVE_VERSION, FrameType
from storage.packing import packed
from storage.rewrite import Progress, Whole, rewrite
from storage.rows import time_to_json
from storage.runs import AUDIO, G722, Run
from storage.types import Archived, ArchiveFormat, RecordingRow
from storage.vault import Vault

GROUP_BYTES = 1 << 20
"""Audio that is packed together, about a minute of a call: longer gains nothing, and costs memory."""


def archive(
    vault: Vault,
    keys: EpochKeys,
    row: RecordingRow,
    form: ArchiveFormat,
    *,
    at: datetime,
    progress: Progress = lambda _done, _total: None,
) -> RecordingRow:
    """Pack a recording's audio; see `storage.rewrite.rewrite` for what is guaranteed.

    Args:
        vault: Where the recording lies.
        keys: The private keys.
        row: The recording's row; its path is set, and it is not archived yet.
        form: In what.
        at: Now, UTC.
        progress: Told how far it is.

    Returns:
        The row as it is now; ``archived`` is set.

    Raises:
        ArchiveError: It is archived already; nothing was changed.
        StorageError: As `rewrite`.
    """
    if row.archived is not None:
        raise ArchiveError(f"recording {row.id} is archived already")

    def plan(whole: Whole) -> _Archiving:
        told = Archived(format=form, at=at, original_sha256=whole.sha256, original_bytes=whole.bytes)
        return _Archiving(row=replace(row, archived=told), form=form, told=told)

    return rewrite(vault, keys, row, plan, progress=progress)


@dataclass(slots=True, kw_only=True)
class _Archiving:
    """A `storage.rewrite.Change` that packs."""

    row: RecordingRow
    form: ArchiveFormat
    told: Archived
    version: int = ARCHIVE_VERSION
    _group: bytearray = field(default_factory=bytearray)

    @property
    def marks(self) -> Sequence[Mapping[str, Any]]:
        return [
            {
                "kind": "archived",
                "format": str(self.told.format),
                "at": time_to_json(self.told.at),
                "original_sha256": self.told.original_sha256,
                "original_bytes": self.told.original_bytes,
            }
        ]

    def take(self, block: bytes) -> Iterator[tuple[FrameType, bytes]]:
        if self._group and len(self._group) + len(block) > GROUP_BYTES:
            yield from self.rest()
        self._group += block

    def rest(self) -> Iterator[tuple[FrameType, bytes]]:
        if not self._group:
            return
        group, self._group = bytes(self._group), bytearray()
        small = packed(group, self.form)
        yield (FrameType.PACKED, small) if len(small) < len(group) else (FrameType.AUDIO, group)

    def meant(self, block: bytes) -> bytes:
        return block

    def is_as_meant(self, meant: Run, found: Run) -> bool:
        """FLAC gives every byte back; of Opus only G.711 may differ, and only in its bytes."""
        if self.form is ArchiveFormat.FLAC or meant.kind != AUDIO or meant.codec == G722:
            return meant == found
        return replace(meant, payload=found.payload) == found and len(meant.payload) == len(found.payload)
