"""People are told: in the console, and by mail through a real server; once, late if need be, never with a reason."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from email import message_from_string
from email.policy import default
from pathlib import Path
from zoneinfo import ZoneInfo

import pyotp
import pytest

from recorder.access.totp import new_secret
from recorder.config.mail_options import MailOptions
from recorder.data_subjects import case_deadlines, casework
from recorder.notifications import recipients
from recorder.notifications.box import MailState
from recorder.notifications.kinds import NotificationKind
from recorder.notifications.mail_health import MailHealth
from recorder.notifications.postman import KEPT_FOR, Postman
from recorder.retention.holding import place_hold, release_hold
from recorder.rules.cases import CaseEvent, CaseKind
from recorder.rules.holds import HoldWish
from recorder.rules.weekly import Weekday, last_weekly
from storage.audit import AuditLog
from storage.retention_types import HoldKind
from storage.types import RecordingId
from tests.helpers.accounts import Clock
from tests.helpers.anchor_servers import Certificates, Mailbox, mail_server
from tests.helpers.console_site import Console, console_site, signed_in
from tests.helpers.recorder_home import RecorderHome, recorder_home
from tests.helpers.storage_home import ID

SECRET = "what she said about the arrears"
ASKED = {"category": "complaint", "leave": "listen", "reason": SECRET}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 11, 25, 9, 0, tzinfo=UTC))


@pytest.fixture
def console(tmp_path: Path, clock: Clock) -> Iterator[Console]:
    with console_site(tmp_path, now=clock, is_daemon_up=False) as running:
        yield running


def options(port: int, certificates: Certificates, **changes: object) -> MailOptions:
    return MailOptions(
        smtp=f"127.0.0.1:{port}", ca=str(certificates.ca), sender="recorder@council.example",
        console_url="https://recorder.council.example", **changes,  # type: ignore[arg-type]
    )  # fmt: skip


def postman(console: Console, mail: MailOptions) -> Postman:
    review_on = date(2099, 1, 1)
    watch = replace(console.deps.watch, cases=console.deps.cases, is_mail_on=True, policy_review_on=review_on)
    for account in ("officer", "lead", "dpo", "revenues", "housing", "ict"):
        watch.addresses.save(account, f"{account}@council.example")
    assert mail.problem is None
    return Postman(repos=watch, options=mail, site="Test Council", state=console.home.state)


def kinds(console: Console, account: str) -> list[NotificationKind]:
    found = console.deps.watch.box.of_account(account)
    return [
        one.notification.kind
        for one in found
        if one.notification.kind not in (NotificationKind.WEEK, NotificationKind.POLICY_UNDATED)
    ]


def subjects(mailbox: Mailbox) -> list[tuple[str, str]]:
    """Return to whom and about what each mail was, without the weekly ones."""
    found = []
    for to, content in mailbox.mails:
        mail = message_from_string(content, policy=default)
        assert SECRET not in content
        assert ID not in content
        assert "2001" not in mail.get_content()
        found.append((to[0].partition("@")[0], mail["Subject"].partition("] ")[2]))
    return sorted(one for one in found if "week" not in one[1])


def test_a_request_and_its_decision_are_told_once(console: Console, certificates: Certificates) -> None:
    with (
        mail_server(certificates.context) as mailbox,
        signed_in(console, "officer") as officer,
        signed_in(console, "lead") as lead,
    ):
        post = postman(console, options(mailbox.port, certificates))
        (asked,) = [officer.post("/api/requests", json={"recordings": [ID], **ASKED}).json()["id"]]
        post.run_once()
        post.run_once()
        assert subjects(mailbox) == [("lead", "A request to listen waits for your decision")]
        page = lead.get("/notifications").text
        assert "Notifications (1 new)" in page
        assert asked in page
        assert SECRET not in page
        assert "Notifications (" not in officer.get("/notifications").text
        lead.submit(f"/requests/{asked}/grant", words="go on", days="2")
        post.run_once()
        assert subjects(mailbox)[1:] == [("officer", "Your request was decided")]
        assert lead.submit("/notifications/seen").status_code == 303
        assert "new)" not in lead.get("/notifications").text
        assert "Notifications (1 new)" in officer.get("/notifications").text, "seen by one is not seen by all"


def test_while_the_leader_is_away_the_officer_is_told(console: Console, certificates: Certificates) -> None:
    with mail_server(certificates.context) as mailbox, signed_in(console, "officer") as officer:
        post = postman(console, options(mailbox.port, certificates))
        console.deps.hearing.appointments.mark_absent("lead", by="dpo")
        officer.post("/api/requests", json={"recordings": [ID], **ASKED})
        post.run_once()
        assert subjects(mailbox) == [("dpo", "A request to listen waits for your decision")]


def test_an_emergency_and_an_opt_out_are_told(tmp_path: Path, certificates: Certificates) -> None:
    with (
        console_site(tmp_path) as console,
        mail_server(certificates.context) as mailbox,
        signed_in(console, "ict") as ict,
    ):
        post = postman(console, options(mailbox.port, certificates))
        ict.submit(f"/recordings/{ID}/play", reason="the mail server says it is silent")
        console.deps.live.ask_opt_out("20260701T090000Z-2001-0a1b2c", person=console.person("officer"), reason=SECRET)
        post.run_once()
        waits = "A caller asks not to be recorded"
        assert subjects(mailbox) == [
            ("dpo", "Someone listened to a recording without approval"), ("lead", waits), ("revenues", waits),
        ]  # fmt: skip
        console.daemon.requests[0] |= {"state": "declined", "decided_by": "revenues"}
        post.run_once()
        assert ("officer", "Your request to end a recording was decided") in subjects(mailbox)


def test_a_new_password_and_a_lost_phone_are_told_to_whose_they_are(
    console: Console, certificates: Certificates, clock: Clock
) -> None:
    with mail_server(certificates.context) as mailbox:
        post = postman(console, options(mailbox.port, certificates))
        console.set_password("officer", "copper walrus teapot")
        console.people.set_password("lead", "copper walrus teapot")
        secret = new_secret()
        code = pyotp.TOTP(secret).at(clock.time)
        console.deps.second_factors.enrol("housing", secret, code)
        console.deps.proposals.reset_authenticator("admin", "housing", reason="lost", enter=lambda _: None)
        post.run_once()
        post.run_once()
        assert subjects(mailbox) == [
            ("housing", "Your authenticator was removed"), ("lead", "Your password was changed"),
            ("officer", "You were given a new password"),
        ]  # fmt: skip
        clock.time += timedelta(minutes=1)
        console.set_password("officer", "copper walrus lantern")
        post.run_once()
        assert len(subjects(mailbox)) == 4, "each time"


def test_cases_and_holds_fall_due(console: Console, certificates: Certificates, clock: Clock) -> None:
    with mail_server(certificates.context) as mailbox:
        post = postman(console, options(mailbox.port, certificates))
        repos, lead = console.deps.cases, console.person("lead")
        case = casework.open_case(
            repos, lead, kind=CaseKind.SUBJECT_ACCESS, requester="J. Doe", form="letter", text=SECRET
        )
        wish = HoldWish(kind=HoldKind.COMPLAINT, reason=SECRET, case_reference="C 1")
        hold = place_hold(console.deps.hold_repositories, lead, ID, wish)
        due = case_deadlines.due(repos, case)
        assert due is not None
        for day in (clock.time.date() + timedelta(days=28), due, due + timedelta(days=1), hold.review_on):
            clock.time = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
            post.run_once()
            post.run_once()
        assert subjects(mailbox) == [
            ("dpo", "A case is overdue"), ("lead", "A case is due soon"), ("lead", "A case is due today"),
            ("lead", "A case is overdue"), ("lead", "A legal hold is due for review"),
        ]  # fmt: skip
        casework.add_event(repos, lead, case.id, CaseEvent.NOTED, text="answered by telephone")
        post.run_once()
        assert len(kinds(console, "lead")) == 4, "a day later nothing is told again"


def test_the_week_for_the_data_protection_officer(console: Console, certificates: Certificates, clock: Clock) -> None:
    with mail_server(certificates.context) as mailbox, signed_in(console, "admin") as admin:
        assert admin.get(f"/recordings/{ID}").status_code == 403
        refused = len(console.entries("access.refused"))
        assert refused
        clock.time = last_weekly(datetime.now(UTC), Weekday.MONDAY, ZoneInfo("Europe/London")) + timedelta(days=7)
        post = postman(console, options(mailbox.port, certificates))
        post.run_once()
        post.run_once()
        ((to, content),) = mailbox.mails
        assert to == ["dpo@council.example"]
        text = message_from_string(content, policy=default).get_content()
        for line in (f"Access refused: {refused}", "Calls recorded: ", "Holds due for review: 0",
                     "Records deleted: 0", "Next review of the policy: 1 January 2099", "Sign-ins refused: 0",
                     "Calls opted out: 0"):  # fmt: skip
            assert line in text
        assert "Olive" not in text
        assert "02079460000" not in text
        clock.time += timedelta(days=7)
        post.run_once()
        assert len(mailbox.mails) == 2
        with signed_in(console, "dpo") as dpo:
            assert f"Access refused: {refused}" in dpo.get("/notifications").text


def told_about(page: str, subject: str) -> set[str]:
    """Return what notifications with a subject are about, as the page says."""
    items = page.split('<li><a href="')[1:]
    return {one.partition("About ")[2].partition(",")[0] for one in items if f">{subject}</a>" in one}


def test_conduct_that_may_be_an_account_in_the_wrong_hands(console: Console, certificates: Certificates) -> None:
    log = console.deps.audit
    log.append(act="people.granted", actor="admin", subject="ict", details={"roles": ["ict"]})
    log.append(act="recording.search", actor="ict", subject="")
    for number in range(40):
        log.append(act="recording.play", actor="lead", subject=f"{ID}{number}")
    with mail_server(certificates.context) as mailbox:
        post = postman(console, options(mailbox.port, certificates))
        post.run_once()
        post.run_once()
        assert sorted(subjects(mailbox)) == [
            ("dpo", "A role was used as soon as it was granted"),
            ("dpo", "Someone listened to very many recordings in a day"),
        ]
    with signed_in(console, "dpo") as dpo:
        page = dpo.get("/notifications").text
    assert told_about(page, "Someone listened to very many recordings in a day") == {"lead"}
    assert told_about(page, "A role was used as soon as it was granted") == {"ict"}


def test_an_account_that_somebody_makes_and_uses_at_once_is_told(console: Console, certificates: Certificates) -> None:
    """An administrator makes managers alone: two of them would order an erasure and confirm it."""
    log = console.deps.audit
    log.append(act="people.add", actor="admin", subject="housing", details={"roles": ["manager"]})
    log.append(act="people.add", actor="admin", subject="revenues", details={"roles": ["manager"]})
    log.append(act="people.add", actor="admin", subject="officer", details={"roles": ["officer"]})
    log.append(act="people.add", actor="os:root", subject="admin", details={"roles": ["admin"]})
    log.append(act="erasure.ordered", actor="housing", subject=ID, details={"by_act": "recording.erase"})
    log.append(act="erasure.confirmed", actor="revenues", subject=ID)
    log.append(act="call.pause", actor="officer", subject=ID)
    log.append(act="people.proposed", actor="admin", subject="lead")
    with mail_server(certificates.context) as mailbox:
        postman(console, options(mailbox.port, certificates)).run_once()
        assert subjects(mailbox) == [("dpo", "A role was used as soon as it was granted")] * 2
    with signed_in(console, "dpo") as dpo:
        page = dpo.get("/notifications").text
    assert told_about(page, "A role was used as soon as it was granted") == {"housing", "revenues"}


def test_a_hold_that_somebody_else_releases_is_told_to_its_owner(console: Console, certificates: Certificates) -> None:
    """A manager could release what another one keeps as evidence, and it would be gone in two weeks without a word."""
    repos = console.deps.hold_repositories
    repos.index.save(replace(repos.index.get(RecordingId(ID)), team="Revenues"))
    manager, lead = console.person("revenues"), console.person("lead")
    evidence = HoldWish(kind=HoldKind.EVIDENCE, reason="threats", case_reference="E 1")
    mine, theirs = (place_hold(repos, manager, ID, evidence) for _ in range(2))
    release_hold(repos, manager, mine.id, reason="not needed")
    with mail_server(certificates.context) as mailbox:
        post = postman(console, options(mailbox.port, certificates))
        post.run_once()
        assert subjects(mailbox) == [], "nobody is told of what they did themselves"
    release_hold(repos, lead, theirs.id, reason="no longer needed")
    told = recipients.of_released_holds(repos.holds.in_grace(console.deps.now()))
    assert [(one.kind, one.account, one.subject) for one in told] == [
        (NotificationKind.HOLD_RELEASED, "revenues", theirs.id)
    ]
    assert recipients.of_released_holds(repos.holds.in_grace(console.deps.now() + timedelta(days=15))) == []
    with mail_server(certificates.context) as mailbox:
        postman(console, options(mailbox.port, certificates)).run_once()
        assert subjects(mailbox) == [("revenues", "Someone else released your legal hold")]


def test_a_changed_message_to_callers_is_told_to_who_protects_data_and_did_not_change_it(
    console: Console, certificates: Certificates
) -> None:
    """One administrator, or ICT, could have silence played in its place, and every call be one that was told."""
    for by, message in (("admin", "first"), ("dpo", "second")):
        console.deps.audit.append(act="notice.set", actor=by, subject=message, details={"version": 3})
    with mail_server(certificates.context) as mailbox:
        post = postman(console, options(mailbox.port, certificates))
        post.run_once()
        post.run_once()
        assert subjects(mailbox) == [("dpo", "A message to callers was changed")]
    with signed_in(console, "dpo") as dpo:
        page = dpo.get("/notifications").text
    assert told_about(page, "A message to callers was changed") == {"first"}


def test_authenticators_that_somebody_at_the_machine_removed_are_told(
    console: Console, certificates: Certificates
) -> None:
    """Their owners sign in by password alone once, and so could somebody else who knows it."""
    console.deps.audit.append(
        act="people.second_factors_lost", actor="os:root", subject="", details={"accounts": ["x"]}
    )
    with mail_server(certificates.context) as mailbox:
        post = postman(console, options(mailbox.port, certificates))
        post.run_once()
        post.run_once()
        told = subjects(mailbox)
    subject = "Authenticators were removed because their key was lost"
    assert told == [("dpo", subject)]
    with signed_in(console, "admin") as admin:  # who has no address for mail here
        assert subject in admin.get("/notifications").text


def test_a_server_that_is_down_holds_nothing_up_and_gets_it_later(
    console: Console, certificates: Certificates, clock: Clock
) -> None:
    with mail_server(certificates.context) as mailbox, signed_in(console, "officer") as officer:
        post = postman(console, options(mailbox.port, certificates))
        down = replace(post, options=options(9, certificates))
        for _ in range(3):
            officer.post("/api/requests", json={"recordings": [ID], **ASKED})
        down.run_once()
        (first, *others) = [
            one for one in post.repos.box.to_send() if one.notification.kind is NotificationKind.REQUEST_WAITS
        ]
        assert len(others) == 1, "after one failure the rest of the round is left alone, and the one tried waits"
        assert first.tries == 0
        clock.time += timedelta(seconds=61)
        post.run_once()
        assert subjects(mailbox) == [("lead", "A request to listen waits for your decision")] * 3


def test_after_a_day_ict_is_told_and_after_five_it_is_given_up(
    console: Console, certificates: Certificates, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    down = postman(console, options(9, certificates))
    with signed_in(console, "officer") as officer:
        officer.post("/api/requests", json={"recordings": [ID], **ASKED})
    down.run_once()
    clock.time += timedelta(hours=23)
    down.run_once()
    assert kinds(console, "ict") == []
    clock.time += timedelta(hours=2)
    down.run_once()
    down.run_once()
    assert kinds(console, "ict") == [NotificationKind.MAIL_STUCK]
    assert [r.levelname for r in caplog.records if "mails not sent since" in r.message] == ["ERROR"], "once"
    clock.time += timedelta(days=5)
    down.run_once()
    waits = [
        one for one in down.repos.box.of_account("lead") if one.notification.kind is NotificationKind.REQUEST_WAITS
    ]
    assert [one.mail for one in waits] == [MailState.GIVEN_UP]
    clock.time += KEPT_FOR
    down.run_once()
    assert not [one for one in down.repos.box.of_account("lead") if one.mail is MailState.GIVEN_UP], "and forgotten"


def test_mail_that_fails_is_an_alarm_of_health(console: Console, certificates: Certificates, clock: Clock) -> None:
    nowhere = options(9, certificates)
    down = postman(console, nowhere)
    health = MailHealth(console.home.state, nowhere, clock)
    assert health.look()["alarms"] == {}
    with signed_in(console, "officer") as officer:
        officer.post("/api/requests", json={"recordings": [ID], **ASKED})
    down.run_once()
    waiting = health.look()
    assert (waiting["alarms"], waiting["waiting"] > 0, waiting["problem"] != "") == ({}, True, True), "not at once"
    clock.time += timedelta(hours=1)
    failing = health.look()
    assert failing["alarms"] == {"mail_failing": failing["waiting"]}
    assert MailHealth(console.home.state, MailOptions(), clock).look()["alarms"] == {}, "nobody is written to"
    assert MailHealth(console.home.root / "none", nowhere, clock).look()["alarms"] == {}
    (broken := console.home.root / "broken").mkdir()
    (broken / "mail.json").write_bytes(b"no mails at all")
    assert "cannot be read" in MailHealth(broken, nowhere, clock).look()["problem"]
    with mail_server(certificates.context) as mailbox:
        postman(console, options(mailbox.port, certificates)).run_once()
        assert health.look() == {
            "alarms": {}, "server": nowhere.smtp, "waiting": 0, "oldest_at": None, "problem": "",
        }  # fmt: skip


def test_a_refused_mailbox_stops_nobody_elses_mail(console: Console, certificates: Certificates) -> None:
    with mail_server(certificates.context) as mailbox, signed_in(console, "ict") as ict:
        mailbox.refused.add("dpo@council.example")
        post = postman(console, options(mailbox.port, certificates))
        ict.submit(f"/recordings/{ID}/play", reason="is it silent?")
        with signed_in(console, "officer") as officer:
            officer.post("/api/requests", json={"recordings": [ID], **ASKED})
        post.run_once()
        assert subjects(mailbox) == [("lead", "A request to listen waits for your decision")]
        assert post.repos.box.queue().given_up == 2, "the emergency, and the week"
        assert kinds(console, "dpo") == [NotificationKind.EMERGENCY], "it stands in the console"


def test_a_certificate_that_is_not_good_gets_no_mail(console: Console, certificates: Certificates) -> None:
    with mail_server(certificates.context) as mailbox, signed_in(console, "officer") as officer:
        post = postman(console, replace(options(mailbox.port, certificates), ca=None))
        officer.post("/api/requests", json={"recordings": [ID], **ASKED})
        post.run_once()
        assert mailbox.mails == []
        assert "certificate is not valid" in post.repos.box.queue().problem


def test_pages_are_ones_own(console: Console) -> None:
    with console.browser() as nobody, signed_in(console, "officer") as officer:
        assert nobody.get("/notifications").status_code == 303
        assert officer.post("/notifications/seen", data={"csrf": "forged"}).status_code == 403


# --- the shell


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RecorderHome]:
    with recorder_home(tmp_path_factory.mktemp("mail"), next_hop="127.0.0.1:5999", is_started=False) as home:
        yield home


def run(site: RecorderHome, *arguments: str, code: int = 0) -> str:
    done = site.run(*arguments, "-C", str(site.root))
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def test_the_shell_tests_writes_addresses_and_tells_the_state(site: RecorderHome, certificates: Certificates) -> None:
    signed = site.as_admin()
    assert "no mail server" in run(site, "mail", "test", "ict@council.example", code=2)
    with mail_server(certificates.context) as mailbox:
        before, _, rest = site.config.read_text().partition("[mail]")
        section = f'[mail]\nsmtp = "127.0.0.1:{mailbox.port}"\nca = "{certificates.ca}"\nsender = "r@council.example"\n'
        site.config.write_text(before + section + rest[rest.index("\n[") :])
        assert "accepted the email" in run(site, "mail", "test", "ict@council.example")
        sent = json.loads(run(site, "mail", "test", "it@council.example", "--json"))
        assert sent == {"address": "it@council.example", "server": f"127.0.0.1:{mailbox.port}"}
        assert "not an email address" in run(site, "mail", "test", "a@b\nBcc: c@d", code=2)
        mailbox.refused.add("gone@council.example")
        assert "refused" in run(site, "mail", "test", "gone@council.example", code=1)
        assert [to for to, _ in mailbox.mails] == [["ict@council.example"], ["it@council.example"]]
    assert "not an email address" in run(site, "mail", "address", "founder", "a@b, c@d", *signed, code=1)
    assert "no account" in run(site, "mail", "address", "nobody", "a@b.example", *signed, code=1)
    run(site, "mail", "address", "founder", "founder@council.example", *signed)
    found = json.loads(run(site, "mail", "show", "--json"))
    assert found["addresses"]["founder"] == "founder@council.example"
    assert (found["waiting"], found["is_stuck"]) == (0, False)
    run(site, "mail", "address", "founder", *signed)
    assert json.loads(run(site, "mail", "show", "--json"))["addresses"]["founder"] is None
    entries = [entry for entry in AuditLog(site.root / "audit").entries() if entry.act == "people.mail_address"]
    assert [entry.details["has_address"] for entry in entries] == [True, False]
    assert not any("council.example" in json.dumps(entry.details) for entry in entries)
