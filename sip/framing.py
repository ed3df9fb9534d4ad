"""Splits a byte stream into messages (RFC 3261 sections 7.5 and 18.3, keep-alives of RFC 5626 section 3.5.1). Pure.

In a stream only Content-Length says where a message ends. It is required; after a wrong one the next message cannot be
found, and the stream is *broken*. The head is read by the functions of `sip.message_parser`, so that framing and
parsing always agree. The frames do not depend on how the bytes were cut on the way.
"""

import re
from dataclasses import dataclass

from sip.message import MalformedMessageError, refusal
from sip.message_parser import HEAD_END, stream_body_length

MAX_HEAD_BYTES = 64 * 1024
"""Start line and headers; the longest in captures have 5 kB."""

MAX_BODY_BYTES = 256 * 1024
"""SIPREC metadata of a long call has some 20 kB."""

_PING = b"\r\n\r\n"
_LINE_ENDERS = b"\r\n"
_FIRST_BYTE = re.compile(rb"[A-Za-z0-9!%*_+`'~.-]")
_LINE_END = re.compile(rb"[\r\n]")
_MAX_START_LINE_BYTES = 8 * 1024
_LONGEST_END = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Framed:
    """One whole message, for `sip.message_parser.parse_message`."""

    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinged:
    """A double CRLF between messages: a keep-alive that is answered with one CRLF."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """The stream cannot be read any further.

    Attributes:
        why: For the log; without anything that the peer sent.
        response: What to send before closing, or None.
    """

    why: str
    response: bytes | None = None


Frame = Framed | Pinged | Broken


class StreamFramer:
    """Takes bytes and returns frames; buffers at most one head and one body."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._body_at: int | None = None
        self._length = 0
        self._is_broken = False

    @property
    def is_between(self) -> bool:
        """Tell whether no message is incomplete: the next byte begins one, or the stream is broken."""
        return self._is_broken or not self._buffer or self._buffer[0] in _LINE_ENDERS

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes and return the frames that they complete. After `Broken` no frame follows."""
        if self._is_broken:
            return []
        self._buffer += data
        frames: list[Frame] = []
        while (frame := self._next()) is not None:
            frames.append(frame)
            if isinstance(frame, Broken):
                self._is_broken = True
                self._buffer.clear()
                break
        return frames

    def _next(self) -> Frame | None:
        if self._body_at is None:
            frame = self._between() or self._begin()
            if frame is not None or self._body_at is None:
                return frame
        if len(self._buffer) < self._body_at + self._length:
            return None
        return self._cut()

    def _between(self) -> Pinged | None:
        """Remove keep-alives and stray line ends from the front."""
        if self._searched:
            return None
        while self._buffer and self._buffer[0] in _LINE_ENDERS:
            if self._buffer.startswith(_PING):
                del self._buffer[: len(_PING)]
                return Pinged()
            if _PING.startswith(self._buffer):
                return None  # may be the beginning of a ping
            del self._buffer[:1]
        return None

    def _begin(self) -> Broken | None:
        """Find the end of the head, and read the length of the body from it."""
        buffer = self._buffer
        if _PING.startswith(buffer):
            return None
        if not self._searched and (why := self._junk()):
            return Broken(why=why)
        end = HEAD_END.search(buffer, max(0, self._searched - _LONGEST_END))
        if (end.start() if end else len(buffer) - _LONGEST_END) > MAX_HEAD_BYTES:
            return Broken(why=f"a head of over {MAX_HEAD_BYTES} bytes")
        if end is None:
            self._searched = len(buffer) if _LINE_END.search(buffer) else 0
            return None
        return self._measure(bytes(buffer[: end.start()]), end.end())

    def _junk(self) -> str | None:
        """Return what is wrong with the first line, as soon as it can be seen, or None."""
        if not _FIRST_BYTE.match(self._buffer):
            return "bytes that begin no message"
        end = _LINE_END.search(self._buffer)
        if end is None:
            return "a first line without end" if len(self._buffer) > _MAX_START_LINE_BYTES else None
        if end.start() > _MAX_START_LINE_BYTES:
            return "a first line without end"
        return None if b"SIP/" in self._buffer[: end.start()].upper() else "neither a request nor a status line"

    def _measure(self, head: bytes, body_at: int) -> Broken | None:
        try:
            self._length = stream_body_length(head, MAX_BODY_BYTES)
        except MalformedMessageError as error:
            answer = refusal(error.request, error.status, error.phrase) if error.request is not None else None
            return Broken(why=str(error), response=answer)
        self._body_at = body_at
        return None

    def _cut(self) -> Framed:
        assert self._body_at is not None
        size = self._body_at + self._length
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._body_at, self._searched, self._length = None, 0, 0
        return Framed(data=data)
