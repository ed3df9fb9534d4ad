"""`recorder database move`: an index goes to PostgreSQL and back with every row, and no old one comes back."""

import json
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner, Result

from benchmarks.postgres import PASSWORD, QUOTED, PostgresServer
from recorder.access.accounts import People
from recorder.access.database import open_accounts, open_people
from recorder.calls.filing import FOLDER
from recorder.cli.cli import app
from recorder.common.home import Home
from recorder.config.reading import read_config
from recorder.permissions import Role
from recorder.recordings import index_move, move_plan
from recorder.recordings.home_lock import console_held, held
from recorder.recordings.home_stores import open_index
from recorder.recordings.index_move import IndexMove
from recorder.recordings.move_note import NAME as NOTE
from recorder.recordings.move_note import MoveNote, forget_note, place_of, write_note
from recorder.recordings.move_plan import MovePlan
from recorder.recordings.resurrection_guard import destroy_returned
from recorder.service.accounts_move import AccountsMove
from storage import database as database_module
from storage import table_copy
from storage.anchors import Anchor, Anchors
from storage.audit_reading import of_act
from storage.database import Database, sqlite_url
from storage.errors import DatabaseError
from storage.holds import Holds
from storage.index import Index
from storage.tombstones import Deletions, Tombstone
from tests.helpers.accounts import CHEAP
from tests.helpers.accounts import PASSWORD as OF_ANN
from tests.helpers.backup_site import BackupSite
from tests.helpers.exchange import exchange
from tests.helpers.recorder_home import eventually
from tests.helpers.sweep_site import NOW

TABLES = ("recordings", "officers", "identities", "holds", "claims", "deletions", "erasures", "copies")
"""Those whose rows are the same everywhere; heads of the audit log get the name of their node on the way."""


class MoveSite(BackupSite):
    """A home with calls, a hold, an erasure, a rights request and a tombstone; and a server to move it to."""

    def __init__(self, folder: Path, server: PostgresServer, like: str) -> None:
        super().__init__(folder)
        self._like = like
        self.password_file = folder / "pgpass"
        self.password_file.write_text(f"127.0.0.1:{server.port}:*:recorder:{PASSWORD}\n")
        self.password_file.chmod(0o600)
        self.server = server
        self.target = self.new_target()
        self.home.config.write_text('# ours\n[storage]\nindex_url = "off"   # here\n[site]\nname = "X"\n')
        self.now = NOW - timedelta(days=1)
        self.kept, self.held, self.gone = (self.record(NOW - timedelta(days=days)) for days in (30, 20, 10))
        self.miss(NOW - timedelta(days=5))
        self.hold(self.held, self.now)
        self.claim(self.held)
        self.delete(self.gone)
        first = next(self.audit.entries())
        Anchors(self.database).note(Anchor(target="mail", number=first.number, hash=first.hash, at=NOW))
        self.database.close()

    def new_target(self) -> str:
        url = self.server.new_database(like=self._like).replace(f":{QUOTED}@", "@")
        return f"{url}&passfile={self.password_file}"

    def run(self, *words: str) -> Result:
        result = CliRunner().invoke(app, ["migrate", "--index-only", *words, "-C", str(self.home.root)])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    def refused(self, *words: str) -> str:
        """Run it, see that it fails and copies nothing; return what it said."""
        result = self.run(*words)
        assert result.exit_code == 1
        return " ".join(result.stderr.split())

    def rows(self, url: str) -> dict[str, list[str]]:
        database = Database(url, is_moved_too=True)
        try:
            with database.connect() as connection:
                return {
                    name: sorted(str(tuple(one)) for one in connection.execute(sa.text(f"SELECT * FROM {name}")))
                    for name in TABLES
                }
        finally:
            database.close()

    def opened(self) -> Index:
        return open_index(self.home, read_config(self.home.config))

    def uses(self) -> str:
        """Return the kind of the index that the configuration names, after finding a call in it."""
        index = self.opened()
        try:
            assert index.get(self.kept).id == self.kept
            return index.database.dialect
        finally:
            index.close()

    def set_url(self, url: str) -> None:
        self.home.config.write_text(f'[storage]\nindex_url = "{url}"\n')


@pytest.fixture
def like(url_of_tables: str) -> str:
    """URL of the database that new ones are like: it has tables and no rows."""
    return url_of_tables


TO_AN_EMPTY_ONE = pytest.mark.parametrize("like", ["template1"])
"""The database has no tables yet: to make them is a fifth of what a move costs."""


@pytest.fixture
def site(tmp_path: Path, postgres: PostgresServer, like: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[MoveSite]:
    monkeypatch.setattr(index_move, "users_of", lambda _path: [])  # it looks at every process of this machine
    made = MoveSite(tmp_path, postgres, like)
    yield made
    made.close()


@TO_AN_EMPTY_ONE
def test_it_goes_there_and_back_with_every_row(site: MoveSite) -> None:
    here = sqlite_url(site.home.index)
    before = site.rows(here)
    plan = json.loads(site.run("--to", site.target, "--dry-run", "--json").stdout)
    assert (plan["rows"]["recordings"], plan["rows"]["deletions"], plan["dry_run"]) == (3, 1, True)
    assert site.rows(here) == before
    assert not list(of_act(site.audit.path, index_move.MOVING)), "nothing is written"

    done = json.loads(site.run("--to", site.target, "--yes", "--json").stdout)
    there = site.rows(site.target)
    assert there == before
    assert {name: one["rows"] for name, one in done["tables"].items() if name != "schema_version"} == plan["rows"]
    assert done["audit_entries"] == len(list(site.audit.entries())) - 1, "the last one is of the move itself"
    text = site.home.config.read_text()
    assert f'index_url = "{site.target}"' in text
    assert "# ours" in text
    (kept,) = done["setting"]["kept_as"]
    assert (site.home.root / kept).read_text().endswith('index_url = "off"   # here\n[site]\nname = "X"\n')
    (entry,) = of_act(site.audit.path, index_move.MOVED)
    assert entry.details["digests"] == {name: one["digest"] for name, one in done["tables"].items() if one["rows"]}
    index = site.opened()
    assert index.database.dialect == "postgresql"
    assert index.get(site.kept).id == site.kept
    named = [head.number for head in Anchors(index.database, site.node.fingerprint[:16]).heads()]
    assert named == [1], "other homes in this database do not take it for a head of theirs"
    index.close()

    back = site.run("--to", "sqlite", "--yes")
    assert back.exit_code == 0, back.stderr
    assert 'index_url = "off" now' in " ".join(back.stderr.split())
    assert site.rows(here) == before
    assert 'index_url = "off"' in site.home.config.read_text()
    aside = list((site.home.root / "lost+found").glob("*/*-index.sqlite"))
    assert len(aside) == 1, "the first file is kept"


def test_a_deletion_after_the_move_wins_on_the_way_back(site: MoveSite) -> None:
    old = site.home.index.read_bytes()
    container = site.file_of(site.kept).read_bytes()
    path = site.file_of(site.kept)
    assert site.run("--to", site.target, "--yes").exit_code == 0
    index = site.opened()
    # By another node: this home's audit log knows nothing of it.
    Deletions(index.database).settle([Tombstone(id=site.kept, deleted_at=NOW, rule="retention")])
    index.close()

    site.set_url("off")
    for content in (old, None):
        if content is None:
            site.home.index.unlink()
        else:
            site.home.index.write_bytes(content)  # from a backup, without the mark
        index = open_index(site.home, read_config(site.home.config), is_deferred=True)
        with pytest.raises(DatabaseError, match=r"was moved to 127\.0\.0\.1.*out of date.*index_url"):
            index.get(site.kept)
        index.close()
        assert site.home.index.exists() == (content is not None), "no new file is made either"
    site.home.index.write_bytes(old)

    assert site.run("--to", "sqlite").exit_code == 0
    index = site.opened()
    assert index.database.dialect == "sqlite"
    path.write_bytes(container)  # so has the backup
    assert set(destroy_returned(site.home, site.vault, index.database, lambda: NOW)) == {site.kept}
    index.close()
    site.open()
    assert site.traces(site.kept) == {"row": False, "file": False, "key": False, "tombstone": True}


def test_the_old_database_is_not_opened_from_any_other_home(site: MoveSite, tmp_path: Path) -> None:
    assert site.run("--to", site.target, "--yes").exit_code == 0
    shutil.copy(site.home.index, tmp_path / "copied.sqlite")
    with pytest.raises(DatabaseError, match="was moved to another database on"):
        Database(sqlite_url(tmp_path / "copied.sqlite"))
    assert site.run("--to", "sqlite", "--yes").exit_code == 0
    with pytest.raises(DatabaseError, match=r"recorder_\d+ on 127.*was moved to another database"):
        Database(site.target)
    assert "was moved away on" in site.refused("--to", site.target)
    second = site.new_target()
    assert site.run("--to", second, "--yes").exit_code == 0
    assert site.uses()


def test_without_yes_the_line_is_said_and_the_move_can_be_finished_or_taken_back(site: MoveSite) -> None:
    result = site.run("--to", site.target)
    said = " ".join(result.stderr.split())
    assert f'in [storage] of {site.home.config} write index_url = "{site.target}"' in said
    assert "recorder database move --to sqlite" in said
    with pytest.raises(DatabaseError, match="out of date"):
        site.uses()
    again = site.run("--to", site.target, "--yes")
    assert (again.exit_code, "was moved to" in again.stderr) == (0, True)
    assert site.uses()
    site.set_url("off")
    assert site.run("--to", "sqlite").exit_code == 0
    assert site.uses() == "sqlite"
    assert "already" in site.refused("--to", "sqlite")


LONG = pytest.mark.long


@TO_AN_EMPTY_ONE
@pytest.mark.parametrize(
    "step",
    [
        pytest.param("copy_table", marks=LONG), pytest.param("content_of", marks=LONG), "_verify_audit",
        pytest.param("write_note", marks=LONG), "mark_moved",
    ],
)  # fmt: skip
def test_interrupted_anywhere_it_is_run_again(site: MoveSite, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    before = site.rows(sqlite_url(site.home.index))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(index_move.IndexMove if step.startswith("_") else index_move, step, killed)
        result = CliRunner().invoke(app, ["migrate", "--index-only", "--to", site.target, "-C", str(site.home.root)])
        assert result.exit_code != 0
    if step not in {"mark_moved"}:
        site.uses()
    assert site.run("--to", site.target, "--yes").exit_code == 0
    assert site.rows(site.target)["recordings"] == before["recordings"]
    with pytest.raises(DatabaseError, match="was moved"):
        Database(sqlite_url(site.home.index))


def test_a_hold_between_an_interrupted_copy_and_the_next_try_is_not_lost(
    site: MoveSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(index_move.IndexMove, "_verify_audit", lambda *_: 1 / 0)
        CliRunner().invoke(app, ["migrate", "--index-only", "--to", site.target, "-C", str(site.home.root)])
    site.open()
    site.hold(site.kept, NOW)
    site.database.close()
    assert "is not empty" in site.refused("--to", site.target)
    assert site.uses()


def test_the_old_index_takes_no_writes_from_the_copy_to_its_end(
    site: MoveSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "_BUSY_MS", 10)
    verify, tried = IndexMove._verify_audit, list[str]()

    def write_meanwhile(self: IndexMove, plan: MovePlan) -> int:
        with pytest.raises(DatabaseError) as refused:
            site.hold(site.kept, site.now)
        tried.append(str(refused.value))
        site.database.close()
        return verify(self, plan)

    monkeypatch.setattr(IndexMove, "_verify_audit", write_meanwhile)
    assert site.run("--to", site.target, "--yes").exit_code == 0
    assert len(tried) == 1
    assert site.uses() == "postgresql"


def test_a_process_that_opened_the_old_index_meanwhile_keeps_it_in_use(
    site: MoveSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter([[], ["7 (recorder holds place)"]])
    monkeypatch.setattr(index_move, "users_of", lambda _path: next(looks, []))
    assert "opened meanwhile by 7 (recorder holds place)" in site.refused("--to", site.target, "--yes")
    site.hold(site.kept, site.now)
    site.database.close()
    assert site.uses() == "sqlite"
    assert "not empty" in site.refused("--to", site.target, "--yes"), "the hold is not in the copy"
    site.target = site.new_target()
    assert site.run("--to", site.target, "--yes").exit_code == 0
    index = site.opened()
    assert Holds(index.database).held_among([site.kept, site.held], site.now) == {site.kept, site.held}
    index.database.close()


@TO_AN_EMPTY_ONE
def test_a_copy_that_is_not_the_same_is_taken_back(site: MoveSite, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = table_copy.copy_table

    def lying(table: sa.Table, source: Any, target: Any, progress: Any) -> Any:
        done = copy(table, source, target, progress)
        if table.name == "holds":
            target.execute(table.update().values(owner="oscar"))
        return done

    with monkeypatch.context() as patch:
        patch.setattr(index_move, "copy_table", lying)
        assert "table holds: a row of the copy differs" in site.refused("--to", site.target)
    assert site.rows(site.target)["recordings"] == []
    assert site.uses() == "sqlite"


def test_what_prevents_it_is_said_and_nothing_is_changed(site: MoveSite, monkeypatch: pytest.MonkeyPatch) -> None:
    text = site.home.config.read_text()
    with held(site.home):
        assert "a daemon is running" in site.refused("--to", site.target)
    with console_held(site.home):
        assert "a console is running" in site.refused("--to", site.target)
    with monkeypatch.context() as patch:
        patch.setattr(index_move, "users_of", lambda path: [f"7 (sqlite3 {path.name})"])
        assert "process 7 (sqlite3 index.sqlite) has the index open" in site.refused("--to", site.target)
    assert "password file" in site.refused("--to", site.target.replace("recorder@", "recorder:secret@"))
    assert "secret" not in site.refused("--to", site.target.replace("recorder@", "recorder:secret@"))
    assert "write --to sqlite" in site.refused("--to", "sqlite:///elsewhere")
    assert "there is no such database or user" in site.refused("--to", site.target.replace("/recorder_", "/absent_"))

    other = Database(site.target)
    with other.begin() as connection:
        connection.execute(sa.text("INSERT INTO leases VALUES ('sweep', NULL, 1, NULL)"))
        assert "is in use by recorder from 127.0.0.1" in site.refused("--to", site.target)
    other.close()
    assert "is not empty (leases), and nothing is overwritten: name an empty database" in site.refused(
        "--to", site.target
    )

    strange = site.new_target()
    database = Database(strange)
    with database.begin() as connection:
        connection.execute(sa.text("CREATE TABLE lunches (day text)"))
    database.close()
    assert "tables of another program (lunches)" in site.refused("--to", strange)
    newer = site.new_target()
    database = Database(newer)
    with database.begin() as connection:
        connection.execute(sa.text("UPDATE schema_revision SET version_num = '9999'"))
    database.close()
    assert "a newer program made it" in site.refused("--to", newer)
    assert site.home.config.read_text() == text
    assert not (site.home.state / NOTE).exists()
    assert not list(of_act(site.audit.path, index_move.MOVED))

    assert site.run("--to", site.new_target(), "--yes").exit_code == 0
    with monkeypatch.context() as patch:
        patch.setattr(move_plan, "free_bytes", lambda _folder: 1 << 20)
        assert "has 1 MB free, and copying takes" in site.refused("--to", "sqlite")


def test_a_damaged_audit_log_keeps_the_old_index_in_use(site: MoveSite) -> None:
    content = site.audit.path.read_bytes()
    site.audit.path.write_bytes(content.replace(b'"actor":"olive"', b'"actor":"oscar"', 1))
    assert "the audit log is not whole, so the old index stays in use" in site.refused("--to", site.target)
    assert site.uses() == "sqlite"
    site.audit.path.write_bytes(content + site.audit.path.read_bytes()[len(content) :])
    assert site.run("--to", site.target, "--yes").exit_code == 0, "the copy is there already"


def test_a_text_that_one_engine_cannot_store_is_named(site: MoveSite) -> None:
    site.open()
    with site.database.begin() as connection:
        connection.execute(sa.text("UPDATE holds SET reason = 'a' || char(0) || 'b'"))
    site.database.close()
    assert "of holds has a text with a zero byte, which PostgreSQL cannot store" in site.refused("--to", site.target)
    site.open()
    with site.database.begin() as connection:
        connection.execute(sa.text("UPDATE holds SET reason = CAST(x'ff' AS TEXT)"))
    site.database.close()
    assert "a text in the table holds is damaged" in site.refused("--to", site.target)
    assert site.rows(site.target)["recordings"] == []


@TO_AN_EMPTY_ONE
def test_the_accounts_go_along_and_come_back(site: MoveSite) -> None:
    home = site.home
    People(open_people(home.people), now=lambda: NOW, hasher=CHEAP).add("ann", OF_ANN, roles=[Role.DPO])

    def move(*words: str) -> dict[str, Any]:
        done = CliRunner().invoke(app, ["migrate", *words, "--yes", "--json", "-C", str(home.root)])
        assert done.exit_code == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def names(url: str | None) -> list[str]:
        engine = open_accounts(home, url)
        try:
            return [one.person.name for one in People(engine, now=lambda: NOW, hasher=CHEAP).list()]
        finally:
            engine.dispose()

    dry = CliRunner().invoke(app, ["migrate", "--to", site.target, "--dry-run", "--json", "-C", str(home.root)])
    assert (json.loads(dry.stdout)["moves_index"], json.loads(dry.stdout)["moves_accounts"]) == (True, True)
    assert move("--to", site.target)["accounts"]["accounts"] == 1
    config = read_config(home.config).storage
    assert (config.index_url, config.accounts_url) == (site.target, site.target)
    assert (home.people.exists(), names(site.target)) == (False, ["ann"])
    assert site.uses() == "postgresql"

    assert move("--to", "sqlite")["accounts"]["accounts"] == 1
    config = read_config(home.config).storage
    assert (config.index_url, config.accounts_url, names(None)) == (None, None, ["ann"])
    assert site.uses() == "sqlite"


def test_accounts_whose_move_failed_are_moved_by_the_next_run(site: MoveSite, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_self: AccountsMove) -> None:
        raise DatabaseError("the server went away", is_passing=True)

    words = ["migrate", "--to", site.target, "--yes", "--json", "-C", str(site.home.root)]
    with monkeypatch.context() as patch:
        patch.setattr(AccountsMove, "run", away)
        assert "the server went away" in CliRunner().invoke(app, words).stderr
    config = read_config(site.home.config).storage
    assert (config.index_url, config.accounts_url) == (site.target, None), "each is where recorder.toml says"
    done = json.loads(CliRunner().invoke(app, words).stdout)
    assert done["setting"]["lines"] == [f'accounts_url = "{site.target}"']
    assert read_config(site.home.config).storage.accounts_url == site.target
    assert "already" in CliRunner().invoke(app, words).stderr


@LONG
def test_a_daemon_with_the_old_line_records_and_rows_wait(tmp_path: Path) -> None:
    quick = (("look_back_s = 5.0", "look_back_s = 1.5"), ("erase_s = 3.0", "erase_s = 0.2"))
    with exchange(tmp_path, edits=quick) as lines:
        home = Home(lines.home.root)
        lines.home.stop()
        left = place_of(home, None)
        write_note(home.state, MoveNote(left=left, url="postgresql://db.example/recorder", at=NOW))
        lines.home.start()
        talk = lines.call()
        recording = talk.join()
        talk.talk_for(0.5)
        talk.first.hang_up()
        talk.first.wait_ended()
        waiting = home.state / FOLDER / f"{recording}.json"
        eventually(waiting.exists, "the row that waits")
        assert "index_unavailable" in lines.home.health()["alarms"]
        assert list(home.recordings.rglob(f"{recording}.rec")), "the recording is whole"
        forget_note(home.state)
        eventually(lambda: not waiting.exists(), "the row in the index")
        assert recording in [one["id"] for one in lines.home.rows()]
