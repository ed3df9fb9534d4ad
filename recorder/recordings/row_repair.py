"""Repairs rows of the index: rebuilds them from containers, writes them off or removes them. Old contents are saved."""

from dataclasses import dataclass, replace
from pathlib import Path

from recorder.common.home import Home
from recorder.recordings.finding import REC
from recorder.recordings.reindex import row_of_container
from recorder.recordings.resurrection_guard import alone
from storage.database import Database
from storage.fsck import Finding, Kind
from storage.index import Index
from storage.lost_found import LostFound
from storage.stored_rows import StoredRow, StoredRows
from storage.tombstones import Deletions
from storage.tree import Tree
from storage.types import Outcome, RecordingId
from storage.vault import Vault
from storage.verify import verify

MISSING = "file_missing"
"""Reason of a row whose container was written off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowRepair:
    """Repairs rows of one home; each method returns what was done, or "" for nothing.

    Attributes:
        aside: Receives the old contents of rows.
        is_writing_off: Mark rows whose container is gone as calls of which nothing is kept.
    """

    home: Home
    vault: Vault
    database: Database
    aside: LostFound
    is_writing_off: bool

    def refile(self, finding: Finding) -> str:
        """Rebuild a row from its container; not from one that is damaged or foreign."""
        recording = RecordingId(finding.recording)
        with alone(self.home.erasing_lock, wait=True):
            stored = self._stored(recording)
            path = self._container(finding, stored)
            if Deletions(self.database).get(recording) is not None:
                return ""
            if path is None:
                return self._rederive(stored)
            if stored is not None and verify(path, self.vault.trusted).problem is not None:
                return self._rederive(stored) if finding.kind is Kind.COLUMNS else ""
            row = row_of_container(self.vault, path, {})
            kept = self._keep(stored, finding)
            Index(self.database).save(row)
        return f"its row was made from the container{kept}"

    def _rederive(self, stored: StoredRow | None) -> str:
        if stored is None or stored.row is None:
            return ""
        peaks = Index(self.database).get(stored.id).peaks
        Index(self.database).save(replace(stored.row, peaks=peaks))
        return "the search columns were rebuilt from the row's document"

    def _keep(self, stored: StoredRow | None, finding: Finding) -> str:
        if stored is None:
            return ""
        beside = {"officers": list(map(dict, stored.officers)), "identities": list(map(dict, stored.identities))}
        kept = {**stored.columns, **beside}
        where = self.aside.keep(f"{stored.id}.row", kept, f"{finding.kind}: {finding.what}")
        return f"; the old row is in {where}"

    def take_out(self, finding: Finding) -> str:
        """Remove officers and numbers from the index that have no row."""
        recording = RecordingId(finding.recording)
        if self._stored(recording) is not None:
            return "its row exists again"
        rows = StoredRows(self.database)
        kept = {
            "officers": list(map(dict, rows.officers_of(recording))),
            "identities": list(map(dict, rows.identities_of(recording))),
        }
        where = self.aside.keep(f"{recording}-officers", kept, f"{finding.kind}: {finding.what}")
        Index(self.database).remove(recording)
        return f"removed; they are in {where}"

    def write_off(self, finding: Finding) -> str:
        """Mark the row of a missing container as a call of which nothing is kept."""
        stored = self._stored(RecordingId(finding.recording))
        if not self.is_writing_off or stored is None or stored.row is None:
            return ""
        kept = self._keep(stored, finding)
        row = replace(
            Index(self.database).get(stored.id),
            outcome=Outcome.FAILED, reason=MISSING, path=None, bytes=None, sha256=None,
        )  # fmt: skip
        Index(self.database).save(row)
        return f"written off: the call is {row.outcome}, {row.reason}{kept}"

    def _stored(self, recording: RecordingId) -> StoredRow | None:
        return StoredRows(self.database).among([recording]).get(recording)

    def _container(self, finding: Finding, stored: StoredRow | None) -> Path | None:
        """Return the finished file of a finding: at its path, at the row's path, or anywhere in the vault."""
        named = self.home.root / finding.where
        row_path = stored.row.path if stored is not None and stored.row is not None else None
        for path in (named, self.vault.root / row_path if row_path else named):
            if path.suffix == REC and path.is_file() and path.resolve().is_relative_to(self.vault.root.resolve()):
                return path
        found = Tree(self.vault.root).everywhere(RecordingId(finding.recording))
        return next((path for path in found if path.suffix == REC), None)
