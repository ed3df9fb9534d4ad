"""`recorder recordings play` of a call that was handed over: what was not granted is silent, and it says so."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from recorder.cli.cli import app
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
