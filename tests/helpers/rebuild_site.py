"""A `SweepSite` whose index can be lost, damaged and made anew; and what of it must be the same afterwards."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from recorder.config.settings import Config
from recorder.recordings.reindex import Reindexed, Reindexer
from storage.audit import AuditLog
from storage.database import Database
from storage.erasures import Erasures
from storage.holds import Holds
from storage.index import Index
from storage.rows import row_to_json
from storage.stored_rows import StoredRows
from storage.tombstones import Deletions
from storage.types import RecordingId
from tests.helpers.sweep_site import NOW, SweepSite

_TABLES = ("officers", "identities", "holds", "claims", "deletions", "erasures", "copies")
"""What stands in the index beside the rows."""


class RebuildSite(SweepSite):
    """Adds to a `SweepSite` what loses its index and brings it back."""

    def open(self) -> None:
        """Open the database when it is needed: the file may be damaged, and is not made anew by looking."""
        self.database = Database(self.url, is_deferred=True)
        self.index = Index(self.database)
        self.holds, self.erasures = Holds(self.database), Erasures(self.database)
        self.deletions = Deletions(self.database)

    @property
    def config(self) -> Config:
        """The configuration that names this site's database."""
        return replace(Config(), storage=replace(Config().storage, index_url=self.url))

    def reindexer(self, now: datetime = NOW) -> Reindexer:
        """Return what rebuilds the index at a moment."""
        self.now = now
        audit = AuditLog(self.home.audit, now=lambda: self.now)
        return Reindexer(home=self.home, config=self.config, vault=self.vault, audit=audit, now=lambda: now)

    def reindex(self, now: datetime = NOW) -> Reindexed:
        """Rebuild the index as `recorder index rebuild` does, and open it again."""
        self.database.close()
        done = self.reindexer(now).run("dora")
        self.open()
        return done

    def lose_index(self) -> None:
        """Take the whole index away, as a disk or a hand does."""
        if self.url.startswith("postgresql"):
            with self.database.begin() as connection:
                for table in ("recordings", *_TABLES):
                    connection.exec_driver_sql(f"DELETE FROM {table}")
                connection.exec_driver_sql("DELETE FROM schema_version WHERE id = 2")
                connection.exec_driver_sql("DELETE FROM agreements")
            self.database.close()
            return
        self.database.close()
        for path in self.home.root.glob("index.sqlite*"):
            path.unlink()

    def everything(self) -> dict[str, Any]:
        """Return all that the index says but peaks, comparable."""
        with self.database.connect() as connection:
            tables = {
                name: sorted(map(str, connection.exec_driver_sql(f"SELECT * FROM {name}").all())) for name in _TABLES
            }
        return {
            **tables,
            "rows": {one.id: one.row and row_to_json(one.row) for one in StoredRows(self.database).each()},
        }

    def file_of(self, recording: RecordingId) -> Path:
        """Return the container of a recording."""
        (path,) = (one for one in self.vault.files_of(recording) if one.suffix == ".rec")
        return path
