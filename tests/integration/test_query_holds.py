"""Holds by search in a real database: what fits is kept from the sweep, made before or after, until it is released."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from recorder.retention.claims_due import count_claims
from storage.audit_reading import of_act
from storage.claims import Claims
from storage.hold_journal import replay_holds, steady
from storage.holds import new_hold_id
from storage.old_calls import OldCall, OldCalls
from storage.query_holds import QueryHold, QueryHolds, Release
from storage.query_journal import CHANGED, PLACED, RELEASED, changed_details, placed_details, released_details
from storage.retention_types import Claim, ClaimState, HoldKind, Right
from storage.rows import row_from_json
from storage.types import RecordingId, Search
from tests.helpers.storage_home import row
from tests.helpers.sweep_site import GONE, NOW, PRESENT, SweepSite, agreed

DAY = timedelta(days=1)
CASE = "SAR-2026-0001"
CALLER, ANOTHER = "020 7946 0000", "020 7946 0999"


@pytest.fixture
def site(tmp_path: Path, ready_url: str) -> Iterator[SweepSite]:
    made = SweepSite(tmp_path, ready_url)
    try:
        yield made
    finally:
        made.close()


def placed(site: SweepSite, at: datetime = NOW - DAY, **changes: Any) -> QueryHold:
    """Place a hold by search as its own act does: audit log, then table."""
    query = QueryHold(
        id=new_hold_id(), case_reference=CASE, kind=HoldKind.SAR, owner="lena", placed_by="lena", placed_at=at,
        **changes,
    )  # fmt: skip
    site.now = at
    site.audit.append(PLACED, "lena", CASE, placed_details(query), query.number)
    QueryHolds(site.database).save([query])
    return query


def end(site: SweepSite, query: QueryHold) -> None:
    """Have a hold by search ended long ago: audit log, then table."""
    ended = replace(query, ends_at=NOW - 300 * DAY)
    site.audit.append(CHANGED, "dora", CASE, changed_details(ended, NOW))
    QueryHolds(site.database).save([ended])


FITTING: list[dict[str, Any]] = [
    {"number": CALLER}, {"number": "+44 20 7946 0000"}, {"number": "442079460000"},
    {"operator": "a.officer"}, {"extension": "2001"},
    {"started_from": NOW - 96 * DAY, "started_to": NOW - 94 * DAY}, {},
    {"number": CALLER, "operator": "a.officer", "extension": "2001", "started_from": NOW - 96 * DAY},
]  # fmt: skip
OTHERS: list[dict[str, Any]] = [
    {"number": ANOTHER}, {"operator": "c.officer"}, {"extension": "2009"}, {"started_from": NOW - 94 * DAY},
    {"started_to": NOW - 96 * DAY}, {"number": CALLER, "operator": "c.officer"},
]  # fmt: skip


def test_what_fits_is_kept_from_the_sweep(site: SweepSite) -> None:
    one = site.record(NOW - 95 * DAY)
    for search in FITTING:
        query = placed(site, **search)
        assert query.fits(site.index.get(one)), search
        assert site.index.get(one).holds == ("sar",), search
        assert site.sweep() == {"held": 1}, search
        assert site.traces(one) == PRESENT, search
        assert [hold.case_reference for hold in site.holds.keeping(one, NOW)] == [CASE], search
        assert list(site.holds.held_ids(NOW)) == [one], search
        end(site, query)


def test_nothing_else_is_kept(site: SweepSite) -> None:
    one = site.record(NOW - 95 * DAY)
    for search in OTHERS:
        query = placed(site, **search)
        assert not query.fits(site.index.get(one)), search
        assert site.index.get(one).holds == (), search
        assert list(site.holds.held_ids(NOW)) == [], search
    assert site.sweep()["recordings"] == 1
    assert site.traces(one) == GONE


def test_a_call_is_found_by_every_officer_and_number(site: SweepSite) -> None:
    one = site.record(NOW - 95 * DAY)
    known = site.index.get(one)
    site.index.save(
        replace(known, operators=(*known.operators, "Bea"), extensions=(*known.extensions, "2007"), numbers=(ANOTHER,))
    )
    searches: list[dict[str, Any]] = [{"operator": "Bea"}, {"extension": "2007"}, {"number": ANOTHER}]
    for search in searches:
        query = placed(site, **search)
        assert query.fits(site.index.get(one))
        assert site.index.get(one).holds == ("sar",)
        end(site, query)


def test_what_is_made_or_indexed_after_the_opening_is_kept_too(site: SweepSite) -> None:
    placed(site, number=CALLER, at=NOW - 200 * DAY)
    later, other = site.record(NOW - 100 * DAY), site.record(NOW - 100 * DAY)
    site.index.save(replace(site.index.get(other), caller=ANOTHER))
    again = site.index.get(later)
    site.index.remove(later)
    site.index.save(again)  # as a reindex does
    assert site.sweep() == {"held": 1, "recordings": 1, "bytes": again.bytes}
    assert site.traces(later) == PRESENT


class WhileItPlans(OldCalls):
    """A case is opened between what a sweep plans and what it deletes."""

    def __init__(self, site: SweepSite) -> None:
        super().__init__(site.database)
        self._site = site
        self._looks = 0

    def begun_by(self, moment: datetime, on_damaged: Callable[[RecordingId], None]) -> Iterator[list[OldCall]]:
        self._looks += 1
        for page in super().begun_by(moment, on_damaged):
            if self._looks == 2:
                placed(self._site, number=CALLER)
            yield page


def test_a_case_that_is_opened_during_a_sweep_loses_nothing(site: SweepSite) -> None:
    one = site.record(NOW - 95 * DAY)
    sweeper = replace(site.sweeper(NOW), calls=WhileItPlans(site))
    assert agreed(sweeper).run().counts["held"] == 1
    assert site.traces(one) == PRESENT


def test_a_wide_hold_ends_by_itself(site: SweepSite) -> None:
    one = site.record(NOW - 95 * DAY)
    placed(site, ends_at=NOW + 13 * DAY)
    assert site.sweep() == {"held": 1}
    assert site.sweep(NOW + 12 * DAY) == {"held": 1}
    assert site.sweep(NOW + 13 * DAY)["recordings"] == 1
    assert site.traces(one) == GONE


def test_what_a_person_released_is_kept_for_its_days_of_grace(site: SweepSite) -> None:
    one, other = site.record(NOW - 95 * DAY), site.record(NOW - 95 * DAY)
    placed(site, number=CALLER)
    release = Release(case_reference=CASE, recording=one, grace_until=NOW + 14 * DAY)
    site.audit.append(RELEASED, "lena", CASE, released_details([release], NOW), "another caller")
    QueryHolds(site.database).save((), [release])
    assert QueryHolds(site.database).released(CASE) == {one}
    assert site.sweep() == {"held": 2}
    assert site.sweep(NOW + 14 * DAY)["held"] == 1
    assert (site.traces(one), site.traces(other)) == (GONE, PRESENT)
    assert list(site.holds.held_ids(NOW + 14 * DAY)) == [other]


def test_a_release_that_nobody_wrote_down_lets_no_sweep_destroy_anything(site: SweepSite) -> None:
    one = site.record(NOW - 95 * DAY)
    placed(site, number=CALLER)
    QueryHolds(site.database).save((), [Release(case_reference=CASE, recording=one, grace_until=NOW - DAY)])
    assert site.sweep() == {"held": 1}
    assert site.traces(one) == PRESENT
    assert QueryHolds(site.database).releases() == set()


def test_two_cases_hold_one_recording_and_one_release_is_not_the_others(site: SweepSite) -> None:
    one = site.record(NOW - 95 * DAY)
    for case in (CASE, "SAR-2026-0002"):
        query = replace(placed(site, number=CALLER), case_reference=case)
        QueryHolds(site.database).save([query])
    QueryHolds(site.database).save((), [Release(case_reference=CASE, recording=one, grace_until=NOW - DAY)])
    assert [hold.case_reference for hold in site.holds.keeping(one, NOW)] == ["SAR-2026-0002"]
    assert list(site.holds.held_ids(NOW)) == [one]


def test_the_tables_are_made_again_from_the_audit_log(site: SweepSite) -> None:
    one, other = site.record(NOW - 95 * DAY), site.record(NOW - 95 * DAY)
    query = placed(site, number=CALLER, ends_at=NOW + DAY)
    lasting = replace(query, ends_at=None)
    site.audit.append(CHANGED, "dora", CASE, changed_details(lasting, NOW))
    release = Release(case_reference=CASE, recording=other, grace_until=NOW)
    site.audit.append(RELEASED, "lena", CASE, released_details([release], NOW - 14 * DAY), "another caller")
    with site.database.begin() as connection:
        for table in ("query_holds", "query_releases"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    assert replay_holds(site.audit.entries(), site.holds, text=site.audit.text) == 2
    assert QueryHolds(site.database).of_case(CASE) == [lasting]
    assert QueryHolds(site.database).released(CASE) == {other}
    assert replay_holds(site.audit.entries(), site.holds, text=site.audit.text) == 0
    assert site.sweep()["held"] == 1
    assert site.traces(one) == PRESENT


def test_a_number_whose_text_is_lost_holds_more_and_not_less(site: SweepSite) -> None:
    one = site.record(NOW - 95 * DAY)
    site.index.save(replace(site.index.get(one), caller=ANOTHER))
    query = placed(site, number=CALLER)
    known = replay_holds(site.audit.entries(), site.holds)  # the table knows the number: it is kept
    assert (known, QueryHolds(site.database).of_case(CASE)) == (0, [query])
    with site.database.begin() as connection:
        connection.exec_driver_sql("DELETE FROM query_holds")
    replay_holds(site.audit.entries(), site.holds)
    (lost,) = QueryHolds(site.database).of_case(CASE)
    assert (lost.number, lost.is_number_lost) == (None, True)
    assert site.index.get(one).holds == ("sar",)


def test_its_number_is_forgotten_when_it_is_over_and_not_before(site: SweepSite) -> None:
    query = placed(site, number=CALLER, at=NOW - 2000 * DAY)
    (entry,) = of_act(site.audit.path, PLACED)
    site.sweep()
    assert site.audit.text(entry) == CALLER
    ended = replace(query, ends_at=NOW + DAY)
    site.audit.append(CHANGED, "dora", CASE, changed_details(ended, NOW))
    QueryHolds(site.database).save([ended])
    site.sweep(NOW + 2 * DAY)
    assert site.audit.text(entry) is None


def test_a_killed_placing_is_settled_before_anything_is_deleted(site: SweepSite) -> None:
    one = site.record(NOW - 95 * DAY)
    query = placed(site, number=CALLER)
    with site.database.begin() as connection:
        connection.exec_driver_sql("DELETE FROM query_holds")
    site.home.state.mkdir(exist_ok=True)
    (site.home.state / "holds.unsettled").touch()
    with steady(site.home.state, site.holds, site.audit):
        assert QueryHolds(site.database).of_case(CASE) == [query]
    assert site.sweep() == {"held": 1}
    assert site.traces(one) == PRESENT


def test_an_upheld_erasure_waits_for_it(site: SweepSite) -> None:
    one = site.record(NOW - 10 * DAY)
    claim = Claim(
        id="1a2b3c4d", recording=one, right=Right.ERASURE, ground="unlawful", received_on=NOW.date(), asked_by="lena",
        asked_at=NOW, state=ClaimState.UPHELD, decided_by="dora", decided_at=NOW,
    )  # fmt: skip
    Claims(site.database).save([claim])
    assert count_claims(site.holds, NOW) == 1
    placed(site, number=CALLER)
    assert count_claims(site.holds, NOW) == 0
    site.hold(one, NOW)
    plan = site.sweeper(NOW).plan()
    assert (plan.claims, plan.claims_held) == (0, {one: ("complaint", "sar")})
    assert plan.as_json()["claims_held"] == {"count": 1, "kinds": {"complaint": 1, "sar": 1}}


def test_a_call_in_progress_fits_by_its_row(site: SweepSite) -> None:
    live = row_from_json(row(RecordingId("20261125T025900Z-2001-0a1b2c"), started_at="2026-11-25T02:59:00Z"))
    query = placed(site, number=CALLER)
    assert QueryHolds(site.database).keeping(live, NOW) == [query]
    assert QueryHolds(site.database).keeping(replace(live, caller=ANOTHER), NOW) == []
    assert query.search == Search(number=CALLER)
