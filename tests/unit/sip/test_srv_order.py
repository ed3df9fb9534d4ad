"""The order of SRV records (RFC 2782)."""

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from sip.srv_order import MOST_TARGETS, SrvTarget, ordered


def record(host: str, priority: int, weight: int) -> SrvTarget:
    return SrvTarget(host=host, port=5060, priority=priority, weight=weight)


RECORDS = st.lists(
    st.builds(record, st.text("abc", min_size=1, max_size=3), st.integers(0, 3), st.integers(0, 9)),
    max_size=MOST_TARGETS,
)


@given(RECORDS, st.integers(0, 1 << 32))
def test_every_record_comes_once_and_by_priority(records: list[SrvTarget], seed: int) -> None:
    found = ordered(records, lambda most: random.Random(seed).randint(0, most))
    assert Counter(found) == Counter(records)
    assert [r.priority for r in found] == sorted(r.priority for r in found)


def test_weights_share_out_the_first_place() -> None:
    rng = random.Random(7)
    records = [record("light", 1, 10), record("heavy", 1, 90), record("spare", 2, 100)]
    first = Counter(ordered(records, lambda most: rng.randint(0, most))[0].host for _ in range(2000))
    assert set(first) == {"light", "heavy"}
    assert 0.05 < first["light"] / 2000 < 0.16


def test_not_more_than_a_caller_can_wait_for() -> None:
    assert len(ordered([record(str(i), i, 0) for i in range(30)], lambda _: 0)) == MOST_TARGETS
