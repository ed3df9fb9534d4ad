"""Where a finished container is: a file of this home, or somewhere else that it can be read from.

Reading, verifying and exporting take either. Recording, recovery and rewriting work with files alone.
"""

from pathlib import Path
from typing import BinaryIO, Protocol

from storage.types import RecordingRow


class StoredContainer(Protocol):
    """A container that may be elsewhere. Each opening reads the local file if it is there."""

    @property
    def path(self) -> Path:
        """Return the path of the local file, which may be missing."""

    def open(self) -> BinaryIO:
        """Open it for reading, with `seek` and `tell`.

        Raises:
            StorageError: It cannot be reached, or is nowhere.
            OSError: The local file cannot be read.
        """

    def sealed_key(self) -> tuple[str, bytes] | None:
        """Return the epoch and the content of the sealed key that is stored with it; None: there is none.

        Raises:
            StorageError: It cannot be reached.
        """


Container = Path | StoredContainer


def path_of_container(container: Container) -> Path:
    """Return the path of the local file of a container, which may be missing."""
    return container if isinstance(container, Path) else container.path


class Elsewhere(Protocol):
    """A place where the containers of finished recordings are, besides this home: an object store."""

    def container(self, row: RecordingRow, path: Path) -> StoredContainer:
        """Return a recording's container, whose local file would be at a path. Reads nothing yet."""

    def has(self, row: RecordingRow) -> bool:
        """Tell whether a recording's container is there, or is to be brought there by another machine.

        Raises:
            DatabaseError: The database cannot be read.
        """

    def bring(self, row: RecordingRow, path: Path) -> None:
        """Write a recording's container to a path, and its sealed key if this home lacks it; both durable.

        Raises:
            StorageError: It cannot be reached, or is not what was recorded; nothing was changed.
            OSError: The disk refuses.
        """
