"""The checks of a self-test: by signal, on what the phones heard and on what was recorded."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recorder.demo.phones.messages import RATE
from recorder.selftest.call import CallSeen
from recorder.selftest.recorded import Recorded, SenderClock
from recorder.selftest.report import Report
from recorder.selftest.signals import (
    LIKE,
    Signal,
    as_other_law,
    find,
    is_absent,
    is_in,
    loud_pieces,
    pieces,
    read,
    score,
)
from storage.types import RecordingRow, Segment, SegmentKind

PAUSE_S = 0.02
"""How exactly a pause has to take effect."""
CLOCK_S = 2.0
"""How far the daemon's clock may be off."""
WAIT_S = 2.0
"""How long the writer may be in one operation."""
_MARGIN_S = 0.3
_SETTLED_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What is checked.

    Attributes:
        seen: What was seen of the call.
        row: The recording's row.
        recorded: Its content; None if it could not be opened.
        erase_s: How much a pause erases before it, seconds.
        notice: The notice as its file has it.
    """

    seen: CallSeen
    row: RecordingRow
    recorded: Recorded | None
    erase_s: float
    notice: Signal


def check_heard(report: Report, seen: CallSeen, notice: Signal) -> None:
    """Check what the two phones heard: the notice, and each other."""
    caller, officer = read(seen.heard_by_caller), read(seen.heard_by_officer)
    if len(notice):
        report.check(
            "notice",
            is_in(loud_pieces(notice), caller),
            "the caller heard the notice in full",
            "the caller did not hear the notice as its file has it: the file has too little to hear, or media do not "
            "pass from the recorder to callers",
        )
    before = _SETTLED_S, seen.lead_s - _MARGIN_S
    report.check(
        "caller_heard",
        is_in(pieces(seen.caller, *before), officer),
        "the officer heard the caller",
        "the officer did not hear the caller: media do not pass from the caller through the recorder",
    )
    report.check(
        "officer_heard",
        is_in(pieces(seen.officer, *before), caller),
        "the caller heard the officer",
        "the caller did not hear the officer: media do not pass from the officer through the recorder",
    )


def check_recorded(report: Report, found: Material) -> None:
    """Check the recording's content."""
    recorded = found.recorded
    assert recorded is not None
    kept = _SETTLED_S, found.seen.lead_s - found.erase_s - _MARGIN_S
    sides = (
        ("caller", found.seen.caller, recorded.left, recorded.right),
        ("officer", found.seen.officer, recorded.right, recorded.left),
    )
    _check_codec(report, found, recorded, kept)
    for name, said, own, other in sides:
        parts = pieces(said, *kept)
        is_there, is_apart = is_in(parts, own), is_absent(parts, other)
        report.check(
            f"{name}_recorded",
            is_there and is_apart,
            f"the {name} is recorded, in the channel of the {name} alone",
            f"the {name} is not in the recording: no media of the {name} arrived at the recorder, or it was not written"
            if not is_there
            else f"the {name} is in the other channel too",
        )
    if found.seen.resumed_at_s:  # else the call came no further than the keys, which is said already
        _check_pause(report, found, recorded)


def _check_codec(report: Report, found: Material, recorded: Recorded, kept: tuple[float, float]) -> None:
    sides = (("caller", found.seen.caller, recorded.left), ("officer", found.seen.officer, recorded.right))
    wrong = [name for name, said, channel in sides if _is_of_other_law(pieces(said, *kept), channel)]
    report.check(
        "codec",
        not wrong,
        f"both sides are recorded with the codec that was agreed ({', '.join(found.row.codecs)})",
        f"the audio of the {' and the '.join(wrong)} is in another codec than was agreed: A-law and mu-law "
        "are confused",
    )


def _is_of_other_law(parts: list[Signal], channel: Signal) -> bool:
    """Tell whether audio that was decoded by one law fits better if it is decoded by the other.

    Either way noise is loud where it was loud, so the wrong law alone does not make a match fail.
    """
    return score(parts, as_other_law(channel)) > max(score(parts, channel), LIKE)


def _check_pause(report: Report, found: Material, recorded: Recorded) -> None:
    seen, spans = found.seen, [s for s in found.row.segments if s.kind is SegmentKind.PAUSED]
    if not spans:
        report.check("pause", False, "", "the recording has no pause, although the keys were pressed")
        return
    _judge_pause(report, found, recorded, spans)
    after = pieces(seen.caller, seen.resumed_at_s + _MARGIN_S, seen.resumed_at_s + 1.2)
    after_officer = pieces(seen.officer, seen.resumed_at_s + _MARGIN_S, seen.resumed_at_s + 1.2)
    report.check(
        "resume",
        is_in(after, recorded.left) and is_in(after_officer, recorded.right),
        "both sides are recorded again after the pause",
        "the recording does not go on after the pause",
    )


def _judge_pause(report: Report, found: Material, recorded: Recorded, spans: Sequence[Segment]) -> None:
    """Check that a pause is silent, and that it began with the key; or say that the machine is too busy to tell."""
    is_silent = not any(
        np.any(channel[_inside(span, clock, found.erase_s)])
        for span in spans
        for channel, clock in zip((recorded.left, recorded.right), recorded.clocks, strict=True)
    )
    late_s = _late_s(found, recorded, spans[0])
    off_ms = 1000 * abs(late_s or 0.0)
    unsure_s = max(
        clock.leads(at_s).apart_s
        for span in spans
        for clock in recorded.clocks
        for at_s in (_shut_s(span, found.erase_s), span.end_s)
    )
    is_exact = late_s is None or abs(late_s) <= PAUSE_S
    waited_s = max(unsure_s, 0.0 if is_exact else found.seen.starved_s)
    if is_silent and waited_s > PAUSE_S and abs(late_s or 0.0) <= PAUSE_S + waited_s:
        report.check(
            "busy",
            False,
            "",
            f"the machine is too busy to tell whether the pause took effect within 20 ms: audio and keys waited for a "
            f"processor for up to {1000 * waited_s:.0f} ms in all; test again when it has less to do",
        )
        return
    measured = "" if late_s is None else f", {off_ms:.0f} ms from the moment when the key was released"
    report.check(
        "pause",
        is_silent and is_exact,
        f"the pause took effect in both channels{measured}",
        "something was recorded while the recording was paused"
        if not is_silent
        else f"the pause took effect {off_ms:.0f} ms {'before' if (late_s or 0.0) < 0 else 'after'} the key, and not "
        "within 20 ms",
    )


def _shut_s(span: Segment, erase_s: float) -> float:
    """Return when the gate was shut for a pause at the latest: what it erases lies before."""
    return min(span.start_s + erase_s, span.end_s)


def _inside(span: Segment, clock: SenderClock, erase_s: float) -> slice:
    """Return the positions of a channel at which a pause leaves nothing."""
    begin = round((span.start_s + PAUSE_S) * RATE) + clock.leads(_shut_s(span, erase_s)).largest
    return slice(max(begin, 0), max(round((span.end_s - PAUSE_S) * RATE) + clock.leads(span.end_s).smallest, 0))


def _late_s(found: Material, recorded: Recorded, span: Segment) -> float | None:
    """Return how much later than due the pause took effect, seconds; None if the phone does not say when it pressed.

    Measured by the officer's own voice: the sample of it at which the key was released, and the last one that is
    recorded.
    """
    if found.seen.paused_at is None:
        return None
    parts = pieces(found.seen.officer, _SETTLED_S, found.seen.lead_s - found.erase_s - _MARGIN_S)
    if not parts:
        return None
    found_at, at = find(parts[0], recorded.right)
    if found_at <= LIKE:
        return None
    offset = at - round(_SETTLED_S * RATE)
    before = recorded.right[: _inside(span, recorded.clocks[1], found.erase_s).start]
    last = int(np.max(np.nonzero(before)[0], initial=0))
    return (last + 1 - offset - (found.seen.paused_at - found.erase_s * RATE)) / RATE


def check_row(report: Report, row: RecordingRow, seen: CallSeen, notices: tuple[str, str]) -> None:
    """Check the recording's row: its outcome, the proof of the notice, and its times.

    Args:
        report: Takes the checks.
        row: The row.
        seen: What was seen of the call.
        notices: Hashes of the notice, before and after the call: it may have been changed meanwhile.
    """
    proof = row.notice
    report.check(
        "notice_proof",
        proof is not None and proof.complete and proof.proof == "heard" and proof.sha256 in notices,
        "the row proves that the notice was heard, and which one",
        "the row does not prove that the notice was heard in full"
        if proof is None or not proof.complete
        else "another notice was played than the one that is set: run `recorder reload`",
    )
    report.check(
        "outcome",
        str(row.outcome) == "recorded",
        "the outcome is recorded",
        f"the outcome is {row.outcome} ({row.reason}), not recorded",
    )
    lost_s = sum(s.end_s - s.start_s for s in row.segments if s.kind is SegmentKind.LOST)
    report.check(
        "writer",
        seen.longest_wait_s <= WAIT_S and lost_s == 0,
        "the writer kept up",
        f"{lost_s:.1f} s of audio were lost: the writer does not keep up; look at the disk"
        if lost_s
        else f"the writer was stuck in one operation for {seen.longest_wait_s:.1f} s: the disk does not keep up",
    )


def check_clock(report: Report, seen: CallSeen, stepped_s: float) -> None:
    """Check the clocks: the daemon's against this process's, and the wall clock against the monotonic one."""
    off_s = max(seen.clock_off_s, abs(stepped_s))
    report.check(
        "clock",
        off_s <= CLOCK_S,
        "the clock was not stepped",
        f"the clock was stepped by {off_s:.0f} s during the call: look at NTP; the times of recordings are wrong",
    )
