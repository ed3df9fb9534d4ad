"""SipEndpoint in virtual time: calls, offers, refusals and the timers of each, message by message."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.helpers import sip_process
from tests.helpers.sip_calls import answered, connected, dialled, ended_by_us, offered, talking
from tests.helpers.virtual.endpoint import TurnedEndpoint

SDP = sip_process.SDP


@pytest.fixture
def shared() -> Iterator[Any]:
    with TurnedEndpoint() as endpoint:
        yield endpoint


@pytest.fixture
def peer(shared: Any) -> Iterator[Any]:
    with shared.peer() as peer:
        yield peer


def test_retransmitted_invite_makes_one_call(shared: Any, peer: Any) -> None:
    leg = offered(shared, peer)
    peer.send(peer.last)
    peer.expect(100)
    shared.nothing()
    shared.do("answer", leg=leg, body=SDP)
    peer.learn(peer.expect(200))
    invite = peer.last
    peer.send(invite)
    peer.expect(200)
    shared.nothing()
    peer.request("ACK")
    ended_by_us(shared, peer, leg)


def test_lost_200_is_sent_again_until_the_ack(shared: Any, peer: Any) -> None:
    leg = offered(shared, peer)
    shared.do("answer", leg=leg, body=SDP)
    peer.learn(peer.expect(200))
    peer.expect(200, 1.5)
    shared.do("hang_up", leg=leg)
    peer.expect(200, 1.5)  # no BYE before the ACK (RFC 3261 section 15)
    peer.request("ACK")
    assert peer.expect("BYE")


def test_same_request_by_another_way_is_a_loop(shared: Any, peer: Any) -> None:
    leg = offered(shared, peer)
    peer.request("INVITE", body=SDP, cseq=1)
    peer.expect(482)
    shared.do("refuse", leg=leg, status=486, phrase="Busy", headers=[["Retry-After", "5"]])
    assert peer.expect(486)["Retry-After"] == "5"
    peer.request("ACK")


def test_cancel(shared: Any, peer: Any) -> None:
    branch = peer.request("INVITE", body=SDP)
    peer.expect(100)
    leg = shared.take("CallOffered")["leg"]
    shared.do("ring", leg=leg)
    ringing = peer.expect(180)
    peer.request("CANCEL", branch=branch, headers="Reason: SIP;cause=200\r\n")
    answers = {(m.status, m.method): m for m in (peer.receive(), peer.receive())}
    assert (200, "CANCEL") in answers
    assert answers[487, "INVITE"]["To"] == ringing["To"]
    ended = shared.take("LegEnded")
    assert (ended["cause"], ended["reason"]) == ("cancel", "SIP;cause=200")


def test_an_invite_that_expires_is_ended_as_if_cancelled(shared: Any, peer: Any) -> None:
    peer.request("INVITE", body=SDP, headers="Expires: 3\r\n")
    peer.expect(100)
    shared.do("ring", leg=shared.take("CallOffered")["leg"])
    ringing = peer.expect(180)
    assert peer.expect(487)["To"] == ringing["To"]
    ended = shared.take("LegEnded")
    assert (ended["cause"], ended["reason"]) == ("timeout", None)
    peer.request("ACK")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ("Max-Forwards: 0\r\n", 483),
        ("Require: precondition\r\n", 420),
        ("Require: precondition, replaces, timer\r\n", 420),
        ("Replaces: nobody;to-tag=a;from-tag=b\r\n", 481),
        ("Replaces: nonsense\r\n", 400),
        ("Replaces: x;to-tag=a;from-tag=b\r\nReplaces: y;to-tag=a;from-tag=b\r\n", 400),
    ],
)
def test_invites_that_are_refused(shared: Any, peer: Any, headers: str, status: int) -> None:
    peer.request("INVITE", body=SDP, headers=headers)
    answer = peer.expect(status)
    if status == 420:
        assert answer["Unsupported"] == "precondition"
    shared.nothing(0.1)


@pytest.mark.parametrize(
    ("method", "to", "status"),
    [
        ("OPTIONS", "<sip:x@y>", 200),
        ("BYE", "<sip:x@y>;tag=none", 481),
        ("INVITE", "<sip:x@y>;tag=none", 481),
        ("REGISTER", "<sip:x@y>", 405),
        ("SUBSCRIBE", "<sip:x@y>", 405),
        ("NONSENSE", "<sip:x@y>", 405),
    ],
)
def test_requests_outside_a_dialog(shared: Any, peer: Any, method: str, to: str, status: int) -> None:
    peer.request(method, to=to)
    answer = peer.expect(status)
    if status in (200, 405):
        assert "INVITE" in answer["Allow"]
    shared.nothing(0.1)


def test_delayed_offer(shared: Any, peer: Any) -> None:
    leg = offered(shared, peer, body="")
    shared.do("answer", leg=leg, body=SDP)
    answer = peer.expect(200)
    assert answer.body == SDP
    peer.learn(answer)
    peer.request("ACK", body=SDP)
    assert shared.take("OfferAnswered")["body"]["content"] == SDP
    ended_by_us(shared, peer, leg)


def test_dialled_delayed_offer_is_answered_in_the_ack(shared: Any, peer: Any) -> None:
    shared.do("dial", target=["127.0.0.1", peer.port], request_user="2001", from_user="1")
    leg = shared.take("dialled")["dialled"]
    invite = peer.expect("INVITE")
    assert invite.body == ""
    peer.respond(invite, 200, body=SDP)
    assert shared.take("LegAnswered")["body"]["content"] == SDP
    peer.nothing(0.2)
    shared.do("answer_offer", leg=leg, body=SDP)
    assert peer.expect("ACK").body == SDP
    ended_by_us(shared, peer, leg)


def test_reinvite_update_info_refer_inside_a_call(shared: Any, peer: Any) -> None:
    leg = connected(shared, peer)
    peer.request("INVITE", body=SDP.replace("40000", "40002"))
    assert "40002" in shared.take("OfferReceived")["body"]["content"]
    shared.do("answer_offer", leg=leg, body=SDP)
    peer.expect(200)
    peer.request("ACK")
    peer.request("INVITE")
    assert shared.take("OfferReceived")["body"] is None
    shared.do("answer_offer", leg=leg, body=SDP)
    assert peer.expect(200).body == SDP
    peer.request("ACK", body=SDP)
    assert shared.take("OfferAnswered")["body"]["content"] == SDP
    peer.request("UPDATE", headers="Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n")
    assert peer.expect(200)["Session-Expires"] == "90;refresher=uac"
    peer.request("UPDATE", body=SDP)
    assert shared.take("OfferReceived")["body"]["content"] == SDP
    shared.do("refuse_offer", leg=leg)
    peer.expect(488)
    peer.request("INFO", body="Signal=5\r\n", ctype="application/dtmf-relay")
    peer.expect(200)
    assert shared.take("InfoReceived")["body"] == {"type": "application/dtmf-relay", "content": "Signal=5\r\n"}
    peer.request("OPTIONS")
    assert "UPDATE" in peer.expect(200)["Allow"]
    peer.request("PRACK", headers="RAck: 1 1 INVITE\r\n")
    peer.expect(481)
    peer.request("INFO", cseq=2, body="late", ctype="text/plain")
    peer.expect(500)
    shared.do("send_info", leg=leg, body={"type": "application/dtmf-relay", "content": "Signal=7"})
    info = peer.expect("INFO")
    assert info.body == "Signal=7"
    peer.respond(info, 200)
    shared.nothing(0.1)
    ended_by_us(shared, peer, leg)


@pytest.mark.parametrize(
    ("contact", "headers"),
    [
        ("<sip:peer@{there}>", "Route: <sip:host:remote_port;lr>\r\n"),
        ("<sip:peer@{there}>", "Route: <sip:127.0.0.1;lr>, <sip:host:remote_port;lr>\r\nRoute: nonsense\r\n"),
        ("<sip:peer@{there}", ""),
        ("<sip:peer@{there};transport=UDP;ob", ""),
        ('"A <b" <sip:peer@{there}', ""),
        ("sip:peer@{there}>", ""),
        ("<sip:peer@host:remote_port>", ""),
        ("<sip:>", ""),
        ("<sip:peer@{there}>", "Record-Route: <sip:{there};lr\r\n"),
    ],
)
def test_headers_that_are_not_needed_lose_no_call(shared: Any, peer: Any, contact: str, headers: str) -> None:
    """Each was answered 400; where a Contact says nothing, requests of ours go where the INVITE came from."""
    before = shared.counters()
    there = f"{peer.host}:{peer.port}"
    leg = offered(shared, peer, contact=contact.replace("{there}", there), headers=headers.replace("{there}", there))
    answered(shared, peer, leg)
    counted = shared.counters()
    assert counted["mended"] == before.get("mended", 0) + 1
    assert counted.get("malformed", 0) == before.get("malformed", 0)
    shared.do("send_info", leg=leg, body={"type": "application/dtmf-relay", "content": "Signal=7"})
    peer.respond(peer.expect("INFO"), 200)
    ended_by_us(shared, peer, leg)


def test_a_contact_of_an_answer_that_is_not_closed_loses_no_call(shared: Any, peer: Any) -> None:
    leg, invite = dialled(shared, peer)
    peer.respond(invite, 200, body=SDP, headers=f"Contact: <sip:peer@{peer.host}:{peer.port}\r\n")
    peer.expect("ACK")
    assert shared.take("LegAnswered")["leg"] == leg
    ended_by_us(shared, peer, leg)


@pytest.mark.parametrize("header", ["Record-Route: <sip:host:remote_port;lr>", "Max-Forwards: many", "Expires: x"])
def test_headers_that_are_needed_are_not_guessed(shared: Any, peer: Any, header: str) -> None:
    peer.request("INVITE", body=SDP, headers=f"{header}\r\n")
    peer.expect(400)
    assert shared.take("SourceMisbehaved")["kind"] == "malformed"
    shared.nothing(0.1)


def test_our_reinvite_and_glare(shared: Any, peer: Any) -> None:
    leg = connected(shared, peer)
    shared.do("offer", leg=leg, body=SDP)
    ours = peer.expect("INVITE")
    peer.request("INVITE", body=SDP)
    peer.expect(491)
    peer.request("ACK")
    peer.respond(ours, 491)
    peer.expect("ACK")
    again = peer.expect("INVITE", 3.0)  # up to 2 s, since the Call-ID is the peer's
    assert int(again["CSeq"].split()[0]) > int(ours["CSeq"].split()[0])
    peer.respond(again, 200, body=SDP)
    peer.expect("ACK")
    assert shared.take("OfferAnswered")["leg"] == leg
    ended_by_us(shared, peer, leg)


def test_an_offer_does_not_overtake_one_that_met_another(shared: Any, peer: Any) -> None:
    leg = connected(shared, peer)
    held, resumed = (SDP.replace("o=- 1 1", f"o=- 1 {version}") for version in (2, 3))
    shared.do("offer", leg=leg, body=held)
    peer.respond(peer.expect("INVITE"), 491)
    peer.expect("ACK")
    shared.do("offer", leg=leg, body=resumed)
    for body in (held, resumed):
        again = peer.expect("INVITE", 3.0)
        assert again.body == body
        peer.respond(again, 200, body=SDP)
        peer.expect("ACK")
        shared.take("OfferAnswered")
    ended_by_us(shared, peer, leg)


def test_reinvite_refused_and_dialog_lost(shared: Any, peer: Any) -> None:
    leg = connected(shared, peer)
    shared.do("offer", leg=leg, body=SDP)
    peer.respond(peer.expect("INVITE"), 488)
    peer.expect("ACK")
    assert shared.take("OfferRefused")["status"] == 488
    shared.do("offer", leg=leg, body=SDP)
    peer.respond(peer.expect("INVITE"), 481)
    assert {peer.receive().start.split()[0], peer.receive().start.split()[0]} == {"ACK", "BYE"}
    assert shared.take("LegEnded")["cause"] == "timeout"


def test_second_fork_is_acknowledged_and_ended(shared: Any, peer: Any) -> None:
    leg, invite = dialled(shared, peer)
    peer.respond(invite, 200, body=SDP, tag="one")
    peer.expect("ACK")
    shared.take("LegAnswered")
    peer.respond(invite, 200, body=SDP, tag="one")
    assert "tag=one" in peer.expect("ACK")["To"]
    peer.respond(invite, 200, body=SDP, tag="two")
    assert "tag=two" in peer.expect("ACK")["To"]
    bye = peer.expect("BYE")
    assert "tag=two" in bye["To"]
    peer.respond(bye, 200)
    shared.nothing(0.1)
    ended_by_us(shared, peer, leg)


def test_forks_without_end_are_not_followed(shared: Any, peer: Any) -> None:
    leg, invite = dialled(shared, peer)
    peer.respond(invite, 200, body=SDP, tag="one")
    peer.expect("ACK")
    shared.take("LegAnswered")
    for index in range(100):
        peer.respond(invite, 200, body=SDP, tag=f"fork-{index}")
    ended: set[str] = set()
    while len(ended) < 32:
        message = peer.receive()
        if message.method == "BYE":
            peer.respond(message, 200)
            ended.add(message["To"])
    peer.respond(invite, 200, body=SDP, tag="fork-0")
    assert "tag=fork-0" in peer.expect("ACK")["To"], "the last of the others are not answered"
    ended_by_us(shared, peer, leg)


def test_422_without_end_is_a_refusal(shared: Any, peer: Any) -> None:
    _, invite = dialled(shared, peer)
    for seconds in range(2000, 2008):
        peer.respond(invite, 422, headers=f"Min-SE: {seconds}\r\n")
        peer.expect("ACK")
        invite = peer.expect("INVITE")
        assert invite["Session-Expires"] == str(seconds)
    peer.respond(invite, 422, headers="Min-SE: 2008\r\n")
    peer.expect("ACK")
    assert shared.take("LegRefused")["status"] == 422
    peer.nothing(0.3)


def test_redirection_is_acknowledged_where_it_came_from(shared: Any, peer: Any) -> None:
    _, invite = dialled(shared, peer)
    peer.respond(invite, 302, headers="Contact: <sip:other@192.0.2.1>\r\n")
    ack = peer.expect("ACK")
    assert ack.start.split(" ")[1] == invite.start.split(" ")[1]
    refused = shared.take("LegRefused")
    assert refused["status"] == 302
    assert ["Contact", "<sip:other@192.0.2.1>"] in refused["headers"]


def test_no_reply_is_408_and_a_late_answer_is_ended(shared: Any, peer: Any) -> None:
    _, invite = dialled(shared, peer, no_reply_s=0.2)
    refused = shared.take("LegRefused")
    assert refused["status"] == 408
    peer.nothing(0.8)  # the request is not sent again to a target that was given up
    peer.respond(invite, 180)
    cancel = peer.expect("CANCEL")
    peer.respond(cancel, 200)
    peer.respond(invite, 200, body=SDP)
    peer.expect("ACK")
    peer.expect("BYE")
    shared.nothing(0.1)


def test_cancel_waits_for_a_provisional(shared: Any, peer: Any) -> None:
    leg, invite = dialled(shared, peer)
    shared.do("hang_up", leg=leg, reason="SIP;cause=200")
    peer.nothing(0.2)
    peer.respond(invite, 100)
    cancel = peer.expect("CANCEL")
    assert cancel["Reason"] == "SIP;cause=200"
    assert cancel.all("Via") == invite.all("Via")
    peer.respond(cancel, 200)
    peer.respond(invite, 487)
    peer.expect("ACK")
    shared.nothing(0.1)


def test_ring_time_is_over(shared: Any, peer: Any) -> None:
    _, invite = dialled(shared, peer, ring_s=0.2)
    peer.respond(invite, 180)
    shared.take("LegRang")
    peer.expect("CANCEL")
    assert shared.take("LegRefused")["status"] == 480


def test_junk_is_dropped_and_counted(shared: Any, peer: Any) -> None:
    shared.do("counters")
    before = shared.take("counters")["counters"].get("malformed", 0)
    peer.request("OPTIONS")
    good = peer.last
    peer.expect(200)
    junk = [
        b"\xff" * 100,
        b"INVITE sip:x SIP/2.0\r\n\r\n" + b"x" * 40,
        good.replace(b"CSeq: 1 OPTIONS", b"CSeq: 99999999999 OPTIONS"),
        good.replace(b"Content-Length: 0", b"Content-Length: 400"),
        good.replace(b"OPTIONS sip", b"BYE sip", 1),
        good[: len(good) // 2],
    ]
    for data in junk:
        peer.send(data)
    peer.send(b"\r\n\r\n")
    for _ in range(3):  # what holds all that an answer needs gets one
        peer.expect(400)
    peer.request("OPTIONS")
    peer.expect(200)
    peer.nothing(0.1)
    if before == 0:
        assert shared.take("SourceMisbehaved")["kind"] == "malformed"  # and once only
    shared.do("counters")
    assert shared.take("counters")["counters"]["malformed"] == before + len(junk)


def test_strangers_get_no_reply_and_contact_is_advertised() -> None:
    with (
        TurnedEndpoint(trusted=["192.0.2.0/24"], advertised=["198.51.100.7", 5099]) as endpoint,
        endpoint.peer() as peer,
    ):
        peer.request("INVITE", body=SDP)
        peer.send(b"x" * 50)
        peer.nothing(0.4)
        endpoint.do("counters")
        assert endpoint.take("counters")["counters"] == {"untrusted": 2}
        endpoint.do("dial", target=["127.0.0.1", peer.port], request_user="1", from_user="2")
        endpoint.take("dialled")
        invite = peer.expect("INVITE")
        assert "198.51.100.7:5099" in invite["Via"]
        assert "198.51.100.7:5099" in invite["Contact"]


def test_a_guest_is_answered_at_its_address_and_port_and_as_long_as_it_is_one() -> None:
    with TurnedEndpoint(trusted=["192.0.2.0/24"]) as endpoint, endpoint.peer() as guest, endpoint.peer() as other:
        endpoint.do("admit", guests=[["127.0.0.1", guest.port]])
        guest.request("INVITE", body=SDP)
        assert endpoint.take("CallOffered")["source"][1] == guest.port
        other.request("INVITE", body=SDP)
        other.nothing(0.1)
        endpoint.do("admit", guests=[])
        guest.request("OPTIONS")
        other.nothing(0.1)
        endpoint.do("counters")
        assert endpoint.take("counters")["counters"]["untrusted"] == 2


def test_watched_target() -> None:
    with (
        TurnedEndpoint(watch_every_s=0.1) as endpoint,
        endpoint.peer() as peer,
    ):
        endpoint.do("watch", target=["127.0.0.1", peer.port])
        peer.respond(peer.expect("OPTIONS"), 404)
        endpoint.nothing(0.05)
        assert endpoint.take("TargetChanged", 3.0)["is_alive"] is False
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            peer.respond(peer.receive(), 200)
            try:
                line = endpoint.take("TargetChanged", 0.1)
            except Exception:  # noqa: BLE001 - nothing yet
                continue
            assert line["is_alive"] is True
            return
        raise AssertionError("the target did not come back")


@pytest.mark.parametrize(
    ("then", "method"),
    [
        ({"do": "offer", "body": SDP}, "INVITE"),
        ({"do": "hang_up"}, "BYE"),
        ({"do": "send_info", "body": {"type": "application/dtmf-relay", "content": "Signal=7"}}, "INFO"),
    ],
)
@pytest.mark.parametrize("has_offer", [True, False])
def test_nothing_overtakes_the_ack(shared: Any, peer: Any, then: dict[str, Any], method: str, has_offer: bool) -> None:
    """RFC 3261 sections 14.1 and 15: neither a re-INVITE nor a BYE before the ACK, whenever the application asks."""
    more = {} if has_offer else {"body": None}
    _, invite = dialled(shared, peer, **more)
    if has_offer:
        shared.do("upon", event="LegAnswered", then=then)
    peer.respond(invite, 200, body=SDP)
    leg = shared.take("LegAnswered")["leg"]
    if not has_offer:
        shared.do("answer_offer", leg=leg, body=SDP)
        shared.do(then["do"], leg=leg, **{key: value for key, value in then.items() if key != "do"})
    peer.expect("ACK")
    peer.respond(peer.expect(method), 200, body=SDP if method == "INVITE" else "")
    peer.adopt(invite)
    if method != "BYE":
        if method == "INVITE":
            peer.expect("ACK")
            shared.take("OfferAnswered")
        ended_by_us(shared, peer, leg)


def test_a_bye_does_not_overtake_the_ack_of_an_offer(shared: Any, peer: Any) -> None:
    leg = talking(shared, peer)
    shared.do("upon", event="OfferAnswered", then={"do": "hang_up"})
    shared.do("offer", leg=leg, body=SDP)
    peer.respond(peer.expect("INVITE"), 200, body=SDP)
    shared.take("OfferAnswered")
    peer.expect("ACK")
    peer.respond(peer.expect("BYE"), 200)
