"""A SIPREC client: sends its own messages byte for byte, and streams known voices to the answer.

`Client` uses a UDP socket, `StreamClient` TCP or TLS, `tests.helpers.virtual.siprec` virtual time.
"""

import contextlib
import re
import secrets
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.messages import Message, parse
from tests.helpers.recorder_home import HANGS_S, RecorderHome, eventually, recorder_home
from tests.helpers.sip_streams import first_of
from tests.helpers.siprec_shapes import SHAPES, Body, Call, Who
from tests.helpers.voices import PCMA, TICKS_PER_S, Studio, Voice

ATTESTED = 'siprec = true\nnotice = "peer-attested"\nnotice_owner = "J. Smith"\nnotice_date = "2026-11-01"\n'
PEERS = f"""
[[peer]]
name = "sbc"
networks = ["127.0.1.1/32"]
{ATTESTED}
[[peer]]
name = "unattested"
networks = ["127.0.1.2/32"]
siprec = true

[[peer]]
name = "everything"
networks = ["127.0.1.3/32"]
{ATTESTED}all_sessions_nominated = true
siprec_service = "Revenues"

[[peer]]
name = "undeclared"
networks = ["127.0.1.4/32"]

# Where calls go."""
HOSTS = {"sbc": "127.0.1.1", "unattested": "127.0.1.2", "everything": "127.0.1.3", "undeclared": "127.0.1.4"}
EDITS = (
    ("\n# Where calls go.", PEERS),
    ("look_back_s = 5.0", "look_back_s = 2.0"),
    ("erase_s = 3.0", "erase_s = 0.5"),
)
REQUIRE = ("Require: siprec",)


@dataclass
class Line:
    """One m-line of the client's."""

    voice: Voice
    label: str
    direction: str = "sendonly"
    profile: str = "RTP/AVP"
    extra: tuple[str, ...] = ()
    port: int | None = None


def sdp(lines: Sequence[Line], *, version: int = 1, session: Sequence[str] = (), ip: str = "127.0.0.1") -> bytes:
    """Write a description; no c= for the session, as SBCs do."""
    text = [f"v=0\r\no=SRC 4711 {version} IN IP4 {ip}\r\ns=-\r\nt=0 0\r\n", *(f"{one}\r\n" for one in session)]
    for line in lines:
        law = "PCMA" if line.voice.law == PCMA else "PCMU"
        port = line.voice.port if line.port is None else line.port
        text.append(
            f"m=audio {port} {line.profile} {line.voice.law} 101\r\nc=IN IP4 {ip}\r\n"
            f"a=rtpmap:{line.voice.law} {law}/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n"
            f"a={line.direction}\r\n"
        )
        text += [f"{one}\r\n" for one in (*line.extra, *([f"a=label:{line.label}"] if line.label else []))]
    return "".join(text).encode()


def sections(content: bytes) -> list[list[str]]:
    """Return the lines of each m-section of a description."""
    return [("m=" + one).split("\r\n")[:-1] for one in content.decode().split("m=")[1:]]


def ports(content: bytes) -> list[int]:
    """Return the port of each m-line."""
    return [int(one[0].split()[1]) for one in sections(content)]


@dataclass
class Session:
    """One recording session: a dialog, and its lines in order."""

    client: "Client"
    lines: list[Line]
    call: Call
    shape: str = "RFC 8068"
    origin: str = ""
    """User of From."""
    from_parameters: str = ""
    """Of its URI."""
    call_id: str = field(default_factory=lambda: f"{secrets.token_hex(8)}@src")
    tag: str = field(default_factory=lambda: secrets.token_hex(4))
    cseq: int = 0
    remote: str = "<sip:srs@127.0.0.1>"
    version: int = 0
    contact: str = ""
    answer: Message | None = None

    # --- bodies

    def sdp(self) -> bytes:
        """Return the lines as they are now."""
        self.version += 1
        return sdp(self.lines, version=self.version)

    def body(self) -> Body:
        """Return lines and metadata in the client's shape."""
        document, packing = SHAPES[self.shape]
        return packing(self.sdp(), document(self.call))

    # --- messages

    def send(
        self, method: str, content: bytes = b"", content_type: str = "", headers: Sequence[str] = (), **more: Any
    ) -> None:
        """Send a request; ``more``: cseq, branch."""
        if "cseq" not in more:
            self.cseq += 1
        cseq = more.get("cseq", self.cseq)
        host = self.client.host
        lines = [
            f"{method} {more.get('uri', self._target)} SIP/2.0",
            f"Via: SIP/2.0/{self.client.over} {host};branch={more.get('branch') or 'z9hG4bK' + secrets.token_hex(6)}",
            "Max-Forwards: 70",
            f"From: <sip:{self.origin or 'src'}@{host}{self.from_parameters}>;tag={self.tag}",
            f"To: {self.remote}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:src@{host}{self.client.uri_end}>{self.contact}",
            *headers,
        ]
        if content_type:
            lines.append(f"Content-Type: {content_type}")
        head = "\r\n".join([*lines, f"Content-Length: {len(content)}"]) + "\r\n\r\n"
        self.client.send(head.encode() + content)

    @property
    def _target(self) -> str:
        return f"sip:srs@{self.client.home.sip[0]}:{self.client.home.sip[1]}"

    def ask(self, method: str, content: bytes = b"", content_type: str = "", headers: Sequence[str] = ()) -> Message:
        """Send a request inside the dialog and return its final answer; a 2xx to INVITE is acknowledged."""
        self.send(method, content, content_type, headers)
        final = self.client.final(self.call_id, method, self.cseq)
        if method == "INVITE":
            self._acknowledge(final)
        return final

    def _acknowledge(self, final: Message) -> None:
        if final.status < 300:
            self.remote = final.value("To")
            self.send("ACK", cseq=self.cseq)

    # --- what a client does

    def invite(self, body: Body | None = None, headers: Sequence[str] = REQUIRE) -> Message:
        """Begin the session; voices talk once it is answered."""
        content, content_type = body if body is not None else self.body()
        final = self.ask("INVITE", content, content_type, headers)
        self.answer = final
        if final.status == 200:
            self.talk(final)
        return final

    def invite_without_offer(self) -> None:
        """Begin the session and leave the offer to the recorder, as telephones with a built-in bridge do."""
        self.send("INVITE")
        final = self.client.final(self.call_id, "INVITE", self.cseq)
        assert final.status == 200
        assert ["a=recvonly" in lines for lines in sections(final.body)] == [True]
        self.remote = final.value("To")
        self.send("ACK", self.sdp(), "application/sdp", cseq=self.cseq)
        self.talk(final)

    def talk(self, answer: Message) -> None:
        """Stream every line that is sent and was taken, to where the answer says."""
        for line, port in zip(self.lines, ports(answer.body), strict=False):
            if port and line.direction in ("sendonly", "sendrecv"):
                line.voice.talk(("127.0.0.1", port))

    def hush(self) -> None:
        """Stop every voice."""
        for line in self.lines:
            line.voice.hush()

    def talk_for(self, seconds: float) -> None:
        """Let the voices talk for so long, counted in what the first that talks says."""
        talking = [line.voice for line in self.lines if line.voice.remote is not None]
        begun = eventually(lambda: next((one for one in talking if one.sent), None), "a voice talks")
        goal = begun.sent[-1][0] + seconds * TICKS_PER_S
        eventually(lambda: begun.sent[-1][0] >= goal, "the voice goes on", timeout_s=seconds + HANGS_S)

    def bye(self, headers: Sequence[str] = ()) -> Message:
        """End the session."""
        final = self.ask("BYE", headers=headers)
        self.hush()
        return final


class Client:
    """A SIPREC client; ends with its socket. Requests of the recorder's are answered 200 and kept."""

    over = "UDP"
    uri_end = ""
    """Of its Contact's URI."""

    def __init__(self, home: RecorderHome, studio: Studio, ip: str) -> None:
        self.home, self.studio = home, studio
        self.host = f"{ip}:{self.listen(ip)}"
        self.requests: list[Message] = []
        self.forgotten: set[str] = set()
        """Calls that the client knows nothing of any more: what comes for them is answered 481."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def session(
        self, *, caller: str, officer: str = "2001", labels: tuple[str, str] = ("1", "2"), **more: Any
    ) -> Session:
        """Return a session of two lines that has not begun; the caller's is the first."""
        voices = [self.studio.voice(law=PCMA) for _ in labels]
        lines = [Line(voice, label) for voice, label in zip(voices, labels, strict=True)]
        names = more.pop("names", {})
        call = Call(
            caller=Who(user=caller, name="Ann Caller", label=labels[0]),
            officer=Who(user=officer, name="Bob Officer", label=labels[1]),
            session=names.get("session", secrets.token_urlsafe(12)),
            group=names.get("group", secrets.token_urlsafe(12)),
            sip_session=names.get("sip_session", secrets.token_hex(16)),
        )
        return Session(client=self, lines=lines, call=call, **more)

    def final(self, call_id: str, method: str, cseq: int, *, timeout_s: float = HANGS_S) -> Message:
        """Wait for the final answer to a request."""
        deadline = time.monotonic() + timeout_s
        while True:
            message = self.receive(deadline - time.monotonic(), f"an answer to {method}")
            if message.status >= 200 and (message.call_id, message.method, message.cseq) == (call_id, method, cseq):
                return message

    def receive(self, timeout_s: float, what: str = "a message") -> Message:
        """Return the next message; requests are answered."""
        try:
            data = self.take(max(timeout_s, 0.01))
        except TimeoutError:
            raise AssertionError(f"{what} did not come") from None
        message = parse(data)
        if not message.status and message.method != "ACK":
            self.requests.append(message)
            status = "481 Call/Transaction Does Not Exist" if message.call_id in self.forgotten else "200 OK"
            self.send(_answer_to(data, status))
        return message

    def listen(self, ip: str) -> int:
        """Listen at an address; returns the port."""
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((ip, 0))
        return int(self.socket.getsockname()[1])

    def send(self, data: bytes) -> None:
        """Send a message to the recorder."""
        self.socket.sendto(data, self.home.sip)

    def take(self, timeout_s: float) -> bytes:
        """Return the next message that comes.

        Raises:
            TimeoutError: None came in time.
        """
        self.socket.settimeout(timeout_s)
        return self.socket.recvfrom(65535)[0]

    def poll(self, for_s: float) -> None:
        """Answer what comes, for a while at most."""
        with contextlib.suppress(AssertionError):
            self.receive(for_s)


class StreamClient(Client):
    """One that connects by TCP, or by TLS: what recording sessions take, since they outgrow a datagram."""

    def __init__(self, home: RecorderHome, studio: Studio, ip: str, port: int, tls: ssl.SSLContext | None) -> None:
        super().__init__(home, studio, ip)
        self.socket.close()
        self.socket = socket.create_connection((home.sip[0], port), timeout=HANGS_S, source_address=(ip, 0))
        self.over, self.uri_end = ("TLS", ";transport=tls") if tls else ("TCP", ";transport=tcp")
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket)
        self.host = f"{ip}:{self.socket.getsockname()[1]}"
        self._buffer = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def take(self, timeout_s: float) -> bytes:
        self.socket.settimeout(timeout_s)
        while True:
            message, self._buffer = first_of(self._buffer)
            if message:
                return message
            data = self.socket.recv(65536)
            assert data, "the recorder closed the connection"
            self._buffer += data


@contextmanager
def siprec_site(
    folder: Path, *, edits: Sequence[tuple[str, str]] = ()
) -> Iterator[tuple[RecorderHome, dict[str, Client]]]:
    """Start a recorder with four peers that send recording sessions, each in its own way; see `PEERS`."""
    with ExitStack() as stack:
        home = stack.enter_context(recorder_home(folder, next_hop="127.0.0.1:9", edits=(*EDITS, *edits)))
        studio = stack.enter_context(Studio())
        yield home, {name: stack.enter_context(Client(home, studio, ip)) for name, ip in HOSTS.items()}


def _answer_to(data: bytes, status: str) -> bytes:
    """Answer a request."""
    head = data.decode("utf-8", "replace").split("\r\n\r\n")[0].split("\r\n")[1:]
    kept = [line for line in head if re.match(r"(Via|From|To|Call-ID|CSeq)\s*:", line, re.IGNORECASE)]
    return ("\r\n".join([f"SIP/2.0 {status}", *kept, "Content-Length: 0"]) + "\r\n\r\n").encode()
