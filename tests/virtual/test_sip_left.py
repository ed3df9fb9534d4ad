"""What is kept of a dialog, and the BYE that a later process sends by it, message by message."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.helpers.sip_calls import connected, dialled, ended_by_us, offered
from tests.helpers.sip_endpoint import REASON
from tests.helpers.sip_process import SDP
from tests.helpers.virtual.endpoint import TurnedEndpoint
from tests.virtual.test_sip_register import CHALLENGE, is_proven

TIMER_F_S = 32.0


@pytest.fixture
def shared() -> Iterator[Any]:
    with TurnedEndpoint(account=["recorder", "s3cret"]) as endpoint:
        endpoint.do("keep")
        yield endpoint


@pytest.fixture
def peer(shared: Any) -> Iterator[Any]:
    with shared.peer() as peer:
        yield peer


def number_of(message: Any) -> int:
    return int(message["CSeq"].split(" ")[0])


def kept(shared: Any) -> dict[str, Any]:
    """Return what is kept of the dialog of which something was said last."""
    return {key: value for key, value in shared.take("kept")["kept"].items() if key != "leg"}


def test_a_dialog_is_kept_from_our_200_until_its_end(shared: Any, peer: Any) -> None:
    leg = offered(shared, peer)
    shared.nothing()
    shared.do("answer", leg=leg, body=SDP)
    peer.learn(peer.expect(200))
    first = shared.take("kept")["kept"]
    assert first["leg"] == leg
    peer.request("ACK")
    shared.nothing()
    shared.do("offer", leg=leg, body=SDP)
    again = peer.expect("INVITE")
    assert shared.take("kept")["kept"] == {**first, "cseq": first["cseq"] + 1}, "each request of ours has a number"
    peer.respond(again, 200, body=SDP, headers=f"Contact: <sip:moved@127.0.0.1:{peer.port}>\r\n")
    peer.expect("ACK")
    assert shared.take("kept")["kept"]["target"] == f"sip:moved@127.0.0.1:{peer.port}"
    shared.take("OfferAnswered")
    ended_by_us(shared, peer, leg)
    assert shared.take("forgotten")["forgotten"] == leg


def test_what_is_not_answered_or_ends_is_not_kept(shared: Any, peer: Any) -> None:
    leg = offered(shared, peer)
    shared.do("refuse", leg=leg, status=486, phrase="Busy")
    peer.expect(486)
    peer.request("ACK")
    with shared.peer() as other:
        _, invite = dialled(shared, other)
        other.respond(invite, 180)
        shared.take("LegRang")
        other.respond(invite, 603)
        other.expect("ACK")
        shared.take("LegRefused")
    shared.nothing()


@pytest.mark.parametrize("is_ours", [False, True])
def test_the_bye_is_the_next_request_of_the_dialog(shared: Any, peer: Any, is_ours: bool) -> None:
    if is_ours:
        leg, invite = dialled(shared, peer, headers=[["X-One", "1"]])
        peer.respond(invite, 200, body=SDP)
        peer.expect("ACK")
        left = kept(shared)
        shared.take("LegAnswered")
        local, remote, last = invite["From"], f"{invite['To']};tag=peertag", number_of(invite)
        call_id = invite["Call-ID"]
    else:
        leg = connected(shared, peer)
        left, call_id = kept(shared), peer.call_id
        local, remote, last = peer.remote_to, f'"A, B" <sip:020794600000@127.0.0.1>;tag={peer.tag}', 0
    shared.do("hang_up_left", left={"one": left})
    bye = peer.expect("BYE")
    assert bye.start == f"BYE sip:peer@127.0.0.1:{peer.port}{';transport=udp' if is_ours else ''} SIP/2.0"
    assert (bye["Call-ID"], bye["From"], bye["To"]) == (call_id, local, remote)
    assert number_of(bye) > last
    assert bye["Reason"] == REASON
    peer.respond(bye, 200)
    assert shared.take("settled")["settled"] == "one"
    shared.do("hang_up", leg=leg)
    peer.expect("BYE")


def test_it_goes_by_the_route_set(shared: Any, peer: Any) -> None:
    with shared.peer() as proxy:
        routes = f"Record-Route: <sip:127.0.0.1:{proxy.port};lr>, <sip:192.0.2.9;lr;x=1>\r\n"
        connected(shared, peer, headers=routes)
        shared.do("hang_up_left", left={"one": kept(shared)})
        bye = proxy.expect("BYE")
        assert bye.start == f"BYE sip:peer@127.0.0.1:{peer.port} SIP/2.0"
        assert ", ".join(bye.all("Route")) == f"<sip:127.0.0.1:{proxy.port};lr>, <sip:192.0.2.9;x=1;lr>"
        proxy.respond(bye, 200)
        shared.take("settled")


def test_it_is_sent_again_until_timer_f(shared: Any, peer: Any) -> None:
    connected(shared, peer)
    shared.do("hang_up_left", left={"one": kept(shared)})
    first = peer.receive()
    again = [peer.receive(4.5) for _ in range(5)]
    assert {(one.start, one["CSeq"]) for one in again} == {(first.start, first["CSeq"])}
    assert shared.take("settled", TIMER_F_S + 1)["settled"] == "one", "nobody is there"
    assert "did not answer the BYE" in "\n".join(shared._log.lines)


def test_a_challenge_is_answered(shared: Any, peer: Any) -> None:
    connected(shared, peer)
    shared.do("hang_up_left", left={"one": kept(shared)})
    first = peer.expect("BYE")
    peer.respond(first, 401, headers=CHALLENGE.format("n1"))
    second = peer.expect("BYE")
    assert is_proven(second, "recorder", "s3cret")
    assert number_of(second) == number_of(first) + 1
    peer.respond(second, 200)
    shared.take("settled")


def test_many_are_ended_some_at_a_time_and_what_cannot_be_read_keeps_none_from_its_end(shared: Any, peer: Any) -> None:
    connected(shared, peer)
    one = kept(shared)
    many = {f"k{number}": {**one, "call_id": f"c{number}"} for number in range(30)}
    lefts = {"bad": {**one, "target": "?"}, "old": {"x": 1}, **many}
    shared.do("hang_up_left", left=lefts)
    ended = []
    for _ in range(30):
        bye = peer.expect("BYE")
        ended.append(bye["Call-ID"])
        peer.respond(bye, 481)
    assert ended == [f"c{n}" for n in range(30)]
    said: set[str] = set()
    while len(said) < len(lefts):
        said.add(shared.take("settled")["settled"])
    assert said == set(lefts)
    lines = [line for line in shared._log.lines if "cannot be ended" in line]
    assert len(lines) == 2
    shared._log.lines.clear()
