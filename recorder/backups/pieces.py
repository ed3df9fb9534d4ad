"""Writes files to a destination in pieces named by their digest, so that pieces which are there are not copied."""

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import BinaryIO

from recorder.backups.errors import BackupError, UnreadableFileError
from recorder.backups.snapshots import StoredFile
from recorder.objects.store import Store

PIECE_BYTES = 8 << 20
Copied = Callable[[int], None]
"""Called with the bytes of each piece that was read."""


class Pieces:
    """The pieces at one destination.

    Args:
        store: The destination.
        copied: Called for each piece.
        trusted: Pieces of complete snapshots, which were read back. Others may be what an interrupted backup left.

    Attributes:
        new: Keys of the objects that were written.
        new_bytes: Their bytes.
    """

    def __init__(
        self, store: Store, copied: Copied = lambda _bytes: None, trusted: AbstractSet[str] = frozenset()
    ) -> None:
        self.store = store
        self.new: list[str] = []
        self.new_bytes = 0
        self._copied = copied
        self._trusted = trusted

    def add(self, file: Path, *, path: str, folder: str, limit: int | None = None) -> StoredFile:
        """Store a file, or only its first bytes.

        Args:
            file: The file.
            path: Its path in the snapshot.
            folder: Folder of its pieces at the destination.
            limit: How many bytes belong to the snapshot; None for all.

        Raises:
            FileNotFoundError: The file is not there any more.
            UnreadableFileError: The file cannot be read.
            BackupError, OSError: The destination cannot be used.
        """
        whole, size, keys = hashlib.sha256(), 0, []
        with _opened(file) as read:
            before = seen_of(os.fstat(read.fileno()))
            for piece in _pieces(lambda size: _read(file, read, size), limit):
                whole.update(piece)
                size += len(piece)
                keys.append(self._put(folder, piece))
                self._copied(len(piece))
        return StoredFile(path=path, size=size, sha256=whole.hexdigest(), pieces=tuple(keys), seen=before)

    def has(self, file: StoredFile) -> bool:
        """Tell whether every piece of a file is at the destination, by its size only."""
        sizes = [self.store.size(key) for key in file.pieces]
        return None not in sizes and sum(size or 0 for size in sizes) == file.size

    def verify_new(self, progress: Copied = lambda _bytes: None) -> None:
        """Make durable what was written, and read it back; pieces that are gone are left to `check_there`.

        Raises:
            BackupError: A piece is not what was written.
        """
        self.store.flush()
        for key in self.new:
            content = self.store.get(key)
            if content is not None and hashlib.sha256(content).hexdigest() != key.rpartition("/")[2]:
                raise self._unlike(key)
            progress(len(content or b""))

    def check_there(self, files: Iterable[StoredFile]) -> None:
        """Check that what was written for some files is still there: others may have been deleted meanwhile.

        Raises:
            BackupError: A piece is missing.
        """
        new = set(self.new)
        for file in files:
            for key in new.intersection(file.pieces):
                if self.store.size(key) is None:
                    raise self._unlike(key)

    def _unlike(self, key: str) -> BackupError:
        return BackupError(
            f"{self.store.name}/{key} does not read back as it was written: check that disk. The last complete "
            "snapshot is unchanged"
        )

    def _put(self, folder: str, piece: bytes) -> str:
        key = f"{folder}/{hashlib.sha256(piece).hexdigest()}"
        if self.store.size(key) != len(piece) or (key not in self._trusted and self.store.get(key) != piece):
            self.store.put_soon(key, piece)
            self.new.append(key)
            self.new_bytes += len(piece)
        return key


def seen_of(found: os.stat_result) -> tuple[int, int, int]:
    """Return what tells an unchanged file: its size, modification time in ns, and inode."""
    return found.st_size, found.st_mtime_ns, found.st_ino


def look_at(file: Path) -> tuple[int, int, int] | None:
    """Return `seen_of` a path; None if no file is there, for instance since it was deleted meanwhile."""
    try:
        return seen_of(file.stat())
    except FileNotFoundError:
        return None


def _opened(file: Path) -> BinaryIO:
    """Open a file for reading, without following a link, and without waiting for somebody to write into a pipe."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UnreadableFileError(f"{file} is a link, and is not copied: find out who put it there") from error
        if isinstance(error, FileNotFoundError):
            raise
        raise _unreadable(file, error) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UnreadableFileError(f"{file} is no plain file, and is not copied: find out who put it there")
    return os.fdopen(descriptor, "rb")


def _read(file: Path, read: BinaryIO, size: int) -> bytes:
    try:
        return read.read(size)
    except OSError as error:
        raise _unreadable(file, error) from error


def _unreadable(file: Path, error: OSError) -> UnreadableFileError:
    return UnreadableFileError(f"{file} cannot be read: {error.strerror}; `dmesg` says more if the disk is at fault")


def _pieces(read: Callable[[int], bytes], limit: int | None) -> Iterator[bytes]:
    left = limit
    while piece := read(PIECE_BYTES if left is None else min(PIECE_BYTES, left)):
        yield piece
        left = None if left is None else left - len(piece)
