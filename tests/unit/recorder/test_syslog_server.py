"""A reset that comes after the server's close, as on a slow network, means that it had not read everything."""

import errno
import socket
from typing import Any, cast

import pytest

from recorder.forwarding.syslog_server import wait_until_read

ESTABLISHED, LAST_ACK, CLOSED = 1, 9, 7


class Connection:
    """A connection whose server has said goodbye, and whose system answers our last bytes a moment later."""

    def __init__(self, states: list[int], error: int) -> None:
        self.states = states
        self.error = error
        self.is_shut = False

    def unwrap(self) -> "Connection":
        return self

    def shutdown(self, how: int) -> None:
        assert how == socket.SHUT_WR
        self.is_shut = True

    def recv(self, _size: int) -> bytes:
        return b""

    def getsockopt(self, level: int, name: int, size: int = 0) -> Any:
        if (level, name) == (socket.SOL_SOCKET, socket.SO_ERROR):
            return self.error
        assert (level, name, size) == (socket.IPPROTO_TCP, socket.TCP_INFO, 1)
        return bytes([self.states.pop(0) if len(self.states) > 1 else self.states[0]])


def test_the_last_byte_was_acknowledged() -> None:
    connection = Connection([LAST_ACK, LAST_ACK, CLOSED], 0)
    wait_until_read(cast(Any, connection), 5.0)
    assert connection.is_shut
    assert connection.states == [CLOSED]


def test_a_reset_after_the_servers_close() -> None:
    with pytest.raises(OSError, match="before it had read everything"):
        wait_until_read(cast(Any, Connection([LAST_ACK, CLOSED], errno.ECONNRESET)), 5.0)


def test_a_last_byte_that_is_never_acknowledged() -> None:
    with pytest.raises(TimeoutError):
        wait_until_read(cast(Any, Connection([LAST_ACK], 0)), 0.01)
