"""The UDP socket of the transport: datagrams that are sent at once, and their errors."""

import ctypes
import errno
import socket
from collections.abc import Iterator

import pytest

from sip import datagram_socket
from sip.datagram_socket import DatagramSocket

FAMILIES = [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]


@pytest.fixture(params=FAMILIES, ids=["IPv4", "IPv6"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[DatagramSocket, socket.socket]]:
    family, host = request.param
    with DatagramSocket(family, socket.SOCK_DGRAM) as ours, socket.socket(family, socket.SOCK_DGRAM) as peer:
        ours.bind((host, 0))
        peer.bind((host, 0))
        peer.settimeout(5)
        yield ours, peer


def test_a_datagram_arrives_whole(pair: tuple[DatagramSocket, socket.socket]) -> None:
    ours, peer = pair
    to = peer.getsockname()[:2]
    for data in (b"a\0b", b"", bytes(range(256)) * 40):
        ours.send_now(data, *to)
        assert peer.recvfrom(65535) == (data, ours.getsockname())
    peer.sendto(bytes(20_000), ours.getsockname())
    assert len(ours.recvfrom(8192)[0]) == 20_000


def test_a_port_where_nobody_listens_is_no_error(pair: tuple[DatagramSocket, socket.socket]) -> None:
    ours, peer = pair
    to = peer.getsockname()[:2]
    peer.close()
    for _ in range(3):
        ours.send_now(b"x", *to)


def test_a_full_socket_is_told(pair: tuple[DatagramSocket, socket.socket], monkeypatch: pytest.MonkeyPatch) -> None:
    ours, peer = pair

    def is_full(*_: object) -> int:
        ctypes.set_errno(errno.EAGAIN)
        return -1

    monkeypatch.setattr(datagram_socket, "_sendto", is_full)
    with pytest.raises(BlockingIOError):
        ours.send_now(b"x", *peer.getsockname()[:2])


def test_an_interrupted_call_is_made_again(
    pair: tuple[DatagramSocket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, peer = pair

    def is_interrupted(*_: object) -> int:
        ctypes.set_errno(errno.EINTR)
        return -1

    monkeypatch.setattr(datagram_socket, "_sendto", is_interrupted)
    ours.send_now(b"x", *peer.getsockname()[:2])
    assert peer.recv(100) == b"x"


@pytest.mark.parametrize(("to", "code"), [("255.255.255.255", errno.EACCES), ("::1", errno.EAFNOSUPPORT)])
def test_the_error_of_the_system_is_raised(to: str, code: int) -> None:
    with DatagramSocket(socket.AF_INET, socket.SOCK_DGRAM) as ours, pytest.raises(OSError) as caught:
        ours.send_now(b"x", to, 9)
    assert caught.value.errno == code


def test_a_closed_socket_is_an_error() -> None:
    ours = DatagramSocket(socket.AF_INET, socket.SOCK_DGRAM)
    ours.close()
    with pytest.raises(OSError) as caught:
        ours.send_now(b"x", "127.0.0.1", 9)
    assert caught.value.errno == errno.EBADF


def test_names_and_zones_are_left_to_python() -> None:
    with DatagramSocket(socket.AF_INET6, socket.SOCK_DGRAM) as ours, pytest.raises(OSError):
        ours.send_now(b"x", "fe80::1%none", 9)
    with (
        DatagramSocket(socket.AF_INET, socket.SOCK_DGRAM) as ours,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer,
    ):
        peer.bind(("127.0.0.1", 0))
        ours.send_now(b"x", "localhost", peer.getsockname()[1])
        peer.settimeout(5)
        assert peer.recv(100) == b"x"


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 65536), ("127.0.0.1", -1), ("127.0.0.1\0", 5060)])
def test_what_is_no_address_is_left_to_python(host: str, port: int) -> None:
    with DatagramSocket(socket.AF_INET, socket.SOCK_DGRAM) as ours, pytest.raises((OverflowError, TypeError)):
        ours.send_now(b"x", host, port)
