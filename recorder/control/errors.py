"""Errors of clients of daemons."""

from typing import Any


class DaemonUnavailableError(Exception):
    """The daemon did not answer, and may or may not have acted; the message says what to do next.

    Attributes:
        nobody_listens: Whether the machine itself said that no process listens there.
    """

    def __init__(self, message: str, *, nobody_listens: bool = False) -> None:
        super().__init__(message)
        self.nobody_listens = nobody_listens


class DaemonRefusedError(Exception):
    """The daemon answered with an error.

    Attributes:
        status: HTTP status.
        problem: Its problem document (RFC 9457).
    """

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(str(problem.get("detail") or problem.get("title") or f"HTTP {status}"))
        self.status = status
        self.problem = problem


def not_confirmed(detail: str, **more: Any) -> DaemonRefusedError:  # noqa: ANN401 - JSON
    """Return the error of an act that not every node has confirmed in time."""
    return DaemonRefusedError(504, {"title": "Not confirmed", "status": 504, "detail": detail, **more})
