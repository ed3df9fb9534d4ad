"""A caller who puts the call on hold while the officer's phone rings: the phone gets the hold after it has answered."""

from pathlib import Path

from tests.helpers.exchange import re_offer
from tests.helpers.sip_peer import Answer
from tests.helpers.virtual.exchange import exchange


def test_the_hold_reaches_the_officer_after_the_ack(tmp_path: Path) -> None:
    with exchange(tmp_path) as lines:
        talk = lines.call(answer=Answer(after_s=2.0))
        talk.begin()
        second = talk.wait_second()
        assert b"a=recvonly" in re_offer(talk.first, talk.left.media(version=2, direction="sendonly"))
        assert not second.requests("ACK"), "the officer has answered too soon for this test"
        second.wait_for(lambda call: len(call.requests("INVITE")) == 2, 8)
        said = [message.method for message in second.received if not message.status and message.method != "OPTIONS"]
        assert said[:3] == ["INVITE", "ACK", "INVITE"]
        assert b"a=sendonly" in second.requests("INVITE")[1].body
