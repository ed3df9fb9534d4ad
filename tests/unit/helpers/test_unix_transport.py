"""A refused connection leaves nothing open."""

import gc
import socket
import warnings
from pathlib import Path

import httpx2
import pytest

from tests.helpers.unix_transport import UnixTransport


def opened_and_left(transport: httpx2.HTTPTransport) -> list[str]:
    """Return what Python says of sockets that were left open by a request that nobody took."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        client = httpx2.Client(transport=transport, base_url="http://recorder")
        with client, pytest.raises(httpx2.ConnectError):
            client.get("/api/health")
        gc.collect()
    return [str(one.message) for one in said if one.category is ResourceWarning]


@pytest.fixture
def deserted(tmp_path: Path) -> Path:
    """A socket whose owner is gone."""
    path = tmp_path / "recorder.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as owner:
        owner.bind(str(path))
    return path


def test_a_refused_connection_is_closed(deserted: Path) -> None:
    assert opened_and_left(UnixTransport(deserted)) == []


def test_there_is_no_such_socket(tmp_path: Path) -> None:
    assert opened_and_left(UnixTransport(tmp_path / "none.sock")) == []


def test_without_it_one_would_be_left(deserted: Path) -> None:
    assert len(opened_and_left(httpx2.HTTPTransport(uds=str(deserted)))) == 1, (
        "httpx2 does it itself now: take this out"
    )
