"""A flood through the real socket: bounded answers, one report, other peers served. Forgeries: tests/virtual."""

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.helpers import sip_process

SDP = sip_process.SDP
CALLS_PER_S = 3.0
PEERS = [
    {"networks": ["127.0.0.0/30"], "calls_per_s": CALLS_PER_S, "requests_per_s": 4.0},
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
    began_s = time.monotonic()
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
    while isinstance(more := counters_or_event(endpoint), str):
        kinds[more] += 1
    came_back = (time.monotonic() - began_s) * CALLS_PER_S
    # A burst of 15, what comes back meanwhile, the emergency call, the other peer's call - and one word about it.
    assert kinds["SourceMisbehaved"] == 1
    assert 17 <= kinds["CallOffered"] <= 17 + came_back
    assert more == 400 - (kinds["CallOffered"] - 2), "whatever was not offered was counted"
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
    assert 3 <= statuses[503] <= 3 + came_back, "refusals are bounded as well"
    assert busy is not None
    assert int(busy["Retry-After"]) > 0
    assert busy["Warning"].startswith("399 recorder "), "a dispatcher tries another recorder"


def counters_or_event(endpoint: Any) -> str | int:
    """Return the name of the next event, or how many calls were refused if no event is left."""
    endpoint.do("counters")
    line = endpoint.take_any()
    return int(line["counters"]["rate_limited"]) if "counters" in line else str(line["event"])
