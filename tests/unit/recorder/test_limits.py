"""How often something may happen."""

import pytest

from recorder.rules.limits import RateLimit

S = 1_000_000_000


def test_so_many_in_so_long_and_then_again_as_the_first_ones_pass() -> None:
    limit = RateLimit(3, 2.0)
    assert [limit.allows(at) for at in (0, 0, S)] == [True, True, True]
    assert not limit.allows(2 * S - 1)
    assert limit.allows(2 * S)
    assert limit.allows(2 * S), "two of the first three have passed"
    assert not limit.allows(2 * S)


def test_what_is_refused_does_not_count_but_is_counted() -> None:
    limit = RateLimit(1, 1.0)
    assert limit.allows(0)
    assert not any(limit.allows(at) for at in range(0, S, S // 1000))
    assert limit.refused == 1000
    assert limit.allows(S), "a flood does not keep the door shut for ever"
    assert limit.refused == 0


@pytest.mark.parametrize(("most", "within_s"), [(0, 1.0), (1, 0.0)])
def test_nonsense_is_refused(most: int, within_s: float) -> None:
    with pytest.raises(ValueError, match="at least one"):
        RateLimit(most, within_s)
