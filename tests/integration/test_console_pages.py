"""The pages, as a browser without script uses them, against a running console."""

import base64
import hashlib
import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
import soundfile

from recorder.rules.requesting import AccessKind
from recorder.rules.signing_in import SessionLimits
from storage.database import sqlite_url
from storage.index import Index
from storage.rows import row_from_json
from storage.types import RecordingId
from tests.helpers.accounts import PASSWORD, Clock
from tests.helpers.console_site import CALL, Browser, Console, console_site
from tests.helpers.storage_home import ID, row

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
IDLE = SessionLimits().idle


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def console(tmp_path: Path, clock: Clock) -> Iterator[Console]:
    with console_site(tmp_path, now=clock) as running:
        yield running


@pytest.fixture
def browser(console: Console) -> Iterator[Browser]:
    with console.browser() as browser:
        yield browser


def test_headers_and_cookie(browser: Browser) -> None:
    page = browser.get("/sign-in")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["x-content-type-options"] == "nosniff"
    cookie = browser.sign_in().headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "style=" not in page.text
    (script,) = re.findall(r"<script(?![^>]* src=)[^>]*>(.*?)</script>", page.text)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in policy, "the one inline script is the one that the policy names"


def test_signing_in_and_out(browser: Browser, console: Console) -> None:
    assert browser.get("/live").headers["location"] == "/sign-in"
    assert browser.sign_in().headers["location"] == "/live"
    secret = browser.cookies["recorder"]
    assert secret.encode() not in console.home.people.read_bytes()
    assert browser.submit("/sign-out").status_code == 303
    browser.cookies.set("recorder", secret)
    assert browser.get("/live").headers["location"] == "/sign-in"
    assert [e.actor for e in console.entries("people.sign_in")] == ["dpo"]
    assert [e.actor for e in console.entries("people.sign_out")] == ["dpo"]


def test_refused_sign_in_says_the_same_for_everyone(browser: Browser, console: Console) -> None:
    wrong, unknown = browser.sign_in(password="violet otter wrong"), browser.sign_in(name="nobody")
    assert (wrong.status_code, unknown.status_code) == (403, 403)
    assert sentence(wrong) == sentence(unknown)
    assert [e.details["why"] for e in console.entries("people.sign_in_refused")] == ["wrong_password", "unknown"]
    assert "recorder" not in browser.cookies


def sentence(page: httpx2.Response) -> str:
    found = re.search(r'<a href="#name">(.*?)</a>', page.text)
    assert found is not None
    return found[1]


def test_sign_in_needs_its_own_form(browser: Browser) -> None:
    browser.get("/sign-in")
    answer = browser.post("/sign-in", data={"name": "dpo", "password": PASSWORD, "csrf": "guess"})
    assert answer.status_code == 403
    assert "recorder" not in browser.cookies


def test_idle_session_ends_although_the_page_looks_by_itself(browser: Browser, clock: Clock) -> None:
    browser.sign_in()
    clock.time += IDLE - timedelta(seconds=1)
    assert browser.get("/live/rows").status_code == 200
    clock.time += timedelta(seconds=1)
    assert browser.get("/live/rows").headers["location"] == "/sign-in"


def test_activity_keeps_a_session(browser: Browser, clock: Clock) -> None:
    browser.sign_in()
    for _ in range(3):
        clock.time += IDLE - timedelta(seconds=1)
        assert browser.get("/recordings").status_code == 200


def test_disabling_ends_sessions(browser: Browser, console: Console) -> None:
    browser.sign_in()
    console.people.disable("dpo")
    assert browser.get("/live").headers["location"] == "/sign-in"


def test_live_page(browser: Browser, console: Console) -> None:
    browser.sign_in()
    page = browser.get("/live").text
    assert "&lt;b&gt;Ann&lt;/b&gt;" in page
    assert "<b>Ann" not in page
    assert "since 10am" in page
    assert re.search(r'data-since="2026-07-01T09:00:00Z"><span class="ticks">\d+:\d\d:\d\d<', page), "and how long ago"
    assert f'action="/live/{CALL}/pause"' in page
    paused = browser.submit(f"/live/{CALL}/pause")
    assert "The recording is now paused." in paused.text
    assert f'action="/live/{CALL}/resume"' in paused.text
    assert console.daemon.heard[0][:2] == (f"pause {CALL}", "dpo")
    assert console.entries("live.view")


def test_rows_that_are_kept_carry_each_ones_own_token(browser: Browser, console: Console) -> None:
    browser.sign_in()
    with console.browser() as other:
        other.sign_in("lead")
        for _ in range(2):
            for one, another in ((browser, other), (other, browser)):
                rows = one.get("/live/rows").text
                assert f'name="csrf" value="{one.csrf}"' in rows
                assert another.csrf not in rows
        assert "Pause<span" in other.get("/live/rows").text
        console.daemon.state = "paused"
        assert "Resume<span" in other.get("/live/rows").text


def test_forms_without_their_token_do_nothing(browser: Browser, console: Console) -> None:
    browser.sign_in()
    answer = browser.post(f"/live/{CALL}/pause", data={"csrf": "guess"})
    assert answer.status_code == 403
    assert console.daemon.heard == []
    assert [e.details["act"] for e in console.entries("access.refused")] == ["csrf"]


def test_search(browser: Browser, console: Console) -> None:
    browser.sign_in()
    found = browser.submit("/recordings", from_date="2026-11-24", to_date="2026-11-24", number="0161 496 0000")
    assert "0 calls found, 0 recordings" in found.text
    found = browser.submit("/recordings", from_date="2026-11-24", to_date="2026-11-24", outcome="recorded")
    assert "1 call found, 1 recording<" in found.text
    assert f'href="/recordings/{ID}"' in found.text
    assert "<i>0207" not in found.text
    log = b"".join(path.read_bytes() for path in console.home.audit.glob("*.log"))
    assert b"recording.search" in log
    assert b"0161 496" not in log


def test_more_than_a_page_counts_can_be_leafed_through(browser: Browser, console: Console) -> None:
    index = Index(sqlite_url(console.home.index))
    rows = (row(RecordingId(f"20261124T093000Z-2001-{number:06x}")) for number in range(1, 1001))
    index.save_many(map(row_from_json, rows))
    index.close()
    browser.sign_in()
    page = browser.submit("/recordings").text
    assert "More than 1000 calls found" in page
    assert "Page 1, newest first" in page
    assert "Next page" in page
    last = browser.submit("/recordings", page="21").text
    assert "Page 21, newest first" in last
    assert "Next page" not in last
    found = browser.get("/api/recordings").json()
    assert (found["total"], found["is_more"]) == (1000, True)


def test_search_error_is_told_at_its_field(browser: Browser, console: Console) -> None:
    browser.sign_in()
    before = len(console.entries("recording.search"))
    page = browser.submit("/recordings", from_date="tomorrow")
    assert page.status_code == 422
    assert 'href="#from_date"' in page.text
    assert 'id="from_date-date-error"' in page.text
    assert 'value="tomorrow"' in page.text
    assert len(console.entries("recording.search")) == before


def audio_of(page: httpx2.Response) -> str:
    found = re.search(r'src="(/recordings/[^"]+/audio/[^"]+)"', page.text)
    assert found is not None, page.text
    return found[1]


def test_listening(browser: Browser, console: Console, clock: Clock) -> None:
    browser.sign_in()
    assert browser.submit(f"/recordings/{ID}/play", reason="complaint 17").status_code == 403
    page = browser.get(f"/recordings/{ID}").text
    assert f'action="/recordings/{ID}/play"' not in page
    assert "/static/player.js" not in page, "a drawing is enough"
    request = console.give_leave()
    assert f'action="/recordings/{ID}/play"' in browser.get(f"/recordings/{ID}").text
    address = audio_of(browser.submit(f"/recordings/{ID}/play"))
    audio = browser.get(address)
    assert audio.headers["cache-control"] == "no-store"
    samples, rate = soundfile.read(io.BytesIO(audio.content))
    assert (samples.shape, rate) == ((24000, 2), 8000)
    assert samples.any(axis=0).all()
    entry = console.entries("recording.play")[0]
    assert (entry.actor, entry.subject, entry.details["request"]) == ("dpo", ID, request.id)
    assert "break_glass" not in entry.details
    assert len(console.entries("recording.play.opened")) == 1
    clock.time += timedelta(minutes=29)
    browser.get("/live")
    clock.time += timedelta(minutes=1)
    assert browser.get(address).status_code == 403


def test_a_player_gets_the_parts_it_asks_for_and_one_listen_is_one_entry(browser: Browser, console: Console) -> None:
    console.give_leave()
    browser.sign_in()
    address = audio_of(browser.submit(f"/recordings/{ID}/play"))
    whole = browser.get(address)
    assert (whole.status_code, whole.headers["accept-ranges"]) == (200, "bytes")
    size = len(whole.content)
    for asked, first, end in (("0-", 0, size), ("20-99", 20, 100), ("44000-", 44000, size), ("-4", size - 4, size)):
        part = browser.get(address, headers={"Range": f"bytes={asked}"})
        assert (part.status_code, part.headers["cache-control"]) == (206, "no-store")
        assert part.headers["content-range"] == f"bytes {first}-{end - 1}/{size}"
        assert part.content == whole.content[first:end]
    beyond = browser.get(address, headers={"Range": f"bytes={size}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}")
    assert browser.get(address, headers={"Range": "bytes=0-1", "If-Range": '"x"'}).status_code == 200
    assert len(console.entries("recording.play.opened")) == 1
    browser.submit("/sign-out")
    (served,) = console.entries("recording.play.served")
    assert (served.actor, served.subject) == ("dpo", ID)
    assert served.details["spans"] == [{"from_s": 0.0, "to_s": 3.0}]
    browser.sign_in()
    assert browser.get(address).status_code == 403, "with the session ends what was to be heard in it"
    page = browser.get(f"/recordings/{ID}").text
    assert "Was sent the audio from 0:00 to 0:03" in page
    assert "Granted the request of dpo" in page
    assert "Joined" in page


def test_an_address_of_audio_ends_with_the_leave(browser: Browser, console: Console, clock: Clock) -> None:
    request = console.give_leave(days=1)
    assert request.until is not None
    clock.time = request.until - timedelta(minutes=1)
    browser.sign_in()
    address = audio_of(browser.submit(f"/recordings/{ID}/play"))
    clock.time = request.until
    assert browser.get(address).status_code == 403
    assert browser.submit(f"/recordings/{ID}/play").status_code == 403
    assert browser.submit(f"/recordings/{ID}/export", format="wav", reason="tribunal 4").status_code == 403


def test_leave_to_listen_is_personal(browser: Browser, console: Console) -> None:
    console.give_leave()
    browser.sign_in()
    address = audio_of(browser.submit(f"/recordings/{ID}/play"))
    with console.browser() as other:
        other.sign_in("lead")
        assert other.get(address).status_code == 403
        assert other.submit(f"/recordings/{ID}/play", reason="complaint 17").status_code == 403
    assert console.entries("recording.play.opened") == []


def test_leave_to_listen_is_none_to_copy(browser: Browser, console: Console) -> None:
    console.give_leave(leave=AccessKind.LISTEN)
    browser.sign_in()
    assert browser.submit(f"/recordings/{ID}/play").status_code == 200
    assert browser.submit(f"/recordings/{ID}/export", format="wav", reason="tribunal 4").status_code == 403
    assert browser.submit(f"/recordings/{ID}/preview").status_code == 403
    assert f'action="/recordings/{ID}/export' not in browser.get(f"/recordings/{ID}").text


def test_break_glass_is_for_ict_and_told(console: Console, clock: Clock) -> None:
    with console.browser() as ict, console.browser() as dpo:
        ict.sign_in("ict")
        assert ict.submit(f"/recordings/{ID}/play", reason="").status_code == 422
        address = audio_of(ict.submit(f"/recordings/{ID}/play", reason="no sound after the update"))
        assert ict.get(address).status_code == 200
        entry = console.entries("recording.play")[0]
        assert (entry.actor, entry.details["break_glass"], entry.details["granted_s"]) == ("ict", True, 1800)
        dpo.sign_in()
        assert "no sound after the update" in dpo.get("/requests").text
        (open_one,) = console.deps.hearing.emergencies.open()
        assert f'href="/emergencies/{open_one.id}"' in dpo.get("/requests").text
        assert f'action="/emergencies/{open_one.id}/acknowledge"' in dpo.get(f"/emergencies/{open_one.id}").text
        assert ict.submit(f"/emergencies/{open_one.id}/acknowledge").status_code == 403
        assert dpo.submit(f"/emergencies/{open_one.id}/acknowledge").status_code == 303
        assert "no sound after the update" not in dpo.get("/requests").text
        assert dpo.submit(f"/emergencies/{open_one.id}/acknowledge").status_code == 409
        clock.time += timedelta(minutes=30)
        assert ict.get(address).headers["location"] == "/sign-in" or ict.get(address).status_code == 403
    assert console.entries("break_glass.acknowledge")[0].actor == "dpo"


def test_export(browser: Browser, console: Console) -> None:
    console.give_leave()
    browser.sign_in()
    copy = browser.submit(f"/recordings/{ID}/export", format="g711", reason="tribunal 4")
    assert copy.headers["content-disposition"] == f'attachment; filename="{ID}.wav"'
    assert copy.content[:4] == b"RIFF"
    assert console.entries("recording.export")[0].details["format"] == "g711"
    assert browser.submit(f"/recordings/{ID}/export", format="doc", reason="tribunal 4").status_code == 422


@pytest.mark.parametrize(
    ("name", "can_see", "can_play"),
    [("lead", 200, 403), ("ict", 200, 200), ("officer", 200, 403), ("other", 404, 404), ("admin", 403, 403)],
)  # fmt: skip
def test_roles(console: Console, name: str, can_see: int, can_play: int) -> None:
    with console.browser() as browser:
        browser.sign_in(name)
        assert browser.get(f"/recordings/{ID}").status_code == can_see
        assert browser.submit(f"/recordings/{ID}/play", reason="complaint 17").status_code == can_play
        export = browser.submit(f"/recordings/{ID}/export", format="wav", reason="complaint 17")
        assert export.status_code == (404 if can_see == 404 else 403)
    refused = [e for e in console.entries("access.refused") if e.actor == name]
    assert len(refused) >= sum(status != 200 for status in (can_see, can_play, 403))


@pytest.mark.parametrize(
    ("path", "subject"),
    [
        ("/recordings/07700900123", ""), (f"/recordings/{ID}", ID), ("/recordings/Mrs%20Smith", ""),
        ("/cases/07700900123", ""),
    ],
)  # fmt: skip
def test_what_somebody_types_into_a_path_is_not_in_the_audit_log_for_good(
    console: Console, path: str, subject: str
) -> None:
    with console.browser() as browser:
        browser.sign_in("admin")
        assert browser.get(path).status_code == 403
    assert [one.subject for one in console.entries("access.refused") if one.actor == "admin"][-1] == subject
    assert not [one for one in console.home.audit.rglob("*") if one.is_file() and b"07700900123" in one.read_bytes()]


def test_nothing_shows_when_the_audit_log_cannot_be_written(browser: Browser, console: Console) -> None:
    browser.sign_in()
    console.home.audit.rename(console.home.root / "audit.gone")
    console.home.audit.write_text("in the way")
    assert browser.get(f"/recordings/{ID}").status_code == 503
    assert browser.submit(f"/recordings/{ID}/play", reason="complaint 17").status_code == 503
    assert browser.submit("/recordings").status_code == 503
    assert browser.submit(f"/live/{CALL}/pause").status_code == 200
    assert console.daemon.state == "paused"


def test_a_damaged_recording_is_not_played(browser: Browser, console: Console) -> None:
    console.give_leave()
    browser.sign_in()
    path = next(console.home.recordings.glob("*/*/*/*/*.rec"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    answer = browser.submit(f"/recordings/{ID}/export", format="wav", reason="complaint 17")
    assert answer.status_code == 409
    assert "The recording is damaged" in answer.text


def test_errors_are_pages(browser: Browser) -> None:
    missing = browser.get("/nowhere")
    assert missing.status_code == 404
    assert "<h1>Page not found</h1>" in missing.text
    browser.sign_in()
    assert browser.get("/recordings/20261124T093000Z-2001-ffffff").status_code == 404
    assert browser.get("/recordings/20261124T093000Z").status_code == 404
    assert browser.post("/recordings", content=b"x" * 70_000).status_code == 413
