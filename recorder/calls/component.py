"""The base class of a call's components: each holds a weak reference to its call.

A call owns its components. A strong reference back would make a reference cycle. Only Python's cyclic garbage collector
frees those: the daemon stops while it runs, and the call's signalling stays in memory until then. The registry keeps a
call until it has ended; filing keeps it until its row is filed.
"""

import weakref
from collections.abc import Callable
from functools import partial
from typing import Any, Generic, TypeVar

Owner = TypeVar("Owner")
Result = TypeVar("Result")


class Component(Generic[Owner]):
    """A component of a call; ``Owner`` is the interface of the call that it uses."""

    def __init__(self, call: Owner) -> None:
        self._owner = weakref.ref(call)

    @property
    def _call(self) -> Owner:
        call = self._owner()
        assert call is not None, "the call is gone: a callback that runs later must keep it, see _with_call"
        return call

    def _with_call(self, fn: Callable[..., Result]) -> Callable[..., Result]:
        """Return ``fn`` as a callback that keeps the call in memory, for timers and futures."""
        return partial(_run, self._call, fn)


def _run(_call: object, fn: Callable[..., Result], *args: Any) -> Result:  # noqa: ANN401
    return fn(*args)
