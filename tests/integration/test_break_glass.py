"""One administrator cannot listen, alone or through an account of ICT: tried over HTTP and at the shell (P11)."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, update
from sqlalchemy.exc import IntegrityError

from recorder.access.database import open_people
from recorder.access.tables import accounts, break_glass
from recorder.notifications.kinds import NotificationKind
from recorder.notifications.watch import notify_of_changes
from recorder.permissions import Role
from recorder.rules.requesting import BREAK_GLASS_A_DAY, BREAK_GLASS_FOR
from recorder.service.run_console import warn_of_combined
from storage.types import RecordingId
from tests.helpers.accounts import PASSWORD, Clock, appoint_deputy, as_of_before
from tests.helpers.console_site import Browser, Console, console_site, signed_in
from tests.helpers.due_home import add_recording
from tests.helpers.recorder_home import recorder_home
from tests.helpers.storage_home import ID

SECOND = RecordingId("20261124T103000Z-2001-0a1b2d")
WHY = "does playback work since the upgrade"


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 11, 26, 9, 0, tzinfo=UTC))


@pytest.fixture
def console(tmp_path: Path, clock: Clock) -> Iterator[Console]:
    with console_site(tmp_path, now=clock, is_daemon_up=False) as running:
        yield running


def broken(browser: Browser, recording: str = ID) -> int:
    return browser.submit(f"/recordings/{recording}/play", reason=WHY).status_code


def emergencies(console: Console) -> list[str]:
    return [one.id for one in console.deps.hearing.emergencies.open()]


def test_an_administrator_does_not_make_themselves_ict_and_listen(console: Console) -> None:
    with signed_in(console, "admin") as admin:
        for role in ("ict", "officer", "manager", "dpo", "member", "team_leader"):
            assert admin.submit("/people/admin/roles", role=role, reason=WHY).status_code == 409, role
        assert admin.submit("/people/ict/roles", role="admin", reason=WHY).status_code == 409
        assert admin.submit("/people/officer/roles", role="ict", reason=WHY).status_code == 303
        assert console.person("officer").roles == {Role.OFFICER}, "ict waits for a second person"
        assert broken(admin) == 403
    assert console.person("admin").roles == {Role.ADMIN}


def test_one_recording_at_a_time_and_the_next_when_the_last_is_over_and_acknowledged(
    console: Console, clock: Clock
) -> None:
    index = console.deps.copy_repositories.index
    index.save(replace(index.get(ID), id=SECOND))
    with signed_in(console, "ict") as ict, signed_in(console, "dpo") as dpo:
        assert broken(ict) == 200
        assert broken(ict) == 200, "the same recording, within its half hour, is the same act"
        assert broken(ict, SECOND) == 403
        (first,) = emergencies(console)
        assert dpo.submit(f"/emergencies/{first}/acknowledge").status_code == 303
        assert broken(ict, SECOND) == 403, "acknowledged, but not over"
        console.people.add("second", PASSWORD, roles={Role.ICT})
        with signed_in(console, "second") as second:
            assert broken(second, SECOND) == 403, "nor for another of ICT"
    clock.time += BREAK_GLASS_FOR
    with signed_in(console, "ict") as ict:
        assert broken(ict, SECOND) == 200
    clock.time += BREAK_GLASS_FOR
    with signed_in(console, "ict") as ict:
        page = ict.submit(f"/recordings/{ID}/play", reason=WHY)
        assert page.status_code == 403, "over, but not acknowledged"
        assert "not acknowledged yet" in page.text
    assert [e.subject for e in console.entries("recording.play")] == [ID, ID, SECOND]
    assert {e.actor for e in console.entries("access.refused")} == {"ict", "second"}


def test_so_many_a_day(console: Console, clock: Clock) -> None:
    for _ in range(BREAK_GLASS_A_DAY):
        with signed_in(console, "ict") as ict, signed_in(console, "dpo") as dpo:
            assert broken(ict) == 200
            for one in emergencies(console):
                dpo.submit(f"/emergencies/{one}/acknowledge")
        clock.time += BREAK_GLASS_FOR
    with signed_in(console, "ict") as ict:
        assert broken(ict) == 403
    clock.time += timedelta(days=1) - BREAK_GLASS_A_DAY * BREAK_GLASS_FOR
    with signed_in(console, "ict") as ict:
        assert broken(ict) == 200


def test_the_deputy_acknowledges_and_is_told(console: Console) -> None:
    appoint_deputy(console.deps.hearing.appointments, "lead")
    with signed_in(console, "ict") as ict, signed_in(console, "lead") as lead, signed_in(console, "revenues") as other:
        assert broken(ict) == 200
        (one,) = emergencies(console)
        notify_of_changes(console.deps.watch)
        told = {
            name for name in ("dpo", "lead", "revenues") for kept in console.deps.watch.box.of_account(name)
            if kept.notification.kind is NotificationKind.EMERGENCY
        }  # fmt: skip
        assert told == {"dpo", "lead"}
        assert one not in other.get("/requests").text
        assert other.submit(f"/emergencies/{one}/acknowledge").status_code == 403
        assert one in lead.get("/requests").text
        assert lead.submit(f"/emergencies/{one}/acknowledge").status_code == 303
    assert emergencies(console) == []


def test_where_nobody_could_be_told_nobody_breaks_the_glass(console: Console) -> None:
    console.people.disable("dpo")
    appoint_deputy(console.deps.hearing.appointments, "ict")
    with signed_in(console, "ict") as ict:
        page = ict.submit(f"/recordings/{ID}/play", reason=WHY)
        assert (page.status_code, "no data protection officer or deputy" in page.text) == (403, True)
    assert emergencies(console) == []


def test_ict_sees_rows_without_numbers_and_finds_none_by_one(console: Console) -> None:
    number = "02079460000"
    with signed_in(console, "ict") as ict, signed_in(console, "dpo") as dpo:
        for path in ("/recordings", f"/recordings/{ID}", "/api/recordings", f"/api/recordings/{ID}"):
            assert number in dpo.get(path).text, path
            assert number not in ict.get(path).text, path
            assert "********000" in ict.get(path).text, path
        assert dpo.post("/api/recordings/search", json={"number": number}).status_code == 200
        assert ict.post("/api/recordings/search", json={"number": number}).status_code == 403
    index = console.deps.copy_repositories.index
    index.save(replace(index.get(ID), team="Revenues"))
    console.people.add("both", PASSWORD, roles={Role.ICT, Role.MANAGER}, teams=["Revenues"])
    with signed_in(console, "both") as both:
        assert number in both.get(f"/recordings/{ID}").text, "of one's team, as a manager"


# --- the database, and files of before


def test_an_upgrade_stops_the_hearing_of_an_account_that_is_admin_too_and_lists_it(
    console: Console, caplog: pytest.LogCaptureFixture
) -> None:
    console.give_leave("dpo")
    as_of_before(console.home.people, "dpo", "admin,dpo")
    with signed_in(console, "dpo") as founder:
        assert founder.submit(f"/recordings/{ID}/play").status_code == 403
        refused = founder.submit(f"/recordings/{ID}/export", format="wav", reason=WHY)
        assert (refused.status_code, "no role that listens to recordings" in refused.text) == (403, True)
        assert founder.get("/people").status_code == 200, "admin stays"
        assert "Cannot listen" in founder.get("/people").text
        assert "This account cannot listen to recordings" in founder.get("/people/dpo").text
    warn_of_combined(console.people)
    assert "account dpo has admin and dpo" in caplog.text
    engine = open_people(console.home.people)
    for roles in ("admin,dpo,ict", "admin,ict"):
        with engine.begin() as connection, pytest.raises(IntegrityError, match="excludes"):
            connection.execute(update(accounts).where(accounts.c.name == "dpo").values(roles=roles))
    with engine.begin() as connection:
        connection.execute(update(accounts).where(accounts.c.name == "dpo").values(roles="admin"))
    with engine.begin() as connection, pytest.raises(IntegrityError, match="excludes"):
        connection.execute(update(accounts).where(accounts.c.name == "dpo").values(roles="admin,dpo"))
    engine.dispose()


def test_the_database_keeps_break_glass_one_at_a_time_by_itself(console: Console) -> None:
    engine = open_people(console.home.people)
    row = {"id": "1", "account": "ict", "recording": ID, "reason": WHY, "at_s": 1000.0, "until_s": 2800.0}
    with engine.begin() as connection:
        connection.execute(insert(break_glass).values(**row))
    for at_s, is_acknowledged in ((1001.0, False), (9000.0, False), (2799.0, True)):
        with pytest.raises(IntegrityError, match="not over and acknowledged"), engine.begin() as connection:
            if is_acknowledged:
                connection.execute(update(break_glass).values(acknowledged_by="dpo", acknowledged_s=1100.0))
            connection.execute(insert(break_glass).values(**{**row, "id": "2", "at_s": at_s, "until_s": at_s + 1800}))
    with pytest.raises(IntegrityError, match="by somebody else"), engine.begin() as connection:
        connection.execute(update(break_glass).values(acknowledged_by="ict", acknowledged_s=1100.0))
    engine.dispose()


def test_at_the_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with recorder_home(tmp_path, next_hop="127.0.0.1:5999", is_started=False) as home:
        who = (*home.as_admin(), "-C", str(home.root))
        new = ("--new-password-file", str(home.password_file))
        assert "cannot be" in home.run("users", "grant", "founder", "--role", "ict", "--reason", WHY, *who).stderr
        both = ("--role", "admin", "--role", "ict")
        assert "cannot be" in home.run("users", "add", "ida", *both, *new, *who).stderr
        home.recorder("users", "add", "dora", "--role", "dpo", *new, *who)
        said = home.run("users", "add", "ida", "--role", "ict", *new, *who)
        assert "proposals confirm" in said.stderr
        (waiting,) = home.json("users", "proposals")
        assert (waiting["account"], waiting["roles"]) == ("ida", ["ict"])
        dora = ("--as", "dora", "--password-file", str(home.password_file), "-C", str(home.root))
        home.recorder("users", "confirm", waiting["id"], *dora)
        said = home.run("users", "password", "ida", *new, "--reason", WHY, *who)
        assert "proposals confirm" in said.stderr, "who has no authenticator yet is whoever knows the password"
        (waiting,) = home.json("users", "proposals")
        home.recorder("users", "confirm", waiting["id"], *dora)
        monkeypatch.setattr("shutil.which", lambda name: f"/bin/{'true' if name == 'play' else name}")
        ida = ("--as", "ida", "--password-file", str(home.password_file), "-C", str(home.root))
        first, second = (add_recording(home, timedelta(hours=1), number) for number in (1, 2))
        assert home.run("play", first, "--reason", WHY, *ida).returncode == 0
        said = home.run("play", second, "--reason", WHY, *ida)
        assert (said.returncode, "Only one recording at a time" in " ".join(said.stderr.split())) == (1, True)
        as_of_before(home.root / "people.sqlite", "founder", "admin,dpo")
        checked = home.run("site-check", "--json", "-C", str(home.root)).stdout
        assert [one["level"] for one in json.loads(checked) if one["what"] == "account founder"] == ["warning"]
        home.give_leave(second, account="founder")
        said = home.run("play", second, *who)
        assert (said.returncode, "no role that listens to recordings" in " ".join(said.stderr.split())) == (1, True)
