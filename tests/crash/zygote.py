"""Processes that die by SIGKILL at one of their steps, forked from one that has everything loaded.

Importing the recorder takes a second of CPU, and a test kills up to a hundred processes. A zygote is a fork of the
process that has loaded it (`tests.helpers.preloaded`), and forks for each kill. It is a process of its own, because
pytest and its workers have threads, and a fork copies only one.
"""

import importlib
import os
import pickle
import sys
import traceback
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Concatenate, ParamSpec

ROOT = Path(__file__).parents[2]
if __name__ == "__main__":
    sys.path[0] = str(ROOT)
    tests = types.ModuleType("tests")  # another distribution installs a package of that name
    tests.__path__ = [str(ROOT / "tests")]
    sys.modules["tests"] = tests

from tests.crash.counted import Steps  # noqa: E402
from tests.helpers import preloaded  # noqa: E402

P = ParamSpec("P")


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Attributes:
        code: Its exit code; negative is the signal that killed it.
        said: What it told before it ended.
        steps: How many steps it took; None if it did not get to its end.
        problem: The traceback of what it failed with, or nothing.
    """

    code: int
    said: tuple[Any, ...] = ()
    steps: int | None = None
    problem: str = ""


class Zygote:
    """A process that forks; close it, or use it as a context manager."""

    def __init__(self) -> None:
        self._script = preloaded.Script(Path(__file__))

    def __enter__(self) -> "Zygote":
        return self

    def __exit__(self, *_: object) -> None:
        self._script.close()

    def run(self, act: Callable[Concatenate[Steps, P], None], kill_at: int, *args: P.args, **kwargs: P.kwargs) -> Ended:
        """Run a function of a module in a process that is killed before its n-th step; 0 lets it live.

        Args:
            act: Says which calls are steps, and what to count; arguments must be picklable.
            kill_at: The step, counted from 1.
            args: Its other arguments.
            kwargs: The same.
        """
        pickle.dump((act.__module__, act.__qualname__, kill_at, args, kwargs), self._script.given)
        self._script.given.flush()
        ended: Ended = pickle.load(self._script.said)
        return ended

    def until(
        self, act: Callable[Concatenate[Steps, P], None], kill_at: int, *args: P.args, **kwargs: P.kwargs
    ) -> int | None:
        """Run as `run` does; returns the number of steps if it got to its end, None if it was killed."""
        ended = self.run(act, kill_at, *args, **kwargs)
        assert ended.code in (0, -9), f"killed at step {kill_at}: it ended with {ended.code}: {ended.problem}"
        return ended.steps


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Fork for each request until there are no more."""
    while True:
        try:
            module, name, kill_at, args, kwargs = pickle.load(requests)
        except EOFError:
            return
        act = getattr(importlib.import_module(module), name)
        pickle.dump(_fork(act, kill_at, args, kwargs), answers)
        answers.flush()


def _fork(act: Callable[..., None], kill_at: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Ended:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _live(act, Steps(kill_at, writer), args, kwargs)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        said = list(_heard(file))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    steps, problem = said.pop() if said and code >= 0 else (None, "")
    return Ended(code, tuple(said), steps, problem)


def _live(act: Callable[..., None], steps: Steps, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    code, problem = 1, ""
    try:
        act(steps, *args, **kwargs)
        code = 0
    except BaseException:  # noqa: BLE001 - whatever it is, the test has to know
        problem = traceback.format_exc()
    finally:
        steps.tell((steps.count if code == 0 else None, problem))
        os._exit(code)


def _heard(file: BinaryIO) -> Any:
    while True:
        try:
            yield pickle.load(file)
        except (EOFError, pickle.UnpicklingError):
            return


if __name__ == "__main__":
    from tests.crash import zygote  # what is pickled is known by this name on both sides

    out = os.dup(1)
    os.dup2(2, 1)  # what an act prints is no answer
    with os.fdopen(0, "rb") as requests, os.fdopen(out, "wb") as answers:
        answers.write(b"x")  # it runs
        answers.flush()
        zygote.serve(requests, answers)
