"""Templates get words for codes, and times in the site's zone."""

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from recorder.permissions import Role
from recorder.rules.requesting import Category
from recorder.web.word_filters import filters_for
from storage.retention_types import HoldKind
from storage.types import SegmentKind

FILTERS = filters_for(ZoneInfo("Europe/London"))
AT = datetime(2026, 7, 1, 4, 46, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("when", AT, "1 July 2026, 5:46am"),
        ("when", "2026-07-01T04:46:09+00:00", "1 July 2026, 5:46am"),
        ("when", None, ""),
        ("when_exact", AT, "1 July 2026, 5:46:09am"),
        ("when_short", AT, "1 Jul 2026, 5:46am"),
        ("clock", AT, "5:46am"),
        ("clock", "", ""),
        ("clock_exact", AT, "5:46:09am"),
        ("day", date(2026, 7, 1), "1 July 2026"),
        ("duration", 200.4, "3 minutes 20 seconds"),
        ("position", 65.34, "1:05.3"),
        ("minutes", 65.34, "1:05"),
        ("parts", [(0, 12), (65.3, 70)], "0:00 to 0:12, 1:05.3 to 1:10"),
        ("state", SegmentKind.OPTED_OUT, "Opted out"),
        ("state", "not_begun", "Not recorded yet"),
        ("words", SegmentKind.OPTED_OUT, "opted out"),
        ("words", "not_begun", "not recorded yet"),
        ("hold_kind", HoldKind.SAR, "Subject access request"),
        ("held_for", HoldKind.SAR, "Held for a subject access request"),
        ("category", Category.QUALITY, "Quality of service"),
        ("reason", "caller_hung_up", "caller hung up"),
        ("event", "people.sign_in", "signed in"),
        ("alarm", "disk_full", "Disk full"),
        ("outcome", "partial", "Partly recorded"),
        ("message", "first", "First message"),
        ("message", "second.cy", "Second message, Welsh"),
        ("actor", "os:root", "root, at the command line"),
        ("actor", "olive", "olive"),
        ("actor", "officer:Olive Officer", "Olive Officer"),
        ("actor", "officer:", "the officer"),
        ("code", "run `a <b>`, then <i>", "run <code>a &lt;b&gt;</code>, then &lt;i&gt;"),
        ("code", "a single ` stays", "a single ` stays"),
        ("roles", [Role.OFFICER, Role.DPO, Role.ICT], "ICT, data protection officer and officer"),
        ("plain", "people.sign_in", "signed in"),
        ("plain", "agent,card_digits", "by the officer, card details keyed"),
        ("detail", {"os_user": "root", "by": []}, "user of the operating system root, by none"),
        ("detail", ["card_data", True, None], "card details, yes, none"),
    ],
)
def test_a_filter_says_it_in_words(name: str, value: object, wanted: str) -> None:
    told: Any = FILTERS[name](value)
    assert told == wanted
