"""Much card data of a held recording goes by three people's word, one of whom has listened: tried over HTTP (P20)."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, update
from sqlalchemy.exc import IntegrityError

from recorder.access.database import open_people
from recorder.access.tables import erasure_approvals
from recorder.data_subjects import casework
from recorder.permissions import Role
from recorder.retention.holding import place_hold
from recorder.rules.cases import CaseKind
from recorder.rules.holds import HoldWish
from storage.retention_types import ErasureKind, ErasureOrder, ErasureState, HoldKind
from tests.helpers.accounts import PASSWORD, Clock
from tests.helpers.console_site import Browser, Console, console_site, refused, signed_in
from tests.helpers.recorder_home import eventually
from tests.helpers.storage_home import ID

WHY = "the card number is read out"


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 11, 26, 9, 0, tzinfo=UTC))


@pytest.fixture
def console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Iterator[Console]:
    """A site with a recording of three seconds, held for a subject access request; over one second is much."""
    for module in ("rules.erasing", "retention.erasure_repositories", "retention.erasure_decisions"):
        monkeypatch.setattr(f"recorder.{module}.HELD_ALONE_S", 1.0)
    with console_site(tmp_path, now=clock, is_daemon_up=False) as running:
        index, lead = running.deps.copy_repositories.index, running.person("lead")
        index.save(replace(index.get(ID), team="Revenues"))
        case = casework.open_case(
            running.deps.cases, lead, kind=CaseKind.SUBJECT_ACCESS, requester="J. Doe", form="letter", text="my call"
        )
        wish = HoldWish(kind=HoldKind.SAR, reason="asked for", case_reference=case.id)
        place_hold(running.deps.hold_repositories, lead, ID, wish)
        yield running


def order(browser: Browser, *, to_s: float | None = None, from_s: float = 0.0, status: int = 200, **more: Any) -> str:
    wish = {"from_s": from_s, "to_s": to_s, "kind": "card_data", "reason": WHY, **more}
    answer = browser.post(f"/api/recordings/{ID}/erase", json=wish)
    assert answer.status_code == status, answer.text
    return str(answer.json()["id"] if status == 200 else answer.json()["detail"])


def confirm(browser: Browser, one: str) -> str:
    answer = browser.post(f"/api/erasures/{one}/confirm", json={"reason": WHY})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["state"])


def test_two_people_alone_do_not_erase_what_a_request_asks_for(console: Console) -> None:
    with signed_in(console, "lead") as lead:
        assert "third person" in order(lead, status=403)
        for nobody in ("lead", "officer", "ict", "nobody", "housing"):
            order(lead, third=nobody, status=403)
    assert console.deps.repos.erasures.newest(10) == []


def address_of(page: str) -> str:
    """Return the address of the sound that a page plays."""
    found = re.search(r'src="(/recordings/[^"]+/audio/[^"]+)"', page)
    assert found is not None
    return found[1]


def is_heard(console: Console, one: str, by: str) -> None:
    """Wait until all that was sent is noted: the answer is there a little before."""
    approvals = console.deps.repos.approvals
    assert approvals is not None
    eventually(lambda: (found := approvals.get(one)) and found.heard_by == by, f"{by} was sent all of the span")


def test_three_people_one_of_whom_has_listened(console: Console, clock: Clock) -> None:
    with signed_in(console, "lead") as lead, signed_in(console, "dpo") as dpo, signed_in(console, "revenues") as third:
        one = order(lead, to_s=2.0, third="revenues")
        assert "Enter why" in refused(dpo.post(f"/api/erasures/{one}/confirm"), 422)
        assert confirm(dpo, one) == "waiting"
        assert "approved this already" in refused(dpo.post(f"/api/erasures/{one}/confirm", json={"reason": WHY}), 409)
        assert "listened" in refused(third.post(f"/api/erasures/{one}/confirm", json={"reason": WHY}), 409)
        assert lead.submit(f"/erasures/{one}/listen").status_code == 403, "not who ordered it"
        page = third.get(f"/erasures/{one}").text
        assert "The part is 2 seconds long" in page
        assert "The call was not paused." in page
        (listed,) = third.get("/api/erasures").json()["erasures"]
        known = {"third": "revenues", "has_third": False, "dpo_by": "dpo", "heard_by": None, "pauses": []}
        assert {name: listed["approval"][name] for name in known} == known
        address = address_of(third.submit(f"/erasures/{one}/listen").text)
        sound = third.get(address)
        assert (sound.content[:4], len(sound.content)) == (b"RIFF", 44 + 2 * 8000 * 2 * 2), "the span and no more"
        console.give_leave("revenues")
        assert third.submit(f"/recordings/{ID}/play").status_code == 409, "all of it is locked"
        is_heard(console, one, "revenues")
        clock.time += timedelta(seconds=2)
        assert confirm(third, one) == "confirmed"
        assert third.get(address).status_code == 409, "decided: nothing more to hear"
    assert [str(done.state) for done in console.deps.eraser.carry_out_due()] == ["done"]
    (case,) = console.deps.cases.cases.all()
    assert case.entries[-1].by == "recorder"
    assert one in case.entries[-1].text
    assert "0.0 s to 2.0 s" in case.entries[-1].text
    approved = [(entry.actor, entry.details["is_third"]) for entry in console.entries("erasure.approved")]
    assert approved == [("dpo", False), ("revenues", True)]
    (opened,) = console.entries("recording.play.opened")
    assert (opened.actor, opened.details["order"], opened.details["end_s"]) == ("revenues", one, 2.0)


def test_who_was_sent_a_part_or_had_no_time_has_not_listened(console: Console, clock: Clock) -> None:
    with signed_in(console, "lead") as lead, signed_in(console, "dpo") as dpo, signed_in(console, "revenues") as third:
        one = order(lead, to_s=2.0, third="revenues")
        assert confirm(dpo, one) == "waiting"
        address = address_of(third.submit(f"/erasures/{one}/listen").text)
        size = 44 + 2 * 8000 * 2 * 2
        for wanted in ("bytes=0-0", f"bytes=0-{size // 2}", f"bytes={size - 8000}-"):
            assert third.get(address, headers={"Range": wanted}).status_code == 206
            clock.time += timedelta(seconds=10)
            assert "listened" in refused(third.post(f"/api/erasures/{one}/confirm", json={"reason": WHY}), 409)
        address = address_of(third.submit(f"/erasures/{one}/listen").text)
        for wanted in (f"bytes=0-{size // 2}", f"bytes={size // 2}-"):  # as a player that seeks
            third.get(address, headers={"Range": wanted})
        is_heard(console, one, "revenues")
        assert "cannot have heard" in refused(third.post(f"/api/erasures/{one}/confirm", json={"reason": WHY}), 409)
        clock.time += timedelta(seconds=1.9)
        assert "cannot have heard" in refused(third.post(f"/api/erasures/{one}/confirm", json={"reason": WHY}), 409)
        clock.time += timedelta(seconds=0.1)
        assert confirm(third, one) == "confirmed"


def test_who_listens_is_one_of_the_two_who_approve(console: Console, clock: Clock) -> None:
    console.people.add("dina", PASSWORD, display_name="Dina", roles={Role.DPO})
    with signed_in(console, "lead") as lead, signed_in(console, "dina") as other, signed_in(console, "dpo") as dpo:
        one = order(lead, to_s=2.0, third="revenues")
        other.get(address_of(other.submit(f"/erasures/{one}/listen").text))
        is_heard(console, one, "dina")
        clock.time += timedelta(seconds=3)
        assert confirm(dpo, one) == "waiting"
        with signed_in(console, "revenues") as third:
            assert "listened" in refused(third.post(f"/api/erasures/{one}/confirm", json={"reason": WHY}), 409)
            dpo.get(address_of(dpo.submit(f"/erasures/{one}/listen").text))
            is_heard(console, one, "dpo")
            clock.time += timedelta(seconds=3)
            other.get(address_of(other.submit(f"/erasures/{one}/listen").text))
            assert confirm(third, one) == "confirmed", "another one who listens later changes nothing"


def test_small_ones_add_up(console: Console) -> None:
    with signed_in(console, "lead") as lead, signed_in(console, "dpo") as dpo:
        one = order(lead, to_s=0.6)
        assert confirm(dpo, one) == "confirmed", "as before"
        console.deps.eraser.carry_out_due()
        assert "third person" in order(lead, from_s=1.0, to_s=1.6, status=403)
        order(lead, from_s=1.0, to_s=1.3)


def test_the_third_person_alone_is_not_enough_and_a_dpo_is_not_both(console: Console) -> None:
    with signed_in(console, "lead") as lead, signed_in(console, "dpo") as dpo, signed_in(console, "revenues") as third:
        one = order(lead, third="dpo")
        assert confirm(dpo, one) == "waiting"
        refused(dpo.post(f"/api/erasures/{one}/confirm", json={"reason": WHY}), 409)
        refused(third.post(f"/api/erasures/{one}/confirm", json={"reason": WHY}), 403)


def test_an_order_whose_last_approval_was_cut_short_goes_on(console: Console) -> None:
    with signed_in(console, "lead") as lead, signed_in(console, "dpo") as dpo:
        one = order(lead, third="revenues")
        approvals, now = console.deps.repos.approvals, console.deps.now()
        assert approvals is not None
        approvals.heard(one, "dpo", now)
        for name in ("dpo", "revenues"):  # and then the console was killed
            approvals.approve(one, name, now, enter=lambda: None)
        assert confirm(dpo, one) == "confirmed"


def test_what_was_confirmed_elsewhere_is_not_carried_out(console: Console) -> None:
    """As by an older version, or by who writes into the index: the key holder looks for three people itself."""
    now = console.deps.now()
    console.deps.repos.erasures.place(
        ErasureOrder(
            id="0a0a0a0a",
            recording=ID,
            start_s=0.0,
            end_s=None,
            kind=ErasureKind.CARD_DATA,
            ordered_by="lead",
            ordered_at=now,
            state=ErasureState.CONFIRMED,
            decided_by="dpo",
            decided_at=now,
        )
    )
    (sent_back,) = console.deps.eraser.carry_out_due()
    assert sent_back.state is ErasureState.WAITING
    with signed_in(console, "dpo") as dpo:
        assert "names no third person" in refused(dpo.post("/api/erasures/0a0a0a0a/confirm", json={"reason": WHY}), 409)


def test_the_database_keeps_it_to_three(console: Console) -> None:
    engine = open_people(console.home.people)
    row = {"erasure": "1", "ordered_by": "lead", "third": "revenues"}
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(insert(erasure_approvals).values(**{**row, "third": "lead"}))
    with engine.begin() as connection:
        connection.execute(insert(erasure_approvals).values(**row))
    for values in (
        {"dpo_by": "revenues", "dpo_s": 1.0}, {"dpo_by": "lead", "dpo_s": 1.0}, {"dpo_by": "ict", "dpo_s": 1.0},
        {"heard_by": "lead", "heard_s": 1.0}, {"third": "dpo"},
        {"dpo_by": "dpo", "dpo_s": 1.0, "third_s": 1.0, "heard_by": "housing", "heard_s": 1.0},
        {"dpo_by": "dpo", "dpo_s": 1.0, "third_s": 1.0},
    ):  # fmt: skip
        with pytest.raises(IntegrityError), engine.begin() as connection:
            connection.execute(update(erasure_approvals).values(**values))
    engine.dispose()
