"""Where the tests' temporary files are: in memory, where the machine has enough of it.

The tests make tens of thousands of small files and wait for each to be on the disk. On a disk that others use too, most
of a run is waiting for it. Debian 13 has `/tmp` in memory anyway.
"""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

import pytest

_MEMORY = Path("/dev/shm")
_NAME = "tests-{pid}"
"""Of a run's folder. It is short: a Unix socket's path has at most 107 bytes (unix(7))."""
NEEDED = 6 << 30
"""Bytes that must be free: what a whole run has at most, and as much again."""


def use_memory(config: pytest.Config) -> None:
    """Let a run and the processes that it starts make temporary files in memory, unless somebody says where.

    Files of a run that failed stay until the next run.
    """
    if config.option.basetemp is not None or "TMPDIR" in os.environ or not _MEMORY.is_dir():
        return
    _remove_former()
    if min(shutil.disk_usage(_MEMORY).free, _available()) < NEEDED:
        return
    folder = _MEMORY / _NAME.format(pid=os.getpid())
    config.option.basetemp = folder / "t"
    (folder / "tmp").mkdir(parents=True)
    folder.chmod(0o755)  # the database server's user goes through it
    (folder / "tmp").chmod(0o1777)
    os.environ["TMPDIR"] = str(folder / "tmp")
    tempfile.tempdir = None  # it may have been asked for before


def leave_memory(session: pytest.Session, status: int) -> None:
    """Remove the files of a run that passed."""
    folder = _MEMORY / _NAME.format(pid=os.getpid())
    if status == pytest.ExitCode.OK and folder.is_dir():
        shutil.rmtree(folder, ignore_errors=True)


def _remove_former() -> None:
    """Remove what ended runs have left."""
    for folder in _MEMORY.glob(_NAME.format(pid="*")):
        with contextlib.suppress(ValueError):
            if not Path("/proc", str(int(folder.name.rpartition("-")[2]))).exists():
                shutil.rmtree(folder, ignore_errors=True)


def _available() -> int:
    """Return the bytes of memory that programs may still take (proc(5), MemAvailable)."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) << 10
    return 0
