"""The base of a call's parts: each holds a weak reference to its call.

A call owns its parts. A strong reference back would make a reference cycle, which only Python's cyclic collector frees:
the daemon stands still while it runs, and the call's signalling stays in memory until then. The registry of calls holds
a call until it has ended, and its filing until its row is filed.
"""

import weakref
from collections.abc import Callable
from functools import partial
from typing import Any, Generic, TypeVar

Whole = TypeVar("Whole")
Result = TypeVar("Result")


class Component(Generic[Whole]):
    """A part of a call; ``Whole`` is what it has to know of the call."""

    def __init__(self, call: Whole) -> None:
        self._whole = weakref.ref(call)

    @property
    def _call(self) -> Whole:
        call = self._whole()
        assert call is not None, "the call is gone: what comes later has to keep it"
        return call

    def _with_call(self, fn: Callable[..., Result]) -> Callable[..., Result]:
        """Return ``fn`` for somebody who calls it later, perhaps after the call's end: the call is kept until then."""
        return partial(_called, self._call, fn)


def _called(_kept: object, fn: Callable[..., Result], *args: Any) -> Result:  # noqa: ANN401
    return fn(*args)
