"""Compares the files of a home with its index, keys and audit log, and reports differences. Reads only.

Both sides are read in order, a day at a time, so memory grows with the busiest day and the number of findings, not with
the number of recordings. It may run beside a daemon: changes in progress are no findings. It needs no private key.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from recorder.common.home import Home
from recorder.recordings.agreement import differences, read_mark
from recorder.recordings.finding import HomeFiles
from recorder.recordings.fsck_files import FileCheck, KeyCheck
from recorder.recordings.fsck_log import LogCheck
from recorder.recordings.fsck_recordings import Progress, RecordingCheck
from storage.audit import AuditLog
from storage.database import SQLITE, Database
from storage.errors import AuditUnavailableError
from storage.fsck import Finding, Kind
from storage.nodes import Nodes
from storage.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Checker:
    """Checks one home.

    Attributes:
        now: The clock, UTC.
        is_live: A daemon is running, so its open files are no left-overs.
        is_quick: Do not read containers, so their rows and digests are not compared.
        counts: Receives the numbers of rows, containers and sealed keys that were checked.
    """

    home: Home
    vault: Vault
    database: Database
    audit: AuditLog
    now: Callable[[], datetime]
    is_live: bool
    is_quick: bool = False
    counts: Counter[str] = field(default_factory=Counter)

    def findings(self, progress: Progress = lambda _done, _total: None, total: int = 0) -> Iterator[Finding]:
        """Yield findings as they are made.

        Args:
            progress: Called with the progress.
            total: Number of containers, for ``progress``.

        Raises:
            StorageError, OSError: Database, audit log or disk cannot be read.
        """
        home_files = HomeFiles(root=self.home.root, now=self.now)
        recordings = RecordingCheck(
            vault=self.vault,
            database=self.database,
            home_files=home_files,
            is_live=self.is_live,
            is_quick=self.is_quick,
            counts=self.counts,
            own_names=None if self.database.dialect == SQLITE else Nodes(self.database).names_of(self._fingerprint),
        )
        for why in self._differences():
            yield Finding(kind=Kind.RESTORED, where="state/agreement.json", what=why)
        log = LogCheck(audit=self.audit, database=self.database, state=self.home.state, now=self.now)
        yield from log.findings()
        yield from recordings.findings(progress, total)
        yield from KeyCheck(
            vault=self.vault, database=self.database, home_files=home_files, counts=self.counts
        ).findings()
        yield from FileCheck(home_files=home_files).findings()

    @property
    def _fingerprint(self) -> str:
        return self.vault.node.fingerprint

    def _differences(self) -> list[str]:
        if read_mark(self.home.state) is not None:
            return []  # the DPO has been asked already
        try:
            return differences(self.home.state, self.database, self.audit)
        except AuditUnavailableError:
            return []  # a damaged line, which the check of the log reports
