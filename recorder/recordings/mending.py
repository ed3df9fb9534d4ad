"""Does what a finding of fsck names. Never destroys evidence.

Files are moved aside into ``lost+found``, rows that are replaced are written down there first, and a container or a key
is destroyed only where a tombstone says that it was deleted. What takes a person is left as it is. May be killed at any
step and run again.
"""

import stat
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

from recorder.common.home import Home
from recorder.config.settings import Config
from recorder.recordings.agreement import look, set_mark
from recorder.recordings.finding import REC
from recorder.recordings.home_rights import forbidden_in
from recorder.recordings.keyring import epoch_keys
from recorder.recordings.opening import AlreadyRunningError, held, recover_all
from recorder.recordings.reindex import row_of_container
from recorder.recordings.replay import replay
from recorder.recordings.returned import LOCK, alone, catch_up
from storage.audit import AuditLog
from storage.database import Database
from storage.deletion import Shredder
from storage.durable import make_folder, sync_folder
from storage.erase import clear_up
from storage.errors import DamagedError, StorageError
from storage.fsck import Finding, Kind
from storage.hold_journal import LOCK as HOLDS_LOCK
from storage.holds import Holds
from storage.index import Index
from storage.lost_found import LostFound
from storage.stored_rows import StoredRow, StoredRows
from storage.tombstones import Deletions
from storage.tree import Tree
from storage.types import Outcome, RecordingId
from storage.vault import Vault
from storage.verify import verify

MENDED = "index.repaired"
"""Act of the audit log."""
MISSING = "file_missing"
"""Reason of a row whose container was written off."""

_DOUBTS = {
    Kind.HOLD: "the index did not know a hold that the audit log has",
    Kind.CLAIM: "the index did not have a claim of a data subject as the audit log has it",
}
"""Why the DPO has to look before anything is deleted again: what would have been lost or destroyed wrongly."""


@dataclass(slots=True, kw_only=True)
class Mender:
    """Mends one home.

    Attributes:
        home: The recorder's home.
        config: Its configuration.
        vault: Where containers lie.
        database: The index.
        audit: The audit log.
        now: The clock, UTC.
        is_writing_off: A row whose container is gone becomes one of a call of which nothing is kept.
        aside: Where files and rows are kept that had to make room.
    """

    home: Home
    config: Config
    vault: Vault
    database: Database
    audit: AuditLog
    now: Callable[[], datetime]
    is_writing_off: bool = False
    aside: LostFound = field(init=False)
    _said: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.aside = LostFound(self.home.root, self.now())

    def mend(self, finding: Finding) -> str:
        """Do what a finding names; returns what was done, or "": nothing, it takes a person, or another state.

        Raises:
            StorageError: The database, the audit log or a lock cannot be had.
        """
        way = _WAYS.get(finding.kind)
        if way is None:
            return ""
        try:
            return way(self, finding)
        except (DamagedError, FileNotFoundError):
            return ""  # it cannot be read after all, or went meanwhile
        except OSError as error:
            raise StorageError(f"the repair of {finding.where} cannot go on: {error}") from error

    # --- rows

    def refile(self, finding: Finding) -> str:
        """Make a row from its container; one whose container is damaged or foreign stays as it is."""
        recording = RecordingId(finding.recording)
        with alone(self.home.erasing_lock, wait=True):
            stored = self._stored(recording)
            path = self._container(finding, stored)
            if Deletions(self.database).get(recording) is not None:
                return ""
            if path is None:
                return self._rederive(stored)
            if stored is not None and verify(path, self.vault.node.sign_public).problem is not None:
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
        return "what is searched by was made from the row's document"

    def _keep(self, stored: StoredRow | None, finding: Finding) -> str:
        if stored is None:
            return ""
        beside = {"officers": list(map(dict, stored.officers)), "identities": list(map(dict, stored.identities))}
        kept = {**stored.columns, **beside}
        where = self.aside.keep(f"{stored.id}.row", kept, f"{finding.kind}: {finding.what}")
        return f"; the old row is in {where}"

    def take_out(self, finding: Finding) -> str:
        """Take officers and numbers out of the index that stand there without a row."""
        recording = RecordingId(finding.recording)
        if self._stored(recording) is not None:
            return "its row is there again"
        rows = StoredRows(self.database)
        kept = {
            "officers": list(map(dict, rows.officers_of(recording))),
            "identities": list(map(dict, rows.identities_of(recording))),
        }
        where = self.aside.keep(f"{recording}-officers", kept, f"{finding.kind}: {finding.what}")
        Index(self.database).remove(recording)
        return f"taken out; they are in {where}"

    def write_off(self, finding: Finding) -> str:
        """Turn the row of a container that is gone into one of a call of which nothing is kept."""
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
        """Return the finished file that a finding is about: named in it, or in the row, or else wherever one lies."""
        named = self.home.root / finding.where
        row_path = stored.row.path if stored is not None and stored.row is not None else None
        for path in (named, self.vault.root / row_path if row_path else named):
            if path.suffix == REC and path.is_file() and path.resolve().is_relative_to(self.vault.root.resolve()):
                return path
        found = Tree(self.vault.root).everywhere(RecordingId(finding.recording))
        return next((path for path in found if path.suffix == REC), None)

    # --- files

    def put_right(self, finding: Finding) -> str:
        """Move a container to where it belongs, and have its row say so."""
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
            stored = self._stored(row.id)
            where = target.relative_to(self.vault.root).as_posix()
            if stored is None or stored.row is None:
                Index(self.database).save(replace(row, path=where))
            else:
                Index(self.database).save(replace(Index(self.database).get(row.id), path=where))
        return f"moved to recordings/{where}"

    def move_aside(self, finding: Finding) -> str:
        """Move a file into ``lost+found``; a second name of a file that has one is only taken away."""
        path = self.home.root / finding.where
        if finding.kind is Kind.TEMPORARY and path.stat().st_nlink > 1:
            path.unlink()
            sync_folder(path.parent)
            return "its second name was taken away; the file is there under its own"
        return f"moved to {self.aside.take(path, f'{finding.kind}: {finding.what}')}"

    def close_rights(self, finding: Finding) -> str:
        """Take the rights of others away, and of the group where the folder is not shared."""
        path = self.home.root / finding.where
        mode = path.stat().st_mode
        may_not = forbidden_in(self.home, path)
        if not mode & may_not:
            return ""  # it is another user's
        path.chmod(stat.S_IMODE(mode) & ~may_not)
        return f"its mode is {stat.S_IMODE(mode) & ~may_not:04o}"

    def finish_erasing(self, finding: Finding) -> str:
        """Bring a recording whose rewriting was killed to the old or the new state, where the private key is."""
        path = (self.home.root / finding.where).with_suffix(REC)
        with alone(self.home.erasing_lock, wait=True):
            try:
                clear_up(self.vault, epoch_keys(self.home, self.config), path)
            except StorageError:
                return ""
        return "brought to the old or the new state"

    # --- what is done once for all findings of a kind

    def recover(self, _: Finding) -> str:
        """Close what a dead daemon left open."""
        return self._only_once("recover", self._recover)

    def replay(self, finding: Finding) -> str:
        """Make the tables say what the audit log says; where holds were missing the DPO has to look."""
        why = _DOUBTS.get(finding.kind)
        if why is not None:
            set_mark(self.home.state, self.now(), [why])
        return self._only_once("replay", self._replay)

    def destroy(self, _: Finding) -> str:
        """Destroy again what was deleted."""
        return self._only_once("destroy", self._destroy)

    def doubt(self, _: Finding) -> str:
        """Have the sweep wait for the DPO."""
        look(self.home.state, self.database, self.audit, self.now(), is_noted=False)
        return "the sweep waits until the DPO has looked (`recorder reconcile`)"

    def end_log(self, _: Finding) -> str:
        """Have the torn end of the audit log moved aside."""
        self.audit.append(MENDED, "recorder", "", {"what": str(Kind.AUDIT_TORN)})
        return "the torn end was moved aside, beside the log"

    def _only_once(self, name: str, act: Callable[[], str]) -> str:
        if name not in self._said:
            self._said[name] = act()
        return self._said[name]

    def _recover(self) -> str:
        try:
            with held(self.home):
                problems = [one.problem for one in recover_all(self.home, self.config, self.now()) if one.problem]
        except AlreadyRunningError:
            return ""
        return "" if problems else "closed as a partial recording"

    def _replay(self) -> str:
        with alone(self.home.erasing_lock, wait=True), alone(self.home.state / HOLDS_LOCK, wait=True):
            replay(self.audit, self.database, self.now)
        return "the audit log was replayed"

    def _destroy(self) -> str:
        with ExitStack() as stack:
            for lock in (self.home.state / LOCK, self.home.erasing_lock, self.home.state / HOLDS_LOCK):
                stack.enter_context(alone(lock, wait=True))
            shredder = Shredder(self.vault, Deletions(self.database), self.audit)
            done = catch_up(shredder, Holds(self.database), self.now, is_thorough=True)
        return "" if done.problems else "destroyed again, as its tombstone says"


Way = Callable[[Mender, Finding], str]
_WAYS: MappingProxyType[Kind, Way] = MappingProxyType(
    {
        Kind.NO_ROW: Mender.refile,
        Kind.DIGEST: Mender.refile,
        Kind.SIZE: Mender.refile,
        Kind.DUE: Mender.refile,
        Kind.ROW: Mender.refile,
        Kind.COLUMNS: Mender.refile,
        Kind.NO_CONTAINER: Mender.write_off,
        Kind.MISPLACED: Mender.put_right,
        Kind.TWICE: Mender.move_aside,
        Kind.LONE_KEY: Mender.move_aside,
        Kind.LONE_OFFICERS: Mender.take_out,
        Kind.UNKNOWN: Mender.move_aside,
        Kind.TEMPORARY: Mender.move_aside,
        Kind.MODE: Mender.close_rights,
        Kind.HALF_ERASED: Mender.finish_erasing,
        Kind.UNFINISHED: Mender.recover,
        Kind.HOLD: Mender.replay,
        Kind.CLAIM: Mender.replay,
        Kind.ORDER: Mender.replay,
        Kind.COPY: Mender.replay,
        Kind.TOMBSTONE: Mender.replay,
        Kind.DELETED: Mender.destroy,
        Kind.RESTORED: Mender.doubt,
        Kind.AUDIT_TORN: Mender.end_log,
    }
)
