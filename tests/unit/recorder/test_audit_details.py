"""Details of audit entries are words, and what is empty is left out."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from recorder.audit.details import details_in_words
from recorder.audit.reading import AuditQuery


def _shown(details: dict[str, Any]) -> list[tuple[str, str]]:
    return details_in_words(details, ZoneInfo("Europe/London"))


def test_a_look_at_the_whole_log_says_only_whether_texts_were_shown() -> None:
    assert _shown(AuditQuery().describe(with_texts=False)) == [("texts", "no")]


def test_a_search_of_the_log_says_what_was_looked_for() -> None:
    query = AuditQuery(act="call.pause", actor="dpo", start=datetime(2026, 11, 28, 5, 46, tzinfo=UTC))
    expected = [
        ("act", "paused a recording"),
        ("from", "28 November 2026, 5:46:00am"),
        ("by", "actor"),
        ("texts", "yes"),
    ]
    assert _shown(query.describe(with_texts=True)) == expected


@pytest.mark.parametrize("value", [None, "", [], {}, [None]])
def test_what_is_empty_is_left_out(value: object) -> None:
    assert _shown({"found": value}) == []


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("granted_s", 1800.0, ("granted", "30 minutes")),
        ("granted_s", 61.5, ("granted", "61.5 seconds")),
        ("offset_s", 0, ("offset", "0 seconds")),
        ("found", 0, ("found", "0")),
        ("bytes", 1234567, ("bytes", "1,234,567")),
        ("is_proven", False, ("proven", "no")),
        ("roles", ["team_leader", "dpo"], ("roles", "team leader, dpo")),
        ("from", "2026-02-30T00:00:00Z", ("from", "2026-02-30T00:00:00Z")),
        ("days", {"old": 90, "new": None}, ("days", "old 90, new none")),
        ("file", "a_b.c", ("file", "a_b.c")),
        ("spans", [{"from_s": 0.0, "to_s": 3.5}], ("spans", "from 0 seconds, to 3.5 seconds")),
    ],
)
def test_values_are_words(name: str, value: object, shown: tuple[str, str]) -> None:
    assert _shown({name: value}) == [shown]
