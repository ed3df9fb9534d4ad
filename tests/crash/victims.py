"""Processes that are killed: forked from one that has everything loaded, counted and ended by `shim.c`.

The program has to run with the shim preloaded (`tests.crash.shim.preload`).
"""

import ctypes
import json
import os
import random
import select
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from tests.crash.vault_acts import Act, Speaker
from tests.crash.vault_site import opened

PATIENCE_S = 60.0
"""No act takes so long; one that does hangs."""


@dataclass(frozen=True)
class Fate:
    """When a process ends.

    Attributes:
        step: The step in which it is killed; 0 lets it live.
        is_torn: A write in that step is done by half.
        after_s: Seconds after which it is killed from outside; 0 is never.
        power_fd: The root of the file system that loses its power in that step, or -1.
    """

    step: int = 0
    is_torn: bool = False
    after_s: float = 0.0
    power_fd: int = -1


@dataclass
class Victim:
    """A process at work."""

    name: str
    pid: int
    reader: int
    kill_at: float = float("inf")
    heard: list[dict[str, Any]] = field(default_factory=list)
    rest: bytes = b""
    status: int | None = None

    @property
    def is_killed(self) -> bool:
        return self.status is not None and os.WIFSIGNALED(self.status) and os.WTERMSIG(self.status) == signal.SIGKILL

    @property
    def steps(self) -> int:
        """Return how many steps the whole of it took; 0 if it was killed."""
        return next((line["steps"] for line in self.heard if line["what"] == "end"), 0)

    @property
    def problem(self) -> str:
        """Return why it failed by itself, or nothing."""
        return next((line["problem"] for line in self.heard if line["what"] == "failed"), "")


def start(name: str, act: Act, folder: Path, now: datetime, seed: str, fate: Fate, log: int = -1) -> Victim:
    """Fork a process that does an act and dies as it must."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _live(act, folder, now, seed, fate, Speaker(partial(os.write, writer)), log)
    os.close(writer)
    victim = Victim(name, pid, reader)
    if fate.after_s:
        victim.kill_at = time.monotonic() + fate.after_s
    return victim


def _live(act: Act, folder: Path, now: datetime, seed: str, fate: Fate, speaker: Speaker, log: int) -> None:
    code = 1
    try:
        shim = ctypes.CDLL(None)
        shim.shim_arm.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_int)
        shim.shim_log(log)
        shim.shim_arm(fate.step or 1 << 60, fate.is_torn, fate.power_fd)
        with opened(folder, now) as site:
            act(site, random.Random(seed), speaker)
        speaker.say("end", steps=shim.shim_steps())
        code = 0
    except BaseException:  # noqa: BLE001 - whatever it is, the parent has to know
        speaker.say("failed", problem=traceback.format_exc())
    finally:
        os._exit(code)


def wait(victims: list[Victim], hear: Callable[[dict[str, Any]], None]) -> None:
    """Hear what processes say until all of them have ended."""
    running = {victim.reader: victim for victim in victims}
    deadline = time.monotonic() + PATIENCE_S
    while running:
        now = time.monotonic()
        next_kill = min(victim.kill_at for victim in running.values())
        for reader in select.select(list(running), [], [], max(min(next_kill, deadline) - now, 0))[0]:
            if not _listen(running[reader], hear):
                _bury(running.pop(reader))
        for victim in running.values():
            if time.monotonic() >= deadline:
                victim.heard.append({"what": "failed", "problem": f"it did not end within {PATIENCE_S:g} s"})
            if time.monotonic() >= min(victim.kill_at, deadline):
                os.kill(victim.pid, signal.SIGKILL)
                victim.kill_at = float("inf")
        assert time.monotonic() < deadline + 5, "a process that was killed does not end"


def _listen(victim: Victim, hear: Callable[[dict[str, Any]], None]) -> bool:
    data = os.read(victim.reader, 65536)
    *lines, victim.rest = (victim.rest + data).split(b"\n")
    for line in map(json.loads, lines):
        victim.heard.append(line)
        hear(line)
    return bool(data)


def _bury(victim: Victim) -> None:
    _, victim.status = os.waitpid(victim.pid, 0)
    os.close(victim.reader)
