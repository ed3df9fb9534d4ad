"""Steps of a process that crash tests start: it dies by SIGKILL at one of them."""

import os
import pickle
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

_write = os.write
"""As it was before anybody made it a step."""


class Steps:
    """Counts calls of the system, and kills this process at the one that it is told.

    Args:
        kill_at: Counts from 1; 0 is never.
        teller: A descriptor to which is written what the process tells.
    """

    def __init__(self, kill_at: int, teller: int = -1) -> None:
        self.count = 0
        self._kill_at = kill_at
        self._teller = teller

    def tell(self, what: Any) -> None:
        """Tell the test something; it is told even if the process is killed right after."""
        data = memoryview(pickle.dumps(what))
        while data:
            data = data[_write(self._teller, data) :]

    def step(self) -> None:
        """Take a step."""
        self.count += 1
        if self.count == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(self, real: Callable[..., Any], *, is_after: bool = False) -> Callable[..., Any]:
        """Return a function that is a step before it does anything; with ``is_after`` another one when it is done."""

        def call(*args: Any, **kwargs: Any) -> Any:
            self.step()
            done = real(*args, **kwargs)
            if is_after:
                self.step()
            return done

        return call

    def watch(self, *, of_os: tuple[str, ...] = (), of_path: tuple[str, ...] = (), is_after: bool = False) -> None:
        """Make functions of `os` and methods of `Path` steps."""
        for name in of_os:
            self.watch_one(os, name, is_after=is_after)
        for name in of_path:
            self.watch_one(Path, name, is_after=is_after)

    def watch_one(self, owner: object, name: str, *, is_after: bool = False) -> None:
        """Make a function or method of an object a step."""
        setattr(owner, name, self.counted(getattr(owner, name), is_after=is_after))
