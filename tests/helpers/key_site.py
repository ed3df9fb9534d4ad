"""A site in January with a recording of November, and its key holder."""

from datetime import UTC, datetime
from pathlib import Path

from recorder.config.settings import Archive
from recorder.recordings.archiving import Archiver
from recorder.retention.housekeeping import KeyHolder
from storage.rows import row_from_json
from storage.types import RecordingId
from tests.helpers.erasure_site import ErasureSite
from tests.helpers.storage_home import ID, row

OTHER = RecordingId("20261124T093000Z-2001-ffffff")
JANUARY = datetime(2027, 1, 15, tzinfo=UTC)
DUE = datetime(2027, 1, 10, tzinfo=UTC)


class KeySite(ErasureSite):
    """One recording of November, due on 10 January; `now` is 15 January."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.private_folder = folder / "private"
        self.row = self.save(
            path=self.row.path, bytes=self.row.bytes, sha256=self.row.sha256, retention_due=DUE.isoformat()
        )
        self.now = JANUARY
        self.epochs.ensure_epochs(JANUARY)
        self.holder = KeyHolder(
            vault=self.vault, keys=self.epochs, index=self.index, audit=self.audit,
            lock=self.home / "state" / "erasing.lock", now=lambda: self.now,
        )  # fmt: skip
        self.archiver = Archiver(
            vault=self.vault, keys=self.epochs, index=self.index, erasures=self.erasures, holds=self.holds,
            audit=self.audit, lock=self.holder.lock, rule=Archive(), now=lambda: self.now,
        )  # fmt: skip

    def another(self) -> None:
        """Make a second recording of November."""
        path, finished = self.record(1, OTHER)
        fields = row(OTHER, path=finished.path, bytes=finished.bytes, sha256=finished.sha256)
        self.index.save(row_from_json({**fields, "retention_due": DUE.isoformat()}))
        assert path.exists()

    def deleted(self, recording: RecordingId = ID) -> None:
        """Destroy key, file and row of a recording, as the sweep does."""
        self.vault.sealed.destroy(recording)
        for path in self.vault.files_of(recording):
            path.unlink()
        self.index.remove(recording)
