"""Ports that tests hand to programs."""

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmarks.ports import free_port, free_range, wait_until_bound


def test_nobody_gets_a_port_twice() -> None:
    with ThreadPoolExecutor(8) as askers:
        got = [port for first, last in askers.map(free_range, [7] * 64) for port in range(first, last + 1)]
    assert len(got) == len(set(got)) == 8 * 64
    assert all(port % 2 == 0 for port in got[::8])


def test_what_somebody_listens_on_is_left_out() -> None:
    free = free_port()
    with socket.create_server(("127.0.0.1", free + 3)):
        assert free_port() == free + 4


@pytest.mark.parametrize(("kind", "socket_kind"), [("udp", socket.SOCK_DGRAM), ("tcp", socket.SOCK_STREAM)])
def test_a_bound_port_is_known_without_trying_it(kind: str, socket_kind: socket.SocketKind) -> None:
    port = free_port()
    with pytest.raises(AssertionError, match="nothing listens"):
        wait_until_bound(port, kind, timeout_s=0.05)
    with socket.socket(socket.AF_INET, socket_kind) as program:
        program.bind(("127.0.0.1", port))
        if kind == "tcp":
            program.listen()
        wait_until_bound(port, kind, timeout_s=0.5)
        wait_until_bound(port, kind, host="127.0.0.1", timeout_s=0.5)
        with pytest.raises(AssertionError, match="nothing listens"):
            wait_until_bound(port, kind, host="127.0.0.2", timeout_s=0.05)
