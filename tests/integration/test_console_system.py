"""The pages on the recorder itself - health, notices, changes - and the DPO's overview, against a running console."""

import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import soundfile

from audio.codecs import decode
from audio.types import Codec
from recorder.calls.notice_catalogue import NewNotice
from recorder.calls.notices import SHIPPED, NoticeStore, install_shipped
from recorder.data_subjects import casework
from recorder.notifications.watch import notify_of_changes
from recorder.retention.sweep_state import NAME, SweepState, state_to_json
from recorder.rules.cases import CaseKind
from recorder.rules.notice_schedule import NoticeState
from storage.audit import AuditLog
from storage.audit_reading import of_act
from storage.durable import make_folder
from tests.helpers.accounts import Clock
from tests.helpers.console_site import Browser, Console, console_site, signed_in
from tests.helpers.storage_home import ID

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
PAGES = ("/health", "/changes")


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def console(tmp_path: Path, clock: Clock) -> Iterator[Console]:
    with console_site(tmp_path, now=clock) as running:
        yield running


@pytest.fixture
def dpo(console: Console) -> Iterator[Browser]:
    with signed_in(console, "dpo") as browser:
        yield browser


@pytest.mark.parametrize(
    ("name", "status", "of_overview"),
    [
        ("dpo", 200, 200),
        ("lead", 200, 403),
        ("ict", 200, 403),
        ("admin", 200, 403),
        ("officer", 403, 403),
        ("revenues", 403, 403),
    ],
)
def test_who_sees_them(console: Console, name: str, status: int, of_overview: int) -> None:
    with signed_in(console, name) as browser:
        assert [browser.get(page).status_code for page in PAGES] == [status] * 2
        assert browser.get("/notices").status_code == 200, "callers hear it, and so may everybody here"
        page = browser.get("/overview").text
        assert ("This week against last week" in page) == (of_overview == 200)
        assert browser.submit("/overview").status_code == of_overview
        first_links = re.findall(r'__link" href="(/[^"]+)"', page)
        offered = "".join(browser.get(link).text for link in first_links)
        assert ('href="/health"' in offered) == (status == 200)


def test_an_alarm_is_acknowledged_with_a_remark_and_shown_with_it(console: Console, dpo: Browser) -> None:
    console.daemon.said["alarms"] = {"disk_full": 2}
    assert "Acknowledge disk full" in dpo.get("/health").text.replace("Disk", "disk")
    for sent, sentence in (
        ({"remark": " "}, "Enter what you found, or what you do about the alarm."),
        ({"remark": "a new disk is ordered", "hours": "soon"}, "Enter for how many hours, up to 744."),
    ):
        answer = dpo.submit("/health/acknowledge", alarm="disk_full", **sent)
        assert (answer.status_code, sentence in answer.text) == (422, True)
        assert sent["remark"] in answer.text, "what was typed stays"
    until = "2026-11-26T09:00:00Z"
    said = {"by": "ict", "at": until, "until": until, "remark": "a new disk is ordered"}
    console.daemon.said["acknowledged"] = {"disk_full": said}
    page = dpo.get("/health").text
    assert "Acknowledged by ict until" in page
    assert "a new disk is ordered" in page
    assert 'action="/health/acknowledge"' not in page


def test_health_says_what_is_wrong_and_what_to_do_next(console: Console, dpo: Browser) -> None:
    assert "All is well" in dpo.get("/health").text
    console.daemon.said["alarms"] = {"disk_full": 2, "brand_new": 1}
    console.daemon.said["retention"]["stopped"] = "the index was rebuilt"
    page = dpo.get("/health").text
    assert "2 alarms need somebody to act." in page
    assert "Free space, then search for calls that were partly recorded" in page
    assert 'Disk full<br><code class="reference">disk_full</code>' in page
    assert "This version of the console does not know this alarm." in page
    assert "the index was rebuilt" in page
    assert "2:30am" in page
    assert [entry.details["page"] for entry in console.entries("system.view")] == ["health", "health"]


def test_health_says_how_the_daemon_does(console: Console, dpo: Browser) -> None:
    said = console.daemon.said
    page = dpo.get("/health").text
    assert "750.0 GB of 1,000.0 GB, which lasts 41 days at the rate of the last day" in page
    assert "Keeps up" in page
    assert "Not blocked (3 times over 0.1 s since the start)" in page
    assert "Certificate for SIP over TLS" not in page
    said["disk"]["left_s"] = None
    said["writer"]["lag_s"] = 2.25
    said["call_thread"]["longest_stall_lately_ms"] = 1400.0
    said["carriage"]["certificate_expires_at"] = "2026-12-05T09:00:00+00:00"
    page = dpo.get("/health").text
    assert "750.0 GB of 1,000.0 GB. It is not shrinking" in page
    assert "2.2 s late: audio is lost from 4 s on." in page
    assert "Blocked for up to 1.4 s" in page
    assert "Ends in 10 days, on 5 December 2026" in page
    said["carriage"]["certificate_expires_at"] = "2026-11-24T09:00:00+00:00"
    assert "Has ended, on 24 November 2026" in dpo.get("/health").text
    for name in ("disk", "writer", "call_thread"):  # a daemon of an earlier version
        del said[name]
    assert "Free disk space" not in dpo.get("/health").text


def test_the_consoles_own_alarms_are_on_the_page_and_in_the_api(console: Console, dpo: Browser) -> None:
    console.daemon.said["alarms"] = {"disk_full": 2}
    console.deps.alarms["metrics_unavailable"] = 1
    page = dpo.get("/health").text
    assert "2 alarms need somebody to act." in page
    assert "The metrics cannot be served" in page
    found = dpo.get("/api/health").json()
    assert found["alarms"] == {"disk_full": 2, "metrics_unavailable": 1}
    assert found["daemon"]["disk"]["free_bytes"] == 750 * 10**9
    with signed_in(console, "officer") as officer:
        assert officer.get("/api/health").json() == {"alarms": {"metrics_unavailable": 1}}, "not the daemon's"


def test_without_a_daemon_the_page_says_where_to_look(tmp_path: Path) -> None:
    with console_site(tmp_path, is_daemon_up=False) as running, signed_in(running, "ict") as ict:
        page = ict.get("/health")
        assert page.status_code == 200
        assert "systemctl status council-recorder" in page.text
        found = ict.get("/api/health").json()
        assert (found["alarms"], found["daemon"]) == ({}, None)
        assert found["problem"]
        assert "Not known" in ict.get("/notices").text or "There are no messages" in ict.get("/notices").text
        assert "Nothing has been changed yet." in ict.get("/changes").text


@pytest.fixture
def store(console: Console, clock: Clock) -> NoticeStore:
    """Two messages of the recorder, and another first one since 20 minutes."""
    made = NoticeStore(console.home.notices, now=clock)
    install_shipped(made)
    clock.time += timedelta(minutes=20)
    made.put("first", SHIPPED / "second.en.flac", by="sally", of=NewNotice(text="This call is <b>recorded</b>."))
    return made


def test_notices_tell_which_is_played_and_who_set_it(console: Console, dpo: Browser, store: NoticeStore) -> None:
    console.daemon.said["notices"] = [
        {"name": "first", "version": 1, "sha256": "x"},
        {"name": "second", "version": 1, "sha256": "y"},
    ]
    page = dpo.get("/notices").text
    states = re.findall(
        r'<h2>(.+?), in force now</h2>.+?/(\d)">Version.+?govuk-tag[^>]*>\s*(.+?)\s*</', page, re.DOTALL
    )
    assert states == [("First message", "2", "Not in use yet"), ("Second message", "1", "In use")]
    assert "This call is &lt;b&gt;recorded&lt;/b&gt;." in page
    assert "Thank you for calling" not in page, "the words of a version that was replaced"
    before = page[page.index("In force before") :]
    row = r"first/1.+?<td>25 November 2026, 9am</td><td>25 November 2026, 9:20am</td><td>Supplied"
    assert re.search(row, before, re.DOTALL)
    one = dpo.get("/notices/first/2").text
    assert store.version("first", 2).sha256 in one
    assert "sally" in one
    assert dpo.get("/notices/first/9").status_code == dpo.get("/notices/nobody/1").status_code == 404


def test_everybody_hears_a_notice_as_callers_do(
    console: Console, store: NoticeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = store.load("first").prompt.audio[Codec.PCMA]
    with signed_in(console, "officer") as officer:
        page = officer.get("/notices").text
        assert "This call is" in page
        assert not {"Change a message", "In use", "Not in use yet"} & set(re.findall(r">\s*([^<>]+?)\s*<", page))
        whole = officer.get("/notices/first/2/audio")
        assert whole.headers["Content-Type"] == "audio/wav"
        samples, rate = soundfile.read(io.BytesIO(whole.content), dtype="int16")
        assert rate == 8000
        assert samples.tobytes() == decode(Codec.PCMA, heard).tobytes()
        part = officer.get("/notices/first/2/audio", headers={"Range": "bytes=100-199"})
        assert (part.status_code, part.content) == (206, whole.content[100:200])
        assert part.headers["Content-Range"] == f"bytes 100-199/{len(whole.content)}"
        with monkeypatch.context() as patch:
            patch.setattr(NoticeStore, "message", None)
            assert officer.get("/notices/first/2/audio").content == whole.content, "it is not made for each request"
        assert officer.get("/notices/first/2/use").status_code == 403
        refused = officer.submit("/notices/first/1/use", service="", when="now")
        assert (refused.status_code, store.load("first").version) == (403, 2)
        assert officer.submit("/notices/first/2/withdraw", service="").status_code == 403
    store.path_of(store.version("first", 2)).write_bytes(b"altered")
    with signed_in(console, "dpo") as dpo:
        assert dpo.get("/notices/first/2/audio").status_code == 409
        entries = len(list(of_act(console.deps.repos.audit.path, "notice.set")))
        assert dpo.submit("/notices/first/2/use", service="", when="now").status_code == 422
        assert len(list(of_act(console.deps.repos.audit.path, "notice.set"))) == entries, "it was not set"


def test_a_version_is_brought_into_force_at_a_date_and_given_up(
    console: Console, dpo: Browser, store: NoticeStore, clock: Clock
) -> None:
    day = {"on-day": "1", "on-month": "1", "on-year": "2027"}
    for fields, words in (
        ({"service": "", "when": ""}, "Select when callers hear this version"),
        ({"service": "Parks", "when": "now"}, "Select a service of this recorder"),
        ({"service": "", "when": "later"}, "Enter the day from which callers hear this version"),
        ({"service": "", "when": "later", **day, "on-year": "2025"}, "is past"),
        ({"service": "", "when": "later", **day, "on-month": "13"}, "The month must be between 1 and 12"),
    ):
        refused = dpo.submit("/notices/first/1/use", **fields)
        assert (refused.status_code, words in refused.text) == (422, True), (words, refused.text)
    assert f'value="{day["on-day"]}"' in refused.text, "what was typed stays"
    assert len(store.periods(clock.time)) == 3

    done = dpo.submit("/notices/first/1/use", service="Revenues", when="later", **day)
    assert "comes into force on its date" in dpo.get(done.headers["Location"]).text
    (coming,) = [one for one in store.periods(clock.time) if one.state is NoticeState.COMING]
    new_year = datetime(2027, 1, 1, tzinfo=UTC)
    assert (coming.use.service, coming.use.starts_at, coming.use.set_by) == ("Revenues", new_year, "dpo")
    assert "First message, version 1, Revenues, from 1 January 2027, midnight" in dpo.get("/changes").text

    assert dpo.submit("/notices/first/1/withdraw", service="Revenues").headers["Location"] == "/notices?done=given_up"
    assert [one for one in store.periods(clock.time) if one.state is NoticeState.COMING] == []
    assert dpo.submit("/notices/first/1/withdraw", service="Revenues").status_code == 409
    assert dpo.submit("/notices/first/1/use", service="", when="now").headers["Location"] == "/notices?done=used"
    assert store.load("first").version == 1
    acts = [entry.details.get("is_given_up", False) for entry in of_act(console.deps.repos.audit.path, "notice.set")]
    assert acts == [False, True, False]


def test_changes_come_from_the_audit_log(console: Console, dpo: Browser) -> None:
    log = AuditLog(console.home.audit)
    log.append(
        "config.reload", "os:root", "", {"sha256": "ab" * 32, "before": "cd" * 32, "changed": ["pause.max_s", "peer"]}
    )
    log.append("notice.set", "os:root", "first", {"version": 4, "sha256": "ef" * 32})
    log.append("retention.in_force", "<dpo>", "", {"periods": {"recordings": 90}, "before": None})
    page = dpo.get("/changes").text
    assert "pause.max_s, peer" in page
    assert "ab" * 32 in page
    assert "First message, version 4" in page
    assert "root, at the command line" in page
    assert "Recordings: 90 days" in page
    assert "&lt;dpo&gt;" in page
    assert page.index("Recordings: 90 days") < page.index("pause.max_s")


def test_the_overview_says_what_waits_for_the_dpo(console: Console, dpo: Browser) -> None:
    page = dpo.get("/overview").text
    assert "Nothing is waiting for you." in page
    assert "Waiting for other people" not in page
    assert "nobody can decide your own requests" in page
    assert "No case is open." in page

    with signed_in(console, "ict") as ict:
        ict.submit(f"/recordings/{ID}/play", reason="no sound after the update")
    with signed_in(console, "officer") as officer:
        officer.submit(f"/recordings/{ID}/request", category="accuracy", leave="listen", reason="what was agreed?")
        officer.submit(f"/recordings/{ID}/forgot", start="0:01", end="2", reason="card read out")
    with signed_in(console, "lead") as lead:
        lead.submit("/team-leaders/lead/absent")
        lead.submit(f"/recordings/{ID}/erase", start="0:00", end="1", reason="somebody else's words")
    state = SweepState(unconfirmed=("recordings: 30 days, 90 in force",), stopped="a restored index")
    make_folder(console.home.state)
    (console.home.state / NAME).write_text(json.dumps(state_to_json(state)))
    notify_of_changes(console.deps.watch)
    page = dpo.get("/overview").text
    waits = re.findall(r'<li><a href="([^"]+)">([^<]+)</a> <span class="reference">since', page)
    (heard,), (asked,) = console.deps.hearing.emergencies.open(), console.deps.hearing.requests.waiting()
    assert waits == [
        (f"/emergencies/{heard.id}", "ict listened to a recording without approval on 25 November 2026, 9am"),
        (f"/requests/{asked.id}", "Olive Officer asks to listen to a recording"),
    ]
    assert "2 erasures need</a> a second person" in page or "2 erasures need a second person" in page
    assert "recordings: 30 days, 90 in force" in page
    assert "a restored index" in page
    assert "All are absent, so requests come to you" in page
    assert "Count the last 7 days in detail" in page
    counted = dpo.submit("/overview").text
    assert "Calls recorded" in counted
    assert "The last 7 days<" in counted


def test_a_deadline_that_runs_out_is_shown_as_such(console: Console, dpo: Browser, clock: Clock) -> None:
    lead = console.people.find("lead")
    assert lead is not None
    case = casework.open_case(
        console.deps.cases, lead, kind=CaseKind.SUBJECT_ACCESS, requester="Mrs Example", form="letter", text="",
        received_on=date(2026, 11, 20), ground=None,
    )  # fmt: skip
    page = dpo.get("/overview").text
    assert f'href="/cases/{case.id}"' in page
    assert "<td>21 December 2026</td><td>26</td>" in page, "the 20th is a Sunday"
    assert ">Mrs Example</a>" in page, "a case is named by its requester"
    for day, words in (
        ("2026-12-18", 'govuk-tag--yellow">3 days'),
        ("2026-12-21", 'govuk-tag--red">Today'),
        ("2026-12-23", 'govuk-tag--red">2 days overdue'),
    ):
        clock.time = datetime.fromisoformat(f"{day}T12:00:00Z")
        dpo.sign_in()
        assert words in re.sub(r">\s+", ">", dpo.get("/overview").text)
