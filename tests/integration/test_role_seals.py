"""Whoever writes into the file of accounts past the recorder gets no right by it, and is noticed."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recorder.access.accounts import People, SignedIn
from recorder.access.database import open_people
from recorder.access.listening.appointments import Appointments
from recorder.access.seals import Seals, disagreements
from recorder.access.triggers import TRIGGERS
from recorder.notifications.kinds import NotificationKind
from recorder.notifications.watch import disagreements_of, notify_of_changes
from recorder.permissions import Role
from storage.audit import AuditLog
from storage.audit_reading import of_act
from storage.errors import AuditUnavailableError
from tests.helpers.accounts import CHEAP, PASSWORD
from tests.helpers.console_site import Console, console_site, refused, signed_in
from tests.helpers.recorder_home import ADMIN, RecorderHome
from tests.helpers.storage_home import ID

WHY = "complaint 17 of this month"


class Book:
    """A file of people, and the audit log beside it."""

    def __init__(self, folder: Path) -> None:
        self.path, self.audit = folder / "people.sqlite", AuditLog(folder / "audit")
        self.people = People(
            open_people(self.path), now=lambda: datetime.now(UTC), hasher=CHEAP, seals=Seals(self.audit)
        )

    def write(self, statement: str, *values: object) -> None:
        """Write into the file as whoever owns it can, with any tool."""
        write(self.path, statement, *values)

    def roles(self, name: str) -> frozenset[Role]:
        found = self.people.find(name)
        assert found is not None
        return found.roles


def write(path: Path, statement: str, *values: object) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement, values)
    connection.close()


@pytest.fixture
def book(tmp_path: Path) -> Book:
    made = Book(tmp_path)
    made.people.add("anna", PASSWORD, roles={Role.OFFICER})
    return made


def test_a_role_that_no_entry_explains_gives_no_right(book: Book) -> None:
    assert book.roles("anna") == {Role.OFFICER}
    book.write("UPDATE accounts SET roles = 'dpo,officer' WHERE name = 'anna'")
    assert book.roles("anna") == {Role.OFFICER}
    signed = book.people.verify("anna", PASSWORD)
    assert isinstance(signed, SignedIn)
    assert signed.person.roles == {Role.OFFICER}
    assert [one.person.roles for one in book.people.list()] == [{Role.OFFICER}]
    assert book.people.unexplained() == {"anna": {Role.DPO}}


def test_an_account_that_nobody_added_has_no_role(book: Book) -> None:
    book.write(
        "INSERT INTO accounts (name, display_name, roles, teams, password_hash, created_s, failures) "
        "VALUES ('mallory', 'Mallory', 'admin,dpo', '', ?, 0, 0)".replace("admin,dpo", "dpo"), CHEAP.hash(PASSWORD),
    )  # fmt: skip
    assert book.roles("mallory") == frozenset()
    assert book.people.unexplained() == {"mallory": {Role.DPO}}


def test_an_account_that_was_removed_has_no_role_if_somebody_brings_it_back(book: Book) -> None:
    book.audit.append(act="people.add", actor="ada", subject="amy", details={"roles": ["dpo"]})
    book.audit.append(act="people.remove", actor="ada", subject="amy", details={"display_name": "Amy"})
    book.write(
        "INSERT INTO accounts (name, display_name, roles, teams, password_hash, created_s, failures) "
        "VALUES ('amy', 'Amy', 'dpo', '', ?, 0, 0)", CHEAP.hash(PASSWORD),
    )  # fmt: skip
    assert book.roles("amy") == frozenset()
    assert book.people.unexplained() == {"amy": {Role.DPO}}


def test_what_is_granted_and_taken_away_is_followed(book: Book) -> None:
    book.write("UPDATE accounts SET roles = 'manager,officer' WHERE name = 'anna'")
    book.audit.append("people.granted", "founder", "anna", {"roles": ["manager"]})
    assert book.roles("anna") == {Role.OFFICER, Role.MANAGER}
    book.audit.append("people.revoked", "founder", "anna", {"roles": ["manager"]})
    assert book.roles("anna") == {Role.OFFICER}, "a row that is put back after that gives nothing"
    book.audit.append("people.add", "founder", "anna", {"roles": ["nonsense", "member"]})
    book.audit.append("people.enable", "founder", "anna", {"without": ["member"]})
    assert book.roles("anna") == frozenset()


def test_the_log_is_read_on_and_anew_when_it_was_begun_anew(book: Book) -> None:
    assert book.roles("anna") == {Role.OFFICER}
    (book.path.parent / "audit").rename(book.path.parent / "aside")
    assert book.roles("anna") == {Role.OFFICER}, "what was known goes on while the log is not there"
    book.write("UPDATE accounts SET roles = 'dpo,officer' WHERE name = 'anna'")
    assert book.roles("anna") == {Role.OFFICER}
    book.audit.append("recorder.started", "os:root", "")
    assert book.roles("anna") == {Role.OFFICER}, "who can only pause goes on"
    book.audit.append("people.resealed", "os:root", "", {"accounts": {"otto": ["officer"]}})
    assert book.roles("anna") == frozenset()
    book.audit.append("people.resealed", "os:root", "", {"accounts": {"anna": ["officer"]}})
    assert book.roles("anna") == {Role.OFFICER}


def test_pausing_goes_on_while_the_log_cannot_be_read(book: Book) -> None:
    assert book.roles("anna") == {Role.OFFICER}
    log = book.path.parent / "audit" / "audit.log"
    log.unlink()
    log.mkdir()
    fresh = People(open_people(book.path), now=lambda: datetime.now(UTC), hasher=CHEAP, seals=Seals(book.audit))
    book.write("UPDATE accounts SET roles = 'manager' WHERE name = 'anna'")
    found = fresh.find("anna")
    assert found is not None
    assert found.roles == {Role.MANAGER}
    with pytest.raises(AuditUnavailableError):
        book.audit.append("recording.play", "anna", "x")
    assert book.roles("anna") == frozenset(), "who could read it before goes by that"


def test_a_log_that_is_not_there_explains_nothing(book: Book) -> None:
    (book.path.parent / "audit").rename(book.path.parent / "aside")
    book.write("UPDATE accounts SET roles = 'dpo,officer' WHERE name = 'anna'")
    fresh = People(open_people(book.path), now=lambda: datetime.now(UTC), hasher=CHEAP, seals=Seals(book.audit))
    found = fresh.find("anna")
    assert found is not None
    assert found.roles == {Role.OFFICER}


def test_a_deputy_whom_nobody_named_is_none(book: Book) -> None:
    appointments = Appointments(open_people(book.path), now=lambda: datetime.now(UTC))
    book.write("INSERT INTO deputies (account, since_s, named_by, confirmed_by) VALUES ('anna', 0, 'x', 'y')")
    assert appointments.approvers(book.people).deputies == frozenset()
    book.audit.append("people.deputy", "dora", "anna")
    assert appointments.approvers(book.people).deputies == {"anna"}


def test_an_entry_of_one_person_names_no_deputy_once_two_have(book: Book) -> None:
    def deputy() -> str:
        return Seals(book.audit).explained().deputy

    by_two = {"proposal": "0a0b0c0d", "proposed_by": "ada"}
    book.audit.append("people.deputy", "dora", "olive", {"os_user": "root"})
    assert deputy() == "olive", "named by one person, before it took two"
    book.audit.append("people.deputy", "ada", "mallory", {"break_glass": False, "os_user": "root"})
    assert deputy() == "olive", "only asked for, by a version whose entry looked like that"
    for details in ({**by_two, "proposed_by": "bob"}, {"proposal": "0a0b0c0d"}):
        book.audit.append("people.deputy", "bob", "mallory", details)
        assert deputy() == "olive", "one person is not two"
    book.audit.append("people.deputy", "bob", "anna", by_two)
    assert deputy() == "anna"
    book.audit.append("people.deputy", "ada", "olive", {"os_user": "root"})
    assert deputy() == "anna", "nobody is named by one person any more"
    book.audit.append("people.deputy", "ada", "")
    assert deputy() == ""


def test_a_deputy_of_whom_file_and_log_disagree_is_found(book: Book) -> None:
    appointments = Appointments(open_people(book.path), now=lambda: datetime.now(UTC))
    assert appointments.unexplained(book.people) is None
    book.write("INSERT INTO deputies (account, since_s, named_by, confirmed_by) VALUES ('anna', 0, 'x', 'y')")
    assert appointments.unexplained(book.people) == "anna"
    book.audit.append("people.deputy", "y", "anna", {"proposal": "0a0b0c0d", "proposed_by": "x"})
    assert appointments.unexplained(book.people) is None
    book.write("DELETE FROM deputies")
    assert appointments.unexplained(book.people) == "anna", "who was named is put out past the recorder"
    book.write("DELETE FROM accounts WHERE name = 'anna'")
    assert appointments.unexplained(book.people) is None, "the account was forgotten, and the deputy with it"


def test_a_damaged_entry_explains_nothing_and_keeps_nobody_else_out(book: Book) -> None:
    book.people.add("otto", PASSWORD, roles={Role.OFFICER})
    log = book.path.parent / "audit" / "audit.log"
    log.write_bytes(log.read_bytes().replace(b'"subject":"anna"', b'"subject":"annb"'))
    fresh = Seals(book.audit).explained()
    assert fresh.roles == {"otto": {Role.OFFICER}}


def test_nothing_is_read_of_other_entries(book: Book) -> None:
    for _ in range(20):
        book.audit.append("call.pause", "anna", "x")
    seals = Seals(book.audit)
    assert seals.explained().roles == {"anna": {Role.OFFICER}}
    assert disagreements(seals.explained(), []) == {}


# --- the console and the shell


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    with console_site(tmp_path) as running:
        yield running


def database(console: Console) -> Path:
    return Path(str(console.people._engine.url.database))


def test_the_console_gives_no_right_and_tells(console: Console) -> None:
    write(database(console), "UPDATE accounts SET roles = 'team_leader' WHERE name = 'other'")
    with signed_in(console, "other") as browser:
        assert refused(browser.get("/api/holds"), 403)
    with signed_in(console, "admin") as browser:
        for path in ("/people", "/people/other"):
            assert "Not in effect: team leader" in browser.get(path).text
        assert "accounts_changed" in browser.get("/health").text


def test_a_deputy_whom_the_log_does_not_have_is_told(console: Console) -> None:
    deps = console.deps
    assert disagreements_of(deps.hearing) == []
    write(
        database(console),
        "INSERT INTO deputies (account, since_s, named_by, confirmed_by) VALUES ('other', 0, 'admin', 'lead')",
    )
    notify_of_changes(deps.watch)
    for name in ("admin", "dpo", "lead"):
        kinds = [one.notification.kind for one in deps.watch.box.of_account(name)]
        assert (NotificationKind.ACCOUNTS_CHANGED in kinds) == (name != "lead"), name
    with signed_in(console, "admin") as browser:
        assert "The deputy needs your attention" in browser.get("/people").text
        page = browser.get("/deputy").text
        assert "disagree on the deputy (other)" in page
        assert "Nobody can decide on the data protection officer’s own requests" in page
        assert "accounts_changed" in browser.get("/health").text


def test_a_deleted_break_glass_row_is_noticed_and_stops_the_next(console: Console) -> None:
    with signed_in(console, "ict") as browser:
        assert browser.submit(f"/recordings/{ID}/play", reason=WHY).status_code == 200
        write(database(console), "DELETE FROM break_glass")
        answer = browser.submit(f"/recordings/{ID}/play", reason=WHY)
        assert (answer.status_code, "do not agree with the audit log" in answer.text) == (403, True)


def test_an_acknowledgement_that_nobody_gave_is_noticed(console: Console) -> None:
    with signed_in(console, "ict") as browser:
        assert browser.submit(f"/recordings/{ID}/play", reason=WHY).status_code == 200
        for name in TRIGGERS:
            write(database(console), f"DROP TRIGGER {name}")
        long_ago = (datetime.now(UTC) - timedelta(hours=2)).timestamp()
        write(
            database(console), "UPDATE break_glass SET acknowledged_by = 'dpo', acknowledged_s = ?, at_s = ?, "
            "until_s = ?", long_ago, long_ago, long_ago,
        )  # fmt: skip
        answer = browser.submit(f"/recordings/{ID}/play", reason=WHY)
        assert (answer.status_code, "do not agree with the audit log" in answer.text) == (403, True)


def test_at_the_shell(tmp_path: Path) -> None:
    home = RecorderHome(tmp_path, next_hop="127.0.0.1:5070")
    on = ("-C", str(home.root))
    write(home.root / "people.sqlite", "UPDATE accounts SET roles = 'dpo,manager' WHERE name = 'hilda'")
    write(
        home.root / "people.sqlite",
        "INSERT INTO deputies (account, since_s, named_by, confirmed_by) VALUES ('hilda', 0, 'x', 'y')",
    )
    told = home.run("site-check", *on)
    assert told.returncode == 1
    assert "disagree on the deputy (hilda)" in " ".join(told.stdout.split())
    assert "no entry of the audit log explains its roles dpo" in " ".join(told.stdout.split())
    assert home.run("audit", "show", *home.as_hearer(), *on).returncode == 1
    assert "an administrator can sign in" in home.run("users", "reseal", *on).stderr
    (home.root / "audit").rename(tmp_path / "aside")
    assert home.run("users", "list", *home.as_admin(), *on).returncode == 1
    done = home.run("users", "reseal", *on)
    assert done.returncode == 0, done.stderr
    assert ADMIN in done.stderr
    assert home.run("users", "list", *home.as_admin(), *on).returncode == 0
    (entry,) = of_act(AuditLog(home.root / "audit").path, "people.resealed")
    assert entry.actor.startswith("os:")
    assert entry.details["without_account"] is True
    assert set(entry.details["accounts"]["hilda"]) == {"dpo", "manager"}
