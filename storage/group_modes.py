"""Modes of new files and folders in a home that two users share; the mode follows from the folder.

A folder is shared if it is set-group-ID, its group may read it, and its home has a folder `common` of that group, which
`recorder share` makes. New files in it are readable by the group, and writable if the folder is; new folders are shared
like it. Elsewhere new files and folders are private to their owner. The umask has no effect.

The kernel hands set-group-ID on to a new folder. It cannot be set afterwards: `RestrictSUIDSGID=` of the units refuses
chmod(2) and mkdir(2) with that bit. So a new folder has its whole mode from mkdir(2), in a thread whose umask is 0
(docs/adr/0091-folders-of-two-users-under-the-units.md).

In a shared folder either user could plant a link where the other opens a file. So links and files with a second hard
link are refused there. In a private folder they are the owner's own, such as a backup by hard links. The mode of
existing files is never changed.
"""

import contextlib
import ctypes
import errno
import os
import stat
import threading
from pathlib import Path

COMMON = "common"
"""The folder that a home has only if two users share it."""
_CLONE_FS = 0x200
_libc = ctypes.CDLL(None, use_errno=True)
_FORBIDDEN, _FORBIDDEN_IF_SHARED = 0o077, 0o007
_WHAT_TO_DO = "it is no plain file with one name, as the recorder makes them: find out who put it there, then remove it"


def is_shared(folder: Path) -> bool:
    """Tell whether a folder is shared with its group."""
    found = folder.stat()
    if not (found.st_mode & stat.S_ISGID and found.st_mode & stat.S_IRGRP):
        return False
    place = folder.absolute()
    return any(_is_of(above / COMMON, found.st_gid) for above in (place, *place.parents))


def _is_of(common: Path, group: int) -> bool:
    try:
        found = common.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_gid == group


def file_mode(folder: Path) -> int:
    """Return the mode of a new file: 0600, in a shared folder 0640 or 0660."""
    return 0o600 | _of_group(folder, read=0o040, write=0o060)


def folder_mode(parent: Path) -> int:
    """Return the mode of a new folder: 0700, in a shared one 02750 or 02770."""
    return 0o700 | _of_group(parent, read=0o2050, write=0o2070)


def forbidden(path: Path) -> int:
    """Return the mode bits that a file or folder must not have."""
    return _FORBIDDEN_IF_SHARED if is_shared(path if path.is_dir() else path.parent) else _FORBIDDEN


def open_file(path: Path, flags: int) -> int:
    """Open a file as ``os.open`` does, or create it with the mode of its folder; returns the descriptor.

    Not for SQLite files: closing the descriptor would release the locks of this process on the file.

    Raises:
        FileExistsError: The file exists, and ``flags`` have O_EXCL.
        OSError: In a shared folder: it is a link, has a second hard link, or is not a file. Else from the system.
    """
    mode = file_mode(path.parent)
    flags |= os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        if flags & os.O_EXCL:
            raise
        return _open_existing(path, flags) if is_shared(path.parent) else os.open(path, flags | os.O_CREAT, mode)
    try:
        if stat.S_IMODE(os.fstat(descriptor).st_mode) != mode:  # the umask removed bits
            os.fchmod(descriptor, mode)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _open_existing(path: Path, flags: int) -> int:
    refuse_link(path)  # before it is opened: it may be a SQLite file
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)  # opening a pipe put there since would block
    try:
        _refuse(os.fstat(descriptor), path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def refuse_link(path: Path) -> None:
    """Check that a path in a shared folder is a regular file with one name, or does not exist.

    Raises:
        OSError: In a shared folder: it is a link, has a second hard link, or is not a file; says what to do.
    """
    try:
        is_free, found = not is_shared(path.parent), path.lstat()
    except OSError:
        return  # missing, or not accessible, which opening it reports
    if not is_free:
        _refuse(found, path)


def _refuse(found: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        raise OSError(errno.ELOOP, _WHAT_TO_DO, str(path))


def touch(path: Path) -> None:
    """Create a file with the mode of its folder if it is missing; an existing file is not opened.

    Raises:
        OSError: In a shared folder: it is a link, has a second hard link, or is not a file. Else from the system.
    """
    if not os.path.lexists(path):
        with contextlib.suppress(FileExistsError):
            os.close(open_file(path, os.O_WRONLY | os.O_EXCL))
    refuse_link(path)


def make_one_folder(folder: Path) -> None:
    """Make one folder, with the mode that follows from the folder above.

    Raises:
        FileExistsError: It exists.
        OSError: From the system.
    """
    mode = folder_mode(folder.parent)
    if mode == 0o700:
        folder.mkdir(mode=mode)
        return
    _make_without_umask(folder, mode & 0o777)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if stat.S_IMODE(os.fstat(descriptor).st_mode) != mode:  # the thread got no umask of its own
            os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def _make_without_umask(folder: Path, mode: int) -> None:
    """Make a folder with every bit of a mode, where the system lets a thread have a umask of its own."""
    failed: list[OSError] = []

    def make() -> None:
        try:
            if _libc.unshare(_CLONE_FS) == 0:  # umask(2) belongs to the process, and other threads make files meanwhile
                os.umask(0)
            folder.mkdir(mode=mode)
        except OSError as error:
            failed.append(error)

    maker = threading.Thread(target=make, name="new-folder")
    maker.start()
    maker.join()
    if failed:
        raise failed[0]


def _of_group(folder: Path, *, read: int, write: int) -> int:
    if not is_shared(folder):
        return 0
    return write if folder.stat().st_mode & stat.S_IWGRP else read
