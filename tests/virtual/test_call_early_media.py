"""Early media of an officer who has not answered is heard, but they hear nobody, as nothing is recorded yet."""

import time
from collections.abc import Iterator

import pytest

from tests.helpers.exactness import heard_frames
from tests.helpers.exchange import Exchange, Talk
from tests.helpers.recorder_home import eventually
from tests.helpers.sip_peer import Answer, Call, State
from tests.helpers.virtual.exchange import exchange

ANSWERS_AFTER_S = 5.0


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("early")) as made:
        yield made


def ring_with_media(lines: Exchange, talk: Talk) -> Call:
    """Have the party called send a 183 with its description, and both talk from then on."""
    second = talk.wait_second(timeout_s=10)

    def ring() -> None:
        lines.officer._respond(second, second.invite, 183, (), bytes(second.media))

    lines.officer.submit(ring)
    talk.first.wait_for(lambda call: bool(call.remote_body), 10)
    talk.left.listen_under(talk.first.remote_body)
    talk.left.talk(talk.first.remote_media)
    talk.right.listen_under(second.remote_body)
    talk.right.talk(second.remote_media)
    return second


@pytest.mark.parametrize("number", ["2001", "3001"])
def test_no_conversation_before_the_answer(lines: Exchange, number: str) -> None:
    talk = lines.call(number, answer=Answer(after_s=ANSWERS_AFTER_S))
    second = ring_with_media(lines, talk)
    eventually(lambda: heard_frames(talk.left, talk.right), "the caller hears what the officer's side sends")
    time.sleep(1.0)
    assert second.state is State.RINGING
    assert len(heard_frames(talk.right, talk.left)) == 0, "nobody talks to an officer who has not answered"
    second.wait_for(lambda call: call.state is State.CONFIRMED, ANSWERS_AFTER_S + 5)
    talk.wait_phase("joined")
    joined_s = time.monotonic()
    talk.talk_for(1.0)
    assert len(heard_frames(talk.right, talk.left, since_s=joined_s)) > 10, "the officer hears the caller now"
    row = talk.hang_up()
    assert (row["outcome"], row["extension"]) == ("recorded", number)


def test_an_outside_service_may_be_talked_to_before_it_answers(lines: Exchange) -> None:
    """Freephone numbers ask callers for keys in early media; no nominated extension is called here."""
    talk = lines.call("01632960777", from_number="2001", answer=Answer(after_s=ANSWERS_AFTER_S))
    ring_with_media(lines, talk)
    eventually(lambda: heard_frames(talk.right, talk.left), "the service hears the officer")
    talk.first.hang_up()
    talk.left.hush()
    talk.right.hush()
