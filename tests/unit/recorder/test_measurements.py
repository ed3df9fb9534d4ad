"""What the writer measured, in a call's row and in the facts that decide its outcome."""

from dataclasses import replace

import pytest

from audio.analysis import ChannelTotals
from audio.types import Codec
from audio.written import FinishedRecording
from recorder.calls.measurements import measured
from recorder.calls.rules.siprec import Remark
from recorder.rules.outcome import Facts
from storage.rows import row_from_json, row_to_json
from storage.types import RecordingRow
from tests.helpers.storage_home import row

LEFT = ChannelTotals(
    peaks=b"\x09", speech_s=4.26, recorded_s=20.0, codecs=(Codec.PCMA,), clipped=0.0123456, stream_s=19.96,
    drift_s=-0.00204, packets=998, packets_lost=2,
)  # fmt: skip
RIGHT = ChannelTotals(peaks=b"\x08", speech_s=0.4, recorded_s=20.0, codecs=(Codec.G722,))
ROW = replace(row_from_json(row()), codecs=("PCMA", "PCMU"))


def found(left: ChannelTotals, right: ChannelTotals, of: RecordingRow = ROW) -> tuple[RecordingRow, Facts]:
    finished = FinishedRecording(left=left, right=right, lost=(), lost_beyond=0, is_failed=False)
    return measured(of, Facts(end="caller_hung_up", was_joined=True), finished)


def test_each_side_is_measured_and_the_row_keeps_it_as_json() -> None:
    got, facts = found(LEFT, RIGHT)
    assert (got.speech_s, got.is_one_way, got.is_silent) == ((4.3, 0.4), True, False)
    assert (got.clipped, got.stream_s, got.drift_s) == ((0.01235, 0.0), (20.0, 0.0), (-0.002, 0.0))
    assert (got.packets, got.packets_lost, got.codecs) == ((998, 0), (2, 0), ("PCMA", "G722"))
    assert (facts.is_one_way, facts.kept_s) == (True, 20.0)
    assert row_from_json(row_to_json(got, with_peaks=True)) == got


@pytest.mark.parametrize(
    ("remarks", "right", "one_way", "silent"),
    [
        ((Remark.MIXED,), RIGHT, False, False),
        ((), replace(RIGHT, recorded_s=0.0), True, False),
        ((), LEFT, False, False),
    ],
    ids=["both voices in one channel", "nothing came", "both"],
)
def test_one_way(remarks: tuple[str, ...], right: ChannelTotals, one_way: bool, silent: bool) -> None:
    got, _ = found(LEFT, right, replace(ROW, remarks=remarks))
    assert (got.is_one_way, got.is_silent) == (one_way, silent)


def test_if_nobody_speaks_it_is_silent_and_not_one_way() -> None:
    got, facts = found(RIGHT, RIGHT)
    assert (got.is_one_way, got.is_silent, facts.is_one_way) == (False, True, False)
