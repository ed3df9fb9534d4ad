"""A store that is a folder, such as a mounted disk or share."""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recorder.objects.store import LeftVersion, Removed, StoreAdvice, StoreError, StoreFacts, check_key, problem_of
from storage.durable import SavedFile, make_folder, sync_file_system, sync_folder

_NEW = ".new-"
"""Prefix of files that are being written: `storage.durable.SavedFile`."""
STAGING = "staging"
_COPIED_AT_ONCE = 1 << 20


class FolderStore:
    """A folder, such as a mounted disk or share. Files are 0600 and folders 0700, of the user that writes them.

    The folder itself is never made, since a disk that is not mounted must not be taken for an empty one.

    Args:
        root: The folder.
        advice: The ends of its error messages.
    """

    def __init__(self, root: Path, advice: StoreAdvice = StoreAdvice()) -> None:  # noqa: B008 - it never changes
        self.root = root
        self._advice = advice

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
            raise problem_of(error, self.name, self._advice) from error

    def put(self, key: str, content: bytes) -> None:
        """See `Store`."""
        path = self._path(key)
        with self._problems():
            self._check_mounted()
            make_folder(path.parent, is_private=True)
            SavedFile(path, mode=0o600).replace(content)

    def put_soon(self, key: str, content: bytes) -> None:
        """See `Store`. A file system is synced once instead of each file and folder: a backup has many."""
        path = self._path(key)
        temporary = path.with_name(f"{_NEW}{secrets.token_hex(8)}")
        with self._problems():
            if not path.parent.is_dir():
                self._check_mounted()
                _make(path.parent)
            try:
                with os.fdopen(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
                    file.write(content)
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)

    def flush(self) -> None:
        """See `Store`."""
        with self._problems():
            sync_file_system(self.root)

    def _check_mounted(self) -> None:
        if not self.root.is_dir():
            raise StoreError(f"{self.root} is not a folder: is the disk or share mounted?")

    def get(self, key: str) -> bytes | None:
        """See `Store`. The kernel's copy is dropped first, so that the disk is read."""
        try:
            with self._path(key).open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                return file.read()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise problem_of(error, self.name, self._advice) from error

    def keys(self, prefix: str) -> Iterator[str]:
        """See `Store`."""
        with self._problems():
            for folder, folders, files in os.walk(self._path(prefix), onerror=_raise_unless_missing):
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
            raise problem_of(error, self.name, self._advice) from error

    def tidy(self) -> None:
        """See `Store`."""
        with self._problems():
            for folder, _, files in os.walk(self.root):
                for name in files:
                    if name.startswith(_NEW):
                        Path(folder, name).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self.root / check_key(key)

    @contextmanager
    def _problems(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise problem_of(error, self.name, self._advice) from error

    def put_file(self, key: str, file: Path) -> None:
        """See `RecordingStore`."""
        with file.open("rb") as source:
            path = self._path(key)
            with self._problems():
                self._check_mounted()
                make_folder(path.parent, is_private=True)
                SavedFile(path, mode=0o600).replace_by(iter(lambda: source.read(_COPIED_AT_ONCE), b""))

    def get_range(self, key: str, start: int, length: int) -> bytes | None:
        """See `RecordingStore`."""
        self._check_mounted()
        try:
            with self._path(key).open("rb") as file:
                file.seek(start)
                return file.read(length)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise problem_of(error, self.name, self._advice) from error

    def stream(self, key: str) -> Iterator[bytes]:
        """See `RecordingStore`. The kernel's copy is dropped first, so that the disk is read."""
        self._check_mounted()
        try:
            with self._path(key).open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                while part := file.read(_COPIED_AT_ONCE):
                    yield part
        except NotADirectoryError as error:
            raise FileNotFoundError(errno.ENOENT, "it is not in the object store", key) from error
        except FileNotFoundError:
            raise
        except OSError as error:
            raise problem_of(error, self.name, self._advice) from error

    def remove_all(self, folder: str) -> Removed:
        """See `RecordingStore`."""
        self._check_mounted()
        path = self._path(folder)
        found = [one for one in path.glob("**/*") if not one.is_dir()]
        for one in found:
            self.remove(one.relative_to(self.root).as_posix()) if not one.name.startswith(_NEW) else one.unlink()
        left = [one for one in path.glob("**/*") if not one.is_dir()]
        if not left and path.is_dir():
            shutil.rmtree(path)
        sync_folder(self.root)
        return Removed(
            versions=len(found) - len(left),
            left=tuple(LeftVersion(key=one.name, until=None, why="the file is still there") for one in left),
        )

    def every_key(self, folder: str) -> Iterator[str]:
        """See `RecordingStore`."""
        self._check_mounted()
        return self.keys(folder)

    def facts(self) -> StoreFacts:
        """See `RecordingStore`; a folder has neither versions nor locks."""
        self._check_mounted()
        return StoreFacts()


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
        raise error


def _make(folder: Path) -> None:
    """Make a private folder and those above it, without waiting for the disk."""
    if not folder.parent.is_dir():
        _make(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
