"""A recorder whose peers lie, flood and forge: the right answer or none, one alarm, and calls beside it untouched."""

from collections.abc import Iterator

import pytest

from tests.helpers.exchange import Exchange, exchange


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    limits = (("calls_per_s = 100.0", "calls_per_s = 6.0"), ("max_passed = 5000", "max_passed = 2"))
    with exchange(tmp_path_factory.mktemp("abuse"), edits=limits) as made:
        yield made


def alarms(lines: Exchange) -> dict[str, int]:
    found: dict[str, int] = lines.home.health()["alarms"]
    return found


def test_a_flood_of_calls_leaves_the_call_that_stands_and_999_alone(lines: Exchange) -> None:
    talk = lines.call()
    talk.join()
    flood = [lines.call("4711") for _ in range(60)]
    emergency = lines.call("999")
    emergency.first.wait_confirmed()
    emergency.first.hang_up()
    for one in flood:
        one.first.wait_ended(8) if one.first.status >= 300 else one.first.hang_up()
    assert talk.wait_phase("joined")
    assert talk.hang_up()["outcome"] == "recorded"
    health = lines.home.health()
    assert health["signalling"]["rate_limited"] > 0
    assert health["alarms"]["source_rate_limited"] == 1, "one alarm, not one a packet"
    assert "Traceback" not in lines.home.said
    assert lines.home.said.count("more new calls or requests") == 1
