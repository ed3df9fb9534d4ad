"""What a dispatcher is told of a recorder that is full or cannot record, and what becomes of calls meanwhile."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from recorder.service.disk_faults import TRIES
from tests.helpers.exchange import Exchange, Talk
from tests.helpers.virtual.dispatcher import asked
from tests.helpers.virtual.exchange import exchange

WELCOME = (200, "", "")
FULL = (503, '399 recorder "full"', "")
CANNOT = (503, '399 recorder "recordings cannot be written"', "")
RULES = (
    ("refuse_options = false", "refuse_options = true"),
    ('when_disk_fails = "take"', 'when_disk_fails = "refuse"'),
    ("max_calls = 1000", "max_calls = 2"),
)


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """A recorder with room for two calls, behind a dispatcher."""
    with exchange(tmp_path_factory.mktemp("full"), edits=RULES) as made:
        yield made


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """A recorder with room for one call, and nothing in front of it."""
    with exchange(tmp_path_factory.mktemp("plain"), edits=(("max_calls = 1000", "max_calls = 1"),)) as made:
        yield made


def refused(talk: Talk) -> tuple[int, str, str]:
    talk.first.wait_ended()
    final = [message for message in talk.first.received if message.status and message.status >= 300][-1]
    return final.status or 0, final.value("Warning"), final.value("Retry-After")


def daemon_of(lines: Exchange) -> Any:
    return cast(Any, lines.home).daemon_now._daemon


def passes(lines: Exchange, number: str) -> None:
    talk = lines.call(number)
    talk.first.wait_confirmed()
    talk.first.hang_up()
    talk.first.wait_ended()


def test_a_full_recorder_says_so_until_it_has_room(lines: Exchange) -> None:
    first = lines.call()
    first.join()
    assert asked(lines) == WELCOME
    second = lines.call("2002")
    second.join()
    assert asked(lines) == FULL
    assert refused(lines.call("3001")) == FULL
    passes(lines, "999")
    first.hang_up()
    assert asked(lines) == WELCOME
    second.hang_up()


def test_calls_that_cannot_be_recorded_are_left_to_another_recorder(lines: Exchange) -> None:
    talk = lines.call()
    talk.join()
    talk.talk_for(0.4)
    daemon = daemon_of(lines)
    daemon._services.alarm("disk_full")
    assert asked(lines) == CANNOT
    assert refused(lines.call("2002")) == CANNOT
    passes(lines, "999")
    passes(lines, "4711")
    assert talk.hang_up()["outcome"] == "recorded", "storage trouble never ends a call"
    for _ in range(TRIES):
        daemon._disk_faults.look()
    assert asked(lines) == WELCOME
    again = lines.call()
    again.join()
    again.hang_up()


def test_with_nothing_in_front_options_are_answered_as_ever(plain: Exchange) -> None:
    """A PBX that hears 503 would send no emergency calls either, and a call is better unrecorded than refused."""
    daemon_of(plain)._services.alarm("disk_full")
    talk = plain.call()
    talk.join()
    assert asked(plain) == WELCOME
    assert refused(plain.call("2002")) == FULL
    talk.hang_up()


def test_a_peer_that_has_its_share_is_told_so(tmp_path: Path) -> None:
    """Kamailio is the only peer: what its INVITEs get, its OPTIONS must say."""
    edits = (RULES[0], ('max_calls = "off"', "max_calls = 1"))
    with exchange(tmp_path, edits=edits) as shared:
        talk = shared.call()
        talk.join()
        assert asked(shared) == FULL
        assert refused(shared.call("2002")) == FULL
        talk.hang_up()
        assert asked(shared) == WELCOME
