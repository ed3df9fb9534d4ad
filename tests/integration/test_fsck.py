"""Every kind of thing that can be wrong between files, index, keys and audit log is named, mended where that costs no
evidence, and named no more."""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recorder.access.signing import public_path
from recorder.recordings.agreement import read_mark
from recorder.recordings.fsck import Checker
from recorder.recordings.repair import Repair
from recorder.recordings.row_repair import MISSING
from storage.audit import AuditLog
from storage.fsck import Finding, Kind
from storage.query_holds import QueryHold, QueryHolds, Release
from storage.query_journal import PLACED as QUERY_PLACED
from storage.query_journal import RELEASED as QUERY_RELEASED
from storage.query_journal import placed_details, released_details
from storage.retention_types import ErasureKind, ErasureOrder, ErasureState, HoldKind
from storage.tables import query_holds, query_releases
from storage.types import Outcome, RecordingId
from tests.helpers.fsck_faults import FAULTS, change, flip_column, forget_order, leave_open, open_actor, twice
from tests.helpers.rebuild_site import RebuildSite
from tests.helpers.sweep_site import GONE, NOW, PRESENT

LATER = datetime.now(UTC) + timedelta(days=2)
"""When fsck looks: what was made just now is no longer young."""


@pytest.fixture
def site(tmp_path: Path, ready_url: str) -> Iterator[RebuildSite]:
    made = RebuildSite(tmp_path, ready_url if ready_url.startswith("postgresql") else None)
    for path in made.home.root.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    made.home.root.chmod(0o700)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def file_site(tmp_path: Path) -> Iterator[RebuildSite]:
    made = RebuildSite(tmp_path)
    try:
        yield made
    finally:
        made.close()


def found(site: RebuildSite, *, is_live: bool = False, is_quick: bool = False) -> list[Finding]:
    checker = Checker(
        home=site.home, vault=site.vault, database=site.database, audit=AuditLog(site.home.audit),
        now=lambda: LATER, is_live=is_live, is_quick=is_quick,
    )  # fmt: skip
    return list(checker.findings())


def kinds(findings: list[Finding]) -> list[Kind]:
    return sorted({finding.kind for finding in findings})


def mended(site: RebuildSite, wrong: list[Finding] | None = None, *, is_writing_off: bool = False) -> list[str]:
    """Repair what is wrong, which is looked for where it is not known."""
    mender = Repair(
        home=site.home, config=site.config, vault=site.vault, database=site.database,
        audit=AuditLog(site.home.audit), now=lambda: LATER, is_writing_off=is_writing_off,
    )  # fmt: skip
    return [mender.repair(finding) for finding in (found(site) if wrong is None else wrong)]


def evidence(site: RebuildSite) -> set[bytes]:
    """Return the content of every container and key, wherever it lies."""
    roots = [site.home.root / name for name in ("recordings", "keys", "lost+found")]
    return {path.read_bytes() for root in roots for path in root.rglob("*") if path.is_file() and not path.is_symlink()}


OF_FILES = {
    "no container", "no key", "left open", "misplaced", "another operator's", "twice", "damaged audit log",
    "torn audit log", "rights", "rights of the key that signs", "unknown", "temporary", "link",
}  # fmt: skip
"""Faults of files and of the audit log: the index is asked the same of each of them."""
OF_ONE_FIELD = {"size", "due", "row", "path"}
"""Fields of a row that differ, as "digest" does."""
OF_THE_SAME_TABLE = {
    "lone key", "an officer's name", "numbers of a deleted one", "claim that only the index upheld",
    "texts of a claim that expired", "hash of a copy",
}  # fmt: skip
"""Another fault is found and mended by the same statements: "no row", "officers", "officers of a deleted one", "claim",
"copy"."""
ONCE = OF_FILES | OF_ONE_FIELD | OF_THE_SAME_TABLE
"""Of these `make test` has SQLite alone."""
ON_EACH_ENGINE = [
    *(("sqlite", name) for name in FAULTS),
    *(pytest.param("postgresql", name, marks=pytest.mark.long if name in ONCE else ()) for name in FAULTS),
]


@pytest.mark.parametrize(("ready_url", "name"), ON_EACH_ENGINE, indirect=["ready_url"])
def test_what_is_wrong_is_named_mended_and_named_no_more(site: RebuildSite, name: str) -> None:
    act, expected, is_mended = FAULTS[name]
    one, other = site.record(NOW), site.record(NOW)
    site.miss(NOW)
    act(site, one)
    first = found(site)
    assert set(kinds(first)) == expected
    assert found(site) == first, "looking changed something"
    before = evidence(site)
    said = mended(site, first)
    assert all(said) is is_mended
    assert bool(found(site)) is not is_mended
    if name not in (
        "deleted",
        "officers of a deleted one",
        "numbers of a deleted one",
        "left open",
    ):  # those are destroyed, and closed
        assert evidence(site) >= before
    assert site.traces(other) == PRESENT
    if "deleted" in name:
        assert site.traces(one) == GONE
    elif name not in ("lone key", "no container", "no key", "left open"):
        assert site.traces(one) == PRESENT
        assert site.file_of(one).parent.name == "k7"
        assert site.index.get(one).path == site.file_of(one).relative_to(site.vault.root).as_posix()
        assert site.index.get(one).caller == "02079460000"
        assert site.index.get(one).bytes == site.file_of(one).stat().st_size
    site.audit = AuditLog(site.home.audit)
    assert (site.audit.verify().bad is None) == (name != "damaged audit log")
    assert (read_mark(site.home.state) is not None) == (
        name in ("hold", "claim", "claim that only the index upheld", "restored")
    )


def test_a_row_that_was_replaced_is_kept_in_lost_found(site: RebuildSite) -> None:
    one = site.record(NOW)
    change(site, one, caller="0800")
    (said,) = mended(site)
    note = json.loads((site.home.root / said.rpartition(" ")[2]).read_text())
    assert json.loads(note["was"]["document"])["caller"] == "0800"


def test_a_row_without_a_file_is_written_off_only_when_that_is_asked_for(site: RebuildSite) -> None:
    one = site.record(NOW)
    site.file_of(one).unlink()
    assert mended(site) == [""]
    assert site.index.get(one).path is not None
    (said,) = mended(site, is_writing_off=True)
    assert "written off" in said
    assert (site.index.get(one).outcome, site.index.get(one).reason) == (Outcome.FAILED, MISSING)
    assert found(site) == []


def test_a_file_that_was_changed_is_not_believed_over_its_row(site: RebuildSite) -> None:
    one = site.record(NOW)
    path, row = site.file_of(one), site.index.get(one)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert kinds(found(site)) == [Kind.DAMAGED]
    assert found(site, is_quick=True) == []
    assert mended(site) == [""]
    assert site.index.get(one) == row
    assert path.read_bytes() == content


def test_a_damaged_row_is_not_made_from_a_damaged_file(site: RebuildSite) -> None:
    one = site.record(NOW)
    path, row = site.file_of(one), site.index.get(one)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    flip_column(site, one)
    assert kinds(found(site)) == sorted([Kind.COLUMNS, Kind.DAMAGED])
    mended(site)
    assert kinds(found(site)) == [Kind.DAMAGED]
    assert site.index.get(one) == row


def test_a_file_of_another_recorder_is_named_and_left(site: RebuildSite, tmp_path: Path) -> None:
    other = RebuildSite(tmp_path / "other")
    strange = other.file_of(other.record(NOW))
    other.close()
    one = site.record(NOW)
    path = site.file_of(one)
    path.write_bytes(strange.read_bytes())
    site.index.remove(one)
    assert kinds(found(site)) == [Kind.STRANGE]
    assert mended(site) == [""]
    assert path.read_bytes() == strange.read_bytes()


def test_what_a_running_daemon_has_open_is_no_finding(site: RebuildSite) -> None:
    one = site.record(NOW)
    leave_open(site, one)
    assert found(site, is_live=True) == []
    assert kinds(found(site)) == [Kind.UNFINISHED]


def test_what_is_being_erased_from_is_no_finding(site: RebuildSite) -> None:
    one = site.record(NOW)
    fresh = site.file_of(one).with_suffix(".erasing")
    fresh.write_bytes(b"half")
    fresh.chmod(0o600)
    assert kinds(found(site)) == [Kind.HALF_ERASED]
    order = ErasureOrder(
        id="0a1b2c3d", recording=one, start_s=0.0, end_s=1.0, kind=ErasureKind.OTHER, ordered_by="olive",
        ordered_at=NOW, state=ErasureState.CONFIRMED,
    )  # fmt: skip
    forget_order(site, one, "confirmed")
    site.erasures.place(order)
    change(site, one, sha256="0" * 64)
    assert found(site) == []
    site.erasures.finish(order.id, at=NOW)
    assert kinds(found(site)) == sorted([Kind.DIGEST, Kind.HALF_ERASED])
    assert all(mended(site))
    assert not fresh.exists()
    assert found(site) == []


def test_a_call_that_was_answered_after_midnight_lies_where_it_should(site: RebuildSite) -> None:
    midnight = datetime(2026, 11, 25, tzinfo=UTC)
    one = site.record(midnight + timedelta(seconds=1), rang_at=midnight - timedelta(seconds=5))
    assert one.startswith("20261124")
    assert "/25/" in str(site.vault.root / str(site.index.get(one).path))
    assert found(site) == []
    site.index.remove(one)
    assert [finding.kind for finding in found(site)] == [Kind.NO_ROW]


def test_what_was_moved_aside_goes_when_a_row_would_be_gone_but_for_what_is_held(file_site: RebuildSite) -> None:
    site = file_site
    one, held_one = site.record(NOW), site.record(NOW)
    twice(site, one)
    other_operator_again = site.file_of(held_one).parent.parent / "someone"
    shutil.copy(site.file_of(held_one), other_operator_again / f"{held_one}.rec")
    assert all(mended(site))
    site.hold(held_one, LATER)
    site.sweep(LATER + timedelta(days=89))
    assert len(list(site.home.root.glob("lost+found/*/*.rec"))) == 2
    site.sweep(LATER + timedelta(days=91))
    (left,) = site.home.root.glob("lost+found/*/*.rec")
    assert held_one in left.name


CHANGED: list[dict[str, object]] = [
    {"number": "020 7946 0999"}, {"operator": "somebody else"}, {"started_to": NOW - timedelta(days=400)},
    {"kind": HoldKind.DISCLOSURE}, {"case_reference": "SAR-2026-0099"},
]  # fmt: skip


def test_a_hold_by_search_that_was_changed_in_the_index_is_named_and_mended(site: RebuildSite) -> None:
    query = QueryHold(
        id="1a2b3c4d", case_reference="SAR-2026-0001", kind=HoldKind.SAR, owner="lena", placed_by="lena",
        placed_at=NOW, number="020 7946 0000",
    )  # fmt: skip
    AuditLog(site.home.audit).append(QUERY_PLACED, "lena", query.case_reference, placed_details(query), query.number)
    table = QueryHolds(site.database)
    table.save([query])
    assert Kind.HOLD not in kinds(found(site))
    for changed in CHANGED:
        with site.database.begin() as connection:
            column = "started_to_us" if "started_to" in changed else next(iter(changed))
            value = 0 if column == "started_to_us" else str(changed[column])
            connection.execute(query_holds.update().values({column: value}))
        wrong = found(site)
        assert Kind.HOLD in kinds(wrong), changed
        mended(site, wrong)
        assert Kind.HOLD not in kinds(found(site)), changed
        assert table.get(query.id) == query, changed


RELEASED = (RecordingId("20261124T093000Z-2001-0a1b2c"), RecordingId("20261124T093000Z-2001-0a1b2d"))


def test_a_release_from_a_case_that_nobody_wrote_down_is_named_and_taken_back(site: RebuildSite) -> None:
    case, table = "SAR-2026-0001", QueryHolds(site.database)
    written, later = (Release(case_reference=case, recording=one, grace_until=LATER) for one in RELEASED)
    audit = AuditLog(site.home.audit)
    audit.append(QUERY_RELEASED, "lena", case, released_details([written], NOW), "another caller")
    table.save((), [written])
    assert Kind.HOLD not in kinds(found(site))
    table.save((), [later])
    with site.database.begin() as connection:
        connection.execute(query_releases.update().values(grace_until_us=0))
    assert len([one for one in found(site) if one.kind is Kind.HOLD]) == 2
    mended(site)
    assert Kind.HOLD not in kinds(found(site))
    assert table.releases() == {written}


def test_a_repair_leaves_the_key_that_checks_to_the_daemons_user(site: RebuildSite) -> None:
    open_actor(site, site.record(NOW))
    mended(site)
    public = public_path(site.home.root)
    assert [path.stat().st_mode & 0o777 for path in (public.parent, public)] == [0o711, 0o644]
