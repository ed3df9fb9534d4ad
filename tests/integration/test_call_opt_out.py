"""Opt-outs of real calls: raised, granted, declined, lapsed; who may not; what is in the audit log and in the file."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from storage.audit import AuditLog
from tests.helpers.exchange import Exchange, Talk, exchange
from tests.helpers.opt_outs import EDITS, REASON, acts, ask, decide, detail, entries, requests
from tests.helpers.recorder_home import eventually


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("opt-out"), edits=EDITS) as made:
        yield made


@contextlib.contextmanager
def events(talk: Talk) -> Iterator[Any]:
    """Yield a function that returns the next event of opt-outs."""
    with talk.home.live.stream("GET", "/api/events", headers={"X-Recorder-Actor": "tests"}) as answer:
        lines = answer.iter_lines()
        next(lines)  # ": listening"
        data = (json.loads(line[6:]) for line in lines if line.startswith("data: "))
        yield lambda: next(event for event in data if event["event"] == "opt_out")


def test_a_request_is_seen_live_and_its_grant_is_final_for_the_call(lines: Exchange) -> None:
    talk = lines.call()
    call = talk.join()
    talk.talk_for(0.8)
    with events(talk) as next_event:
        request = ask(talk, call, reason="she says: no recording")
        assert (request["state"], request["raised_by"], request["team"]) == ("raised", "ann", "Revenues")
        event = next_event()
        assert event == {"event": "opt_out", "id": request["id"], "call": call, "state": "raised", "team": "Revenues"}
        assert requests(talk) == [request]
        assert talk.wait_phase("joined")["opt_out"] == {"id": request["id"], "state": "raised"}
        assert talk.wait_phase("joined")["state"] == "recording", "asking alone changes nothing"
        granted = decide(talk, request["id"], "grant", erase_before=False).raise_for_status().json()
        assert (granted["call"], granted["state"], granted["id"]) == (call, "opted_out", request["id"])
        assert granted["position_s"] > 0.3
        assert "erasure" not in granted
        assert next_event()["state"] == "granted"
    assert "already granted by mary" in detail(decide(talk, request["id"], "grant"), 409)
    assert "already granted by mary" in detail(decide(talk, request["id"], "decline"), 409)
    talk.talk_for(0.3)
    assert talk.wait_phase("joined")["state"] == "opted_out"
    row = talk.hang_up()
    assert (row["outcome"], row["opted_out"]) == ("partial", True)
    raised, entry = entries(talk, subject=call)
    assert (raised.act, raised.actor, raised.details["request"]) == ("opt_out.raised", "ann", request["id"])
    assert (entry.act, entry.actor) == ("opt_out.granted", "mary")
    assert {"request": request["id"], "raised_by": "ann", "caller_asked": True, "distress_judged": True,
            "erase_before": False, "way": "request", "state": "opted_out"}.items() <= (
        entry.details.items())  # fmt: skip
    assert "break_glass" not in entry.details, "a manager's own decision (P7), no emergency"
    log = AuditLog(talk.home.root / "audit")
    assert (log.text(raised), log.text(entry)) == ("she says: no recording", REASON)
    refused = [one for one in log.entries() if one.subject == request["id"]]
    assert [one.act for one in refused] == ["call.opt_out.refused", "opt_out.decline.refused"]
    assert requests(talk) == [], "with the call its requests are gone"


def test_requests_of_a_daemon_that_was_killed_lapse_at_the_next_start(lines: Exchange) -> None:
    talk = lines.call()
    call = talk.join()
    declined = ask(talk, call)
    decide(talk, declined["id"], "decline").raise_for_status()
    request = ask(talk, call)
    assert acts(talk, subject=call)[-1] == "opt_out.raised", "who was told that it is raised may rely on it"
    talk.home.kill()
    talk.home.start()
    eventually(lambda: "opt_out.lapsed" in acts(talk, subject=call), "it lapsed")
    *_, lapsed = entries(talk, subject=call)
    assert lapsed.details == {"request": request["id"], "why": "daemon_died"}
    assert acts(talk, subject=call).count("opt_out.lapsed") == 1
    assert requests(talk) == []
    talk.left.hush()
    talk.right.hush()
