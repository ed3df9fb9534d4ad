"""Makes files and folders outside a recorder's home, which get their name when they are whole.

Until then they are named ``.NAME.recorder-part`` in the same folder, mode 0600, with a lock. The next program that
writes into the folder removes the parts that a killed one left. Existing files are never changed.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from storage.durable import sync_folder
from storage.errors import ExportError

PART_SUFFIX = ".recorder-part"
_TIDYING_S = 1.0
"""How long to wait for a lock: another program that removes leftovers may hold it for a moment."""
_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
"""Errors of file systems without hard links, such as on memory sticks."""


def refuse_target(target: Path) -> None:
    """Raise ExportError if a target exists, or its folder does not."""
    if os.path.lexists(target):
        raise ExportError(f"{target} exists already; nothing is ever overwritten: give another name")
    if not target.parent.is_dir():
        raise ExportError(f"the folder {target.parent} is not there: make it first")


def write_new(target: Path, chunks: Iterable[bytes]) -> None:
    """Write a file, mode 0600, whole or not at all.

    Raises:
        ExportError: It exists, or the disk refused; nothing is left.
    """
    with _part_of(target) as part:
        write_file(part, chunks)
        _name(part, target)


@contextlib.contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Give a folder to fill, mode 0700; it gets its name at the end of the block, and is removed if the block raises.

    Raises:
        ExportError: It exists, or the disk refused; nothing is left.
    """
    with _part_of(target) as part:
        part.mkdir(mode=0o700)
        yield part
        sync_folder(part)
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        part.rename(target)
        sync_folder(target.parent)


def write_file(path: Path, chunks: Iterable[bytes]) -> None:
    """Write a new file, mode 0600, and wait until it is on the disk. Raises the system's OSError."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb", buffering=1 << 18) as file:
        for chunk in chunks:
            file.write(chunk)
        file.flush()
        os.fsync(descriptor)


@contextlib.contextmanager
def _part_of(target: Path) -> Iterator[Path]:
    refuse_target(target)
    part = target.with_name(f".{target.name}{PART_SUFFIX}")
    lock = part.with_name(f"{part.name}.lock")
    try:
        with _locked(lock, patience_s=_TIDYING_S):
            _remove_leftovers(target.parent, but=lock)
            try:
                yield part
            finally:
                _remove(part)
    except OSError as error:
        raise ExportError(f"{target} cannot be written: {error.strerror or error}; nothing is left of it") from error


@contextlib.contextmanager
def _locked(lock: Path, *, patience_s: float = 0.0) -> Iterator[None]:
    """Hold a file lock for the block; the file is removed after it, and the lock ends with the process."""
    deadline = time.monotonic() + patience_s
    while (descriptor := _try_lock(lock)) is None:
        if time.monotonic() >= deadline:
            raise ExportError(f"another program is writing {lock.name[1 : -len(PART_SUFFIX) - 5]} now")
        time.sleep(0.01)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        os.close(descriptor)


def _try_lock(lock: Path) -> int | None:
    """Return a descriptor with the lock, or None: another program holds the lock, or has just removed it."""
    descriptor = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), os.lstat(lock)):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _remove_leftovers(folder: Path, *, but: Path) -> None:
    """Remove the parts that killed programs left in a folder: those whose lock is free."""
    for lock in folder.glob(f".*{PART_SUFFIX}.lock"):
        if lock == but:
            _remove(lock.with_suffix(""))
            continue
        with contextlib.suppress(OSError, ExportError), _locked(lock):
            _remove(lock.with_suffix(""))


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _name(part: Path, target: Path) -> None:
    """Give a whole file its name, unless another file has the name by now."""
    try:
        os.link(part, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        part.rename(target)
    sync_folder(target.parent)
