"""Locks between processes and threads: flock on a file."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from storage.durable import make_folder
from storage.group_modes import open_file


@contextlib.contextmanager
def locked(path: Path, *, wait: bool, is_shared: bool = False) -> Iterator[bool]:
    """Hold the lock of a file; file and folder are created if they are missing.

    Args:
        path: The file.
        wait: Wait until the lock is free.
        is_shared: Several may hold it together, and nobody else alone.

    Yields:
        True; False if another process or thread holds the lock and ``wait`` is false.

    Raises:
        OSError: The file cannot be created or opened.
    """
    make_folder(path.parent)
    descriptor = open_file(path, os.O_RDWR)
    try:
        try:
            kind = fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX
            fcntl.flock(descriptor, kind | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(descriptor)
