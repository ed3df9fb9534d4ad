"""Answers of a recording server: any number of labelled m-lines, each receive-only (RFC 7866 section 7.2). Pure.

A usable m-line is answered ``recvonly``, or ``inactive`` while the client holds it, always with the same port; others
are rejected in their place. Every known codec of the offer is accepted, in the order of the offer (RFC 3264 section
6.1): a client sends the codec of the call that it copies, and rtpengine without transcoding takes no other answer.
Labels are returned unchanged.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field

from sip import offer_answer
from sip.offer_answer import LocalStream, NegotiatedMedia
from sip.sdp import Description, MediaDescription, UnacceptableError

MAX_LINES = 4
"""m-lines of one session that get a port: two are recorded; a later update may replace either by another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One m-line of the client.

    Attributes:
        stream: The offer.
        local: Our side, to be kept; None if it is rejected.
        media: The result; None if it is rejected.
    """

    stream: MediaDescription
    local: LocalStream | None = None
    media: NegotiatedMedia | None = None

    @property
    def is_active(self) -> bool:
        """Tell whether audio may arrive on it now."""
        return self.media is not None and self.media.receives


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingAnswer:
    """An answer, and the state to keep for the next one.

    Attributes:
        content: The session description.
        session: The session with its version, as a `LocalStream` without a port.
        lines: Each m-line, in order.
    """

    content: bytes = field(repr=False)
    session: LocalStream
    lines: tuple[Line, ...]


def usable(offer: Description, session: LocalStream) -> tuple[int, ...]:
    """Return the positions of the m-lines that can be recorded, at most `MAX_LINES`; lines that are sent come first."""
    found = [at for at, stream in enumerate(offer.streams) if stream.suits(session.srtp, is_heard_only=True)]
    return tuple(sorted(sorted(found, key=lambda at: not offer.streams[at].sends)[:MAX_LINES]))


def answer(
    offer: Description, session: LocalStream, locals_: Sequence[LocalStream | None], *, record: str | None
) -> RecordingAnswer:
    """Answer an offer.

    Args:
        offer: The client's offer.
        session: Of the last answer, or a new one: address, o= and whether keys are needed.
        locals_: Our side of each m-line in order, with its port; None, or a missing entry, rejects the line.
        record: Value of a=record (RFC 7866 section 6.2): ``on``, ``off`` or ``paused``; None leaves it out.

    Raises:
        UnacceptableError: No m-line can be recorded: 488.
    """
    lines, sections = [], []
    for at, stream in enumerate(offer.streams):
        local = locals_[at] if at < len(locals_) else None
        if local is None or not stream.suits(session.srtp, is_heard_only=True):
            lines.append(Line(stream=stream))
            sections.append([*offer_answer.rejected(stream), *_label(stream)])
            continue
        ours = dataclasses.replace(local, sends=False, receives=True)
        codecs = [codec for _, codec in stream.codecs]
        taken = offer_answer.answer_stream(offer, stream, ours, preference=codecs, more=codecs)
        lines.append(Line(stream=stream, local=taken.local, media=taken.media))
        sections.append([*taken.lines, *_label(stream), *([f"a=record:{record}"] if record else [])])
    if not any(line.local for line in lines):
        raise UnacceptableError("no m-line has audio that can be recorded")
    written = offer_answer.written(session, sections)
    return RecordingAnswer(content=written.content, session=written.local, lines=tuple(lines))


def _label(stream: MediaDescription) -> list[str]:
    return [f"a=label:{stream.label}"] if stream.label else []
