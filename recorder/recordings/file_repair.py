"""Repairs files of a home: moves them, closes their permissions, and ends interrupted rewrites."""

import stat
from dataclasses import dataclass, replace

from recorder.common.home import Home
from recorder.config.settings import Config
from recorder.recordings.finding import REC
from recorder.recordings.home_rights import forbidden_in
from recorder.recordings.keyring import epoch_keys
from recorder.recordings.reindex import row_of_container
from recorder.recordings.resurrection_guard import alone
from storage.database import Database
from storage.durable import make_folder, sync_folder
from storage.errors import StorageError
from storage.fsck import Finding, Kind
from storage.index import Index
from storage.lost_found import LostFound
from storage.rewrite import clear_up
from storage.stored_rows import StoredRows
from storage.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRepair:
    """Repairs files of one home; each method returns what was done, or "" for nothing.

    Attributes:
        aside: Receives files that are moved out of the way.
    """

    home: Home
    config: Config
    vault: Vault
    database: Database
    aside: LostFound

    def move_into_place(self, finding: Finding) -> str:
        """Move a container to the folder where it belongs, and update its row."""
        path = self.home.root / finding.where
        with alone(self.home.erasing_lock, wait=True):
            row = row_of_container(self.vault, path, {})
            target = self.vault.folder(row.started_at, row.operator_key) / path.name
            if target.exists() or path.with_suffix(".erasing").exists():
                return ""
            make_folder(target.parent)
            path.rename(target)
            sync_folder(target.parent)
            sync_folder(path.parent)
            stored = StoredRows(self.database).among([row.id]).get(row.id)
            where = target.relative_to(self.vault.root).as_posix()
            if stored is None or stored.row is None:
                Index(self.database).save(replace(row, path=where))
            else:
                Index(self.database).save(replace(Index(self.database).get(row.id), path=where))
        return f"moved to recordings/{where}"

    def move_aside(self, finding: Finding) -> str:
        """Move a file to ``lost+found``; of a file with two names, remove this one."""
        path = self.home.root / finding.where
        if finding.kind is Kind.TEMPORARY and path.stat().st_nlink > 1:
            path.unlink()
            sync_folder(path.parent)
            return "its second name was removed; the file is still there under its own"
        return f"moved to {self.aside.take(path, f'{finding.kind}: {finding.what}')}"

    def close_rights(self, finding: Finding) -> str:
        """Remove the permissions that the file must not have; only its owner and root can."""
        path = self.home.root / finding.where
        mode = path.stat().st_mode
        may_not = forbidden_in(self.home, path)
        if not mode & may_not:
            return ""  # the owner is wrong, not the mode
        try:
            path.chmod(stat.S_IMODE(mode) & ~may_not)
        except PermissionError:  # the other user of a shared home owns it
            return ""
        return f"its mode is {stat.S_IMODE(mode) & ~may_not:04o}"

    def finish_erasing(self, finding: Finding) -> str:
        """Bring a recording whose rewrite was interrupted to the old or the new state; takes the private key."""
        path = (self.home.root / finding.where).with_suffix(REC)
        with alone(self.home.erasing_lock, wait=True):
            try:
                clear_up(self.vault, epoch_keys(self.home, self.config), path)
            except StorageError:
                return ""
        return "brought to the old or the new state"
