"""Erasures in the console: marked, confirmed, carried out; locked until then."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from recorder.permissions import Scope
from tests.helpers.accounts import Clock, add_token
from tests.helpers.console_site import Console, console_site, refused, signed_in
from tests.helpers.storage_home import ID

PATH = f"/recordings/{ID}"
API = f"/api{PATH}"
WHY = {"reason": "complaint 12"}


@pytest.fixture
def clock() -> Clock:
    """A minute after the end of the recorded call."""
    return Clock(datetime(2026, 11, 24, 9, 31, 3, tzinfo=UTC))


@pytest.fixture
def console(tmp_path: Path, clock: Clock) -> Iterator[Console]:
    with console_site(tmp_path, now=clock) as running:
        yield running


def acts(console: Console) -> list[str]:
    return [entry.act for entry in console.entries() if entry.act.startswith("erasure.")]


def test_an_officer_who_forgot_marks_a_span_and_it_goes(console: Console) -> None:
    with signed_in(console, "officer") as officer:
        page = officer.submit(f"{PATH}/forgot", start="0:01", end="2", reason="card read out")
        assert page.status_code == 303
        page = officer.get(page.headers["location"])
        assert "will be erased in a moment" in page.text
        assert "This recording is locked." in page.text
        assert "another reason" not in page.text
        (done,) = console.deps.eraser.carry_out_due()
        assert done.ordered_by == "officer"
        shown = officer.get(PATH).text
        assert "is locked" not in shown
        cells = re.sub(r' class="govuk-table__\w+"', "", shown)
        assert '<td>0:01</td><td>0:02</td><th scope="row">Erased</th><td>card details</td><td>officer</td>' in cells
        assert "Card details from 0:01 to 0:02, ordered by officer" in shown
    assert acts(console) == ["erasure.ordered", "erasure.done"]
    assert console.entries("erasure.ordered")[0].details["where"] == "console"


def test_while_an_order_is_open_nobody_listens_and_nobody_copies(console: Console, clock: Clock) -> None:
    clock.time += timedelta(hours=1)
    console.give_leave()
    with signed_in(console, "dpo") as dpo, signed_in(console, "lead") as lead:
        page = dpo.submit(f"{PATH}/play", reason="complaint 12")
        address = page.text.partition('preload="none" src="')[2].partition('"')[0]
        assert dpo.get(address).status_code == 200
        order = dpo.post(f"{API}/erase", json={"from_s": 1, "to_s": 2, "kind": "other", **WHY}).json()
        assert order["state"] == "waiting"
        audited = len(console.entries("recording.export"))
        for answer in (
            dpo.post(f"{API}/export", json={"format": "wav", **WHY}),
            dpo.submit(f"{PATH}/play", reason="complaint 12"),
            dpo.submit(f"{PATH}/export", reason="complaint 12", format="wav"),
            dpo.get(address),
        ):
            assert answer.status_code == 409
            assert "locked" in answer.text
            assert order["id"] in answer.text
            assert "done or declined" in answer.text
        assert len(console.entries("recording.export")) == audited
        assert len(console.entries("access.refused")) == 4
        shown = lead.get(API).json()
        assert (shown["locked"], [e["id"] for e in shown["erasures"]]) == (True, [order["id"]])
        assert [r["locked"] for r in lead.get("/api/recordings").json()["recordings"]] == [True]
        forms = dpo.get(PATH).text
        assert f'href="{PATH}/hold"' in forms
        assert f'action="{PATH}/play"' not in forms
        assert f'action="{PATH}/export' not in forms
        assert lead.post(f"/api/erasures/{order['id']}/decline", json=WHY).json()["state"] == "declined"
        assert lead.get(API).json()["locked"] is False
        assert dpo.post(f"{API}/export", json={"format": "wav", **WHY}).status_code == 200


def test_a_second_person_confirms_on_the_page(console: Console, clock: Clock) -> None:
    clock.time += timedelta(hours=1)
    with signed_in(console, "officer") as officer:
        said = officer.submit(f"{PATH}/forgot", start="1", end="").headers["location"]
        assert "second person" in officer.get(said).text
        assert "moonshine" not in officer.get(f"{PATH}?done=moonshine").text, "no text of an address"
        assert officer.get("/erasures").status_code == 403
        assert 'href="/erasures"' not in officer.get("/recordings").text
    order = console.deps.repos.erasures.newest(1)[0]
    with signed_in(console, "lead") as lead:
        path = f"/erasures/{order.id}"
        assert f'href="{path}"' in lead.get("/erasures").text
        page = lead.get(path).text
        assert f'href="{path}/confirm"' in page
        assert f'href="{path}/decline"' in page
        assert "from 0:01 to the end" in page
        assert f'action="{path}/confirm"' in lead.get(f"{path}/confirm").text
        assert lead.submit(f"/erasures/{order.id}/maybe").status_code == 404
        for reason in ("", "  ", "ok"):
            unsaid = lead.submit(f"/erasures/{order.id}/confirm", reason=reason)
            assert (unsaid.status_code, "Enter why it should be erased permanently" in unsaid.text) == (422, True)
        done = lead.submit(f"/erasures/{order.id}/confirm", reason="yes")
        assert (done.status_code, done.headers["location"]) == (303, f"{path}?done=confirm")
        assert "No erasures are waiting" in lead.get("/erasures").text
        again = lead.submit(f"/erasures/{order.id}/confirm")
        assert again.status_code == 409
        assert "is not waiting" in again.text
    console.deps.eraser.carry_out_due()
    assert acts(console)[-1] == "erasure.done"
    assert console.deps.index.get(ID).recorded_s == 1.0


def test_the_api_answers_like_the_page(console: Console, clock: Clock) -> None:
    with signed_in(console, "officer") as officer:
        done = officer.post(f"{API}/forgot", json={"seconds": 1}).json()
        assert (done["start_s"], done["end_s"], done["state"]) == (2.0, None, "confirmed")
        assert officer.post(f"{API}/forgot", json={"from_s": 0.5, "to_s": 1}).json()["start_s"] == 0.5
        assert "role" in refused(officer.post(f"{API}/erase", json={"from_s": 0, "to_s": 1, **WHY}), 403)
        assert "role" in refused(officer.get("/api/erasures"), 403)
    with signed_in(console, "other") as other:
        assert "no such recording" in refused(other.post(f"{API}/forgot", json={"seconds": 1}), 404)
    with signed_in(console, "lead") as lead:
        listed = lead.get("/api/erasures").json()["erasures"]
        assert [order["ordered_by"] for order in listed] == ["officer", "officer"]
    with signed_in(console, "housing") as housing:
        theirs = refused(housing.post(f"/api/erasures/{listed[0]['id']}/confirm"), 404)
        assert theirs == refused(housing.post("/api/erasures/ffffffff/confirm"), 404)
    with signed_in(console, "lead") as lead:
        assert lead.get("/api/health").json()["alarms"] == {}


def test_bad_input_is_a_sentence_and_changes_nothing(console: Console) -> None:
    with signed_in(console, "lead") as lead:
        for body in (
            {"from_s": 2, "to_s": 1, **WHY},
            {"from_s": 3, "to_s": None, **WHY},
            {"from_s": 0, "to_s": 9, **WHY},
            {"from_s": -1, "to_s": 1, **WHY},
            {"from_s": "NaN", "to_s": 1, **WHY},
            {"from_s": 0, "to_s": 1, "kind": "opt_out", **WHY},
            {"from_s": 0, "to_s": 1, "extra": 1, **WHY},
            {"from_s": 0, **WHY},
        ):
            refused(lead.post(f"{API}/erase", json=body), 422)
        assert "reason" in refused(lead.post(f"{API}/erase", json={"from_s": 0, "to_s": 1, "reason": "x"}), 422)
        refused(lead.post(f"{API}/forgot", json={"seconds": 0}), 422)
        missing = "/api/recordings/20261124T093000Z-2001-ffffff"
        refused(lead.post(f"{missing}/forgot", json={"seconds": 1}), 404)
        refused(lead.post("/api/erasures/ffffffff/confirm"), 404)
        for start, end in (("", ""), ("one", "2"), ("2", "1"), ("0:61", "")):
            page = lead.submit(f"{PATH}/forgot", start=start, end=end)
            assert page.status_code == 422
            assert "There is a problem" in page.text
        lead.headers.pop("X-CSRF-Token")
        assert lead.post(f"{API}/forgot", json={"seconds": 1}).status_code == 403
        assert lead.post(f"{PATH}/forgot", data={"start": "1"}).status_code == 403
    for name in ("admin", "ict"):
        with signed_in(console, name) as browser:
            refused(browser.post(f"{API}/forgot", json={"seconds": 1}), 403)
            refused(browser.post(f"{API}/erase", json={"from_s": 0, "to_s": 1, **WHY}), 403)
            refused(browser.post("/api/erasures/ffffffff/confirm"), 403)
            assert browser.get("/erasures").status_code == 403
    assert console.deps.repos.erasures.newest(9) == []
    assert acts(console) == []


def test_a_token_erases_nothing(console: Console) -> None:
    secret = add_token(console.deps.tokens, "payments", scopes=[*Scope]).secret
    with httpx2.Client(base_url=console.url, headers={"Authorization": f"Bearer {secret}"}) as client:
        assert "person" in refused(client.post(f"{API}/forgot", json={"seconds": 1}), 403)
        assert "person" in refused(client.post(f"{API}/erase", json={"from_s": 0, "to_s": 1, **WHY}), 403)
        assert "person" in refused(client.get("/api/erasures"), 403)


def test_a_failure_is_an_alarm_in_health(console: Console) -> None:
    with signed_in(console, "officer") as officer:
        officer.post(f"{API}/forgot", json={"seconds": 1})
    for key in (console.home.root.parent / "private").iterdir():
        key.unlink()
    console.deps.eraser.carry_out_due()
    with signed_in(console, "lead") as lead:
        assert lead.get("/api/health").json()["alarms"] == {"erasure_failed": 1}
        assert ">Failed<" in "".join(lead.get("/erasures").text.split())
