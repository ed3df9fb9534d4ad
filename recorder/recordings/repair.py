"""Repairs the findings of fsck. Never destroys evidence.

Files are moved to ``lost+found``, replaced rows are saved there first, and a container or key is destroyed only if a
tombstone says that it was deleted. Findings that need a person's decision are left alone. Repair may be interrupted at
any step and run again.
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime

from recorder.common.home import Home
from recorder.config.settings import Config
from recorder.recordings.agreement import look, set_mark
from recorder.recordings.file_repair import FileRepair
from recorder.recordings.home_lock import AlreadyRunningError, held
from recorder.recordings.recovery import recover_all
from recorder.recordings.replay import replay
from recorder.recordings.resurrection_guard import LOCK, alone, catch_up
from recorder.recordings.row_repair import RowRepair
from storage.audit import AuditLog
from storage.database import Database
from storage.deletion import Shredder
from storage.errors import DamagedError, StorageError
from storage.fsck import Finding, Kind
from storage.hold_journal import LOCK as HOLDS_LOCK
from storage.holds import Holds
from storage.lost_found import LostFound
from storage.tombstones import Deletions
from storage.vault import Vault

REPAIRED = "index.repaired"
"""Act of the audit log."""
_DOUBTS = {
    Kind.HOLD: "the index lacked a hold that the audit log has",
    Kind.CLAIM: "the index did not have a rights request as the audit log has it",
}
"""Why the DPO must decide before anything is deleted again: a recording could have been deleted wrongly."""


@dataclass(slots=True, kw_only=True)
class Repair:
    """Repairs one home.

    Attributes:
        now: The clock, UTC.
        is_writing_off: Mark rows whose container is gone as calls of which nothing is kept.
        aside: Receives files and rows that are moved out of the way.
    """

    home: Home
    config: Config
    vault: Vault
    database: Database
    audit: AuditLog
    now: Callable[[], datetime]
    is_writing_off: bool = False
    aside: LostFound = field(init=False)
    _acts: Mapping[Kind, Callable[[Finding], str]] = field(init=False)
    _said: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.aside = LostFound(self.home.root, self.now())
        rows = RowRepair(
            home=self.home, vault=self.vault, database=self.database, aside=self.aside,
            is_writing_off=self.is_writing_off,
        )  # fmt: skip
        files = FileRepair(
            home=self.home, config=self.config, vault=self.vault, database=self.database, aside=self.aside
        )
        self._acts = {
            Kind.NO_ROW: rows.refile,
            Kind.DIGEST: rows.refile,
            Kind.SIZE: rows.refile,
            Kind.DUE: rows.refile,
            Kind.ROW: rows.refile,
            Kind.COLUMNS: rows.refile,
            Kind.NO_CONTAINER: rows.write_off,
            Kind.MISPLACED: files.move_into_place,
            Kind.TWICE: files.move_aside,
            Kind.LONE_KEY: files.move_aside,
            Kind.LONE_OFFICERS: rows.take_out,
            Kind.UNKNOWN: files.move_aside,
            Kind.TEMPORARY: files.move_aside,
            Kind.MODE: files.close_rights,
            Kind.HALF_ERASED: files.finish_erasing,
            Kind.UNFINISHED: self.recover,
            Kind.HOLD: self.replay,
            Kind.CLAIM: self.replay,
            Kind.ORDER: self.replay,
            Kind.COPY: self.replay,
            Kind.TOMBSTONE: self.replay,
            Kind.DELETED: self.destroy,
            Kind.RESTORED: self.wait_for_dpo,
            Kind.AUDIT_TORN: self.move_torn_end,
        }

    def repair(self, finding: Finding) -> str:
        """Repair a finding; returns what was done, or "" if it needs a person or another state.

        Raises:
            StorageError: The database, the audit log or a lock is not available.
        """
        act = self._acts.get(finding.kind)
        if act is None:
            return ""
        try:
            return act(finding)
        except (DamagedError, FileNotFoundError):
            return ""  # it cannot be read, or is gone by now
        except OSError as error:
            raise StorageError(f"the repair of {finding.where} cannot go on: {error}") from error

    # --- repairs that are done once for all findings of a kind

    def recover(self, _: Finding) -> str:
        """Close what a killed daemon left open."""
        return self._only_once("recover", self._recover)

    def replay(self, finding: Finding) -> str:
        """Make the tables agree with the audit log; if holds were missing, the sweep waits for the DPO."""
        why = _DOUBTS.get(finding.kind)
        if why is not None:
            set_mark(self.home.state, self.now(), [why])
        return self._only_once("replay", self._replay)

    def destroy(self, _: Finding) -> str:
        """Destroy again what was deleted."""
        return self._only_once("destroy", self._destroy)

    def wait_for_dpo(self, _: Finding) -> str:
        """Make the sweep wait for the DPO."""
        look(self.home.state, self.database, self.audit, self.now(), is_noted=False)
        return "the sweep waits until the DPO has looked (`recorder index reconcile`)"

    def move_torn_end(self, _: Finding) -> str:
        """Move the torn end of the audit log aside."""
        self.audit.append(REPAIRED, "recorder", "", {"what": str(Kind.AUDIT_TORN)})
        return "the torn end was moved to a file beside the log"

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
