"""Builds the timeline of a call from its row: who had the call when, and what happened to its recording. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from recorder.rules import wording
from storage.types import NoticeProof, RecordingRow, Segment, SegmentKind


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEvent:
    """One event of a call.

    Attributes:
        at: When, UTC; None if unknown.
        what: A sentence without its full stop.
        at_s: Position in the recording, seconds; None before it began.
    """

    at: datetime | None
    what: str
    at_s: float | None = None


_BEGINS = {
    SegmentKind.RECORDING: "Recorded",
    SegmentKind.PAUSED: "Paused",
    SegmentKind.HOLD: "On hold, not recorded",
    SegmentKind.OPTED_OUT: "The caller opted out; not recorded from here on",
    SegmentKind.OUT_OF_SCOPE: "With somebody whose calls are not recorded",
    SegmentKind.ERASED: "What was said from here on was erased afterwards",
    SegmentKind.LOST: "What was said from here on was lost",
    SegmentKind.FAX: "A fax, not recorded",
    SegmentKind.VOICEMAIL: "A voicemail, not recorded",
    SegmentKind.WITHHELD: "With somebody else, which is not shown to you",
    SegmentKind.FAX_SUSPECTED: "Tones of a fax and nobody spoke, not recorded",
}


def timeline_of(row: RecordingRow) -> list[TimelineEvent]:
    """Return the events of a call, in order."""
    steps = [*_notice(row.notice), *_second_messages(row), *_spans(row), *_others(row)]
    if row.ended_at is not None:
        ending = ", ".join(filter(None, (wording.words(row.outcome), wording.outcome_reason(row.reason))))
        steps.append(TimelineEvent(at=row.ended_at, what=f"The call ended: {ending}"))
    return sorted(steps, key=lambda step: step.at or row.started_at)


def _notice(notice: NoticeProof | None) -> Iterator[TimelineEvent]:
    if notice is None:
        return
    if notice.proof == "attested":
        yield TimelineEvent(at=notice.started_at, what="The notice was played elsewhere, as that system attests")
        return
    if notice.started_at is not None:
        yield TimelineEvent(at=notice.started_at, what=f"The notice began{_versions(notice)}")
    heard = "heard in full" if notice.complete else "not heard in full"
    if notice.ended_at is not None:
        yield TimelineEvent(at=notice.ended_at, what=f"The notice ended, {heard}")


def _versions(notice: NoticeProof) -> str:
    """Return which versions were played, in brackets; empty if the row does not say."""
    told = [(one.id.rpartition("/")[2], wording.language(one.language)) for one in notice.messages]
    return f" ({'; '.join(f'version {version}, {language}' for version, language in told)})" if told else ""


def _second_messages(row: RecordingRow) -> Iterator[TimelineEvent]:
    if row.notice is not None and row.notice.second_message and not row.second_messages:
        yield TimelineEvent(at=None, what="The second message was played")
    for one in row.second_messages:
        asked = f"as {one.by} asked" if one.by else "as the caller asked by a key"
        unheard = "" if one.ended_at else "; it was not heard in full"
        what = f"The second message began, {asked}{unheard}"
        yield TimelineEvent(at=one.started_at, what=what, at_s=_position(row, one.started_at))
        if one.ended_at is not None:
            heard = "heard in full" if one.complete else "not heard in full"
            what = f"The second message ended, {heard}"
            yield TimelineEvent(at=one.ended_at, what=what, at_s=_position(row, one.ended_at))


def _position(row: RecordingRow, at: datetime) -> float | None:
    """Return the position of a moment in the recording, or None if it is not within it."""
    at_s = (at - row.started_at).total_seconds()
    return at_s if 0 <= at_s <= row.duration_s else None


def _spans(row: RecordingRow) -> Iterator[TimelineEvent]:
    before: Segment | None = None
    current = _CurrentOfficer()
    for span in row.segments:
        if span.kind is SegmentKind.SILENCED:
            continue  # recording went on
        for what in (*_handover(before, current, span), *_recording(before, span)):
            yield TimelineEvent(at=row.started_at + timedelta(seconds=span.start_s), what=what, at_s=span.start_s)
        before, current = span, current.after(span)


@dataclass(frozen=True, slots=True)
class _CurrentOfficer:
    """Who last had the call, according to the spans so far. Erased spans and spans without an officer say nothing."""

    operator: str = ""
    extension: str = ""

    def is_other(self, span: Segment) -> bool:
        """Tell whether a span names a different officer; an unknown officer is not different."""
        has_moved = "" not in (self.extension, span.extension) and self.extension != span.extension
        return has_moved or ("" not in (self.operator, span.operator) and self.operator != span.operator)

    def after(self, span: Segment) -> "_CurrentOfficer":
        """Return who has the call after a span has begun."""
        if self.is_other(span):
            return _CurrentOfficer(span.operator, span.extension)
        return _CurrentOfficer(span.operator or self.operator, span.extension or self.extension)


def _handover(before: Segment | None, current: _CurrentOfficer, span: Segment) -> Iterator[str]:
    """Yield a sentence on who has the call now, if that is new."""
    who = _who(span)
    if before is None:
        yield f"Joined to {who}" if who else "Joined"
    elif current.is_other(span):
        yield f"Transferred to {who}"
    elif who and before.kind is SegmentKind.OUT_OF_SCOPE:
        yield f"Back with {who}"
    elif who and current == _CurrentOfficer():
        yield f"With {who}"


def _recording(before: Segment | None, span: Segment) -> Iterator[str]:
    """Yield a sentence on what happens to the recording, if that is new."""
    if before is None or before.kind is not span.kind:
        again = " again" if before is not None and span.kind is SegmentKind.RECORDING else ""
        reason = f" ({wording.outcome_reason(span.reason)})" if span.reason else ""
        yield _BEGINS[span.kind] + again + reason + (f", by {span.by}" if span.by else "")


def _who(span: Segment) -> str:
    if not span.operator:
        return span.extension
    return f"{span.operator} ({span.extension})" if span.extension else span.operator


def _others(row: RecordingRow) -> Iterator[TimelineEvent]:
    """Yield who joined and left, as far as a SIPREC client reported it."""
    for one in row.participants:
        name = one.name or one.number or one.address
        if one.joined_at is not None:
            yield TimelineEvent(at=one.joined_at, what=f"{name} came in")
        if one.left_at is not None:
            yield TimelineEvent(at=one.left_at, what=f"{name} left")
