"""The loop looks more often while any kind of work is left over."""

from collections.abc import Iterator

import pytest
from sippy.Core.EventDispatcher import ED2

from sip import loop_pace


class Rates:
    """Stands in for the part of the dispatcher that sleeps."""

    def __init__(self) -> None:
        self.used: list[float] = []
        self._rates = [100.0]

    def addband(self, rate_hz: float) -> int:
        self._rates.append(rate_hz)
        return len(self._rates) - 1

    def useband(self, number: int) -> None:
        self.used.append(self._rates[number])


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> Iterator[Rates]:
    made = Rates()
    monkeypatch.setattr(ED2, "elp", made)
    loop_pace._quick.cache_clear()
    yield made
    loop_pace._quick.cache_clear()


def test_the_loop_looks_each_millisecond_while_work_of_any_kind_is_left(rates: Rates) -> None:
    for kind, is_left in (("sip", False), ("sip", True), ("timers", True), ("sip", True), ("sip", False)):
        loop_pace.set_left(kind, is_left)
    assert rates.used == [1000.0]
    loop_pace.set_left("timers", False)
    loop_pace.set_left("timers", False)
    assert rates.used == [1000.0, 100.0]
