"""Builds `shim.c`, which counts the steps of a process and ends it in one of them, and starts a program with it."""

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path


def build_shim(folder: Path) -> Path:
    """Compile the shim into a folder."""
    shim = folder / "shim.so"
    source = Path(__file__).with_name("shim.c")
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", str(shim), str(source)], check=True)
    return shim


def preload() -> None:
    """Go on with the shim preloaded: build it and start this program again, unless that was done already."""
    if hasattr(ctypes.CDLL(None), "shim_arm"):
        shutil.rmtree(Path(os.environ.pop("LD_PRELOAD")).parent)
        return
    shim = build_shim(Path(tempfile.mkdtemp(prefix="shim-")))
    os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "LD_PRELOAD": str(shim)})
