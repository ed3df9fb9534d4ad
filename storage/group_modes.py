"""Modes of files and folders that two users write: a folder says whether its group may too, and what is new follows it.

A folder is shared when it is set-group-ID, its group may read it, and it lies in a home whose folder `common` is of
that group: `recorder share` makes that one. New files in it are then readable by the group, and writable where the
folder is; new folders are shared as it is. Everywhere else what is new is its owner's alone. The umask changes nothing
of this.

Either user may put into a shared folder what the other one is about to open: so nothing here follows a link there, or
opens a file with a second name. In a folder that is its owner's alone both are the owner's own doing, as a backup by
hard links is. The mode of what was there already is never changed.
"""

import contextlib
import errno
import os
import stat
from pathlib import Path

COMMON = "common"
"""The folder of a home that only one has that two users share."""
_FORBIDDEN, _FORBIDDEN_IF_SHARED = 0o077, 0o007
_WHAT_TO_DO = "it is no plain file with one name, as the recorder makes them: find out who put it there, then remove it"


def is_shared(folder: Path) -> bool:
    """Tell whether a folder gives its group rights on what lies in it."""
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
    """Return the bits of a file's or folder's mode that give somebody rights who may have none."""
    return _FORBIDDEN_IF_SHARED if is_shared(path if path.is_dir() else path.parent) else _FORBIDDEN


def open_file(path: Path, flags: int) -> int:
    """Open a file as ``os.open`` does, making it with the mode of its folder; a descriptor of the caller's.

    No file of SQLite's: closing the descriptor would take away the locks that this process has on it.

    Raises:
        FileExistsError: There is one, and ``flags`` have O_EXCL.
        OSError: In a shared folder: it is a link, has a second name or is no file. Else as the system says.
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
        if stat.S_IMODE(os.fstat(descriptor).st_mode) != mode:  # the umask took something away
            os.fchmod(descriptor, mode)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _open_existing(path: Path, flags: int) -> int:
    refuse_link(path)  # before it is opened: it may be SQLite's
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)  # a pipe that came meanwhile would be waited for
    try:
        _refuse(os.fstat(descriptor), path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def refuse_link(path: Path) -> None:
    """See that a path in a shared folder is a plain file with one name, or nothing: before links are followed.

    Raises:
        OSError: In a shared folder: it is a link, has a second name, or is no file; a sentence that says what to do.
    """
    try:
        is_free, found = not is_shared(path.parent), path.lstat()
    except OSError:
        return  # missing, or nobody gets at it, as whoever opens it will be told
    if not is_free:
        _refuse(found, path)


def _refuse(found: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        raise OSError(errno.ELOOP, _WHAT_TO_DO, str(path))


def touch(path: Path) -> None:
    """Make a file where it is missing, with the mode of its folder. One that is there is not opened.

    Raises:
        OSError: In a shared folder: it is a link, has a second name or is no file. Else as the system says.
    """
    if not os.path.lexists(path):
        with contextlib.suppress(FileExistsError):
            os.close(open_file(path, os.O_WRONLY | os.O_EXCL))
    refuse_link(path)


def make_one_folder(folder: Path) -> None:
    """Make one folder, with the mode that follows from the one above.

    Raises:
        FileExistsError: There is one already.
        OSError: As the system says.
    """
    mode = folder_mode(folder.parent)
    folder.mkdir(mode=mode & 0o777)
    if mode == 0o700:
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def _of_group(folder: Path, *, read: int, write: int) -> int:
    if not is_shared(folder):
        return 0
    return write if folder.stat().st_mode & stat.S_IWGRP else read
