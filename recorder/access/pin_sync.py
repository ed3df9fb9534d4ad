"""Keeps the file of managers' PINs the same on all machines of a site, through one row of the database.

A machine with a console publishes its file when that was changed later than the site's, by the file's time. Every other
machine takes the site's.
"""

import os
from datetime import UTC, datetime
from pathlib import Path

from storage.durable import save_atomically
from storage.shared_sign_ons import SharedPins


class PinSync:
    """Compares one file of PINs with the site's.

    Args:
        path: The file; it may be missing.
        table: The site's.
        is_publishing: Whether changes of this file are the site's: on a machine with a console.
    """

    def __init__(self, path: Path, table: SharedPins, *, is_publishing: bool) -> None:
        self._path = path
        self._table = table
        self._is_publishing = is_publishing

    def look(self) -> None:
        """Publish this file, or take the site's. Safe to repeat.

        Raises:
            DatabaseError, OSError: Database or file cannot be used; the file is as it was.
        """
        own, shared = self._own(), self._table.get()
        if self._is_publishing and own is not None and (shared is None or _is_later(own, shared)):
            self._table.put(*own)
        elif shared is not None and (own is None or own[0] != shared[0]):
            save_atomically(self._path, shared[0].encode())

    def _own(self) -> tuple[str, datetime] | None:
        try:
            with self._path.open() as file:
                at = datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
                return file.read(), at
        except FileNotFoundError:
            return None


def _is_later(own: tuple[str, datetime], shared: tuple[str, datetime]) -> bool:
    return own[0] != shared[0] and own[1] > shared[1]
