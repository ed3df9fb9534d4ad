"""What the parts of a call have in common: each knows its call, and does not keep it.

A call owns its parts. A reference back would make a ring of them all, which only a look of Python's collector could
free: all of the daemon waits for that, and what was signalled lies in memory until then. So the reference back is a
weak one. The switchboard keeps a call until it has ended, and its filing until its row is filed.
"""

import weakref
from collections.abc import Callable
from functools import partial
from typing import Any, Generic, TypeVar

Whole = TypeVar("Whole")
Result = TypeVar("Result")


class Part(Generic[Whole]):
    """A part of a call; ``Whole`` is what it has to know of the call."""

    def __init__(self, call: Whole) -> None:
        self._whole = weakref.ref(call)

    @property
    def _call(self) -> Whole:
        call = self._whole()
        assert call is not None, "the call is gone: what comes later has to keep it"
        return call

    def _kept(self, fn: Callable[..., Result]) -> Callable[..., Result]:
        """Return ``fn`` for somebody who calls it later, perhaps after the call's end: the call is kept until then."""
        return partial(_called, self._call, fn)


def _called(_kept: object, fn: Callable[..., Result], *args: Any) -> Result:  # noqa: ANN401
    return fn(*args)
