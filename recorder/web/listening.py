"""Listening in the browser: addresses of audio, each for one account, recording and while; and what was sent of it.

A player asks for parts, and for more of them when somebody seeks. All that is one listen: it has one entry in the audit
log before its first byte, and one with the spans that were sent when it is over. Kept in memory: with the console ends
all leave to go on, and what was sent is written down then; after a kill the first entry alone says that it was heard.
"""

import secrets
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from recorder.common.problems import ProblemError
from recorder.rules.spans import Spans, common, in_seconds, merged, span_of
from storage.encoding import WAVE_HEAD_BYTES
from storage.export import Copy
from storage.types import RecordingId

OPENED, SERVED = "recording.play.opened", "recording.play.served"
"""As the audit log has them."""
SETTLE_S = 20.0
"""A listen is over when nothing has been asked for or sent for so long: a player that seeks asks at once."""
_MOST = 10_000

Note = Callable[..., None]
"""`recorder.audit.audit_service.AuditService.note_late`."""


@dataclass(slots=True, kw_only=True, eq=False)
class Listen:
    """Leave to hear one recording for a while, and what was sent by it.

    Attributes:
        account: Whose.
        recording: Of what.
        reason: Why.
        until: When it ends, UTC.
        request: By which request; "" for break-glass, and for an order.
        emergency: The act of break-glass, where it is one.
        order: The order to erase whose span it is; "" for a whole recording.
        span_s: From and to of that span, seconds; None is all of the recording.
        heard: What of the recording is not silent, by a request; None is all of it.
        file: The sound, and the digest of the container that it is made of; None before it is first asked for.
        is_begun: Whether the audit log says that it was opened.
        when_all_sent: Called once, when all of the sound was sent, with the moment at which it began to be.
        begun_at: When it was first asked for, UTC.
        spans: What was sent, seconds, since the audit log was told last.
        sent: What was sent in all, seconds.
        sending: How many answers are on their way.
        timer: Settles it when nobody asks for more.
    """

    account: str
    recording: RecordingId
    reason: str
    until: datetime
    request: str
    emergency: str = ""
    order: str = ""
    span_s: tuple[float, float] | None = None
    heard: Spans | None = None
    file: tuple[str | None, Copy] | None = None
    is_begun: bool = False
    when_all_sent: Callable[[datetime], None] | None = None
    begun_at: datetime | None = None
    spans: list[tuple[float, float]] = field(default_factory=list)
    sent: list[tuple[float, float]] = field(default_factory=list)
    sending: int = 0
    timer: threading.Timer | None = None

    @property
    def marks(self) -> dict[str, Any]:
        """Return how the audit log marks it."""
        if self.span_s is not None:
            return {"order": self.order, "start_s": self.span_s[0], "end_s": self.span_s[1]}
        if not self.request:
            return {"break_glass": True, "emergency": self.emergency}
        part = {} if self.heard is None else {"part": [[*one] for one in in_seconds(self.heard)]}
        return {"request": self.request, **part}


class Listens:
    """The listens of one console; safe from several threads.

    Args:
        note: Writes an entry of the audit log, now or as soon as it can be written; never raises.
        now: The clock, UTC.
        settle_s: See `SETTLE_S`.
    """

    def __init__(self, note: Note, now: Callable[[], datetime], *, settle_s: float = SETTLE_S) -> None:
        self._note = note
        self._now = now
        self._settle_s = settle_s
        self._listens: dict[str, Listen] = {}
        self._lock = threading.Lock()

    def check_room(self) -> None:
        """Make sure that one more can be kept, and forget those that are over; ProblemError, 503, if it cannot."""
        now = self._now()
        with self._lock:
            over = [key for key, one in self._listens.items() if one.until <= now and not one.sending]
            for one in [self._listens.pop(key) for key in over]:
                self._settle(one)
            if len(self._listens) >= _MOST:
                raise ProblemError(503, "Too many people are listening; try again in a few minutes.")

    def keep(self, listen: Listen) -> str:
        """Return the secret part of its address."""
        secret = secrets.token_urlsafe(32)
        with self._lock:
            self._listens[secret] = listen
        return secret

    def find(self, account: str, recording: str, secret: str) -> Listen | None:
        """Return the listen of an address, if it is this account's, for this recording, and still good."""
        with self._lock:
            found = self._listens.get(secret)
        is_theirs = found is not None and (found.account, found.recording) == (account, recording)
        return found if is_theirs and found is not None and found.until > self._now() else None

    def begin(self, listen: Listen, note: Callable[[], None]) -> None:
        """Have a listen written down before anything is sent; nothing is sent when ``note`` raises."""
        with self._lock:
            if not listen.is_begun:
                note()
                listen.is_begun = True
                listen.begun_at = listen.begun_at or self._now()

    def sent(self, listen: Listen, chunks: Iterable[bytes], first: int) -> Generator[bytes]:
        """Pass on what is sent, and keep which span it was.

        Args:
            listen: Whose.
            chunks: Bytes of the WAV file.
            first: Where in the file they begin.
        """
        assert listen.file is not None, "it was opened"
        copy, at = listen.file[1], first
        with self._lock:
            listen.sending += 1
            _stop(listen)
        try:
            for chunk in chunks:
                at += len(chunk)
                yield chunk
        finally:
            with self._lock:
                listen.sending -= 1
                span = _seconds(copy, first), _seconds(copy, at)
                listen.spans.append(span)
                listen.sent = together([*listen.sent, span])
                if not listen.sending:
                    self._wait(listen)
            _tell_when_all_sent(listen, copy.duration_s)

    def close(self, account: str | None = None) -> None:
        """End the listens of an account that has signed out, or all of them, and write down what was sent."""
        with self._lock:
            ended = [key for key, one in self._listens.items() if account in (None, one.account)]
            for one in [self._listens.pop(key) for key in ended]:
                self._settle(one)

    def _wait(self, listen: Listen) -> None:
        _stop(listen)
        if listen not in self._listens.values():  # it was ended while it was sent
            self._settle(listen)
            return
        listen.timer = threading.Timer(self._settle_s, self._settle_quiet, [listen])
        listen.timer.daemon = True
        listen.timer.start()

    def _settle_quiet(self, listen: Listen) -> None:
        with self._lock:
            if not listen.sending:
                self._settle(listen)

    def _settle(self, listen: Listen) -> None:
        _stop(listen)
        if listen.sending or not listen.is_begun:
            return  # what is on its way settles itself
        spans, listen.spans, listen.is_begun = together(listen.spans), [], False
        sent = merged(span_of(start, end) for start, end in spans)
        audible = sent if listen.heard is None else common(sent, listen.heard)
        heard = [{"from_s": start, "to_s": end} for start, end in in_seconds(audible)]
        self._note(SERVED, listen.account, listen.recording, {"spans": heard, **listen.marks})


def together(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return spans in order, those that touch or overlap as one, to a tenth of a second; empty ones are left out."""
    found: list[tuple[float, float]] = []
    for start, end in sorted((round(start, 1), round(end, 1)) for start, end in spans):
        if start >= end:
            continue
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((start, end))
    return found


def _tell_when_all_sent(listen: Listen, duration_s: float) -> None:
    tell, begun_at = listen.when_all_sent, listen.begun_at
    if tell is None or begun_at is None or listen.sent != together([(0.0, duration_s)]):
        return
    listen.when_all_sent = None
    tell(begun_at)


def _seconds(copy: Copy, at: int) -> float:
    return max(at - WAVE_HEAD_BYTES, 0) / (copy.size_bytes - WAVE_HEAD_BYTES or 1) * copy.duration_s


def _stop(listen: Listen) -> None:
    if listen.timer is not None:
        listen.timer.cancel()
        listen.timer = None
