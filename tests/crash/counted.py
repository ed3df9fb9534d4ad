"""Dies by SIGKILL at one of its steps: for programs that crash tests start, which import it by its own name."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Steps:
    """Counts calls of the system, and kills this process before the one that it is told.

    Args:
        kill_at: Counts from 1; 0 is never.
    """

    def __init__(self, kill_at: int) -> None:
        self.count = 0
        self._kill_at = kill_at

    def counted(self, real: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that is a step."""

        def call(*args: Any, **kwargs: Any) -> Any:
            self.count += 1
            if self.count == self._kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        return call

    def watch(self, *, of_os: tuple[str, ...] = (), of_path: tuple[str, ...] = ()) -> None:
        """Make functions of `os` and methods of `Path` steps."""
        for name in of_os:
            setattr(os, name, self.counted(getattr(os, name)))
        for name in of_path:
            setattr(Path, name, self.counted(getattr(Path, name)))
