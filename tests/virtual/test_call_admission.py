"""Resources that a call has from its admission: ports for both sides, and its peer's limit (issue 15)."""

import socket
from collections.abc import Iterator

import pytest

from tests.helpers.exchange import Exchange, Talk
from tests.helpers.recorder_home import eventually
from tests.helpers.sip_peer import Answer
from tests.helpers.virtual.exchange import exchange

CALLS = 2


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """A recorder with ports for two calls."""
    with exchange(tmp_path_factory.mktemp("narrow"), ports=4 * CALLS) as made:
        yield made


@pytest.fixture(scope="module")
def bounded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """A recorder whose peer may have two calls of each kind in progress."""
    with exchange(tmp_path_factory.mktemp("bounded"), edits=(('max_calls = "off"', f"max_calls = {CALLS}"),)) as made:
        yield made


@pytest.fixture
def no_reply() -> Iterator[str]:
    """The address of a target that never responds."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{silent.getsockname()[1]}"


def refused(talk: Talk) -> None:
    talk.first.wait_ended()
    assert talk.first.status == 503
    (refusal,) = [message for message in talk.first.received if message.status == 503]
    assert refusal.value("Warning") == '399 recorder "full"'
    assert refusal.value("Retry-After") == "", "a peer would send no emergency call until then"


def counted(lines: Exchange) -> tuple[int, int]:
    health = lines.home.health()
    return health["counts"]["over_peer_limit"], health["alarms"].get("peer_calls_full", 0)


# --- ports


def test_whoever_is_answered_has_ports_for_the_second_side_too(narrow: Exchange) -> None:
    """A flood must not use the ports of calls that hear the notice: it is refused, and those calls go on."""
    talks = [narrow.call() for _ in range(CALLS)]
    for talk in talks:
        talk.begin()
    flood = [narrow.call() for _ in range(3)]
    for one in flood:
        refused(one)
        row = narrow.home.row_of(one.number)
        assert (row["outcome"], row["reason"]) == ("failed", "ports_exhausted")
    for talk in talks:
        talk.join()
        talk.talk_for(0.3)
        assert talk.hang_up()["outcome"] == "recorded"
    again = narrow.call()
    again.join()
    again.hang_up()
    eventually(lambda: narrow.home.health()["media"]["legs"] == 0, "the ports are given back")


def test_ports_that_were_kept_come_back_when_nobody_answers(narrow: Exchange) -> None:
    for _ in range(2 * CALLS):
        talk = narrow.call(answer=Answer(status=486, after_s=0.05))
        talk.first.wait_ended()
        eventually(lambda: narrow.home.health()["media"]["legs"] == 0, "its media are closed")
    talks = [narrow.call() for _ in range(CALLS)]
    for talk in talks:
        talk.join()
    for talk in talks:
        talk.hang_up()


def test_the_next_target_has_ports_as_the_first_had(narrow: Exchange, no_reply: str) -> None:
    """Ports stay reserved while the next target is dialled."""
    eventually(lambda: narrow.home.health()["media"]["legs"] == 0, "nobody is there")
    first, second = (f"127.0.0.1:{peer.address[1]}" for peer in (narrow.officer, narrow.spare))
    narrow.home.edit(f'targets = ["{first}"]', f'targets = ["{no_reply}", "{second}"]')
    narrow.home.act("/api/reload").raise_for_status()
    try:
        talks = [narrow.call() for _ in range(CALLS)]
        for talk in talks:
            talk.begin()
        for talk in talks:
            talk.wait_second(timeout_s=6)
            refused(narrow.call())
        for talk in talks:
            talk.join()
            talk.talk_for(0.3)
            assert talk.hang_up()["outcome"] == "recorded"
    finally:
        narrow.home.edit(f'targets = ["{no_reply}", "{second}"]', f'targets = ["{first}"]')
        narrow.home.act("/api/reload").raise_for_status()


# --- calls of one peer


def test_recorded_calls_of_a_peer_are_bounded_counted_and_alarmed(bounded: Exchange) -> None:
    before = counted(bounded)
    talks = [bounded.call() for _ in range(CALLS)]
    for talk in talks:
        talk.join()
        talk.talk_for(0.3)
    refused(bounded.call())
    assert counted(bounded) == (before[0] + 1, before[1] + 1)
    passed = bounded.call("4711")
    passed.first.wait_confirmed()
    passed.first.hang_up()
    passed.wait_second().wait_ended()
    bounded.talks.pop(passed.number)
    talks.pop().hang_up()
    another = bounded.call()
    another.join()
    another.talk_for(0.3)
    for talk in (*talks, another):
        assert talk.hang_up()["outcome"] == "recorded"


def test_passed_calls_are_bounded_too_and_emergency_calls_never(bounded: Exchange) -> None:
    before = counted(bounded)
    passed = [bounded.call("4711") for _ in range(CALLS)]
    for talk in passed:
        talk.first.wait_confirmed()
    refused(bounded.call("4711"))
    emergencies = [bounded.call(number) for number in ("999", "112", "9999")]
    for talk in emergencies:
        talk.first.wait_confirmed()
    assert counted(bounded) == (before[0] + 1, before[1] + 1)
    for talk in (*emergencies, *passed):
        talk.first.hang_up()
        talk.wait_second().wait_ended()
        bounded.talks.pop(talk.number)
    eventually(lambda: bounded.home.health()["calls"] == 0, "they are over")
    last = bounded.call("4711")
    last.first.wait_confirmed()
    last.first.hang_up()
    bounded.talks.pop(last.number)
