"""Drives `sip_endpoint.py` from a test, and a peer on a raw UDP socket that says exactly what it is told."""

import itertools
import json
import os
import queue
import re
import socket
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.helpers.recorder_home import HANGS_S

ROOT = Path(__file__).parents[2]
SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8\r\n"
_numbers = itertools.count(1)
STARTS_S = 20.0
"""The longest that a process may take to start, as for the daemon: no test is about that."""


class DrivenEndpoint(ABC):
    """A SipEndpoint that a test drives by `Driver` of `sip_endpoint`: commands go in, lines come out.

    Attributes:
        address: Where it listens over UDP.
        addresses: Host and port by transport.
        stderr: What it logged, once it is closed.
        patience_s: How long a line is waited for where a test says nothing else.
    """

    patience_s = HANGS_S
    address: tuple[str, int]
    addresses: dict[str, list[Any]]
    stderr = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if kind is None:
            assert "Traceback" not in self.stderr, self.stderr
            assert "ERROR" not in self.stderr, self.stderr

    @abstractmethod
    def close(self) -> None:
        """End it. Idempotent."""

    @abstractmethod
    def do(self, command: str, **args: Any) -> None:
        """Have it carry out a command."""

    @abstractmethod
    def take_any(self, timeout_s: float = HANGS_S) -> dict[str, Any]:
        """Return the next line, whatever it is.

        Raises:
            queue.Empty: None came in time.
        """

    def take(self, key: str, timeout_s: float | None = None) -> dict[str, Any]:
        """Return the next line, which must be an event of that name or hold that key."""
        line = self.take_any(self.patience_s if timeout_s is None else timeout_s)
        assert key in line or line.get("event") == key, f"expected {key}, got {line}"
        return line

    def counters(self) -> dict[str, Any]:
        """Return the counters, ``connections`` among them; reports of sources that come first are passed over."""
        self.do("counters")
        while (line := self.take_any()).get("event") == "SourceMisbehaved":
            pass
        return {**line["counters"], "connections": line["connections"]}

    def nothing(self, for_s: float = 0.3) -> None:
        """Assert that no line comes."""
        try:
            line = self.take_any(for_s)
        except queue.Empty:
            return
        raise AssertionError(f"expected nothing, got {line}")


class EndpointProcess(DrivenEndpoint):
    """A SipEndpoint in a process of its own."""

    def __init__(self, **options: Any) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests/helpers/sip_endpoint.py"), json.dumps(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self._lines: queue.Queue[dict[str, Any]] = queue.Queue()
        self._readers = [
            threading.Thread(target=self._read, daemon=True),
            threading.Thread(target=self._read_stderr, daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        host, port = self.take("address", STARTS_S)["address"]
        self.address = (host, port)
        self.addresses = self.take("addresses")["addresses"]

    def close(self) -> None:
        assert self._process.stdin is not None
        if self._process.poll() is None and not self._process.stdin.closed:
            self._process.stdin.close()
        try:
            self._process.wait(HANGS_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        finally:
            for reader in self._readers:
                reader.join(HANGS_S)
            for stream in (self._process.stdout, self._process.stderr):
                assert stream is not None
                stream.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        """Kill it: it says nothing to anybody."""
        assert self._process.stdin is not None
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()

    def do(self, command: str, **args: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": command, **args}) + "\n")
        self._process.stdin.flush()

    def take_any(self, timeout_s: float = HANGS_S) -> dict[str, Any]:
        return self._lines.get(timeout=timeout_s)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(json.loads(line) if line.startswith("{") else {"stray output": line})

    def _read_stderr(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.stderr += line


class Message:
    """A message as a peer sees it.

    Attributes:
        is_repeat: It is, byte for byte, one that has come before.
    """

    def __init__(self, data: bytes, *, is_repeat: bool = False) -> None:
        self.is_repeat = is_repeat
        head, _, self.body = data.decode("utf-8").partition("\r\n\r\n")
        self.start, *lines = head.split("\r\n")
        self.headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def __getitem__(self, name: str) -> str:
        return self.all(name)[0]

    @property
    def status(self) -> int:
        return int(self.start.split(" ")[1]) if self.start.startswith("SIP/2.0") else 0

    @property
    def method(self) -> str:
        return self["CSeq"].split(" ")[1]

    def __repr__(self) -> str:
        return f"<{self.start}>"


class Peer:
    """A user agent on a raw socket; one dialog.

    Attributes:
        patience_s: How long a message is waited for where a test says nothing else.
    """

    patience_s = HANGS_S
    over = "UDP"
    contact_end = ";transport=UDP"

    def __init__(self, remote: tuple[str, int], *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.remote = remote
        self.host = host
        self._wanted_port = port
        self.port: int = self._listen()
        self.call_id = f"call-{next(_numbers)}@{self.port}"
        self.tag = f"t{next(_numbers)}"
        self.cseq = 0
        self.remote_to = ""
        self.target = f"sip:2001@{remote[0]}:{remote[1]}"
        self.last = b""
        self._had: set[bytes] = set()

    def _listen(self) -> int:
        """Listen at the wanted port of the host, 0 for any; returns the port."""
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((self.host, self._wanted_port))
        return int(self.socket.getsockname()[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.last = data
        self.socket.sendto(data, self.remote)

    def receive(self, timeout_s: float = HANGS_S) -> Message:
        """Return the next message, a repeat as well."""
        self.socket.settimeout(timeout_s)
        data, _ = self.socket.recvfrom(65535)
        return self._message(data)

    def _message(self, data: bytes) -> Message:
        is_repeat = data in self._had
        self._had.add(data)
        return Message(data, is_repeat=is_repeat)

    def expect(self, what: int | str, timeout_s: float | None = None, *, is_trying_skipped: bool = True) -> Message:
        """Return the next message, which must be that status or request; 100s before it are passed over.

        So are repeats: what is not answered within half a second is sent again, and a busy machine may need longer. A
        test of repeats takes them by `receive`.
        """
        deadline = time.monotonic() + (self.patience_s if timeout_s is None else timeout_s)
        while True:
            message = self.receive(max(0.05, deadline - time.monotonic()))
            if message.is_repeat:
                self._pass_over(message)
                continue
            if message.status == 100 and what != 100 and is_trying_skipped:
                continue
            assert what in (message.status, message.start.split(" ")[0]), f"expected {what}, got {message}"
            return message

    def _pass_over(self, repeat: Message) -> None:
        """Fail if this must not be sent again: over UDP anything may be."""

    def nothing(self, for_s: float = 0.4) -> None:
        """Assert that no message comes."""
        try:
            message = self.receive(for_s)
        except TimeoutError:
            return
        raise AssertionError(f"expected nothing, got {message}")

    def request(self, method: str, *, body: str = "", headers: str = "", cseq: int | None = None, **parts: str) -> str:
        """Send a request; returns the branch. ``parts``: to, uri, contact, branch, ctype, via."""
        if cseq is None:
            self.cseq += 0 if method in ("ACK", "CANCEL") else 1
            cseq = self.cseq
        branch = parts.get("branch", f"z9hG4bK-{self.port}-{next(_numbers)}")
        to = parts.get("to", self.remote_to or f"<sip:2001@{self.remote[0]}>")
        contact = parts.get(
            "contact", f"<sip:peer@{self.host}:{self.port}{self.contact_end if self.over != 'UDP' else ''}>"
        )
        lines = [
            f"{method} {parts.get('uri', self.target)} SIP/2.0",
            f"Via: SIP/2.0/{self.over} {parts.get('via', f'{self.host}:{self.port}')};branch={branch}",
            "Max-Forwards: 70" if "Max-Forwards" not in headers else "X-None: 1",
            f'From: "A, B" <sip:020794600000@127.0.0.1>;tag={self.tag}',
            f"To: {to}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {cseq} {method}",
            f"Contact: {contact}",
        ]
        text = "\r\n".join(lines) + "\r\n" + headers
        if body:
            text += f"Content-Type: {parts.get('ctype', 'application/sdp')}\r\n"
        self.send(f"{text}Content-Length: {len(body.encode())}\r\n\r\n{body}".encode())
        return branch

    def respond(
        self, request: Message, status: int, *, body: str = "", headers: str = "", tag: str = "peertag"
    ) -> None:
        """Answer a request."""
        to = request["To"] if ";tag=" in request["To"] or status == 100 else f"{request['To']};tag={tag}"
        lines = [f"SIP/2.0 {status} Test", *(f"Via: {via}" for via in request.all("Via"))]
        lines += [f"Record-Route: {route}" for route in request.all("Record-Route")]
        lines += [f"From: {request['From']}", f"To: {to}", f"Call-ID: {request['Call-ID']}", f"CSeq: {request['CSeq']}"]
        if "Contact:" not in headers:
            lines.append(f"Contact: <sip:peer@{self.host}:{self.port}{self.contact_end}>")
        if body:
            lines.append("Content-Type: application/sdp")
        text = "\r\n".join(lines) + "\r\n" + headers
        self.send(f"{text}Content-Length: {len(body)}\r\n\r\n{body}".encode())

    def learn(self, message: Message) -> None:
        """Take the dialog from an answer to our INVITE."""
        self.remote_to = message["To"]
        contact = re.search("<([^>]+)>", message["Contact"])
        assert contact is not None
        self.target = contact.group(1)

    def adopt(self, invite: Message, tag: str = "peertag") -> None:
        """Take the dialog of an INVITE that we have answered."""
        self.call_id, self.tag = invite["Call-ID"], tag
        self.remote_to = invite["From"]
        contact = re.search("<([^>]+)>", invite["Contact"])
        assert contact is not None
        self.target = contact.group(1)
