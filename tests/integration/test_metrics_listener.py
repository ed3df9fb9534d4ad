"""The listener of metrics on a real port: what it answers, to whom, and that slow or hostile clients cost little."""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import SimpleNamespace

import pytest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from recorder.common import metrics_listener
from recorder.common.metric_table import registry_of
from recorder.common.metrics_listener import MOST_CONNECTIONS, MetricsListener
from tests.helpers.recorder_home import HANGS_S, eventually
from tests.helpers.starvation import stopwatch

HERE = ("127.0.0.1/32",)
GET = b"GET /metrics HTTP/1.1\r\nHost: recorder\r\nAccept: text/plain\r\n\r\n"


class Counting(Collector):
    """Counts how often it is collected."""

    def __init__(self, before: Callable[[], object] = lambda: None) -> None:
        self.times = 0
        self._before = before

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        self._before()
        self.times += 1
        yield GaugeMetricFamily("recorder_times", "How often.", value=self.times)


@contextmanager
def serving(
    collector: Collector | None = None, *, networks: tuple[str, ...] = HERE, port: int = 0, host: str = "127.0.0.1"
) -> Iterator[tuple[MetricsListener, list[str]]]:
    alarms: list[str] = []
    registry = registry_of(collector or Counting())
    made = MetricsListener(registry, host, port, networks=networks, section="metrics", alarm=alarms.append)
    made.start()
    try:
        yield made, alarms
    finally:
        made.close()


def port_of(listener: MetricsListener) -> int:
    return eventually(lambda: listener.bound_port, "it listens")


def client_of(listener: MetricsListener, host: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection((host, port_of(listener)), timeout=HANGS_S)


def ask(listener: MetricsListener, request: bytes = GET) -> tuple[bytes, bytes]:
    """Return head and body of the answer; both empty if there was none."""
    with client_of(listener) as client:
        client.sendall(request)
        answer = b""
        while chunk := client.recv(65536):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    return head, body


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (GET, b"200 OK"),
        (b"GET /metrics?name=x HTTP/1.0\r\n\r\n", b"200 OK"),
        (b"GET / HTTP/1.1\r\n\r\n", b"404 Not Found"),
        (b"GET /metrics/../etc/passwd HTTP/1.1\r\n\r\n", b"404 Not Found"),
        (b"POST /metrics HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", b"405 Method Not Allowed"),
        (b"HEAD /metrics HTTP/1.1\r\n\r\n", b"405 Method Not Allowed"),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", b"400 Bad Request"),
        (b"GET /metrics\r\n\r\n", b"400 Bad Request"),
        (b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", b"431 Request Header"),
    ],
)
def test_only_get_of_the_metrics_is_answered(request_: bytes, status: bytes) -> None:
    with serving() as (listener, _):
        head, body = ask(listener, request_)
        assert head.startswith(b"HTTP/1.1 " + status), head
        assert (b"recorder_times" in body) == (status == b"200 OK")


def test_the_answer_is_in_the_format_of_prometheus() -> None:
    with serving() as (listener, _):
        head, body = ask(listener)
        assert b"Content-Type: text/plain; version=0.0.4" in head
        assert f"Content-Length: {len(body)}".encode() in head
        (family,) = text_string_to_metric_families(body.decode())
        assert [(sample.name, sample.value) for sample in family.samples] == [("recorder_times", 1.0)]


def test_scrapes_within_a_second_cost_one(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr(metrics_listener, "time", SimpleNamespace(monotonic=lambda: now_s))
    counting = Counting()
    with serving(counting) as (listener, _):
        bodies = {ask(listener)[1] for _ in range(4)}
        now_s += 0.99
        bodies.add(ask(listener)[1])
        assert (len(bodies), counting.times) == (1, 1)
        now_s += 0.02
        assert b"recorder_times 2.0" in ask(listener)[1]


def test_other_networks_get_no_answer_and_the_log_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    counting = Counting()
    with caplog.at_level(logging.WARNING), serving(counting, networks=("192.0.2.0/24", "::1/128")) as (listener, _):
        for _ in range(3):
            with suppress(ConnectionError):  # closed with the request unread
                assert ask(listener) == (b"", b"")
        assert counting.times == 0
        eventually(lambda: caplog.records, "it is logged")
    assert [record.message for record in caplog.records] == [
        "metrics were refused to 127.0.0.1: it is not in `networks` of [metrics]"
    ]


def test_clients_that_send_nothing_are_few_and_are_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    request_s = 1.0
    monkeypatch.setattr(metrics_listener, "REQUEST_S", request_s)
    with serving() as (listener, _), ExitStack() as stack:
        port_of(listener)
        began_s, took_s = time.monotonic(), stopwatch(os.getpid())
        idle = []
        for said in (b"GET /metr", *[b""] * (MOST_CONNECTIONS - 1)):
            idle.append(stack.enter_context(client_of(listener)))
            idle[-1].sendall(said)
        head, _ = ask(listener)  # taken after those: the kernel hands them out in order
        assert head.startswith(b"HTTP/1.1 200")
        assert time.monotonic() - began_s >= request_s, "it waited until one of them was ended"
        assert took_s() < 2 * request_s, "they were served at the same time"
        for one in idle:
            with suppress(ConnectionResetError):
                assert one.recv(1) == b""


def test_a_client_that_does_not_read_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    is_asked = threading.Event()

    class Long(Collector):
        def describe(self) -> list[Metric]:
            return []

        def collect(self) -> Iterator[Metric]:
            is_asked.set()
            yield GaugeMetricFamily("recorder_long", "x" * 20_000_000, value=1)

    monkeypatch.setattr(metrics_listener, "ANSWER_S", 0.5)
    with serving(Long()) as (listener, _), client_of(listener) as deaf:
        deaf.sendall(GET)
        assert is_asked.wait(HANGS_S)
        eventually(lambda: not listener._answers, "it is ended")


def test_a_client_that_reads_no_short_answer_is_ended_too(monkeypatch: pytest.MonkeyPatch) -> None:
    is_asked = threading.Event()

    class Short(Collector):
        def describe(self) -> list[Metric]:
            return []

        def collect(self) -> Iterator[Metric]:
            is_asked.set()
            yield GaugeMetricFamily("recorder_short", "x" * 40_000, value=1)

    monkeypatch.setattr(metrics_listener, "_CLOSE_S", 0.1)
    bound = metrics_listener._bound

    def bound_with_little_room(host: str, port: int) -> socket.socket:
        listening = bound(host, port)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # connections inherit it
        return listening

    monkeypatch.setattr(metrics_listener, "_bound", bound_with_little_room)
    with serving(Short()) as (listener, _), socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.settimeout(HANGS_S)
        deaf.connect(("127.0.0.1", port_of(listener)))
        deaf.sendall(GET)
        assert is_asked.wait(HANGS_S)
        eventually(lambda: not listener._answers, "it is ended")
        got = 0
        while chunk := deaf.recv(65536):
            got += len(chunk)
        assert got < 40_000, "the rest was not kept for it"


def test_where_collecting_hangs_the_scrape_is_refused_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_listener, "_COLLECT_S", 0.3)
    goes_on = threading.Event()
    with serving(Counting(lambda: goes_on.wait(HANGS_S))) as (listener, _):
        try:
            assert ask(listener)[0].startswith(b"HTTP/1.1 503")
            assert ask(listener, b"GET /x HTTP/1.1\r\n\r\n")[0].startswith(b"HTTP/1.1 404"), (
                "the listener itself goes on"
            )
        finally:
            goes_on.set()
        eventually(lambda: ask(listener)[0].startswith(b"HTTP/1.1 200"), "it is answered once the disk is back")


def test_a_collector_that_fails_is_a_503_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with caplog.at_level(logging.ERROR), serving(Counting(fail)) as (listener, _):
        assert [ask(listener)[0].partition(b"\r\n")[0] for _ in range(3)] == [b"HTTP/1.1 503 Service Unavailable"] * 3
    assert [record.message for record in caplog.records] == ["metrics could not be collected: ZeroDivisionError"]


def test_an_address_in_use_is_said_and_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(metrics_listener, "RETRY_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as other, caplog.at_level(logging.INFO):
        port = other.getsockname()[1]
        with serving(port=port) as (listener, alarms):
            eventually(lambda: alarms, "the alarm is raised")
            assert set(alarms) == {"metrics_unavailable"}
            (said,) = [record.message for record in caplog.records if record.levelno == logging.ERROR]
            assert said.startswith(f"metrics cannot be served at 127.0.0.1:{port}: Address already in use; everything")
            assert "Correct `listen` in [metrics]" in said
            assert listener.bound_port == 0
            other.close()
            assert ask(listener)[0].startswith(b"HTTP/1.1 200")


def test_an_address_of_another_machine_is_said_too(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR), serving(host="192.0.2.1", port=9760) as (_, alarms):
        eventually(lambda: alarms, "the alarm is raised")
    assert "metrics cannot be served at 192.0.2.1:9760: Cannot assign requested address" in caplog.text


def test_ipv6_with_networks_of_both() -> None:
    with serving(host="::1", networks=("127.0.0.0/8", "::1/128")) as (listener, _), client_of(listener, "::1") as one:
        one.sendall(GET)
        assert one.recv(65536).startswith(b"HTTP/1.1 200")
