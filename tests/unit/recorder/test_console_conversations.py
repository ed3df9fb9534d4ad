"""Recordings of one conversation on the pages of calls in progress."""

from typing import Any

from recorder.permissions import Person, Role
from recorder.web.agent_view import PhoneState, phone_of
from recorder.web.conversations import by_conversation

OFFICER = Person(name="bob", display_name="Bob", roles=frozenset({Role.OFFICER}), extension="2002")


def call(name: str, conversation: str, state: str = "recording", **more: Any) -> dict[str, Any]:
    return {
        "call": name,
        "conversation": conversation,
        "state": state,
        "phase": "joined",
        "extensions_now": ["2002"],
        "opt_out": None,
        **more,
    }


def test_recordings_of_one_conversation_are_one_line_that_is_paused_when_all_are() -> None:
    outer, inner, other = call("a", "a", "paused", caller="1"), call("b", "a", caller="1"), call("c", "c", "paused")
    lines = by_conversation([outer, inner, other])
    assert list(lines) == ["a", "c"]
    assert (lines["a"]["state"], lines["a"]["recordings"], lines["a"]["caller"]) == ("recording", 2, "1")
    assert lines["c"] is other, "what has not changed is known by its identity"
    paused = by_conversation([outer, {**inner, "state": "paused", "reasons": ["agent"]}])
    assert (paused["a"]["state"], paused["a"]["reasons"]) == ("paused", ["agent"])


def test_an_open_request_of_either_is_shown() -> None:
    asked = {"id": "1", "state": "raised"}
    lines = by_conversation([call("a", "a", opt_out={"id": "0", "state": "declined"}), call("b", "a", opt_out=asked)])
    assert lines["a"]["opt_out"] == asked


def test_the_agents_page_has_one_line_and_the_loudest_state() -> None:
    phone = phone_of(["2002"], [call("a", "a", "paused"), call("b", "a")])
    assert phone.standing is PhoneState.RECORDING
    assert [row.call["call"] for row in phone.rows] == ["a"]


def test_a_daemon_that_names_no_conversation_has_one_line_for_each_call() -> None:
    calls = [{"call": "a"}, {"call": "b"}]
    assert by_conversation(calls) == {"a": calls[0], "b": calls[1]}
