"""INFO from a party during the notice: the key of the second message, other digits, and other bodies."""

from collections.abc import Iterator

import pytest

from tests.helpers.exchange import Exchange, Talk
from tests.helpers.sip_peer import Answer, Call, State
from tests.helpers.virtual.exchange import exchange

QUEUE = (
    'name = "Queue"\nnotice_when = "before_ring" ',
    'name = "Queue"\nnotice_when = "after_answer" ',
)
OTHER = (b"<media_control/>", "application/media_control+xml")


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("info"), edits=(QUEUE,)) as made:
        yield made


def info(call: Call, body: bytes, content_type: str) -> None:
    call.request("INFO", body, content_type)
    call.wait_for(lambda c: c.replies_to("INFO")[-1:] == [200])


def held(talk: Talk) -> Call:
    """Wait until the officer is held while the caller hears the notice; returns the officer's leg."""
    talk.begin()
    leg = talk.wait_second()
    leg.wait_for(lambda call: call.state is State.CONFIRMED, 8)
    talk.wait_phase("notice, answered side held")
    return leg


def joined(talk: Talk, leg: Call) -> None:
    talk.right.listen_under(leg.remote_body)
    talk.right.talk(leg.remote_media)
    talk.wait_phase("joined")
    talk.talk_for(0.3)


@pytest.mark.parametrize("number", ["2001", "3001"])
def test_the_key_of_the_second_message_is_heard_by_info(lines: Exchange, number: str) -> None:
    talk = lines.call(number, answer=Answer(after_s=0.1))
    talk.begin()
    talk.wait_phase("notice" if number == "2001" else "notice, answered side held")
    info(talk.first, b"1", "application/dtmf")
    leg = talk.wait_second()
    joined(talk, leg)
    assert leg.requests("INFO") == [], "it is a key of the recorder's"
    assert talk.hang_up()["notice"]["second_message"] is True


@pytest.mark.parametrize("sender", ["caller", "officer"])
def test_what_is_no_digit_reaches_the_other_side_once_they_are_joined(lines: Exchange, sender: str) -> None:
    talk = lines.call("3001", answer=Answer(after_s=0.1))
    leg = held(talk)
    here, there = (talk.first, leg) if sender == "caller" else (leg, talk.first)
    for number in range(3):
        info(here, OTHER[0] + b"%d" % number, OTHER[1])
    joined(talk, leg)
    there.wait_for(lambda call: len(call.requests("INFO")) == 3)
    assert [one.body for one in there.requests("INFO")] == [OTHER[0] + b"%d" % number for number in range(3)]
    assert {one.value("Content-Type") for one in there.requests("INFO")} == {OTHER[1]}
    talk.hang_up()


def test_other_digits_of_the_caller_reach_the_officer_too(lines: Exchange) -> None:
    talk = lines.call("3001", answer=Answer(after_s=0.1))
    leg = held(talk)
    info(talk.first, b"1", "application/dtmf")
    info(talk.first, b"Signal=5\r\nDuration=160\r\n", "application/dtmf-relay")
    joined(talk, leg)
    talk.talk_for(0.5)
    assert [one.body for one in leg.requests("INFO")] == [b"Signal=5\r\nDuration=160\r\n"]
    talk.hang_up()


def test_what_came_before_the_notice_was_over_is_not_kept_without_bound(lines: Exchange) -> None:
    talk = lines.call("3001", answer=Answer(after_s=0.1))
    leg = held(talk)
    for number in range(30):
        info(talk.first, b"%d-" % number + OTHER[0], OTHER[1])
    joined(talk, leg)
    talk.talk_for(0.5)
    assert [one.body.partition(b"-")[0] for one in leg.requests("INFO")] == [b"%d" % number for number in range(20)]
    talk.hang_up()
