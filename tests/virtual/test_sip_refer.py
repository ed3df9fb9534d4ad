"""REFER inside a dialog, the NOTIFYs that follow, INVITE with Replaces, and names that change, in virtual time."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.helpers import sip_process
from tests.helpers.sip_calls import answered, ended_by_us, offered
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


def connected(shared: Any, peer: Any) -> int:
    """Return the leg of an answered call that the peer placed."""
    leg = offered(shared, peer)
    answer = answered(shared, peer, leg)
    assert "REFER" in answer["Allow"]
    assert "replaces" in answer["Supported"]
    return leg


def referred(shared: Any, peer: Any, refer_to: str = "<sip:2002@pbx>", more: str = "") -> Any:
    peer.request("REFER", headers=f"Refer-To: {refer_to}\r\n{more}")
    return shared.take("ReferReceived")


def heard(peer: Any, status: int, state: str, event: str = "refer") -> Any:
    """Take the next NOTIFY, answer it, and check what it says."""
    notify = peer.expect("NOTIFY")
    peer.respond(notify, 200)
    assert notify.body.startswith(f"SIP/2.0 {status} ")
    assert notify["Subscription-State"].startswith(state)
    assert notify["Event"] == event
    assert notify["Content-Type"].startswith("message/sipfrag")
    assert notify["Contact"]
    return notify


def test_a_transfer_is_accepted_followed_and_told_to_its_end(shared: Any, peer: Any) -> None:
    leg = connected(shared, peer)
    event = referred(shared, peer)
    assert (event["leg"], event["user"], event["replaces"], event["replaced_leg"]) == (leg, "2002", None, None)
    assert event["source"] == ["127.0.0.1", peer.port]
    shared.do("accept_refer", leg=leg)
    assert peer.expect(202)["Contact"]
    heard(peer, 100, "active;expires=")
    shared.do("notify", leg=leg, status=180)
    heard(peer, 180, "active")
    shared.do("notify", leg=leg, status=486, phrase="Busy Here")
    last = heard(peer, 486, "terminated;reason=noresource")
    assert last.body == "SIP/2.0 486 Busy Here\r\n"
    shared.do("notify", leg=leg, status=200)  # the last word was said
    event = referred(shared, peer)
    shared.do("accept_refer", leg=leg)
    peer.expect(202)
    heard(peer, 100, "active", f"refer;id={peer.cseq}")
    shared.do("notify", leg=leg, status=200)
    heard(peer, 200, "terminated", f"refer;id={peer.cseq}")
    shared.do("hang_up", leg=leg)
    bye = peer.expect("BYE")
    peer.respond(bye, 200)


def test_a_second_refer_has_to_wait_and_a_refused_one_changes_nothing(shared: Any, peer: Any) -> None:
    leg = connected(shared, peer)
    referred(shared, peer)
    peer.request("REFER", headers="Refer-To: <sip:2003@pbx>\r\n")
    peer.expect(491)
    shared.do("refuse_refer", leg=leg, status=603)
    peer.expect(603)
    peer.request("REFER", headers="Refer-To: <sips:2003@pbx>\r\n")
    peer.expect(416)
    peer.request("REFER", headers="X: no Refer-To\r\n")
    peer.expect(400)
    shared.nothing(0.1)
    peer.request("BYE")
    peer.expect(200)
    assert shared.take("LegEnded")["leg"] == leg
    peer.request("REFER", headers="Refer-To: <sip:2002@pbx>\r\n")
    peer.expect(481)


def test_whoever_wants_no_progress_gets_none(shared: Any, peer: Any) -> None:
    leg = connected(shared, peer)
    referred(shared, peer, more="Refer-Sub: false\r\nRequire: norefersub\r\n")
    shared.do("accept_refer", leg=leg)
    assert peer.expect(202)["Refer-Sub"] == "false"
    shared.do("notify", leg=leg, status=200)
    ended_by_us(shared, peer, leg)


def test_our_bye_waits_for_the_answer_to_the_last_word(shared: Any, peer: Any) -> None:
    leg = connected(shared, peer)
    referred(shared, peer)
    shared.do("accept_refer", leg=leg)
    peer.expect(202)
    heard(peer, 100, "active")
    shared.do("notify", leg=leg, status=200)
    shared.do("hang_up", leg=leg)
    notify = peer.expect("NOTIFY")
    assert peer.receive().method == "NOTIFY", "it is sent again, and no BYE before it is answered"
    peer.respond(notify, 200)
    peer.respond(peer.expect("BYE"), 200)


def test_the_transferor_may_hang_up_before_the_last_word(shared: Any, peer: Any) -> None:
    leg = connected(shared, peer)
    referred(shared, peer)
    shared.do("accept_refer", leg=leg)
    peer.expect(202)
    heard(peer, 100, "active")
    peer.request("BYE")
    peer.expect(200)
    assert shared.take("LegEnded")["cause"] == "bye"
    shared.do("notify", leg=leg, status=200)
    peer.respond(peer.expect("NOTIFY"), 481)
    shared.nothing(0.1)


def test_refer_outside_a_dialog_is_not_taken(shared: Any, peer: Any) -> None:
    peer.request("REFER", headers="Refer-To: <sip:2002@pbx>\r\n")
    assert "REFER" in peer.expect(405)["Allow"]


def test_replaces_finds_the_leg_that_it_names(shared: Any, peer: Any) -> None:
    leg = connected(shared, peer)
    ours = peer.remote_to.partition(";tag=")[2]
    name = f"{peer.call_id};to-tag={ours};from-tag={peer.tag}"
    with shared.peer() as other:
        other.request("INVITE", body=SDP, headers=f"Require: replaces\r\nReplaces: {name};early-only\r\n")
        other.expect(486)
        other.request("ACK")
    with shared.peer() as other:
        other.request("INVITE", body=SDP, headers=f"Replaces: {peer.call_id};to-tag={peer.tag};from-tag={ours}\r\n")
        other.expect(481)  # the tags are the other way round
        other.request("ACK")
    with shared.peer() as other:
        other.request("INVITE", body=SDP, headers=f"Replaces: {name}\r\n")
        other.expect(100)
        event = shared.take("CallOffered")
        assert event["replaced_leg"] == leg
        shared.do("refuse", leg=event["leg"], status=603, phrase="Decline")
        other.expect(603)
        other.request("ACK")
    with shared.peer() as other:
        again = connected(shared, other)
        quoted = name.replace(";", "%3B").replace("=", "%3D").replace("@", "%40")
        event = referred(shared, other, f"<sip:2002@pbx?Replaces={quoted}>")
        assert (event["leg"], event["replaced_leg"], event["replaces"]) == (again, leg, name)
        shared.do("refuse_refer", leg=again, status=603)
        other.expect(603)
    peer.request("BYE")
    peer.expect(200)
    shared.take("LegEnded")
    with shared.peer() as other:
        other.request("INVITE", body=SDP, headers=f"Replaces: {name}\r\n")
        other.expect(603)  # it has ended (RFC 3891 section 3)


def test_another_name_on_a_leg_is_told_once(shared: Any, peer: Any) -> None:
    leg = connected(shared, peer)
    named = "P-Asserted-Identity: <sip:2002@pbx>\r\n"
    for _ in range(2):
        peer.request("UPDATE", headers=named)
        peer.expect(200)
    event = shared.take("IdentityChanged")
    assert (event["leg"], event["user"]) == (leg, "2002")
    shared.nothing(0.1)
    peer.request("INVITE", body=SDP, headers="P-Asserted-Identity: <sip:4000@pbx>\r\n")
    assert shared.take("IdentityChanged")["user"] == "4000"
    assert shared.take("OfferReceived")["leg"] == leg
    shared.do("answer_offer", leg=leg, body=SDP)
    peer.expect(200)
    peer.request("ACK")


DISPLAY = "Content-Type: message/update_display\r\nX-FS-Display-Name: Carol\r\n"


def test_an_info_that_has_us_show_another_number_names_another_party(shared: Any, peer: Any) -> None:
    """FreeSWITCH says so who is there now, without a body, to whoever has shown its X-FS-Support."""
    leg = connected(shared, peer)
    peer.request("INFO", headers=f"{DISPLAY}X-FS-Display-Number: 4000\r\n")
    peer.expect(200)
    event = shared.take("IdentityChanged")
    assert (event["leg"], event["user"]) == (leg, "4000")
    assert event["headers"] == [["P-Asserted-Identity", "<sip:4000@127.0.0.1>"]]
    peer.request("INFO", headers=f"{DISPLAY}X-FS-Display-Number: sip:4000@pbx\r\n")
    peer.expect(200)
    shared.nothing(0.1)
    peer.request("UPDATE", headers='P-Asserted-Identity: "Bob" <2002>\r\n')
    assert shared.take("IdentityChanged")["user"] == "2002", "a number without a scheme, as FreeSWITCH writes it"


@pytest.mark.parametrize("number", ["", 'X-FS-Display-Number: <a"b>\r\n', "X-FS-Display-Number:  \r\n"])
def test_such_an_info_that_names_nobody_is_not_understood(shared: Any, peer: Any, number: str) -> None:
    connected(shared, peer)
    peer.request("INFO", headers=f"{DISPLAY}{number}")
    assert peer.expect(415)["Accept"]
    shared.nothing(0.1)
