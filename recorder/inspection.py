"""Verifies containers, and compares each with what the index says of it. Needs no private key."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from storage.erasures import Erasures, is_open
from storage.errors import NotFoundError
from storage.index import Index
from storage.types import RecordingId, RecordingRow, Search, Verification
from storage.vault import Vault
from storage.verify import verify

FILING_S = 60.0
"""A finished file may be so old before its row must be there: the daemon files it a moment after it is closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspector:
    """Looks at containers and rows.

    Attributes:
        vault: Where containers lie; its node is the one that is trusted.
        index: What is said of them.
        now_s: Seconds since 1970.
    """

    vault: Vault
    index: Index
    now_s: Callable[[], float] = time.time

    def one(self, row: RecordingRow) -> Verification:
        """Verify the container of a row that has one."""
        assert row.path is not None, "asked for a recording of which something was kept"
        return self._compared(verify(self.vault.locate(row.path), self.vault.node.sign_public), row)

    def all(self) -> Iterator[Verification]:
        """Verify every container, then look for rows whose container is missing; constant memory.

        What is deleted or erased from meanwhile is no finding.
        """
        for path in self.vault.finished():
            found = verify(path, self.vault.node.sign_public)
            row = self._row(found.id)
            if row is None and not path.exists():
                continue
            yield self._unknown(found) if row is None else self._compared(found, row)
        for row in self.index.each(Search()):
            if row.path is not None and not self.vault.locate(row.path).exists():
                again = self._row(row.id)
                if again is not None and again.path == row.path:
                    yield self.one(again)

    def _row(self, recording: RecordingId) -> RecordingRow | None:
        try:
            row = self.index.get(recording)
        except NotFoundError:
            return None
        return row if row.id == recording else None

    def _unknown(self, found: Verification) -> Verification:
        if found.problem is not None or self.now_s() - found.path.stat().st_mtime < FILING_S:
            return found
        return replace(found, problem="the index does not know it, so nobody finds it: `recorder reindex`")

    def _compared(self, found: Verification, row: RecordingRow) -> Verification:
        if found.problem is not None or self._is_being_rewritten(row):
            return found
        return replace(found, problem=difference(found, row, self._relative(found.path)))

    def _is_being_rewritten(self, row: RecordingRow) -> bool:
        return any(is_open(order) for order in Erasures(self.index.database).of_recording(row.id))

    def _relative(self, path: Path) -> str:
        return path.resolve().relative_to(self.vault.root.resolve()).as_posix()


def difference(found: Verification, row: RecordingRow, path: str) -> str | None:
    """Return in what a whole container is not what the index says, or None."""
    if row.path != path:
        where = "nothing was kept of it" if row.path is None else f"it lies at {row.path}"
        return f"it lies at {path}, the index says that {where}"
    if row.sha256 != found.sha256:
        return (
            f"the index says sha256 {row.sha256}, the file is {found.sha256}: "
            "the row was changed, or the file is another one that this node closed"
        )
    if row.bytes != found.bytes:
        return f"the index says {row.bytes} bytes, the file has {found.bytes}"
    return None
