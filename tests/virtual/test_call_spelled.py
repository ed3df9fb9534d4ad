"""A nominated extension is recorded however it is dialled, and however the file has it.

That is with separators, or as a number that a route shortens, be it to the PBX alone or to a way round as well.
"""

from collections.abc import Iterator

import pytest

from tests.helpers.exchange import Exchange
from tests.helpers.recorder_home import NOTICE_S
from tests.helpers.sip_peer import Answer, Caller
from tests.helpers.virtual.exchange import exchange

TRUNK = "127.0.0.5"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Exchange, Caller]]:
    """A recorder between a trunk, which dials whole numbers, and a PBX, which rings the last four digits of them."""
    folder, bob = tmp_path_factory.mktemp("spelled"), ('number = "2002"', 'number = "20-02"')
    with exchange(folder, edits=(bob,), is_started=False) as lines, lines.caller_at((TRUNK, 0)) as trunk:
        config, pbx = lines.home.config, f"127.0.0.1:{lines.officer.address[1]}"
        peer = f'[[peer]]\nname = "carrier"\nnetworks = ["{TRUNK}/32"]\nis_inside = false\n\n[[peer]]\n'
        ways = f'''[[route]]
name = "in"
peer = "carrier"
number = "0163296"
strip = 7
targets = ["{pbx}"]

[[route]]
name = "in or round"
peer = "carrier"
number = "0188"
strip = 7
targets = ["{pbx}", "{TRUNK}:{trunk.address[1]}"]

[[route]]
name = "out"
number = "9"
strip = 1
targets = ["{TRUNK}:{trunk.address[1]}"]

[[route]]
'''
        text = config.read_text()
        config.write_text(text.replace("[[peer]]\n", peer, 1).replace("[[route]]\n", ways, 1))
        lines.home.start()
        yield lines, trunk


@pytest.mark.parametrize(
    ("caller", "dialled"),
    [*enumerate(["20-01", "(20)01", "2001.", "20%2001", "01632962001", "0163296-2001", "01882962001"], 1)],
)
def test_it_is_recorded_after_the_notice(site: tuple[Exchange, Caller], caller: int, dialled: str) -> None:
    lines, trunk = site
    talk = lines.expect(f"0770090{caller:04d}")
    talk.first = trunk.invite(lines.home.sip, dialled, from_number=talk.number, media=talk.left.media())
    talk.join()
    talk.talk_for(0.5)
    row = talk.hang_up()
    assert (row["outcome"], row["extension"], row["operator"]) == ("recorded", "2001", "alice")
    assert (row["direction"], row["notice"]["complete"]) == ("inbound", True)


def test_it_is_the_same_call_where_the_pbx_names_who_answered(site: tuple[Exchange, Caller]) -> None:
    lines, trunk = site
    named = Answer(after_s=0.05, headers=(("P-Asserted-Identity", "<sip:2001@pbx>"),))
    talk = lines.expect("07700900111", answer=named)
    talk.first = trunk.invite(lines.home.sip, "01632962001", from_number=talk.number, media=talk.left.media())
    talk.join()
    talk.talk_for(0.5)
    row = talk.hang_up()
    assert (row["outcome"], row["extension"], row["operators"]) == ("recorded", "2001", ["alice"])


@pytest.mark.parametrize(("caller", "dialled"), [*enumerate(["2002", "20-02", "(20)02", "01632962002"], 21)])
def test_an_extension_that_the_file_has_with_separators_is_that_one(
    site: tuple[Exchange, Caller], caller: int, dialled: str
) -> None:
    lines, trunk = site
    talk = lines.expect(f"0770090{caller:04d}")
    talk.first = trunk.invite(lines.home.sip, dialled, from_number=talk.number, media=talk.left.media())
    talk.join()
    talk.talk_for(0.5)
    row = talk.hang_up()
    assert (row["outcome"], row["extension"], row["operators"]) == ("recorded", "20-02", ["bob"])


def test_an_extension_that_the_file_has_with_separators_calls_out(site: tuple[Exchange, Caller]) -> None:
    lines, trunk = site
    placed = lines.caller.invite(lines.home.sip, "907700900150", from_number="2002")
    placed.wait_for(lambda call: bool(trunk.incoming()), NOTICE_S + 5)
    placed.wait_ended()
    row = lines.home.row_of("907700900150")
    assert (row["direction"], row["extension"], row["operators"]) == ("outbound", "20-02", ["bob"])


def test_an_outside_number_that_ends_like_an_extension_is_none(site: tuple[Exchange, Caller]) -> None:
    lines, trunk = site
    placed = lines.caller.invite(lines.home.sip, "92002", from_number="2001")
    placed.wait_for(lambda call: bool(trunk.incoming()), NOTICE_S + 5)
    assert "sip:2002@" in trunk.incoming()[-1].invite.uri
    placed.wait_ended()
    row = lines.home.row_of("92002")
    assert (row["direction"], row["extension"], row["operators"]) == ("outbound", "2001", ["alice"])


@pytest.mark.parametrize(("caller", "dialled"), [*enumerate(["2001%3bx", "2001%3Bphone-context=x", "2001%3ax"], 31)])
def test_an_escaped_delimiter_ends_the_number_that_is_judged_and_dialled(
    site: tuple[Exchange, Caller], caller: int, dialled: str
) -> None:
    lines, trunk = site
    talk = lines.expect(f"0770090{caller:04d}")
    talk.first = trunk.invite(lines.home.sip, dialled, from_number=talk.number, media=talk.left.media())
    talk.join()
    assert talk.wait_second().invite.uri.startswith("sip:2001@")
    talk.talk_for(0.5)
    row = talk.hang_up()
    assert (row["outcome"], row["extension"], row["notice"]["complete"]) == ("recorded", "2001", True)


@pytest.mark.parametrize("dialled", ["2001%2F", "2001%26x", "2001,x", "2001%253bx"])
def test_a_number_that_peers_read_differently_is_refused(site: tuple[Exchange, Caller], dialled: str) -> None:
    lines, trunk = site
    rung = len(lines.officer.incoming())
    refused = trunk.invite(lines.home.sip, dialled, from_number="07700900041")
    refused.wait_ended()
    assert refused.status == 404
    assert len(lines.officer.incoming()) == rung


@pytest.mark.parametrize(
    ("called", "headers"),
    [
        ("907700900161", (("P-Asserted-Identity", "<sip:01632960999@pbx>, <sip:2001@pbx>"),)),
        ("907700900162", (("P-Asserted-Identity", "<sip:01632960999@pbx>"), ("P-Asserted-Identity", "<tel:2001>"))),
        ("907700900163", (("Remote-Party-ID", "<sip:2001@pbx>;party=calling;privacy=off"),)),
    ],
)
def test_a_nominated_extension_calls_out_whichever_value_names_it(
    site: tuple[Exchange, Caller], called: str, headers: tuple[tuple[str, str], ...]
) -> None:
    lines, trunk = site
    placed = lines.caller.invite(lines.home.sip, called, from_number="anonymous", headers=headers)
    placed.wait_for(lambda call: any(called[1:] in one.invite.uri for one in trunk.incoming()), NOTICE_S + 5)
    placed.wait_ended()
    row = lines.home.row_of(called)
    assert (row["direction"], row["extension"], row["operators"]) == ("outbound", "2001", ["alice"])
