"""What was said while closed, or under a mask, is not kept, however late it comes; a sender that begins anew is."""

from collections.abc import Iterator

import pytest

from audio.blocks import AudioRun, decode_block
from audio.relay import Relay
from audio.types import Codec, LegId, LegMedia, MediaAddress, RelayOptions

NS_PER_TICK = 125_000
NOBODY = MediaAddress(ip="127.0.0.1", rtp_port=9, rtcp_port=9)
PUBLIC, SECRET, NEW = 1, 2, 3
GUARD = 10
"""Packets of the guard after what may not be kept: 200 ms."""


class Line:
    """A tapped leg and a sender: packet ``i`` holds what was said in the 20 ms before tick 160 ``i``."""

    def __init__(self, relay: Relay) -> None:
        self._core = relay._core
        self._relay = relay
        self._leg: LegId = relay.open_leg()
        relay.set_media(self._leg, LegMedia(remote=NOBODY, codec=Codec.PCMA, send_pt=8, receive_pt=8))
        self.tap = self._core.open_tap(self._leg, 0, look_back_ticks=8000, ring_ticks=1 << 18, now_ns=0)

    def send(
        self, i: int, at: int, value: int, *, ssrc: int = 1, sequence: int | None = None, timestamp: int | None = None
    ) -> None:
        """Have packet ``i`` arrive at tick ``at``."""
        number = (65_500 + i if sequence is None else sequence) & 0xFFFF
        stamp = ((1 << 32) - 30_000 + 160 * i if timestamp is None else timestamp) & 0xFFFFFFFF
        head = b"\x80\x08" + number.to_bytes(2, "big") + stamp.to_bytes(4, "big") + ssrc.to_bytes(4, "big")
        self._core.inject(self._leg, head + bytes([value]) * 160, at * NS_PER_TICK)

    def talk(self, first: int, end: int, value: int, *, ssrc: int = 1) -> None:
        """Have packets [first, end) arrive in time."""
        for i in range(first, end):
            self.send(i, 160 * i, value, ssrc=ssrc)

    def close(self, at: int) -> None:
        """Close the gate; nothing is erased."""
        self._core.gate_close(self.tap, 0, at * NS_PER_TICK)

    def open(self, at: int) -> None:
        """Open it."""
        self._core.gate_open(self.tap, at * NS_PER_TICK)

    def mask(self, start: int, end: int, at: int) -> None:
        """At tick ``at``, silence [start, end)."""
        self._core.gate_mask(self.tap, start, end, at * NS_PER_TICK)

    def kept(self) -> bytes:
        """End the tap; return all that it kept."""
        out = bytearray(1 << 19)
        length, _ = self._core.drain_tap(self.tap, out, is_final=True, now_ns=1 << 50)
        return b"".join(bytes(run.payload) for run in decode_block(bytes(out[:length])) if isinstance(run, AudioRun))

    def late_ticks(self) -> int:
        """Return what was dropped since it came late."""
        return self._relay.counters()["late_ticks"]


@pytest.fixture
def line() -> Iterator[Line]:
    with Relay(RelayOptions(ports=(41000, 41999), lock_memory=False)) as relay:
        yield Line(relay)


def paused(line: Line) -> None:
    """Talk, close at 2 s, hold packets 120 to 129 back, open at 3 s, and talk on to 7.4 s."""
    line.talk(0, 100, PUBLIC)
    line.close(16_000)
    line.talk(101, 120, SECRET)
    line.talk(130, 150, SECRET)
    line.open(24_000)
    line.talk(151, 370, PUBLIC)


def test_a_packet_of_the_closed_time_that_is_more_than_four_seconds_late_is_dropped(line: Line) -> None:
    paused(line)
    for i in range(120, 130):
        line.send(i, 59_200, SECRET)
        line.send(i, 59_200, SECRET)
    line.talk(370, 400, PUBLIC)
    assert line.late_ticks() == 20 * 160
    assert line.kept() == bytes([PUBLIC]) * (160 * (100 + 249) - 16), "all but what gathering leaves in doubt"


def test_one_of_before_a_step_of_the_clock_is_dropped_whichever_way_it_stepped(line: Line) -> None:
    paused(line)
    for way, at in ((480_000, 370), (-480_000, 400)):
        for i in range(at, at + 30):
            line.send(i, 160 * i, PUBLIC, timestamp=160 * i + way)
        for i in (120, 340):
            line.send(i, 160 * (at + 30) - 1, SECRET)
    assert SECRET not in line.kept()


@pytest.mark.parametrize("step", [3000, -3000, -6000, 6000])
def test_a_short_step_while_closed_leads_nothing_of_the_closed_time_astray(line: Line, step: int) -> None:
    line.talk(0, 100, PUBLIC)
    line.close(16_000)
    line.talk(101, 120, SECRET)
    for i in range(120, 150):
        if i % 2:
            line.send(i, 160 * i, SECRET, timestamp=(1 << 32) - 30_000 + 160 * i + step)
    line.open(24_000)
    for i in range(151, 300):
        line.send(i, 160 * i, PUBLIC, timestamp=(1 << 32) - 30_000 + 160 * i + step)
        if i in range(164, 220, 4):
            held = 120 + (i - 164) // 2
            line.send(held, 160 * i + 1, SECRET, timestamp=(1 << 32) - 30_000 + 160 * held + step)
    kept = line.kept()
    assert SECRET not in kept
    assert kept.count(PUBLIC) > 200 * 160


def test_packets_of_earlier_sources_are_dropped_when_they_come_late(line: Line) -> None:
    line.talk(0, 100, PUBLIC)
    line.close(16_000)
    for ssrc, first in ((1, 101), (2, 110), (3, 120), (4, 130)):
        line.talk(first, first + 9, SECRET, ssrc=ssrc)
    line.open(24_000)
    line.talk(150, 200, PUBLIC, ssrc=4)
    for ssrc, number in ((1, 105), (2, 112), (3, 125)):
        line.send(number, 32_000, SECRET, ssrc=ssrc)
    line.talk(200, 220, PUBLIC, ssrc=4)
    assert SECRET not in line.kept()


def test_a_sender_that_begins_anew_is_heard_at_once(line: Line) -> None:
    line.talk(0, 100, PUBLIC)
    for i in range(100, 200):
        line.send(i, 160 * i, NEW, sequence=30_000 + i, timestamp=1_000_000 + 160 * i)
    assert line.kept().count(NEW) == 100 * 160


def test_a_sender_that_counts_back_is_heard_after_a_second(line: Line) -> None:
    line.talk(0, 100, PUBLIC)
    for i in range(100, 200):
        line.send(i, 160 * i, NEW, sequence=65_500 - 1000 + i, timestamp=1_000_000 + 160 * i)
    kept = line.kept()
    assert 49 * 160 <= kept.count(NEW) <= 51 * 160


@pytest.mark.parametrize("pace", [2, 20, 80])
def test_what_a_network_held_back_and_brings_all_at_once_is_not_kept(line: Line, pace: int) -> None:
    """Five seconds of the closed time come after it, in order, faster than they were said."""
    line.talk(0, 100, PUBLIC)
    line.close(16_000)
    line.talk(101, 104, SECRET)
    line.open(57_600)
    for i in range(104, 360):
        line.send(i, 60_000 + (i - 104) * pace, SECRET)
    end = 60_000 + 256 * pace
    for i in range(360, 900):
        line.send(i, max(end + i, 160 * i), PUBLIC)
    kept = line.kept()
    assert SECRET not in kept
    assert kept.count(PUBLIC) > (100 + 100) * 160


def test_what_a_network_held_back_bit_by_bit_is_not_kept(line: Line) -> None:
    """Each packet is a little later than the one before, in order, up to five seconds; then all catch up."""
    line.talk(0, 100, PUBLIC)
    line.close(16_000)
    for i in range(101, 360):
        line.send(i, 160 * 100 + 320 * (i - 100), SECRET)
    line.open(160 * 100 + 320 * 260)
    begin = 160 * 100 + 320 * 261
    for i in range(360, 621):
        line.send(i, begin + (i - 360) * 20, SECRET)
    for i in range(621, 1000):
        line.send(i, max(begin + 261 * 20 + i, 160 * i), PUBLIC)
    kept = line.kept()
    assert SECRET not in kept
    assert kept.count(PUBLIC) > (100 + 100) * 160, "and what is said after it is, once time has caught up"


@pytest.mark.parametrize("step_s", [-60, -6, -3, -0.3, 0.3, 3, 6])
@pytest.mark.parametrize("stepped", [145, 152])
def test_a_sender_whose_clock_steps_while_it_talks_is_heard_after_the_guard(
    line: Line, step_s: float, stepped: int
) -> None:
    line.talk(0, 100, PUBLIC)
    line.close(16_000)
    for i in range(101, 300):
        if i == 151:
            line.open(24_160)
        shift = round(step_s * 8000) if i >= stepped else 0
        line.send(i, 160 * i, SECRET if i < 152 else PUBLIC, timestamp=(1 << 32) - 30_000 + 160 * i + shift)
    kept = line.kept()
    assert SECRET not in kept
    assert kept.count(PUBLIC) >= (100 + 148 - 12) * 160, "no more is lost than 200 ms, and a packet either side"


@pytest.mark.parametrize(("is_heard", "step_s", "lost"), [
    (True, -2.337, 9), (False, -2.337, 34), (False, -60, 34), (False, -1.0, 51), (False, 0, 0), (False, 0.3, 9),
])  # fmt: skip
def test_a_clock_that_stepped_back_while_it_was_not_heard_is_doubted(
    line: Line, step_s: float, lost: int, *, is_heard: bool
) -> None:
    """Of a side on hold nothing counts; it is heard again at the opening (leak suite, SEED=20261126 ONLY=393)."""
    line.talk(0, 100, PUBLIC)
    line.close(16_000)
    for i in range(101, 400):
        if i == 163:
            line.open(160 * 163 - 10)
        shift = round(step_s * 8000) if i >= 108 else 0
        if is_heard or i >= 163:
            value = SECRET if i < 164 else PUBLIC
            line.send(i, 160 * i, value, timestamp=(1 << 32) - 30_000 + 160 * i + shift)
    kept = line.kept()
    assert SECRET not in kept
    assert kept.count(PUBLIC) / 160 == pytest.approx(100 + 236 - lost, abs=1), "packets of 20 ms"


def test_a_new_source_of_the_closed_time_is_not_trusted_however_long_ago_it_began(line: Line) -> None:
    """It began two seconds before the opening, and its network is 150 ms slower than that of the one before."""
    line.talk(0, 100, PUBLIC)
    line.close(16_000)
    for i in range(101, 400):
        if i == 230:
            line.open(160 * 230 + 1)
        line.send(i, 160 * i + 1200, SECRET if i < 231 else PUBLIC, ssrc=2)
    kept = line.kept()
    assert SECRET not in kept
    assert kept.count(PUBLIC) >= (100 + 169 - 12) * 160


def test_nor_is_one_that_began_before_the_gate_was_shut(line: Line) -> None:
    """Its way has been slower ever since: nothing that arrives tells."""
    line.talk(0, 50, PUBLIC)
    for i in range(50, 400):
        if i == 150:
            line.close(160 * 150 + 1)
        if i == 230:
            line.open(160 * 230 + 1)
        line.send(i, 160 * i + 1200, SECRET if 150 <= i < 231 else PUBLIC, ssrc=2)
    kept = line.kept()
    assert SECRET not in kept
    assert kept.count(PUBLIC) >= (150 - 8 + 169 - 12) * 160


def around_a_digit(line: Line, *, stepped: int, step: int, ssrc: int = 1, slower: int = 0) -> bytes:
    """Talk for 6 s, of which packets 100 to 150 are silenced while the 130th comes; the clock steps once.

    Args:
        line: The call.
        stepped: First packet after the step.
        step: Ticks.
        ssrc: Its source from then on.
        slower: Ticks that each is late from then on.
    """
    for i in range(300):
        if i == 130:
            line.mask(16_000, 24_000, 160 * 130 - 1)
        value = SECRET if 100 <= i < 150 else PUBLIC
        has_stepped = i >= stepped
        shift, late = (step, slower) if has_stepped else (0, 0)
        line.send(
            i, 160 * i + late, value, ssrc=ssrc if has_stepped else 1, timestamp=(1 << 32) - 30_000 + 160 * i + shift
        )
    return line.kept()


@pytest.mark.parametrize("step", [800, 2400, 3999, 6000, -800, -6000])
@pytest.mark.parametrize("stepped", [101, 115, 129, 131, 140, 149])
def test_a_step_of_the_clock_brings_nothing_out_from_under_a_mask(line: Line, stepped: int, step: int) -> None:
    kept = around_a_digit(line, stepped=stepped, step=step)
    assert SECRET not in kept
    assert kept.count(PUBLIC) >= (250 - 1 - GUARD) * 160, "and no more is lost than what a new clock may be late"


@pytest.mark.parametrize("stepped", [90, 120, 131, 145])
def test_a_new_source_on_a_slower_way_brings_nothing_out_from_under_a_mask(line: Line, stepped: int) -> None:
    kept = around_a_digit(line, stepped=stepped, step=77_777, ssrc=2, slower=1200)
    assert SECRET not in kept
    assert kept.count(PUBLIC) >= (250 - 1 - 2 * GUARD) * 160, "200 ms either side: its way may be slower, or faster"


def test_a_mask_of_a_steady_stream_takes_what_it_says_and_no_more(line: Line) -> None:
    assert around_a_digit(line, stepped=300, step=0) == bytes([PUBLIC]) * 250 * 160


def test_what_comes_twice_takes_nothing_along_under_a_mask(line: Line) -> None:
    for i in range(200):
        if i == 110:
            line.mask(16_000, 19_200, 160 * 110 - 1)
        line.send(i, 160 * i, SECRET if 100 <= i < 120 else PUBLIC)
        if i >= 20:
            line.send(i - 20, 160 * i + 1, SECRET if 100 <= i - 20 < 120 else PUBLIC)
    assert line.kept() == bytes([PUBLIC]) * 180 * 160


def test_a_new_source_that_comes_in_a_burst_brings_nothing_out_from_under_a_mask(line: Line) -> None:
    """Its first packet is the latest: what its clock is worth is told bit by bit, by the packets after it."""
    for i in range(300):
        if i == 130:
            line.mask(16_000, 24_000, 160 * 130 - 1)
        ssrc = 2 if i >= 131 else 1
        line.send(i, 160 * max(i, 151 if i >= 131 else 0), SECRET if 100 <= i < 150 else PUBLIC, ssrc=ssrc)
    kept = line.kept()
    assert SECRET not in kept
    assert kept.count(PUBLIC) >= (250 - 1 - GUARD) * 160


def test_nor_anything_of_the_closed_time(line: Line) -> None:
    line.talk(0, 100, PUBLIC)
    line.close(16_000)
    for i in range(100, 300):
        if i == 131:
            line.open(160 * 150)
        ssrc = 2 if i >= 131 else 1
        line.send(i, 160 * max(i, 151 if i >= 131 else 0), SECRET if i <= 150 else PUBLIC, ssrc=ssrc)
    kept = line.kept()
    assert SECRET not in kept
    assert kept.count(PUBLIC) >= (100 + 149 - 1 - GUARD) * 160
