"""Every kind of thing that can be wrong between files, index, keys and audit log is named, mended where that costs no
evidence, and named no more."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from recorder.access.signing import ensure_key, public_path, secret_path
from recorder.recordings.agreement import look, read_mark
from recorder.recordings.fsck import Checker
from recorder.recordings.repair import Repair
from recorder.recordings.replay import COPY_ACTS, copies_of
from recorder.recordings.row_repair import MISSING
from recorder.retention.call_deletion import RULE
from storage.audit import AuditLog
from storage.audit_reading import of_act
from storage.claim_journal import ASKED, asked_details, asked_text
from storage.claims import Claims
from storage.copy_list import CopyList
from storage.deletion import Shredder
from storage.fsck import Finding, Kind
from storage.query_holds import QueryHold, QueryHolds, Release
from storage.query_journal import PLACED as QUERY_PLACED
from storage.query_journal import RELEASED as QUERY_RELEASED
from storage.query_journal import placed_details, released_details
from storage.retention_types import Claim, ClaimState, ErasureKind, ErasureOrder, ErasureState, HoldKind, Right
from storage.tables import copies, deletions, identities, officers, query_holds, query_releases, recordings
from storage.tombstones import Tombstone
from storage.types import Outcome, RecordingId
from tests.helpers.rebuild_site import RebuildSite
from tests.helpers.sweep_site import GONE, NOW, PRESENT

LATER = datetime.now(UTC) + timedelta(days=2)
"""When fsck looks: what was made just now is no longer young."""
Break = Callable[[RebuildSite, RecordingId], object]


@pytest.fixture
def site(tmp_path: Path, database_url: str) -> Iterator[RebuildSite]:
    made = RebuildSite(tmp_path, database_url if database_url.startswith("postgresql") else None)
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


def mended(site: RebuildSite, *, is_writing_off: bool = False) -> list[str]:
    mender = Repair(
        home=site.home, config=site.config, vault=site.vault, database=site.database,
        audit=AuditLog(site.home.audit), now=lambda: LATER, is_writing_off=is_writing_off,
    )  # fmt: skip
    return [mender.repair(finding) for finding in found(site)]


def set_column(site: RebuildSite, recording: RecordingId, **values: object) -> None:
    with site.database.begin() as connection:
        connection.execute(recordings.update().where(recordings.c.id == recording).values(values))


def change(site: RebuildSite, recording: RecordingId, **changes: object) -> None:
    site.index.save(replace(site.index.get(recording), **changes))  # type: ignore[arg-type]


def key_of(site: RebuildSite, recording: RecordingId) -> Path:
    return next(site.home.root.glob(f"keys/sealed/*/{recording}.key"))


def no_row(site: RebuildSite, one: RecordingId) -> None:
    site.index.remove(one)


def lone_key(site: RebuildSite, one: RecordingId) -> None:
    site.file_of(one).unlink()
    site.index.remove(one)


def misplaced(site: RebuildSite, one: RecordingId) -> None:
    target = site.vault.root / "2020/01/02/someone"
    target.mkdir(parents=True, mode=0o700)
    for folder in target.relative_to(site.vault.root).parents:
        (site.vault.root / folder).chmod(0o700)
    site.file_of(one).rename(target / f"{one}.rec")


def other_operator(site: RebuildSite, one: RecordingId) -> None:
    target = site.file_of(one).parent.parent / "someone"
    target.mkdir(mode=0o700)
    site.file_of(one).rename(target / f"{one}.rec")


def twice(site: RebuildSite, one: RecordingId) -> None:
    target = site.file_of(one).parent.parent / "someone"
    target.mkdir(mode=0o700)
    shutil.copy(site.file_of(one), target / f"{one}.rec")


def flip_column(site: RebuildSite, one: RecordingId) -> None:
    set_column(site, one, caller_e164="+440000000")


def break_document(site: RebuildSite, one: RecordingId) -> None:
    set_column(site, one, document="{not json")


def forget_hold(site: RebuildSite, one: RecordingId) -> None:
    site.hold(one, NOW, in_table=False)


def forget_order(site: RebuildSite, one: RecordingId, state: str = "waiting") -> None:
    details = {"order": "0a1b2c3d", "start_s": 0.0, "end_s": 1.0, "kind": "other", "state": state}
    site.audit.append("erasure.ordered", "olive", one, {**details, "at": NOW.isoformat()})


def bring_back(site: RebuildSite, one: RecordingId) -> None:
    copies = {path: path.read_bytes() for path in (site.file_of(one), key_of(site, one))}
    Shredder(site.vault, site.deletions, site.audit).delete([Tombstone(id=one, deleted_at=NOW, rule=RULE)], rule=RULE)
    for path, content in copies.items():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_bytes(content)
        path.chmod(0o600)
    for folder in (site.vault.root, *site.vault.root.glob("**/")):
        folder.chmod(0o700)


def tear_audit(site: RebuildSite, _: RecordingId) -> None:
    site.audit.append("people.add", "founder", "x")
    with site.audit.path.open("ab") as file:
        file.write(b'{"act":"half')


def flip_audit(site: RebuildSite, one: RecordingId) -> None:
    for act in ("people.add", "people.disable", "people.sign_in"):
        site.audit.append(act, "founder", "x")
    lines = site.audit.path.read_bytes().splitlines(keepends=True)
    flipped = bytearray(lines[-2])
    flipped[len(flipped) // 2] ^= 1
    site.audit.path.write_bytes(b"".join([*lines[:-2], flipped, lines[-1]]))
    site.index.remove(one)


def restore_index(site: RebuildSite, _: RecordingId) -> None:
    for _count in range(2):
        assert look(site.home.state, site.database, site.audit, NOW) is None
    with site.database.begin() as connection:
        connection.execute(sa.text("UPDATE schema_version SET version = version - 1 WHERE id = 2"))


def open_rights(site: RebuildSite, one: RecordingId) -> None:
    site.file_of(one).chmod(0o644)
    site.file_of(one).parent.chmod(0o755)


def open_actor(site: RebuildSite, _: RecordingId) -> None:
    ensure_key(site.home.root)
    secret_path(site.home.root).parent.chmod(0o755)
    public_path(site.home.root).chmod(0o666)


def put_files(site: RebuildSite, one: RecordingId) -> None:
    for path in (site.file_of(one).with_name("notes.txt"), key_of(site, one).with_name("notes.txt")):
        path.write_bytes(b"mine")
        path.chmod(0o600)


def leave_temporary(site: RebuildSite, one: RecordingId) -> None:
    os.link(key_of(site, one), key_of(site, one).with_name(".new-0011"))
    path = site.file_of(one).with_name(".new-0022")
    path.write_bytes(b"half")
    path.chmod(0o600)


def leave_open(site: RebuildSite, one: RecordingId) -> None:
    path = site.file_of(one)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 10)
    path.rename(path.with_suffix(".part"))
    site.index.remove(one)


def forget_officers(site: RebuildSite, one: RecordingId) -> None:
    with site.database.begin() as connection:
        connection.execute(officers.delete().where(officers.c.recording == one))


def rename_officer(site: RebuildSite, one: RecordingId) -> None:
    with site.database.begin() as connection:
        connection.execute(officers.update().where(officers.c.recording == one).values(operator="c.officer"))


def leave_officers(site: RebuildSite, one: RecordingId) -> None:
    other = RecordingId("20260101T000000Z-2001-0a0b0c")
    with site.database.begin() as connection:
        connection.execute(officers.update().where(officers.c.recording == one).values(recording=other))
    site.index.save(site.index.get(one))


def bring_beside_back(table: sa.Table) -> Break:
    """Have what a table says of a recording come back after the recording was deleted."""

    def come(site: RebuildSite, one: RecordingId) -> None:
        with site.database.connect() as connection:
            theirs = connection.execute(table.select().where(table.c.recording == one)).mappings().all()
        tombstone = Tombstone(id=one, deleted_at=NOW, rule=RULE)
        Shredder(site.vault, site.deletions, site.audit).delete([tombstone], rule=RULE)
        with site.database.begin() as connection:
            connection.execute(table.insert(), [dict(each) for each in theirs])

    return come


def rename_identity(site: RebuildSite, one: RecordingId) -> None:
    with site.database.begin() as connection:
        theirs = sa.and_(identities.c.recording == one, identities.c.number == "2002")
        connection.execute(identities.update().where(theirs).values(number="2003"))


def leave_identities(site: RebuildSite, one: RecordingId) -> None:
    other = RecordingId("20260101T000000Z-2001-0a0b0c")
    with site.database.begin() as connection:
        connection.execute(identities.update().where(identities.c.recording == one).values(recording=other))
    site.index.save(site.index.get(one))


def place_hold_unlogged(site: RebuildSite, one: RecordingId) -> None:
    hold = site.hold(one, NOW)
    site.holds.place(replace(hold, id="0a0b0c0d"))


def confirm_unlogged(site: RebuildSite, one: RecordingId) -> None:
    forget_order(site, one)
    order = ErasureOrder(
        id="0a1b2c3d", recording=one, start_s=0.0, end_s=1.0, kind=ErasureKind.OTHER, ordered_by="olive",
        ordered_at=NOW, state=ErasureState.CONFIRMED,
    )  # fmt: skip
    site.erasures.place(order)


def make_copy(site: RebuildSite, one: RecordingId) -> None:
    details = {
        "copy": "0c0c0c0c", "format": "wav", "start_s": 0.0, "end_s": 1.0, "redactions": [], "at": NOW.isoformat(),
    }  # fmt: skip
    site.audit.append("recording.export", "olive", one, details)
    site.audit.append("recording.export.done", "olive", one, {"copy": "0c0c0c0c", "sha256": "ab" * 32})


def forget_hash(site: RebuildSite, one: RecordingId) -> None:
    make_copy(site, one)
    CopyList(site.database).save(copies_of(of_act(site.audit.path, *COPY_ACTS)).values())
    with site.database.begin() as connection:
        connection.execute(copies.update().values(sha256=None))


def forget_tombstone(site: RebuildSite, _: RecordingId) -> None:
    doomed = [site.record(NOW) for _ in range(3)]
    for one in doomed:
        shredder = Shredder(site.vault, site.deletions, site.audit)
        shredder.delete([Tombstone(id=one, deleted_at=NOW, rule=RULE)], rule=RULE)
    with site.database.begin() as connection:
        connection.execute(deletions.delete().where(deletions.c.id == doomed[1]))


def claim_of(one: RecordingId) -> Claim:
    return Claim(
        id="0d0d0d0d", recording=one, right=Right.ERASURE, ground="unlawful", received_on=NOW.date(), asked_by="lena",
        asked_at=NOW, requester="J. Doe", reason="years ago",
    )  # fmt: skip


def write_claim(site: RebuildSite, one: RecordingId, *, in_table: bool) -> Claim:
    claim = claim_of(one)
    site.audit.append(ASKED, claim.asked_by, one, asked_details(claim), text=asked_text(claim))
    if in_table:
        Claims(site.database).save([claim])
    return claim


def uphold_unlogged(site: RebuildSite, one: RecordingId) -> None:
    claim = write_claim(site, one, in_table=True)
    Claims(site.database).save([replace(claim, state=ClaimState.UPHELD, decided_by="olive", decided_at=NOW)])


def expire_texts(site: RebuildSite, one: RecordingId) -> None:
    claim = write_claim(site, one, in_table=True)
    Claims(site.database).forget_texts([claim.id])


BREAKS: dict[str, tuple[Break, set[Kind], bool]] = {
    "nothing": (lambda _site, _one: None, set(), True),
    "no row": (no_row, {Kind.NO_ROW}, True),
    "no container": (lambda site, one: site.file_of(one).unlink(), {Kind.NO_CONTAINER}, False),
    "no key": (lambda site, one: key_of(site, one).unlink(), {Kind.NO_KEY}, False),
    "lone key": (lone_key, {Kind.LONE_KEY}, True),
    "left open": (leave_open, {Kind.UNFINISHED}, True),
    "misplaced": (misplaced, {Kind.MISPLACED}, True),
    "another operator's": (other_operator, {Kind.MISPLACED}, True),
    "twice": (twice, {Kind.TWICE}, True),
    "digest": (lambda site, one: change(site, one, sha256="0" * 64), {Kind.DIGEST}, True),
    "size": (lambda site, one: change(site, one, bytes=7), {Kind.SIZE}, True),
    "due": (lambda site, one: change(site, one, retention_due=NOW), {Kind.DUE}, True),
    "row": (lambda site, one: change(site, one, caller="0800"), {Kind.ROW}, True),
    "path": (lambda site, one: change(site, one, path=None), {Kind.ROW}, True),
    "column": (flip_column, {Kind.COLUMNS}, True),
    "document": (break_document, {Kind.COLUMNS}, True),
    "officers": (forget_officers, {Kind.COLUMNS}, True),
    "an officer's name": (rename_officer, {Kind.COLUMNS}, True),
    "officers alone": (leave_officers, {Kind.LONE_OFFICERS}, True),
    "officers of a deleted one": (bring_beside_back(officers), {Kind.DELETED}, True),
    "number": (rename_identity, {Kind.COLUMNS}, True),
    "numbers alone": (leave_identities, {Kind.LONE_OFFICERS}, True),
    "numbers of a deleted one": (bring_beside_back(identities), {Kind.DELETED}, True),
    "hold alone": (place_hold_unlogged, {Kind.HOLD_ALONE}, False),
    "claim": (lambda site, one: write_claim(site, one, in_table=False), {Kind.CLAIM}, True),
    "claim that only the index upheld": (uphold_unlogged, {Kind.CLAIM}, True),
    "claim alone": (lambda site, one: Claims(site.database).save([claim_of(one)]), {Kind.CLAIM_ALONE}, False),
    "texts of a claim that expired": (expire_texts, set(), True),
    "copy": (make_copy, {Kind.COPY}, True),
    "hash of a copy": (forget_hash, {Kind.COPY}, True),
    "tombstone": (forget_tombstone, {Kind.TOMBSTONE}, True),
    "order alone": (confirm_unlogged, {Kind.ORDER_ALONE}, False),
    "hold": (forget_hold, {Kind.HOLD}, True),
    "order": (forget_order, {Kind.ORDER}, True),
    "deleted": (bring_back, {Kind.DELETED}, True),
    "damaged audit log": (flip_audit, {Kind.AUDIT, Kind.NO_ROW}, False),
    "torn audit log": (tear_audit, {Kind.AUDIT_TORN}, True),
    "restored": (restore_index, {Kind.RESTORED}, True),
    "rights": (open_rights, {Kind.MODE}, True),
    "rights of the key that signs": (open_actor, {Kind.MODE}, True),
    "unknown": (put_files, {Kind.UNKNOWN}, True),
    "temporary": (leave_temporary, {Kind.TEMPORARY}, True),
    "link": (lambda site, one: site.file_of(one).with_name("x.rec").symlink_to("/etc/hostname"), {Kind.LINK}, False),
}


def evidence(site: RebuildSite) -> set[bytes]:
    """Return the content of every container and key, wherever it lies."""
    roots = [site.home.root / name for name in ("recordings", "keys", "lost+found")]
    return {path.read_bytes() for root in roots for path in root.rglob("*") if path.is_file() and not path.is_symlink()}


@pytest.mark.parametrize("name", BREAKS)
def test_what_is_wrong_is_named_mended_and_named_no_more(site: RebuildSite, name: str) -> None:
    act, expected, is_mended = BREAKS[name]
    one, other = site.record(NOW), site.record(NOW)
    site.miss(NOW)
    act(site, one)
    first = found(site)
    assert set(kinds(first)) == expected
    assert found(site) == first, "looking changed something"
    before = evidence(site)
    said = mended(site)
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


@pytest.mark.parametrize(
    "changed",
    [
        {"number": "020 7946 0999"},
        {"operator": "somebody else"},
        {"started_to": NOW - timedelta(days=400)},
        {"kind": HoldKind.DISCLOSURE},
        {"case_reference": "SAR-2026-0099"},
    ],
)
def test_a_hold_by_search_that_was_changed_in_the_index_is_named_and_mended(
    site: RebuildSite, changed: dict[str, object]
) -> None:
    query = QueryHold(
        id="1a2b3c4d", case_reference="SAR-2026-0001", kind=HoldKind.SAR, owner="lena", placed_by="lena",
        placed_at=NOW, number="020 7946 0000",
    )  # fmt: skip
    AuditLog(site.home.audit).append(QUERY_PLACED, "lena", query.case_reference, placed_details(query), query.number)
    table = QueryHolds(site.database)
    table.save([query])
    assert Kind.HOLD not in kinds(found(site))
    with site.database.begin() as connection:
        column = "started_to_us" if "started_to" in changed else next(iter(changed))
        value = 0 if column == "started_to_us" else str(changed[column])
        connection.execute(query_holds.update().values({column: value}))
    assert Kind.HOLD in kinds(found(site))
    mended(site)
    assert Kind.HOLD not in kinds(found(site))
    assert table.get(query.id) == query


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
