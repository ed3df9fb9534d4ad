"""Deliveries to a real HTTPS server: what it gets, and what is refused when it hangs, redirects or is another."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from recorder.config.webhook_options import WebhookOptions
from recorder.forwarding.webhook_http import WebhookError, post
from tests.helpers.webhook_server import WebhookServer, webhook_server

HEADERS = {"webhook-id": "evt_1"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[WebhookServer]:
    with webhook_server(tmp_path) as made:
        yield made


def target(server: WebhookServer, **changes: Any) -> WebhookOptions:
    values: dict[str, Any] = {
        "name": "crm", "url": f"https://127.0.0.1:{server.port}/hook?key=x", "secret_file": "", "ca": str(server.ca),
        **changes,
    }  # fmt: skip
    return WebhookOptions(**values)


def test_a_delivery_arrives_as_it_was_made(server: WebhookServer) -> None:
    assert post(target(server), b'{"a":1}', HEADERS) == 204
    (taken,) = server.taken
    assert taken.line == "POST /hook?key=x HTTP/1.1"
    assert taken.body == b'{"a":1}'
    assert taken.headers["webhook-id"] == "evt_1"
    assert taken.headers["content-type"] == "application/json"
    assert taken.headers["host"] == f"127.0.0.1:{server.port}"


def test_a_body_of_any_length_is_not_read(server: WebhookServer) -> None:
    def endless(connection: ssl.SSLSocket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    server.answer = endless
    assert post(target(server), b"{}", {}) == 200


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"HTTP/1.1 500 Secret\r\n\r\n", "it answered 500"),
        (b"HTTP/1.1 410 Gone\r\n\r\n", "it answered 410"),
        (b"hello 4929123412341234\r\n\r\n", r"the answer is not HTTP \(BadStatusLine\)"),
        (b"HTTP/1.1 200 " + b"x" * 70000, r"the answer is not HTTP \(LineTooLong\)"),
        (b"", r"closed connection|not HTTP"),
    ],
)
def test_any_other_answer_is_said_without_its_words(server: WebhookServer, answer: bytes, says: str) -> None:
    server.answer = answer
    with pytest.raises(WebhookError, match=says) as said:
        post(target(server), b"{}", {})
    for word in ("Secret", "hello", "key=x", "4929123412341234"):
        assert word not in str(said.value)


def test_a_redirect_is_not_followed(server: WebhookServer, tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    with webhook_server(tmp_path / "inside") as inside:
        server.answer = f"HTTP/1.1 307 Elsewhere\r\nLocation: https://127.0.0.1:{inside.port}/\r\n\r\n".encode()
        with pytest.raises(WebhookError, match="it answered 307; redirects are not followed") as said:
            post(target(server), b"{}", {})
        assert said.value.status == 307
        assert inside.taken == []


@pytest.mark.parametrize("is_dripping", [False, True])
def test_a_server_that_hangs_holds_nobody(server: WebhookServer, *, is_dripping: bool) -> None:
    ended = threading.Event()

    def hang(connection: ssl.SSLSocket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        while not ended.wait(0.05):
            if is_dripping:
                connection.sendall(b"x")

    server.answer = hang
    began = time.monotonic()
    try:
        with pytest.raises(WebhookError, match=r"no answer within 0\.4 s"):
            post(target(server), b"{}", {}, timeout_s=0.4)
        assert time.monotonic() - began < 5
    finally:
        ended.set()


def test_an_address_that_is_there_twice_does_not_hide_the_next(server: WebhookServer) -> None:
    refusing, options = "127.0.0.9", target(server, networks=("127.0.0.0/8",))
    assert post(options, b"{}", {}, resolve=lambda *_: [refusing, "127.0.0.1", refusing]) == 204


def test_a_server_that_does_not_even_greet_holds_nobody() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        options = WebhookOptions(name="crm", url=f"https://127.0.0.1:{silent.getsockname()[1]}/", secret_file="")
        with pytest.raises(WebhookError, match=r"no answer within 0\.3 s"):
            post(options, b"{}", {}, timeout_s=0.3)


def test_the_certificate_is_checked(server: WebhookServer, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger.pem"
    trustme.CA().cert_pem.write_to_path(str(stranger))
    with pytest.raises(WebhookError, match="its certificate is not valid: unable to get local issuer"):
        post(target(server, ca=str(stranger)), b"{}", {})
    with pytest.raises(WebhookError, match="its certificate is not valid: Hostname mismatch"):
        post(target(server, url=f"https://localhost:{server.port}/"), b"{}", {})
    assert server.taken == []


def test_a_name_that_resolves_inside_is_refused_unless_configured(tmp_path: Path) -> None:
    with webhook_server(tmp_path, host="crm.example") as server:
        url, answers = f"https://crm.example:{server.port}/", [["127.0.0.1"]]

        def resolve(host: str, port: int) -> list[str]:
            assert (host, port) == ("crm.example", server.port)
            return answers.pop(0)

        with pytest.raises(WebhookError, match=r"crm\.example resolves to 127\.0\.0\.1, which is not allowed"):
            post(target(server, url=url), b"{}", {}, resolve=resolve)
        assert server.taken == []
        answers.append(["127.0.0.1"])
        assert post(target(server, url=url, networks=("127.0.0.0/8",)), b"{}", {}, resolve=resolve) == 204
        assert answers == [], "the name is resolved once: what it resolves to afterwards does not count"


def test_the_connection_goes_to_an_address_that_was_checked(tmp_path: Path) -> None:
    with webhook_server(tmp_path, host="crm.example") as server:
        options = target(server, url=f"https://crm.example:{server.port}/", networks=("127.0.0.1/32",))
        both = ["127.0.0.9", "127.0.0.1"]  # a rebinding name: one inside that is not allowed, one that is
        assert post(options, b"{}", {}, resolve=lambda *_: both) == 204


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "0", "[::ffff:127.0.0.1]", "[::]"])
def test_other_ways_to_write_this_machine_are_refused(server: WebhookServer, host: str) -> None:
    with pytest.raises(WebhookError, match="which is not allowed"):
        post(target(server, url=f"https://{host}:{server.port}/"), b"{}", {})
    assert server.taken == []


def test_a_name_that_does_not_resolve_is_said() -> None:
    options = WebhookOptions(name="crm", url="https://crm.invalid/", secret_file="")
    with pytest.raises(WebhookError, match=r"webhook crm \(crm\.invalid:443\): "):
        post(options, b"{}", {})
