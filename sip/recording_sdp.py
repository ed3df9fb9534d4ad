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
from sip.offer_answer import LocalStream, NegotiatedMedia, Written
from sip.sdes import Srtp
from sip.sdp import Description, MediaDescription, UnacceptableError

MAX_LINES = 4
"""m-lines of one session that get a port: two are recorded; a later update may replace either by another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One m-line.

    Attributes:
        label: The client's a=label, or "".
        section: Our section of the session description, without a=record.
        local: Our side, to be kept; None if it is rejected.
        media: The result; None if it is rejected, or offered by us and not answered yet.
    """

    label: str
    section: tuple[str, ...] = field(repr=False)
    local: LocalStream | None = None
    media: NegotiatedMedia | None = None

    @property
    def is_active(self) -> bool:
        """Tell whether audio may arrive on it now."""
        return self.media is not None and self.media.receives


def usable(offer: Description, session: LocalStream) -> tuple[int, ...]:
    """Return the positions of the m-lines that can be recorded, at most `MAX_LINES`; lines that are sent come first."""
    found = [at for at, stream in enumerate(offer.streams) if stream.suits(session.srtp, is_heard_only=True)]
    return tuple(sorted(sorted(found, key=lambda at: not offer.streams[at].sends)[:MAX_LINES]))


def answer(offer: Description, srtp: Srtp, locals_: Sequence[LocalStream | None]) -> tuple[Line, ...]:
    """Answer each m-line of an offer, in order; `describe` writes the answer.

    Args:
        offer: The client's offer.
        srtp: Whether keys are needed.
        locals_: Our side of each m-line in order, with its port; None, or a missing entry, rejects the line.

    Raises:
        UnacceptableError: No m-line can be recorded: 488.
    """
    lines = []
    for at, stream in enumerate(offer.streams):
        local = locals_[at] if at < len(locals_) else None
        if local is None or not stream.suits(srtp, is_heard_only=True):
            lines.append(Line(label=stream.label, section=(*offer_answer.rejected(stream), *_label(stream))))
            continue
        ours = dataclasses.replace(local, sends=False, receives=True)
        codecs = [codec for _, codec in stream.codecs]
        taken = offer_answer.answer_stream(offer, stream, ours, preference=codecs, more=codecs)
        section = (*taken.lines, *_label(stream))
        lines.append(Line(label=stream.label, section=section, local=taken.local, media=taken.media))
    if not any(line.local for line in lines):
        raise UnacceptableError("no m-line has audio that can be recorded")
    return tuple(lines)


def offer(local: LocalStream) -> Line:
    """Return a line of our own that receives only, to be offered by `describe`."""
    ours = dataclasses.replace(local, sends=False, receives=True)
    return Line(label="", section=tuple(offer_answer.offered_lines(ours)), local=ours)


def wanted(line: Line) -> Line:
    """Return a line as it is to be offered: it receives, whatever direction the client has had it answered with.

    An offer says what its maker wants (RFC 3264 section 5.1, RFC 6337 section 5.3). With the client's hold in it the
    client could not resume by a re-INVITE without an offer.
    """
    section = tuple("a=recvonly" if text == "a=inactive" else text for text in line.section)
    return line if line.local is None else dataclasses.replace(line, section=section)


def describe(session: LocalStream, lines: Sequence[Line], *, record: str | None) -> Written:
    """Write the session description of some lines; the version rises if it differs from the last.

    Args:
        session: Of the last description, or a new one: address and o=, without a port.
        lines: Each m-line, in order.
        record: Value of a=record (RFC 7866): ``on``, ``off`` or ``paused``; None leaves it out.

    Returns:
        The description, and the session to keep for the next one.
    """
    told = [f"a=record:{record}"] if record else []
    return offer_answer.written(session, [[*line.section, *(told if line.local else [])] for line in lines])


def _label(stream: MediaDescription) -> list[str]:
    return [f"a=label:{stream.label}"] if stream.label else []
