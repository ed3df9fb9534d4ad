"""Closes the pooled connections of an engine that nobody refers to any more.

Without it they stay open until the garbage collector frees them, and Python and the drivers warn.
"""

import weakref
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

_ENDING = "ending"


def close_when_forgotten(engine: Engine) -> None:
    """Close the pooled connections of an engine when nobody refers to it any more."""

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, record: Any) -> None:  # noqa: ANN401 - no public type
        record.info[_ENDING] = ending = weakref.finalize(engine, connection.close)
        ending.atexit = False  # the system closes it at exit; a forked child must not

    @event.listens_for(engine, "close")
    def _closed(_connection: object, record: Any) -> None:  # noqa: ANN401
        record.info.pop(_ENDING).detach()
