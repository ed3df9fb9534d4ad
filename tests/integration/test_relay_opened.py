"""A recording's position 0 is the moment that its row states, however long the daemon took from there to the tap."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from audio.relay import Relay
from audio.types import RelayOptions, TapOptions
from recorder.calls.call_clock import CallClock
from tests.helpers.rtp import Peer


def test_a_tap_counts_from_the_moment_that_it_is_given() -> None:
    with Relay(RelayOptions(ports=(41000, 41999), lock_memory=False)) as relay, Peer(relay) as a, Peer(relay) as b:
        since_ns = time.monotonic_ns() - 500_000_000
        tap = relay.taps.open(a.leg, b.leg, TapOptions(look_back_s=5.0), opened_ns=since_ns)
        before_s = (time.monotonic_ns() - since_ns) / 1e9
        position_s = relay.taps.position_s(tap)
        after_s = (time.monotonic_ns() - since_ns) / 1e9
        assert before_s - 0.001 <= position_s <= after_s
        assert position_s >= 0.5


def test_a_time_of_a_call_is_found_on_the_monotonic_clock() -> None:
    call = CallClock()
    assert abs((call.started_at - datetime.now(UTC)).total_seconds()) < 5
    earlier_ns = time.monotonic_ns()
    now = call.now
    later_ns = time.monotonic_ns()
    assert earlier_ns - 1000 <= call.moment_ns(now) <= later_ns
    assert call.moment_ns(now + timedelta(seconds=2)) - call.moment_ns(now) == pytest.approx(2e9, abs=1000)
