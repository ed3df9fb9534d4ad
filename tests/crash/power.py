"""Real power cuts: a file system on a loop device that is shut down without writing its journal or its pages.

ext4 and xfs have a call for that, which their own tests use (xfstests' godown). What was synced is there after the next
mount, and the journal is replayed; of the rest the kernel may have written some. Takes root and a mount name space of
its own: `own_mounts`.
"""

import contextlib
import ctypes
import fcntl
import os
import random
import struct
import subprocess
from pathlib import Path

_SHUTDOWN = 0x8004587D
"""EXT4_IOC_SHUTDOWN, XFS_IOC_GOINGDOWN."""
_NO_LOG_FLUSH = struct.pack("<I", 2)
_MS_PRIVATE_REC = (1 << 18) | (1 << 14)
_CLONE_NEWNS = 0x0002_0000
KINDS = {
    "ext4": (("mkfs.ext4", "-q", "-F"), 64, ("data=ordered", "noauto_da_alloc", "data=writeback", "commit=1")),
    "xfs": (("mkfs.xfs", "-q", "-f"), 320, ("defaults",)),
}
"""How each file system is made, MB, and how it is mounted, by turns."""


def own_mounts() -> None:
    """Go on in a mount name space of our own: nobody else sees what is mounted, and it goes with us.

    Raises:
        OSError: Not allowed: this takes root.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS) or libc.mount(None, b"/", None, _MS_PRIVATE_REC, None):
        raise OSError(ctypes.get_errno(), "real power cuts take root")
    os.environ.pop("TESTS_LOADER", None)  # of `tests.helpers.preloaded`: that process does not see what is mounted


class RealPower:
    """A file system mounted on a folder that can lose its power.

    Args:
        folder: Where it is mounted; empty.
        kind: ``ext4`` or ``xfs``.
    """

    log = -1

    def __init__(self, folder: Path, kind: str) -> None:
        make, size_mb, self._options = KINDS[kind]
        self._folder = folder
        self._image = folder.with_name(f"{folder.name}.image")
        with self._image.open("wb") as image:
            image.truncate(size_mb << 20)
        subprocess.run([*make, str(self._image)], check=True)
        self._cuts = 0
        self.descriptor = -1
        self._mount()

    def _mount(self) -> None:
        options = f"loop,{self._options[self._cuts % len(self._options)]}"
        subprocess.run(["mount", "-o", options, str(self._image), str(self._folder)], check=True)
        self.descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)

    def _unmount(self) -> None:
        os.close(self.descriptor)
        subprocess.run(["umount", str(self._folder)], check=True)

    def begin(self) -> None:
        """Do nothing: what is safe is what the file system kept."""

    def shut_down(self) -> None:
        """Turn the power off, unless it is; whoever goes on gets errors."""
        with contextlib.suppress(OSError):
            fcntl.ioctl(self.descriptor, _SHUTDOWN, _NO_LOG_FLUSH)

    def cut(self, rng: random.Random) -> None:
        """Turn the power off, unless a process has, and on again: nothing is open any more."""
        self.shut_down()
        self._unmount()
        self._cuts += 1
        self._mount()

    def close(self) -> None:
        """Unmount and delete the disk."""
        self._unmount()
        self._image.unlink()
