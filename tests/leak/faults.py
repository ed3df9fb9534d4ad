"""Faults around a call: a disk that stalls, a process that stands still."""

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.helpers.background import beside

STALL_S, FREE_S = 1.5, 0.7
FROZEN_S, MOVING_S = 0.25, 1.1


class Disk:
    """A disk whose writes of recordings can be made to wait (`stall.c` is preloaded into the daemon).

    Args:
        folder: For the built shim and its switch; made, and outlives the daemon.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._switch = folder / "stall"
        self._switch.write_bytes(b"\0")
        self._shim = folder / "stall.so"
        source = Path(__file__).with_name("stall.c")
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", str(self._shim), str(source)], check=True)

    @property
    def before(self) -> Sequence[str]:
        """What the daemon's command begins with."""
        return ("env", f"LD_PRELOAD={self._shim}", f"LEAK_STALL={self._switch}")

    def stall(self, is_stalled: bool) -> None:
        """Make writes wait, or go on."""
        with self._switch.open("r+b") as switch:
            switch.write(b"\1" if is_stalled else b"\0")

    @contextlib.contextmanager
    def stalling(self) -> Iterator[None]:
        """Stall the disk again and again, 1.5 s of every 2.2 s, until the block ends."""
        with _by_turns(lambda: self.stall(True), lambda: self.stall(False), STALL_S, FREE_S):
            yield


@contextlib.contextmanager
def freezing(pid: int) -> Iterator[None]:
    """Stop a process again and again, 250 ms of every 1.35 s, until the block ends."""
    with _by_turns(lambda: os.kill(pid, signal.SIGSTOP), lambda: os.kill(pid, signal.SIGCONT), FROZEN_S, MOVING_S):
        yield


@contextlib.contextmanager
def _by_turns(on: Callable[[], None], off: Callable[[], None], on_s: float, off_s: float) -> Iterator[None]:
    def turn(must_end: threading.Event) -> None:
        while not must_end.wait(off_s):
            on()
            must_end.wait(on_s)
            off()

    try:
        with beside(turn):
            yield
    finally:
        off()
