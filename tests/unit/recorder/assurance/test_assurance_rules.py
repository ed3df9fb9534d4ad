"""What is expected, matched, judged and compared with the weeks before."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from recorder.assurance.call_records import CallLeg, CallRecordsError
from recorder.assurance.day_report import Site, report_of
from recorder.assurance.expecting import Expected, Expecting, LeftOut, Policy
from recorder.assurance.judging import Verdict, judge
from recorder.assurance.matching import hours_off, match
from recorder.assurance.trend import DayCount, trend_of
from recorder.rules.policy import Extension
from storage.assurance_types import CallDirection, ExpectedCall
from storage.types import Outcome, RecordingId, RecordingRow, Segment, SegmentKind
from tests.helpers.assured_day import NOMINATED, QUEUE

AT = datetime(2026, 11, 3, 9, tzinfo=UTC)
SITE = Site(nominated=NOMINATED, services={}, zone=ZoneInfo("Europe/London"))


def leg(line: int, start_s: float, talk_s: float = 60.0, **changed: Any) -> CallLeg:
    begin = AT + timedelta(seconds=start_s)
    fields: dict[str, Any] = {
        "line": line, "call_id": "", "started_at": begin, "answered_at": begin if talk_s else None,
        "ended_at": begin + timedelta(seconds=talk_s), "talk_s": talk_s, "caller": "02079461234", "called": "2001",
        "answered_by": "",
    }  # fmt: skip
    return CallLeg(**{**fields, **changed})


def expected(*legs: CallLeg, **policy: Any) -> Expected:
    expecting = Expecting(Policy(nominated=NOMINATED, **policy), "pbx")
    for one in legs:
        expecting.add(one)
    return expecting.finish()


def call(number: int, start_s: float = 0.0, **changed: Any) -> ExpectedCall:
    fields: dict[str, Any] = {
        "id": f"{number:032x}", "pbx": "pbx", "answered_at": AT + timedelta(seconds=start_s), "talk_s": 100.0,
        "extensions": ("2001",), "direction": CallDirection.INBOUND, "number_end": "1234",
    }  # fmt: skip
    return ExpectedCall(**{**fields, **changed})


def row(number: int, start_s: float = 0.0, **changed: Any) -> RecordingRow:
    begin = AT + timedelta(seconds=start_s)
    fields: dict[str, Any] = {
        "id": RecordingId(f"{begin:%Y%m%dT%H%M%SZ}-2001-{number:06x}"), "started_at": begin, "ended_at": None,
        "direction": "inbound", "extension": "2001", "operator": "Ann", "service": "Benefits", "caller": "02079461234",
        "called": "2001", "outcome": Outcome.RECORDED, "reason": "caller_hung_up", "duration_s": 100.0,
        "recorded_s": 100.0, "speech_s": (40.0, 30.0),
    }  # fmt: skip
    return RecordingRow(**{**fields, **changed})


class Counted(dict[str, str]):
    """Links that count how often they are followed."""

    followed = 0

    def get(self, key: str, default: Any = None) -> Any:
        self.followed += 1
        return super().get(key, default)


def test_a_long_chain_of_links_is_followed_in_a_time_that_is_in_proportion_to_it() -> None:
    expecting, parts = Expecting(Policy(nominated=NOMINATED), "pbx"), 400
    expecting._linked = links = Counted()
    for number in range(parts, 0, -1):
        expecting.add(leg(number, 0.0, call_id=f"{number - 1}", linked_id=f"{number}"))
    (found,) = expecting.finish().calls
    assert found.talk_s == 60.0
    assert links.followed < 20 * parts


def test_a_deleted_self_test_is_not_compared_with_calls_that_are_missing() -> None:
    gone = RecordingId(f"{AT:%Y%m%dT%H%M%SZ}-selftest-0a1b2c")
    named = Site(
        nominated={"selftest": Extension(number="selftest", operator="Ann", service="s")}, services={}, zone=SITE.zone
    )  # fmt: skip
    report = report_of(AT.date(), [call(1, extensions=("selftest",))], [], named, deleted=[gone])
    assert [one.verdict for one in report.findings] == [Verdict.NOT_RECORDED]


# --- expecting


def test_the_rows_of_a_queue_and_a_transfer_are_one_call() -> None:
    found = expected(
        leg(1, 0, 0.0, call_id="a", called=QUEUE, answered_by="2001"),
        leg(2, 0, 60.0, call_id="a", called=QUEUE, answered_by="2002"),
        leg(3, 60, 30.0, call_id="a", called="2003", answered_by="2003"),
        leg(4, 40, 40.0, call_id="b", linked_id="a", called="2003"),
    )
    (one,) = found.calls
    assert (one.extensions, one.talk_s, one.direction) == (("2002", QUEUE, "2003"), 90.0, CallDirection.INBOUND)
    assert found.left_out == {LeftOut.NOT_ANSWERED: 1}


def test_an_id_that_is_given_again_the_next_day_is_another_call_and_within_hours_a_contradiction() -> None:
    assert len(expected(leg(1, 0, call_id="7"), leg(2, 90_000, call_id="7")).calls) == 2
    with pytest.raises(CallRecordsError, match="line 9: this call has the same id as the one of line 4"):
        expected(leg(4, 0, call_id="7"), leg(9, 7200, call_id="7"))


def test_a_call_that_somebody_else_had_meanwhile_is_one_call() -> None:
    parts = (
        leg(1, 0, 60.0, call_id="a"),
        leg(2, 60, 1200.0, call_id="a", called="2955"),
        leg(3, 1300, 0.0, call_id="a"),
        leg(4, 1900, 30.0, call_id="a", called="2003"),
    )
    for rows in (parts, parts[::-1]):
        (one,) = expected(*rows).calls
        assert (one.extensions, one.talk_s) == (("2001", "2003"), 90.0), "its talk time is that with our extensions"
    with pytest.raises(CallRecordsError, match="line 4: this call has the same id as the one of line 1"):
        expected(parts[0], replace(parts[1], call_id="b"), parts[3])


@pytest.mark.parametrize(("changed", "why"), [
    ({"called": "2999"}, LeftOut.NOT_NOMINATED),
    ({"caller": "3001"}, LeftOut.INTERNAL),
    ({"caller": "2001", "called": "2002"}, LeftOut.INTERNAL),
    ({"caller": "2001", "called": "8123"}, LeftOut.INTERNAL),
    ({"caller": "2001", "called": "9112"}, LeftOut.EMERGENCY),
    ({"called": "6001", "answered_by": "2955"}, LeftOut.ANSWERED_ELSEWHERE),
    ({"called": "6001", "answered_by": "ann"}, None),
    ({"called": QUEUE, "answered_by": "2955"}, None),
    ({"called": "20-01"}, None),
    ({"caller": "", "called": "2001"}, None),
    ({"caller": "2001", "called": "07700900123"}, None),
])  # fmt: skip
def test_what_the_policy_does_not_record_is_left_out(changed: dict[str, Any], why: LeftOut | None) -> None:
    found = expected(leg(1, 0, **changed))
    assert (len(found.calls), list(found.left_out)) == ((1, []) if why is None else (0, [why]))


def test_internal_calls_are_expected_where_they_pass_the_recorder() -> None:
    (one,) = expected(leg(1, 0, caller="2002"), expects_internal=True).calls
    assert (one.direction, one.extensions) == (CallDirection.INTERNAL, ("2001", "2002"))


# --- matching


def test_a_recording_explains_one_call_and_the_nearest() -> None:
    found = match([call(1), call(2, 50)], [row(1, 48)])
    assert [len(found.recordings[one.id]) for one in (call(1), call(2))] == [0, 1]


def test_a_withheld_number_fits_any_and_a_different_one_none() -> None:
    found = match([call(1, number_end=""), call(2, number_end="9999")], [row(1)])
    assert [len(rows) for rows in found.recordings.values()] == [1, 0]
    assert [one.id for one in match([call(2, number_end="9999")], [row(1)]).unmatched] == [row(1).id]


def test_a_second_recording_of_the_call_is_added_and_is_not_another_call() -> None:
    found = match([call(1, talk_s=300.0)], [row(1), row(2, 150), row(3, 400)])
    assert [one.id for one in found.recordings[call(1).id]] == [row(1).id, row(2, 150).id]
    assert [one.id for one in found.unmatched] == [row(3, 400).id]


def test_a_call_that_waited_in_a_queue_before_the_recorder_saw_it_is_short_and_not_missing() -> None:
    late = row(1, 240, duration_s=360.0, recorded_s=360.0)
    found = match([call(1, talk_s=600.0), call(2, 700, talk_s=600.0)], [late])
    assert [[one.id for one in found.recordings[call(number).id]] for number in (1, 2)] == [[late.id], []]
    assert not found.unmatched
    assert judge(call(1, talk_s=600.0), [late]).verdict is Verdict.SHORT
    assert match([call(1, talk_s=600.0, number_end="")], [late]).unmatched, "a withheld number does not tell whose"


@pytest.mark.parametrize("ahead_s", [-600.0, 0.0, 40.0, 800.0])
def test_a_wrong_clock_is_recognised_from_enough_calls(ahead_s: float) -> None:
    numbers = range(1, 7)
    calls = [call(one, one * 300 + ahead_s, number_end=f"{one:04d}") for one in numbers]
    rows = [row(one, one * 300, caller=f"0207946{one:04d}") for one in numbers]
    found = match(calls, rows)
    assert found.clock_s == {"pbx": ahead_s}
    assert all(len(rows) == 1 for rows in found.recordings.values())
    few = match(calls[:4], rows[:4])
    assert few.clock_s == {}


@pytest.mark.parametrize("hours", [-5, 0, 1, 10])
def test_a_wrong_time_zone_is_recognised(hours: int) -> None:
    calls = [call(one, one * 300 + hours * 3600, number_end=f"{one:04d}") for one in range(12)]
    rows = [row(one, one * 300, caller=f"0207946{one:04d}") for one in range(12)]
    assert hours_off(calls, rows) == hours
    assert hours_off(calls, rows[:5]) == 0, "most of them have to fit"
    assert hours_off(calls, []) == 0


# --- judging


def paused(start_s: float, end_s: float, length_s: float, kind: SegmentKind = SegmentKind.PAUSED) -> dict[str, Any]:
    spans = [(0.0, start_s, SegmentKind.RECORDING), (start_s, end_s, kind), (end_s, length_s, SegmentKind.RECORDING)]
    segments = tuple(Segment(start_s=a, end_s=b, kind=of) for a, b, of in spans if b > a)
    return {"segments": segments, "recorded_s": length_s - (end_s - start_s), "duration_s": length_s}


@pytest.mark.parametrize(("changed", "verdict"), [
    ({}, Verdict.RECORDED),
    ({"outcome": Outcome.FAILED}, Verdict.NOT_RECORDED),
    ({"outcome": Outcome.NO_CONVERSATION}, Verdict.NOT_RECORDED),
    ({"outcome": Outcome.BLOCKED, "reason": "opted_out"}, Verdict.NOT_DUE),
    ({"outcome": Outcome.PARTIAL, "reason": "ended_while_paused", **paused(20, 100, 100)}, Verdict.RECORDED),
    (paused(20, 90, 100, SegmentKind.OPTED_OUT), Verdict.RECORDED),
    (paused(20, 90, 100, SegmentKind.LOST), Verdict.SHORT),
    ({"recorded_s": 89.5}, Verdict.SHORT),
    ({"recorded_s": 90.5}, Verdict.RECORDED),
    ({"speech_s": (0.2, 0.4)}, Verdict.SILENT),
    ({"is_silent": True, "is_one_way": True}, Verdict.SILENT),
    ({"is_one_way": True}, Verdict.ONE_SIDED),
    ({"speech_s": (40.0, 0.0)}, Verdict.ONE_SIDED),
    ({"speech_s": (40.0, 0.0), "remarks": ("mixed",)}, Verdict.RECORDED),
    ({"clipped": (0.0, 0.02)}, Verdict.CLIPPED),
    ({"drift_s": (0.0, -2.0), "stream_s": (100.0, 3600.0)}, Verdict.DRIFT),
    ({"drift_s": (0.4, 1.7), "stream_s": (100.0, 3600.0)}, Verdict.RECORDED),
])  # fmt: skip
def test_each_recording_is_judged(changed: dict[str, Any], verdict: Verdict) -> None:
    assert judge(call(1), [row(1, **changed)]).verdict is verdict


def test_without_a_call_record_the_recorder_is_believed() -> None:
    assert judge(None, [row(1, recorded_s=20.0)]).verdict is Verdict.RECORDED
    assert judge(None, [row(1, **paused(20, 90, 100, SegmentKind.LOST))]).verdict is Verdict.SHORT
    both = judge(None, [row(1, is_one_way=True, clipped=(0.5, 0.0))])
    assert (both.verdict, both.also) == (Verdict.ONE_SIDED, (Verdict.CLIPPED,))


def test_a_notice_after_the_answer_is_no_missing_talk_time() -> None:
    assert judge(call(1, talk_s=125.0), [row(1)]).verdict is Verdict.SHORT
    assert judge(call(1, talk_s=125.0), [row(1)], notice_s=20.0).verdict is Verdict.RECORDED


# --- the report


def test_a_call_that_went_round_the_recorder_is_named_once() -> None:
    round_it = call(9, 2, talk_s=0.0, is_bypassed=True, pbx="kamailio", number_end="")
    report = report_of(AT.date(), [call(1), round_it], [], SITE)
    assert [(one.verdict, one.talk_s) for one in report.findings] == [(Verdict.BYPASSED, 100.0)]
    alone = report_of(AT.date(), [round_it], [], SITE)
    assert (alone.counts[Verdict.BYPASSED], alone.calls, alone.records) == (1, 1, 0)
    assert report_of(AT.date() + timedelta(days=1), [call(1), round_it], [], SITE).calls == 0


def test_a_call_whose_recording_was_deleted_since_was_recorded() -> None:
    gone = RecordingId("20261103T085930Z-2001-00000a")
    report = report_of(AT.date(), [call(1), call(2, 20)], [], SITE, deleted=[gone])
    assert (report.counts[Verdict.NOT_DUE], report.counts[Verdict.NOT_RECORDED]) == (1, 1), "it explains one call"
    for other in ("20261103T085930Z-2002-00000a", "20261103T085630Z-2001-00000a", "20261103T090130Z-2001-00000a"):
        assert report_of(AT.date(), [call(1)], [], SITE, deleted=[RecordingId(other)]).bad == 1, other


def test_an_explanation_stays_with_its_finding_and_calls_without_conversation_do_not_count() -> None:
    rows = [row(1, outcome=Outcome.FAILED), row(2, 500, outcome=Outcome.NO_CONVERSATION, duration_s=0.0)]
    report = report_of(AT.date(), [], rows, SITE)
    assert (report.calls, report.bad, report.unexplained) == (1, 1, 1)
    assert report.findings[0].id == report_of(AT.date(), [call(1)], rows, SITE).findings[0].id
    assert report.seen_by(frozenset({"other"})).findings == []
    assert report.seen_by(None) is report


# --- the trend


@pytest.mark.parametrize(("now", "before", "has_risen"), [
    ((50, 2), (2000, 0), True),
    ((50, 1), (2000, 0), False),
    ((1000, 20), (28_000, 280), False),
    ((1000, 30), (28_000, 280), True),
    ((49, 49), (2000, 0), False),
    ((50, 50), (199, 0), False),
    ((1000, 0), (28_000, 2800), False),
])  # fmt: skip
def test_a_share_has_risen_if_the_intervals_do_not_overlap(
    now: tuple[int, int], before: tuple[int, int], has_risen: bool
) -> None:
    last = date(2026, 11, 29)
    earlier = last - timedelta(days=7 if now[0] < 50 else 1)
    days = {last: DayCount(calls=now[0], bad=now[1]), earlier: DayCount(calls=before[0], bad=before[1])}
    assert trend_of(days, last).has_risen is has_risen


def test_few_calls_a_day_are_taken_together_for_a_week() -> None:
    last = date(2026, 11, 29)
    days = {last - timedelta(days=one): DayCount(calls=8, bad=1 if one < 7 else 0) for one in range(35)}
    found = trend_of(days, last)
    assert (found.since, found.now, found.before) == (
        last - timedelta(days=6), DayCount(calls=56, bad=7), DayCount(calls=224, bad=0),
    )  # fmt: skip
    assert found.has_risen
    assert not trend_of({day: replace(one, calls=7) for day, one in days.items()}, last).is_enough
