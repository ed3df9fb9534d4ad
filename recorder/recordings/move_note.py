"""Where a home's index was moved from and to, so that the old place is not used by mistake.

The old database has a mark of its own (`storage.moved`). The note in ``state`` guards against what that mark cannot:
an older copy of ``index.sqlite`` that somebody put back, or a new empty file in its place.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from recorder.common.home import Home
from recorder.config.settings import Config
from storage.database import SQLITE, parse_url, sqlite_url
from storage.durable import make_folder, remove, save_atomically
from storage.errors import DatabaseError
from storage.moved import sentence
from storage.rows import time_from_json, time_to_json

NAME = "index_moved.json"
"""In the home's folder of states."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveNote:
    """The last move of a home's index.

    Attributes:
        left: The old place, as `place_of` names it.
        url: The new place; "" for the file in the home.
        at: When.
    """

    left: str
    url: str
    at: datetime


def place_of(home: Home, url: str | None) -> str:
    """Return a name of a database that is the same for all URLs of it; None is the file in the home."""
    parsed = parse_url(url or sqlite_url(home.index))
    if parsed.drivername == SQLITE:
        return f"{SQLITE}:{Path(str(parsed.database)).resolve()}"
    host = str(parsed.host or parsed.query.get("host") or "").lower()
    return f"postgresql:{host}:{parsed.port or 5432}/{parsed.database or parsed.username or ''}"


def read_note(state: Path) -> MoveNote | None:
    """Return the note, or None: the index was never moved.

    Raises:
        DatabaseError: It cannot be read.
    """
    try:
        found = json.loads((state / NAME).read_bytes())
        at = time_from_json(found["at"])
        assert at is not None
        return MoveNote(left=str(found["left"]), url=str(found["url"]), at=at)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AssertionError) as error:
        raise DatabaseError(
            f"{state / NAME}, which says where the index was moved to, cannot be read: restore it from a backup, or "
            "remove it once index_url in recorder.toml names the newest index",
            is_passing=False,
        ) from error


def write_note(state: Path, note: MoveNote) -> None:
    """Store the note durably. Raises OSError."""
    make_folder(state)
    content = {"left": note.left, "url": note.url, "at": time_to_json(note.at)}
    save_atomically(state / NAME, json.dumps(content).encode())


def forget_note(state: Path) -> None:
    """Remove the note, since the index was made anew at the old place. Raises OSError."""
    if (state / NAME).exists():
        remove(state / NAME)


def check_place(home: Home, config: Config) -> None:
    """Check that the configured index is not one that was moved.

    Raises:
        DatabaseError: It was, or that cannot be told.
    """
    note = read_note(home.state)
    if note is not None and note.left == place_of(home, config.storage.index_url):
        to = place_of(home, note.url or None).partition(":")[2]
        raise DatabaseError(sentence(note.left.partition(":")[2], note.at, to), is_passing=False)
