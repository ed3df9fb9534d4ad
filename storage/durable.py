"""Durable files: one that only grows, and one that is replaced as a whole. Both raise the system's OSError."""

import ctypes
import os
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path

from storage.group_modes import make_one_folder, open_file

_libc = ctypes.CDLL(None, use_errno=True)

Part = bytes | bytearray | memoryview


def sync_folder(folder: Path) -> None:
    """Make names created, renamed or removed in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file_system(folder: Path) -> None:
    """Make everything durable that was written to the file system of a folder; cheaper than many single files.

    Raises:
        OSError: From the system.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if _libc.syncfs(descriptor):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(folder))
    finally:
        os.close(descriptor)


def free_bytes(folder: Path) -> int:
    """Return the free space of the file system of a folder, which may be missing yet, bytes. Raises OSError."""
    found = os.statvfs(next(one for one in (folder, *folder.parents) if one.exists()))
    return found.f_bavail * found.f_frsize


def make_folder(folder: Path, *, is_private: bool = False) -> None:
    """Create a folder and its missing parents durably, the outermost first.

    The mode of each follows from the folder above it (`storage.group_modes`); private folders are 0700.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent, is_private=is_private)
    try:
        if is_private:
            folder.mkdir(mode=0o700)
        else:
            make_one_folder(folder)
    except FileExistsError:
        return
    sync_folder(folder.parent)


class AppendFile:
    """A file that only grows, created exclusively; one writer.

    Appended bytes survive the death of the process at once, and a power cut only after `sync`. After a power cut the
    end of the file beyond the last `sync` may be short, zeros or old disk content, so the format of the content must
    detect that. Not guaranteed: durability on a disk that does not flush as it is told.
    """

    __slots__ = ("_descriptor", "path", "size")

    def __init__(self, path: Path, descriptor: int, size: int) -> None:
        self.path = path
        self.size = size
        """Bytes of whole appends: where the next one begins."""
        self._descriptor = descriptor

    @classmethod
    def create(cls, path: Path) -> "AppendFile":
        """Create a new file, with the mode of its folder, and make its name durable.

        Raises:
            FileExistsError: The file exists; it is unchanged.
        """
        descriptor = open_file(path, os.O_EXCL | os.O_WRONLY | os.O_APPEND)
        try:
            sync_folder(path.parent)
        except OSError:
            os.close(descriptor)
            raise
        return cls(path, descriptor, 0)

    @classmethod
    def reopen(cls, path: Path, *, size: int) -> "AppendFile":
        """Open an existing file, and cut it to its first ``size`` bytes."""
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        try:
            os.ftruncate(descriptor, size)
        except OSError:
            os.close(descriptor)
            raise
        return cls(path, descriptor, size)

    def append(self, parts: Sequence[Part]) -> None:
        """Write all parts in order, or on an error none: the file is then cut back.

        Raises:
            OSError: From the system (ENOSPC, EIO, EFBIG); ``size`` is unchanged.
        """
        total = sum(map(len, parts))
        try:
            written = os.writev(self._descriptor, parts)
            if written != total:
                self._write_rest(memoryview(b"".join(parts))[written:])
        except OSError:
            os.ftruncate(self._descriptor, self.size)
            raise
        self.size += total

    def _write_rest(self, rest: memoryview) -> None:
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    def sync(self) -> None:
        """Wait until all appended bytes are on the disk (fdatasync)."""
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Close the file, without sync. Idempotent."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)


class SavedFile:
    """A small file that is saved as a whole: after a kill or power cut it is either the old or the new one.

    Not guaranteed: that the old content is erased from the disk, or that an unfinished temporary file (its name begins
    with ``.new-``) is removed after a power cut.

    Args:
        path: Path of the file.
        mode: Of the file; None follows from its folder.
    """

    def __init__(self, path: Path, *, mode: int | None = None) -> None:
        self.path = path
        self._mode = mode

    def create(self, content: bytes) -> None:
        """Save a file that must not exist yet.

        Raises:
            FileExistsError: The file exists; it is unchanged.
        """
        temporary = self._write_temporary((content,))
        try:
            os.link(temporary, self.path)
        finally:
            temporary.unlink()
        sync_folder(self.path.parent)

    def replace(self, content: bytes) -> None:
        """Save, and replace an existing file."""
        self.replace_by((content,))

    def replace_by(self, parts: Iterable[bytes]) -> None:
        """Save a content of any length in parts, and replace an existing file; after an error of theirs nothing is."""
        temporary = self._write_temporary(parts)
        try:
            temporary.replace(self.path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(self.path.parent)

    def _write_temporary(self, parts: Iterable[bytes]) -> Path:
        temporary = self.path.with_name(f".new-{secrets.token_hex(8)}")
        if self._mode is None:
            descriptor = open_file(temporary, os.O_EXCL | os.O_WRONLY)
        else:
            descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, self._mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.writelines(parts)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        return temporary


def save_atomically(path: Path, content: bytes, *, mode: int | None = None) -> None:
    """Save a small file as a whole, and replace an existing one; see `SavedFile` for the guarantees.

    Raises:
        OSError: From the system; the old file is unchanged.
    """
    SavedFile(path, mode=mode).replace(content)


def remove(path: Path) -> None:
    """Remove a file durably; it may be missing.

    Not guaranteed: that its bytes are erased from the medium. Confidential content must have been sealed.
    """
    path.unlink(missing_ok=True)
    sync_folder(path.parent)
