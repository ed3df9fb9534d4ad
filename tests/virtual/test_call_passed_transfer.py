"""Transfers of passthrough calls: passed on end to end, or to a nominated extension and recorded."""

from collections.abc import Iterator

import pytest

from tests.helpers.exactness import kept_of
from tests.helpers.exchange import Exchange, Talk
from tests.helpers.recorder_home import NOTICE_S, eventually
from tests.helpers.sip_peer import Answer, Call, State
from tests.helpers.transfers import expect_newcomer, refer, replaces, speakers, told, wait_told
from tests.helpers.virtual.exchange import exchange


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("passed")) as made:
        yield made


def passed(lines: Exchange, number: str = "4000", from_number: str = "") -> tuple[Talk, Call]:
    """Return a passthrough call, and the leg of the called party."""
    talk = lines.call(number, from_number=from_number)
    second = talk.wait_second()
    second.wait_for(lambda call: call.state is State.CONFIRMED)
    talk.first.wait_confirmed()
    return talk, second


def hang_up(talk: Talk, *others: Call) -> None:
    talk.first.hang_up()
    talk.first.wait_ended()
    for other in others:
        other.wait_ended()


def meets(one: Call, port: int) -> None:
    eventually(lambda: one.remote_media == ("127.0.0.1", port), "they are told of one another")


def test_from_end_to_end_without_us(lines: Exchange) -> None:
    talk, dave = passed(lines)
    erin, busy = expect_newcomer(talk, "4001"), expect_newcomer(talk, "4002", answer=Answer(status=486))
    refer(dave, "4002")
    wait_told(dave, 486)
    busy.wait()
    assert talk.first.requests("INVITE") == [], "a transfer that fails does not touch the caller"
    refer(dave, "4001")
    leg = erin.wait()
    eventually(lambda: told(dave)[-1] == 200, "dave is told")
    dave.wait_ended()
    meets(talk.first, erin.voice.port)
    meets(leg, talk.left.port)
    hang_up(talk, leg)
    assert lines.home.rows(number=talk.number) == []


def test_two_calls_are_joined_without_us(lines: Exchange) -> None:
    talk, dave = passed(lines)
    asked, erin = passed(lines, "4001", from_number="4000")
    refer(dave, f"sip:4001@pbx?Replaces={replaces(asked.first)}")
    wait_told(dave, 200)
    dave.wait_ended()
    asked.first.wait_ended()
    meets(talk.first, asked.right.port)
    meets(erin, talk.left.port)
    hang_up(talk, erin)


def announced(talk: Talk) -> str:
    """Have the caller, who gets media here, hear the notice; returns the recording once they are joined."""
    talk.first.wait_for(lambda call: len(call.requests("INVITE")) == 1)
    talk.left.talk(talk.first.remote_media)
    return str(talk.wait_phase("joined", timeout_s=NOTICE_S + 4)["id"])


def test_to_a_nominated_extension_the_caller_hears_the_notice_and_is_recorded(lines: Exchange) -> None:
    talk, dave = passed(lines)
    bob = expect_newcomer(talk, "2002")
    refer(dave, "2002")
    leg = bob.join()
    wait_told(dave, 200)
    dave.wait_ended()
    recording = announced(talk)
    talk.talk_for(0.5)
    row = talk.hang_up()
    leg.wait_ended()
    bob.voice.hush()
    assert (row["id"], row["outcome"], row["extension"], row["operator"]) == (recording, "recorded", "2002", "bob")
    assert (row["direction"], row["notice"]["complete"]) == ("inbound", True)
    left, right, _ = lines.home.copy(recording)
    kept_of(left, talk.left)
    assert speakers(right, (bob.voice, talk.right)) == [bob.voice]


def test_when_the_nominated_one_is_busy_the_call_goes_on_as_it_was(lines: Exchange) -> None:
    talk, dave = passed(lines)
    expect_newcomer(talk, "2002", answer=Answer(status=486))
    refer(dave, "2002")
    wait_told(dave, 486)
    assert talk.first.requests("INVITE") == []
    assert dave.state is talk.first.state is State.CONFIRMED
    row = lines.home.row_of(talk.number)
    assert (row["outcome"], row["reason"], row["extension"]) == ("no_conversation", "busy", "2002")
    hang_up(talk, dave)


def test_the_caller_gives_up_before_the_nominated_one_answers(lines: Exchange) -> None:
    talk, dave = passed(lines)
    bob = expect_newcomer(talk, "2002", answer=Answer(after_s=None))
    refer(dave, "2002")
    leg = bob.wait()
    hang_up(talk, dave, leg)
    assert lines.home.row_of(talk.number)["outcome"] == "no_conversation"


def test_a_nominated_one_takes_a_call_over(lines: Exchange) -> None:
    talk, dave = passed(lines)
    voice = lines.studio.voice()
    name = replaces(dave).replace("%3B", ";").replace("%3D", "=")
    bob = lines.caller.invite(
        lines.home.sip, "4000", from_number="2002", media=voice.media(), headers=(("Replaces", name),)
    )
    bob.wait_confirmed()
    voice.talk(bob.remote_media)
    dave.wait_ended()
    recording = announced(talk)
    talk.talk_for(0.4)
    row = talk.hang_up()
    bob.wait_ended()
    voice.hush()
    assert (row["id"], row["outcome"], row["operator"]) == (recording, "recorded", "bob")
    _, right, _ = lines.home.copy(recording)
    assert speakers(right, (voice, talk.right)) == [voice]


def test_joined_with_a_recorded_call_the_recording_goes_on_once_the_newcomer_was_told(lines: Exchange) -> None:
    talk, dave = passed(lines)
    asked = lines.call("2002", from_number="4009")
    recording = asked.join()
    bob = asked.wait_second()
    asked.talk_for(0.3)
    refer(dave, f"sip:2002@pbx?Replaces={replaces(asked.first)}")
    wait_told(dave, 200)
    asked.first.wait_ended()
    asked.left.hush()
    talk.first.wait_for(lambda call: len(call.requests("INVITE")) == 1)
    talk.left.talk(talk.first.remote_media)
    eventually(lambda: (asked.live or {})["phase"] == "joined", "the notice is over", timeout_s=NOTICE_S + 4)
    talk.talk_for(0.5)
    hang_up(talk, bob, dave)
    talk.left.hush()
    asked.right.hush()
    row = lines.home.row_of("4009")
    kinds = [(s["kind"], s["reason"]) for s in row["segments"]]
    assert (row["id"], kinds) == (recording, [("recording", ""), ("out_of_scope", "notice"), ("recording", "")])
    left, _, _ = lines.home.copy(recording)
    assert speakers(left, (asked.left, talk.left)) == [asked.left, talk.left]
