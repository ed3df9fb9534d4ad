"""Which connections the console takes, and which one it closes where there are too many."""

import asyncio
import logging
import ssl
from dataclasses import dataclass, field
from typing import Any

import pytest

from recorder.control.http_connections import ConsoleConnections, ConsoleProtocol, TlsEntrance
from recorder.rules.limits import ConnectionLimits

HERE, ELSEWHERE = "192.0.2.1", "192.0.2.2"


@dataclass(eq=False)
class Connection:
    """A connection whose state the test sets."""

    is_protected: bool = False
    is_answered: bool = False
    closed: int = field(default=0, init=False)

    def abort(self) -> None:
        self.closed += 1

    def end(self, within_s: float) -> None:
        raise NotImplementedError


def full(*, most: int = 10, most_per_address: int | None = None, of: list[Connection]) -> ConsoleConnections:
    """Return the connections of a console that `of` have entered, all from one address."""
    connections = ConsoleConnections(ConnectionLimits(most=most, most_per_address=most_per_address))
    for one in of:
        assert connections.enter(one, HERE)
    return connections


def closed(ones: list[Connection]) -> list[int]:
    return [at for at, one in enumerate(ones) if one.closed]


def test_the_one_that_waited_longest_gives_way_to_one_from_the_same_address() -> None:
    waiting = [Connection() for _ in range(3)]
    connections = full(most_per_address=3, of=waiting)
    assert connections.enter(Connection(), ELSEWHERE)
    assert closed(waiting) == []
    assert connections.enter(Connection(), HERE)
    assert closed(waiting) == [0]


def test_those_who_are_known_do_not_count_among_the_strangers_of_their_address() -> None:
    known, stranger = [Connection(is_protected=True) for _ in range(3)], Connection()
    connections = full(most_per_address=3, of=known)
    assert connections.enter(stranger, HERE)
    assert connections.enter(Connection(), HERE)
    assert closed([*known, stranger]) == [], "there are two strangers, and three may be"


def test_one_that_has_asked_nothing_yet_gives_way_before_an_older_one_that_is_answered() -> None:
    ones = [Connection(is_answered=True), Connection()]
    assert full(most=2, of=ones).enter(Connection(), ELSEWHERE)
    assert closed(ones) == [1]


def test_one_that_is_answered_gives_way_where_all_are() -> None:
    ones = [Connection(is_protected=True), Connection(is_answered=True), Connection(is_answered=True)]
    assert full(most=3, of=ones).enter(Connection(), ELSEWHERE)
    assert closed(ones) == [1]


def test_where_all_are_known_a_new_one_finds_no_room(caplog: pytest.LogCaptureFixture) -> None:
    known = [Connection(is_protected=True) for _ in range(2)]
    connections = full(most=2, of=known)
    with caplog.at_level(logging.WARNING):
        assert not connections.enter(Connection(), HERE)
        assert not connections.enter(Connection(), HERE)
    assert closed(known) == []
    assert [record.message.partition(":")[0] for record in caplog.records] == ["too many connections in all"]
    connections.leave(known[0])
    assert connections.enter(Connection(), HERE)


@pytest.mark.parametrize(("most", "most_per_address"), [(2, None), (10, 2)])
def test_one_that_waits_anew_is_the_youngest_again(most: int, most_per_address: int | None) -> None:
    ones = [Connection() for _ in range(2)]
    connections = full(most=most, most_per_address=most_per_address, of=ones)
    connections.waits_anew(ones[0])
    assert connections.enter(Connection(), HERE)
    assert closed(ones) == [1]


def test_one_that_left_is_not_known_any_more_however_often_it_leaves() -> None:
    ones = [Connection() for _ in range(2)]
    connections = full(most=3, most_per_address=2, of=ones)
    for _ in range(2):
        connections.leave(ones[0])
    connections.waits_anew(ones[0])
    assert connections.enter(Connection(), HERE), "one of two is left of the address"
    assert closed(ones) == []
    assert connections.enter(Connection(), HERE)
    assert closed(ones) == [1]


class Wire(asyncio.Transport):
    """A connection that somebody at an address opened."""

    def __init__(self, host: str) -> None:
        super().__init__(extra={"peername": (host, 40_000)})
        self.is_aborted = False
        self.is_paused = False

    def abort(self) -> None:
        self.is_aborted = True

    def pause_reading(self) -> None:
        self.is_paused = True


def entered_by_tls(room: int) -> Wire:
    """Return a connection for TLS to a console of one place, in which so much room is."""

    async def connect() -> Wire:
        connections, wire = full(most=1, of=[Connection(is_protected=True)] * (1 - room)), Wire(ELSEWHERE)

        def make() -> ConsoleProtocol:
            raise AssertionError("nobody has shaken hands")

        context: Any = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        entrance = TlsEntrance(context, connections, make, asyncio.get_running_loop())
        entrance.connection_made(wire)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        return wire

    return asyncio.run(connect())


@pytest.mark.parametrize("room", [0, 1])
def test_one_that_finds_no_room_is_closed_before_its_handshake(room: int) -> None:
    wire = entered_by_tls(room)
    assert (wire.is_aborted, wire.is_paused) == ((room == 0), (room == 1))
