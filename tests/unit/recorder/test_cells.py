"""Tables on a terminal say codes and times in words."""

from zoneinfo import ZoneInfo

import pytest

from recorder.cli.cells import cell
from storage.types import Outcome

LONDON = ZoneInfo("Europe/London")


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("placed_at", "2026-07-01T04:46:09.5Z", "1 Jul 2026, 5:46am"),
        ("when", "2026-07-01 05:46:09", "1 Jul 2026, 5:46am"),
        ("review_on", "2026-07-01", "1 Jul 2026"),
        ("at", "2026-02-30", "2026-02-30"),
        ("id", "20261125T034732Z-2001-2a8b58", "20261125T034732Z-2001-2a8b58"),
        ("outcome", "no_conversation", "no conversation"),
        ("outcome", Outcome.PARTIAL, "partly recorded"),
        ("reason", "caller_hung_up", "caller hung up"),
        ("reason", "agent,payment_app:till-3", "by the officer, by the payment system till-3"),
        ("reason", "complaint 17, see anna_k", "complaint 17, see anna_k"),
        ("reason", "", ""),
        ("kind", "sar", "subject access request"),
        ("state", "standing", "in force"),
        ("state", "waiting", "waiting"),
        ("roles", "team_leader, dpo", "team leader, data protection officer"),
        ("name", "anna_k", "anna_k"),
        ("is_due", True, "yes"),
        ("until", None, ""),
        ("answers", ["a", "b"], "a, b"),
        ("count", 12, "12"),
    ],
)
def test_a_cell_is_in_words(key: str, value: object, wanted: str) -> None:
    assert cell(key, value, LONDON) == wanted


def test_without_a_zone_a_time_says_that_it_is_utc() -> None:
    assert cell("at", "2026-07-01T04:46:09Z", None) == "1 Jul 2026, 4:46am UTC"
