"""The benchmarks of the console are alive: the board shows each change, searches are answered, figures are there."""

import json
from pathlib import Path

import pytest

from benchmarks import board, search_page
from benchmarks.index_rows import new_row
from recorder.common.home import Home
from storage.database import sqlite_url
from storage.index import Index
from tests.helpers.recorder_home import recorder_home


@pytest.mark.long
def test_a_small_board_shows_every_pause(capsys: pytest.CaptureFixture[str]) -> None:
    board.main(["--calls", "3", "--watchers", "2", "--seconds", "1", "--rate", "3", "--json"])
    document = json.loads(capsys.readouterr().out)
    assert (document["joined_calls"], document["standing_calls"]) == (3, 3)
    assert (document["acts"], document["unseen"]) == (3, 0)
    assert 0 < document["shown_ms"]["p50"] <= document["shown_ms"]["max"]
    assert document["rows_bytes"] > 1000


@pytest.mark.long
def test_searches_of_a_small_index_are_answered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with recorder_home(tmp_path, next_hop="127.0.0.1:5999", is_started=False) as home:
        index = Index(sqlite_url(Home(home.root).index))
        index.save_many(new_row(number, 200) for number in range(200))
        index.close()
        search_page.main([str(home.root), "--rows", "200", "--each", "2", "--json"])
    document = json.loads(capsys.readouterr().out)
    assert set(document["kinds"]) == {*search_page._KINDS}
    assert document["kinds"]["newest"]["with_rows"] == document["kinds"]["officer"]["with_rows"] == 2
    assert all(0 < one["p50"] <= one["p95"] <= one["max"] for one in document["kinds"].values())
