"""Opt-outs of calls: raised, granted, declined, lapsed; refusals; the audit log and the recording."""

from collections.abc import Iterator
from typing import Any

import pytest

from recorder.common.home import Home
from recorder.config.reading import read_config
from recorder.recordings.home_stores import open_index
from storage.erasures import Erasures
from tests.helpers.exchange import Exchange
from tests.helpers.opt_outs import EDITS, MANAGER, REASON, acts, ask, decide, detail, entries, requests
from tests.helpers.recorder_home import eventually
from tests.helpers.virtual.exchange import exchange


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("opt-out"), edits=EDITS) as made:
        yield made


OFFICER = {"display_name": "alice", "roles": ["officer"]}
HIDDEN = "in progress"
"""Part of what is said of a request, a call and an extension that are not there."""
REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"person": {**MANAGER, "teams": ["Queue"]}}, 404, HIDDEN),
    ({"person": {**MANAGER, "teams": []}}, 404, HIDDEN),
    ({"person": {**MANAGER, "roles": ["team_leader"], "teams": ["Queue"]}}, 403, "team 'Revenues'"),
    ({"person": {**MANAGER, "roles": ["team_leader"], "teams": [], "managed": ["Revenues"]}}, 403, "team 'Revenues'"),
    ({"person": {**MANAGER, "roles": ["dpo"], "teams": []}}, 403, "team 'Revenues'"),
    ({"person": {**MANAGER, "display_name": "alice"}}, 403, "on this call yourself"),
    ({"person": {**MANAGER, "extension": "2001"}}, 403, "on this call yourself"),
    ({"person": {"display_name": "Dora", "roles": ["dpo"], "extension": "2001"}}, 403, "on this call yourself"),
    ({"person": {"display_name": "Olive", "roles": ["officer", "admin", "ict", "member"]}}, 403, "role"),
    ({"person": None}, 403, "person"),
    ({"caller_asked": False}, 422, "state both"),
    ({"distress_judged": False}, 422, "state both"),
    ({"reason": " "}, 422, "reason"),
]


def test_who_may_not_grant_changes_nothing_and_is_in_the_audit_log(lines: Exchange) -> None:
    talk = lines.call()
    call = talk.join()
    request = ask(talk, call)
    for body, status, sentence in REFUSED:
        assert sentence in detail(decide(talk, request["id"], "grant", **body), status)
        direct = {"person": MANAGER, "reason": REASON, **body}
        assert sentence in detail(talk.home.act(f"/api/calls/{call}/opt-out", by="mary", **direct), status)
        if status in {403, 404}:
            assert sentence in detail(decide(talk, request["id"], "decline", **body), status)
    assert "reason" in detail(decide(talk, request["id"], "decline", reason=""), 422)
    assert "asked for already" in detail(
        talk.home.act(f"/api/calls/{call}/opt-out-request", by="olive", person=OFFICER), 409
    )
    colleague = {**MANAGER, "roles": ["officer"]}
    assert "its officer" in detail(
        talk.home.act(f"/api/calls/{call}/opt-out-request", by="olive", person=colleague), 403
    )
    assert "role" in detail(
        talk.home.act(f"/api/calls/{call}/opt-out-request", by="ivy", person={**MANAGER, "roles": ["ict"]}), 403
    )
    assert requests(talk) == [request]
    assert talk.wait_phase("joined")["state"] == "recording"
    logged = len(REFUSED) - 1  # a missing reason is an error of input
    per_request = acts(talk, subject=request["id"])
    assert per_request.count("call.opt_out.refused") == logged
    assert per_request.count("opt_out.decline.refused") == 10
    per_call = acts(talk, subject=call)
    assert per_call.count("call.opt_out.refused") == logged
    assert per_call.count("opt_out.raise.refused") == 3
    assert set(per_call) == {"opt_out.raised", "call.opt_out.refused", "opt_out.raise.refused"}
    talk.hang_up()


def test_a_declined_call_is_recorded_on_and_may_be_asked_for_again(lines: Exchange) -> None:
    talk = lines.call()
    call = talk.join()
    first = ask(talk, call)
    declined = decide(talk, first["id"], "decline").raise_for_status().json()
    assert (declined["state"], declined["decided_by"]) == ("declined", "mary")
    assert talk.wait_phase("joined")["state"] == "recording"
    assert "already declined by mary" in detail(decide(talk, first["id"], "grant"), 409)
    second = ask(talk, call)
    assert second["id"] != first["id"]
    assert [one["state"] for one in requests(talk)] == ["declined", "raised"]
    talk.talk_for(0.3)
    row = talk.hang_up()
    assert (row["outcome"], row["opted_out"]) == ("recorded", False)
    eventually(lambda: "opt_out.lapsed" in acts(talk, subject=call), "the open one lapses with its call")
    *_, lapsed = entries(talk, subject=call)
    assert (lapsed.actor, lapsed.details["request"], lapsed.details["why"]) == ("recorder", second["id"], "call_ended")
    assert acts(talk, subject=call) == ["opt_out.raised", "opt_out.declined", "opt_out.raised", "opt_out.lapsed"]
    detail(decide(talk, second["id"], "grant"), 404)
    detail(talk.home.act(f"/api/calls/{call}/opt-out-request", by="mary"), 404)
    detail(talk.home.act(f"/api/calls/{call}/opt-out", by="mary", reason=REASON), 404)
    assert acts(talk, subject=call)[-2:] == ["opt_out.raise.refused", "call.opt_out.refused"]
    assert acts(talk, subject=second["id"]) == ["call.opt_out.refused"]


def test_what_was_recorded_before_waits_for_a_second_person(lines: Exchange) -> None:
    talk = lines.call()
    call = talk.join()
    talk.talk_for(0.8)
    granted = talk.home.act(f"/api/calls/{call}/opt-out", by="mary", person=MANAGER, reason=REASON).json()
    assert granted["erasure"]["state"] == "waiting", "the service's rule is to erase"
    index = open_index(Home(talk.home.root), read_config(talk.home.config))
    try:
        (order,) = Erasures(index.database).of_recording(talk.wait_phase("joined")["id"])
    finally:
        index.close()
    assert (order.id, order.kind, order.ordered_by) == (granted["erasure"]["id"], "opt_out", "mary")
    assert order.start_s == 0
    assert order.end_s == pytest.approx(granted["position_s"], abs=0.001)
    talk.hang_up()
    (entry,) = entries(talk, subject=call)
    assert (entry.act, entry.details["way"], entry.details["erasure"]["id"]) == ("opt_out.granted", "direct", order.id)


def test_a_direct_opt_out_answers_what_an_officer_asked(lines: Exchange) -> None:
    talk = lines.call()
    call = talk.join()
    request = ask(talk, call)
    talk.home.act(f"/api/calls/{call}/opt-out", by="mary", person=MANAGER, reason=REASON).raise_for_status()
    assert [(one["id"], one["state"], one["decided_by"]) for one in requests(talk)] == [
        (request["id"], "granted", "mary")
    ]
    again = talk.home.act(f"/api/calls/{call}/opt-out-request", by="olive", person=OFFICER)
    assert "has ended already" in detail(again, 409)
    talk.hang_up()


def test_a_team_leader_decides_while_no_manager_of_the_team_is_signed_in(lines: Exchange) -> None:
    talk = lines.call()
    call = talk.join()
    leader = {"display_name": "Lena", "roles": ["team_leader"], "managed": ["Queue"]}
    declined = decide(talk, ask(talk, call)["id"], "decline", person=leader).raise_for_status().json()
    assert declined["state"] == "declined"
    request = ask(talk, call)["id"]
    late = {**leader, "managed": ["Queue", "Revenues"]}
    assert "team 'Revenues'" in detail(decide(talk, request, "grant", person=late), 403)
    assert decide(talk, request, "grant", person=leader).raise_for_status().json()["state"] == "opted_out"
    talk.hang_up()


def test_both_sides_of_an_internal_call_are_on_it(lines: Exchange) -> None:
    talk = lines.call("2001", from_number="3001")
    call = talk.join()
    for name in ("alice", "carol"):
        person = {"display_name": name, "roles": ["dpo"]}
        assert "on this call yourself" in detail(
            talk.home.act(f"/api/calls/{call}/opt-out", by="x", person=person, reason=REASON), 403
        )
    assert talk.wait_phase("joined")["state"] == "recording"
    talk.hang_up()


def test_of_an_extension_the_one_conversation_that_talks_is_opted_out_and_no_other(lines: Exchange) -> None:
    one, two = lines.call(), lines.call()
    talking, held = one.join(), two.join()
    path = "/api/extensions/2001/opt-out"
    detail(one.home.act(path, by="mary", person={**MANAGER, "teams": []}, reason=REASON), 404)
    assert "2 conversations" in detail(one.home.act(path, by="mary", person=MANAGER, reason=REASON), 409)
    assert {call["state"] for call in one.home.calls()} == {"recording"}
    two.wait_second().offer(two.right.media(direction="sendonly", version=2))
    two.first.wait_for(lambda call: len(call.requests("INVITE")) == 1)
    answers = one.home.act(path, by="mary", person=MANAGER, reason=REASON).raise_for_status().json()["calls"]
    assert [answer["call"] for answer in answers] == [talking]
    states = {call["id"]: call["state"] for call in one.home.calls()}
    assert states == {talking: "opted_out", held: "recording"}, "a caller on hold did not ask"
    one.hang_up()
    two.hang_up()
