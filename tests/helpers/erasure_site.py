"""A site with one finished recording, and everything that orders, decides and carries out erasures and holds."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from recorder.permissions import Person, Role
from recorder.retention.eraser import Eraser
from recorder.retention.erasure_repositories import ErasureRepositories
from recorder.retention.hold_repositories import HoldRepositories
from storage.audit import AuditLog
from storage.audit_entry import AuditEntry
from storage.database import sqlite_url
from storage.erasures import Erasures
from storage.holds import Holds, new_hold_id
from storage.index import Index
from storage.retention_types import Hold, HoldKind
from storage.rows import row_from_json
from storage.types import RecordingRow
from tests.helpers.audit_services import audit_service
from tests.helpers.ready_files import put_index
from tests.helpers.storage_home import ID, Site, row

SECONDS = 5
ENDED = datetime(2026, 11, 24, 9, 30, SECONDS, tzinfo=UTC)
OLIVE = Person(name="olive", display_name="Olive Officer", roles=frozenset({Role.OFFICER}))
MONA = Person(name="mona", display_name="Mona", roles=frozenset({Role.MANAGER}), teams=("Revenues",))
LEA = Person(name="lea", display_name="Lea", roles=frozenset({Role.TEAM_LEADER}))
DORA = Person(name="dora", display_name="Dora", roles=frozenset({Role.DPO}))


_open: list["ErasureSite"] = []


def close_all() -> None:
    """Close the databases of all sites that were made; one that is used again opens its database again."""
    while _open:
        _open.pop().index.close()


class ErasureSite(Site):
    """`now` is the clock of both sides; it starts a minute after the call. Takes over what another one left."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.now = ENDED + timedelta(minutes=1)
        put_index(self.home / "index.sqlite")
        self.index = Index(sqlite_url(self.home / "index.sqlite"), now=lambda: self.now)
        _open.append(self)
        self.erasures = Erasures(self.index.database)
        self.holds = Holds(self.index.database)
        self.audit = AuditLog(self.home / "audit")
        left = next(self.vault.finished(), None)
        if left is None:
            self.path, finished = self.record(SECONDS)
            self.row = self.save(path=finished.path, bytes=finished.bytes, sha256=finished.sha256)
        else:
            self.path, self.row = left, self.index.get(ID)
        service = audit_service(self.audit, self.home / "state")
        self.repos = ErasureRepositories(
            index=self.index, erasures=self.erasures, audit=self.audit, audit_service=service, vault=self.vault,
            forgot_s=300.0, now=lambda: self.now,
        )  # fmt: skip
        self.people = [OLIVE, MONA, LEA, DORA]
        self.hold_repositories = HoldRepositories(
            index=self.index, holds=self.holds, audit=self.audit, audit_service=service, vault=self.vault,
            people=lambda: self.people, state=self.home / "state", now=lambda: self.now,
        )  # fmt: skip
        self.eraser = Eraser(
            vault=self.vault, keys=self.epochs, index=self.index, erasures=self.erasures, holds=self.holds,
            audit=self.audit, lock=self.home / "state" / "erasing.lock", now=lambda: self.now,
        )  # fmt: skip

    def save(self, **changes: Any) -> RecordingRow:
        """Save the recording's row in the index."""
        segments = [{"start_s": 0.0, "end_s": float(SECONDS), "kind": "recording", "reason": "", "by": ""}]
        fields = row(
            operator="Olive Officer", team="Revenues", ended_at=ENDED.isoformat(), duration_s=float(SECONDS),
            recorded_s=float(SECONDS), segments=segments,
        )  # fmt: skip
        peaks = bytes([40] * 10 * SECONDS)
        saved = replace(row_from_json({**fields, **changes}), peaks=(peaks, peaks))
        self.index.save(saved)
        return saved

    def hold(self, kind: HoldKind = HoldKind.COMPLAINT, **changes: Any) -> Hold:
        """Put a hold into the table, as it would be there after it was placed now."""
        hold = Hold(
            id=new_hold_id(), recording=ID, kind=kind, reason="complaint 12", case_reference="C-12", owner="lea",
            placed_by="lea", placed_at=self.now, review_on=self.now.date() + timedelta(days=90),
        )  # fmt: skip
        self.holds.place(replace(hold, **changes))
        return self.holds.get(hold.id)

    def entries(self, act: str) -> list[AuditEntry]:
        """Return the audit log's entries of an act, or of every act that begins like this."""
        return [entry for entry in self.audit.entries() if entry.act.startswith(act)]

    def snapshot(self) -> tuple[bytes, bytes, RecordingRow, int]:
        """Return what a refusal must leave alone: file, key, row, orders."""
        key = self.vault.sealed.path(ID, "2026-11").read_bytes()
        return self.path.read_bytes(), key, self.index.get(ID), len(self.erasures.newest(100))
