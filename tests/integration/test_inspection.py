"""What `recorder recordings verify` says of files and rows that do not belong together."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from recorder.recordings.inspection import FILING_S, Inspector
from storage.errors import DatabaseError
from storage.keys import NodeKeys
from storage.retention_types import ErasureKind, ErasureOrder, ErasureState
from storage.types import RecordingId, Verification
from storage.vault import Vault
from tests.helpers.erasure_site import ErasureSite
from tests.helpers.storage_home import ID, block, head, row

OTHER = RecordingId("20261124T093000Z-2001-ffffff")


@pytest.fixture
def site(tmp_path: Path) -> ErasureSite:
    return ErasureSite(tmp_path)


def inspector(site: ErasureSite) -> Inspector:
    return Inspector(vault=site.vault, index=site.index)


def all_of(site: ErasureSite) -> list[Verification]:
    return list(inspector(site).all())


def only_problem(site: ErasureSite) -> str:
    """Return the one problem there is; the one recording must be asked for by itself with the same answer."""
    (problem,) = [one.problem for one in all_of(site) if one.problem is not None]
    assert inspector(site).one(site.index.get(ID)).problem == problem
    return problem


def test_all_is_well(site: ErasureSite) -> None:
    (found,) = all_of(site)
    assert (found.id, found.problem, found.bytes) == (ID, None, site.row.bytes)
    assert found.signed_by == site.node.fingerprint


def test_a_missing_container(site: ErasureSite) -> None:
    site.path.unlink()
    assert "container is missing" in only_problem(site)


def test_a_missing_sealed_key(site: ErasureSite) -> None:
    site.vault.sealed.path(ID, "2026-11").unlink()
    assert "sealed key is missing" in only_problem(site)


def test_a_cut_and_an_extended_file_are_measured_against_the_index(site: ErasureSite) -> None:
    content = site.path.read_bytes()
    site.path.write_bytes(content[:-100])
    assert only_problem(site).endswith(f"(100 bytes fewer than the {len(content)} of the index)")
    site.path.write_bytes(content + b"12345")
    problem = only_problem(site)
    assert f"extended by 5 bytes, from byte {len(content)} on" in problem
    assert problem.endswith(f"(5 bytes more than the {len(content)} of the index)")


def test_a_file_that_was_moved_to_another_folder(site: ErasureSite) -> None:
    assert site.row.path is not None
    other = site.vault.root / "2026/11/25/k7"
    other.mkdir(parents=True)
    site.path.rename(other / site.path.name)
    moved, missing = all_of(site)
    assert f"it lies at 2026/11/25/k7/{ID}.rec, the index says that it lies at {site.row.path}" in str(moved.problem)
    assert "container is missing" in str(missing.problem)


def test_a_file_that_was_renamed(site: ErasureSite) -> None:
    site.path.rename(site.path.with_name(f"{OTHER}.rec"))
    renamed, missing = all_of(site)
    assert (renamed.id, missing.id) == (OTHER, ID)
    assert f"the file was renamed: it holds recording {ID}" in str(renamed.problem)
    assert "container is missing" in str(missing.problem)


def test_a_file_of_two_recordings(site: ErasureSite) -> None:
    other, _ = site.record(5, OTHER)
    own, strange = site.path.read_bytes(), other.read_bytes()
    other.unlink()
    for at in (124, len(own) // 2, len(own) - 200):
        site.path.write_bytes(own[:at] + strange[at:])
        assert "was changed: its running hash does not fit" in only_problem(site)


def test_another_whole_container_of_this_node_in_its_place(site: ErasureSite) -> None:
    """Only the index tells: the daemon's own signature is on both."""
    site.path.unlink()
    site.vault.sealed.path(ID, "2026-11").unlink()
    opened = site.begin()
    opened.append(block(9))
    opened.close(row(), is_complete=True)
    problem = only_problem(site)
    assert f"the index says sha256 {site.row.sha256}, the file is " in problem
    assert "exchanged for another one of this node" in problem


def test_another_nodes_signature(site: ErasureSite) -> None:
    site.path.unlink()
    site.vault.sealed.path(ID, "2026-11").unlink()
    other = NodeKeys.create(site.home.parent / "other")
    strange = Vault(site.home, other).create(head())
    strange.append(block(0))
    strange.close(row(), is_complete=True)
    assert f"signed by a node that is not trusted, key {other.fingerprint[:16]}" in only_problem(site)


def test_foreign_files_are_named(site: ErasureSite) -> None:
    (site.vault.root / "notes.txt").write_text("mine")
    too_high = site.vault.root / "2026" / f"{OTHER}.rec"
    too_high.write_bytes(site.path.read_bytes())
    named = [str(one.problem) for one in all_of(site) if one.problem is not None]
    assert sorted(text.partition(":")[0] for text in named) == [f"2026/{OTHER}.rec", "notes.txt"]
    assert all("it is foreign, or was moved here" in text for text in named)
    (site.vault.root / "2025").symlink_to(site.home.parent)
    assert any("2025: it belongs to no recording" in str(one.problem) for one in all_of(site))
    (site.vault.root / "2025").unlink()
    (site.path.parent / f"{OTHER}.rec").write_text("no recording at all")
    assert any("this is not a recording: the magic at byte 0" in str(one.problem) for one in all_of(site))


@pytest.mark.parametrize("kind", ["outside", "inside", "pipe", "folder"])
def test_what_is_no_file_is_not_followed(site: ErasureSite, kind: str) -> None:
    elsewhere = site.home.parent / "elsewhere"
    site.path.rename(elsewhere)
    if kind == "outside":
        site.path.symlink_to(elsewhere)
    elif kind == "inside":
        (site.path.parent / f"{OTHER}.rec").write_bytes(elsewhere.read_bytes())
        site.path.symlink_to(f"{OTHER}.rec")
    elif kind == "pipe":
        os.mkfifo(site.path)
    else:
        site.path.mkdir()
    words = {
        "outside": "leads out of the recordings",
        "inside": "symbolic link to",
        "pipe": "no file",
        "folder": "no file",
    }
    assert words[kind] in str(inspector(site).one(site.row).problem)
    assert ID in [one.id for one in all_of(site) if one.problem is not None]


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "2026/11/24/k7/../../../../../keys/node/sign.key"])
def test_a_path_that_leads_out_is_a_finding(site: ErasureSite, path: str) -> None:
    site.index.save(replace(site.row, path=path))
    assert f"{path!r}, which leads out of the recordings" in str(inspector(site).one(site.index.get(ID)).problem)
    assert [one.id for one in all_of(site)] == [ID, ID]
    assert all(one.problem is not None for one in all_of(site))


def test_a_version_that_is_not_known_yet(site: ErasureSite) -> None:
    content = bytearray(site.path.read_bytes())
    content[8] = 99
    site.path.write_bytes(content)
    assert "format version 99 at byte 8" in only_problem(site)
    assert "newer program" in only_problem(site)


def test_a_file_without_a_row(site: ErasureSite) -> None:
    site.index.remove(ID)
    assert [one.problem for one in all_of(site)] == [None], "the daemon is about to file it"
    old = site.path.stat().st_mtime - 2 * FILING_S
    os.utime(site.path, (old, old))
    (found,) = all_of(site)
    assert "it is not in the index" in str(found.problem)


def test_an_open_erasure_is_no_finding(site: ErasureSite) -> None:
    site.index.save(replace(site.row, sha256="0" * 64))
    order = ErasureOrder(
        id="0a0a0a0a", recording=ID, start_s=0.0, end_s=1.0, kind=ErasureKind.CARD_DATA, ordered_by="lea",
        ordered_at=site.now, state=ErasureState.CONFIRMED,
    )  # fmt: skip
    site.erasures.place(order)
    assert [one.problem for one in all_of(site)] == [None]
    site.erasures.finish(order.id, at=site.now)
    assert "the index says sha256 000" in only_problem(site)


def test_a_damaged_row_without_a_container(site: ErasureSite) -> None:
    with site.index.database.begin() as connection:
        connection.exec_driver_sql("UPDATE recordings SET document = '{'")
    with pytest.raises(DatabaseError, match=f"row of recording {ID} is damaged"):
        site.index.get(ID)
    assert [f"row of recording {ID} is damaged" in str(one.problem) for one in all_of(site)] == [True]
    site.path.unlink()
    assert ["its row in the index is damaged" in str(one.problem) for one in all_of(site)] == [True]
