"""The console's thread that carries new entries of the audit log, and deletions, to the backup destination.

While the destination is away nothing is lost: the audit log is the queue. After two minutes health has an alarm.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from recorder.backups.backup import JOURNAL_LOCK
from recorder.backups.destinations import open_store
from recorder.backups.journal import DELETING, Journal, JournalRun
from recorder.backups.snapshots import Repository
from recorder.backups.status import BackupStatus
from recorder.common.clock import utc_now
from recorder.common.file_lock import locked
from recorder.common.home import Home
from recorder.config.backup_options import BackupOptions
from recorder.objects.store import Store
from storage.audit import AuditLog
from storage.audit_reading import acts_after
from storage.errors import StorageError
from storage.keys import NodeKeys
from storage.vault import Vault

_log = logging.getLogger(__name__)

EVERY_S = 5.0
"""How often to look for deletions, seconds."""
OTHERS_EVERY_S = 60.0
"""How often to carry other entries, seconds: a restore knows of holds that are so old."""
RETRY_S = 30.0
"""Delay after a failure, seconds."""


@dataclass(slots=True, kw_only=True)
class Following:
    """Continues the journal at one destination.

    Attributes:
        destination: Name of the destination.
        open: Opens it, at each try: a missing file of an account is no reason for the console not to start.
        now: The clock, UTC.
        clock: Monotonic, seconds.
    """

    home: Home
    destination: str
    open: Callable[[], Store]
    node: NodeKeys
    audit: AuditLog
    now: Callable[[], datetime]
    clock: Callable[[], float] = time.monotonic
    _mark: tuple[int, int] = field(default=(0, 0), init=False)
    _due_s: float = field(default=float("-inf"), init=False)
    _problem: str = field(default="", init=False)

    @property
    def problem(self) -> str:
        """Return why the last try failed, or ""."""
        return self._problem

    def keep(self, stopping: threading.Event) -> None:
        """Run until told to stop."""
        wait_s = 0.0
        while not stopping.wait(wait_s):
            try:
                wait_s = self.run_due()
            except Exception:  # noqa: BLE001 - a bug here must not end it
                _log.exception("Carrying deletions to the backup failed; retrying in %.0f s", RETRY_S)
                wait_s = RETRY_S

    def run_due(self, *, is_forced: bool = False) -> float:
        """Continue the journal if somebody deleted, a minute has passed, or the last try failed.

        Args:
            is_forced: Continue it in any case.

        Returns:
            Seconds until the next run.
        """
        is_deleting, at = self._look()
        is_due = self.clock() >= self._due_s and at != self._mark
        if not (is_forced or is_deleting or is_due or self._problem):
            return EVERY_S
        try:
            followed, problem = self.follow(), ""
        except (StorageError, OSError) as error:
            followed, problem = JournalRun(), str(error)
        if problem and problem != self._problem:
            _log.error("Carrying deletions to the backup failed; retrying: %s", problem)
        if followed.removed:
            _log.info("%d deleted recordings were removed from the backup %s", len(followed.removed), self.destination)
        self._mark, self._problem, self._due_s = at, problem, self.clock() + OTHERS_EVERY_S
        BackupStatus(self.home.state).followed(self.now(), problem)
        return RETRY_S if problem else EVERY_S

    def _look(self) -> tuple[bool, tuple[int, int]]:
        """Return whether somebody deleted since the last run, and how far the log was read."""
        if self._mark == (0, 0) and self.audit.path.exists():
            found = self.audit.path.stat()
            return True, (found.st_ino, found.st_size)
        new = acts_after(self.audit.path, self._mark, *DELETING)
        return bool(new.entries), new.at

    def follow(self) -> JournalRun:
        """Continue the journal now.

        Raises:
            StorageError, OSError: Destination, log or recordings cannot be used.
        """
        repository = Repository(self.open(), self.node.sign_public)
        with locked(self.home.state / JOURNAL_LOCK, wait=True):
            repository.check_owner()
            return Journal(repository).follow(self.audit, Vault(self.home.root, self.node), self.node)


def follow_configured(home: Home, options: BackupOptions, node: NodeKeys, audit: AuditLog) -> Following | None:
    """Return what carries deletions to ``[backup] destination``; None if there is none."""
    if options.destination is None:
        return None
    opening = partial(open_store, options.destination, options.s3_path, home.state)
    return Following(home=home, destination=options.destination, open=opening, node=node, audit=audit, now=utc_now)
