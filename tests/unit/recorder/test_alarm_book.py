"""Alarms: which stand, which have ended and why, and who has acknowledged them."""

import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recorder.rules.alarm_book import EVENT_STANDS, Acknowledgement, AlarmBook, acknowledgement_problem
from recorder.rules.alarms import ALARMS, ENDED_BY_PEOPLE, EVENTS, FADING, LOSSES
from recorder.rules.disk_forecast import is_filling
from recorder.service.home_watch import BOOK, read_book
from tests.helpers.accounts import Clock

NOW = datetime(2026, 12, 7, 9, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def book(clock: Clock) -> AlarmBook:
    return AlarmBook(clock)


def said(clock: Clock, hours: float = 8) -> Acknowledgement:
    return Acknowledgement(by="ict", at=clock(), until=clock() + timedelta(hours=hours), remark="a new disk is ordered")


def test_an_alarm_that_lasts_ends_with_its_cause_and_is_counted(book: AlarmBook, clock: Clock) -> None:
    book.raise_event("disk_full")
    book.raise_event("disk_full")
    clock.time += timedelta(days=40)
    assert book.copy() == {"disk_full": 2}
    book.end("disk_full", "storage_fault")
    assert (book.copy(), book.raised) == ({}, {"disk_full": 2})
    (ended,) = book.ended()
    assert (ended.alarm.since, ended.ended_at, ended.why) == (NOW, clock(), "cause gone")


def test_something_that_has_happened_fades(book: AlarmBook, clock: Clock) -> None:
    book.raise_event("nominated_passed")
    clock.time += EVENT_STANDS - timedelta(seconds=1)
    book.raise_event("nominated_passed")
    clock.time += EVENT_STANDS - timedelta(seconds=1)
    assert book.copy() == {"nominated_passed": 2}
    clock.time += timedelta(seconds=1)
    assert book.copy() == {}
    assert [one.why for one in book.ended()] == ["not raised again"]


def test_what_is_lost_stands_until_somebody_says_so(book: AlarmBook, clock: Clock) -> None:
    book.raise_event("row_lost")
    clock.time += timedelta(days=400)
    assert book.copy() == {"row_lost": 1}
    book.acknowledge("row_lost", said(clock))
    assert book.copy() == {}
    (ended,) = book.ended()
    assert (ended.why, ended.alarm.acknowledged) == ("acknowledged", said(clock))


def test_one_that_lasts_stands_on_and_needs_somebody_again_after_the_time(book: AlarmBook, clock: Clock) -> None:
    book["epoch_missing"] = 1
    book.acknowledge("epoch_missing", said(clock, hours=2))
    (found,) = book.standing()
    assert found.acknowledged == said(clock, hours=2)
    clock.time += timedelta(hours=2)
    (found,) = book.standing()
    assert found.acknowledged is None
    del book["epoch_missing"]
    book["epoch_missing"] = 1
    (found,) = book.standing()
    assert (found.acknowledged, found.since) == (None, clock())


def test_alarms_of_other_parts_are_taken_over_and_acknowledged_too(book: AlarmBook, clock: Clock) -> None:
    book.observe({"retention_stopped": 1})
    clock.time += timedelta(minutes=5)
    book.observe({"retention_stopped": 3})
    assert book.acknowledge("retention_stopped", said(clock)).count == 3
    assert book.copy() == {}, "the part that reports it has the count"
    assert [one.since for one in book.standing()] == [NOW]
    book.observe({})
    assert book.standing() == []
    assert [one.alarm.name for one in book.ended()] == ["retention_stopped"]
    with pytest.raises(KeyError):
        book.acknowledge("retention_stopped", said(clock))


def test_no_raise_is_lost_between_threads(book: AlarmBook) -> None:
    """With the interpreter changing threads at every chance, without a lock hundreds are."""

    def raise_often() -> None:
        for _ in range(2000):
            book.raise_event("disk_full")

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=raise_often) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert (book["disk_full"], book.raised["disk_full"]) == (8000, 8000)


@pytest.mark.parametrize(
    ("remark", "hours", "field"),
    [("a new disk", 8, None), ("  x  ", 8, "remark"), ("x" * 501, 8, "remark"), ("a new disk", 0, "hours"),
     ("a new disk", 745, "hours"), ("a new disk", float("nan"), "hours")],
)  # fmt: skip
def test_an_acknowledgement_has_a_remark_and_a_time(remark: str, hours: float, field: str | None) -> None:
    problem = acknowledgement_problem(remark, hours)
    assert (None if problem is None else problem[0]) == field


def test_every_alarm_is_of_one_kind_and_known() -> None:
    assert ALARMS.keys() >= ENDED_BY_PEOPLE | FADING | EVENTS | LOSSES
    assert not ENDED_BY_PEOPLE & FADING


@pytest.mark.parametrize("text", ["", "{", "[]", '{"ended": [{}], "standing": [], "at": "x"}', "null"])
def test_a_damaged_history_begins_anew(tmp_path: Path, clock: Clock, text: str) -> None:
    (tmp_path / BOOK).write_text(text)
    assert read_book(tmp_path, clock).ended() == []


@pytest.mark.parametrize(
    ("left_days", "days", "was", "is_on"),
    [
        (None, 7, True, False), (6.9, 7, False, True), (7.1, 7, False, False), (7.1, 7, True, True),
        (8.5, 7, True, False), (0.1, 0, False, False),
    ],
)  # fmt: skip
def test_the_disk_is_filling_when_it_is_full_within_the_days_of_the_site(
    left_days: float | None, days: int, was: bool, is_on: bool
) -> None:
    assert is_filling(None if left_days is None else left_days * 86_400, days, was=was) is is_on
