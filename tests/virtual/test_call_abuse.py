"""Peers that flood, forge and send false data: the right answer or none, one alarm, and other calls unaffected."""

from collections.abc import Iterator

import pytest

from tests.helpers.exchange import Exchange
from tests.helpers.recorder_home import eventually
from tests.helpers.virtual.exchange import exchange


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    limits = (("calls_per_s = 100.0", "calls_per_s = 6.0"), ("max_passed = 5000", "max_passed = 2"))
    with exchange(tmp_path_factory.mktemp("abuse"), edits=limits) as made:
        yield made


def alarms(lines: Exchange) -> dict[str, int]:
    found: dict[str, int] = lines.home.health()["alarms"]
    return found


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("P-Asserted-Identity", '"Alice" <sip:2001@pbx>'),
        ("Diversion", "<sip:9@pbx>, <sip:2002@pbx>;reason=no-answer"),
        ("History-Info", "<sip:4711@pbx>;index=1, <sip:3001@pbx?Reason=SIP%3Bcause%3D302>;index=1.1"),
    ],
)
def test_a_nominated_number_on_a_call_that_is_passed_through_alarms(lines: Exchange, name: str, value: str) -> None:
    # The PBX is believed, so a nominated identity that calls is recorded; from a trunk it is a lie or a rule missing.
    lines.home.edit("is_inside = true", "is_inside = false")
    lines.home.act("/api/reload").raise_for_status()
    try:
        before = alarms(lines).get("nominated_passed", 0)
        talk = lines.call("4711", headers=[(name, value)])
        talk.first.wait_confirmed()
        assert alarms(lines)["nominated_passed"] == before + 1
        talk.first.hang_up()
        talk.first.wait_ended()
        plain = lines.call("4711", headers=[("X-Note", value)])
        plain.first.wait_confirmed()
        plain.first.hang_up()
        plain.first.wait_ended()
        assert alarms(lines)["nominated_passed"] == before + 1
    finally:
        lines.home.edit("is_inside = false", "is_inside = true")
        lines.home.act("/api/reload").raise_for_status()


def test_calls_that_are_passed_are_bounded_but_for_999(lines: Exchange) -> None:
    eventually(lambda: lines.home.health()["calls"] == 0, "no call is left")
    first, second = lines.call("4711"), lines.call("4712")
    for talk in (first, second):
        talk.first.wait_confirmed()
    third = lines.call("4713")
    third.first.wait_ended()
    assert third.first.status == 503
    emergency = lines.call("999")
    emergency.first.wait_confirmed()
    for talk in (first, second, emergency):
        talk.first.hang_up()
        talk.first.wait_ended()
    eventually(lambda: lines.home.health()["calls"] == 0, "no call is left")
    again = lines.call("4711")
    again.first.wait_confirmed()
    again.first.hang_up()
