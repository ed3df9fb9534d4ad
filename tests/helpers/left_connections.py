"""Says which test opened a connection to PostgreSQL that nobody closed, and where.

The garbage collector finds such a connection while another test runs, and the driver's warning names only that one.
"""

import os
import traceback
import warnings
from typing import Any, cast

from storage.postgresql import ServerConnection

_CALLS = 25
"""Calls of the stack that are kept."""


def name_their_tests() -> None:
    """Have connections of this process say where they were opened, if they are freed while they are open."""
    patched: Any = ServerConnection
    connect = patched.connect.__func__

    def connect_and_note(cls: type[ServerConnection], /, *words: object, **named: object) -> ServerConnection:
        made = connect(cls, *words, **named)
        made.opened_in = os.environ.get("PYTEST_CURRENT_TEST", "no test")
        made.opened_at = traceback.extract_stack(limit=_CALLS)
        return cast("ServerConnection", made)

    patched.connect = classmethod(connect_and_note)
    patched.__del__ = _warn


def _warn(connection: Any) -> None:
    if not hasattr(connection, "opened_in") or connection.closed:
        return
    connection.pgconn.finish()
    calls = " < ".join(f"{call.filename.rpartition('/')[2]}:{call.lineno}" for call in reversed(connection.opened_at))
    warnings.warn(f"{connection.opened_in} left a connection open that was opened at {calls}", ResourceWarning, 1)
