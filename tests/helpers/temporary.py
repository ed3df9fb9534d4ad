"""Where the tests' temporary files are: in memory, where the machine has enough of it.

The tests make tens of thousands of small files and wait for each to be on the disk. On a disk that others use too, most
of a run is waiting for it. Debian 13 has `/tmp` in memory anyway.
"""

import os
import shutil
import tempfile
from pathlib import Path

_MEMORY = Path("/dev/shm")
NEEDED = 6 << 30
"""Bytes that must be free: what a whole run has at most, and as much again."""


def use_memory() -> None:
    """Let this process and those it starts make temporary files in memory, unless TMPDIR says where they belong."""
    if "TMPDIR" in os.environ or not _MEMORY.is_dir():
        return
    if min(shutil.disk_usage(_MEMORY).free, _available()) > NEEDED:
        os.environ["TMPDIR"] = str(_MEMORY)
        tempfile.tempdir = None  # it may have been asked for before


def _available() -> int:
    """Return the bytes of memory that programs may still take (proc(5), MemAvailable)."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) << 10
    return 0
