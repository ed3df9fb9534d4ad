"""Files of keys: read only if no other user could read them, written once, destroyed by overwriting."""

import os
import secrets
from pathlib import Path

from storage.durable import SavedFile, make_folder, remove, save_atomically, sync_folder
from storage.errors import KeyProblemError
from storage.group_modes import forbidden

_DOOMED = ".gone-"
"""Prefix of the name of a file that is being destroyed."""


def read_secret(path: Path, *, is_groups: bool = False) -> bytes:
    """Return the content of a file that only its owner can read.

    Args:
        path: The file.
        is_groups: In a shared folder its group may read it too, because both users of the home need it.

    Raises:
        KeyProblemError: It is missing, cannot be read, or other users could read it.
    """
    try:
        may_not = forbidden(path) if is_groups else 0o077
        if path.stat().st_mode & may_not:
            right = "0600" if may_not & 0o040 else "0640, for its group reads it"
            raise KeyProblemError(f"{path} can be read by others: its mode must be {right}")
        return path.read_bytes()
    except OSError as error:
        raise KeyProblemError(f"{path} cannot be read: {error.strerror}") from error


def create_once(path: Path, content: bytes, mode: int | None = 0o600) -> bool:
    """Write a file durably unless it exists; returns whether it was written.

    Args:
        path: The file; missing folders are made private, or with ``mode`` None with the mode of the folder above.
        content: Its content.
        mode: Of the file; None follows from its folder.

    Raises:
        OSError: From the system.
    """
    make_folder(path.parent, is_private=mode is not None)
    try:
        SavedFile(path, mode=mode).create(content)
    except FileExistsError:
        return False
    return True


def replace_wiped(path: Path, content: bytes) -> None:
    """Replace a file atomically, and overwrite its old content.

    After a kill the file has the old or the new content, whole.

    Not guaranteed: that the medium keeps no older copy; journals, snapshots and flash memory do.

    Raises:
        OSError: From the system.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        save_atomically(path, content, mode=0o600)
        _overwrite(descriptor)
    finally:
        os.close(descriptor)


def destroy_secret(path: Path) -> None:
    """Destroy a file of keys: rename it, then overwrite and remove it; it may be missing.

    After a kill `finish_destroying` does the rest. A file is never overwritten in part under its own name.

    Not guaranteed: as `replace_wiped`.

    Raises:
        OSError: From the system; call again.
    """
    try:
        path.rename(path.with_name(f"{_DOOMED}{path.name}"))
    except FileNotFoundError:
        return
    sync_folder(path.parent)
    finish_destroying(path.parent)


def finish_destroying(folder: Path) -> None:
    """Overwrite and remove the files that a killed `destroy_secret` left in a folder.

    Raises:
        OSError: From the system; call again.
    """
    for path in folder.glob(f"{_DOOMED}*"):
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            _overwrite(descriptor)
        finally:
            os.close(descriptor)
        remove(path)


def _overwrite(descriptor: int) -> None:
    size = os.fstat(descriptor).st_size
    os.pwrite(descriptor, secrets.token_bytes(size), 0)
    os.fsync(descriptor)
