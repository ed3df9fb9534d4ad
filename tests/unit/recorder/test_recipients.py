"""What people are told of: to whom it goes, once, and never with anything of a call in it."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from recorder.assurance.trend import DayCount, trend_of
from recorder.common.smtp_options import SmtpSecurity, is_mail_address
from recorder.config.mail_options import MailOptions
from recorder.notifications.assurance_recipients import of_findings, of_trend
from recorder.notifications.kinds import WORDING, Notification, NotificationKind
from recorder.notifications.mail_retries import retry_after
from recorder.notifications.mails import mail_of
from recorder.notifications.recipients import (
    REVIEW_REMINDED_FOR,
    CaseClock,
    of_cases,
    of_decisions,
    of_policy,
    of_requests,
    usable,
)
from recorder.notifications.watch import of_opt_outs, of_takeovers
from recorder.permissions import Person, Role
from recorder.rules.requesting import AccessRequest, Approvers, Category, RequestState, RequestWish
from recorder.rules.weekly import CallTotals, Week, Weekday, counted, last_weekly, review_day, word_of
from storage.assurance_types import StoredFinding
from storage.types import Outcome, RecordingId

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
TODAY = NOW.date()
LONDON = ZoneInfo("Europe/London")


def person(name: str, *roles: Role, **more: object) -> Person:
    return Person(name=name, display_name=name.title(), roles=frozenset(roles), **more)  # type: ignore[arg-type]


PEOPLE = (
    person("olive", Role.OFFICER, extension="2001"),
    person("mary", Role.MANAGER, teams=("Revenues",)),
    person("hugo", Role.MANAGER, teams=("Housing",)),
    person("lena", Role.TEAM_LEADER),
    person("dora", Role.DPO),
)
BENCH = Approvers(people=PEOPLE)
REQUEST = AccessRequest(
    id="1a2b3c4d", account="olive", asked_at=NOW,
    wish=RequestWish(recordings=(RecordingId("x"),), category=Category.COMPLAINT, reason="about Mrs Example"),
)  # fmt: skip


def told(found: list[Notification]) -> list[tuple[str, str]]:
    return [(str(one.kind), one.account) for one in found]


def test_who_decides_is_told_and_with_the_leader_away_the_officer_is() -> None:
    assert told(of_requests([REQUEST], BENCH)) == [("request_waits", "lena")]
    assert told(of_requests([REQUEST], replace(BENCH, absent=frozenset({"lena"})))) == [("request_waits", "dora")]
    assert of_requests([replace(REQUEST, state=RequestState.GRANTED)], BENCH) == []
    assert of_requests([replace(REQUEST, account="gone")], BENCH) == []


@pytest.mark.parametrize(
    ("state", "by", "age", "is_told"),
    [
        (RequestState.GRANTED, "lena", timedelta(), True),
        (RequestState.DECLINED, "lena", timedelta(days=6), True),
        (RequestState.DECLINED, "lena", timedelta(days=8), False),
        (RequestState.WITHDRAWN, "olive", timedelta(), False),
    ],
)
def test_who_asked_is_told_of_a_decision(state: RequestState, by: str, age: timedelta, is_told: bool) -> None:
    decided = replace(REQUEST, state=state, decided_by=by, decided_at=NOW - age)
    assert told(of_decisions([decided], NOW)) == ([("request_decided", "olive")] if is_told else [])


@pytest.mark.parametrize(
    ("due", "is_pressing", "expected"),
    [
        (TODAY + timedelta(days=9), False, []),
        (TODAY + timedelta(days=2), True, [("case_pressing", "lena")]),
        (TODAY, True, [("case_due", "lena")]),
        (TODAY - timedelta(days=1), True, [("case_overdue", "dora"), ("case_overdue", "lena")]),
        (None, False, []),
    ],
)
def test_a_case_presses_is_due_and_is_overdue(
    due: date | None, is_pressing: bool, expected: list[tuple[str, str]]
) -> None:
    case = CaseClock(id="SAR-2026-0001", handler="lena", due_on=due, is_pressing=is_pressing)
    assert told(of_cases([case], BENCH, TODAY)) == expected


def test_a_case_that_was_extended_presses_again() -> None:
    first = CaseClock(id="SAR-2026-0001", handler="lena", due_on=TODAY + timedelta(days=2), is_pressing=True)
    later = replace(first, due_on=TODAY + timedelta(days=3))
    keys = {one.key for case in (first, first, later) for one in of_cases([case], BENCH, TODAY)}
    assert len(keys) == 2


def opt_out(**changes: object) -> dict[str, object]:
    return {
        "id": "00000001", "call": "20261125T090000Z-2001-0a1b2c", "state": "raised", "team": "Revenues",
        "extensions": ["2001"], "operators": ["Olive"], "teams_now": ["Revenues"],
        "raised_by": "olive", "decided_by": None, **changes,
    }  # fmt: skip


def test_an_opt_out_is_told_to_who_can_grant_it() -> None:
    assert told(of_opt_outs([opt_out()], BENCH)) == [
        ("opt_out_waits", "mary"), ("opt_out_waits", "lena"),
    ]  # fmt: skip
    assert told(of_opt_outs([opt_out(state="declined", decided_by="mary")], BENCH)) == [("opt_out_decided", "olive")]
    assert of_opt_outs([opt_out(state="lapsed")], BENCH) == []


def test_both_are_told_that_a_phone_was_taken_over() -> None:
    names = {person.name: person.display_name for person in PEOPLE}
    taken = {"extension": "2001", "operator": names["olive"], "instead_of": names["mary"], "at": "2026-11-24T09:00Z"}
    found = of_takeovers([taken], BENCH)
    assert set(told(found)) == {("taken_over", "olive"), ("taken_over", "mary")}
    assert "2001" not in "".join(one.key for one in found), "a mail names no phone"
    assert of_takeovers([{**taken, "operator": "gone", "instead_of": ""}], BENCH) == []


def test_the_review_of_the_policy_is_reminded_of_twice() -> None:
    day = TODAY + REVIEW_REMINDED_FOR
    assert of_policy(day + timedelta(days=1), BENCH, TODAY) == []
    (near,) = of_policy(day, BENCH, TODAY)
    (due,) = of_policy(day, BENCH, day)
    assert (near.account, due.account) == ("dora", "dora")
    assert near.key != due.key
    assert review_day(date(2024, 2, 29)) == date(2027, 3, 1)
    assert review_day(date(2026, 11, 25)) == date(2029, 11, 25)


def test_where_no_day_of_a_review_is_known_the_officer_is_told_each_month() -> None:
    (first,), (later,) = of_policy(None, BENCH, TODAY), of_policy(None, BENCH, TODAY.replace(day=28))
    (next_month,) = of_policy(None, BENCH, TODAY + timedelta(days=31))
    assert told([first]) == [("policy_undated", "dora")]
    assert first.key == later.key != next_month.key
    assert "policy_reviewed_on" in WORDING[NotificationKind.POLICY_UNDATED].sentence


def finding(number: int, day: date, team: str, verdict: str) -> StoredFinding:
    return StoredFinding(id=f"{number:016x}", day=day, team=team, document={"verdict": verdict, "extension": "2001"})


def test_calls_to_explain_are_told_to_those_who_answer_for_their_team_once_a_day() -> None:
    bench = Approvers(people=(*PEOPLE, person("ida", Role.ICT)))
    yesterday, before = TODAY - timedelta(days=1), TODAY - timedelta(days=2)
    found = of_findings(
        [
            finding(1, yesterday, "Revenues", "silent"), finding(2, yesterday, "Revenues", "not_recorded"),
            finding(3, yesterday, "Housing", "silent"), finding(4, before, "Revenues", "short"),
        ],
        bench,
    )  # fmt: skip
    days = {(one.account, one.moment) for one in found}
    everybody = {(name, str(day)) for name in ("mary", "lena", "dora", "ida") for day in (yesterday, before)}
    assert days == everybody | {("hugo", str(yesterday))}
    texts = {one.account: one.text for one in found if one.moment == str(yesterday)}
    assert texts["mary"] == "Not recorded: 1\nSilent: 1"
    assert texts["dora"] == "Not recorded: 1\nSilent: 2"
    assert "2001" not in "".join(one.text for one in found)


def test_a_share_that_has_risen_is_told_to_the_officer_and_ict_once_a_week() -> None:
    bench = Approvers(people=(*PEOPLE, person("ida", Role.ICT)))
    days = {TODAY - timedelta(days=one): DayCount(calls=100, bad=20 if one < 3 else 0) for one in range(1, 35)}
    trends = [trend_of(days, TODAY - timedelta(days=one)) for one in (1, 2, 3)]
    first, again, never = (of_trend(one, bench) for one in trends)
    assert [one.account for one in first] == ["dora", "ida"]
    assert [one.key for one in first] == [one.key for one in again]
    assert "20 of 100 calls" in first[0].text
    assert never == []


def test_nobody_is_told_whose_account_is_no_longer_used() -> None:
    assert usable([Notification(kind=NotificationKind.HOLD_DUE, account="gone")], PEOPLE) == []


def test_mails_wait_longer_each_time_up_to_an_hour() -> None:
    waits = [retry_after(tries) for tries in range(1, 12)]
    assert waits[:4] == [timedelta(minutes=m) for m in (1, 2, 4, 8)]
    assert set(waits[6:]) == {timedelta(hours=1)}
    assert retry_after(10_000) == timedelta(hours=1)


@pytest.mark.parametrize("kind", list(NotificationKind))
def test_a_mail_says_that_something_is_so_and_nothing_of_a_call(kind: NotificationKind) -> None:
    told = Notification(kind=kind, account="dora", subject="1a2b3c4d")
    mail = mail_of(
        told, "dora@council.example", sender="recorder@council.example", site="Test\r\nBcc: x@evil.example", now=NOW,
        console_url="https://recorder.council.example/",
    )  # fmt: skip
    assert set(mail.keys()) == {
        "Subject", "From", "To", "Date", "Message-ID", "Auto-Submitted", "Content-Type",
        "Content-Transfer-Encoding", "MIME-Version",
    }  # fmt: skip
    assert mail["To"] == "dora@council.example"
    assert f"https://recorder.council.example{WORDING[kind].path}" in mail.get_content()


@pytest.mark.parametrize(
    "address",
    [
        "a@b\nBcc: c@d", "a@b, c@d", "a b@c", "<a@b>", "a@b>", "@b", "a@", "a@@b", '"x"@b', "a@b;c@d", "ä@b.example",
        "a@b\r\n", "a" * 65 + "@b.example", "a@" + "b" * 253, "", "a@b\x00", "-@.b",
    ],
)  # fmt: skip
def test_what_is_no_address(address: str) -> None:
    assert not is_mail_address(address)


def test_what_is_an_address() -> None:
    assert is_mail_address("first.o'last+tag@mail.council.example")


@pytest.mark.parametrize(
    ("options", "key"),
    [
        (MailOptions(smtp="mx:25"), "smtp"),
        (MailOptions(smtp="mx:0", sender="a@b.example"), "smtp"),
        (MailOptions(sender="nobody"), "sender"),
        (MailOptions(console_url="recorder.example"), "console_url"),
        (MailOptions(console_url="https://user@recorder.example"), "console_url"),
        (MailOptions(console_url="https://recorder.example/?a=b"), "console_url"),
        (MailOptions(console_url="https://recorder.example/\nBcc: a@b"), "console_url"),
        (MailOptions(console_url="javascript:alert(1)"), "console_url"),
        (MailOptions(user="a"), "user"),
        (MailOptions(user="a", password_file="f", security=SmtpSecurity.NONE), "security"),
    ],
)
def test_what_cannot_work_is_refused_by_its_key(options: MailOptions, key: str) -> None:
    assert options.problem is not None
    assert options.problem[0] == key


def test_off_is_fine() -> None:
    assert MailOptions().problem is None
    assert MailOptions().server is None


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-11-23T06:59", "2026-11-16T07:00"),  # a Monday
        ("2026-11-23T07:00", "2026-11-23T07:00"),
        ("2026-11-29T23:59", "2026-11-23T07:00"),
        ("2026-03-30T06:30", "2026-03-30T07:00"),  # the clocks went forward the day before: 7:30 in London
    ],
)
def test_the_week_ends_on_its_day_at_seven_by_the_councils_clock(now: str, expected: str) -> None:
    found = last_weekly(datetime.fromisoformat(now).replace(tzinfo=UTC), Weekday.MONDAY, LONDON)
    assert found.replace(tzinfo=None) == datetime.fromisoformat(expected)


def test_the_figures_of_a_week_are_counts() -> None:
    assert counted([]) == CallTotals(outcomes={})
    week = Week(
        start=NOW, end=NOW, calls=CallTotals(outcomes={"recorded": 3}, opted_out=1), acts={"refused": 2}, deleted=5
    )
    lines = dict(week.lines())
    assert lines["Calls recorded"] == "3"
    assert (lines["Calls opted out"], lines["Access refused"], lines["Records deleted"]) == ("1", "2", "5")
    assert lines["Next review of the policy"].startswith("not set")
    labels = [label for label in lines if label.startswith("Calls ")]
    assert labels[: len(Outcome)] == [
        "Calls recorded", "Calls partly recorded", "Calls not recorded", "Calls without a conversation",
        "Calls whose recording failed",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("act", "word"),
    [
        ("access.refused", "refused"), ("recording.play.refused", "refused"), ("request.ask", "asked"),
        ("people.sign_in_refused", "sign_ins_refused"), ("recording.view", None), ("request.declined", "declined"),
    ],
)  # fmt: skip
def test_what_is_counted_of_the_audit_log(act: str, word: str | None) -> None:
    assert word_of(act) == word
