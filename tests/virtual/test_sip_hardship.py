"""SipEndpoint in virtual time with peers that stop answering, or whose Contact cannot be used."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.helpers import sip_process
from tests.helpers.sip_calls import connected, dialled, ended_by_us
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


def test_trying_and_then_nothing_is_given_up(shared: Any, peer: Any) -> None:
    _, invite = dialled(shared, peer, ring_s=0.3)
    peer.respond(invite, 100)
    assert shared.take("LegRefused", 3.0)["status"] == 480
    peer.respond(peer.expect("CANCEL"), 200)
    peer.respond(invite, 487)
    peer.expect("ACK")
    shared.nothing(0.1)


@pytest.mark.parametrize("contact", ["sip:peer@phone.invalid:5070", "tel:peer"])
def test_contact_with_a_name_is_answered_where_it_came_from(shared: Any, peer: Any, contact: str) -> None:
    leg, invite = dialled(shared, peer)
    peer.respond(invite, 200, body=SDP, headers=f"Contact: <{contact}>\r\n")
    assert peer.expect("ACK").start.split(" ")[1].split(";")[0] == f"sip:peer@127.0.0.1:{peer.port}"
    shared.take("LegAnswered")
    ended_by_us(shared, peer, leg)


def test_offered_contact_with_a_name(shared: Any, peer: Any) -> None:
    leg = connected(shared, peer, contact="<sip:peer@phone.invalid>")
    ended_by_us(shared, peer, leg)


def test_closing_leaves_the_legs_that_are_kept() -> None:
    with (
        TurnedEndpoint() as own,
        own.peer() as kept,
        own.peer() as other,
    ):
        legs = []
        for peer in (kept, other):
            leg, invite = dialled(own, peer)
            peer.respond(invite, 200, body=SDP)
            peer.expect("ACK")
            own.take("LegAnswered")
            legs.append(leg)
        own.do("close", keep=legs[:1])
        other.expect("BYE")
        own.close()  # and so does the second close, when the process ends
        kept.nothing(0.5)
