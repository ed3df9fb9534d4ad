"""A home without a daemon in which recordings are made and copied at the command line."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.config.reading import read_config
from recorder.recordings.home_stores import open_index
from storage.keys import NodeKeys
from storage.rows import row_from_json, time_to_json
from storage.types import RecordingHead, RecordingId
from storage.vault import Vault
from tests.helpers.recorder_home import HEARER, RecorderHome
from tests.helpers.storage_home import block, row

SECONDS = 6
PASSPHRASE = "violet otter lantern pond"
SEGMENTS = [
    {"start_s": 0.0, "end_s": 2.0, "kind": "recording", "reason": "", "by": ""},
    {"start_s": 2.0, "end_s": 3.0, "kind": "paused", "reason": "agent,card_digits", "by": "Olive Officer"},
    {"start_s": 3.0, "end_s": 4.0, "kind": "erased", "reason": "card_data", "by": "lena.q"},
    {"start_s": 4.0, "end_s": float(SECONDS), "kind": "recording", "reason": "", "by": ""},
]


class Shell:
    """A home without a daemon."""

    def __init__(self, home: RecorderHome, folder: Path) -> None:
        self.home = home
        self.folder = folder
        self.vault = Vault(home.root, NodeKeys.load(home.root))
        self.passphrase = folder / "passphrase"
        self.passphrase.write_text(PASSPHRASE + "\n")
        self.passphrase.chmod(0o600)
        home.recorder(
            "users", "add", "olive", "--role", "officer", "--new-password-file", str(home.password_file),
            "--display-name", "Olive Officer", *home.as_admin(), "-C", str(home.root),
        )  # fmt: skip

    def record(self, tail: str = "0a1b2c", *, started: datetime | None = None, **changes: Any) -> RecordingId:
        """Make a finished recording and index it; it began an hour ago where nothing else is said."""
        started = started or utc_now().replace(microsecond=0) - timedelta(hours=1)
        recording = RecordingId(f"{started:%Y%m%dT%H%M%SZ}-2001-{tail}")
        fields = row(
            recording, started_at=time_to_json(started), ended_at=time_to_json(started + timedelta(seconds=SECONDS)),
            duration_s=float(SECONDS), recorded_s=4.0, operator="Olive <b>Officer</b>", team="Revenues",
            segments=SEGMENTS, **changes,
        )  # fmt: skip
        opened = self.vault.create(RecordingHead(id=recording, started_at=started, operator_key="k7", index_row=fields))
        for second in range(SECONDS):
            opened.append(block(second))
        done = opened.close(fields, is_complete=True)
        index = open_index(Home(self.home.root), read_config(self.home.config))
        index.save(row_from_json({**fields, "path": done.path, "bytes": done.bytes, "sha256": done.sha256}))
        index.close()
        self.home.give_leave(recording)
        return recording

    def export(self, *words: str, by: str = HEARER, reason: str = "complaint 17", stdin: str = "") -> Any:
        """Run `recorder recordings export` as somebody; returns what it said and how it ended."""
        who = ("--as", by, "--password-file", str(self.home.password_file), "--reason", reason)
        return self.home.run("export", *words, *who, "-C", str(self.home.root), stdin=stdin)

    def made(self, *words: str, **options: Any) -> Any:
        """Run `recorder recordings export`, which must succeed; returns its document."""
        done = self.export(*words, "--json", **options)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def fails(self, *words: str, code: int = 1, **options: Any) -> str:
        """Run `recorder recordings export`, which must refuse and leave nothing; returns its sentence."""
        before = sorted(self.folder.rglob("*"))
        done = self.export(*words, "-o", str(self.folder / "refused.wav"), **options)
        assert done.returncode == code, (done.exit_code, done.stdout, done.stderr)
        assert not done.stdout
        assert sorted(self.folder.rglob("*")) == before
        return " ".join(done.stderr.split())

    def audited(self, recording: str) -> list[dict[str, Any]]:
        """Return the audit log's entries about copies of a recording."""
        lines = (self.home.root / "audit" / "audit.log").read_text().splitlines()
        entries = [json.loads(line) for line in lines]
        return [e for e in entries if e["act"].startswith("recording.export") and e["subject"] == recording]
