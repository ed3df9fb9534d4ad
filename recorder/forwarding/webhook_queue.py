"""The events that webhooks are told of and their deliveries, in a SQLite file: the queue and the log of deliveries.

Daemon and console add events; the process that sends works the deliveries off; the sweep deletes what is old. Safe from
any thread and from several processes. What was added is on the disk.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from recorder.config.webhook_options import WebhookOptions
from recorder.rules.webhook_events import WebhookEvent
from storage.durable import save_atomically
from storage.errors import StorageError
from storage.group_modes import refuse_link, touch
from storage.tables import microseconds, moment_of

_TABLES = (
    "CREATE TABLE IF NOT EXISTS events (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, "
    "type TEXT NOT NULL, about TEXT NOT NULL, at TEXT NOT NULL, made_us INTEGER NOT NULL, body BLOB NOT NULL)",
    "CREATE INDEX IF NOT EXISTS events_by_time ON events (made_us)",
    "CREATE TABLE IF NOT EXISTS deliveries (event INTEGER NOT NULL, target TEXT NOT NULL, state TEXT NOT NULL, "
    "tries INTEGER NOT NULL, due_us INTEGER NOT NULL, changed_us INTEGER NOT NULL, status INTEGER, "
    "problem TEXT NOT NULL, PRIMARY KEY (event, target))",
    "CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (target, state, tries, event)",
    "CREATE TABLE IF NOT EXISTS marks (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
)
_SELECT = (
    "SELECT events.seq, events.id, type, about, at, made_us, body, target, state, tries, changed_us, status, problem "
    "FROM deliveries JOIN events ON events.seq = deliveries.event "
)
_LOCK_S = 5.0
_LATEST = timedelta(hours=2)
"""No delivery is put off for so long: if one is, the clock was set back meanwhile."""
REMEMBERED = timedelta(days=4)
"""How long events are remembered at least: until they are given up, and until none is derived from its row again."""


_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class QueueError(StorageError):
    """The queue cannot be read or written; the message is a sentence.

    Attributes:
        is_damaged: What the file holds is no queue any more.
    """

    def __init__(self, message: str, *, is_damaged: bool = False) -> None:
        super().__init__(message)
        self.is_damaged = is_damaged


class DeliveryState(StrEnum):
    """How far the delivery of one event to one target is."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The delivery of one event to one target.

    Attributes:
        seq: Number of the event.
        id: Its id.
        type: Its type.
        about: The call, recording or case.
        at: When it happened.
        made_at: When it was queued.
        body: What is sent.
        tries: How often it was tried.
        changed_at: When it was tried last, or queued.
        status: The HTTP status of the last answer; None for none.
        problem: Why the last try failed.
    """

    seq: int
    id: str
    type: str
    about: str
    at: str
    made_at: datetime
    body: bytes
    target: str
    state: DeliveryState
    tries: int
    changed_at: datetime
    status: int | None
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetCounts:
    """The deliveries of one target: how many wait, since when, and how many were given up."""

    waiting: int
    oldest_at: datetime | None
    given_up: int


class WebhookQueue:
    """One file; made when it is needed.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def exists(self) -> bool:
        """Tell whether the file was made."""
        return self._path.exists()

    def add(
        self, events: Iterable[WebhookEvent], targets: Sequence[WebhookOptions], now: datetime,
        *, mark: tuple[str, str] | None = None,
    ) -> int:  # fmt: skip
        """Queue events that are not known yet for the targets that take them; return how many were new.

        Args:
            events: In order.
            targets: The configured targets.
            now: Aware, UTC.
            mark: Name and value of a mark that is stored in the same step.

        Raises:
            QueueError: Nothing was stored.
        """
        new, now_us = 0, microseconds(now)
        with self._writing() as database:
            for event in events:
                row = (event.id, event.type, event.about, event.at, now_us, event.body)
                added = database.execute(
                    "INSERT OR IGNORE INTO events (id, type, about, at, made_us, body) VALUES (?, ?, ?, ?, ?, ?)", row
                )
                if not added.rowcount:
                    continue
                new += 1
                database.executemany(
                    "INSERT INTO deliveries VALUES (?, ?, ?, 0, ?, ?, NULL, '')",
                    [
                        (added.lastrowid, one.name, DeliveryState.WAITING, now_us, now_us)
                        for one in targets
                        if one.takes(event.type)
                    ],
                )
            if mark is not None:
                database.execute("INSERT OR REPLACE INTO marks VALUES (?, ?)", mark)
        return new

    def mark(self, name: str) -> str | None:
        """Return the value of a mark, or None. Raises QueueError."""
        with self._reading() as database:
            found = database.execute("SELECT value FROM marks WHERE name = ?", (name,)).fetchone()
        return None if found is None else str(found[0])

    def check(self) -> None:
        """Read all of the file. Raises QueueError, with ``is_damaged`` if it is."""
        with self._reading() as database:
            said = str(database.execute("PRAGMA quick_check(1)").fetchone()[0])
        if said != "ok":
            raise QueueError(f"the queue of webhooks {self._path} cannot be used: {said}", is_damaged=True)

    def begin_anew(self, marks: Mapping[str, str]) -> None:
        """Replace a damaged file by an empty one with some marks, in one step; what it held is lost. Raises QueueError.

        Whoever uses the old file at this moment stores nothing by that; the intake derives it again.
        """
        with self._translated(), closing(sqlite3.connect(":memory:", isolation_level=None)) as empty:
            for statement in _TABLES:
                empty.execute(statement)
            empty.executemany("INSERT INTO marks VALUES (?, ?)", marks.items())
            content = empty.serialize()
            for suffix in ("-journal", "-wal", "-shm"):  # they would be applied to the new file
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
            save_atomically(self._path, content)

    def forget_marks(self) -> None:
        """Delete the marks, so that intake begins anew where webhooks are configured again. Raises QueueError."""
        if self.exists:
            with self._writing() as database:
                database.execute("DELETE FROM marks")

    def due(self, target: str, now: datetime, *, most: int) -> list[Delivery]:
        """Return deliveries of a target that are due: the least tried first, then the oldest. Raises QueueError.

        Those that are due in the far future are due: their time was set by a clock that was wrong.
        """
        with self._reading() as database:
            rows = database.execute(
                f"{_SELECT} WHERE target = ? AND state = ? AND (due_us <= ? OR due_us > ?) "
                "ORDER BY tries, event LIMIT ?",
                (target, DeliveryState.WAITING, microseconds(now), microseconds(now + _LATEST), most),
            ).fetchall()
        return [_delivery(row) for row in rows]

    def settle(
        self, delivery: Delivery, state: DeliveryState, now: datetime, *,
        due: datetime | None = None, status: int | None = None, problem: str = "",
    ) -> None:  # fmt: skip
        """Store the result of a try.

        Args:
            delivery: From `due`.
            state: Its state from now on.
            now: Aware, UTC.
            due: When it is tried again.
            status: The HTTP status, if there was an answer.
            problem: Why it failed.

        Raises:
            QueueError: It was not stored; the delivery is tried again.
        """
        with self._writing() as database:
            database.execute(
                "UPDATE deliveries SET state = ?, tries = tries + 1, due_us = ?, changed_us = ?, status = ?, "
                "problem = ? WHERE event = ? AND target = ?",
                (
                    state, microseconds(due or now), microseconds(now), status, problem[:300], delivery.seq,
                    delivery.target,
                ),
            )  # fmt: skip

    def log(self, *, target: str | None = None, state: DeliveryState | None = None, most: int = 100) -> list[Delivery]:
        """Return deliveries, the newest event first. Raises QueueError."""
        with self._reading() as database:
            rows = database.execute(
                f"{_SELECT} WHERE (?1 IS NULL OR target = ?1) AND (?2 IS NULL OR state = ?2) "
                "ORDER BY event DESC, target LIMIT ?3",
                (target, state, most),
            ).fetchall()
        return [_delivery(row) for row in rows]

    def counts(self, target: str, *, given_up_since: datetime) -> TargetCounts:
        """Return how many deliveries of a target wait, and were given up since a moment. Raises QueueError."""
        with self._reading() as database:
            waiting, oldest_us = database.execute(
                "SELECT count(*), min(made_us) FROM deliveries JOIN events ON events.seq = deliveries.event "
                "WHERE target = ? AND state = ?",
                (target, DeliveryState.WAITING),
            ).fetchone()
            (given_up,) = database.execute(
                "SELECT count(*) FROM deliveries WHERE target = ? AND state = ? AND changed_us >= ?",
                (target, DeliveryState.GIVEN_UP, microseconds(given_up_since)),
            ).fetchone()
        return TargetCounts(waiting=waiting, oldest_at=moment_of(oldest_us), given_up=given_up)

    def count_before(self, moment: datetime) -> int:
        """Return how many events `forget` would delete. Raises QueueError."""
        if not self.exists:
            return 0
        with self._reading() as database:
            found = database.execute("SELECT count(*) FROM events WHERE made_us < ?", (microseconds(moment),))
            return int(found.fetchone()[0])

    def forget(self, *, before: datetime) -> int:
        """Delete events that were queued before a moment, with their deliveries. Raises QueueError."""
        if not self.exists:
            return 0
        moment_us = microseconds(before)
        with self._writing() as database:
            database.execute(
                "DELETE FROM deliveries WHERE event IN (SELECT seq FROM events WHERE made_us < ?)", (moment_us,)
            )
            return database.execute("DELETE FROM events WHERE made_us < ?", (moment_us,)).rowcount

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._translated(), closing(self._database()) as database:
            yield database

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._translated(), closing(self._database()) as database:
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
            except BaseException:
                database.execute("ROLLBACK")
                raise
            database.execute("COMMIT")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF
            raise QueueError(
                f"the queue of webhooks {self._path} cannot be used: {error}", is_damaged=code in _DAMAGED
            ) from error

    def _database(self) -> sqlite3.Connection:
        is_new = not self._path.exists()
        touch(self._path)
        refuse_link(self._path)
        database = sqlite3.connect(self._path, timeout=_LOCK_S, isolation_level=None)
        try:
            for pragma in ("secure_delete=ON", "synchronous=FULL", "temp_store=MEMORY"):
                database.execute(f"PRAGMA {pragma}")
            if is_new or not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'marks'").fetchone():
                for statement in _TABLES:
                    database.execute(statement)
        except BaseException:
            database.close()
            raise
        return database


def _delivery(row: tuple) -> Delivery:  # type: ignore[type-arg]
    seq, event, kind, about, at, made_us, body, target, state, tries, changed_us, status, problem = row
    return Delivery(
        seq=seq, id=event, type=kind, about=about, at=at, made_at=moment_of(made_us), body=bytes(body), target=target,
        state=DeliveryState(state), tries=tries, changed_at=moment_of(changed_us), status=status, problem=problem,
    )  # fmt: skip
