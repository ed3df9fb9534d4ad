"""A 3xx: followed where a route says so and a peer is there, not in circles; else passed to the caller."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import sip_process
from tests.helpers.recorder_home import RecorderHome, eventually, recorder_home

SDP = sip_process.SDP
FOLLOWED, PASSED = "5001", "5002"
ANNOUNCED = "2001"
"""A nominated extension: its callers are answered and hear the notice before it rings. Its route follows no 3xx."""


class Sides:
    """A caller and two officers' exchanges on raw sockets, and the daemon between them."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.first = stack.enter_context(sip_process.Peer(("127.0.0.1", 9)))
        self.second = stack.enter_context(sip_process.Peer(("127.0.0.1", 9)))
        self.home: RecorderHome = stack.enter_context(
            recorder_home(folder, next_hop=f"127.0.0.1:{self.first.port}", edits=[(
                "[[route]]",
                f'[[route]]\nname = "followed"\nnumber = "{FOLLOWED}"\ntargets = ["127.0.0.1:{self.first.port}"]\n'
                "follow_redirects = true\n\n[[route]]",
            )])
        )  # fmt: skip
        self.first.remote = self.second.remote = self.home.sip

    def caller(self, number: str = FOLLOWED) -> Any:
        peer = sip_process.Peer(self.home.sip)
        peer.target = f"sip:{number}@127.0.0.1"
        return peer


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sides]:
    with ExitStack() as stack:
        yield Sides(stack, tmp_path_factory.mktemp("redirect"))


def redirect(peer: Any, invite: Any, *contacts: str) -> None:
    peer.respond(invite, 302, headers="".join(f"Contact: {contact}\r\n" for contact in contacts))
    peer.expect("ACK")


def test_it_is_followed_to_the_best_contact(sides: Sides) -> None:
    with sides.caller() as caller:
        caller.request("INVITE", body=SDP)
        invite = sides.first.expect("INVITE")
        there = f"<sip:2099@127.0.0.1:{sides.second.port}>;q=0.9"
        redirect(sides.first, invite, "<sip:2098@127.0.0.1:9>;q=0.1", there)
        again = sides.second.expect("INVITE")
        assert again.start.startswith(f"INVITE sip:2099@127.0.0.1:{sides.second.port}")
        assert again.body == SDP
        sides.second.respond(again, 200, body=SDP)
        sides.second.expect("ACK")
        caller.learn(caller.expect(200))
        caller.request("ACK")
        caller.request("BYE")
        sides.second.respond(sides.second.expect("BYE"), 200)
        caller.expect(200)


def test_a_circle_ends_with_the_last_redirection(sides: Sides) -> None:
    with sides.caller() as caller:
        caller.request("INVITE", body=SDP)
        to_second = f"<sip:2099@127.0.0.1:{sides.second.port}>"
        to_first = f"<sip:2099@127.0.0.1:{sides.first.port}>"
        redirect(sides.first, sides.first.expect("INVITE"), to_second)
        redirect(sides.second, sides.second.expect("INVITE"), to_first)
        redirect(sides.first, sides.first.expect("INVITE"), to_second)
        assert caller.expect(302)["Contact"] == to_second
        sides.second.nothing(0.3)


def test_a_denied_number_is_not_followed_and_the_next_best_is(sides: Sides) -> None:
    with sides.caller() as caller:
        caller.request("INVITE", body=SDP)
        premium = f"<sip:09061234567@127.0.0.1:{sides.second.port}>;q=0.9"
        redirect(sides.first, sides.first.expect("INVITE"), premium)
        assert caller.expect(302)["Contact"] == premium
    with sides.caller() as caller:
        caller.request("INVITE", body=SDP)
        other = f"<sip:2099@127.0.0.1:{sides.second.port}>;q=0.1"
        redirect(sides.first, sides.first.expect("INVITE"), premium, other)
        again = sides.second.expect("INVITE")
        assert again.start.startswith("INVITE sip:2099@")
        sides.second.respond(again, 486)
        sides.second.expect("ACK")
        caller.expect(486)
    assert sides.home.health()["alarms"]["transfer_denied"] == 2


@pytest.mark.parametrize(
    "contact", ["<sip:00900123@203.0.113.9>", "<sip:2001@evil.example>", "<tel:999>", "*", "<sip:127.0.0.1>"]
)
def test_a_stranger_a_name_and_nonsense_are_not_dialled(sides: Sides, contact: str) -> None:
    with sides.caller() as caller:
        caller.request("INVITE", body=SDP)
        redirect(sides.first, sides.first.expect("INVITE"), contact)
        caller.expect(302)
        sides.first.nothing(0.2)


def announced(sides: Sides, caller: Any) -> Any:
    """Place a call that is answered for the notice; return the INVITE that goes on after it."""
    caller.request("INVITE", body=SDP)
    caller.learn(caller.expect(200))
    caller.request("ACK")
    return sides.first.expect("INVITE")


def newest_row(sides: Sides, known: set[str]) -> dict[str, Any]:
    return eventually(
        lambda: next((row for row in sides.home.rows() if row["id"] not in known), None), "the call has a row"
    )


@pytest.mark.parametrize(
    ("contact", "outcome", "operator"),
    [("2002", "failed", "bob"), ("4711", "blocked", "alice"), ("2001", "failed", "alice")],
)
def test_it_is_followed_for_a_caller_who_was_answered(sides: Sides, contact: str, outcome: str, operator: str) -> None:
    """They cannot be redirected any more; the call is recorded as who is nominated at the new number."""
    known = {row["id"] for row in sides.home.rows()}
    with sides.caller(ANNOUNCED) as caller:
        invite = announced(sides, caller)
        premium = f"<sip:09061234567@127.0.0.1:{sides.second.port}>;q=0.9"
        redirect(sides.first, invite, premium, f"<sip:{contact}@127.0.0.1:{sides.second.port}>;q=0.5")
        again = sides.second.expect("INVITE")
        assert again.start.startswith(f"INVITE sip:{contact}@127.0.0.1:{sides.second.port}")
        sides.second.respond(again, 200, body=SDP)
        sides.second.expect("ACK")
        eventually(lambda: sides.home.calls()[0]["phase"] == "joined", "both sides are joined")
        caller.request("BYE")
        caller.expect(200)
        sides.second.respond(sides.second.expect("BYE"), 200)
    row = newest_row(sides, known)
    assert (row["outcome"], row["operator"]) == (outcome, operator)
    assert contact in {row["called"], *row["numbers"]}


def test_a_caller_who_was_answered_is_not_led_in_circles_and_is_told_why(sides: Sides) -> None:
    known = {row["id"] for row in sides.home.rows()}
    with sides.caller(ANNOUNCED) as caller:
        invite = announced(sides, caller)
        to_second = f"<sip:2001@127.0.0.1:{sides.second.port}>"
        to_first = f"<sip:2001@127.0.0.1:{sides.first.port}>"
        redirect(sides.first, invite, to_second)
        redirect(sides.second, sides.second.expect("INVITE"), to_first)
        redirect(sides.first, sides.first.expect("INVITE"), to_second)
        bye = caller.expect("BYE")
        assert bye["Reason"] == "SIP;cause=302"
        caller.respond(bye, 200)
        sides.second.nothing(0.3)
    row = newest_row(sides, known)
    assert (row["outcome"], row["reason"]) == ("no_conversation", "refused_302")


@pytest.mark.parametrize(("status", "contact"), [(302, "<sip:00900123@203.0.113.9>"), (301, "<tel:999>"), (486, "")])
def test_a_caller_who_was_answered_hears_a_tone_and_gets_the_reason(sides: Sides, status: int, contact: str) -> None:
    with sides.caller(ANNOUNCED) as caller:
        invite = announced(sides, caller)
        sides.first.respond(invite, status, headers=f"Contact: {contact}\r\n" if contact else "")
        sides.first.expect("ACK")
        eventually(lambda: [call["phase"] for call in sides.home.calls()] == ["clearing"], "the tone is played")
        bye = caller.expect("BYE")
        assert bye["Reason"] == f"SIP;cause={status}"
        caller.respond(bye, 200)
