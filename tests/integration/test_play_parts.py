"""`recorder recordings play` of a call that was handed over: what was not granted is silent, and it says so."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from recorder.cli import copies
from recorder.cli.cli import app
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.config.reading import read_config
from recorder.recordings.home_stores import open_index
from storage.types import Officer, RecordingId, Segment, SegmentKind
from tests.helpers.export_shell import SECONDS, Shell
from tests.helpers.recorder_home import recorder_home

ANN, BOB = (Officer(extension=number, operator=name, team=team) for number, name, team in (
    ("2001", "ann", "Revenues"), ("2002", "bob", "Housing"),
))  # fmt: skip
EDGE_S, TICK_BYTES = 3.0, 4


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    folder = tmp_path_factory.mktemp("play")
    with recorder_home(folder, is_started=False, next_hop="127.0.0.1:5099") as home:
        yield Shell(home, folder)


def handed_over(shell: Shell, recording: RecordingId) -> None:
    index = open_index(Home(shell.home.root), read_config(shell.home.config))
    segments = tuple(
        Segment(start_s=start_s, end_s=end_s, kind=SegmentKind.RECORDING, operator=one.operator,
                extension=one.extension, officers=(one,))
        for start_s, end_s, one in ((0.0, EDGE_S, ANN), (EDGE_S, float(SECONDS), BOB))
    )  # fmt: skip
    row = index.get(recording)
    index.save(replace(row, operator="ann", operators=("ann", "bob"), extensions=("2001", "2002"), segments=segments))
    index.close()


def test_what_was_not_granted_is_silent(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = shell.record("000071")
    handed_over(shell, recording)
    player = tmp_path / "play"
    player.write_text(f"#!/bin/sh\ncat > {tmp_path}/heard\n")
    player.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    home = shell.home
    bob, lena = home.as_officer("bob"), home.as_leader("lena")
    wish = ("--category", "accuracy", "--reason", "what was said")
    request = home.json("requests", "ask", recording, *wish, *bob)
    assert request["spans"] == {recording: [[EDGE_S, float(SECONDS)]]}
    home.json("requests", "grant", request["id"], *lena)
    refused = home.run(
        "requests", "grant", request["id"], "--whole-call", "--reason", "x y z", *lena, "-C", str(home.root)
    )
    assert refused.returncode == 1
    done = CliRunner().invoke(app, ["play", recording, *bob, "-C", str(home.root), "--json"])
    assert done.exit_code == 0, done.stderr
    played = {"recording": recording, "duration_s": float(SECONDS), "withheld": [[0.0, EDGE_S]]}
    assert json.loads(done.stdout) == played
    assert "silent, because your grant does not cover it: 0:00 to 0:03" in " ".join(done.stderr.split())
    heard = (tmp_path / "heard").read_bytes()
    assert len(heard) == 44 + SECONDS * 8000 * TICK_BYTES, "as long as the call"
    edge = 44 + round(EDGE_S * 8000) * TICK_BYTES
    assert set(heard[44:edge]) == {0}
    assert any(heard[edge + 1000 * TICK_BYTES :])


def test_another_player_is_ended_with_the_permission_and_what_it_got_is_logged(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = shell.record("000072")
    home, player = shell.home, tmp_path / "play"
    player.write_text("#!/bin/sh\ncat > /dev/null\n")
    player.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    words = ["play", recording, *home.as_hearer(), "-C", str(home.root)]

    def entries() -> list[tuple[str, Any]]:
        found = map(json.loads, (home.root / "audit" / "audit.log").read_text().splitlines())
        return [(one["act"], one["details"]) for one in found if one["subject"] == recording and ".play" in one["act"]]

    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.stderr
    (begun, _), (ended, sent) = entries()
    assert (begun, ended, sent["spans"]) == (
        "recording.play", "recording.play.served", [{"from_s": 0.0, "to_s": float(SECONDS)}],
    )  # fmt: skip
    monkeypatch.setattr(copies, "utc_now", lambda: utc_now() + timedelta(days=400 if len(entries()) > 2 else 0))
    done = CliRunner().invoke(app, words)
    assert (done.exit_code, "permission to listen has ended" in " ".join(done.stderr.split())) == (1, True)
    assert [(act, details.get("spans")) for act, details in entries()[2:]] == [
        ("recording.play", None), ("recording.play.served", []),
    ]  # fmt: skip
