"""`recorder holds`: what a person at the shell sees; refusals change nothing."""

import json
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest

from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.config.reading import read_config
from recorder.recordings.home_stores import open_index
from storage.holds import Holds
from storage.keys import NodeKeys
from storage.rows import row_from_json, time_to_json
from storage.types import RecordingHead, RecordingId
from storage.vault import Vault
from tests.helpers.recorder_home import RecorderHome, recorder_home
from tests.helpers.storage_home import block, row

COMPLAINT = ("--kind", "complaint", "--case", "C-17", "--reason", "the caller complained")


class Shell:
    """A home without a daemon, with one recording; people: founder (the dpo), mona and mike (managers), lea, olive."""

    def __init__(self, home: RecorderHome) -> None:
        self.home = home
        self.vault = Vault(home.root, NodeKeys.load(home.root))
        for name, *words in (
            ("mona", "--role", "manager", "--team", "Revenues"), ("mike", "--role", "manager", "--team", "Revenues"),
            ("lea", "--role", "team_leader"), ("olive", "--role", "officer", "--display-name", "Olive Officer"),
        ):  # fmt: skip
            home.recorder(
                "users", "add", name, *words, "--new-password-file", str(home.password_file), *home.as_admin(),
                "-C", str(home.root),
            )  # fmt: skip
        started = utc_now().replace(microsecond=0) - timedelta(hours=1)
        self.recording = RecordingId(f"{started:%Y%m%dT%H%M%SZ}-2001-0a1b2c")
        fields = row(self.recording, started_at=time_to_json(started), operator="Olive Officer", team="Revenues")
        opened = self.vault.create(
            RecordingHead(id=self.recording, started_at=started, operator_key="k7", index_row=fields)
        )
        opened.append(block(0))
        done = opened.close(fields, is_complete=True)
        index = open_index(Home(home.root), read_config(home.config))
        index.save(row_from_json({**fields, "path": done.path, "bytes": done.bytes, "sha256": done.sha256}))
        index.close()

    def hold(self, *words: str, by: str = "mona") -> Any:
        """Run `recorder holds` as somebody; returns the finished process."""
        who = ("--as", by, "--password-file", str(self.home.password_file))
        return self.home.run("hold", *words, *who, "-C", str(self.home.root))

    def done(self, *words: str, by: str = "mona") -> dict[str, Any]:
        """Run `recorder holds`, which must succeed; returns its document."""
        done = self.hold(*words, "--json", by=by)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def fails(self, *words: str, by: str = "mona", code: int = 1) -> str:
        """Run `recorder holds`, which must refuse; returns its sentence."""
        done = self.hold(*words, by=by)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        assert not done.stdout
        return str(done.stderr)

    def audited(self) -> list[dict[str, Any]]:
        """Return the audit log's entries about what was done with holds."""
        lines = (self.home.root / "audit" / "audit.log").read_text().splitlines()
        entries = [entry for line in lines if (entry := json.loads(line))["act"].startswith("hold.")]
        return [entry for entry in entries if not entry["act"].endswith(".refused")]


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    with recorder_home(tmp_path_factory.mktemp("shell"), is_started=False, next_hop="127.0.0.1:5099") as home:
        yield Shell(home)


def day_in(days: int) -> date:
    """Return the day that comes so many days from now."""
    return utc_now().date() + timedelta(days=days)


def test_refusals_change_nothing(shell: Shell) -> None:
    recording = shell.recording
    assert "role" in shell.fails("add", recording, *COMPLAINT, by="olive")
    assert "subject access request" in shell.fails("add", recording, *COMPLAINT, "--kind", "sar")
    assert "reason" in shell.fails("add", recording, "--kind", "complaint", "--case", "C-17")
    assert "reference" in shell.fails("add", recording, "--kind", "complaint", "--reason", "complained")
    assert "future" in shell.fails("add", recording, *COMPLAINT, "--review", day_in(0).isoformat())
    assert "or earlier" in shell.fails("add", recording, *COMPLAINT, "--review", "2099-01-01")
    assert "not a date" in shell.fails("add", recording, *COMPLAINT, "--review", "soon", code=2)
    assert "love" in shell.fails("add", recording, *COMPLAINT, "--kind", "love", code=2)
    assert "owner" in shell.fails("add", recording, *COMPLAINT, "--owner", "nobody")
    assert "account" in shell.fails("add", recording, *COMPLAINT, "--against", "nobody")
    assert "no such recording" in shell.fails("add", "20260101T000000Z-2001-aaaaaa", *COMPLAINT)
    assert "recorder recordings list" in shell.fails("add", "zzz", *COMPLAINT)
    assert "no such hold" in shell.fails("release", "ffffffff", "--reason", "it is over")
    nobody = shell.home.run("hold", "add", recording, *COMPLAINT, "-C", str(shell.home.root))
    assert nobody.returncode == 2
    assert "person" in nobody.stderr
    assert shell.audited() == []
    assert shell.home.json("hold", "list") == []


def test_add_list_review_release_reinstate(shell: Shell) -> None:
    review = day_in(30).isoformat()
    placed = shell.done(
        "add", shell.recording[:-3], *COMPLAINT, "--owner", "lea", "--review", review, "--against", "mike", "--against",
        "Olive Officer",
    )  # fmt: skip
    assert (placed["recording"], placed["owner"], placed["review_on"]) == (shell.recording, "lea", review)
    assert (placed["against"], placed["state"], placed["placed_by"]) == (["mike", "olive"], "standing", "mona")
    training = shell.done("add", shell.recording, "--kind", "training", "--reason", "a good call", by="mike")
    assert [h["id"] for h in shell.home.json("hold", "list")] == [placed["id"], training["id"]]
    assert shell.home.json("hold", "list", "--due") == []
    assert shell.home.json("show", shell.recording)["holds"] == ["complaint", "training"]
    assert "about you" in shell.fails("release", placed["id"], "--reason", "nothing to see", by="mike")
    assert "about you" in shell.fails("review", placed["id"], "--reason", "sooner", by="mike")
    later = day_in(200).isoformat()
    reviewed = shell.done("review", placed["id"], "--reason", "the appeal runs", "--review", later, by="founder")
    assert (reviewed["review_on"], reviewed["owner"]) == (later, "lea")
    assert shell.done("release", placed["id"], "--reason", "it is over", by="lea")["state"] == "grace"
    assert shell.home.json("show", shell.recording)["holds"] == ["complaint", "training"]
    assert "already" in shell.fails("release", placed["id"], "--reason", "it is over", by="lea")
    assert shell.done("reinstate", placed["id"], "--reason", "an appeal came")["state"] == "standing"
    said = shell.hold("release", placed["id"], "--reason", "it is over")
    assert said.returncode == 0
    assert "can be reinstated" in said.stderr
    listed = shell.home.run("hold", "list", "--recording", shell.recording, "-C", str(shell.home.root))
    assert [line.split("\t")[:4] for line in listed.stdout.splitlines()] == [
        [placed["id"], shell.recording, "complaint", "grace"],
        [training["id"], shell.recording, "training", "standing"],
    ]
    acts = [(entry["act"], entry["actor"]) for entry in shell.audited() if entry["act"] != "hold.view"]
    assert acts == [
        ("hold.placed", "mona"), ("hold.placed", "mike"), ("hold.reviewed", "founder"), ("hold.released", "lea"),
        ("hold.reinstated", "mona"), ("hold.released", "mona"),
    ]  # fmt: skip
    assert shell.audited()[0]["details"]["where"] == "shell"


def test_those_due_are_listed(shell: Shell) -> None:
    soon = day_in(3)
    placed = shell.done("add", shell.recording, *COMPLAINT, "--review", soon.isoformat(), by="lea")
    index = open_index(Home(shell.home.root), read_config(shell.home.config))
    holds = Holds(index.database)
    assert [h.id for h in holds.due_for_review(soon)] == [placed["id"]]
    index.close()
    assert shell.home.json("hold", "list", "--due") == []
    assert shell.home.json("hold", "list", "--due", "--recording", shell.recording) == []
