"""Looks at the two databases between which a home's index is to be moved, and says what prevents that."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from recorder.common.home import Home
from recorder.config.settings import Config
from recorder.recordings.move_note import MoveNote, place_of, read_note
from recorder.rules import times
from storage.database import SQLITE, Database, parse_url, sqlite_url
from storage.database_look import DatabaseLook, look_at
from storage.durable import free_bytes
from storage.errors import StorageError
from storage.migrations import INDEX_SCHEMA, known_revisions

HOME = "sqlite"
"""The target that stands for the file in the home."""
_ROOM_BYTES = 64 << 20


class MoveRefusedError(StorageError):
    """It cannot be done now, and nothing was changed; the sentence says what prevents it."""


class AlreadyThereError(MoveRefusedError):
    """The index is where it is to be moved to, and recorder.toml names that place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MovePlan:
    """What would be moved from where to where.

    Attributes:
        source: URL of the present index.
        target: URL of the new one.
        setting: Value of ``index_url`` afterwards.
        names: Of both for people.
        rows: Rows of each table.
        bytes: Size of the present index.
        is_copied: The new database has rows: those of this index, if it was interrupted after copying.
        is_closed: The move is done, but for the configuration.
    """

    source: str
    target: str
    setting: str
    names: tuple[str, str]
    rows: dict[str, int] = field(default_factory=dict)
    bytes: int = 0
    is_copied: bool = False
    is_closed: bool = False

    @property
    def total(self) -> int:
        """Rows in all."""
        return sum(self.rows.values())

    def as_json(self) -> dict[str, Any]:
        """Return the plan as JSON values; without URLs, which may contain a password."""
        return {
            "from": self.names[0], "to": self.names[1], "rows": dict(self.rows), "bytes": self.bytes,
            "is_copied": self.is_copied, "is_moved": self.is_closed,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class MovePlanner:
    """Looks at both databases of a move; changes nothing.

    Attributes:
        home: The home.
        config: Its configuration.
        target: `HOME`, or the URL of a PostgreSQL database.
        connecting: Returns the URL by which a database is opened, such as with the role that owns its tables.
    """

    home: Home
    config: Config
    target: str
    connecting: Callable[[str], str] = str

    def plan(self) -> MovePlan:
        """Look at both databases; changes nothing.

        Raises:
            MoveRefusedError: It cannot be moved.
            DatabaseError: One of the databases cannot be read, or is of a newer program.
        """
        target, setting = self._target()
        note = read_note(self.home.state)
        configured = self.config.storage.index_url
        is_left = note is not None and note.left == self._place(configured)
        source = (note.url or None) if note is not None and is_left else configured
        source_url = source or sqlite_url(self.home.index)
        names = (_name_of(source_url), _name_of(target))
        if self._place(source) == self._place(target):
            if is_left:
                old = configured or sqlite_url(self.home.index)
                return MovePlan(
                    source=self.connecting(old), target=target, setting=setting, names=(_name_of(old), names[1]),
                    is_closed=True,
                )  # fmt: skip
            raise AlreadyThereError(f"the index is in {names[1]} already")
        source_url, target = self.connecting(source_url), self.connecting(target)
        found = self._look_at_source(source_url, names[0])
        plan = MovePlan(
            source=source_url, target=target, setting=setting, names=names, rows=found.rows, bytes=found.bytes,
            is_copied=self._look_at_target(target, names[1], note, found),
        )  # fmt: skip
        self._check_room(plan)
        return plan

    def _target(self) -> tuple[str, str]:
        """Return the URL of the target, and the setting that names it."""
        if self.target == HOME:
            return sqlite_url(self.home.index), "off"
        parsed = parse_url(self.target)
        if parsed.drivername == SQLITE:
            raise MoveRefusedError(
                f"write --to {HOME} for the file {self.home.index}, or the URL of a PostgreSQL database"
            )
        if parsed.password is not None:
            raise MoveRefusedError(
                "leave the password out of the URL, since other users of this machine can see the words of a command: "
                "write it into a password file (PGPASSFILE, or passfile= in the URL)"
            )
        return self.target, self.target

    def _place(self, url: str | None) -> str:
        return place_of(self.home, url)

    @staticmethod
    def _look_at_source(url: str, name: str) -> DatabaseLook:
        found = look_at(url, INDEX_SCHEMA, known_revisions())
        if not found.rows:
            raise MoveRefusedError(f"there is no index in {name}: nothing to move; see index_url in recorder.toml")
        if found.moved_at is not None:
            raise MoveRefusedError(f"the index in {name} was moved on {times.day(found.moved_at)}: it is out of date")
        _refuse_sessions(found, name)
        return found

    def _look_at_target(self, url: str, name: str, note: MoveNote | None, source: DatabaseLook) -> bool:
        """Return whether the target has rows, which may be an earlier copy."""
        found = look_at(url, INDEX_SCHEMA, known_revisions())
        if parse_url(url).drivername == SQLITE and (found.moved_at or (note and note.left == self._place(url))):
            return False  # out of date: it is put aside
        if found.moved_at is not None:
            raise MoveRefusedError(
                f"{name} holds an index that was moved away on {times.day(found.moved_at)}: name a new "
                "database, or drop and create this one"
            )
        _refuse_sessions(found, name)
        if found.strange:
            raise MoveRefusedError(
                f"{name} has tables of another program ({found.strange[0]}): give the recorder a database of its own"
            )
        if found.filled and found.counts != source.counts:
            do = "move that file away" if parse_url(url).drivername == SQLITE else "name an empty database"
            raise MoveRefusedError(
                f"{name} is not empty ({', '.join(found.filled[:3])}), and nothing is overwritten: {do}, then run this "
                "again"
            )
        return bool(found.filled)

    def _check_room(self, plan: MovePlan) -> None:
        """Refuse a file for which the disk has no room; a server has to say so itself."""
        if parse_url(plan.target).drivername != SQLITE:
            return
        needed = 2 * plan.bytes + _ROOM_BYTES
        free = free_bytes(self.home.index.parent)
        if free < needed:
            raise MoveRefusedError(
                f"{self.home.index.parent} has {free >> 20} MB free, and copying takes {needed >> 20} MB: free space "
                "there, then run this again"
            )


def _name_of(url: str) -> str:
    database = Database(url, is_deferred=True)
    try:
        return database.name
    finally:
        database.close()


def _refuse_sessions(found: DatabaseLook, name: str) -> None:
    if found.sessions:
        raise MoveRefusedError(
            f"{name} is in use by {', '.join(found.sessions[:3])}: stop every daemon and console of the site, then run "
            "this again"
        )
