"""rtpengine's control protocol `ng`: a cookie and a bencoded dictionary in a datagram, answered under that cookie."""

import itertools
import shutil
import socket
from types import TracebackType
from typing import Self

from benchmarks.bencode import BencodeError, Decoded, Plain, decode, encode

INSTALL = (
    "rtpengine is not measured: it is not installed. On Debian: apt-get install --no-install-recommends"
    " rtpengine-daemon (12.5 was measured; no service has to run)."
)
_TRY_S, _TRIES, _LARGEST = 1.0, 5, 65535


def program() -> str | None:
    """Return rtpengine's program, or None where it is not installed."""
    return shutil.which("rtpengine")


class NgError(Exception):
    """rtpengine did not answer, or refused; says what."""


class NgClient:
    """Speaks with one rtpengine, a command at a time; a context manager that owns its socket."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(address)
        self._socket.settimeout(_TRY_S)
        self._numbers = itertools.count(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def ask(self, command: str, **fields: Plain) -> dict[str, Decoded]:
        """Send a command and return its answer; ``_`` in a field's name stands for ``-``.

        It is sent again each second without an answer, under its cookie: rtpengine answers a repeated one as before.

        Raises:
            NgError: No answer in five seconds, or a refusal.
        """
        named: dict[str, Plain] = {name.replace("_", "-"): value for name, value in fields.items()}
        cookie = b"%d" % next(self._numbers)
        request = cookie + b" " + encode({"command": command, **named})
        for _ in range(_TRIES):
            try:
                self._socket.send(request)
                answer = self._answer(cookie)
            except (TimeoutError, ConnectionRefusedError):
                continue
            if answer.get("result") not in (b"ok", b"pong"):
                raise NgError(f"rtpengine refused `{command}`: {answer.get('error-reason', answer)!r}")
            return answer
        raise NgError(f"rtpengine did not answer `{command}`")

    def sdp(self, command: str, **fields: Plain) -> bytes:
        """Send an offer or an answer and return the session description to pass on.

        Raises:
            NgError: As `ask`, or the answer has none.
        """
        sdp = self.ask(command, **fields).get("sdp")
        if not isinstance(sdp, bytes):
            raise NgError(f"rtpengine gave no session description for `{command}`")
        return sdp

    def _answer(self, cookie: bytes) -> dict[str, Decoded]:
        while True:
            data = self._socket.recv(_LARGEST)
            of, _, body = data.partition(b" ")
            if of != cookie:
                continue  # of an earlier command that was sent twice
            try:
                answer = decode(body)
            except BencodeError as error:
                raise NgError(f"rtpengine's answer cannot be read: {error}") from error
            if not isinstance(answer, dict):
                raise NgError("rtpengine's answer is no dictionary")
            return answer
