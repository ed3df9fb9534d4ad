"""HTTP/1.1 client of daemons, limited to what they speak (RFC 9112): one request, one response.

Connections are kept open: with 200 recorded calls, a new one would cost the daemon as much as the act itself. They go
over a unix socket here, and over mutual TLS in `recorder.control.node_connections`.
"""

import abc
import select
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

KEPT_S = 30.0
"""How long an idle connection is kept, seconds. Shorter than the daemon keeps it, which must not close it in use."""
_KEPT, _CHUNK, _LONGEST_HEAD = 16, 1 << 16, 1 << 14
LONGEST_ANSWER = 16 << 20
"""Longest body of a response, bytes: many times that of the list of 1,000 calls."""


class NobodyThereError(OSError):
    """No connection could be made."""


class BrokenOffError(OSError):
    """The response ended early, or is not valid."""


class UnansweredError(BrokenOffError):
    """The connection ended before any of the response had come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonAnswer:
    """A response."""

    status: int
    reason: str
    content: bytes


class Connections(abc.ABC):
    """Connections to one daemon, each used by one thread at a time. Safe from any thread.

    Args:
        timeout_s: Longest wait for the whole response, connecting included.
    """

    def __init__(self, *, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._kept: list[tuple[socket.socket, float]] = []
        self._is_closed = False

    def ask(
        self, method: str, target: str, headers: Mapping[str, str], content: bytes = b"", *, is_idempotent: bool = False
    ) -> DaemonAnswer:
        """Send a request and return its response, whatever its status.

        Args:
            method: The HTTP method.
            target: The path.
            headers: The fields, without Host and Content-Length.
            content: The body.
            is_idempotent: Whether the request may be done twice. If a kept connection ends before any of the response
                has come, it is then sent once more, on a new connection (RFC 9110 section 9.2.2).

        Raises:
            NobodyThereError: It was not sent.
            TimeoutError: No connection, or no whole response, in time.
            BrokenOffError: The response is not valid, or there was none and the request could not be sent once more;
                the daemon may or may not have acted.
        """
        deadline = time.monotonic() + self._timeout_s

        def ask_on(connection: socket.socket) -> DaemonAnswer:
            try:
                signed = self._signed(method, target, headers, content)  # each time: a signature is valid once
                answer, is_kept = exchange(connection, plain_request(method, target, signed, content), deadline)
            except BaseException:
                connection.close()
                raise
            self._give_back(connection, is_kept=is_kept)
            return answer

        kept = self._taken()
        if kept is None:
            return ask_on(self._new(deadline))
        try:
            return ask_on(kept)
        except UnansweredError as unanswered:
            if not is_idempotent:
                raise
            try:
                return ask_on(self._new(deadline))
            except (TimeoutError, BrokenOffError):
                raise
            except OSError as error:  # it would say that nothing was sent, and the first time something was
                raise unanswered from error

    def close(self) -> None:
        """Close idle connections, and the others when their answer is there. Idempotent."""
        with self._lock:
            self._is_closed = True
            kept, self._kept = self._kept, []
        for connection, _ in kept:
            connection.close()

    @abc.abstractmethod
    def _connected(self, deadline: float) -> socket.socket:
        """Return a new connection; OSError if there is none by a moment of the monotonic clock."""

    def _signed(self, method: str, target: str, headers: Mapping[str, str], content: bytes) -> Mapping[str, str]:
        """Return the headers of a request on a connection that is open; OSError if they cannot be made."""
        del method, target, content
        return headers

    def _taken(self) -> socket.socket | None:
        """Return an idle connection that the daemon has not closed."""
        while True:
            with self._lock:
                if not self._kept:
                    return None
                connection, since_s = self._kept.pop()
            if time.monotonic() < since_s + KEPT_S and not _is_readable(connection):
                return connection
            connection.close()

    def _new(self, deadline: float) -> socket.socket:
        try:
            return self._connected(deadline)
        except BlockingIOError as error:  # on Linux: the queue is full (unix(7))
            raise TimeoutError("the socket's queue is full") from error
        except (TimeoutError, NobodyThereError):
            raise
        except OSError as error:
            raise NobodyThereError(str(error)) from error

    def _give_back(self, connection: socket.socket, *, is_kept: bool) -> None:
        with self._lock:
            if is_kept and not self._is_closed and len(self._kept) < _KEPT:
                self._kept.append((connection, time.monotonic()))
                return
        connection.close()


class DaemonConnections(Connections):
    """Connections to the daemon of this machine.

    Args:
        path: Its socket.
        timeout_s: Longest wait for the whole response, connecting included.
    """

    def __init__(self, path: Path, *, timeout_s: float) -> None:
        super().__init__(timeout_s=timeout_s)
        self._path = str(path)

    def _connected(self, deadline: float) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(left_s(deadline))
            connection.connect(self._path)
        except OSError:
            connection.close()
            raise
        return connection


def exchange(connection: socket.socket, request: bytes, deadline: float) -> tuple[DaemonAnswer, bool]:
    """Send a request and return its response, and whether the connection can be used again.

    Raises:
        TimeoutError: No whole response by the deadline, a moment of the monotonic clock.
        UnansweredError: The connection ended before any of the response had come.
        BrokenOffError: The response ended early, or is not valid.
    """
    received = b""
    try:
        connection.settimeout(left_s(deadline))
        connection.sendall(request)
        while b"\r\n\r\n" not in received and len(received) <= _LONGEST_HEAD:
            received += _more(connection, deadline)
        head, _, content = received.partition(b"\r\n\r\n")
        status, reason, fields = _head(head)
        length = int(fields["content-length"])
        if not 0 <= length <= LONGEST_ANSWER:
            raise ValueError(f"a body of {length} bytes")
        while len(content) < length:
            content += _more(connection, deadline)
    except TimeoutError:
        raise
    except (OSError, ValueError, KeyError) as error:
        raise (BrokenOffError if received else UnansweredError)(str(error)) from error
    is_kept = len(content) == length and fields.get("connection", "").lower() != "close"
    return DaemonAnswer(status=status, reason=reason, content=content[:length]), is_kept


def left_s(deadline: float) -> float:
    """Return the seconds until a moment of the monotonic clock.

    Raises:
        TimeoutError: It has passed.
    """
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("no complete response in time")
    return left


def plain_request(method: str, target: str, headers: Mapping[str, str], content: bytes) -> bytes:
    """Return the bytes of a request."""
    fields = {"Host": "recorder", **headers, "Content-Length": str(len(content))}
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a header contains a line break")
    return "\r\n".join(lines).encode("ascii") + content


def _head(head: bytes) -> tuple[int, str, dict[str, str]]:
    """Parse status line and fields; ValueError if they are not valid."""
    first, *lines = head.decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    if not version.startswith("HTTP/1."):
        raise ValueError("not an HTTP response")
    status, _, reason = rest.partition(" ")
    fields = (line.partition(":") for line in lines)
    return int(status), reason, {name.strip().lower(): value.strip() for name, _, value in fields}


def _more(connection: socket.socket, deadline: float) -> bytes:
    connection.settimeout(left_s(deadline))
    received = connection.recv(_CHUNK)
    if not received:
        raise ConnectionResetError("the connection was closed")
    return received


def _is_readable(connection: socket.socket) -> bool:
    """Tell whether an idle connection has input: usually its end."""
    poller = select.poll()
    poller.register(connection, select.POLLIN)
    return bool(poller.poll(0))
