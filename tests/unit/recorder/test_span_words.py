"""Moments and spans of a call as people write them."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from recorder.exports.span_words import position_in, redaction_from
from storage.types import Channels

LONDON = ZoneInfo("Europe/London")
STARTED = datetime(2026, 7, 1, 22, 59, 30, tzinfo=UTC)
"""23:59:30 on the wall: half a minute before midnight, in summer time."""


@pytest.mark.parametrize(
    ("text", "position"),
    [("75.5", 75.5), ("1:15.5", 75.5), ("1:00:00", 3600.0), (" 7 ", 7.0), ("T23:59:30", 0.0), ("T23:59:45.25", 15.25),
     ("T00:00", 30.0), ("T00:01:10", 100.0)],
)  # fmt: skip
def test_positions(text: str, position: float) -> None:
    assert position_in(text, STARTED, LONDON) == position


@pytest.mark.parametrize(
    "text", ["", "soon", "-1", "nan", "1e3", "1:75", "T24:00", "T12:60", "T12:00:60", "T1:00", "T"]
)
def test_no_positions(text: str) -> None:
    with pytest.raises(ValueError, match=r"is (not a time in a recording|not a time of day)"):
        position_in(text, STARTED, LONDON)


def test_before_the_call() -> None:
    with pytest.raises(ValueError, match=r"23:59:29 is before the call: it began at 23:59:30"):
        position_in("T23:59:29", STARTED, LONDON)


@pytest.mark.parametrize(
    ("text", "channels", "span"),
    [("12.5-20", Channels.BOTH, (12.5, 20.0)), ("left:30-31.2", Channels.LEFT, (30.0, 31.2)),
     ("Caller:1:10-1:15", Channels.LEFT, (70.0, 75.0)), ("right:0-1", Channels.RIGHT, (0.0, 1.0)),
     ("officer:T23:59:31-T23:59:33", Channels.RIGHT, (1.0, 3.0)), ("both:1-2", Channels.BOTH, (1.0, 2.0)),
     ("1:10-1:15", Channels.BOTH, (70.0, 75.0)), ("1:05 to 1:20", Channels.BOTH, (65.0, 80.0)),
     ("caller: 2 to  4.5 ", Channels.LEFT, (2.0, 4.5)), ("T23:59:31 - T23:59:33", Channels.BOTH, (1.0, 3.0))],
)  # fmt: skip
def test_redactions(text: str, channels: Channels, span: tuple[float, float]) -> None:
    found = redaction_from(text, STARTED, LONDON, reason="why")
    assert (found.channels, (found.start_s, found.end_s), found.reason) == (channels, span, "why")


@pytest.mark.parametrize(
    "text", ["", "5", "5-", "-5", "1-2-3", "middle:1-2", "left:", "left:5-4", "5-5", "5 to", "5to6"]
)
def test_no_redactions(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no|ends before"):
        redaction_from(text, STARTED, LONDON, reason="why")


BACK = datetime(2026, 10, 25, 0, 50, tzinfo=UTC)
"""1:50am in summer time; ten minutes later the clocks go back to 1am."""


@pytest.mark.parametrize(
    ("text", "position"),
    [("T01:50", 0.0), ("T01:55", 300.0), ("T01:10", 1200.0), ("T01:40", 3000.0), ("T02:10", 4800.0)],
)
def test_positions_where_the_clocks_go_back(text: str, position: float) -> None:
    assert position_in(text, BACK, LONDON) == position


def test_a_span_ends_after_it_begins_where_the_clocks_go_back() -> None:
    found = redaction_from("T01:55 to T01:52", BACK, LONDON, reason="why")
    assert (found.start_s, found.end_s) == (300.0, 3720.0)
    assert position_in("T01:55", BACK, LONDON, since_s=301.0) == 3900.0


def test_positions_where_the_clocks_go_forward() -> None:
    began = datetime(2026, 3, 29, 0, 50, tzinfo=UTC)
    assert position_in("T02:10", began, LONDON) == 1200.0
    with pytest.raises(ValueError, match="There is no 1:30am on 29 March 2026, because the clocks go forward"):
        position_in("T01:30", began, LONDON)
