"""A service that discards recordings because of a card payment: after any trigger nothing of the call is left."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from audio import prompts
from storage.audit import AuditLog
from tests.helpers.exactness import times_heard
from tests.helpers.exchange import Exchange, Talk
from tests.helpers.recorder_home import eventually
from tests.helpers.virtual.exchange import exchange

LOOK_BACK_S = 2.0
EDITS = (
    ('card_payment = "pause"', 'card_payment = "discard"'),
    ("look_back_s = 5.0", f"look_back_s = {LOOK_BACK_S}"),
    ("erase_s = 3.0", "erase_s = 0.5"),
)
WRITTEN_S = LOOK_BACK_S + 2.0
"""Time after which the container has some audio, seconds."""


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("discard"), edits=EDITS) as made:
        yield made


def by_key(talk: Talk, _call: str) -> None:
    talk.right.press("*1")


def by_card(talk: Talk, _call: str) -> None:
    talk.left.press("4111", ms=60)


def by_officer(talk: Talk, call: str) -> None:
    answer = talk.home.act(f"/api/calls/{call}/pause").raise_for_status().json()
    assert (answer["state"], answer["position_s"]) == ("discarded", 0)


def by_page(talk: Talk, call: str) -> None:
    answer = talk.home.act(f"/api/calls/{call}/pause", **{"as": "token:payments"}).raise_for_status().json()
    assert answer["state"] == "discarded"


def left_of(talk: Talk, call: str) -> list[str]:
    """Return the names of what is left of a call: container, key."""
    return sorted(path.name for path in talk.home.root.rglob(f"{call}*"))


@pytest.mark.parametrize(
    ("trigger", "reason"),
    [(by_key, "agent"), (by_card, "card_digits"), (by_officer, "agent"), (by_page, "payment_app:payments")],
)
def test_any_card_trigger_destroys_the_whole_recording(
    lines: Exchange, trigger: Callable[[Talk, str], None], reason: str
) -> None:
    talk = lines.call()
    call = talk.join()
    talk.talk_for(WRITTEN_S)
    assert left_of(talk, call) == [f"{call}.key", f"{call}.part"]
    assert talk.live is not None
    assert talk.live["pause_discards"] is True, "pages say so before"
    trigger(talk, call)
    eventually(lambda: (c := talk.live) and c["state"] == "discarded", "the call is discarded")
    eventually(lambda: not left_of(talk, call), "key and container are destroyed at once, not at the end")
    eventually(lambda: times_heard(talk.right, prompts.ended_tone()) == 1, "the officer is told")
    talk.talk_for(0.5)
    assert talk.home.act(f"/api/calls/{call}/resume").status_code == 409
    row = hung_up(talk)
    assert (row["outcome"], row["reason"], row["path"]) == ("blocked", "discarded", None)
    assert [(s["kind"], s["reason"], s["start_s"]) for s in row["segments"]] == [("erased", reason, 0)]
    assert (row["recorded_s"], row["speech_s"]) == (0, [0, 0])
    assert not left_of(talk, call)
    assert times_heard(talk.left, prompts.ended_tone()) == 0, "the caller is not"
    acts = [e.act for e in AuditLog(lines.home.root / "audit").entries() if e.subject == call]
    assert acts == ["call.pause", "call.resume.refused"]


def hung_up(talk: Talk) -> dict[str, Any]:
    """Hang up and return the row once it has its end: one was filed when the call was discarded."""
    talk.first.hang_up()
    talk.first.wait_ended()
    talk.left.hush()
    talk.right.hush()
    rows = eventually(lambda: [r for r in talk.home.rows(number=talk.number) if r["ended_at"]], "the end is filed")
    return rows[0]


def test_a_trigger_before_the_joining_opens_no_tap(lines: Exchange) -> None:
    talk = lines.call()
    talk.begin()
    call = talk.wait_phase("notice")["id"]
    assert lines.home.act(f"/api/calls/{call}/pause").json()["state"] == "discarded"
    assert talk.join() == call
    assert talk.wait_phase("joined")["is_recorded"] is False
    row = hung_up(talk)
    assert (row["outcome"], row["reason"]) == ("blocked", "discarded")
    assert not left_of(talk, call)


def test_a_manager_pauses_without_discarding(lines: Exchange) -> None:
    talk = lines.call()
    call = talk.join()
    talk.talk_for(0.3)
    assert lines.home.act(f"/api/calls/{call}/pause", **{"as": "manager"}).json()["state"] == "paused"
    assert lines.home.act(f"/api/calls/{call}/resume", **{"as": "manager"}).json()["state"] == "recording"
    talk.talk_for(0.3)
    assert talk.hang_up()["outcome"] == "recorded"
