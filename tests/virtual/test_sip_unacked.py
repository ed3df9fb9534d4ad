"""ACKs that never come: 64 times T1 after the final response the call is over (RFC 3261 section 13.3.1.4)."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.helpers import sip_process
from tests.helpers.sip_calls import connected, ended_by_us, offered
from tests.helpers.virtual.endpoint import TurnedEndpoint

SDP = sip_process.SDP
GIVEN_UP_S = 32.0


@pytest.fixture
def shared() -> Iterator[Any]:
    with TurnedEndpoint() as endpoint:
        yield endpoint


def responses_until_bye(peer: Any, *, ours_since: float) -> tuple[int, float]:
    """Return how often the 200 came (again), and after how many seconds the BYE; the peer answers that."""
    count = 0
    while (message := peer.receive(GIVEN_UP_S + 4)).status == 200:
        count += 1
    assert message.start.startswith("BYE ")
    peer.respond(message, 200)
    return count, time.monotonic() - ours_since


def test_a_call_is_ended_when_the_ack_never_comes(shared: Any) -> None:
    """Three at a time: the first INVITE, a re-INVITE, and a refusal."""
    with ExitStack() as stack:
        first, again, refused = (stack.enter_context(shared.peer()) for _ in range(3))
        standing = connected(shared, again)
        leg = offered(shared, first)
        turned_away = offered(shared, refused)
        began_s = time.monotonic()
        shared.do("answer", leg=leg, body=SDP)
        shared.do("refuse", leg=turned_away, status=486, phrase="Busy")
        again.request("INVITE", body=SDP)
        again.expect(100)
        shared.take("OfferReceived")
        shared.do("answer_offer", leg=standing, body=SDP)
        first.learn(first.expect(200))

        ended = [shared.take("LegEnded", GIVEN_UP_S + 4) for _ in range(2)]
        assert {(e["leg"], e["cause"]) for e in ended} == {(leg, "timeout"), (standing, "timeout")}
        assert time.monotonic() - began_s == pytest.approx(GIVEN_UP_S, abs=0.1)
        repeats, gone_s = responses_until_bye(first, ours_since=began_s)
        assert repeats == 10, "0.5, 1, 2 and then each 4 s"
        assert gone_s == pytest.approx(GIVEN_UP_S, abs=0.1)
        repeats, _ = responses_until_bye(again, ours_since=began_s)
        assert repeats == 11
        refused.expect(486)
        assert refused.expect(486).status == 486, "sent again, and then no more"
        shared.nothing(0.5)

        fresh = stack.enter_context(shared.peer())
        ended_by_us(shared, fresh, connected(shared, fresh))


def reinvited(shared: Any, peer: Any, leg: int, *, body: str = SDP) -> None:
    """Have the peer send a re-INVITE that is answered 200; it sends no ACK."""
    peer.request("INVITE", body=body)
    peer.expect(100)
    shared.take("OfferReceived")
    shared.do("answer_offer", leg=leg, body=SDP)
    peer.expect(200)


@pytest.mark.parametrize("acknowledged", [0, 1])
def test_a_re_invite_goes_on_from_one_whose_ack_was_lost(shared: Any, acknowledged: int) -> None:
    """One ACK of two is enough: no BYE, and an offer of ours does not wait for ever."""
    with shared.peer() as peer:
        leg = connected(shared, peer)
        reinvited(shared, peer, leg)
        reinvited(shared, peer, leg)
        peer.request("ACK", cseq=peer.cseq - 1 + acknowledged)
        shared.do("offer", leg=leg, body=SDP)
        if not acknowledged:
            shared.nothing(GIVEN_UP_S + 4)
        ours = next(one for one in iter(peer.receive, None) if not one.status)
        assert ours.start.startswith("INVITE ")
        peer.respond(ours, 200, body=SDP)
        shared.take("OfferAnswered")
        shared.nothing(GIVEN_UP_S + 4)
        shared.do("hang_up", leg=leg)
        assert next(one for one in iter(peer.receive, None) if not one.status and "ACK" not in one.start)


def test_a_re_invite_before_the_first_ack_is_taken_and_so_is_an_update(shared: Any) -> None:
    for method, trying in (("INVITE", True), ("UPDATE", False)):
        with shared.peer() as peer:
            leg = offered(shared, peer)
            shared.do("answer", leg=leg, body=SDP)
            peer.learn(peer.expect(200))
            peer.request(method, body=SDP)
            if trying:
                peer.expect(100)
            shared.take("OfferReceived")
            shared.do("answer_offer", leg=leg, body=SDP)
            assert peer.expect(200).method == method
            if trying:
                peer.request("ACK")
            shared.nothing(GIVEN_UP_S + 4)
            shared.do("hang_up", leg=leg)


def test_491_is_for_an_offer_of_ours_that_awaits_its_answer(shared: Any) -> None:
    with shared.peer() as peer:
        leg = connected(shared, peer)
        reinvited(shared, peer, leg, body="")
        for method in ("INVITE", "UPDATE"):
            peer.request(method, body=SDP)
            assert peer.expect(491).method == method
        peer.request("ACK", cseq=peer.cseq - 2, body=SDP)
        shared.take("OfferAnswered")
        reinvited(shared, peer, leg)
        peer.request("ACK")
        ended_by_us(shared, peer, leg)


def test_that_the_peer_has_an_answer_is_told_where_that_is_asked_for(shared: Any) -> None:
    """By the ACK, once, or by an offer that supersedes it; never of an answer that did not ask."""
    with shared.peer() as plain, shared.peer() as acked, shared.peer() as superseded:
        shared.do("answer", leg=offered(shared, plain), body=SDP)
        plain.learn(plain.expect(200))
        plain.request("ACK")
        shared.nothing(0.3)

        leg = offered(shared, acked)
        shared.do("answer", leg=leg, body=SDP, is_ack_told=True)
        acked.learn(acked.expect(200))
        shared.nothing(0.3)
        acked.request("ACK")
        assert shared.take("AnswerAcknowledged")["leg"] == leg
        acked.request("ACK")
        shared.nothing(0.3)

        leg = offered(shared, superseded)
        shared.do("answer", leg=leg, body=SDP, is_ack_told=True)
        superseded.learn(superseded.expect(200))
        superseded.request("UPDATE", body=SDP)
        assert [shared.take(name)["leg"] for name in ("AnswerAcknowledged", "OfferReceived")] == [leg, leg]
