"""Lists the files in the folders of recordings, a day at a time; files in any state."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from storage.format import is_recording_id
from storage.types import RecordingId

DAY_CHARACTERS = 8
"""Length of the day at the beginning of an id: ``20261124``."""
DEPTH = 4
"""Depth of an operator's folder below the root: year, month, day, operator."""


class Tree:
    """The folders of a vault.

    Args:
        root: ``recordings`` of a home.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def days(self) -> list[str]:
        """Return every day that an id of a recording in the folders may have, in order.

        A call that rings before midnight and is answered after it is in the folder of the day after its id's.
        """
        folders = self._folders()
        return sorted({*folders, *(day_after(folder, -1) for folder in folders)})

    def of_day(self, day: str) -> dict[RecordingId, list[Path]]:
        """Return the files of the recordings of a day in its folder and that of the next day; links are left out."""
        found: dict[RecordingId, list[Path]] = {}
        for folder in (day, day_after(day)):
            for path in self._entries(folder):
                if path.name.startswith(day) and is_recording_id(path.stem):
                    found.setdefault(RecordingId(path.stem), []).append(path)
        return found

    def astray(self) -> list[Path]:
        """Return the files of recordings in the folder of a day that is neither their day nor the next."""
        return [
            path
            for folder in self._folders()
            for path in self._entries(folder)
            if is_recording_id(path.stem) and path.name[:DAY_CHARACTERS] not in (folder, day_after(folder, -1))
        ]

    def everywhere(self, recording: RecordingId) -> list[Path]:
        """Return every file of a recording in any folder; reads all folders."""
        beginning = f"{recording}."
        files = (path for path in each_file(self._root) if path.name.startswith(beginning))
        return sorted(path for path in files if not path.is_symlink())

    def _folders(self) -> list[str]:
        return ["".join(folder.parts[-3:]) for folder in day_folders(self._root) if not folder.is_symlink()]

    def _entries(self, day: str) -> Iterator[Path]:
        folder = self._root / day[:4] / day[4:6] / day[6:]
        with suppress(FileNotFoundError), os.scandir(folder) as operators:
            for operator in operators:
                if operator.is_dir(follow_symlinks=False):
                    yield from _files(operator.path)


def day_folders(root: Path) -> list[Path]:
    """Return the folders of days in order, links too; a folder that a sweep removes meanwhile is skipped."""
    return sorted(day for year in _numbered(root, 4) for month in _numbered(year, 2) for day in _numbered(month, 2))


def _numbered(folder: Path, digits: int) -> list[Path]:
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        return [Path(one.path) for one in entries if len(one.name) == digits and one.name.isdecimal() and one.is_dir()]
    return []


def each_file(root: Path) -> Iterator[Path]:
    """Yield all files, folders and links in the operators' folders of all days, in no order.

    Not by Path.glob, which fails if a sweep removes a folder meanwhile.
    """
    for folder, folders, names in os.walk(root, followlinks=True, onerror=_pass_over):
        path = Path(folder)
        if len(path.parts) == len(root.parts) + DEPTH:
            yield from (path / name for name in (*names, *folders))
            folders.clear()


def _pass_over(error: OSError) -> None:
    """Skip a folder that is missing or cannot be read by this user; raise other errors."""
    if not isinstance(error, FileNotFoundError | PermissionError):
        raise error


def _files(folder: str) -> Iterator[Path]:
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        yield from (Path(entry.path) for entry in entries if entry.is_file(follow_symlinks=False))


def files_of(root: Path, recordings: Iterable[RecordingId]) -> dict[RecordingId, list[str]]:
    """Return every file of some recordings, in any state; recordings without files are left out.

    The folder of the next day is read too, for a call that rings before midnight and is answered after it. Folders are
    listed instead of trying names, because a file may have a suffix that this version does not know.

    Args:
        root: ``recordings`` of a home.
        recordings: Their ids.
    """
    wanted = set(recordings)
    found: dict[RecordingId, list[str]] = {}
    days = {one[:DAY_CHARACTERS] for one in wanted}
    for day in sorted(days.union(map(day_after, days))):
        for recording, path in entries_of_day(root / day[:4] / day[4:6] / day[6:]):
            if recording in wanted:
                found.setdefault(recording, []).append(path)
    return found


def entries_of_day(folder: Path) -> Iterator[tuple[RecordingId, str]]:
    """Yield the files, folders and links in the operators' folders of a day, each with the id in its name."""
    with suppress(FileNotFoundError), os.scandir(folder) as operators:
        for operator in operators:
            if operator.is_dir(follow_symlinks=False):
                with suppress(FileNotFoundError), os.scandir(operator) as entries:
                    for entry in entries:
                        yield RecordingId(entry.name.partition(".")[0]), entry.path


def day_after(day: str, days: int = 1) -> str:
    """Return the day ``days`` after a day (``20261124``)."""
    try:
        return f"{datetime.strptime(day, '%Y%m%d') + timedelta(days=days):%Y%m%d}"  # noqa: DTZ007 - a day, no moment
    except ValueError:  # the folder's name is not a day; no id begins with it
        return day
