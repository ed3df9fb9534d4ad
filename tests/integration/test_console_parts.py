"""A call that was handed over to another team, over HTTP: everybody finds it, and hears their part of it alone."""

import io
import json
import re
import sqlite3
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa

from recorder.access.database import open_people
from recorder.access.tables import requested
from recorder.audit.history import words_of
from recorder.permissions import Role
from recorder.rules.cases import Case
from recorder.rules.requesting import AccessKind, Category, RequestState, RequestWish
from storage.audit import AuditLog
from storage.types import Officer, RecordingRow, Segment, SegmentKind
from tests.helpers.console_site import Browser, Console, console_site, refused, signed_in
from tests.helpers.grants import keep_leave
from tests.helpers.storage_home import ID
from tests.integration.test_transcripts import VTT, decided

OLIVE = Officer(extension="2001", operator="Olive Officer", team="Revenues")
OTTO = Officer(extension="2002", operator="Otto Other", team="Housing")
EDGE_S, EDGE = 1.5, 12_000
MARGIN = 400
"""Of a copy, ticks: so much beside what is silenced is silent too."""
WISH: dict[str, Any] = {
    "recordings": [ID], "category": "complaint", "leave": "listen_and_export", "reason": "complaint 17",
}  # fmt: skip


def part(start_s: float, end_s: float, officer: Officer) -> Segment:
    return Segment(
        start_s=start_s, end_s=end_s, kind=SegmentKind.RECORDING, operator=officer.operator,
        extension=officer.extension, officers=(officer,),
    )  # fmt: skip


def handed_over(row: RecordingRow, edge_s: float = EDGE_S) -> RecordingRow:
    return replace(
        row, team=OLIVE.team, operators=(OLIVE.operator, OTTO.operator), extensions=("2001", "2002"),
        segments=(part(0.0, edge_s, OLIVE), part(edge_s, 3.0, OTTO)), peaks=(b"\x40" * 30, b"\x40" * 30),
    )  # fmt: skip


def case_wish(case: Case) -> RequestWish:
    return RequestWish(recordings=(ID,), category=Category.SUBJECT_ACCESS, reason=f"case {case.id}")


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    with console_site(tmp_path, is_daemon_up=False) as running:
        index = running.deps.copy_repositories.index
        index.save(handed_over(index.get(ID)))
        yield running


def grant(console: Console, account: str, category: str = "complaint", **said: Any) -> dict[str, Any]:
    """Have somebody ask, and the team leader grant it; returns the request."""
    with signed_in(console, account) as browser:
        asked = browser.post("/api/requests", json={**WISH, "category": category})
        assert asked.status_code == 200, asked.text
    with signed_in(console, "lead") as lead:
        granted = lead.post(f"/api/requests/{asked.json()['id']}/grant", json=said)
    assert granted.status_code == 200, granted.text
    return dict(granted.json())


def listened(browser: Browser, way: str = "play", **headers: str) -> httpx2.Response:
    page = browser.submit(f"/recordings/{ID}/{way}")
    found = re.search(r'src="(/recordings/[^"]+/audio/[^"]+)"', page.text)
    assert found is not None, page.text
    return browser.get(found[1], headers=headers)


def samples(sound: bytes) -> list[tuple[int, int]]:
    """Return where something is heard in a WAV file of 16 bits and two channels, ticks, from and to."""
    frames = sound[44:]
    heard = [at for at in range(0, len(frames) // 4) if frames[at * 4 : at * 4 + 4] != b"\x00" * 4]
    return [(heard[0], heard[-1])] if heard else []


def test_each_manager_and_each_officer_finds_the_call_and_is_shown_their_part(console: Console) -> None:
    for account, own, others in (
        ("housing", "Otto Other", "Olive Officer"), ("other", "Otto Other", "Olive Officer"),
        ("revenues", "Olive Officer", "Otto Other"), ("officer", "Olive Officer", "Otto Other"),
    ):  # fmt: skip
        with signed_in(console, account) as browser:
            (found,) = browser.get("/api/recordings").json()["recordings"]
            seen = browser.get(f"/api/recordings/{ID}").json()
            page = browser.get(f"/recordings/{ID}").text
        assert found["operator"] == seen["operator"] == own, account
        kinds = {part["operator"]: part["kind"] for part in seen["segments"]}
        assert kinds == {own: "recording", "": "withheld"}, account
        assert others not in json.dumps(found) + json.dumps(seen) + page, account
        assert "The other parts are withheld" in page
    for account in ("dpo", "lead", "ict"):
        with signed_in(console, account) as browser:
            assert [one["kind"] for one in browser.get(f"/api/recordings/{ID}").json()["segments"]] == ["recording"] * 2


def heights(page: str, lane: str) -> tuple[float, float]:
    """Return how high the waveform is at its highest in the first and in the second half."""
    drawn = re.search(rf'class="wave-{lane}" d="([^"]+)"', page)
    assert drawn is not None
    points = [tuple(map(float, point.split())) for point in re.findall(r"[0-9.]+ [0-9.]+", drawn[1])]
    middle = sum(y for _, y in points) / len(points)
    first, second = ([abs(y - middle) for x, y in points if is_late == (x >= 500)] for is_late in (False, True))
    return max(first), max(second)


def test_the_waveform_is_blank_where_it_is_not_theirs(console: Console) -> None:
    with signed_in(console, "housing") as housing, signed_in(console, "lead") as lead:
        theirs, whole = (browser.get(f"/recordings/{ID}").text for browser in (housing, lead))
    for lane in ("left", "right"):
        before, after = heights(theirs, lane)
        assert before < 1
        assert after > 20
        assert min(heights(whole, lane)) > 20


def test_what_was_not_granted_is_silent_where_it_is_heard(console: Console) -> None:
    granted = grant(console, "housing")
    assert granted["spans"] == {ID: [[EDGE_S, 3.0]]}
    with signed_in(console, "housing") as browser:
        page = browser.get(f"/recordings/{ID}").text
        assert "silent: 0:00 to 0:01.5" in page
        sound = listened(browser).content
        ((first, last),) = samples(sound)
        assert EDGE <= first <= EDGE + MARGIN + 80
        assert last > 23_000
        assert len(sound) == 44 + 3 * 8000 * 4, "as long as the call"
        middle = listened(browser, Range=f"bytes=44-{44 + EDGE * 4 - 1}")
        assert middle.status_code == 206
        assert set(middle.content) == {0}
    (entry,) = [one for one in console.entries("recording.play") if one.actor == "housing"][:1]
    assert entry.details["part"] == [[EDGE_S, 3.0]]


def test_what_was_not_granted_is_silent_in_a_copy_and_its_cover_sheet_says_so(console: Console) -> None:
    grant(console, "housing")
    with signed_in(console, "housing") as browser:
        answer = browser.post(
            f"/api/recordings/{ID}/export", json={"format": "g711", "reason": "complaint 17", "package": True}
        )
        assert answer.status_code == 200, answer.text
        early = {"format": "wav", "reason": "complaint 17", "start_s": 0.0, "end_s": 1.0}
        assert "Nothing of this part" in refused(browser.post(f"/api/recordings/{ID}/export", json=early), 403)
        unheard = browser.submit(f"/recordings/{ID}/preview", start="0", end="1")
        assert (unheard.status_code, "Nothing of this part" in unheard.text) == (403, True)
        ((first, _),) = samples(listened(browser, "preview").content)
        assert first >= EDGE, "before a copy is made it is as silent"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        sound, sheet = archive.read(f"{ID}.wav"), archive.read("cover-sheet.html").decode()
        (listed,) = json.loads(archive.read("manifest.json"))["recordings"]
    left = sound[58::2]
    assert len(left) == 24_000, "as long as the call"
    assert set(left[: EDGE + MARGIN]) == {0xD5}
    assert left[EDGE + MARGIN :] == bytes(i * 7 % 251 for i in range(EDGE + MARGIN, 24_000))
    assert "It is not part of the access grant" in sheet
    assert "Olive Officer" not in sheet
    assert [(one["start_s"], one["end_s"]) for one in listed["left_out"]] == [(0.0, EDGE_S)]
    (entry,) = console.entries("recording.export")
    assert entry.details["part"] == [[EDGE_S, 3.0]]
    assert words_of(entry) == "Took a copy as G.711, their part"


def test_an_officer_who_joined_late_hears_their_part(console: Console) -> None:
    grant(console, "other")
    grant(console, "officer")
    with signed_in(console, "other") as late, signed_in(console, "officer") as first:
        ((begins, _),) = samples(listened(late).content)
        ((_, ends),) = samples(listened(first).content)
    assert begins >= EDGE
    assert ends < EDGE


def test_an_approver_grants_the_whole_call_for_a_complaint_with_a_reason(console: Console) -> None:
    with signed_in(console, "housing") as browser, signed_in(console, "lead") as lead:
        for category, said, status in (
            ("training", {"whole_call": True, "words": "both officers"}, 403), ("complaint", {"whole_call": True}, 422),
        ):  # fmt: skip
            asked = browser.post("/api/requests", json={**WISH, "category": category}).json()
            refused(lead.post(f"/api/requests/{asked['id']}/grant", json=said), status)
            page = lead.get(f"/requests/{asked['id']}").text
            assert ('name="whole_call"' in page) == (category == "complaint")
            assert "only 0:01.5 to 0:03" in page
        answer = lead.submit(f"/requests/{asked['id']}/grant", words="they complain of both", whole_call="yes")
        assert answer.status_code == 303, answer.text
        ((first, _),) = samples(listened(browser).content)
        assert first < 100
        assert "Granted the request of housing, for the whole call" in lead.get(f"/recordings/{ID}").text
        assert [one["kind"] for one in browser.get(f"/api/recordings/{ID}").json()["segments"]] == ["recording"] * 2
    (granted,) = console.entries("request.granted")
    assert granted.details["whole_call"] is True
    assert "spans" not in granted.details


def test_the_database_keeps_others_than_complaints_from_becoming_whole_calls(console: Console) -> None:
    asked = grant(console, "housing", "training")
    complaint = grant(console, "housing")
    widen = "UPDATE requested SET spans = NULL WHERE request = ?"
    with closing(sqlite3.connect(console.home.people)) as database:
        with pytest.raises(sqlite3.IntegrityError, match="complaint only"):
            database.execute(widen, (asked["id"],))
        database.execute(widen, (complaint["id"],))


def test_leave_of_before_goes_on_meaning_the_whole_call(console: Console) -> None:
    until = console.deps.now() + timedelta(days=365)
    keep_leave(console.deps.hearing.requests, "housing", ID, until=until)
    engine = open_people(console.home.people)
    with engine.begin() as connection:
        assert connection.execute(sa.select(requested.c.spans)).scalars().all() == [None], "as rows of before are"
    engine.dispose()
    with signed_in(console, "housing") as browser:
        ((first, _),) = samples(listened(browser).content)
    assert first < 100


def test_of_two_grants_the_wider_one_counts(console: Console) -> None:
    grant(console, "housing", days=30)
    whole = grant(console, "housing", whole_call=True, words="they complain of both", days=1)
    housing = console.deps.people.find("housing")
    assert housing is not None
    row = console.deps.copy_repositories.index.get(ID)
    leave = console.deps.hearing.requests.leave(housing, ID, AccessKind.LISTEN, row)
    assert leave is not None
    assert (leave.id, leave.heard(ID)) == (whole["id"], None)


def test_who_was_dialled_and_never_spoke_has_no_right(console: Console) -> None:
    index = console.deps.copy_repositories.index
    index.save(handed_over(index.get(ID), edge_s=0.04))
    for account in ("officer", "revenues"):
        with signed_in(console, account) as browser:
            assert browser.get("/api/recordings").json()["recordings"] == []
            assert browser.get(f"/api/recordings/{ID}").status_code == 404
            assert "There is no recording" in refused(browser.post("/api/requests", json=WISH), 403)
    assert grant(console, "housing")["spans"] == {ID: [[0.04, 3.0]]}


def test_a_transcript_is_read_without_what_was_not_granted(console: Console) -> None:
    case = decided(console)
    address = f"/cases/{case.id}/transcripts/{ID}"
    with signed_in(console, "lead") as lead, signed_in(console, "dpo") as dpo:
        assert lead.submit(f"/cases/{case.id}/transcript", recording=ID, form="vtt", transcript=VTT).status_code == 303
        assert dpo.get(address).status_code == 403
        requests = console.deps.hearing.requests
        request = replace(requests.new("dpo", case_wish(case)), spans={ID: ((1_000_000, 3_000_000),)})
        requests.keep(request)
        assert requests.settle(request, RequestState.GRANTED, by="lead", until=request.asked_at + timedelta(days=1))
        read = dpo.get(address).text
    assert "Good morning" not in read
    assert "My neighbour" in read


def test_holds_and_erasures_are_the_parts_too(console: Console) -> None:
    with signed_in(console, "housing") as housing, signed_in(console, "revenues") as revenues:
        orders = [
            [
                browser.post(
                    f"/api/recordings/{ID}/erase",
                    json={"from_s": start_s, "to_s": end_s, "kind": "other", "reason": "a name"},
                ).status_code
                for start_s, end_s in ((0.2, 0.4), (2.0, 2.2), (1.2, 1.8))
            ]
            for browser in (housing, revenues)
        ]
        assert orders == [[403, 200, 403], [200, 403, 403]]
        listed = [browser.get(f"/api/recordings/{ID}").json()["erasures"] for browser in (housing, revenues)]
        assert [[one["start_s"] for one in theirs] for theirs in listed] == [[2.0], [0.2]]
        hold = {"kind": "training", "reason": "a good call"}
        placed = housing.post(f"/api/recordings/{ID}/holds", json=hold)
        assert placed.status_code == 200, "of the second team's manager too: " + placed.text


def test_break_glass_is_of_the_whole_call(console: Console) -> None:
    with signed_in(console, "ict") as browser:
        page = browser.submit(f"/recordings/{ID}/play", reason="is it silent?")
        found = re.search(r'src="(/recordings/[^"]+/audio/[^"]+)"', page.text)
        assert found is not None
        ((first, last),) = samples(browser.get(found[1]).content)
    assert (first < 100, last > 23_000) == (True, True)


def audio_of(browser: Browser) -> str:
    found = re.search(r'src="(/recordings/[^"]+/audio/[^"]+)"', browser.submit(f"/recordings/{ID}/play").text)
    assert found is not None
    return found[1]


def leave_the_team(console: Console) -> None:
    console.enter(console.people.set_team("housing", "Housing", answers=False))


def become_member(console: Console) -> None:
    proposals = console.deps.proposals
    proposals.grant("admin", "officer", [Role.MEMBER], reason="elected in May", enter=console.enter)
    proposals.revoke("officer", [Role.OFFICER], enter=console.enter)


@pytest.mark.parametrize(("account", "change"), [("housing", leave_the_team), ("officer", become_member)])
def test_a_grant_ends_with_the_role_or_team_it_was_given_for(
    console: Console, account: str, change: Callable[[Console], None]
) -> None:
    grant(console, account)
    with signed_in(console, account) as browser:
        audio = audio_of(browser)
        assert browser.get(audio, headers={"Range": "bytes=0-99"}).status_code == 206
        change(console)
    with signed_in(console, account) as browser:
        pages = (browser.get(audio, headers={"Range": "bytes=100-199"}), browser.submit(f"/recordings/{ID}/play"))
        assert [page.status_code for page in pages] == [403, 403], "each piece that the player asks for"
        asked = {"format": "wav", "reason": "complaint 17"}
        answers = (browser.post(f"/api/recordings/{ID}/export", json=asked), *pages)
        assert all("role or your teams have changed" in one.text for one in answers), answers[0].text
    ended = [one for one in console.entries("access.refused") if one.actor == account and one.subject == ID]
    assert {one.details["act"] for one in ended} >= {"recording.play", "recording.export"}


def test_the_player_is_given_only_the_part_that_is_still_theirs(console: Console) -> None:
    console.enter(console.people.set_team("housing", "Revenues", answers=True))
    assert grant(console, "housing", "quality")["spans"] == {}
    with signed_in(console, "housing") as browser:
        audio = audio_of(browser)
        assert samples(browser.get(audio).content)[0][0] < 100
        console.enter(console.people.set_team("housing", "Revenues", answers=False))
        assert samples(browser.get(audio).content)[0][0] >= EDGE


def test_the_entry_of_a_copy_says_why_access_was_granted(console: Console) -> None:
    with signed_in(console, "housing") as browser:
        wish = {**WISH, "reason": "she says that we hung up", "reference": "CMP-88"}
        asked = browser.post("/api/requests", json=wish).json()
        with signed_in(console, "lead") as lead:
            assert lead.post(f"/api/requests/{asked['id']}/grant", json={}).status_code == 200
        order = {"format": "wav", "reason": "for the letter to her"}
        assert browser.post(f"/api/recordings/{ID}/export", json=order).status_code == 200
    (entry,) = console.entries("recording.export")
    said = {name: entry.details[name] for name in ("request", "category", "reference")}
    assert said == {"request": asked["id"], "category": "complaint", "reference": "CMP-88"}
    assert AuditLog(console.home.audit).text(entry) == (
        "for the letter to her; access granted for: she says that we hung up"
    )
