"""Entries of several audit logs are copied to one database in order, found there, and a changed copy is named."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from recorder.audit.copies import SiteLog
from recorder.audit.copies_check import BEHIND_AFTER, CopiesCheck, CopyState
from recorder.audit.reading import AuditQuery
from recorder.forwarding.audit_shipping import LOOK_S, AuditShipping
from storage.audit import AuditLog
from storage.audit_copies import AuditCopies
from storage.audit_entry import line_of
from storage.database import Database, sqlite_url
from storage.errors import DatabaseError
from storage.heads import Head
from storage.tables import audit_entries, audit_logs

AT = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
KEY_A, KEY_B = "a" * 64, "b" * 64


class Site:
    """Two homes, ``a`` and ``b``, whose clocks go on by a second with each entry."""

    def __init__(self, folder: Path) -> None:
        self.at = AT
        self.database = Database(sqlite_url(folder / "index.sqlite"))
        self.copies = AuditCopies(self.database)
        self.logs = {name: AuditLog(folder / name, now=lambda: self.at) for name in ("a", "b")}
        self.shipping = {name: self.new_shipping(name) for name in ("a", "b")}

    def new_shipping(self, name: str, *, under: str = "", key: str = "") -> AuditShipping:
        return AuditShipping(
            self.logs[name], self.copies, name=under or name, fingerprint=key or {"a": KEY_A, "b": KEY_B}[name],
            now=lambda: self.at,
        )  # fmt: skip

    def act(self, name: str, act: str = "call.pause", subject: str = "x", *, text: str | None = None) -> None:
        self.at += timedelta(seconds=1)
        self.logs[name].append(act, "olive", subject, {"where": name}, text)

    def ship(self, *names: str) -> None:
        for name in names:
            while not self.shipping[name].run_once():
                pass

    def shown(self, **query: object) -> list[tuple[str, int]]:
        site = SiteLog(log=self.logs["a"], name="a", copies=self.copies)
        return [(one.node, one.entry.number) for one in site.find(AuditQuery(**query), at_once=2)]  # type: ignore[arg-type]

    def check(self, *heads: Head, after: timedelta = timedelta()) -> dict[str, CopyState]:
        check = CopiesCheck(
            copies=self.copies, log=self.logs["a"], name="a", fingerprint=KEY_A, heads=heads, now=self.at + after
        )
        return {state.name: state for state in check.run()}

    def change(self, statement: sa.Update | sa.Delete) -> None:
        with self.database.begin() as connection:
            assert connection.execute(statement).rowcount


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    for name in ("a", "b", "a", "b", "b"):
        made.act(name)
    yield made
    made.database.close()


def rows_of(name: str, number: int) -> sa.ColumnElement[bool]:
    return sa.and_(audit_entries.c.node == name, audit_entries.c.number == number)


def test_entries_are_copied_in_order_and_only_what_is_new(site: Site) -> None:
    site.ship("a", "b")
    assert [one.number for one in site.copies.walk("b")] == [1, 2, 3]
    written = [one.entry() for one in site.copies.walk("b")]
    assert written == list(site.logs["b"].entries())
    assert site.shipping["b"].state.sent == 3
    site.act("b")
    site.new_shipping("b").run_once()
    assert [one.number for one in site.copies.walk("b")] == [1, 2, 3, 4]
    site.ship("b")
    assert site.shipping["b"].state.sent == 4, "it goes on where another process of the home has come to"
    assert site.shipping["b"].run_once() == LOOK_S


def test_an_outage_delays_and_loses_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.ship("b")

    def gone(*_: object) -> None:
        raise DatabaseError("the database is gone", is_passing=True)

    with monkeypatch.context() as patch:
        patch.setattr(AuditCopies, "newest", gone)
        for _ in range(3):
            site.act("b")
            wait_s = site.shipping["b"].run_once()
        assert wait_s == 4.0
        state = site.shipping["b"].state
        assert (state.problem, state.sent, state.waiting) == ("the database is gone", 3, 3)
        assert state.failing_since == "2026-11-25T09:30:06Z"
    site.ship("b")
    assert [one.number for one in site.copies.walk("b")] == [1, 2, 3, 4, 5, 6]
    assert not site.shipping["b"].state.problem


def test_rows_that_were_deleted_are_copied_again(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.ship("b")
    site.change(audit_entries.delete().where(audit_entries.c.node == "b", audit_entries.c.number > 1))
    site.act("b")
    site.ship("b")
    assert [one.number for one in site.copies.walk("b")] == [1, 2, 3, 4]
    assert "had entry 3 of the audit log b and now ends with entry 1" in caplog.text


def test_two_homes_under_one_name_are_refused(site: Site) -> None:
    site.ship("a")
    second = site.new_shipping("b", under="a")
    second.run_once()
    assert "the key there is aaaaaaaaaaaaaaaa..., the one here bbbbbbbbbbbbbbbb" in second.state.problem
    assert "[node]" in second.state.problem
    assert [one.number for one in site.copies.walk("a")] == [1, 2]


def test_a_copy_of_a_home_is_refused_with_the_first_entry_that_differs(site: Site) -> None:
    site.ship("a")
    site.act("a")
    other = site.new_shipping("b", under="a", key=KEY_A)
    other.run_once()
    assert "has entry 2 of the audit log 'a', and the log here has no such entry" in other.state.problem
    site.change(audit_entries.delete().where(audit_entries.c.node == "a"))
    site.copies.add("a", [next(site.logs["a"].entries())])
    with pytest.raises(Exception, match="entry 1 of the audit log 'a' is stored otherwise"):
        site.copies.add("a", list(site.logs["b"].entries()))
    assert [one.number for one in site.copies.walk("a")] == [1], "nothing was added"


def test_entries_of_all_machines_are_found_newest_first(site: Site) -> None:
    site.ship("a", "b")
    site.act("a", "call.resume", "y")
    every = [("a", 3), ("b", 3), ("b", 2), ("a", 2), ("b", 1), ("a", 1)]
    assert site.shown() == every, "the last one of this home is not copied yet"
    site.ship("a")
    assert site.shown() == every
    assert site.shown(node="b") == [("b", 3), ("b", 2), ("b", 1)]
    assert site.shown(act="call") == every
    assert site.shown(act="call.resume") == [("a", 3)]
    assert site.shown(act="cal") == []
    assert site.shown(subject="y") == [("a", 3)]
    assert site.shown(actor="dora") == []
    assert site.shown(start=AT + timedelta(seconds=4), end=AT + timedelta(seconds=6)) == [("b", 3), ("b", 2)]


def test_pages_follow_one_another(site: Site) -> None:
    site.ship("a", "b")
    site.act("a")
    log = SiteLog(log=site.logs["a"], name="a", copies=site.copies)
    places = [one.place for one in log.find(AuditQuery())]
    for at, place in enumerate(places):
        assert [one.place for one in log.find(AuditQuery(), after=place)] == places[at + 1 :]


def test_free_texts_stay_in_their_home(site: Site) -> None:
    site.act("a", text="a reason")
    site.act("b", text="card of Mr Smith")
    site.ship("a", "b")
    log = SiteLog(log=site.logs["a"], name="a", copies=site.copies)
    texts = {
        (one.node, one.entry.number): log.as_json(one, with_text=True)["free_text"] for one in log.find(AuditQuery())
    }
    assert texts["a", 3] == "a reason"
    assert texts["b", 4] == "kept at b"
    assert texts["b", 3] is None
    with site.database.connect() as connection:
        assert "Smith" not in str(connection.execute(audit_entries.select()).all())


def test_good_copies_verify_with_heads_that_were_noted(site: Site) -> None:
    site.ship("a", "b")
    heads = [
        Head(number=one.number, hash=one.hash, at=AT, node=key[:16])
        for name, key in (("a", KEY_A), ("b", KEY_B)) for one in site.logs[name].entries()
    ]  # fmt: skip
    states = site.check(*heads, after=BEHIND_AFTER)
    assert {name: (one.entries, one.heads, one.problems) for name, one in states.items()} == {
        "a": (2, 2, []), "b": (3, 3, []),
    }  # fmt: skip


def test_a_changed_line_is_named(site: Site) -> None:
    site.ship("a", "b")
    line = next(site.copies.walk("b")).line
    site.change(audit_entries.update().where(rows_of("b", 1)).values(line=line.replace("olive", "oscar")))
    (problem,) = site.check()["b"].problems
    assert problem == "copy of b, entry 1: its hash does not fit: it was changed"


@pytest.mark.parametrize("column", ["actor", "act", "subject", "hash"])
def test_a_changed_column_is_named(site: Site, column: str) -> None:
    site.ship("a", "b")
    site.change(audit_entries.update().where(rows_of("b", 2)).values({column: "other"}))
    (problem,) = site.check()["b"].problems
    assert problem.startswith("copy of b, entry 2: its columns, by which it is found, are not those of its line")


def test_a_row_that_is_missing_is_named(site: Site) -> None:
    site.ship("a", "b")
    site.change(audit_entries.delete().where(rows_of("b", 2)))
    (problem,) = site.check()["b"].problems
    assert problem == "copy of b, entry 2: entry 2 is missing before it: it has number 3"


def test_a_chain_that_was_written_anew_differs_from_the_log_here_and_from_its_heads(site: Site) -> None:
    site.ship("a", "b")
    forged: dict[str, str] = {}
    for name in ("a", "b"):
        entry = list(site.logs[name].entries())[-1]
        fields = {key: value for key, value in entry.to_json().items() if key != "hash"}
        line = line_of({**fields, "actor": "oscar"}).decode().rstrip("\n")
        forged[name] = line.split('"hash":"')[1][:64]
        values = {"line": line, "actor": "oscar", "hash": forged[name]}
        site.change(audit_entries.update().where(rows_of(name, entry.number)).values(values))
    assert site.check()["b"].problems == [], "nothing here shows it"
    head = Head(number=3, hash=list(site.logs["b"].entries())[-1].hash, at=AT, node=KEY_B[:16])
    states = site.check(head, after=BEHIND_AFTER)
    assert states["a"].problems == ["copy of a, entry 2: it differs from the entry in the log here"]
    assert "it is not the entry that was noted as head 3" in states["b"].problems[0]


def test_a_cut_end_is_named(site: Site) -> None:
    site.ship("a", "b")
    heads = [Head(number=3, hash=list(site.logs["b"].entries())[-1].hash, at=AT, node=KEY_B[:16])]
    site.change(audit_entries.delete().where(audit_entries.c.number > 1))
    states = site.check(*heads, after=BEHIND_AFTER)
    assert "entries 2 to 2 are not in it: its end was cut off, or nothing has been copied" in states["a"].problems[0]
    assert "entries 2 to 3 are cut off" in states["b"].problems[0]
    assert site.check()["a"].problems == [], "what is new may wait"
    assert site.check()["a"].waiting == 1


def test_a_whole_chain_that_is_gone_is_named(site: Site) -> None:
    site.ship("a", "b")
    site.change(audit_logs.delete().where(audit_logs.c.name == "b"))
    assert "has entries in the database, but is not in its list" in site.check()["b"].problems[0]
    site.change(audit_entries.delete().where(audit_entries.c.node == "b"))
    assert "b" not in site.check()
    head = Head(number=3, hash="0" * 64, at=AT, node=KEY_B[:16])
    (problem,) = site.check(head, after=BEHIND_AFTER)[KEY_B[:16]].problems
    assert problem == f"heads of the audit log of node {KEY_B[:16]} were noted, but the database has no copy of it"


def test_the_name_of_this_home_with_another_key_is_named(site: Site) -> None:
    site.ship("b")
    site.copies.register("a", KEY_B, AT)
    assert "is of another machine, with the key bbbb" in site.check()["a"].problems[0]
