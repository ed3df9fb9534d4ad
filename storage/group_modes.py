"""Modes of files and folders that two users write: a folder says whether its group may too, and what is new follows it.

A folder is shared when it is set-group-ID and its group may read it. New files in it are then readable by the group,
and writable where the folder is; new folders are shared as it is. Everywhere else what is new is its owner's alone.
The umask changes nothing of this.
"""

import os
import stat
from pathlib import Path

_FORBIDDEN, _FORBIDDEN_IF_SHARED = 0o077, 0o007


def is_shared(folder: Path) -> bool:
    """Tell whether a folder gives its group rights on what lies in it."""
    mode = folder.stat().st_mode
    return bool(mode & stat.S_ISGID and mode & stat.S_IRGRP)


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

    Raises:
        OSError: As the system says.
    """
    descriptor = os.open(path, flags | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        mode, found = file_mode(path.parent), os.fstat(descriptor)
        if found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) != mode and mode != 0o600:
            os.fchmod(descriptor, mode)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def touch(path: Path) -> None:
    """Make a file where it is missing, with the mode of its folder.

    Raises:
        OSError: As the system says.
    """
    if not path.exists():
        os.close(open_file(path, os.O_WRONLY))


def make_one_folder(folder: Path) -> None:
    """Make one folder, with the mode that follows from the one above.

    Raises:
        FileExistsError: There is one already.
        OSError: As the system says.
    """
    folder.mkdir(mode=0o700)
    mode = folder_mode(folder.parent)
    if mode != 0o700:
        folder.chmod(mode)


def _of_group(folder: Path, *, read: int, write: int) -> int:
    mode = folder.stat().st_mode
    if not (mode & stat.S_ISGID and mode & stat.S_IRGRP):
        return 0
    return write if mode & stat.S_IWGRP else read
