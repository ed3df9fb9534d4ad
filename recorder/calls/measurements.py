"""The writer's measurements of a recording, for its row. Pure."""

from dataclasses import replace

from audio.analysis import ChannelTotals, is_one_way, is_silent
from audio.written import FinishedRecording
from recorder.calls.rules.siprec import Remark
from recorder.rules.outcome import Facts
from storage.types import RecordingRow


def measured(row: RecordingRow, facts: Facts, finished: FinishedRecording) -> tuple[RecordingRow, Facts]:
    """Return row and facts with the writer's measurements."""
    left, right = finished.left, finished.right
    # If one side sent nothing at all, the call is one-way however short it was.
    one_way = is_one_way(left, right) or (left.recorded_s > 0) != (right.recorded_s > 0)
    one_way = one_way and Remark.MIXED not in row.remarks  # both voices are in one channel
    row = replace(
        row,
        speech_s=(round(left.speech_s, 1), round(right.speech_s, 1)),
        is_one_way=one_way,
        is_silent=is_silent(left, right),
        clipped=(round(left.clipped, 5), round(right.clipped, 5)),
        stream_s=(round(left.stream_s, 1), round(right.stream_s, 1)),
        drift_s=(round(left.drift_s, 4), round(right.drift_s, 4)),
        packets=(left.packets, right.packets),
        packets_lost=(left.packets_lost, right.packets_lost),
        peaks=(left.peaks, right.peaks),
        codecs=(_names_of(left) or row.codecs[0], _names_of(right) or row.codecs[1]),
    )
    return row, replace(facts, kept_s=max(left.recorded_s, right.recorded_s), is_one_way=one_way)


def _names_of(totals: ChannelTotals) -> str:
    return "+".join(codec.name for codec in totals.codecs)
