"""A home with finished recordings in vault, keys and index, and a sweep over it whose clock is passed in."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from recorder.access.database import open_people
from recorder.common.home import Home
from recorder.config.settings import Config, Retention
from recorder.recordings.resurrection_guard import SweepBusyError
from recorder.retention.account_expiry import AccountExpiry
from recorder.retention.sweep import Sweeper
from recorder.retention.sweep_consent import Consent
from recorder.retention.sweep_consents import Consents
from recorder.retention.sweep_safeguards import Stop
from recorder.retention.sweep_sharing import Sharing
from recorder.retention.sweep_state import SweepFile, SweepState
from recorder.rules.policy import Service
from recorder.rules.retention_periods import Periods
from storage.audit import AuditLog
from storage.audit_reading import of_act
from storage.database import Database, sqlite_url
from storage.deletion import Shredder
from storage.epochs import EpochKeys
from storage.erasures import Erasures
from storage.hold_journal import PLACED, RELEASED, changed_details, placed_details
from storage.holds import Holds, new_hold_id
from storage.index import Index
from storage.keys import NodeKeys
from storage.leases import Leases
from storage.old_calls import OldCalls
from storage.retention_types import Hold, HoldKind
from storage.rows import row_from_json
from storage.shared_deletion import SharedDeletion
from storage.tombstones import Deletions
from storage.types import RecordingHead, RecordingId
from storage.vault import Vault
from tests.helpers.ready_files import put_index, put_people
from tests.helpers.recorder_home import eventually
from tests.helpers.storage_home import block, row

HANDED_OVER = {
    "operators": ["a.officer", "b.officer"],
    "extensions": ["2001", "2002"],
    "numbers": ["2002", "07700900123"],
}
"""Whose call each was."""
NOW = datetime.fromisoformat("2026-11-25T03:00:00+00:00")


class Agreed:
    """Two people who confirm everything that they are asked."""

    def take(self, what: Stop, *, due: int, now: datetime) -> Consent | None:
        return Consent(id="00000000", what=what, due=due, first_by="lena", first_at=now, second_by="dora")


def agreed(sweeper: Sweeper) -> Sweeper:
    """Return a sweep that two people let go on whatever is due."""
    return replace(sweeper, consents=Agreed())


def sweep_beside(sweeper: Sweeper) -> SweepState:
    """Sweep whatever is due; wait for a daemon that has just started, as it destroys what has returned."""

    def swept() -> SweepState | None:
        try:
            return agreed(sweeper).run()
        except SweepBusyError:
            return None

    return eventually(swept, "the daemon gives up the lock of sweeps")


def id_of(ended_at: datetime, number: int) -> RecordingId:
    return RecordingId(f"{ended_at - timedelta(seconds=1):%Y%m%dT%H%M%SZ}-2001-{number:06x}")


class SweepSite:
    """A recorder's home as `recorder init` leaves it, without a daemon."""

    def __init__(self, folder: Path, url: str | None = None, *, name: str = "home", node: str | None = None) -> None:
        self.node_name = node
        """The node's name, if it shares the index with others."""
        self.home = Home(folder / name)
        self.node = NodeKeys.create(self.home.root)
        self.epochs = EpochKeys(self.home.root / "keys" / "epochs", self.home.private_keys)
        self.vault = Vault(self.home.root, self.node)
        self.url = url or sqlite_url(self.home.index)
        if url is None:
            put_index(self.home.index)
        put_people(self.home.people)
        self.open()
        self.now = NOW - timedelta(days=366)
        """What the clock of the audit log says; a sweep sets it."""
        self.audit = AuditLog(self.home.audit, now=lambda: self.now)
        self.count = 0
        self.people = open_people(self.home.people)

    def open(self) -> None:
        """Open the database, anew where it was taken away."""
        self.database = Database(self.url)
        self.index = Index(self.database)
        self.holds, self.erasures = Holds(self.database), Erasures(self.database)
        self.deletions = Deletions(self.database)

    def record(
        self,
        ended_at: datetime,
        *,
        service: str = "housing",
        operator_key: str = "k7",
        rang_at: datetime | None = None,
    ) -> RecordingId:
        """Make a finished recording of one second that ended then; its id is of the moment at which it rang."""
        self.count += 1
        started = ended_at - timedelta(seconds=1)
        recording = id_of(rang_at + timedelta(seconds=1) if rang_at else ended_at, self.count)
        self.epochs.ensure_epochs(started, months_ahead=0)
        times = {"started_at": started.isoformat(), "ended_at": ended_at.isoformat()}
        fields = row(recording, service=service, operator_key=operator_key, **HANDED_OVER, **times)
        opened = self.vault.create(
            RecordingHead(id=recording, started_at=started, operator_key=operator_key, index_row=fields)
        )
        opened.append(block(0))
        closed = opened.close(fields, is_complete=True)
        made = replace(row_from_json(fields), path=closed.path, bytes=closed.bytes, sha256=closed.sha256)
        self.index.save(replace(made, node=self.node_name or ""))
        return recording

    def miss(self, ended_at: datetime, *, service: str = "housing") -> RecordingId:
        """File a call of which nothing was kept."""
        self.count += 1
        recording = id_of(ended_at, self.count)
        times = {"started_at": ended_at.isoformat(), "ended_at": ended_at.isoformat()}
        self.index.save(row_from_json(row(recording, service=service, outcome="no_conversation", **times)))
        return recording

    def hold(self, recording: RecordingId, at: datetime, *, in_table: bool = True) -> Hold:
        """Hold a recording as the holds' own acts do: audit log, then table."""
        hold = Hold(
            id=new_hold_id(), recording=recording, kind=HoldKind.COMPLAINT, reason="they complained",
            case_reference="C-1", owner="olive", placed_by="olive", placed_at=at, review_on=date(2027, 1, 1),
        )  # fmt: skip
        self.now = at
        self.audit.append(PLACED, "olive", recording, placed_details(hold), hold.reason)
        if in_table:
            self.holds.place(hold)
        return hold

    def release(self, hold: Hold, at: datetime, grace: timedelta = timedelta(days=14)) -> None:
        after = replace(hold, released_by="dora", released_at=at, grace_until=at + grace)
        self.audit.append(RELEASED, "dora", hold.recording, changed_details(hold, after, at), "over")
        self.holds.save([after])

    def sweeper(
        self, now: datetime, periods: Periods | None = None, *, most_share: float = 100.0, **services: int
    ) -> Sweeper:
        """Return a sweep at a moment; by default with the usual periods."""
        self.now = now
        config = Config(service=tuple(Service(name=name, retention_days=days) for name, days in services.items()))
        file = SweepFile(self.home.state, self.audit)
        if file.load().in_force is None:
            file.save(replace(file.load(), in_force=dict(periods or config.periods)))  # as `recorder init` stores them
        file.save(replace(file.load(), most_share=most_share))  # as if the DPO had confirmed it
        name = self.node_name
        sharing, shared = None, None
        if name is not None:
            sharing = Sharing(leases=Leases(self.database), holder=name, node=name, clock=lambda: now)
            shared = SharedDeletion(database=self.database, audit=self.audit, node=name, now=lambda: now)
        return Sweeper(
            vault=self.vault, calls=OldCalls(self.database), sharing=sharing,
            shredder=Shredder(self.vault, self.deletions, self.audit, shared), holds=self.holds, erasures=self.erasures,
            former=AccountExpiry(self.people), audit=self.audit, state=self.home.state,
            erasing_lock=self.home.erasing_lock,
            consents=Consents(self.people), periods=periods or config.periods, most_share=most_share, now=lambda: now,
        )  # fmt: skip

    def sweep(self, now: datetime = NOW, periods: Periods | None = None, **options: Any) -> dict[str, int]:
        """Sweep and return what was counted; how much is due at once is let go."""
        services = {name: value for name, value in options.items() if name != "most_share"}
        sweeper = self.sweeper(now, periods, most_share=options.get("most_share", 100.0), **services)
        return {name: count for name, count in agreed(sweeper).run().counts.items() if count}

    def traces(self, recording: RecordingId) -> dict[str, bool]:
        """Tell what is left of a recording."""
        root = self.home.root
        return {
            "row": bool([one for one in self.ids() if one == recording]),
            "file": any(root.glob(f"recordings/**/{recording}.*")),
            "key": any(root.glob(f"keys/sealed/*/{recording}.*")),
            "tombstone": self.deletions.get(recording) is not None,
        }

    def ids(self) -> list[RecordingId]:
        """Return the calls of the index."""
        with self.database.connect() as connection:
            found: Sequence[str] = connection.exec_driver_sql("SELECT id FROM recordings ORDER BY id").scalars().all()
        return [RecordingId(one) for one in found]

    def acts(self, act: str) -> list[dict[str, Any]]:
        """Return the entries of an act."""
        return [entry.to_json() for entry in of_act(self.audit.path, act)]

    def close(self) -> None:
        self.database.close()
        self.people.dispose()


PRESENT = {"row": True, "file": True, "key": True, "tombstone": False}
GONE = {"row": False, "file": False, "key": False, "tombstone": True}


def default_periods(**changes: int) -> dict[str, int]:
    """Return the usual periods with some changed; ``service_NAME`` for a service's own."""
    named = {name.replace("service_", "service/"): days for name, days in changes.items()}
    return {**Retention().days, **named}
