"""A service that discards calls with a card payment: any trigger, and nothing of the whole call is left."""

from collections.abc import Iterator
from typing import Any

import pytest

from recorder.calls.pause_register import REGISTER, write_states
from tests.helpers.exchange import Exchange, Talk, exchange
from tests.helpers.recorder_home import eventually

LOOK_BACK_S = 1.5
EDITS = (
    ('card_payment = "pause"', 'card_payment = "discard"'),
    ("look_back_s = 5.0", f"look_back_s = {LOOK_BACK_S}"),
    ("erase_s = 3.0", "erase_s = 0.5"),
)
WRITTEN_S = LOOK_BACK_S + 2.0
"""After so long some audio is in the container."""


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("discard"), edits=EDITS) as made:
        yield made


def by_officer(talk: Talk, call: str) -> None:
    answer = talk.home.act(f"/api/calls/{call}/pause").raise_for_status().json()
    assert (answer["state"], answer["position_s"]) == ("discarded", 0)


def left_of(talk: Talk, call: str) -> list[str]:
    """Return the names of what is left of a call: container, key."""
    return sorted(path.name for path in talk.home.root.rglob(f"{call}*"))


def hung_up(talk: Talk) -> dict[str, Any]:
    """Hang up and return the row once it has its end: one was filed when the call was discarded."""
    talk.first.hang_up()
    talk.first.wait_ended()
    talk.left.hush()
    talk.right.hush()
    rows = eventually(lambda: [r for r in talk.home.rows(number=talk.number) if r["ended_at"]], "the end is filed")
    return rows[0]


def test_a_discarded_call_does_not_come_back_after_a_kill(lines: Exchange) -> None:
    talk = lines.call()
    call = talk.join()
    talk.talk_for(WRITTEN_S)
    by_officer(talk, call)
    lines.home.kill()
    lines.home.start()
    # By its id: a daemon that is killed before it has filed the call leaves nothing that knows the number.
    (row,) = [row for row in lines.home.rows() if row["id"] == call]
    assert (row["outcome"], row["reason"], row["path"]) == ("blocked", "discarded", None)
    assert not left_of(talk, call)
    assert lines.home.calls() == []


def test_a_call_whose_discard_was_stored_and_not_yet_done_is_destroyed_at_the_next_start(lines: Exchange) -> None:
    talk = lines.call()
    call = talk.join()
    talk.talk_for(WRITTEN_S)
    lines.home.kill()
    assert left_of(talk, call) == [f"{call}.key", f"{call}.part"]
    write_states(lines.home.root / "state" / REGISTER, {call: {"state": "discarded", "reasons": [], "position_s": 0}})
    lines.home.start()
    assert not left_of(talk, call)
    (row,) = [row for row in lines.home.rows() if row["id"] == call]
    assert (row["outcome"], row["reason"], row["extension"]) == ("blocked", "discarded", "2001")


def test_a_call_that_the_disk_would_not_let_go_is_destroyed_at_the_next_start(lines: Exchange) -> None:
    talk = lines.call()
    call = talk.join()
    talk.talk_for(WRITTEN_S)
    (key,) = lines.home.root.rglob(f"{call}.key")
    aside = key.rename(lines.home.root.parent / key.name)
    key.mkdir()  # no unlink takes it away
    refused = talk.home.act(f"/api/calls/{call}/pause")
    assert refused.status_code == 503, "what is not destroyed is not promised"
    hung_up(talk)
    assert f"{call}.part" in left_of(talk, call)
    lines.home.stop()
    key.rmdir()
    aside.rename(key)
    lines.home.start()
    assert not left_of(talk, call), "discarded is discarded, however late the disk comes round"
    (row,) = [row for row in lines.home.rows() if row["id"] == call]
    assert (row["outcome"], row["reason"], row["path"]) == ("blocked", "discarded", None)
