"""Where backups are stored: objects by key, in a folder or elsewhere. An object is written as a whole or not at all."""

import errno
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from storage.durable import SavedFile, make_folder, sync_file_system
from storage.errors import StorageError

_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9.+_-]*(/[A-Za-z0-9_][A-Za-z0-9.+_-]*)*")
_NEW = ".new-"
"""Prefix of files that are being written: `storage.durable.SavedFile`."""
STAGING = "staging"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class BackupError(StorageError):
    """A backup cannot be made, checked or restored; the message says what to do next."""


class Store(Protocol):
    """Objects by key: letters, digits, ``.``, ``_``, ``-``, in folders divided by ``/``.

    Every method raises BackupError if the store cannot be used.
    """

    @property
    def name(self) -> str:
        """Return the name for people."""

    @property
    def staging(self) -> Path:
        """Return a private folder for files that are put together before they are stored; the caller clears it."""

    def size(self, key: str) -> int | None:
        """Return an object's size in bytes, or None: there is none."""

    def put(self, key: str, content: bytes) -> None:
        """Store an object durably; an existing one is replaced."""

    def put_soon(self, key: str, content: bytes) -> None:
        """Store an object, durably only once `flush` has returned."""

    def flush(self) -> None:
        """Make durable what `put_soon` stored."""

    def get(self, key: str) -> bytes | None:
        """Return an object as it is on the medium, or None: there is none."""

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys in a folder and those below it, in no order."""

    def remove(self, key: str) -> None:
        """Remove an object; it may be missing."""

    def tidy(self) -> None:
        """Remove what interrupted writers left. Nobody may be writing."""


class FolderStore:
    """A folder, such as a mounted disk or share. Files are 0600 and folders 0700, of the user that writes them.

    The folder itself is never made, since a disk that is not mounted must not be taken for an empty one.

    Args:
        root: The folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def name(self) -> str:
        """Return the path."""
        return str(self.root)

    @property
    def staging(self) -> Path:
        """Return a folder beside the objects, so that recordings' disk needs no room for copies."""
        return self.root / STAGING

    def size(self, key: str) -> int | None:
        """See `Store`."""
        try:
            return self._path(key).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._problem(error) from error

    def put(self, key: str, content: bytes) -> None:
        """See `Store`."""
        path = self._path(key)
        try:
            self._check_mounted()
            make_folder(path.parent, is_private=True)
            SavedFile(path, mode=0o600).replace(content)
        except OSError as error:
            raise self._problem(error) from error

    def put_soon(self, key: str, content: bytes) -> None:
        """See `Store`. A file system is synced once instead of each file and folder: a backup has many."""
        path = self._path(key)
        temporary = path.with_name(f"{_NEW}{secrets.token_hex(8)}")
        try:
            if not path.parent.is_dir():
                self._check_mounted()
                _make(path.parent)
            try:
                with os.fdopen(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
                    file.write(content)
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
        except OSError as error:
            raise self._problem(error) from error

    def flush(self) -> None:
        """See `Store`."""
        try:
            sync_file_system(self.root)
        except OSError as error:
            raise self._problem(error) from error

    def _check_mounted(self) -> None:
        if not self.root.is_dir():
            raise BackupError(f"{self.root} is not a folder: is the disk or share mounted?")

    def get(self, key: str) -> bytes | None:
        """See `Store`. The kernel's copy is dropped first, so that the disk is read."""
        try:
            with self._path(key).open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                return file.read()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._problem(error) from error

    def keys(self, prefix: str) -> Iterator[str]:
        """See `Store`."""
        for folder, folders, files in os.walk(self._path(prefix), onerror=self._raise):
            folders.sort()
            for name in files:
                if not name.startswith(_NEW):
                    yield Path(folder, name).relative_to(self.root).as_posix()

    def remove(self, key: str) -> None:
        """See `Store`. Folders that become empty are removed too."""
        path = self._path(key)
        try:
            path.unlink(missing_ok=True)
            for folder in path.parents:
                if folder == self.root or any(folder.iterdir()):
                    break
                folder.rmdir()
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise self._problem(error) from error

    def tidy(self) -> None:
        """See `Store`."""
        try:
            for folder, _, files in os.walk(self.root):
                for name in files:
                    if name.startswith(_NEW):
                        Path(folder, name).unlink(missing_ok=True)
        except OSError as error:
            raise self._problem(error) from error

    def _path(self, key: str) -> Path:
        return self.root / check_key(key)

    def _raise(self, error: OSError) -> None:
        if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
            raise self._problem(error) from error

    def _problem(self, error: OSError) -> BackupError:
        return problem_of(error, self.name)


def check_key(key: str) -> str:
    """Return a key, or raise ValueError if it cannot be the key of an object."""
    if not _KEY.fullmatch(key):
        raise ValueError(f"{key!r} cannot be the key of an object")
    return key


def _make(folder: Path) -> None:
    """Make a private folder and those above it, without waiting for the disk."""
    if not folder.parent.is_dir():
        _make(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)


def problem_of(error: OSError, where: str) -> BackupError:
    """Return a system's error about a destination as a sentence."""
    if error.errno in _FULL:
        return BackupError(
            f"{where} is full. The last complete snapshot is unchanged; free space there, or shorten the periods in "
            "[backup], and run it again"
        )
    return BackupError(f"{where} cannot be used: {error.strerror or error}; is it mounted, and may this user write?")
