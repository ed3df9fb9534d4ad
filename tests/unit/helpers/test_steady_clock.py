"""The clock in the middle of a month: it is far from the end of a day, goes on, and is given back."""

import time

from recorder.common.clock import utc_now
from tests.helpers.steady_clock import mid_month
from tests.helpers.waiting import eventually


def test_it_is_noon_of_the_15th_and_the_clock_goes_on() -> None:
    real = time.time
    with mid_month():
        first = utc_now()
        eventually(lambda: utc_now() > first, "it goes on, by microseconds")
    assert (first.day, first.hour, first.minute) == (15, 12, 0)
    assert time.time is real
