"""Reliable provisional responses (RFC 3262) in virtual time: retransmissions and the order of PRACKs."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.helpers import sip_process
from tests.helpers.sip_calls import dialled, ended_by_us, offered
from tests.helpers.virtual.endpoint import TurnedEndpoint

SDP = sip_process.SDP
RELIABLY = "Require: 100rel\r\n"


@pytest.fixture
def shared() -> Iterator[Any]:
    with TurnedEndpoint() as endpoint:
        yield endpoint


@pytest.fixture
def peer(shared: Any) -> Iterator[Any]:
    with shared.peer() as peer:
        yield peer


def acknowledge(peer: Any, ringing: Any) -> None:
    peer.learn(ringing)
    peer.request("PRACK", headers=f"RAck: {ringing['RSeq']} 1 INVITE\r\n")
    assert peer.expect(200).method == "PRACK"


def test_it_is_sent_again_until_its_prack(shared: Any, peer: Any) -> None:
    leg = offered(shared, peer, headers=RELIABLY)
    shared.do("ring", leg=leg)
    first = peer.expect(180)
    assert first["Require"] == "100rel"
    again = peer.expect(180, 1.5)
    assert again["RSeq"] == first["RSeq"]
    acknowledge(peer, again)
    peer.nothing(1.2)
    shared.do("hang_up", leg=leg)
    peer.expect(480)


def test_the_next_one_waits_for_the_prack_of_the_first(shared: Any, peer: Any) -> None:
    leg = offered(shared, peer, headers=RELIABLY)
    shared.do("ring", leg=leg)
    shared.do("ring", leg=leg, status=183, body=SDP)
    first = peer.expect(180)
    acknowledge(peer, peer.expect(180))  # again, not 183
    second = peer.expect(183)
    assert int(second["RSeq"]) == int(first["RSeq"]) + 1
    assert second.body == SDP
    acknowledge(peer, second)
    shared.do("answer", leg=leg, body=SDP)
    answer = peer.expect(200)
    assert not answer.body  # it was in the 183, reliably
    peer.learn(answer)
    peer.request("ACK", cseq=1)
    ended_by_us(shared, peer, leg)


def test_cancel_before_the_prack(shared: Any, peer: Any) -> None:
    branch = peer.request("INVITE", body=SDP, headers=RELIABLY)
    peer.expect(100)
    leg = int(shared.take("CallOffered")["leg"])
    shared.do("ring", leg=leg)
    peer.expect(180)
    peer.request("CANCEL", branch=branch)
    answers = {(m.status, m.method): m for m in (peer.receive(), peer.receive())}
    assert set(answers) == {(200, "CANCEL"), (487, "INVITE")}
    peer.request("ACK", branch=branch, to=answers[487, "INVITE"]["To"])
    assert shared.take("LegEnded")["leg"] == leg
    peer.nothing(0.7)  # the 180 is not sent again


def test_our_prack_is_sent_again_and_the_response_taken_once(shared: Any, peer: Any) -> None:
    leg, invite = dialled(shared, peer)
    headers = f"Require: 100rel\r\nRSeq: 77\r\nContact: <sip:early@127.0.0.1:{peer.port}>\r\n"
    peer.respond(invite, 180, headers=headers)
    shared.take("LegRang")
    prack = peer.expect("PRACK")
    number = int(invite["CSeq"].split(" ")[0])
    assert prack["RAck"] == f"77 {number} INVITE"
    assert prack["CSeq"] == f"{number + 1} PRACK"
    assert prack.start.startswith("PRACK sip:early@")
    assert prack["To"].endswith(";tag=peertag")
    peer.respond(invite, 180, headers=f"X-Again: 1\r\n{headers}")
    assert peer.expect("PRACK", 1.5)["CSeq"] == prack["CSeq"]  # unanswered so far: the same one again
    shared.nothing(0.2)
    peer.respond(prack, 200)
    peer.respond(invite, 200, body=SDP)
    peer.expect("ACK")
    shared.take("LegAnswered")
    shared.do("hang_up", leg=leg)
    bye = peer.expect("BYE")
    assert int(bye["CSeq"].split(" ")[0]) == number + 2
    peer.respond(bye, 200)
