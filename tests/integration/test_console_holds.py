"""Holds in the console: placed, reviewed and released on pages and by the API; who is shown what."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import httpx2
import pytest

from recorder.permissions import Scope
from storage.retention_types import Hold
from storage.types import RecordingHead, RecordingId
from tests.helpers.accounts import Clock, add_token
from tests.helpers.console_site import Console, console_site, refused, signed_in
from tests.helpers.storage_home import ID, STARTED, row

PATH = f"/recordings/{ID}"
API = f"/api{PATH}"
WISH = {"kind": "complaint", "reason": "Mrs <b>Ä</b> complained", "case_reference": "C-17"}
WHY = {"reason": "procedure is over"}


@pytest.fixture
def clock() -> Clock:
    """The morning after the recorded call."""
    return Clock(datetime(2026, 11, 25, 9, 0, tzinfo=UTC))


@pytest.fixture
def console(tmp_path: Path, clock: Clock) -> Iterator[Console]:
    with console_site(tmp_path, now=clock) as running:
        index = running.deps.hold_repositories.index
        index.save(replace(index.get(ID), team="Revenues"))
        yield running


def acts(console: Console) -> list[str]:
    return [entry.act for entry in console.entries() if entry.act.startswith("hold.") and entry.act != "hold.view"]


def standing(console: Console) -> list[Hold]:
    return console.deps.hold_repositories.holds.all_in_effect(console.deps.now())


def test_the_api_places_lists_releases_and_takes_back(console: Console, clock: Clock) -> None:
    with signed_in(console, "revenues") as manager, signed_in(console, "dpo") as dpo:
        placed = manager.post(f"{API}/holds", json={**WISH, "against": ["Olive Officer"]}).json()
        assert {key: placed[key] for key in ("recording", "kind", "state", "owner", "against", "review_on")} == {
            "recording": ID, "kind": "complaint", "state": "standing", "owner": "revenues", "against": ["officer"],
            "review_on": "2027-02-23",
        }  # fmt: skip
        assert manager.get(f"{API}/holds").json() == {"holds": [placed]}
        assert dpo.get(API).json()["holds"] == ["complaint"]
        assert [r["holds"] for r in dpo.get("/api/recordings").json()["recordings"]] == [["complaint"]]
        assert dpo.get("/api/holds").json() == {"holds": [placed]}
        assert dpo.get("/api/holds?due=true").json() == {"holds": []}
        clock.time += timedelta(days=90)
        with signed_in(console, "dpo") as dpo_later, signed_in(console, "revenues") as manager_later:
            assert [h["id"] for h in dpo_later.get("/api/holds?due=true").json()["holds"]] == [placed["id"]]
            reviewed = manager_later.post(f"/api/holds/{placed['id']}/review", json={"reason": "still open"}).json()
            assert reviewed["review_on"] == "2027-05-24"
            gone = dpo_later.post(f"/api/holds/{placed['id']}/release", json=WHY).json()
            assert (gone["state"], gone["released_by"], gone["grace_until"]) == (
                "grace", "dpo", "2027-03-09T09:00:00Z",
            )  # fmt: skip
            assert dpo_later.get(API).json()["holds"] == ["complaint"]
            back = manager_later.post(f"/api/holds/{placed['id']}/reinstate", json={"reason": "an appeal"}).json()
            assert (back["state"], back["released_by"]) == ("standing", None)
    assert acts(console) == ["hold.placed", "hold.reviewed", "hold.released", "hold.reinstated"]
    assert console.entries("hold.placed")[0].details["where"] == "console"


def begun(live: RecordingId) -> dict[str, Any]:
    """Return a row as a call that has just begun writes it: its segment has no length yet."""
    officer = {"extension": "2001", "operator": "Olive Officer", "team": "Revenues"}
    segment = {
        "start_s": 0.0, "end_s": 0.0001, "kind": "recording", "operator": "Olive Officer", "extension": "2001",
        "officers": [officer],
    }  # fmt: skip
    return row(live, team="Revenues", duration_s=0.0, ended_at=None, path=None, segments=[segment])


def test_a_call_in_progress_is_held_by_api_and_page(console: Console) -> None:
    live = RecordingId("20261124T093100Z-2001-bbbbbb")
    vault = console.deps.hold_repositories.vault
    opened = vault.create(RecordingHead(id=live, started_at=STARTED, operator_key="k7", index_row=begun(live)))
    with signed_in(console, "revenues") as manager:
        page = manager.get(f"/holds/new?recording={live}").text
        assert 'name="kind"' in page
        fields = {"recordings": live, "kind": "complaint", "reason": "why", "case_reference": "C-18"}
        assert manager.submit("/holds", **fields).headers["location"] == "/holds?done=placed"
    with signed_in(console, "housing") as other:
        assert "You cannot hold this recording" in other.get(f"/holds/new?recording={live}").text
        assert other.post(f"/api/recordings/{live}/holds", json=WISH).status_code == 404
    with signed_in(console, "revenues") as manager:
        assert manager.post(f"/api/recordings/{live}/holds", json=WISH).json()["recording"] == live
    opened.discard()


def test_bad_input_is_a_sentence_and_changes_nothing(console: Console) -> None:
    with signed_in(console, "lead") as lead:
        for body in (
            {"kind": "complaint", "case_reference": "C-17"},
            {**WISH, "kind": "love"},
            {**WISH, "case_reference": ""},
            {**WISH, "case_reference": "she said that he said; and more of it, for ever and ever"},
            {**WISH, "review_on": "2026-11-25"},
            {**WISH, "review_on": "2036-11-25"},
            {**WISH, "review_on": "soon"},
            {**WISH, "owner": "nobody"},
            {**WISH, "owner": "officer"},
            {**WISH, "against": ["nobody"]},
            {**WISH, "against": ["lead"]},
            {**WISH, "kind": "evidence", "against": ["officer"]},
            {**WISH, "extra": 1},
        ):
            refused(lead.post(f"{API}/holds", json=body), 422)
        assert "reason" in refused(lead.post(f"{API}/holds", json={**WISH, "reason": "x"}), 422)
        refused(lead.post("/api/recordings/20261124T093000Z-2001-ffffff/holds", json=WISH), 404)
        refused(lead.post("/api/recordings/20261124/holds", json=WISH), 404)
        refused(lead.post("/api/holds/ffffffff/release", json=WHY), 404)
        refused(lead.post("/api/holds/ffffffff/release", json={}), 422)
        lead.headers.pop("X-CSRF-Token")
        refused(lead.post(f"{API}/holds", json=WISH), 403)
        assert lead.post(f"{PATH}/hold", data=WISH).status_code == 403
        assert lead.post("/holds/ffffffff/release", data=WHY).status_code == 403
    assert standing(console) == []
    assert acts(console) == []


def test_who_may_not_is_refused(console: Console) -> None:
    with signed_in(console, "lead") as lead:
        hold = lead.post(f"{API}/holds", json={**WISH, "kind": "sar"}).json()
        assert "data protection officer" in refused(lead.post(f"/api/holds/{hold['id']}/release", json=WHY), 403)
    with signed_in(console, "housing") as housing:
        assert "no such recording" in refused(housing.post(f"{API}/holds", json=WISH), 404)
        theirs = refused(housing.post(f"/api/holds/{hold['id']}/release", json=WHY), 404)
        assert theirs == refused(housing.post("/api/holds/ffffffff/release", json=WHY), 404)
        entry = console.entries("access.refused")[-1]
        assert (entry.actor, entry.subject, entry.details["act"]) == ("housing", ID, "hold.release"), "it is known here"
        assert housing.get("/api/holds").json() == {"holds": []}
        assert housing.get(PATH).status_code == 404
        assert housing.get(f"{PATH}/hold").status_code == 404
    with signed_in(console, "revenues") as revenues:
        assert "subject access request" in refused(revenues.post(f"{API}/holds", json={**WISH, "kind": "sar"}), 403)
    for name in ("officer", "admin", "ict"):
        with signed_in(console, name) as browser:
            for answer in (
                browser.post(f"{API}/holds", json=WISH),
                browser.get(f"{API}/holds"),
                browser.get("/api/holds"),
                browser.post(f"/api/holds/{hold['id']}/release", json=WHY),
                browser.post(f"/api/holds/{hold['id']}/reinstate", json=WHY),
                browser.post(f"/api/holds/{hold['id']}/review", json=WHY),
            ):
                assert "role" in refused(answer, 403)
            assert browser.get("/holds").status_code == 403
            assert 'href="/holds"' not in browser.get("/live").text
    with signed_in(console, "officer") as officer:
        shown = officer.get(PATH).text
        assert "<dd>Held</dd>" in shown
        assert "Held for" not in shown
        assert "complained" not in shown
        assert 'id="hold' not in shown
        assert f"{PATH}/hold" not in shown
        assert officer.get(f"{PATH}/hold").status_code == 403
    secret = add_token(console.deps.tokens, "crm", scopes=[*Scope]).secret
    with httpx2.Client(base_url=console.url, headers={"Authorization": f"Bearer {secret}"}) as client:
        for answer in (client.post(f"{API}/holds", json=WISH), client.get("/api/holds"), client.get(f"{API}/holds")):
            assert "person" in refused(answer, 403)
    assert acts(console) == ["hold.placed"]


def test_the_recordings_page_places_reviews_releases_and_takes_back(console: Console, clock: Clock) -> None:
    with signed_in(console, "revenues") as manager:
        assert f'href="{PATH}/hold"' in manager.get(PATH).text
        page = manager.get(f"{PATH}/hold").text
        offered = page.partition('id="hold-kind"')[2].partition("</select>")[0]
        assert [kind for kind in ("complaint", "training", "evidence", "sar") if f'value="{kind}"' in offered] == [
            "complaint", "training", "evidence",
        ]  # fmt: skip
        wrong = manager.submit(f"{PATH}/hold", **{**WISH, "review_on": "tomorrow"})
        assert wrong.status_code == 422
        assert "There is a problem" in wrong.text
        assert "Enter a date like 28 11 2026" in wrong.text
        assert manager.submit(f"{PATH}/hold", **{**WISH, "kind": ""}).status_code == 422
        said = manager.submit(f"{PATH}/hold", **WISH, owner="", review_on="2027-01-31", against=" Hugo Housing, ")
        assert said.status_code == 200, said.text
        assert "govuk-notification-banner--success" in said.text
        assert "Mrs &lt;b&gt;Ä&lt;/b&gt; complained" in said.text
        assert "Review on 31 January 2027" in said.text
        assert "About: housing" in said.text
        assert "Held for a complaint" in said.text
        (hold,) = standing(console)
        released = manager.submit(f"{PATH}/holds/{hold.id}/release", reason="procedure is over")
        assert "the recording is kept until 9 December 2026, 9am" in released.text
        assert "Undo the release" in manager.get(f"{PATH}/holds").text
        assert manager.submit(f"{PATH}/holds/{hold.id}/release", reason="again").status_code == 409
        assert "in force again" in manager.submit(f"{PATH}/holds/{hold.id}/reinstate", reason="an appeal").text
        reviewed = manager.submit(f"{PATH}/holds/{hold.id}/review", reason="open", review_on="2027-03-01").text
        assert "new review date" in reviewed
        assert manager.submit(f"{PATH}/holds/{hold.id}/burn").status_code == 404
        assert standing(console)[0].review_on.isoformat() == "2027-03-01"
        manager.submit(f"{PATH}/holds/{hold.id}/release", reason="procedure is over")
    clock.time += timedelta(days=14)
    with signed_in(console, "dpo") as dpo:
        page = dpo.get(PATH).text
        assert "The hold has ended" in page
        assert "Held for" not in page
    assert acts(console) == [
        "hold.placed", "hold.released", "hold.reinstated", "hold.reviewed", "hold.released",
    ]  # fmt: skip


def test_a_hold_is_changed_on_the_page_of_its_own_recording_only(console: Console) -> None:
    with signed_in(console, "revenues") as manager:
        placed = manager.post(f"{API}/holds", json=WISH).json()
        for elsewhere in (ID[:-6] + "ffffff", "x"):
            answer = manager.submit(f"/recordings/{elsewhere}/holds/{placed['id']}/release", reason="it is over")
            assert answer.status_code == 404
    assert acts(console) == ["hold.placed"], "or it is done, and answered as if there were none"


def test_the_page_of_holds_due_for_review(console: Console, clock: Clock) -> None:
    with signed_in(console, "lead") as lead:
        lead.submit(f"{PATH}/hold", **WISH, review_on="2026-12-01")
        lead.submit(f"{PATH}/hold", **{**WISH, "kind": "evidence"}, review_on="2027-06-01")
        page = lead.get("/holds").text
        assert "No holds are due for review." in page
        assert page.count('<th scope="row">') == 2, "two holds"
        assert 'aria-current="page">Holds' in page
    clock.time += timedelta(days=10)
    due = standing(console)[0]
    path = f"/holds/{due.id}"
    with signed_in(console, "dpo") as dpo:
        page = dpo.get("/holds").text
        assert page.index("Due for review</caption>") < page.index(path) < page.index("Other holds")
        assert "24 November 2026, 9:30am" in page, "the recording is named by time, not by its id"
        assert f">{ID}<" not in page
        page = dpo.get(path).text
        assert f'href="{path}/review"' in page
        assert f'href="{path}/release"' in page
        assert "1 December 2026" in page
        assert f'action="{path}/review"' in dpo.get(f"{path}/review").text
        assert dpo.get(f"{path}/reinstate").status_code == 409
        assert dpo.submit(f"{path}/review", reason="x").status_code == 422
        wrong = dpo.submit(f"{path}/review", reason="still open", review_on="31/2/2027")
        assert wrong.status_code == 422
        assert "The day must be between 1 and 28 in February 2027" in unescape(wrong.text)
        parts = {"review_on-day": "1", "review_on-month": "2", "review_on-year": "27"}
        done = dpo.submit(f"{path}/review", reason="still open", **parts)
        assert (done.status_code, done.headers["location"]) == (303, f"{path}?done=review")
        assert "1 February 2027" in dpo.get(path).text
        assert "No holds are due for review." in dpo.get("/holds").text
        assert dpo.submit(f"{path}/release", reason="procedure is over").status_code == 303
        assert "Kept until" in dpo.get("/holds").text
        assert dpo.submit(f"/holds/{due.id}/burn").status_code == 404
        assert dpo.submit(f"/holds/{due.id}/release", reason="again").status_code == 409
    assert len(console.entries("hold.view")) > 3


def labels(page: str) -> set[str]:
    return set(re.findall(r'<label[^>]* for="([^"]+)"', page))


def fields(page: str) -> set[str]:
    found: set[str] = set()
    for tag in ("<input ", "<textarea ", "<select "):
        for part in page.split(tag)[1:]:
            attributes = part.partition(">")[0]
            if 'type="hidden"' not in attributes:
                found.add(attributes.partition('id="')[2].partition('"')[0])
    return found


def test_every_field_has_a_label_and_every_id_is_one(console: Console, clock: Clock) -> None:
    with signed_in(console, "lead") as lead:
        for kind in ("complaint", "evidence"):
            lead.submit(f"{PATH}/hold", **{**WISH, "kind": kind}, review_on="2026-12-01")
    clock.time += timedelta(days=10)
    with signed_in(console, "lead") as lead:
        for address in (PATH, f"{PATH}/hold", f"{PATH}/holds", f"{PATH}/forgot", "/holds"):
            page = lead.get(address).text
            assert "" not in fields(page)
            assert fields(page) == labels(page)
            ids: list[Any] = [part.partition('"')[0] for part in page.split(' id="')[1:]]
            assert len(ids) == len(set(ids))
            assert page.count("<script>") == 1, "GOV.UK Frontend's own alone"
