"""`recorder recordings erase`: what a person at the shell sees; refusals change nothing."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.config.reading import read_config
from recorder.permissions import Role
from recorder.recordings.home_stores import open_index
from storage.keys import NodeKeys
from storage.rows import row_from_json, time_to_json
from storage.types import RecordingHead, RecordingId
from storage.vault import Vault
from tests.helpers.recorder_home import PASSWORD, RecorderHome, recorder_home
from tests.helpers.storage_home import block, row

SECONDS = 5
ANSWERED = "Tess Leader"
"""Who had the call, and may order: nobody else erases card data alone."""


class Shell:
    """A home without a daemon, with one recording that ended a moment ago, or an hour ago."""

    def __init__(self, home: RecorderHome) -> None:
        self.home = home
        self.vault = Vault(home.root, NodeKeys.load(home.root))
        home.add_person("lea", Role.TEAM_LEADER)
        home.add_person("tess", Role.TEAM_LEADER, display_name=ANSWERED)
        home.add_person("olive", Role.OFFICER, display_name="Olive Officer")
        home.add_person("ian", Role.ICT)

    def record(self, *, ended_ago: timedelta = timedelta(minutes=1), operator: str = "Olive Officer") -> RecordingId:
        """Make a finished recording and index it."""
        started = utc_now().replace(microsecond=0) - ended_ago - timedelta(seconds=SECONDS)
        recording = RecordingId(f"{started:%Y%m%dT%H%M%SZ}-2001-0a1b2c")
        fields = row(
            recording, started_at=time_to_json(started), ended_at=time_to_json(started + timedelta(seconds=SECONDS)),
            duration_s=float(SECONDS), recorded_s=float(SECONDS), operator=operator, team="Revenues",
            segments=[{"start_s": 0.0, "end_s": float(SECONDS), "kind": "recording", "reason": "", "by": ""}],
        )  # fmt: skip
        opened = self.vault.create(RecordingHead(id=recording, started_at=started, operator_key="k7", index_row=fields))
        for second in range(SECONDS):
            opened.append(block(second))
        done = opened.close(fields, is_complete=True)
        index = open_index(Home(self.home.root), read_config(self.home.config))
        index.save(row_from_json({**fields, "path": done.path, "bytes": done.bytes, "sha256": done.sha256}))
        index.close()
        return recording

    def erase(self, *words: str, by: str = "lea", reason: str = "card number read out") -> Any:
        """Run `recorder recordings erase` as somebody; returns the finished process."""
        who = ("--as", by, "--password-file", str(self.home.password_file), "--reason", reason)
        return self.home.run("erase", *words, *who, "-C", str(self.home.root))

    def fails(self, *words: str, by: str = "lea", reason: str = "card number read out", code: int = 1) -> str:
        """Run `recorder recordings erase`, which must refuse; returns its sentence."""
        done = self.erase(*words, by=by, reason=reason)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        assert not done.stdout
        return str(done.stderr)

    def files(self) -> dict[str, bytes]:
        """Return every file that a refusal leaves alone."""
        kept = ("recordings", "keys", "private")
        return {str(p): p.read_bytes() for k in kept for p in (self.home.root / k).rglob("*") if p.is_file()}

    def audited(self) -> list[dict[str, Any]]:
        """Return the audit log's entries about erasures."""
        lines = (self.home.root / "audit" / "audit.log").read_text().splitlines()
        return [entry for line in lines if (entry := json.loads(line))["act"].startswith("erasure.")]


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    with recorder_home(tmp_path_factory.mktemp("shell"), is_started=False, next_hop="127.0.0.1:5099") as home:
        yield Shell(home)


def test_a_span_is_erased_at_once_where_the_keys_are(shell: Shell) -> None:
    recording = shell.record(operator=ANSWERED)
    before, _, law = shell.home.copy(recording)
    (shell.home.root.parent / f"{recording}.wav").unlink()
    done = json.loads(shell.erase(recording, "--from", "0:01.5", "--to", "3", "--json", by="tess").stdout)
    assert (done["state"], done["start_s"], done["end_s"], done["ordered_by"]) == ("done", 1.5, 3.0, "tess")
    after, _, _ = shell.home.copy(recording)
    silence = b"\xd5" if law == "alaw" else b"\xff"
    assert after == before[:12_000] + silence * 12_000 + before[24_000:]
    shown = shell.home.json("show", recording)
    assert shown["locked"] is False
    assert [e["state"] for e in shown["erasures"]] == ["done"]
    assert [s["kind"] for s in shown["segments"]] == ["recording", "erased", "recording"]
    assert shell.home.json("verify", recording)[0]["ok"] is True
    assert [e["act"] for e in shell.audited()][-2:] == ["erasure.ordered", "erasure.done"]
    assert shell.audited()[-2]["details"]["where"] == "shell"


def test_an_old_one_waits_is_locked_and_takes_a_second_person(shell: Shell) -> None:
    recording = shell.record(ended_ago=timedelta(hours=2))
    said = shell.erase(recording, "--from", "0", "--to", "end", "--kind", "other")
    assert said.returncode == 0
    assert "waits for a second person" in said.stderr
    (order,) = [o for o in shell.home.json("erase", "--list") if o["recording"] == recording]
    assert (order["state"], order["end_s"], order["kind"]) == ("waiting", None, "other")
    admin = (*shell.home.as_admin(), "--reason", "checking", "-C", str(shell.home.root))
    hearer = (*shell.home.as_hearer(), *admin[4:])
    target = shell.home.root.parent / "locked.wav"
    shell.home.give_leave(recording)
    for words in (("export", recording, "-o", str(target)), ("play", recording)):
        done = shell.home.run(*words, *hearer)
        assert done.returncode == 1
        assert "locked" in done.stderr
    assert not target.exists()
    assert shell.home.json("show", recording)["locked"] is True
    assert [r["locked"] for r in shell.home.json("find") if r["id"] == recording] == [True]
    assert shell.home.json("verify", recording)[0]["ok"] is True
    assert "yourself" in shell.fails("--confirm", order["id"])
    assert "role" in shell.fails("--confirm", order["id"], by="ian")
    done = shell.home.run("erase", "--confirm", order["id"], *admin)
    assert done.returncode == 0, done.stderr
    assert "carried out" in done.stderr
    left, right, _ = shell.home.copy(recording)
    assert (left, right) == (b"", b"")
    assert "is not waiting" in shell.fails("--decline", order["id"], by="founder")


def test_declined(shell: Shell) -> None:
    recording = shell.record(ended_ago=timedelta(hours=3))
    order = json.loads(shell.erase(recording, "--from", "1", "--to", "2", "--json").stdout)
    files = shell.files()
    done = json.loads(shell.erase("--decline", order["id"], "--json", by="founder").stdout)
    assert (done["state"], done["decided_by"]) == ("declined", "founder")
    assert shell.files() == files


def test_confirmed_by_another_person(shell: Shell) -> None:
    recording = shell.record(ended_ago=timedelta(hours=4))
    order = json.loads(shell.erase(recording, "--from", "1", "--to", "2", "--json").stdout)
    done = shell.home.json("erasures", "confirm", order["id"], *shell.home.as_admin(), "--reason", "checking")
    assert (done["id"], done["recording"], done["decided_by"]) == (order["id"], recording, "founder")
    assert (done["state"], done["queued_because"]) == ("done", "")


def test_without_the_private_key_it_stays_queued_and_says_so(shell: Shell) -> None:
    recording = shell.record(ended_ago=timedelta(minutes=2), operator=ANSWERED)
    private = shell.home.root / "private"
    away = private.rename(private.with_name("away"))
    try:
        files = shell.files()
        done = shell.erase(recording, "--from", "1", "--to", "2", by="tess")
        assert done.returncode == 0
        assert "confirmed and queued" in done.stderr
        assert "cannot be read" in done.stderr
        assert shell.files() == files
        assert shell.home.json("show", recording)["locked"] is True
    finally:
        away.rename(private)


def test_a_dry_run_changes_nothing(shell: Shell) -> None:
    recording = shell.record(ended_ago=timedelta(minutes=5), operator=ANSWERED)
    files, audited = shell.files(), shell.audited()
    done = json.loads(shell.erase(recording, "--from", "4.5", "--to", "5", "--dry-run", "--json", by="tess").stdout)
    assert done["silenced_s"] == [0.5, 0.5]
    assert [s["kind"] for s in done["segments"]] == ["recording", "erased"]
    assert done["needs_second_person"] is False
    assert shell.files() == files
    assert shell.audited() == audited
    assert shell.home.json("show", recording)["erasures"] == []


def test_what_is_refused_changes_nothing(shell: Shell) -> None:
    recording = shell.record(ended_ago=timedelta(minutes=6))
    live = RecordingId(f"{utc_now():%Y%m%dT%H%M%SZ}-2001-bbbbbb")
    part = shell.vault.create(RecordingHead(id=live, started_at=utc_now(), operator_key="k7", index_row=row(live)))
    files, audited = shell.files(), shell.audited()
    span = ("--from", "1", "--to", "2")
    assert "span" in shell.fails(recording, code=2)
    assert "recorder recordings erase" in shell.fails(code=2), "how it is used"
    assert "recorder erasures list" in shell.fails(recording, *span, "--list", code=2), "a list takes no recording"
    assert "not a time in a recording" in shell.fails(recording, "--from", "x", "--to", "2", code=2)
    assert "not a time in a recording" in shell.fails(recording, "--from", "1:99", "--to", "2", code=2)
    assert "after the beginning" in shell.fails(recording, "--from", "2", "--to", "1")
    assert "outside" in shell.fails(recording, "--from", "5", "--to", "6")
    assert "outside" in shell.fails(recording, "--from", "1", "--to", "60")
    assert "in progress" in shell.fails(live, *span)
    assert "no such" in shell.fails("20260101T000000Z-2001-aaaaaa", *span)
    assert "recorder recordings list" in shell.fails("zzz", *span)
    assert "reason" in shell.fails(recording, *span, reason="x")
    assert "role" in shell.fails(recording, *span, by="olive")
    assert "role" in shell.fails(recording, *span, by="ian")
    assert "no such order" in shell.fails("--confirm", "ffffffff")
    assert "person" in shell.home.run("erase", recording, *span, "-C", str(shell.home.root)).stderr
    wrong = shell.home.root.parent / "wrong"
    wrong.write_text(PASSWORD[::-1])
    done = shell.home.run(
        "erase", recording, *span, "--as", "lea", "--password-file", str(wrong), "-C", str(shell.home.root)
    )
    assert done.returncode == 1
    assert shell.files() == files
    assert shell.audited() == audited
    assert shell.home.json("show", recording)["erasures"] == []
    part.discard()
