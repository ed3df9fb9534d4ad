"""A day of 1,000 calls: exactly the 20 that are wrong are named, in each format, whatever the PBX's clock says."""

import io
from datetime import datetime, timedelta

import pytest

from recorder.assurance.day_report import DayReport, Site, report_of
from recorder.assurance.expecting import Expecting, Policy
from recorder.assurance.formats import LAYOUTS
from recorder.assurance.judging import Verdict
from recorder.assurance.local_times import Times
from recorder.assurance.reading import read_legs
from tests.helpers.assured_day import CALLS, FORMATS, NOMINATED, WRONG, ZONE, Made, made_day

NEAR = timedelta(seconds=5)
DAY = datetime(2026, 9, 16)  # noqa: DTZ001 - a day in the site's zone, in summer time


def judged(calls: list[Made], layout: str, clock_s: float) -> DayReport:
    expecting = Expecting(Policy(nominated=NOMINATED), layout)
    text = FORMATS[layout](calls, clock_s=clock_s)
    for leg in read_legs(io.StringIO(text), LAYOUTS[layout], Times(zone=ZONE, patterns=LAYOUTS[layout].times)):
        expecting.add(leg)
    rows = [made.row for made in calls if made.row is not None]
    return report_of(DAY.date(), expecting.finish().calls, rows, Site(nominated=NOMINATED, services={}, zone=ZONE))


@pytest.mark.parametrize(("layout", "seed", "clock_s"), [
    ("asterisk", 1, 40.0), ("freeswitch", 2, -40.0), ("cucm", 3, 40.0), ("3cx", 4, 0.0),
])  # fmt: skip
def test_exactly_the_twenty_are_named(layout: str, seed: int, clock_s: float) -> None:
    calls = made_day(seed, DAY)
    assert len(calls) == CALLS
    report = judged(calls, layout, clock_s)
    for made in calls:
        if made.kind in WRONG:
            at = made.parts[0].answered_at
            assert at is not None
            named = [one for one in report.findings if one.extension == made.extension and abs(one.at - at) < NEAR]
            assert [str(one.verdict) for one in named] == [made.kind], made
    assert len(report.findings) == 20 == report.bad
    assert {one: report.counts[Verdict(one)] for one in WRONG} == WRONG
    assert report.clock_s[layout] == pytest.approx(clock_s - 1.0, abs=2.0)
    assert report.unmatched == 0
