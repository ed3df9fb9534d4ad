"""REFER between trunk and PBX: the route depends on the number in the REFER, not on its sender."""

from collections.abc import Iterator

import pytest

from tests.helpers.exchange import Exchange
from tests.helpers.recorder_home import eventually
from tests.helpers.sip_peer import Answer, Caller
from tests.helpers.transfers import expect_newcomer, refer, wait_told
from tests.helpers.virtual.exchange import exchange

TRUNK = "127.0.0.5"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Exchange, Caller]]:
    """A recorder between a trunk, which refuses what it is sent, and a PBX."""
    with exchange(tmp_path_factory.mktemp("way"), is_started=False) as lines, lines.caller_at((TRUNK, 0)) as trunk:
        config, pbx = lines.home.config, f"127.0.0.1:{lines.officer.address[1]}"
        text = config.read_text()
        peer = f'[[peer]]\nname = "carrier"\nnetworks = ["{TRUNK}/32"]\nis_inside = false\n\n[[peer]]\n'
        ways = f'''[[route]]
name = "in"
peer = "carrier"
targets = ["{pbx}"]

[[route]]
name = "out"
targets = ["{TRUNK}:{trunk.address[1]}"]

[[route]]
'''
        config.write_text(text.replace("[[peer]]\n", peer, 1).replace("[[route]]\n", ways, 1))
        lines.home.start()
        yield lines, trunk


def called(trunk: Caller, number: str) -> bool:
    return any(f"sip:{number}@" in call.invite.uri for call in trunk.incoming())


def test_a_nominated_number_is_dialled_inside(site: tuple[Exchange, Caller]) -> None:
    lines, trunk = site
    talk = lines.expect("07700900001")
    talk.first = trunk.invite(lines.home.sip, "2001", from_number=talk.number, media=talk.left.media())
    talk.join()
    alice = talk.wait_second()
    bob = expect_newcomer(talk, "2002")
    refer(alice, "2002")
    leg = bob.join()
    wait_told(alice, 200)
    row = talk.hang_up()
    leg.wait_ended()
    bob.voice.hush()
    assert row["operators"] == ["alice", "bob"]
    assert not called(trunk, "2002")


def test_a_short_number_is_dialled_inside_first_and_then_as_the_pbx_dials_out(site: tuple[Exchange, Caller]) -> None:
    lines, trunk = site
    talk = lines.expect("07700900002")
    talk.first = trunk.invite(lines.home.sip, "2001", from_number=talk.number, media=talk.left.media())
    talk.join()
    alice = talk.wait_second()
    expect_newcomer(talk, "4000", answer=Answer(status=486, after_s=0.05))
    refer(alice, "4000")
    wait_told(alice, 486)
    assert not called(trunk, "4000"), "it is there, and busy"
    expect_newcomer(talk, "4001", answer=Answer(status=404, after_s=0.05))
    refer(alice, "4001")
    eventually(lambda: called(trunk, "4001"), "the PBX does not know it, the trunk may")
    talk.hang_up()


@pytest.mark.parametrize("number", ["07700900123", "999"])
def test_a_number_that_is_outside_goes_where_calls_of_the_pbx_go(site: tuple[Exchange, Caller], number: str) -> None:
    lines, trunk = site
    talk = lines.expect(f"0770090{number[-4:]}")
    talk.first = trunk.invite(lines.home.sip, "2001", from_number=talk.number, media=talk.left.media())
    talk.join()
    refer(talk.wait_second(), number)
    eventually(lambda: called(trunk, number), "it is dialled to the trunk")
    assert not any(f"sip:{number}@" in call.invite.uri for call in lines.offered())
    talk.hang_up()
