"""Retroactive pause on a call in progress: the gate is shut, and the order to erase the span is stored."""

import sqlite3
import time
from collections.abc import Iterator
from typing import Any

import pytest

from recorder.common.home import Home
from recorder.config.reading import read_config
from recorder.recordings.home_stores import open_index
from storage.audit import AuditLog
from storage.erasures import Erasures
from storage.retention_types import ErasureKind, ErasureOrder, ErasureState
from storage.types import RecordingId
from tests.helpers.exactness import PACKET_S, kept_of
from tests.helpers.exchange import Exchange
from tests.helpers.virtual.exchange import exchange

ERASE_S, FORGOT_S = 0.3, 1.0
EDITS = (
    ("look_back_s = 5.0", "look_back_s = 2.0"),
    ("erase_s = 3.0", f"erase_s = {ERASE_S}"),
    ("forgot_s = 300.0", f"forgot_s = {FORGOT_S}"),
)
OFFICER = {"display_name": "alice", "roles": ["officer"], "extension": "2001"}


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("forgot"), edits=EDITS) as made:
        yield made


def forgot(lines: Exchange, call: str, seconds: float | None) -> Any:
    body = {"seconds": seconds, "person": OFFICER}
    return lines.home.live.post(f"/api/calls/{call}/forgot", json=body, headers={"X-Recorder-Actor": "alice"})


def orders_of(lines: Exchange, call: str) -> list[ErasureOrder]:
    """Read the orders as another process does."""
    index = open_index(Home(lines.home.root), read_config(lines.home.config))
    try:
        return Erasures(index.database).of_recording(RecordingId(call))
    finally:
        index.close()


@pytest.mark.parametrize(
    ("seconds", "state"),
    [(0.5, ErasureState.CONFIRMED), (1.5, ErasureState.WAITING), (None, ErasureState.WAITING)],
)
def test_the_gate_shuts_and_the_order_is_stored_before_the_answer(
    lines: Exchange, seconds: float | None, state: ErasureState
) -> None:
    talk = lines.call()
    call = talk.join()
    talk.talk_for(2.0)
    asked_s = time.monotonic()
    answer = forgot(lines, call, seconds).raise_for_status().json()
    done_s = time.monotonic()
    (order,) = orders_of(lines, call)
    assert (answer["state"], answer["reasons"]) == ("paused", ["agent"])
    assert answer["erasure"] == {
        "id": order.id, "state": state.value, "start_s": order.start_s, "end_s": order.end_s,
    }  # fmt: skip
    assert (order.kind, order.state, order.ordered_by) == (ErasureKind.CARD_DATA, state, "alice")
    assert order.end_s is not None
    assert order.end_s - order.start_s == pytest.approx(seconds or order.end_s, abs=0.001)
    assert answer["position_s"] == pytest.approx(order.end_s - ERASE_S, abs=PACKET_S)
    talk.talk_for(0.4)
    assert talk.wait_phase("joined")["state"] == "paused"
    row = talk.hang_up()
    assert (row["outcome"], row["reason"]) == ("partial", "ended_while_paused")
    left, right, _ = lines.home.copy(call)
    for kept in (kept_of(left, talk.left), kept_of(right, talk.right)):
        assert kept.bytes_between(done_s - ERASE_S + PACKET_S, time.monotonic()) == 0
        assert kept.bytes_between(0, asked_s - ERASE_S) > 0, "what is ordered is erased later, by who holds the key"
    (entry,) = [e for e in AuditLog(lines.home.root / "audit").entries() if e.subject == call]
    assert entry.act == "recording.forgot"


def test_more_than_there_was_is_everything_there_was(lines: Exchange) -> None:
    talk = lines.call()
    call = talk.join()
    talk.talk_for(0.5)
    answer = forgot(lines, call, 3000).raise_for_status().json()
    assert answer["erasure"]["start_s"] == 0
    assert answer["erasure"]["state"] == "confirmed", "the rule looks at what it is, not at what was said"
    talk.hang_up()


def test_small_orders_of_one_call_add_up(lines: Exchange) -> None:
    talk = lines.call()
    call = talk.join()
    states = []
    for _ in range(3):
        talk.talk_for(0.5)
        states.append(forgot(lines, call, 0.45).raise_for_status().json()["erasure"]["state"])
        lines.home.act(f"/api/calls/{call}/resume").raise_for_status()
    assert states == ["confirmed", "confirmed", "waiting"], "piece by piece, nobody erases a whole call alone"
    talk.hang_up()


def test_a_paused_call_stays_paused_and_the_span_is_ordered(lines: Exchange) -> None:
    talk = lines.call()
    call = talk.join()
    talk.talk_for(0.6)
    lines.home.act(f"/api/calls/{call}/pause", **{"as": "manager"}).raise_for_status()
    answer = forgot(lines, call, 0.5).raise_for_status().json()
    assert answer["reasons"] == ["agent", "manager"]
    assert len(orders_of(lines, call)) == 1
    row = talk.hang_up()
    assert [s["reason"] for s in row["segments"]] == ["", "agent,manager"]


def test_before_the_joining_there_is_nothing_to_erase(lines: Exchange) -> None:
    talk = lines.call()
    talk.begin()
    call = talk.wait_phase("notice")["id"]
    refused = forgot(lines, call, 5)
    assert refused.status_code == 409
    assert "nothing to erase" in refused.json()["detail"]
    assert talk.live is not None
    assert talk.live["state"] == "not_begun", "what was refused changed nothing"
    talk.join()
    talk.hang_up()
    assert orders_of(lines, call) == []


def test_an_order_that_cannot_be_stored_is_no_promise_and_the_call_stays_paused(lines: Exchange) -> None:
    talk = lines.call()
    call = talk.join()
    talk.talk_for(0.5)
    with sqlite3.connect(lines.home.root / "index.sqlite") as database:
        database.execute("BEGIN EXCLUSIVE")  # whoever writes must wait
        refused = forgot(lines, call, 0.4)
    database.close()
    assert refused.status_code in (503, 504)
    assert talk.wait_phase("joined")["state"] == "paused"
    talk.hang_up()
