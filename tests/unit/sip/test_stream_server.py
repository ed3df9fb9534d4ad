"""Requests over TCP and TLS whose connection is lost: sent again, given up, or on their way over another one."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from sip.connection import Connection
from sip.connector import Parcel
from sip.options import Address, StreamLimits, TransportKind
from sip.stream_server import RequestServer

TO = Address(host="192.0.2.7", port=5060, transport=TransportKind.TCP)


class Outlet:
    """A transport whose I/O thread does nothing by itself: the order in which the threads meet is the test's."""

    def __init__(self) -> None:
        self.parcels: list[Parcel] = []
        self.unreached: list[Any] = []

    def shown(self, kind: str) -> tuple[tuple[str, int], str]:
        return (TO.host, TO.port), kind

    def post(self, parcel: Parcel) -> None:
        self.parcels.append(parcel)

    def on_call_thread(self, fn: Callable[..., None], *args: object) -> None:
        fn(*args)

    def fall_back(self, transaction: Any, request: Any) -> None:
        raise AssertionError("it may not use UDP")

    def unreachable(self, transaction: Any) -> None:
        self.unreached.append(transaction)


@pytest.fixture
def outlet() -> Outlet:
    return Outlet()


@pytest.fixture
def two() -> tuple[Connection, Connection]:
    """Return the connection of the dialog and a later one."""

    async def made() -> tuple[Connection, Connection]:
        owner: Any = None
        first, second = (Connection(owner, TO, StreamLimits(), is_ours=True) for _ in range(2))
        return first, second

    return asyncio.run(made())


def sending(outlet: Outlet, flow: Connection | None) -> RequestServer:
    """Return the server of a request that waits for the I/O thread."""
    server = RequestServer(outlet, TO, flow)
    server.follow(object(), SimpleNamespace(data=b"INVITE"))
    server.send_to(b"INVITE", None)
    return server


def test_a_connection_that_ended_before_it_took_the_request_is_no_loss(outlet: Outlet, two: Any) -> None:
    """The peer closed the dialog's connection while the request was on its way to the I/O thread."""
    old, new = two
    server = sending(outlet, old)
    server.lost(old)
    assert outlet.unreached == []
    outlet.parcels[0].sent(new, False)
    server.lost(old)
    assert (outlet.unreached, len(outlet.parcels), server.connection) == ([], 1, new)


def test_a_request_that_an_existing_connection_took_is_sent_again_once(outlet: Outlet, two: Any) -> None:
    old, new = two
    server = sending(outlet, old)
    outlet.parcels[0].sent(old, True)
    server.lost(old)
    assert len(outlet.parcels) == 2
    assert outlet.parcels[1].over is None
    outlet.parcels[1].sent(new, True)
    server.lost(new)
    assert (len(outlet.unreached), len(outlet.parcels)) == (1, 2)


def test_a_request_that_a_new_connection_took_is_given_up_with_it(outlet: Outlet, two: Any) -> None:
    _, new = two
    server = sending(outlet, None)
    outlet.parcels[0].sent(new, False)
    server.lost(new)
    assert (len(outlet.unreached), len(outlet.parcels)) == (1, 1)


def test_a_request_that_no_connection_takes_is_given_up(outlet: Outlet, two: Any) -> None:
    sending(outlet, two[0])
    outlet.parcels[0].failed()
    assert len(outlet.unreached) == 1
