"""A disk that forgets what was not synced: replays what processes did to files as a power cut may have left it.

Rules, after POSIX and without what a kind file system adds: bytes survive once their file was synced; a name that was
made, changed or removed survives once its folder was synced. Of what was not synced any part may be there: of a file
each write, whole, by half or not at all; of a folder as many of its changes as were first. A rename within a folder is
either done or not. Each part of a vectored write counts as a write, because a disk writes sectors in any order. ext4,
xfs and btrfs keep more than that; `power.py` asks ext4 and xfs themselves.
"""

import os
import random
import shutil
import struct
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_HEAD = struct.Struct("<IIIIQQ")
"""What was done, lengths of two paths, of nothing, and of the data, and the offset: as `shim.c` writes it."""


@dataclass(eq=False)
class _File:
    """A file by whatever name."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)
    """Writes, by offset; None cuts the file to so many bytes."""

    def sync(self) -> None:
        for offset, data in self.pending:
            self._apply(offset, data)
        self.pending = []

    def lose(self, rng: random.Random) -> None:
        """Apply what the cut spares of what is pending."""
        share = rng.choice((0.0, 0.5, 1.0))
        for offset, data in self.pending:
            if rng.random() < share:
                is_torn = data is not None and rng.random() < 0.2
                self._apply(offset, data[: len(data) // 2] if is_torn and data is not None else data)
        self.pending = []

    def _apply(self, offset: int, data: bytes | None) -> None:
        if data is None:
            del self.durable[offset:]
            self.durable.extend(bytes(offset - len(self.durable)))
        else:
            self.durable.extend(bytes(max(offset - len(self.durable), 0)))
            self.durable[offset : offset + len(data)] = data


_Entry = _File | None
"""What a name stands for; None is nothing any more. Folders are in a table of their own."""


class ForgetfulDisk:
    """The files below a folder, as they are and as they would be after a power cut.

    Args:
        folder: The folder, as it was when everything in it was safe.
    """

    def __init__(self, folder: Path) -> None:
        self._root = folder
        self._now: dict[str, _File] = {}
        self._durable: dict[str, _File] = {}
        self._folders: set[str] = {str(folder)}
        self._new_folders: set[str] = set()
        self._pending: dict[str, list[list[tuple[str, _Entry]]]] = defaultdict(list)
        """By folder: changes in their order; each is done as a whole."""
        for path in folder.rglob("*"):
            if path.is_dir():
                self._folders.add(str(path))
            elif path.is_file():
                self._now[str(path)] = self._durable[str(path)] = _File(bytearray(path.read_bytes()))

    def replay(self, log: bytes) -> None:
        """Do what a log says."""
        for what, first, second, offset, data in _records(log):
            if first.startswith(str(self._root)):
                self._do(what, first, second, offset, data)

    def _do(self, what: str, first: str, second: str, offset: int, data: bytes) -> None:
        if what == "c":
            self._change(first, _File())
        elif what == "d":
            self._new_folders.add(first)
            self._pending[os.path.dirname(first)].append([(first, None)])  # noqa: PTH120 - a key, not a path
        elif what in "wt":
            if first in self._now:
                self._now[first].pending.append((offset, data if what == "w" else None))
        elif what == "s":
            self._sync(first)
        elif what == "u":
            self._new_folders.discard(first)
            self._folders.discard(first)
            self._change(first, None)
        elif first in self._now:
            file = self._now[first]
            self._change(second, file, *([first] if what == "r" else []))

    def _change(self, path: str, entry: _Entry, *gone: str) -> None:
        changes = [(path, entry), *((one, None) for one in gone)]
        for name, one in changes:
            if one is None:
                self._now.pop(name, None)
            else:
                self._now[name] = one
        self._pending[os.path.dirname(path)].append(changes)  # noqa: PTH120

    def _sync(self, path: str) -> None:
        if path in self._now:
            self._now[path].sync()
        else:
            self._settle(path, len(self._pending[path]))

    def _settle(self, folder: str, count: int) -> None:
        for changes in self._pending[folder][:count]:
            for name, entry in changes:
                if name in self._new_folders:
                    self._new_folders.discard(name)
                    self._folders.add(name)
                elif entry is None:
                    self._durable.pop(name, None)
                else:
                    self._durable[name] = entry
        del self._pending[folder][:count]

    def cut(self, rng: random.Random) -> None:
        """Leave in the folder what a power cut leaves."""
        for folder in sorted(self._pending):
            count = len(self._pending[folder])
            self._settle(folder, rng.choice((0, rng.randint(0, count), count)))
        for name in sorted(self._durable):
            self._durable[name].lose(rng)
        shutil.rmtree(self._root)
        self._root.mkdir(mode=0o700)
        for folder in sorted(self._folders):
            if os.path.dirname(folder) in self._folders and folder != str(self._root):  # noqa: PTH120
                Path(folder).mkdir(mode=0o700)
        for name, file in self._durable.items():
            path = Path(name)
            if path.parent.is_dir():
                path.write_bytes(file.durable)
                path.chmod(0o600)


def _records(log: bytes) -> Iterator[tuple[str, str, str, int, bytes]]:
    at = 0
    while at < len(log):
        what, first, second, _, size, offset = _HEAD.unpack_from(log, at)
        at += _HEAD.size
        paths = log[at : at + first].decode(), log[at + first : at + first + second].decode()
        at += first + second
        yield chr(what), *paths, offset, log[at : at + size]
        at += size


class SimulatedPower:
    """Power cuts for a home whose processes write down what they do to it.

    Args:
        folder: Holds the home, and the log beside it.
    """

    descriptor = -1

    def __init__(self, folder: Path) -> None:
        self._home, self._log = folder / "home", folder / "steps.log"
        self._disk: ForgetfulDisk | None = None
        self.log = os.open(self._log, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)

    def begin(self) -> None:
        """Take the home as it is for safe."""
        os.truncate(self._log, 0)
        self._disk = ForgetfulDisk(self._home)

    def cut(self, rng: random.Random) -> None:
        """Cut the power: processes are dead."""
        assert self._disk is not None
        self._disk.replay(self._log.read_bytes())
        self._disk.cut(rng)

    def close(self) -> None:
        """Close the log."""
        os.close(self.log)
