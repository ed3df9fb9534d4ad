"""Judges one call: was it recorded as it should have been? Pure.

The facts are those of the recording's row, and the talk time of the PBX where there is a call record.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from recorder.rules.segments import seconds_of
from storage.assurance_types import ExpectedCall
from storage.types import Outcome, RecordingRow, SegmentKind


class Verdict(enum.StrEnum):
    """What is wrong with the recording of a call, the worst first; or that nothing is."""

    NOT_RECORDED = "not_recorded"
    BYPASSED = "bypassed"
    SILENT = "silent"
    ONE_SIDED = "one_sided"
    SHORT = "short"
    CLIPPED = "clipped"
    DRIFT = "drift"
    NOT_DUE = "not_due"
    """Not recorded, or not to its end, because the policy says so: opted out, discarded, notice not heard."""
    RECORDED = "recorded"

    @property
    def is_bad(self) -> bool:
        """Whether somebody has to look."""
        return self not in (Verdict.NOT_DUE, Verdict.RECORDED)


BAD = tuple(one for one in Verdict if one.is_bad)
JUDGED_S = 10.0
"""Shorter recordings are not judged by what is heard in them."""
SPEECH_S = 1.0
"""A side with less speech than this was silent."""
OTHER_SPEECH_S = 10.0
"""A side counts as missing if it was silent while the other spoke this long."""
SHORT_S = 10.0
SHORT_SHARE = 0.1
"""A recording is short if more than `SHORT_S` seconds, and more than this share of the talk time, is missing."""
LOST_S = 2.0
"""Seconds that the writer may lose without a finding, where nothing tells the talk time."""
CLIPPED_SHARE = 0.01
"""A side is clipped if this share of its samples has the codec's largest value."""
DRIFT_S = 0.5
DRIFT_SHARE = 0.0005
"""A side drifts if its clock is off by this many seconds, and by this share (500 ppm): what playback aligns is less."""
CONVERSATION_S = 10.0
"""A call that a PBX saw talking this long is no call without conversation."""
_MIXED = frozenset({"mixed", "one_line"})
"""Remarks of recordings that a recording client sent on one line: a silent channel is no fault of the recorder."""
_EXCUSED = frozenset(SegmentKind) - {SegmentKind.RECORDING, SegmentKind.LOST}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A verdict with its numbers.

    Attributes:
        verdict: What is wrong, the worst of all.
        also: What is wrong besides.
        talk_s: How long the parties talked by the call record; None without one.
        recorded_s: How long the recording is, without pauses.
        reason: The recorder's own reason of the outcome; empty without a recording.
    """

    verdict: Verdict
    also: tuple[Verdict, ...] = ()
    talk_s: float | None = None
    recorded_s: float = 0.0
    reason: str = ""


def judge(call: ExpectedCall | None, rows: Sequence[RecordingRow], *, notice_s: float = 0.0) -> Judgement:
    """Judge a call.

    Args:
        call: Its call record; None if only the recorder saw it.
        rows: Its recordings, the first of them the best match; none if there is none.
        notice_s: Talk time that belongs to the notice, which plays after the answer and is not recorded.
    """
    talk_s = None if call is None or call.is_bypassed else call.talk_s
    if not rows:
        is_bypassed = call is not None and call.is_bypassed
        return Judgement(verdict=Verdict.BYPASSED if is_bypassed else Verdict.NOT_RECORDED, talk_s=talk_s)
    first = rows[0]
    recorded_s = round(sum(row.recorded_s for row in rows), 1)
    found = _verdicts(rows, talk_s, notice_s)
    verdict, *also = found or [Verdict.RECORDED]
    return Judgement(verdict=verdict, also=tuple(also), talk_s=talk_s, recorded_s=recorded_s, reason=first.reason)


def _verdicts(rows: Sequence[RecordingRow], talk_s: float | None, notice_s: float) -> list[Verdict]:
    """Return what is wrong, the worst first."""
    outcomes = {row.outcome for row in rows}
    has_audio = bool(outcomes & {Outcome.RECORDED, Outcome.PARTIAL})
    if not has_audio:
        if Outcome.FAILED in outcomes:
            return [Verdict.NOT_RECORDED]
        if Outcome.BLOCKED in outcomes:
            return [Verdict.NOT_DUE]
        return [Verdict.NOT_RECORDED] if (talk_s or 0.0) >= CONVERSATION_S else [Verdict.NOT_DUE]
    heard = [row for row in rows if row.outcome in (Outcome.RECORDED, Outcome.PARTIAL)]
    found = {verdict for row in heard for verdict in _of_audio(row)}
    if _is_short(heard, talk_s, notice_s):
        found.add(Verdict.SHORT)
    if not found and any(row.reason == "opted_out" for row in heard):
        return [Verdict.NOT_DUE]
    return [one for one in Verdict if one in found]


def _of_audio(row: RecordingRow) -> set[Verdict]:
    """Return what the row's measurements say of its audio."""
    found: set[Verdict] = set()
    if row.recorded_s < JUDGED_S:
        return {Verdict.ONE_SIDED} if row.is_one_way else found
    least, most = sorted(row.speech_s)
    if row.is_silent or most < SPEECH_S:
        found.add(Verdict.SILENT)
    elif row.is_one_way or (least < SPEECH_S and most >= OTHER_SPEECH_S and not _MIXED & set(row.remarks)):
        found.add(Verdict.ONE_SIDED)
    if max(row.clipped) >= CLIPPED_SHARE:
        found.add(Verdict.CLIPPED)
    if any(
        abs(off_s) >= max(DRIFT_S, DRIFT_SHARE * of_s) for off_s, of_s in zip(row.drift_s, row.stream_s, strict=True)
    ):
        found.add(Verdict.DRIFT)
    return found


def _is_short(rows: Sequence[RecordingRow], talk_s: float | None, notice_s: float) -> bool:
    lost_s = sum(seconds_of(row.segments, SegmentKind.LOST) for row in rows)
    if talk_s is None:
        return lost_s > LOST_S
    excused_s = sum(seconds_of(row.segments, kind) for row in rows for kind in _EXCUSED)
    if not any(row.segments for row in rows):
        excused_s = sum(row.paused_s for row in rows)
    missing_s = talk_s - notice_s - sum(row.recorded_s for row in rows) - excused_s
    return lost_s > LOST_S or missing_s > max(SHORT_S, SHORT_SHARE * talk_s)
