"""A node whose private keys are elsewhere records, pauses, finds, verifies, recovers and deletes, and cannot play."""

import json
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from recorder.cli.cli import app
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.config.reading import read_config
from recorder.retention.sweep_process import opened_sweeper
from tests.helpers.exactness import kept_of
from tests.helpers.exchange import Exchange, exchange
from tests.helpers.recorder_home import ADMIN, HEARER
from tests.helpers.signed_in import environment_for
from tests.helpers.sweep_site import sweep_beside

EDITS = (("look_back_s = 5.0", "look_back_s = 1.5"), ("erase_s = 3.0", "erase_s = 0.5"))


@pytest.mark.slow
def test_a_node_without_private_keys_does_everything_but_play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with exchange(tmp_path, edits=EDITS, is_started=False) as lines:
        home, elsewhere = lines.home, tmp_path / "key holder"
        shutil.move(home.root / "private", elsewhere)
        home.start()

        # records and pauses
        talk = lines.call()
        recording = talk.join()
        talk.talk_for(1)
        home.act(f"/api/calls/{recording}/pause", by="bob").raise_for_status()
        talk.talk_for(0.5)
        home.act(f"/api/calls/{recording}/resume", by="bob").raise_for_status()
        talk.talk_for(1)
        row = talk.hang_up()
        assert (row["outcome"], [s["kind"] for s in row["segments"]]) == (
            "recorded", ["recording", "paused", "recording"],
        )  # fmt: skip

        # recovers what a kill left
        other = lines.call()
        cut_off = other.join()
        other.talk_for(3.5)
        home.kill()
        recovered = {one["id"]: one for one in _json(lines, "recover")}
        assert recovered[cut_off]["ok"]
        other.left.hush()
        other.right.hush()

        # finds and verifies
        assert {one["id"]: one["outcome"] for one in _json(lines, "find")} == {
            recording: "recorded",
            cut_off: "partial",
        }
        assert _json(lines, "show", recording)["sha256"] == row["sha256"]
        assert {one["id"]: one["ok"] for one in _json(lines, "verify", "--all")} == {recording: True, cut_off: True}

        # cannot play, export or erase; an order to erase waits for the key holder
        monkeypatch.setattr("shutil.which", lambda _name: "/bin/false")
        copy = tmp_path / "copy.wav"
        home.give_leave(recording)
        for words in (("play", recording), ("export", recording, "-o", str(copy))):
            done = _run(lines, *words, *home.as_hearer(), "--reason", "checking accuracy")
            assert done.exit_code == 1
            assert "private" in done.stderr
            assert "cannot be read" in done.stderr
        assert not copy.exists()

        # with the folder of the key holder it opens: nothing but the key was missing
        home.edit('private_keys = "off"', f'private_keys = "{elsewhere}"')
        left, right, _ = home.copy(recording)
        for kept in (kept_of(left, talk.left), kept_of(right, talk.right)):
            assert sum(end - start for start, end in kept.spans) > 8000
        home.edit(f'private_keys = "{elsewhere}"', 'private_keys = "off"')

        # deletes
        _delete_all(lines)
        assert _json(lines, "find") == []
        assert not [path for path in (home.root / "recordings").rglob("*") if path.is_file()]
        assert not list((home.root / "keys" / "sealed").rglob("*.key"))
        assert _json(lines, "verify", "--all") == []


def _run(lines: Exchange, *words: str) -> Result:
    """Run a command in this process: a new one for each takes most of a test's time."""
    asked = [*words, "-C", str(lines.home.root)]
    result = CliRunner().invoke(app, asked, env=environment_for(asked, reader=ADMIN, at_phones=HEARER))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def _json(lines: Exchange, *words: str) -> Any:
    result = _run(lines, *words, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def _delete_all(lines: Exchange) -> None:
    """Sweep on the day on which both are due."""
    home = Home(lines.home.root)
    with opened_sweeper(home, read_config(home.config), now=lambda: utc_now() + timedelta(days=100)) as sweeper:
        counts = sweep_beside(sweeper).counts
    assert counts["recordings"] == 2
