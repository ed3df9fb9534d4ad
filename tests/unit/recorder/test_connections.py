"""The client's connections to the daemon's socket: kept, and left when the other end has gone."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from recorder.access.signing import Signer
from recorder.control.connections import (
    LONGEST_ANSWER,
    BrokenOffError,
    DaemonAnswer,
    DaemonConnections,
    NobodyThereError,
    UnansweredError,
)
from recorder.control.node_connections import NodeConnections
from sip.options import Address
from tests.helpers.certificates import Authority

WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Peer:
    """Takes connections one after another, and answers each request on one with the next of its answers."""

    def __init__(self, path: Path, *connections: list[bytes]) -> None:
        self.requests: list[bytes] = []
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen()
        self._thread = threading.Thread(target=self._serve, args=(connections,))
        self._thread.start()

    def _serve(self, connections: tuple[list[bytes], ...]) -> None:
        for answers in connections:
            accepted, _ = self._listening.accept()
            with accepted:
                for answer in answers:
                    self.requests.append(accepted.recv(10_000))
                    for part in (answer[at : at + 7] for at in range(0, len(answer), 7)):
                        accepted.sendall(part)

    def close(self) -> None:
        self._thread.join(5)
        self._listening.close()
        assert not self._thread.is_alive(), "as many connections as the test says"


@contextlib.contextmanager
def peer(path: Path, *connections: list[bytes]) -> Iterator[Peer]:
    one = Peer(path, *connections)
    with contextlib.closing(one):
        yield one


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some.sock"


def test_one_connection_serves_many_requests(path: Path) -> None:
    with (
        peer(path, [WHOLE, WHOLE]) as other,
        contextlib.closing(DaemonConnections(path, timeout_s=5)) as connections,
    ):
        assert connections.ask("GET", "/a", {}) == DaemonAnswer(status=200, reason="OK", content=b"{}")
        connections.ask("POST", "/b", {"X-Who": "ann"}, b"[1]")
    assert other.requests == [
        b"GET /a HTTP/1.1\r\nHost: recorder\r\nContent-Length: 0\r\n\r\n",
        b"POST /b HTTP/1.1\r\nHost: recorder\r\nX-Who: ann\r\nContent-Length: 3\r\n\r\n[1]",
    ]


def test_a_connection_that_the_other_end_has_closed_is_not_used(path: Path) -> None:
    with peer(path, [WHOLE], [WHOLE]), contextlib.closing(DaemonConnections(path, timeout_s=5)) as connections:
        connections.ask("GET", "/a", {})
        ((kept, _),) = connections._kept
        kept.settimeout(5)
        assert kept.recv(1, socket.MSG_PEEK) == b""
        assert connections.ask("GET", "/b", {}).status == 200


def test_a_connection_is_not_kept_where_the_daemon_will_close_it(path: Path) -> None:
    leaving = WHOLE.replace(b"Content", b"Connection: close\r\nContent")
    with peer(path, [leaving], [WHOLE]), contextlib.closing(DaemonConnections(path, timeout_s=5)) as connections:
        connections.ask("GET", "/a", {})
        connections.ask("GET", "/b", {})


@pytest.mark.parametrize(
    "answer",
    [
        WHOLE[:-1],
        b"",
        b"SSH-2.0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 x\r\nContent-Length: 0\r\n\r\n",
        WHOLE.replace(b"Length: 2", b"Length: -1"),
        WHOLE.replace(b"Length: 2", b"Length: %d" % (LONGEST_ANSWER + 1)),
    ],
)
def test_what_is_no_whole_answer_is_said_to_be_none(path: Path, answer: bytes) -> None:
    with (
        peer(path, [answer]),
        contextlib.closing(DaemonConnections(path, timeout_s=5)) as connections,
        pytest.raises(BrokenOffError),
    ):
        connections.ask("GET", "/a", {})


class Signing(DaemonConnections):
    """Signs each request, as connections to a node do."""

    signed = 0

    def _signed(self, method: str, target: str, headers: Mapping[str, str], content: bytes) -> Mapping[str, str]:
        self.signed += 1
        return {**headers, "X-Signed": str(self.signed)}


def test_what_may_be_done_twice_is_sent_again_where_a_kept_connection_ends_without_an_answer(path: Path) -> None:
    with (
        peer(path, [WHOLE, b""], [WHOLE]) as other,
        contextlib.closing(Signing(path, timeout_s=5)) as connections,
    ):
        connections.ask("GET", "/a", {})
        assert connections.ask("POST", "/b", {}, b"[1]", is_idempotent=True).status == 200
    signed = [request.split(b"X-Signed: ")[1][:1] for request in other.requests]
    assert [request.split(b" ")[1] for request in other.requests] == [b"/a", b"/b", b"/b"]
    assert signed == [b"1", b"2", b"3"], "a signature is valid once"


@pytest.mark.parametrize(
    ("is_idempotent", "answers"),
    [
        pytest.param(False, [[WHOLE, b""]], id="it may not be done twice"),
        pytest.param(True, [[WHOLE, WHOLE[:1]]], id="an answer has begun"),
        pytest.param(True, [[b""]], id="on a new connection"),
        pytest.param(True, [[WHOLE, b""], [b""]], id="twice"),
    ],
)
def test_a_request_is_not_sent_again(path: Path, answers: list[list[bytes]], *, is_idempotent: bool) -> None:
    sent = sum(map(len, answers))
    with (
        peer(path, *answers) as other,
        contextlib.closing(DaemonConnections(path, timeout_s=5)) as connections,
    ):
        if answers[0][0]:
            connections.ask("GET", "/a", {})
        with pytest.raises(BrokenOffError):
            connections.ask("POST", "/b", {}, is_idempotent=is_idempotent)
    assert len(other.requests) == sent


class NotTwice(DaemonConnections):
    """Cannot make a second connection, as where the daemon has ended in between."""

    made = 0

    def _connected(self, deadline: float) -> socket.socket:
        self.made += 1
        if self.made > 1:
            raise ConnectionRefusedError("nobody listens")
        return super()._connected(deadline)


class NotSignedTwice(Signing):
    """Cannot sign again what has no answer."""

    def _signed(self, method: str, target: str, headers: Mapping[str, str], content: bytes) -> Mapping[str, str]:
        if self.signed == 2:
            raise PermissionError("the key cannot be read")
        return super()._signed(method, target, headers, content)


@pytest.mark.parametrize("kind", [NotTwice, NotSignedTwice])
def test_what_may_have_been_done_is_not_said_to_have_reached_nobody(path: Path, kind: type[DaemonConnections]) -> None:
    second: list[list[bytes]] = [[]] if kind is NotSignedTwice else []
    with peer(path, [WHOLE, b""], *second) as other, contextlib.closing(kind(path, timeout_s=5)) as connections:
        connections.ask("GET", "/a", {})
        with pytest.raises(UnansweredError) as raised:
            connections.ask("POST", "/b", {}, b"[1]", is_idempotent=True)
    assert len(other.requests) == 2
    assert isinstance(raised.value.__cause__, NobodyThereError if kind is NotTwice else PermissionError)


def test_an_answer_that_does_not_end_in_time(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(path))
        silent.listen()
        with contextlib.closing(DaemonConnections(path, timeout_s=0.1)) as connections, pytest.raises(TimeoutError):
            connections.ask("GET", "/a", {})


def test_nobody_there(path: Path) -> None:
    with contextlib.closing(DaemonConnections(path, timeout_s=1)) as connections, pytest.raises(NobodyThereError):
        connections.ask("GET", "/a", {})


def test_a_header_cannot_bring_another_one(path: Path) -> None:
    with (
        peer(path, []),
        contextlib.closing(DaemonConnections(path, timeout_s=1)) as connections,
        pytest.raises(ValueError, match="line break"),
    ):
        connections.ask("GET", "/a", {"X-Who": "ann\r\nX-Other: 1"})


@pytest.mark.parametrize("fields", ['"run": 5, "now_ms": 1', '"run": "a", "now_ms": "1"'])
def test_a_greeting_of_another_form_is_no_greeting(tmp_path: Path, fields: str) -> None:
    greeting, (near, far) = f'{{"node": "n", {fields}}}', socket.socketpair()
    with near, far:
        far.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(greeting)}\r\n\r\n{greeting}".encode())
        where = Address(host="192.0.2.1", port=1)
        made = NodeConnections("n", where, ssl.create_default_context, Signer(tmp_path), timeout_s=5)
        with pytest.raises(BrokenOffError, match="the greeting is not valid"):
            made._greet(near, time.monotonic() + 5)


def tls_pair(certificate: tuple[str, str]) -> tuple[ssl.SSLSocket, ssl.SSLSocket]:
    """Return the two ends of a connection, the client's first."""
    near, far = socket.socketpair()
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(*certificate)
    serving.num_tickets = 0  # nothing to read before an answer
    asking = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    asking.check_hostname, asking.verify_mode = False, ssl.CERT_NONE
    with ThreadPoolExecutor(1) as pool:
        accepted = pool.submit(serving.wrap_socket, far, server_side=True)
        return asking.wrap_socket(near), accepted.result()


def test_a_write_that_failed_is_no_error_of_another_connection(tmp_path: Path) -> None:
    """Fails on Debian 13 without `NodeConnections._taken`: a read that waits ends by the error of the write."""
    certificate = Authority(tmp_path).issue("node", dns=("node",), unit="node")
    where = Address(host="192.0.2.1", port=1)
    with contextlib.ExitStack() as stack:
        made = NodeConnections("n", where, ssl.create_default_context, Signer(tmp_path), timeout_s=5)
        stack.enter_context(contextlib.closing(made))
        good, _far = map(stack.enter_context, tls_pair(certificate))
        bad, gone = map(stack.enter_context, tls_pair(certificate))
        made._give_back(good, is_kept=True)
        gone.close()
        with pytest.raises(OSError, match=r"pipe|SYS"):
            bad.sendall(b"nobody reads this")
        taken = made._taken()
        assert taken is good
        taken.settimeout(0.01)
        with pytest.raises(TimeoutError):
            taken.recv(1)
