"""Removes many names quickly, and makes it durable with few waits for the disk.

Whoever removes one name waits for the file system to give its blocks back: on a disk that is told of each free block at
once (mount option ``discard`` without a journal, a network file system) a millisecond. Several threads wait together.
"""

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from storage.durable import sync_folder

_THREADS = 16
_FEW = 16
"""So many names are not worth a thread."""


def unlink_all(paths: Sequence[str]) -> dict[str, OSError | None]:
    """Remove names, without waiting until that is durable.

    Returns:
        Of each that was there: None, or why it is still there.
    """
    if len(paths) <= _FEW:
        return _unlink(paths)
    removed: dict[str, OSError | None] = {}
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="unlink") as pool:
        for some in pool.map(_unlink, [paths[at::_THREADS] for at in range(_THREADS)]):
            removed |= some
    return removed


def _unlink(paths: Sequence[str]) -> dict[str, OSError | None]:
    removed: dict[str, OSError | None] = {}
    for path in paths:
        try:
            os.unlink(path)  # noqa: PTH108 - a hundred thousand of them
        except FileNotFoundError:
            continue
        except OSError as error:
            removed[path] = error
        else:
            removed[path] = None
    return removed


class TouchedFolders:
    """Folders from which names were removed, and of which that is not durable yet.

    Args:
        root: The folder above all of them; it stays.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lasting: set[Path] = set()
        self._over: set[Path] = set()

    def __len__(self) -> int:
        return len(self._lasting) + len(self._over)

    def add(self, folder: Path, *, is_over: bool) -> None:
        """Note a folder; of one whose day is over nobody makes new names, so that it goes when it is empty."""
        (self._over if is_over else self._lasting).add(folder)

    def settle(self) -> None:
        """Make it durable: what is empty and over goes, and those above it; the rest is synced.

        Raises:
            OSError: The disk refuses; all of them are still to be settled.
        """
        lasting, over = set(self._lasting), set(self._over)
        while over:
            removed = {folder for folder in over if folder != self._root and _remove_empty(folder)}
            lasting |= over - removed
            over = {folder.parent for folder in removed}
        sync_all(lasting)
        self._lasting.clear()
        self._over.clear()


def remove_empty_days(root: Path, *, before: str) -> None:
    """Remove folders that a kill left with nothing in them: an operator's of a day, days, months, years.

    Args:
        root: Of recordings: year, month, day, operator.
        before: Only those of days before this one, ``20261124``: nobody makes anything in them any more.

    Raises:
        OSError: What was removed cannot be made durable.
    """
    for depth in (4, 3, 2, 1):
        removed = set()
        for folder in root.glob("/".join("*" * depth)):
            day = "".join(folder.parts[len(root.parts) :][:3])
            if day < before[: len(day)] and _remove_empty(folder):
                removed.add(folder)
        sync_all({folder.parent for folder in removed})


def sync_all(folders: Iterable[Path]) -> None:
    """Make what was removed from folders durable; one that is gone is fine."""
    for folder in folders:
        try:
            sync_folder(folder)
        except FileNotFoundError:
            continue


def _remove_empty(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
