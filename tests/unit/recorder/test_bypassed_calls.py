"""The list of calls that no recorder took: its lines, and what is told of them."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from recorder.reports.bypassed_calls import BypassedCall, UnreadableLineError, bypass_report, read_line
from recorder.rules.policy import Extension

NOON = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
NOMINATED = {
    number: Extension(number=number, operator="alice", service="Revenues", team=team)
    for number, team in (("2001", "North"), ("2002", "South"))
}


def line(call_id: str, *, at: datetime = NOON, extension: str = "2001", code: str = "200") -> str:
    reason = {"200": "not recorded", "503": "refused"}.get(code, "")
    seconds = round(at.timestamp())
    return f"INVITE|c910e060bfb3||{call_id}|{code}|{reason}|{seconds}|in|{extension}|192.0.2.30"


def call(call_id: str, minutes: float, **more: str) -> BypassedCall:
    return read_line(line(call_id, at=NOON + timedelta(minutes=minutes), **more))


def report(*calls: BypassedCall, teams: frozenset[str] | None = None) -> dict[str, object]:
    day = timedelta(days=1)
    return bypass_report(calls, NOMINATED, start=NOON - day, end=NOON + day, teams=teams).as_json()


def test_a_line_is_read() -> None:
    assert read_line(line("a@pbx") + "\n") == BypassedCall(
        at=NOON, direction="in", extension="2001", call_id="a@pbx", is_refused=False
    )
    assert read_line(line("a", code="503")).is_refused


@pytest.mark.parametrize(
    "text",
    [
        "", line("a")[:-12], line("a") + "|x", line("a", code="404"), line("a").replace("|in|", "|sideways|"),
        line("a").replace(str(round(NOON.timestamp())), "yesterday"),
        line("a").replace(str(round(NOON.timestamp())), "9" * 30),
    ],
)  # fmt: skip
def test_a_torn_or_foreign_line_is_refused(text: str) -> None:
    with pytest.raises(UnreadableLineError):
        read_line(text)


@pytest.mark.parametrize("end", range(len(line("a@pbx"))))
def test_no_line_is_misread_wherever_it_is_torn(end: int) -> None:
    whole = read_line(line("a@pbx"))
    with suppress(UnreadableLineError):
        assert read_line(line("a@pbx")[:end]) == whole, "the last field says nothing of the call"


def test_calls_are_counted_once_by_the_times_in_which_they_went_round() -> None:
    told = report(
        call("c", 21, code="503"), call("a", 0), call("b", 9), call("b", 9.1), call("d", 22, extension="20-02"),
        call("e", 1, extension="4711"), call("f", -3000),
    )  # fmt: skip
    assert (told["not_recorded"], told["refused"], told["not_nominated"]) == (3, 1, 1)
    assert told["spans"] == [
        {"from": "2026-11-29T12:00:00Z", "to": "2026-11-29T12:09:00Z", "not_recorded": 2, "refused": 0},
        {"from": "2026-11-29T12:21:00Z", "to": "2026-11-29T12:22:00Z", "not_recorded": 1, "refused": 1},
    ]
    calls = told["calls"]
    assert isinstance(calls, list)
    assert [(one["sip_call_id"], one["extension"], one["team"]) for one in calls] == [
        ("a", "2001", "North"), ("b", "2001", "North"), ("c", "2001", "North"), ("d", "2002", "South"),
    ]  # fmt: skip


def test_a_manager_sees_their_teams() -> None:
    told = report(call("a", 0), call("b", 1, extension="2002"), teams=frozenset({"South"}))
    assert told["not_recorded"] == 1
    assert report()["spans"] == []
