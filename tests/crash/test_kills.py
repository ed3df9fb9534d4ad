"""A short run of `make kills`, and proof that it notices: each kind of damage, and recorders that are broken."""

import contextlib
import copy
import itertools
import json
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from storage.durable import make_folder
from storage.types import RecordingId, Search
from tests.crash.mutations import MUTATIONS
from tests.crash.vault_acts import ACTS, Speaker, recover
from tests.crash.vault_site import VaultSite, opened
from tests.crash.vault_truth import Check, Truth

ROOT = Path(__file__).parents[2]
KILLS = 8


Run = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Return what runs the program, with some words, and returns its result."""
    folder = tmp_path_factory.mktemp("kills")
    numbers = itertools.count()
    with (folder / "errors").open("w") as errors:
        program = subprocess.Popen(
            [sys.executable, "tests/crash/kills.py", "--each"],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
        )  # fmt: skip
    assert program.stdin is not None
    assert program.stdout is not None
    given, said = program.stdin, program.stdout

    def result_of(*words: str) -> dict[str, Any]:
        out = folder / f"{next(numbers)}.json"
        given.write(json.dumps(["--json", str(out), *words]) + "\n")
        given.flush()
        status = said.readline()
        assert out.exists(), (folder / "errors").read_text()
        result: dict[str, Any] = json.loads(out.read_text())
        assert int(status) == bool(result["problems"])
        return result

    yield result_of
    program.communicate()


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",  # the seeds' kills meet every act, one way or the other
    [("--seed", "1"), ("--seed", "2", "--power", "simulated")],
    ids=["kill", "power"],
)
def test_nothing_finished_is_lost_and_nothing_deleted_comes_back(run: Run, words: tuple[str, ...]) -> None:
    result = run("--kills", str(KILLS), *words)
    assert result["problems"] == []
    assert sum(result["kills"].values()) >= KILLS
    assert result["said"]["closed"] > 0
    assert result["done"]["erasure.done"] > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "words"),
    [  # each with a seed by which it is found after few kills
        ("folders-unsynced", ("--seed", "5", "--power", "simulated")),
        ("tombstone-last", ("--seed", "3", "--only", "sweep")),
    ],
)
def test_a_recorder_that_is_broken_is_found_out(run: Run, name: str, words: tuple[str, ...]) -> None:
    assert name in MUTATIONS, "`kills.py --mutation` has the others"
    assert run("--kills", "200", "--mutation", name, *words)["problems"]


NOW = datetime.fromisoformat("2027-03-01T12:00:00+00:00")


def lived(folder: Path) -> tuple[Truth, datetime]:
    """Make a home in which calls were recorded, one was held, one erased from and some were deleted."""
    truth, rng, now = Truth(), random.Random(7), NOW
    speaker = Speaker(lambda line: truth.hear(json.loads(line)))
    make_folder(folder / "home" / "state")
    for name in ("record", "hold", "record", "erase", "record", "record", "record", "sweep"):
        with opened(folder, now) as site:
            site.epochs.ensure_epochs(now)
            ACTS[name](site, rng, speaker)
        now += timedelta(hours=16)
    return truth, now


class KilledError(Exception):
    """A process got no further."""


@pytest.mark.parametrize("last", ["discarding", "discarded"])
def test_one_that_was_killed_while_it_discarded_leaves_it_whole_or_not_at_all(tmp_path: Path, last: str) -> None:
    """The register may be on the disk although nobody has said so."""
    truth, seen = Truth(), []

    def hear(line: bytes) -> None:
        said = json.loads(line)
        seen.append(said["what"])
        if said["what"] == "discarded":
            if last == "discarded":
                truth.hear(said)
            raise KilledError
        truth.hear(said)

    make_folder(tmp_path / "home" / "state")
    for number in itertools.count():
        with opened(tmp_path, NOW + timedelta(hours=number)) as site:
            site.epochs.ensure_epochs(site.now)
            with contextlib.suppress(KilledError):
                ACTS["record"](site, random.Random(number), Speaker(hear))
            recover(site, random.Random(), Speaker(lambda _: None))
            assert Check(site, truth).run() == []
        if "discarded" in seen:
            break


def finished(site: VaultSite) -> RecordingId:
    return max(row.id for row in site.index.each(Search()) if row.path)


def file_of(site: VaultSite, recording: RecordingId) -> Path:
    (path,) = site.vault.files_of(recording)
    return path


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def without_row(site: VaultSite) -> None:
    site.index.remove(finished(site))


def in_database(site: VaultSite, statement: str) -> None:
    with closing(sqlite3.connect(site.home.index, isolation_level=None)) as database:
        assert database.execute(statement).rowcount


def come_back(site: VaultSite) -> None:
    other, gone = finished(site), min(site.deletions.of_day("20270301"))
    shutil.copy(file_of(site, other), file_of(site, other).with_name(f"{gone}.rec"))


def audit_cut(site: VaultSite) -> None:
    log = site.home.audit / "audit.log"
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-1]))


_OTHER_DIGEST = "UPDATE recordings SET document = json_set(document, '$.sha256', printf('%064d', 7))"
PLANTS: dict[str, tuple[Callable[[VaultSite], object], str]] = {
    "a file is lost": (lambda site: file_of(site, finished(site)).unlink(), "is lost"),
    "a key is lost": (lambda site: site.vault.sealed.destroy(finished(site)), "cannot be opened"),
    "a row is lost": (without_row, "no row that says so"),
    "a bit is flipped": (lambda site: flipped(file_of(site, finished(site))), "verify --all"),
    "a digest is changed": (
        lambda site: in_database(site, _OTHER_DIGEST), "verify --all",
    ),
    "a deleted one is back": (come_back, "it was deleted, and there is its file"),
    "a tombstone is lost": (lambda site: in_database(site, "DELETE FROM deletions"), "its tombstone is gone"),
    "a hold is lost": (lambda site: in_database(site, "DELETE FROM holds"), "is forgotten"),
    "an order is lost": (lambda site: in_database(site, "DELETE FROM erasures"), "is forgotten"),
    "the audit log is cut": (audit_cut, "entries before the kill"),
    "an audit entry is changed": (lambda site: flipped(site.home.audit / "audit.log"), "audit verify"),
}  # fmt: skip


@pytest.mark.slow
def test_the_look_after_a_kill_notices_every_damage(tmp_path: Path) -> None:
    truth, now = lived(tmp_path / "lived")
    with opened(tmp_path / "lived", now) as site:
        assert Check(site, truth).run() == []
    assert truth.gone, "something was deleted"
    missed = []
    for number, (name, (plant, words)) in enumerate(PLANTS.items()):
        shutil.copytree(tmp_path / "lived", tmp_path / str(number))
        with opened(tmp_path / str(number), now) as site:
            plant(site)
            problems = Check(site, copy.deepcopy(truth)).run()
        if not any(words in problem for problem in problems):
            missed.append(f"{name}: {problems}")
    assert not missed
