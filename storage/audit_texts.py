"""The free texts of the audit log, stored apart from its entries so that they can expire: `texts.sqlite`.

An entry has only the SHA-256 of a salt and its text. Without the salt nobody can confirm a guess of the text.

A text is prepared before its entry is written and settled afterwards. After a kill in between, the next writer keeps
the text if an entry has its commitment, and otherwise deletes it, since it would never expire. Readers treat prepared
and settled texts alike, so nobody has to wait for the second step.
"""

import contextlib
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from storage.audit_entry import commitment_of
from storage.errors import AuditUnavailableError
from storage.group_modes import refuse_link, touch

NAME = "texts.sqlite"
IsNamed = Callable[[str], bool]
_DELETING = ("DELETE FROM prepared WHERE hash = ?", "DELETE FROM texts WHERE hash = ?")
_FINDING = "SELECT salt, text FROM texts WHERE hash = ?"
_FINDING_PREPARED = "SELECT salt, text FROM prepared WHERE hash = ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredText:
    """A stored text with its salt."""

    commitment: str
    salt: bytes
    text: str

    @property
    def fits(self) -> bool:
        """Tell whether salt and text match the commitment."""
        return commitment_of(self.salt, self.text) == self.commitment


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptTexts:
    """The texts stored at a moment: the number of settled ones, and the commitments of the prepared ones."""

    settled: int
    prepared: frozenset[str]


def salted(text: str) -> StoredText:
    """Return a text with a new random salt."""
    salt = secrets.token_bytes(32)
    return StoredText(commitment=commitment_of(salt, text), salt=salt, text=text)


class AuditTexts:
    """The texts of one log; the file is made with the first text. Safe from any thread and from several processes."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME

    def prepare(self, new: StoredText, is_named: IsNamed) -> None:
        """Store a text durably before its entry is written, and settle texts that were prepared before.

        Args:
            new: The text.
            is_named: Tells whether an entry has a commitment. The log must be locked meanwhile.

        Raises:
            OSError, sqlite3.Error: It cannot be stored.
        """
        with closing(self._database()) as database, database:
            database.execute("SAVEPOINT settling")
            try:
                _settle(database, is_named)
            except (OSError, sqlite3.Error):
                database.execute("ROLLBACK TO settling")  # they stay prepared until the next text
            database.execute("INSERT INTO prepared VALUES (?, ?, ?)", (new.commitment, new.salt, new.text))

    def settle(self, is_named: IsNamed) -> None:
        """Settle the prepared texts that an entry names, and delete the others; on an error nothing changes.

        Args:
            is_named: As for `prepare`.
        """
        if not self._path.exists():
            return
        with contextlib.suppress(OSError, sqlite3.Error), closing(self._database()) as database, database:
            _settle(database, is_named)

    def restore(self, texts: Iterable[StoredText]) -> None:
        """Store texts from a backup, whose entries are in the log already.

        Raises:
            AuditUnavailableError: They cannot be stored; nothing was.
        """
        rows = ((one.commitment, one.salt, one.text) for one in texts)
        try:
            with closing(self._database()) as database, database:
                database.executemany("INSERT OR IGNORE INTO texts VALUES (?, ?, ?)", rows)
        except (OSError, sqlite3.Error) as error:
            raise AuditUnavailableError(f"the texts of the audit log cannot be stored: {error}") from error

    def stored(self, commitments: Iterable[str]) -> list[StoredText]:
        """Return those texts that are there and unchanged.

        Raises:
            AuditUnavailableError: The file cannot be read.
        """
        try:
            with self.reading() as read:
                found = [read.get(one) for one in commitments]
        except (OSError, sqlite3.Error) as error:
            raise AuditUnavailableError(f"the texts of the audit log cannot be read: {error}") from error
        return [one for one in found if one is not None and one.fits]

    def get(self, commitment: str | None) -> str | None:
        """Return a text, or None: it does not exist, expired, or was changed.

        Raises:
            AuditUnavailableError: The file cannot be read.
        """
        return None if commitment is None else next((one.text for one in self.stored([commitment])), None)

    def count(self, commitments: Iterable[str]) -> int:
        """Return how many texts `forget` would delete.

        Raises:
            AuditUnavailableError: The file cannot be read.
        """
        try:
            with self.reading() as read:
                return sum(read.get(one) is not None for one in commitments)
        except (OSError, sqlite3.Error) as error:
            raise AuditUnavailableError(f"the texts of the audit log cannot be read: {error}") from error

    def forget(self, commitments: Sequence[str]) -> int:
        """Delete texts and their salts in one step; returns how many there were.

        Raises:
            AuditUnavailableError: They cannot be deleted; all are still there.
        """
        if not commitments or not self._path.exists():
            return 0
        ids = [(one,) for one in commitments]
        try:
            with closing(self._database()) as database, database:
                return sum(database.executemany(deleting, ids).rowcount for deleting in _DELETING)
        except (OSError, sqlite3.Error) as error:
            raise AuditUnavailableError(f"the texts of the audit log cannot be deleted: {error}") from error

    def kept(self) -> KeptTexts | None:
        """Return which texts are stored now, or None: the file cannot be read."""
        try:
            with self.reading() as texts:
                return KeptTexts(settled=texts.count(), prepared=texts.prepared())
        except (OSError, sqlite3.Error):
            return None

    @contextmanager
    def reading(self) -> Iterator["TextsReader"]:
        """Open the file read-only for many reads, so that a log on a read-only medium can be read.

        After a killed writer it is opened for writing, since SQLite must roll back before anybody can read.
        """
        if not self._path.exists():
            yield TextsReader(None)
            return
        refuse_link(self._path)  # SQLite follows one
        mode = "rw" if self._path.with_name(f"{NAME}-journal").exists() else "ro"
        uri = f"{self._path.absolute().as_uri()}?mode={mode}"
        with closing(sqlite3.connect(uri, uri=True, timeout=5.0)) as database:
            database.text_factory = bytes  # a changed text may not be UTF-8
            yield TextsReader(database)

    def _database(self) -> sqlite3.Connection:
        touch(self._path)
        database = sqlite3.connect(self._path, timeout=5.0)
        database.execute("PRAGMA secure_delete=ON")
        database.execute("PRAGMA synchronous=FULL")
        database.execute("PRAGMA temp_store=MEMORY")
        for table in ("texts", "prepared"):
            database.execute(f"CREATE TABLE IF NOT EXISTS {table} (hash TEXT PRIMARY KEY, salt BLOB, text TEXT)")
        return database


def _settle(database: sqlite3.Connection, is_named: IsNamed) -> None:
    for one in database.execute("SELECT hash FROM prepared").fetchall():
        if is_named(one[0]):
            database.execute("INSERT OR IGNORE INTO texts SELECT * FROM prepared WHERE hash = ?", one)
        database.execute("DELETE FROM prepared WHERE hash = ?", one)


class TextsReader:
    """Reads texts from an open file; None: there is no file."""

    def __init__(self, database: sqlite3.Connection | None) -> None:
        self._database = database

    def get(self, commitment: str) -> StoredText | None:
        """Return the text stored under a commitment, also if it does not match; None: there is none.

        Raises:
            sqlite3.Error: The file cannot be read.
        """
        if self._database is None:
            return None
        row = self._database.execute(_FINDING, (commitment,)).fetchone()
        if row is None and self._has_prepared():
            row = self._database.execute(_FINDING_PREPARED, (commitment,)).fetchone()
        if row is None:
            return None
        salt, text = (value if isinstance(value, bytes) else b"" for value in row)
        return StoredText(commitment=commitment, salt=salt, text=text.decode(errors="replace"))

    def count(self) -> int:
        """Return the number of settled texts.

        Raises:
            sqlite3.Error: The file cannot be read.
        """
        if self._database is None:
            return 0
        return int(self._database.execute("SELECT count(*) FROM texts NOT INDEXED").fetchone()[0])

    def prepared(self) -> frozenset[str]:
        """Return the commitments of the prepared texts.

        Raises:
            sqlite3.Error: The file cannot be read.
        """
        if self._database is None or not self._has_prepared():
            return frozenset()
        rows = self._database.execute("SELECT hash FROM prepared").fetchall()
        return frozenset(row[0].decode(errors="replace") for row in rows if isinstance(row[0], bytes))

    def _has_prepared(self) -> bool:
        assert self._database is not None
        query = "SELECT 1 FROM sqlite_master WHERE name = 'prepared'"
        return self._database.execute(query).fetchone() is not None  # logs of older versions lack the table
