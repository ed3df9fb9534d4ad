"""Checks for sealed keys without a recording, foreign files, and file permissions that are too wide."""

import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from recorder.common.home import Home
from recorder.recordings.finding import ERASING, PART, REC, SETTLED_S, HomeFiles, deleted
from recorder.recordings.home_rights import forbidden_in
from storage.database import Database
from storage.epochs import is_epoch
from storage.format import is_recording_id
from storage.fsck import Finding, Kind
from storage.stored_rows import StoredRow, StoredRows
from storage.tombstones import Deletions
from storage.tree import Tree
from storage.types import RecordingId
from storage.vault import Vault

_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyCheck:
    """Checks the sealed keys of one home.

    Attributes:
        vault: Keys and containers.
        counts: Receives the number of keys.
    """

    vault: Vault
    database: Database
    home_files: HomeFiles
    counts: Counter[str]

    def findings(self) -> Iterator[Finding]:
        """Yield sealed keys that open nothing; the keys are read in no order, some hundred at a time."""
        rows, deletions = StoredRows(self.database), Deletions(self.database)
        for epoch in self.vault.sealed.epochs():
            for some in _in_parts(_files(self.home_files.root / "keys" / "sealed" / epoch)):
                named = {path: RecordingId(path.stem) for path in some if is_recording_id(path.stem)}
                self.counts["keys"] += len(named)
                known = rows.among(sorted(set(named.values())))
                gone = deletions.known(list(known.keys() ^ set(named.values())))
                for path, recording in named.items():
                    if recording in gone:
                        yield deleted(
                            recording, self.home_files.where(path), "it was deleted, but its key is still there"
                        )
                    elif self._is_lone(path, recording, known.get(recording)):
                        what = "there is neither a file nor a row of its recording"
                        yield self.home_files.finding(Kind.LONE_KEY, path, what, recording)

    def _is_lone(self, path: Path, recording: RecordingId, stored: StoredRow | None) -> bool:
        is_young = self.home_files.age_s(path) < SETTLED_S
        if stored is not None or is_young or self.vault.files_of(recording):
            return False
        return not Tree(self.vault.root).everywhere(recording)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCheck:
    """Checks the files of one home."""

    home_files: HomeFiles

    def findings(self) -> Iterator[Finding]:
        """Yield findings about files, whatever their contents."""
        for name in ("recordings", "keys", "audit", "state"):
            yield from self._walk(self.home_files.root / name, name)
        for path in sorted(Home(self.home_files.root).index.parent.glob("index.sqlite*")):
            if path.is_symlink():
                yield self._link(path)
            else:
                yield from self._rights(path)

    def _walk(self, root: Path, name: str) -> Iterator[Finding]:
        for folder, folders, names in os.walk(root):
            yield from self._rights(Path(folder))
            yield from (self._link(path) for one in folders if (path := Path(folder, one)).is_symlink())
            for one in sorted(names):
                path = Path(folder, one)
                if path.is_symlink():
                    yield self._link(path)
                    continue
                yield from self._rights(path)
                yield from self._unknown(path, name)

    def _unknown(self, path: Path, root: str) -> Iterator[Finding]:
        if path.name.startswith(".new-"):
            if self.home_files.age_s(path) >= SETTLED_S:
                yield self.home_files.finding(Kind.TEMPORARY, path, "a write was interrupted and left it")
            return
        parts = path.relative_to(self.home_files.root).parts
        is_sealed = root == "keys" and parts[1] == "sealed"
        if root == "recordings":
            is_known = len(parts) == 6 and is_recording_id(path.stem) and path.suffix in (REC, PART, ERASING)
        elif is_sealed:
            is_known = len(parts) == 4 and is_epoch(parts[2]) and is_recording_id(path.stem)
            is_known = is_known and path.suffix in (".key", ".next")
        else:
            return
        if not is_known:
            yield self.home_files.finding(Kind.UNKNOWN, path, "no recorder creates such a file there")

    def _rights(self, path: Path) -> Iterator[Finding]:
        try:
            found = path.lstat()
        except FileNotFoundError:
            return
        may_not = forbidden_in(Home(self.home_files.root), path)
        if found.st_uid != os.geteuid() and may_not & stat.S_IRGRP:
            yield self.home_files.finding(Kind.MODE, path, f"it belongs to user {found.st_uid}, not to {os.geteuid()}")
        elif found.st_mode & may_not:
            rights = f"{stat.S_IMODE(found.st_mode):04o}"
            yield self.home_files.finding(Kind.MODE, path, f"its mode is {rights}: others may open it")

    def _link(self, path: Path) -> Finding:
        return self.home_files.finding(Kind.LINK, path, f"it is a link to {path.readlink()}; no recorder creates links")


def _files(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as found:
        for entry in found:
            if entry.is_file(follow_symlinks=False) and not entry.name.startswith("."):
                yield Path(entry.path)


def _in_parts(paths: Iterable[Path]) -> Iterator[list[Path]]:
    rest = iter(paths)
    while part := list(islice(rest, _AT_ONCE)):
        yield part
