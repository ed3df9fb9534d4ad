"""RFC 4475's torture messages against a real recorder: the right answer or silence, and a call beside them exact."""

import re
import socket
import time
from collections.abc import Iterator

import pytest

from tests.helpers.exactness import heard_frames, is_gapless, kept_of
from tests.helpers.exchange import Exchange, Talk, exchange
from tests.helpers.recorder_home import HANGS_S, eventually
from tests.helpers.torture import SILENCE, TORTURE, Torture

STATUS = re.compile(rb"SIP/2\.0 (\d{3})")


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("torture")) as made:
        yield made


@pytest.fixture(scope="module")
def beside(lines: Exchange) -> Talk:
    """A call that talks all the while."""
    talk = lines.call()
    talk.join()
    return talk


class Sender:
    """A socket that knows how to acknowledge a refusal, so that it is not sent again."""

    def __init__(self, lines: Exchange) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = str(self.socket.getsockname()[1]).encode()
        self.to = lines.home.sip

    def __enter__(self) -> "Sender":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def final(self, data: bytes, *, timeout_s: float) -> int | None:
        """Send a message and return the status of its final answer, or None."""
        self.socket.sendto(data.replace(b"PORT", self.port), self.to)
        deadline = time.monotonic() + timeout_s
        while (left_s := deadline - time.monotonic()) > 0:
            self.socket.settimeout(left_s)
            try:
                answer = self.socket.recv(65_535)
            except TimeoutError:
                return None
            match = STATUS.match(answer)
            if match is not None and int(match[1]) >= 200:
                self._acknowledge(answer)
                return int(match[1])
        return None

    def _acknowledge(self, answer: bytes) -> None:
        head = answer.partition(b"\r\n\r\n")[0].split(b"\r\n")
        kept = [line for line in head if line.lower().startswith((b"from:", b"to:", b"call-id:"))]
        via = next(line for line in head if line.lower().startswith(b"via:"))
        cseq = next(line for line in head if line.lower().startswith(b"cseq:"))
        if b"INVITE" in cseq:
            ack = [b"ACK sip:4711@example.net SIP/2.0", via, *kept, cseq.replace(b"INVITE", b"ACK")]
            self.socket.sendto(b"\r\n".join([*ack, b"Max-Forwards: 70", b"Content-Length: 0", b"", b""]), self.to)


@pytest.mark.usefixtures("beside")
@pytest.mark.parametrize("torture", TORTURE, ids=lambda torture: f"{torture.section}-{torture.name}")
def test_each_is_answered_rightly_or_not_at_all(lines: Exchange, torture: Torture) -> None:
    with Sender(lines) as sender:
        status = sender.final(torture.data, timeout_s=0.15 if torture.answers == SILENCE else HANGS_S)
    if torture.answers == SILENCE:
        assert status is None
        return
    assert status in torture.answers
    for part in torture.said:
        assert any(part in bytes(call.invite) for call in lines.offered()), f"{part!r} did not go through"


def test_nothing_is_left_and_the_call_beside_is_exact(lines: Exchange, beside: Talk) -> None:
    health = lines.home.health()
    assert health["signalling"]["malformed"] >= 10
    assert "call_fault" not in health["alarms"]
    assert "Traceback" not in lines.home.said
    assert "sippy: " not in lines.home.said
    eventually(lambda: lines.home.health()["calls"] == 1, "only the call beside is left")
    row = beside.hang_up()
    assert (row["outcome"], row["reason"]) == ("recorded", "caller_hung_up")
    left, right, _ = lines.home.copy(str(row["id"]))
    assert len(kept_of(left, beside.left).spans) == len(kept_of(right, beside.right).spans) == 1
    assert is_gapless(heard_frames(beside.left, beside.right))


def test_everything_is_still_served(lines: Exchange) -> None:
    talk = lines.call()
    talk.join()
    talk.talk_for(0.5)
    assert talk.hang_up()["outcome"] == "recorded"
