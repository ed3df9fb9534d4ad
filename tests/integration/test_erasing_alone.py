"""What one person alone may have erased of a finished recording: small orders add up."""

import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from recorder.notifications.kinds import NotificationKind
from recorder.notifications.recipients import of_erasures
from recorder.permissions import Person
from recorder.reports.pause_report import pauses_per_officer
from recorder.retention.eraser import alarms_of
from recorder.retention.erasing import forgot_recording, order_erasure
from recorder.retention.erasure_decisions import decide_erasure
from recorder.rules.requesting import Approvers
from storage.erasures import new_order_id
from storage.retention_types import ErasureKind, ErasureOrder, ErasureState
from storage.types import RecordingId
from tests.helpers.erasure_site import DORA, LEA, MONA, OLIVE, SECONDS, ErasureSite
from tests.helpers.storage_home import ID


@pytest.fixture
def site(tmp_path: Path) -> ErasureSite:
    return ErasureSite(tmp_path)


def test_small_orders_add_up(site: ErasureSite) -> None:
    repos = replace(site.repos, forgot_s=2.0)
    first = forgot_recording(repos, OLIVE, ID, span_s=(1.0, 2.0))
    again = forgot_recording(repos, OLIVE, ID, span_s=(1.0, 2.0))
    second = forgot_recording(repos, OLIVE, ID, span_s=(3.0, 4.0))
    assert {order.state for order in (first, again, second)} == {ErasureState.CONFIRMED}
    site.eraser.carry_out_due()
    more = forgot_recording(repos, OLIVE, ID, span_s=(2.0, 2.5))
    assert more.state is ErasureState.WAITING, "piece by piece, nobody erases a whole call alone"
    assert (
        order_erasure(repos, MONA, ID, span_s=(4.0, 4.5), kind=ErasureKind.CARD_DATA, reason="a card").state
        is ErasureState.WAITING
    )
    decide_erasure(repos, MONA, more.id, confirm=True, reason="agreed")
    site.eraser.carry_out_due()
    rest = forgot_recording(repos, OLIVE, ID, span_s=(1.5, 2.0))
    assert rest.state is ErasureState.CONFIRMED, "what others have agreed to does not count"


def test_small_orders_given_at_once_add_up_too(site: ErasureSite) -> None:
    repos = replace(site.repos, forgot_s=1.0)
    found: list[ErasureState] = []

    def forget(second: int) -> None:
        found.append(forgot_recording(repos, OLIVE, ID, span_s=(second, second + 1.0)).state)

    threads = [threading.Thread(target=forget, args=(second,)) for second in range(SECONDS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [ErasureState.CONFIRMED] + [ErasureState.WAITING] * (SECONDS - 1)


@pytest.mark.parametrize(
    ("span_s", "state"),
    [
        ((0.5, 2.0), ErasureState.CONFIRMED),
        ((1.9, 3.0), ErasureState.WAITING),
        ((0.0, None), ErasureState.WAITING),
    ],
)
def test_of_a_call_that_was_handed_over_their_own_part_goes_alone_and_no_other(
    site: ErasureSite, span_s: tuple[float, float | None], state: ErasureState
) -> None:
    segments = [
        {
            "start_s": start_s, "end_s": end_s, "kind": "recording", "operator": operator, "extension": extension,
            "officers": [{"extension": extension, "operator": operator, "team": "Revenues"}],
        }
        for start_s, end_s, operator, extension in (
            (0.0, 2.0, "Olive Officer", "2001"), (2.0, float(SECONDS), "Bob", "2002"),
        )
    ]  # fmt: skip
    site.save(
        path=site.row.path, bytes=site.row.bytes, sha256=site.row.sha256, segments=segments,
        operators=["Olive Officer", "Bob"], extensions=["2001", "2002"],
    )  # fmt: skip
    assert forgot_recording(site.repos, OLIVE, ID, span_s=span_s).state is state


def other_call(site: ErasureSite, number: int) -> RecordingId:
    """Save the row of another finished call of the officer; it names the file of the site's recording."""
    other = RecordingId(f"20261124T0930{number:02d}Z-2001-0a1b2c")
    site.index.save(replace(site.row, id=other))
    return other


def ordered_alone(site: ErasureSite, recording: RecordingId, *, ago: timedelta = timedelta(), **changes: object) -> str:
    """Store an order as a call in progress gives it, which the daemon confirms at once; returns its id."""
    order = ErasureOrder(
        id=new_order_id(), recording=recording, start_s=0.0, end_s=float(SECONDS), kind=ErasureKind.CARD_DATA,
        ordered_by=OLIVE.name, ordered_at=site.now - ago, state=ErasureState.CONFIRMED,
    )  # fmt: skip
    site.erasures.place(replace(order, **changes))  # type: ignore[arg-type]
    return order.id


def test_orders_of_several_calls_add_up_for_a_day(site: ErasureSite) -> None:
    repos = replace(site.repos, alone_day_s=9.0)
    ordered_alone(site, other_call(site, 1))
    ordered_alone(site, other_call(site, 2), ordered_by="otto")
    assert forgot_recording(repos, OLIVE, ID, span_s=(0.0, 4.0)).state is ErasureState.CONFIRMED
    assert forgot_recording(repos, OLIVE, ID, span_s=(0.0, 4.0)).state is ErasureState.CONFIRMED, "the same part"
    assert forgot_recording(repos, OLIVE, ID, span_s=(3.0, 4.5)).state is ErasureState.WAITING


def test_what_was_erased_a_day_ago_does_not_count(site: ErasureSite) -> None:
    ordered_alone(site, other_call(site, 1), ago=timedelta(days=1, seconds=1))
    repos = replace(site.repos, alone_day_s=5.0)
    assert forgot_recording(repos, OLIVE, ID, span_s=(0.0, None)).state is ErasureState.CONFIRMED


@pytest.mark.parametrize(("limit_s", "state"), [(9.9, ErasureState.WAITING), (10.0, ErasureState.DONE)])
def test_an_order_that_was_given_in_a_call_waits_after_it_if_the_day_has_too_many(
    site: ErasureSite, limit_s: float, state: ErasureState
) -> None:
    ordered_alone(site, other_call(site, 1), state=ErasureState.DONE, done_at=site.now)
    order = ordered_alone(site, ID)
    replace(site.eraser, alone_day_s=limit_s).carry_out_due()
    assert site.erasures.get(order).state is state
    why = [one.details["why"] for one in site.entries("erasure.sent_back")]
    assert why == (["alone_day_s"] if state is ErasureState.WAITING else [])
    if state is ErasureState.WAITING:
        decide_erasure(site.repos, MONA, order, confirm=True, reason="agreed")
        replace(site.eraser, alone_day_s=limit_s).carry_out_due()
        assert site.erasures.get(order).state is ErasureState.DONE, "two people have agreed"


def test_three_whole_calls_of_one_officer_in_a_day_raise_an_alarm(site: ErasureSite) -> None:
    for number in (1, 2):
        ordered_alone(site, other_call(site, number))
    ordered_alone(site, other_call(site, 3), ordered_by="otto")
    ordered_alone(site, other_call(site, 4), end_s=1.0)
    assert alarms_of(site.erasures, site.index, site.now) == {}
    ordered_alone(site, ID, end_s=4.6)
    assert alarms_of(site.erasures, site.index, site.now) == {"calls_erased_alone": 1}
    assert alarms_of(site.erasures, site.index, site.now + timedelta(days=1, seconds=1)) == {}


@pytest.mark.parametrize(
    ("people", "told"), [((OLIVE, MONA, LEA, DORA), ["mona"]), ((OLIVE, LEA, DORA), ["lea"])], ids=["manager", "leader"]
)
def test_the_manager_is_notified_of_each(site: ErasureSite, people: tuple[Person, ...], told: list[str]) -> None:
    order = site.erasures.get(ordered_alone(site, ID))
    (found,) = of_erasures([(order, frozenset({"Revenues"}))], Approvers(people=people))
    assert (found.kind, found.account, found.subject) == (NotificationKind.ERASED_ALONE, told[0], order.id)


def test_the_report_of_pauses_counts_what_was_erased(site: ErasureSite) -> None:
    forgot_recording(site.repos, OLIVE, ID, span_s=(1.0, 2.5))
    site.eraser.carry_out_due()
    (line,) = pauses_per_officer([site.index.get(ID)], {})
    assert line.erased == 1
    assert line.erased_s == pytest.approx(1.5, abs=0.1)
