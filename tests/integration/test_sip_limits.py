"""A flood through the real socket: bounded answers, one report, other peers served. Forgeries: tests/virtual."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.helpers import sip_process

SDP = sip_process.SDP
PEERS = [
    {"networks": ["127.0.0.0/30"], "calls_per_s": 3.0, "requests_per_s": 4.0},
    {"networks": ["127.0.0.9/32"]},
]


@pytest.fixture
def endpoint() -> Iterator[Any]:
    with sip_process.EndpointProcess(peers=PEERS, urgent=["999"]) as endpoint:
        yield endpoint


@pytest.fixture
def peer(endpoint: Any) -> Iterator[Any]:
    with sip_process.Peer(endpoint.address) as peer:
        yield peer


def test_a_flood_of_calls_is_answered_503_and_then_not_at_all(endpoint: Any, peer: Any) -> None:
    for index in range(400):
        peer.call_id, peer.cseq = f"flood-{index}", 0
        peer.request("INVITE", body=SDP)
    with sip_process.Peer(endpoint.address) as urgent:
        urgent.target = urgent.target.replace("2001", "999")
        urgent.request("INVITE", body=SDP)
        urgent.expect(100)
    with sip_process.Peer(endpoint.address, host="127.0.0.9") as other:
        other.request("INVITE", body=SDP)
        other.expect(100)
    events = [endpoint.take("event") for _ in range(15 + 3)]
    kinds = Counter(event["event"] for event in events)
    while (more := counters_or_event(endpoint)) is not None:
        kinds[more] += 1
    # A burst of 15, what comes back meanwhile, the emergency call, the other peer's call - and one word about it.
    assert kinds["SourceMisbehaved"] == 1
    assert 17 <= kinds["CallOffered"] <= 24
    statuses: Counter[int] = Counter()
    busy = None
    while True:
        try:
            message = peer.receive(0.2)
        except TimeoutError:
            break
        statuses[message.status] += 1
        busy = message if message.status == 503 else busy
    assert set(statuses) == {100, 503}
    assert 3 <= statuses[503] <= 12, "refusals are bounded as well"
    assert busy is not None
    assert int(busy["Retry-After"]) > 0
    assert busy["Warning"].startswith("399 recorder "), "a dispatcher tries another recorder"


def counters_or_event(endpoint: Any) -> str | None:
    endpoint.do("counters")
    line = endpoint.take_any()
    if "counters" in line:
        assert line["counters"]["rate_limited"] >= 370
        return None
    return str(line["event"])
