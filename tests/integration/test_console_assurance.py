"""The pages of recording assurance and its JSON: who sees which calls, and how one is explained."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from recorder.assurance.daily import Judged, judge_due
from recorder.common.home import Home
from recorder.permissions import Role
from storage.database import sqlite_url
from storage.index import Index
from storage.rows import row_from_json
from storage.types import RecordingId
from tests.helpers.accounts import PASSWORD
from tests.helpers.console_site import Console, console_site, signed_in
from tests.helpers.storage_home import row

DAY = (datetime.now(ZoneInfo("Europe/London")) - timedelta(days=2)).date()
NOON = datetime.combine(DAY, time(12), ZoneInfo("Europe/London"))


def stored(number: int, team: str, *, is_one_way: bool) -> dict[str, Any]:
    at = NOON + timedelta(minutes=number)
    identity = RecordingId(f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}-2001-{number:06x}")
    return row(
        identity, started_at=at.isoformat(), operator=f"Officer of {team}", team=team, segments=[], duration_s=100.0,
        recorded_s=100.0, speech_s=[40.0, 0.0 if is_one_way else 30.0], is_one_way=is_one_way, caller="02079461234",
    )  # fmt: skip


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with console_site(tmp_path_factory.mktemp("assured-console"), is_daemon_up=False) as made:
        index = Index(sqlite_url(Home(made.home.root).index))
        index.save_many(
            row_from_json(stored(number, team, is_one_way=number % 2 == 1))
            for number, team in enumerate(("Revenues", "Revenues", "Housing", "Housing"))
        )
        index.close()
        first, again = (judge_due(made.deps.watch.assurance) for _ in range(2))
        assert first is not None
        assert first.days >= 2, "the whole days that nobody judged"
        assert again == Judged(days=0, unreadable=0), "once"
        yield made


def test_a_day_without_calls_is_not_said_to_be_recorded(console: Console) -> None:
    today = console.deps.watch.assurance.today
    said = {today: "There are no calls of this day yet", today - timedelta(days=1): "There were no calls on this day"}
    with signed_in(console, "dpo") as browser:
        for day, sentence in said.items():
            page = browser.get(f"/assurance/days/{day}").text
            assert sentence in page
            assert "Every call" not in page


def test_problems_of_other_teams_are_not_hidden_from_a_manager(console: Console) -> None:
    console.people.add("parks", PASSWORD, roles=[Role.MANAGER], teams=["Parks"])
    with signed_in(console, "parks") as browser:
        page = browser.get(f"/assurance/days/{DAY}").text
    assert "None of the calls with a problem are of your teams" in page
    assert "Every call" not in page


def test_a_manager_explains_a_call_of_their_team_and_sees_no_other(console: Console) -> None:
    with signed_in(console, "revenues") as browser:
        (day,) = (one for one in browser.get("/api/assurance/days").json() if one["day"] == DAY.isoformat())
        assert (day["calls"], day["faulty"], day["unexplained"]) == (4, 2, 1)
        found = browser.get(f"/api/assurance/days/{DAY}").json()["findings"]
        assert [(one["verdict"], one["operator"]) for one in found] == [("one_sided", "Officer of Revenues")]
        page = browser.get(f"/assurance/findings/{found[0]['id']}")
        assert "One side only" in page.text
        assert "02079461234" not in page.text
        assert f"/recordings/{found[0]['recording']}" in page.text
        refused = browser.submit(f"/assurance/findings/{found[0]['id']}/explain", reason="")
        assert refused.status_code == 422
        assert "<title>Error: " in refused.text
        done = browser.submit(f"/assurance/findings/{found[0]['id']}/explain", reason="The caller was muted <b>")
        assert done.status_code == 303
        after = browser.get(done.headers["location"])
        assert "The explanation is stored" in after.text
        assert "The caller was muted &lt;b&gt;" in after.text
        assert "To explain" not in browser.get(f"/assurance/days/{DAY}").text
    with signed_in(console, "dpo") as browser:
        everything = browser.get(f"/api/assurance/days/{DAY}").json()
        assert (len(everything["findings"]), everything["unexplained"]) == (2, 1)
        assert browser.get("/api/assurance/days/yesterday").status_code == 404
        assert f'href="/assurance/days/{DAY}"' in browser.get("/assurance").text
    (entry,) = console.entries("assurance.explain")
    assert (entry.actor, entry.subject) == ("revenues", found[0]["id"])


def test_a_page_shows_a_day_as_it_was_judged_and_reads_no_recordings(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: Any, **_named: Any) -> Any:
        raise AssertionError("each page would read all recordings of its day")

    monkeypatch.setattr(console.deps.index, "each", read)
    with signed_in(console, "dpo") as browser:
        assert browser.get(f"/api/assurance/days/{DAY}").json()["calls"] == 4
        last = browser.get("/api/assurance/days/9999-12-31")
        assert (last.status_code, last.json()["calls"]) == (200, 0)
