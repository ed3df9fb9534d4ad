"""What the transport does with arrivals, by threads that the test plays itself."""

import collections
import errno
import socket
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from sip.limits import MAX_BACKLOG_OF_SOURCE, DialogMatch
from sip.options import Address, SipOptions
from sip.transport import Transport, _OneWorkerOptions, _server_class

JUNK = b"no SIP, though long enough to be some"


class Calls(list[Any]):
    """What waits for the call thread."""

    def callFromThread(self, fn: Any, *args: Any) -> None:  # noqa: N802 - sippy's name
        self.append((fn, args))

    def run(self) -> None:
        while self:
            fn, args = self.pop(0)
            fn(*args)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    waiting = Calls()
    socket = SimpleNamespace(getsockname=lambda: ("127.0.0.1", 5060), setsockopt=lambda *_: None)
    stack = SimpleNamespace(l4r=SimpleNamespace(getServer=lambda _: SimpleNamespace(skt=socket)))
    monkeypatch.setattr("sip.transport.ED2", waiting)
    monkeypatch.setattr("sip.transport.Transactions", lambda *_: stack)
    return waiting


def test_each_source_of_an_overload_is_reported(calls: Calls) -> None:
    reports: list[tuple[str, str]] = []
    transport = Transport(
        SipOptions(listen=Address(host="127.0.0.1", port=0)),
        lambda *_: None,
        lambda *_: False,
        match=lambda *_: DialogMatch.NEW,
        on_report=lambda *report: reports.append(report),
    )
    for source in ("127.0.0.1", "127.0.0.2"):
        for _ in range(MAX_BACKLOG_OF_SOURCE + 20):
            transport.arrivals.received(None, JUNK, (source, 9), None)
        waiting = len(transport._work._waiting)
        assert waiting == MAX_BACKLOG_OF_SOURCE + 1, "one word about it waits at a time"
        assert len(calls) == 1, "the loop is asked once"
        calls.run()
    assert [source for kind, source in reports if kind == "overload"] == ["127.0.0.1", "127.0.0.2"]
    assert transport.counters["overload"] == 40


def test_a_datagram_is_sent_at_once_and_by_the_sending_thread_if_the_socket_is_full(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counters: collections.Counter[str] = collections.Counter()
    server = _server_class(SimpleNamespace(counters=counters))({}, _OneWorkerOptions(("127.0.0.1", 0), None))  # type: ignore[arg-type]
    send_now, sendto, senders = server.skt.send_now, server.skt.sendto, list[str]()

    def is_full_for_the_second(data: bytes, host: str, port: int) -> None:
        senders.append(threading.current_thread().name)
        if data == b"second":
            raise BlockingIOError(errno.EAGAIN, "full")
        send_now(data, host, port)

    def has_room(*args: Any) -> int:
        senders.append(threading.current_thread().name)
        return int(sendto(*args))

    monkeypatch.setattr(server.skt, "send_now", is_full_for_the_second)
    monkeypatch.setattr(server.skt, "sendto", has_room)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(5)
        for data in (b"first", b"second"):
            server.send_to(data, peer.getsockname())
            assert peer.recv(100) == data
    server.shutdown()
    main = threading.main_thread().name
    assert [name == main for name in senders] == [True, True, False], "the sending thread has what did not fit"
    assert not counters
