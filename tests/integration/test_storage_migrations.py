"""Databases of every earlier version become ones of this, by themselves, with everything in them, on both engines."""

import json
import shutil
import signal
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import storage.migrations
from benchmarks.postgres import PostgresServer
from storage.database import Database, sqlite_url
from storage.erasures import Erasures
from storage.errors import DatabaseError
from storage.index import Index
from storage.migrations import VERSION_TABLE, upgrade
from storage.retention_types import ErasureKind, ErasureOrder, ErasureState
from storage.rows import row_from_json, row_to_json
from storage.stored_rows import StoredRows
from storage.tables import METADATA, REVISION, microseconds
from storage.types import Outcome, Participant, RecordingId, Search
from tests.crash.counted import Steps
from tests.crash.zygote import Zygote
from tests.helpers.extent import chosen
from tests.helpers.storage_home import ID, row

OLD = Path(__file__).parents[1] / "data" / "schema-before-alembic"
ORDER = ErasureOrder(
    id="0a1b2c3d", recording=ID, start_s=1.25, end_s=None, kind=ErasureKind.OTHER, ordered_by="olive",
    ordered_at=datetime(2026, 11, 25, tzinfo=UTC), state=ErasureState.WAITING,
)  # fmt: skip
ROW = row_from_json(row())
SAID = {
    "sqlite": (
        'SELECT m.name, c.name, c.type, c."notnull", c.dflt_value, c.pk FROM sqlite_master m'
        " JOIN pragma_table_xinfo(m.name) c WHERE m.type = 'table'",
        "SELECT m.tbl_name, m.name, c.seqno, c.name, c.desc, c.coll, c.key FROM sqlite_master m"
        " JOIN pragma_index_xinfo(m.name) c WHERE m.type = 'index'",
    ),
    "postgresql": (
        "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attcollation::text,"
        " a.attidentity::text, a.attgenerated::text, pg_get_expr(d.adbin, d.adrelid)"
        " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
        " LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum"
        " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0",
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace",
        "SELECT objoid::regclass::text, objsubid, description FROM pg_description WHERE classoid = 'pg_class'::regclass"
        " AND objoid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)",
    ),
}
"""What a database says of its tables."""
IN_WORDS = {"sqlite": ("SELECT type, name, tbl_name, sql FROM sqlite_master",), "postgresql": ()}
"""What it says beside that, in words that depend on how the tables came to be."""
FOUND_GOOD: set[tuple[object, ...]] = set()
"""What databases say of their tables in which Alembic finds no difference: it takes a tenth of a second to look."""


def script() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(Path(storage.migrations.__file__).parent))
    return ScriptDirectory.from_config(config)


REVISIONS = [found.revision for found in script().walk_revisions()][::-1]


def plain_engine(url: str) -> sa.Engine:
    """Open a database without what `Database` does to it."""
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"), poolclass=sa.NullPool)
    if engine.dialect.name == "sqlite":
        # As `Database` does: the driver's own transactions leave out changes of tables.
        sa.event.listen(engine, "connect", lambda connection, _: setattr(connection, "isolation_level", None))
        sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def fill(connection: sa.Connection) -> None:
    """Put a call and an order in, by the columns that every version has."""
    recording = {
        "id": ID, "started_us": 1, "operator": "a.officer", "extension": "2001", "caller": "02079460000",
        "called": "2001", "caller_e164": "+442079460000", "called_e164": "2001", "outcome": "recorded",
        "retention_due_us": None, "document": json.dumps(row_to_json(ROW)), "peaks_left": b"", "peaks_right": b"",
    }  # fmt: skip
    order = {
        "id": ORDER.id, "recording": ID, "start_s": 1.25, "end_s": None, "kind": "other", "ordered_by": "olive",
        "ordered_us": int(ORDER.ordered_at.timestamp() * 1_000_000), "state": "waiting", "problem": "", "attempts": 0,
        "due_us": 0,
    }  # fmt: skip
    for table, values in (("recordings", recording), ("erasures", order)):
        names = ", ".join(values)
        marks = ", ".join(f":{name}" for name in values)
        connection.execute(sa.text(f"INSERT INTO {table} ({names}) VALUES ({marks})"), values)


def make_before_alembic(url: str, *, is_filled: bool = True) -> None:
    engine = plain_engine(url)
    with engine.begin() as connection:
        for statement in (OLD / f"{engine.dialect.name}.sql").read_text().split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)
        connection.exec_driver_sql("INSERT INTO schema_version VALUES (1, 1)")
        if is_filled:
            fill(connection)


def check_whole(url: str) -> None:
    """Everything is there, and the tables are those of this version."""
    index = Index(url)
    assert index.get(ID) == ROW
    assert index.find(Search(number="020 7946 0000")) == [ROW]
    assert Erasures(index.database).open_orders() == [ORDER]
    with index.database.connect() as connection:
        assert connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalars().all() == [REVISION]
        version = connection.execute(sa.text("SELECT version FROM schema_version WHERE id = 1")).scalar_one()
        assert version > 1, "old programs are not kept out"
        check_tables(connection)
    index.close()


def answers(connection: sa.Connection, *queries: str) -> list[tuple[object, ...]]:
    return sorted((tuple(row) for query in queries for row in connection.execute(sa.text(query))), key=repr)


def check_tables(connection: sa.Connection) -> None:
    """The tables are those of the program; what Alembic has looked through once, it is not asked about again."""
    said = (*answers(connection, *SAID[connection.dialect.name], *IN_WORDS[connection.dialect.name]),)
    if said not in FOUND_GOOD:
        options = {"version_table": VERSION_TABLE, "compare_type": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), METADATA) == []
        FOUND_GOOD.add(said)


def test_the_programs_newest_revision_is_the_newest_script() -> None:
    assert script().get_current_head() == REVISION
    assert len(REVISIONS) >= 2


def test_a_new_database_has_the_tables_of_the_program(database: Database) -> None:
    with database.connect() as connection:
        check_tables(connection)


def shape(url: str) -> list[tuple[object, ...]]:
    """What the database itself says of its tables: columns, keys, indices and what the tables note of themselves."""
    with plain_engine(url).connect() as connection:
        said = SAID[connection.dialect.name]
        noted = (f"SELECT version_num FROM {VERSION_TABLE}", "SELECT id, version FROM schema_version")
        return answers(connection, *said, *noted)


def test_a_new_database_is_what_the_scripts_make_of_an_empty_one(database_url: str, tmp_path: Path) -> None:
    Database(database_url).close()
    new = shape(database_url)
    engine = plain_engine(database_url)
    with engine.begin() as connection:
        for name in sa.inspect(connection).get_table_names():
            connection.exec_driver_sql(f"DROP TABLE {name}")
    with engine.begin() as connection:
        upgrade(connection, REVISION)
    assert new == shape(database_url)
    assert len(new) > 100


def test_a_difference_between_tables_and_migrations_would_be_seen(database: Database) -> None:
    with database.begin() as connection:
        connection.exec_driver_sql("DROP INDEX holds_by_review")
        with pytest.raises(AssertionError, match="holds_by_review"):
            check_tables(connection)


class Revisions:
    """Databases without rows at each revision, made from the one before: all scripts run once for each engine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[tuple[str, str], str] = {}

    def copy(self, revision: str, server: PostgresServer | None) -> str:
        """Return the URL of a new database at this revision: of the server's, or an SQLite file."""
        return self._copied(self._at(REVISIONS.index(revision), server), server)

    def _at(self, place: int, server: PostgresServer | None) -> str:
        key = ("sqlite" if server is None else "postgresql", REVISIONS[place])
        if key not in self._made:
            url = self._copied(self._at(place - 1, server) if place else "", server)
            with plain_engine(url).begin() as connection:
                upgrade(connection, REVISIONS[place])
            self._made[key] = url
        return self._made[key]

    def _copied(self, url: str, server: PostgresServer | None) -> str:
        if server is not None:
            return server.new_database(like=url) if url else server.new_database()
        path = self._folder / f"{len(list(self._folder.iterdir()))}.sqlite"
        if url:
            shutil.copyfile(url.removeprefix("sqlite:///"), path)
        return sqlite_url(path)


@pytest.fixture(scope="module")
def revisions(tmp_path_factory: pytest.TempPathFactory) -> Revisions:
    return Revisions(tmp_path_factory.mktemp("revisions"))


@pytest.fixture(params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest) -> PostgresServer | None:
    """The server of one engine; the other has none."""
    return request.getfixturevalue("postgres") if request.param == "postgresql" else None


@pytest.mark.parametrize(
    "revision", chosen(quick=[REVISIONS[0], REVISIONS[len(REVISIONS) // 2], *REVISIONS[-2:]], full=REVISIONS)
)
def test_a_database_of_any_revision_goes_on_with_all_that_is_in_it(
    revisions: Revisions, server: PostgresServer | None, revision: str
) -> None:
    url = revisions.copy(revision, server)
    with plain_engine(url).begin() as connection:
        assert connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalars().all() == [revision]
        fill(connection)
    check_whole(url)


def test_further_officers_of_before_0005_are_found_with_all_that_may_be_asked_for(database_url: str) -> None:
    handed_over = replace(ROW, operators=("a.officer", "b.officer"), extensions=("2001", "2002"))
    with plain_engine(database_url).begin() as connection:
        upgrade(connection, "0004")
        fill(connection)
        document = json.dumps(row_to_json(handed_over))
        connection.execute(sa.text("UPDATE recordings SET document = :document"), {"document": document})
        officer = {"recording": ID, "extension": "2002", "operator": "b.officer", "started_us": 1}
        names = ", ".join(officer)
        marks = ", ".join(f":{name}" for name in officer)
        connection.execute(sa.text(f"INSERT INTO officers ({names}) VALUES ({marks})"), officer)
    index = Index(database_url)
    for asked in ({}, {"extension": "2001"}, {"number": "2001"}, {"outcome": Outcome.RECORDED}, {"extension": "2002"}):
        assert index.find(Search(operator="b.officer", **asked)) == [handed_over], asked
    assert index.find(Search(operator="b.officer", number="2002")) == []
    with index.database.connect() as connection:
        check_tables(connection)
    index.close()


def test_participants_of_before_0008_are_found_by_number(database_url: str) -> None:
    met = replace(ROW, participants=(Participant(name="", address="sip:07700900123@x", number="07700900123", role=""),))
    with plain_engine(database_url).begin() as connection:
        upgrade(connection, "0007")
        fill(connection)
        filled = {"document": json.dumps(row_to_json(met)), "started_us": microseconds(ROW.started_at)}
        connection.execute(sa.text("UPDATE recordings SET document = :document, started_us = :started_us"), filled)
    index = Index(database_url)
    assert index.find(Search(number="+447700900123", operator="a.officer", outcome=Outcome.RECORDED)) == [met]
    (stored,) = StoredRows(index.database).each()
    assert stored.wrong_columns == [], "the migration writes what the program would"
    index.close()


def test_numbers_of_before_0015_have_their_one_form(database_url: str) -> None:
    other = RecordingId("20261124T093000Z-2001-0b1b2c")
    known = replace(
        ROW, caller="447700900555", extensions=("2001", "2002"), operators=("a.officer", "b.officer"),
        numbers=("442079460999", "07700 900555", "(0)1632 960001"),
    )  # fmt: skip
    unchanged = replace(ROW, id=other, numbers=("020 7946 0998",))
    index = Index(database_url)
    index.save_many([known, unchanged])
    with index.database.begin() as connection:  # as the program of before left them
        for table in ("recordings", "officers", "identities"):
            of = "id" if table == "recordings" else "recording"
            connection.exec_driver_sql(f"UPDATE {table} SET caller_e164 = '447700900555' WHERE {of} = '{ID}'")
        connection.exec_driver_sql(f"UPDATE recordings SET caller_reversed = '555009007744' WHERE id = '{ID}'")
        connection.exec_driver_sql(
            "UPDATE identities SET number = '442079460999', reversed = '999064970244' WHERE number = '+442079460999'"
        )
        connection.exec_driver_sql(
            "INSERT INTO identities (recording, number, reversed, started_us, first_extension, first_operator, outcome,"
            " caller_e164, called_e164, team, service) SELECT recording, '+447700900555', '555009007744+', started_us,"
            " first_extension, first_operator, outcome, caller_e164, called_e164, team, service FROM identities"
            " WHERE number = '442079460999'"
        )
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '0014'")
    assert [one.id for one in StoredRows(index.database).each() if one.wrong_columns] == [ID]
    index.close()
    index = Index(database_url)
    assert [(one.id, one.wrong_columns) for one in StoredRows(index.database).each()] == [(ID, []), (other, [])]
    for number in ("07700900555", "+447700900555", "447700900555", "00447700900555"):
        assert [row.id for row in index.find(Search(number=number))] == [ID]
        assert [row.caller for row in index.find(Search(number=number, operator="b.officer"))] == ["447700900555"]
    for number in ("020 7946 0999", "442079460999"):
        assert [row.id for row in index.find(Search(number=number))] == [ID]
    index.close()


def test_other_numbers_beside_the_version_stay(database_url: str) -> None:
    make_before_alembic(database_url)
    with plain_engine(database_url).begin() as connection:
        connection.exec_driver_sql("INSERT INTO schema_version VALUES (2, 77)")
    check_whole(database_url)
    with plain_engine(database_url).connect() as connection:
        assert connection.exec_driver_sql("SELECT version FROM schema_version WHERE id = 2").scalar() == 77


def test_a_database_of_before_the_migrations_goes_on(database_url: str) -> None:
    make_before_alembic(database_url)
    check_whole(database_url)


def test_one_that_never_had_an_order_has_no_table_of_them(database_url: str) -> None:
    make_before_alembic(database_url, is_filled=False)
    with plain_engine(database_url).begin() as connection:
        connection.exec_driver_sql("DROP TABLE erasures")
    Database(database_url).close()
    with plain_engine(database_url).begin() as connection:
        fill(connection)
    check_whole(database_url)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (f"UPDATE {VERSION_TABLE} SET version_num = '9999'", "schema 9999.*newer"),
        (f"DROP TABLE {VERSION_TABLE}", "schema ([2-9]|1[0-9]), which"),
    ],
)
def test_a_newer_database_is_refused_and_untouched(database_url: str, statement: str, words: str) -> None:
    Database(database_url).close()
    with plain_engine(database_url).begin() as connection:
        connection.exec_driver_sql(statement)
    with pytest.raises(DatabaseError, match=words):
        Database(database_url)
    deferred = Index(database_url, is_deferred=True)
    with pytest.raises(DatabaseError, match=words) as caught:
        deferred.find(Search())
    assert not caught.value.is_passing
    deferred.close()


def test_tables_of_another_program_are_left_alone(database_url: str) -> None:
    with plain_engine(database_url).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE recordings (title TEXT)")
    with pytest.raises(DatabaseError, match="another program"):
        Database(database_url)
    with plain_engine(database_url).connect() as connection:
        assert sa.inspect(connection).get_table_names() == ["recordings"]


def migrate(steps: Steps, url: str) -> None:
    """Migrate; each statement is a step that is done when it is counted."""
    sa.event.listen(sa.Engine, "after_cursor_execute", lambda *_: steps.step())
    Database(url).close()


@pytest.fixture(scope="module")
def statements(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many statements all migrations take together on SQLite; on PostgreSQL a few less."""
    url = sqlite_url(tmp_path_factory.mktemp("counted") / "index.sqlite")
    make_before_alembic(url)
    ended = zygote.run(migrate, 0, url)
    assert ended.steps is not None, ended.problem
    return ended.steps


@pytest.mark.parametrize("part", chosen(quick=[0.25, 0.6, 0.92], full=[0.25, 0.45, 0.6, 0.75, 0.85, 0.92]))
def test_killed_anywhere_it_is_as_it_was_and_the_next_start_does_it_all(
    zygote: Zygote, database_url: str, statements: int, part: float
) -> None:
    make_before_alembic(database_url)
    assert zygote.run(migrate, int(part * statements), database_url).code == -signal.SIGKILL
    with plain_engine(database_url).connect() as connection:
        assert set(sa.inspect(connection).get_table_names()) == {"erasures", "recordings", "schema_version"}
        assert len(sa.inspect(connection).get_indexes("recordings")) == 9
    check_whole(database_url)
