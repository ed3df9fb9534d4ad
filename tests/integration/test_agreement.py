"""Index, audit log and states carry one number: what was restored or lost is noticed, and the sweep waits."""

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from benchmarks.postgres import PostgresServer
from recorder.recordings.agreement import DOUBTED, MARK, NOTED, NUMBERS, agree, look, read_mark, set_mark
from recorder.recordings.reconcile import RECONCILED, NothingToReconcileError, Reconciler
from recorder.recordings.recovery import recover_all
from recorder.retention.sweep_process import opened_sweeper
from recorder.retention.sweep_safeguards import SweepStoppedError
from storage.agreement import Agreement
from storage.anchors import Anchor, Anchors
from storage.audit import AuditLog
from storage.database import Database, sqlite_url
from storage.durable import save_atomically
from storage.errors import StorageError
from tests.helpers.rebuild_site import RebuildSite
from tests.helpers.shared_sweep_site import TwoHomes, two_homes
from tests.helpers.sweep_site import GONE, NOW, PRESENT, agreed

DAY = timedelta(days=1)
LATER = datetime.now(UTC) + 2 * DAY
"""When the DPO looks: what was made just now is no longer young."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[RebuildSite]:
    made = RebuildSite(tmp_path)
    made.now = NOW
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def two(tmp_path: Path, postgres: PostgresServer, url_of_tables: str) -> Iterator[TwoHomes]:
    with two_homes(tmp_path, postgres.new_database(like=url_of_tables)) as made:
        yield made


def log_of(site: RebuildSite) -> AuditLog:
    return AuditLog(site.home.audit, now=lambda: site.now)


def looked(site: RebuildSite, *, is_noted: bool = True) -> tuple[str, ...]:
    mark = look(site.home.state, site.database, log_of(site), NOW, is_noted=is_noted)
    return () if mark is None else mark.why


def reconciler(site: RebuildSite) -> Reconciler:
    return Reconciler(
        home=site.home, vault=site.vault, database=site.database, audit=log_of(site), now=lambda: LATER,
        is_live=False,
    )  # fmt: skip


def backed_up(site: RebuildSite, folder: Path) -> Path:
    site.database.close()
    shutil.copytree(site.home.root, folder)
    site.open()
    return folder


def restored(site: RebuildSite, backup: Path, *names: str) -> None:
    site.database.close()
    for name in names:
        target = site.home.root / name
        for old in site.home.root.glob(f"{name}*") if name == "index.sqlite" else [target]:
            shutil.rmtree(old) if old.is_dir() else old.unlink(missing_ok=True)
        shutil.copytree(backup / name, target) if (backup / name).is_dir() else shutil.copy(backup / name, target)
    site.open()


def test_three_that_belong_together_are_counted_on(site: RebuildSite) -> None:
    assert [looked(site) for _ in range(3)] == [(), (), ()]
    assert Agreement(site.database, site.node.fingerprint).count() == 3
    assert json.loads((site.home.state / NUMBERS).read_text()) == [3]
    assert [entry["details"]["count"] for entry in site.acts(NOTED)] == [1, 2, 3]
    assert looked(site, is_noted=False) == ()
    assert Agreement(site.database, site.node.fingerprint).count() == 3


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["index.sqlite"], ["the index is older than the rest"]),
        (["audit"], ["the audit log is older than the rest"]),
        (["state"], ["state/ is older than the index", "state/ is older than the audit log"]),
        (["index.sqlite", "state"], ["state/ is older than the audit log"]),
        (["index.sqlite", "audit"], ["the index is older", "the audit log is older"]),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, list) else "",
)
def test_what_comes_from_a_backup_is_noticed(
    site: RebuildSite, tmp_path: Path, names: list[str], said: list[str]
) -> None:
    looked(site)
    backup = backed_up(site, tmp_path / "backup")
    looked(site)
    restored(site, backup, *names)
    why = looked(site)
    assert len(why) == len(said)
    assert all(sentence.startswith(start) for sentence, start in zip(why, said, strict=True)), why
    assert looked(site) == why
    assert len(site.acts(DOUBTED)) == 1
    agree(site.home.state, site.database, log_of(site))
    assert looked(site) == ()


def test_an_index_that_is_lost_is_noticed_at_the_start(site: RebuildSite) -> None:
    site.home.config.write_text("")
    recover_all(site.home, site.config, NOW)
    assert read_mark(site.home.state) is None
    site.lose_index()
    recover_all(site.home, site.config, NOW)
    mark = read_mark(site.home.state)
    assert mark is not None
    assert mark.why == ("the index is new, but the rest is not: the old one was lost",)
    site.open()


def test_states_that_are_lost_are_noticed(site: RebuildSite) -> None:
    looked(site)
    shutil.rmtree(site.home.state)
    assert looked(site)[0].startswith("state/agreement.json is missing")


def test_the_daily_sweep_looks_and_does_not_delete(site: RebuildSite, tmp_path: Path) -> None:
    recording = site.record(NOW - 100 * DAY)
    looked(site)
    backup = backed_up(site, tmp_path / "backup")
    looked(site)
    restored(site, backup, "index.sqlite")
    with (
        opened_sweeper(site.home, site.config, now=lambda: NOW, is_noted=True) as sweeper,
        pytest.raises(SweepStoppedError, match="the index is older than the rest"),
    ):
        agreed(sweeper).run()
    assert site.traces(recording) == PRESENT


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


@pytest.mark.parametrize("step", range(1, 5))
def test_a_kill_while_the_number_goes_up_is_no_difference(
    site: RebuildSite, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    looked(site)
    steps = iter(range(1, 99))

    def counted(real: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **options: object) -> object:
            if next(steps) == step:
                raise Killed
            return real(*args, **options)

        return call

    with monkeypatch.context() as patch:
        patch.setattr("recorder.recordings.agreement.save_atomically", counted(save_atomically))
        patch.setattr(AuditLog, "append", counted(AuditLog.append))
        patch.setattr(Agreement, "set", counted(Agreement.set))
        with pytest.raises(Killed):
            looked(site)
    assert looked(site) == ()
    assert looked(site) == ()


def test_the_sweep_goes_on_when_the_dpo_has_looked(site: RebuildSite) -> None:
    recording = site.record(NOW - 100 * DAY)
    held_one = site.record(NOW - 100 * DAY)
    site.hold(held_one, NOW - DAY)
    looked(site)
    site.lose_index()
    site.reindex()
    report = reconciler(site).report()
    facts = report.as_json()
    assert (facts["waits"], facts["rows"], facts["containers"], facts["keys"]) == (True, 2, 2, 2)
    assert (facts["recordings_held"], facts["reindex"]["rows_added"], facts["reindex"]["holds_replayed"]) == (1, 2, 1)
    assert (facts["containers_without_row"], facts["rows_without_container"], facts["audit_unreadable"]) == (0, 0, 0)
    with pytest.raises(SweepStoppedError, match="recorder index reconcile"):
        site.sweep()
    with pytest.raises(StorageError, match="reason is needed"):
        reconciler(site).confirm("dora", " ", report)
    assert (site.home.state / MARK).exists()
    reconciler(site).confirm("dora", "compared with the list of holds", report)
    assert site.acts(RECONCILED)[0]["details"]["rows"] == 2
    site.sweep()
    assert (site.traces(recording), site.traces(held_one)) == (GONE, PRESENT)
    with pytest.raises(NothingToReconcileError):
        reconciler(site).confirm("dora", "once more", report)


def test_the_report_names_what_does_not_fit(site: RebuildSite) -> None:
    one, two, three = (site.record(NOW) for _ in range(3))
    site.index.remove(one)
    site.file_of(two).unlink()
    site.hold(three, NOW, in_table=False)
    head = site.audit.head()
    assert head is not None
    assert head.number is not None
    Anchors(site.database).note(Anchor(target="mail", number=head.number, hash="0" * 64, at=NOW))
    facts = reconciler(site).report().as_json()
    names = ("containers_without_row", "rows_without_container", "holds_that_differ")
    assert [facts[name] for name in names] == [1, 1, 1]
    assert "written anew" in facts["anchors"]["mail"]


def test_a_mark_keeps_what_it_said_and_one_that_cannot_be_read_stands(site: RebuildSite) -> None:
    set_mark(site.home.state, NOW, ["first"], {"a": 1})
    mark = set_mark(site.home.state, NOW + DAY, ["second", "first"], {"b": 2})
    assert (mark.since, mark.why, dict(mark.facts)) == (NOW, ("first", "second"), {"a": 1, "b": 2})
    (site.home.state / MARK).write_text("")
    torn = read_mark(site.home.state)
    assert torn is not None
    assert torn.since is None


def test_each_home_has_a_number_of_its_own_in_the_index(two: TwoHomes) -> None:
    """What tells a restored index would else say so at each start of another node."""
    for site in (two.north, two.south, two.south, two.north):
        assert look(site.home.state, site.database, site.audit, NOW) is None
    with two.north.database.begin() as connection:
        connection.execute(sa.text("UPDATE agreements SET count = count - 1"))
    mark = look(two.north.home.state, two.north.database, two.north.audit, NOW)
    assert mark is not None
    assert "the index is older than the rest" in mark.why[0]


def test_the_number_of_a_site_that_moved_is_taken_over_and_back(two: TwoHomes, tmp_path: Path) -> None:
    moved, home = two.north.database, two.north.node.fingerprint
    with moved.begin() as connection:
        connection.execute(sa.text("INSERT INTO schema_version (id, version) VALUES (2, 7)"))
    number = Agreement(moved, home)
    assert number.count() == 7
    number.set(8)
    assert (number.count(), Agreement(moved, "another").count()) == (8, None)
    file = Database(sqlite_url(tmp_path / "back.sqlite"))
    with file.begin() as connection:
        connection.execute(sa.text(f"INSERT INTO agreements (home, count) VALUES ('{home}', 8)"))
    back = Agreement(file, home)
    assert back.count() == 8
    back.set(9)
    assert back.count() == 9
    file.close()
