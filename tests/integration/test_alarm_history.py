"""The history of alarms of a daemon that is stopped."""

import json
from pathlib import Path

from recorder.service.home_watch import BOOK, LOOK_S
from tests.helpers.recorder_home import recorder_home


def test_what_was_raised_since_the_last_look_is_in_it_after_a_stop(tmp_path: Path) -> None:
    with recorder_home(tmp_path, next_hop="127.0.0.1:5002") as home:
        book = home.root / "state" / BOOK
        before = json.loads(book.read_text()) if book.exists() else {"standing": [], "ended": []}
        assert "draining" not in json.dumps(before)
        home.act("/api/drain").raise_for_status()
        assert LOOK_S > 5, "the next look is not before the stop"
        home.stop()
        stored = json.loads(book.read_text())
    assert "draining" in [one["name"] for one in (*stored["standing"], *stored["ended"])]
