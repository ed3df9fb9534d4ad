"""Archives a finished recording, for the key holder: compresses its audio and changes nothing else.

`storage.rewrite` replaces the container, safe against kills. The digest and size of the original are stored in the row
and in a mark of the container.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from storage.archive_codec import compress
from storage.epochs import EpochKeys
from storage.errors import ArchiveError
from storage.format import ARCHIVE_VERSION, FrameType
from storage.rewrite import Progress, Whole, rewrite
from storage.rows import time_to_json
from storage.runs import AUDIO, G722, Run
from storage.types import Archived, ArchiveFormat, RecordingRow
from storage.vault import Vault

GROUP_BYTES = 1 << 20
"""Audio that is compressed together, about a minute of a call; more saves nothing and costs memory."""


def archive(
    vault: Vault,
    keys: EpochKeys,
    row: RecordingRow,
    form: ArchiveFormat,
    *,
    at: datetime,
    progress: Progress = lambda _done, _total: None,
) -> RecordingRow:
    """Compress a recording's audio; see `storage.rewrite.rewrite` for the guarantees.

    Args:
        vault: The store.
        keys: The private keys.
        row: The recording's row, with a path, and not archived.
        form: Compression.
        at: Now, UTC.
        progress: Called with the bytes done and the bytes in all.

    Returns:
        The new row; ``archived`` is set.

    Raises:
        ArchiveError: It is already archived; nothing was changed.
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
    """The `storage.rewrite.Change` that compresses."""

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
        small = compress(group, self.form)
        yield (FrameType.PACKED, small) if len(small) < len(group) else (FrameType.AUDIO, group)

    def meant(self, block: bytes) -> bytes:
        return block

    def is_as_meant(self, meant: Run, found: Run) -> bool:
        """Compare: FLAC is lossless; with Opus only the payload bytes of G.711 runs may differ."""
        if self.form is ArchiveFormat.FLAC or meant.kind != AUDIO or meant.codec == G722:
            return meant == found
        return replace(meant, payload=found.payload) == found and len(meant.payload) == len(found.payload)
