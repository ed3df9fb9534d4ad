"""What can go wrong between files, index, keys and audit log: each fault is made in a site, for the tests of fsck."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import sqlalchemy as sa

from recorder.access.signing import ensure_key, public_path, secret_path
from recorder.recordings.agreement import look
from recorder.recordings.replay import COPY_ACTS, copies_of
from recorder.retention.call_deletion import RULE
from storage.audit_reading import of_act
from storage.claim_journal import ASKED, asked_details, asked_text
from storage.claims import Claims
from storage.copy_list import CopyList
from storage.deletion import Shredder
from storage.fsck import Kind
from storage.retention_types import Claim, ClaimState, ErasureKind, ErasureOrder, ErasureState, Right
from storage.tables import copies, deletions, identities, officers, recordings
from storage.tombstones import Tombstone
from storage.types import RecordingId
from tests.helpers.rebuild_site import RebuildSite
from tests.helpers.sweep_site import NOW

Fault = Callable[[RebuildSite, RecordingId], object]
"""Makes one fault in the site; most of them at the given recording."""


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
        connection.execute(sa.text("UPDATE agreements SET count = count - 1"))


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


def bring_beside_back(table: sa.Table) -> Fault:
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


FAULTS: dict[str, tuple[Fault, set[Kind], bool]] = {
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
"""By name: what makes the fault, the kinds of finding it gives, and whether a repair mends it."""
