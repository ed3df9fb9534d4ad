"""Numbers that transfers may dial if PBX and trunk are one peer, as `recorder init` writes it (issue 15)."""

from collections.abc import Iterator

import pytest

from tests.helpers.exchange import Exchange, Talk
from tests.helpers.sip_peer import Call
from tests.helpers.transfers import expect_newcomer, refer, wait_told
from tests.helpers.virtual.exchange import exchange


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    mailbox = ("numbers = []   ", 'numbers = ["5000"] # ')
    with exchange(tmp_path_factory.mktemp("denied"), edits=(mailbox,)) as made:
        yield made


def dialled(lines: Exchange, number: str) -> bool:
    return any(f"sip:{number}@" in call.invite.uri for call in lines.offered())


def refused(leg: Call) -> int:
    """Wait for the answer to a REFER that is refused."""
    leg.wait_for(lambda call: bool(call.replies_to("REFER")))
    return leg.replies_to("REFER")[-1]


def alarms(lines: Exchange) -> int:
    return int(lines.home.health()["alarms"].get("transfer_denied", 0))


@pytest.fixture
def talk(lines: Exchange) -> Iterator[Talk]:
    talk = lines.call()
    talk.join()
    yield talk
    talk.hang_up()


@pytest.mark.parametrize("number", ["09061234567", "118500", "+12025550123", "909061234567"])
def test_a_callers_refer_dials_no_premium_number(lines: Exchange, talk: Talk, number: str) -> None:
    before = alarms(lines)
    refer(talk.first, number)
    assert refused(talk.first) == 603
    assert not dialled(lines, number)
    assert alarms(lines) == before + 1
    assert talk.live is not None
    assert talk.live["state"] == "recording", "the call goes on"
    assert number not in lines.home.said


def test_nor_does_an_officers(lines: Exchange, talk: Talk) -> None:
    alice = talk.wait_second()
    refer(alice, "09061234567")
    assert refused(alice) == 603
    assert not dialled(lines, "09061234567")


def test_nor_does_a_call_that_is_passed_on(lines: Exchange) -> None:
    passed = lines.call("4711")
    passed.first.wait_confirmed()
    refer(passed.first, "09061234567")
    assert refused(passed.first) == 603
    assert not dialled(lines, "09061234567")
    passed.first.hang_up()
    passed.wait_second().wait_ended()
    lines.talks.pop(passed.number)


def test_an_emergency_number_and_a_colleague_are_always_dialled(lines: Exchange, talk: Talk) -> None:
    lines.home.edit('deny = ["09", "118xxx", "00", "070", "087"]', 'deny = ["9", "1", "2"]')
    lines.home.act("/api/reload").raise_for_status()
    try:
        alice = talk.wait_second()
        refer(alice, "2777")
        assert refused(alice) == 603
        bob = expect_newcomer(talk, "2002")
        refer(alice, "2002")
        leg = bob.join()
        wait_told(alice, 200)
        services = expect_newcomer(talk, "9999")
        refer(leg, "9999")
        services.join()
        wait_told(leg, 200)
    finally:
        lines.home.edit('deny = ["9", "1", "2"]', 'deny = ["09", "118xxx", "00", "070", "087"]')
        lines.home.act("/api/reload").raise_for_status()


@pytest.mark.parametrize("number", ["20-02", "(20)02", "50-00"])
def test_a_number_of_ours_with_separators_is_looked_up_like_any_other(lines: Exchange, talk: Talk, number: str) -> None:
    lines.home.edit('deny = ["09", "118xxx", "00", "070", "087"]', 'deny = ["20", "50"]')
    lines.home.act("/api/reload").raise_for_status()
    try:
        alice = talk.wait_second()
        refer(alice, number)
        assert refused(alice) == 603
    finally:
        lines.home.edit('deny = ["20", "50"]', 'deny = ["09", "118xxx", "00", "070", "087"]')
        lines.home.act("/api/reload").raise_for_status()
