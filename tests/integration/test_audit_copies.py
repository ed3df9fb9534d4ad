"""Audit logs of several machines in PostgreSQL: a daemon copies its own, all are read, and a changed row is found."""

import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner, Result

from benchmarks.postgres import PostgresServer
from recorder.audit.copies import SiteLog
from recorder.cli.cli import app
from recorder.common.home import Home
from recorder.config.reading import read_config
from recorder.config.settings import Config
from recorder.permissions import Role
from recorder.service.audit_copying import open_shipping
from storage.audit import AuditLog
from storage.audit_copies import AuditCopies, CopyFilter, Place, place_of
from storage.database import Database
from storage.errors import DatabaseError
from storage.keys import NodeKeys
from storage.tables import audit_entries
from tests.helpers.console_site import console_site
from tests.helpers.recorder_home import RecorderHome, eventually, recorder_home

NOWHERE = "127.0.0.1:9"


def run(home: RecorderHome, *words: str, by: str = "") -> Result:
    who = ["--as", by, "--password-file", str(home.password_file)] if by else []
    result = CliRunner().invoke(app, ["audit", *words, "-C", str(home.root), *who])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.stdout or result.exit_code, result.stderr
    return result


def name_of(home: Path) -> str:
    return NodeKeys.load(home).fingerprint[:16]


def other_home(root: Path, config: Config) -> str:
    """Make another machine's home with two entries, and copy them; returns its name."""
    NodeKeys.create(root)
    log = AuditLog(Home(root).audit)
    log.append("daemon.started", "recorder", "")
    log.append("call.pause", "oscar", "20261125T090000Z-2001-aaaaaa", {"card": False}, "of Mr Smith")
    shipping = open_shipping(Home(root), config)
    stopping = threading.Event()
    stopping.set()
    shipping.keep(stopping)
    assert not shipping.state.problem
    return name_of(root)


def verified(home: RecorderHome) -> tuple[int, dict[str, Any]]:
    result = run(home, "verify", "--json")
    return result.exit_code, json.loads(result.stdout)


def test_a_daemon_copies_its_log_and_all_machines_are_read_and_verified(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    url = postgres.new_database()
    edits = (('index_url = "off"', f'index_url = "{url}"'),)
    with recorder_home(tmp_path / "a", next_hop=NOWHERE, edits=edits) as a:
        a.add_person("dora", Role.DPO)
        b = other_home(tmp_path / "b", read_config(a.config))
        head = AuditLog(Home(a.root).audit).head()
        assert head is not None
        number, database = head.number or 0, Database(url)
        copies = AuditCopies(database)
        eventually(lambda: (copies.newest(name_of(a.root)) or (0, ""))[0] >= number, "the copy of all entries")

        result = run(a, "show", "--subject", "20261125", "--texts", "--json", by="dora")
        assert result.exit_code == 0, result.stderr
        shown = json.loads(result.stdout)
        (entry,) = shown
        assert (entry["node"], entry["actor"], entry["free_text"]) == (b, "oscar", f"kept at {b}")
        nodes = {one["node"] for one in json.loads(run(a, "show", "--json", by="dora").stdout)}
        assert nodes == {name_of(a.root), b}
        only = json.loads(run(a, "show", "--node", b, "--json", by="dora").stdout)
        assert {one["node"] for one in only} == {b}
        assert b in run(a, "show", "--limit", "300", by="dora").stdout

        code, found = verified(a)
        assert (code, found["copies"]["ok"]) == (0, True), found
        assert {one["name"] for one in found["copies"]["logs"]} == nodes
        own = audit_entries.c.node == b
        with database.begin() as connection:
            connection.execute(audit_entries.update().where(own, audit_entries.c.number == 2).values(actor="nobody"))
        code, found = verified(a)
        assert code == 1
        (problem,) = (one for log in found["copies"]["logs"] for one in log["problems"])
        assert problem.startswith(f"copy of {b}, entry 2: its columns, by which it is found, are not those")
        assert found["ok"], "the log here is whole"
        with database.connect() as connection:
            stored = "".join(connection.execute(sa.select(audit_entries.c.line)).scalars())
        assert "Smith" not in stored
        database.close()

        a.edit(url, url.replace("/recorder_", "/absent_"))
        result = run(a, "show", "--json", by="dora")
        assert "only the entries of this machine are shown" in " ".join(result.stderr.split())
        assert {one["node"] for one in json.loads(result.stdout)} == {name_of(a.root)}
        assert "were not verified" in verified(a)[1]["copies"]["unverified"]


def test_every_filter_finds_the_same_on_both_engines(database: Database, tmp_path: Path) -> None:
    log, copies = AuditLog(tmp_path), AuditCopies(database)
    for act, subject in (("call.pause", "x-1"), ("call.resume", "x-2"), ("callers.listed", "y"), ("call.pause", "X")):
        log.append(act, "olive", subject, {"name": "é\0"})
    entries = list(log.entries())
    for name in ("b", "b-1", "b1"):
        copies.register(name, name * 10, datetime.now(UTC))
        copies.add(name, entries)
        copies.add(name, entries)

    def found(after: Place | None = None, most: int = 99, **wanted: Any) -> list[tuple[str, int]]:
        return [(one.node, one.number) for one in copies.find(CopyFilter(**wanted), after=after, most=most)]

    every = [(name, number) for number in (4, 3, 2, 1) for name in ("b1", "b-1", "b")]
    assert found() == every
    assert found(act="call") == [one for one in every if one[1] != 3]
    assert found(act="call.pause", node="b") == [("b", 4), ("b", 1)]
    assert found(subject="x-") == [one for one in every if one[1] in {1, 2}]
    assert found(actor="dora") == []
    place = place_of("b-1", entries[2])
    assert found(after=place, most=2) == every[5:7]
    assert [one.entry() for one in copies.walk("b-1")] == entries
    assert copies.names() == {"b", "b-1", "b1"}
    assert copies.newest("b1") == (4, entries[-1].hash)


def test_a_machine_with_sqlite_has_no_other(tmp_path: Path) -> None:
    with recorder_home(tmp_path, next_hop=NOWHERE, is_started=False) as home:
        home.add_person("dora", Role.DPO)
        result = run(home, "show", "--node", "b", by="dora")
        assert result.exit_code == 2
        assert "machines share a database" in " ".join(result.stderr.split())
        assert "node" not in json.loads(run(home, "show", "--limit", "1", "--json", by="dora").stdout)[0]
        assert "copies" not in verified(home)[1]


def test_the_page_shows_the_logs_of_all_machines_page_by_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with console_site(tmp_path) as console:
        copies = AuditCopies(console.deps.index.database)  # type: ignore[attr-defined]
        other = AuditLog(tmp_path / "other")
        for number in range(60):
            other.append("call.pause", "oscar", f"call-{number}", {}, "a reason")
        copies.register("node-b", "b" * 64, console.deps.now())
        copies.add("node-b", list(other.entries()))
        object.__setattr__(console.deps, "site_log", SiteLog(log=console.deps.repos.audit, name="here", copies=copies))
        with console.browser() as dpo:
            dpo.sign_in()
            page = dpo.get("/audit").text
            assert ("<td>node-b</td>" in page, "<td>here</td>" in page, "call-59<" in page) == (True, True, True)
            assert "call-0<" not in page
            before = page.split('name="before" value="')[1].split('"')[0]
            older = dpo.submit("/audit", before=before).text
            assert ("call-0<" in older, "call-59<" in older) == (True, False)
            texts = dpo.submit("/audit", node="node-b", texts="yes").text
            assert ("kept at node-b" in texts, "<td>here</td>" in texts, "a reason" in texts) == (True, False, False)
            monkeypatch.setattr(AuditCopies, "newest", _gone)
            page = dpo.get("/audit").text
            assert "the database is gone. Only entries of this machine are shown" in page
            assert "call-59<" not in page


def _gone(*_: object) -> None:
    raise DatabaseError("the database is gone", is_passing=True)
