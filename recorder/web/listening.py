"""Listening in the browser: URLs of audio, each for one account, recording and time, and the spans that were sent.

A player requests parts, and more of them when the person seeks. All of that is one listen: the audit log has one entry
before its first byte, and one with the spans sent when it is over. Listens are kept in memory: they end with the
console, which then logs the spans; after a kill only the first entry remains.
"""

import secrets
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from recorder.common.problems import ProblemError
from recorder.rules.spans import Spans, common, in_seconds, merged, rest_of, span_of
from storage.encoding import WAVE_HEAD_BYTES
from storage.export import Copy
from storage.types import Channels, RecordingId, Redaction

OPENED, SERVED = "recording.play.opened", "recording.play.served"
"""Acts of the audit log."""
SETTLE_S = 20.0
"""A listen is over after this time without a request, seconds; a player that seeks sends one at once."""
_MOST = 10_000

Note = Callable[..., None]
"""`recorder.audit.audit_service.AuditService.note_late`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A copy that is heard before it is made.

    Attributes:
        redactions: Spans that are silent in it.
    """

    redactions: tuple[Redaction, ...]


@dataclass(slots=True, kw_only=True, eq=False)
class Listen:
    """One person's listening to one recording, and the spans that were sent.

    Attributes:
        account: The account that listens.
        recording: The recording.
        reason: Why they listen.
        until: When the permission ends, UTC.
        request: Id of the access request; "" for break-glass and for an order.
        emergency: Id of the break-glass access, if any.
        order: Id of the order to erase whose span is heard; "" for a whole recording.
        span_s: From and to of that span, or of the copy, seconds; None is the whole recording.
        preview: The copy that is heard; None for the recording itself.
        heard: Spans that the grant covers; the rest is silent. None is the whole recording.
        file: The audio, with the hash of its container; None before the first request.
        is_begun: Whether the audit log has the first entry.
        when_all_sent: Called once all audio was sent, with the time of the first request.
        begun_at: Time of the first request, UTC.
        spans: Spans sent since the last entry in the audit log, seconds.
        sent: All spans sent, seconds.
        sending: Number of responses in progress.
        timer: Ends the listen after `SETTLE_S` without a request.
    """

    account: str
    recording: RecordingId
    reason: str
    until: datetime
    request: str
    emergency: str = ""
    order: str = ""
    span_s: tuple[float, float] | None = None
    preview: Preview | None = None
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
        """Details of the audit entries."""
        if self.order and self.span_s is not None:
            return {"order": self.order, "start_s": self.span_s[0], "end_s": self.span_s[1]}
        if not self.request:
            return {"break_glass": True, "emergency": self.emergency}
        part = {} if self.heard is None else {"part": [[*one] for one in in_seconds(self.heard)]}
        return {"request": self.request, **part, **self._preview_marks}

    @property
    def _preview_marks(self) -> dict[str, Any]:
        if self.preview is None:
            return {}
        span = {} if self.span_s is None else {"start_s": self.span_s[0], "end_s": self.span_s[1]}
        silenced = [
            {"start_s": one.start_s, "end_s": one.end_s, "channels": str(one.channels)} for one in self.redactions
        ]
        return {"preview": True, **span, "redactions": silenced}

    @property
    def redactions(self) -> tuple[Redaction, ...]:
        """Spans that are silent besides those that the grant leaves out."""
        return () if self.preview is None else self.preview.redactions

    def audible(self, sent: Spans) -> Spans:
        """Return what of the spans that were sent was not silent, on the recording's clock."""
        if self.preview is not None and self.span_s is not None:
            offset_us = span_of(0.0, self.span_s[0])[1]
            sent = tuple((start + offset_us, end + offset_us) for start, end in sent)
        if self.heard is not None:
            sent = common(sent, self.heard)
        silent = merged(span_of(one.start_s, one.end_s) for one in self.redactions if one.channels is Channels.BOTH)
        return common(sent, rest_of(silent, sent[-1][1])) if sent and silent else sent


class Listens:
    """The listens of one console; safe from several threads.

    Args:
        note: Writes an audit entry now or later; never raises.
        now: Returns the current time, UTC.
        settle_s: See `SETTLE_S`.
    """

    def __init__(self, note: Note, now: Callable[[], datetime], *, settle_s: float = SETTLE_S) -> None:
        self._note = note
        self._now = now
        self._settle_s = settle_s
        self._listens: dict[str, Listen] = {}
        self._lock = threading.Lock()

    def check_room(self) -> None:
        """Remove listens that are over; ProblemError 503 if there is no room for another."""
        now = self._now()
        with self._lock:
            over = [key for key, one in self._listens.items() if one.until <= now and not one.sending]
            for one in [self._listens.pop(key) for key in over]:
                self._settle(one)
            if len(self._listens) >= _MOST:
                raise ProblemError(503, "Too many people are listening. Try again in a few minutes.")

    def keep(self, listen: Listen) -> str:
        """Store a listen; return the secret part of its URL."""
        secret = secrets.token_urlsafe(32)
        with self._lock:
            self._listens[secret] = listen
        return secret

    def find(self, account: str, recording: str, secret: str) -> Listen | None:
        """Return the listen of a URL, if it belongs to this account and recording and is still valid."""
        with self._lock:
            found = self._listens.get(secret)
        is_theirs = found is not None and (found.account, found.recording) == (account, recording)
        return found if is_theirs and found is not None and found.until > self._now() else None

    def begin(self, listen: Listen, note: Callable[[], None]) -> None:
        """Log a listen before anything is sent; if ``note`` raises, nothing is sent."""
        with self._lock:
            if not listen.is_begun:
                note()
                listen.is_begun = True
                listen.begun_at = listen.begun_at or self._now()

    def sent(self, listen: Listen, chunks: Iterable[bytes], first: int) -> Generator[bytes]:
        """Pass chunks on, and record which span was sent.

        Args:
            listen: The listen.
            chunks: Bytes of the WAV file.
            first: Position of the first byte in the file.
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
        """End the listens of an account that signed out, or all of them, and log the spans sent."""
        with self._lock:
            ended = [key for key, one in self._listens.items() if account in (None, one.account)]
            for one in [self._listens.pop(key) for key in ended]:
                self._settle(one)

    def _wait(self, listen: Listen) -> None:
        _stop(listen)
        if listen not in self._listens.values():  # it was closed while sending
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
            return  # responses in progress settle it when they end
        spans, listen.spans, listen.is_begun = together(listen.spans), [], False
        sent = merged(span_of(start, end) for start, end in spans)
        heard = [{"from_s": start, "to_s": end} for start, end in in_seconds(listen.audible(sent))]
        self._note(SERVED, listen.account, listen.recording, {"spans": heard, **listen.marks})


def together(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return spans in order, joined if they touch or overlap, rounded to a tenth of a second, without empty ones."""
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
