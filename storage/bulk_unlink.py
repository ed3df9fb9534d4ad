"""Removes many files quickly, and makes the removal durable with few syncs.

Removing a file waits until the file system has freed its blocks: a millisecond on a disk that discards each block at
once (mount option ``discard`` without a journal, a network file system). So several threads remove files in parallel.
"""

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from storage.durable import sync_folder

_THREADS = 16
_FEW = 16
"""Up to so many files are removed without threads."""


def unlink_all(paths: Sequence[str]) -> dict[str, OSError | None]:
    """Remove files, without making it durable.

    Returns:
        For each file that existed: None, or why it was not removed.
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
    """Folders from which files were removed, not yet durably.

    Args:
        root: The folder above all of them; it is not removed.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lasting: set[Path] = set()
        self._over: set[Path] = set()

    def __len__(self) -> int:
        return len(self._lasting) + len(self._over)

    def add(self, folder: Path, *, is_over: bool) -> None:
        """Add a folder; ``is_over``: nothing is written into it any more, so it is removed when it is empty."""
        (self._over if is_over else self._lasting).add(folder)

    def settle(self) -> None:
        """Make the removals durable: remove empty folders that are over, and empty parents; sync the others.

        Raises:
            OSError: The disk refuses; all folders remain to be settled.
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
    """Remove the empty folders that a kill left: of operators, days, months and years.

    Args:
        root: The recordings' root, above years, months, days and operators.
        before: Only folders of days before this day (``20261124``), into which nothing is written any more.

    Raises:
        OSError: The removals cannot be made durable.
    """
    for depth in (4, 3, 2, 1):
        removed = set()
        for folder in root.glob("/".join("*" * depth)):
            day = "".join(folder.parts[len(root.parts) :][:3])
            if day < before[: len(day)] and _remove_empty(folder):
                removed.add(folder)
        sync_all({folder.parent for folder in removed})


def sync_all(folders: Iterable[Path]) -> None:
    """Make the removals from folders durable; a folder may be missing."""
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
