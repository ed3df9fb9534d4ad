"""Sees every file that the recorder's processes write, anywhere: fanotify, as root; else a look at their descriptors.

A file is noticed when it is closed after writing, whoever deletes it meanwhile; what has no name any more, or lies
outside the home, is read on the spot. Files that stay open are found among the descriptors when a search is made.

The kernel hands over a descriptor of each file, and whoever closes a descriptor takes away every lock that their
process has on the file (fcntl(2), advisory record locking). So this process may use a database of the recorder only
while the watch is paused: without its locks, its transaction and one of the console wait for each other.
"""

import contextlib
import ctypes
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.helpers import procfs

FAN_CLOEXEC, FAN_NONBLOCK, FAN_UNLIMITED_QUEUE = 0x1, 0x2, 0x10
FAN_CLOSE_WRITE = 0x8
FAN_MARK_ADD, FAN_MARK_FILESYSTEM = 0x1, 0x100
AT_FDCWD = -100
_EVENT = struct.Struct("=IBBHQii")
_NO_FILES = {
    "proc",
    "sysfs",
    "cgroup",
    "cgroup2",
    "devpts",
    "devtmpfs",
    "mqueue",
    "tracefs",
    "debugfs",
    "bpf",
    "securityfs",
    "autofs",
}
_LARGEST = 64 << 20
_AT_ONCE = 100
"""Events at most: with each the kernel opens a file here, and drops the one for which no descriptor is left."""
_LOOK_S = 60.0
_ASKED_AGAIN_S = 1.0
"""After so long a process is asked again for its parents: other tests write much beside this one."""


@dataclass(frozen=True, slots=True)
class Written:
    """A file that was closed after writing.

    Attributes:
        path: Its name, with `` (deleted)`` after it when it has none any more.
        pid: The process that wrote it.
        content: What was in it, for files that are read on the spot; else None.
    """

    path: str
    pid: int
    content: bytes | None


class Watch:
    """Notices what descendants of this process write; a context manager.

    Args:
        is_home: Tells whether a path lies where it can still be read later.
    """

    def __init__(self, is_home: Callable[[str], bool]) -> None:
        self._is_home = is_home
        self.written: list[Written] = []
        self.pids: set[int] = set()
        """Processes known to be the recorder's, beside descendants that are still there to be asked."""
        self.how = "fanotify"
        self._own = os.getpid()
        self._strangers: dict[int, float] = {}
        """Processes that were no descendants of ours when they were asked last, monotonic seconds."""
        self._before: frozenset[int] = frozenset()
        self._before = frozenset(pid for pid in processes() if self._is_descendant(pid))
        """Ours, and older than the recorder: a database server of other tests, which writes where it likes."""
        self._must_end = threading.Event()
        self._reading = threading.Lock()
        self._descriptor = _open_fanotify()
        if self._descriptor < 0:
            self.how = "descriptors"
        self._seen: set[tuple[str, int]] = set()
        self._turns = 0
        """How often everything that was told so far has been read."""
        self._thread = threading.Thread(target=self._run, name="leak-watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._must_end.set()
        self._thread.join()
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def paused(self) -> AbstractContextManager[object]:
        """Open and close no file of theirs meanwhile; what they write then is noticed afterwards."""
        return self._reading

    def look(self) -> None:
        """Note what the processes have open for writing now, once all that they have closed is noted.

        Raises:
            TimeoutError: What they have closed was not read in a minute.
        """
        begun, deadline = self._turns, time.monotonic() + _LOOK_S
        while self._turns < begun + 2:  # the turn that is under way may have passed what is looked for
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise TimeoutError("the watch over written files has not read what it was told")
            time.sleep(0.002)
        self._look()

    def forget(self, *beginnings: str) -> None:
        """Forget files by the beginnings of their paths: what the suite itself had written."""
        with self._reading:
            self.written[:] = [one for one in self.written if not one.path.startswith(beginnings)]

    def _look(self) -> None:
        for pid in list(self.pids):
            for path, content in open_files(pid, is_deleted_only=False):
                self._note(path, pid, content)

    def _run(self) -> None:
        while not self._must_end.wait(0.01):
            if self._descriptor >= 0:
                self._read()
            else:
                self._look()
            self._turns += 1
        if self._descriptor >= 0:
            self._read()

    def _read(self) -> None:
        while True:
            with self._reading:
                if not self._read_some():
                    return

    def _read_some(self) -> bool:
        """Take what fits into one read; False when nothing is there."""
        try:
            data = os.read(self._descriptor, _AT_ONCE * _EVENT.size)
        except BlockingIOError:
            return False
        at = 0
        while at < len(data):
            length, _, _, _, _, descriptor, pid = _EVENT.unpack_from(data, at)
            at += length
            if descriptor >= 0:
                try:
                    self._take(descriptor, pid)
                finally:
                    os.close(descriptor)
        return True

    def _take(self, descriptor: int, pid: int) -> None:
        if pid == self._own or not (pid in self.pids or self._is_descendant(pid)):
            return
        path = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        content = None if self._is_home(path) and not path.endswith(" (deleted)") else _whole(descriptor)
        self._note(path, pid, content)

    def _note(self, path: str, pid: int, content: bytes | None) -> None:
        if content is None and (path, pid) in self._seen:
            return
        self._seen.add((path, pid))
        self.written.append(Written(path, pid, content))

    def _is_descendant(self, pid: int) -> bool:
        now = time.monotonic()
        if now - self._strangers.get(pid, -_ASKED_AGAIN_S) < _ASKED_AGAIN_S:
            return False
        if not self._has_us_above(pid):
            self._strangers[pid] = now
            return False
        return True

    def _has_us_above(self, pid: int) -> bool:
        for _ in range(6):
            if pid in self._before:
                return False
            pid = parent_of(pid)
            if pid == self._own or pid in self.pids:
                return True
            if pid <= 1:
                return False
        return False


def processes() -> list[int]:
    """Return every process that there is now."""
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def parent_of(pid: int) -> int:
    """Return a process's parent, 0 when it is gone."""
    try:
        text = procfs.read(f"{pid}/stat")
    except OSError:
        return 0
    return int(text.rpartition(b")")[2].split()[1])


def open_files(pid: int, *, is_deleted_only: bool) -> Iterator[tuple[str, bytes | None]]:
    """Yield the regular files that a process has open for writing; content of those that have no name any more."""
    folder = Path(f"/proc/{pid}/fd")
    try:
        descriptors = list(folder.iterdir())
    except OSError:
        return
    for entry in descriptors:
        with contextlib.suppress(OSError, ValueError):
            path = str(entry.readlink())
            if not path.startswith("/") or path.startswith(("/dev/null", "/dev/pts", "/dev/urandom", "/proc/")):
                continue
            is_deleted = path.endswith(" (deleted)")
            info = Path(f"/proc/{pid}/fdinfo/{entry.name}").read_text()
            flags = int(next(line.split()[1] for line in info.splitlines() if line.startswith("flags:")), 8)
            if not is_deleted and (is_deleted_only or flags & 3 == os.O_RDONLY):
                continue
            if entry.is_file():
                yield path, entry.read_bytes()[:_LARGEST] if is_deleted else None


def _whole(descriptor: int) -> bytes:
    parts, at = [], 0
    with contextlib.suppress(OSError):
        while at < _LARGEST and (part := os.pread(descriptor, 1 << 20, at)):
            parts.append(part)
            at += len(part)
    return b"".join(parts)


def _open_fanotify() -> int:
    """Watch every file system that holds files; -1 when this is not permitted."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.fanotify_mark.argtypes = [ctypes.c_int, ctypes.c_uint, ctypes.c_uint64, ctypes.c_int, ctypes.c_char_p]
    descriptor = int(libc.fanotify_init(FAN_CLOEXEC | FAN_NONBLOCK | FAN_UNLIMITED_QUEUE, os.O_RDONLY | os.O_CLOEXEC))
    if descriptor < 0:
        return -1
    marked = 0
    for line in Path("/proc/mounts").read_text().splitlines():
        _, place, kind, options, *_ = line.split()
        if kind in _NO_FILES or "ro" in options.split(","):
            continue
        flags = FAN_MARK_ADD | FAN_MARK_FILESYSTEM
        marked += libc.fanotify_mark(descriptor, flags, FAN_CLOSE_WRITE, AT_FDCWD, os.fsencode(place)) == 0
    if not marked:
        os.close(descriptor)
        return -1
    return descriptor
