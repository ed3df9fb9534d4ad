"""A sender whose timestamps run away from the clock cannot stretch the recording; an honest fast clock is followed."""

import struct

from audio._relay import Core
from audio.blocks import AudioRun, decode_block
from audio.relay import Relay
from audio.types import Codec, LegMedia, MediaAddress, RelayOptions
from tests.reference.timeline import Timeline

NS_PER_TICK = 125_000
NOBODY = MediaAddress(ip="127.0.0.1", rtp_port=9, rtcp_port=9)


def furthest(step: int, packets: int, every: int) -> int:
    """Return the end of the furthest audio after packets ``every`` ticks, their timestamps ``step`` apart."""
    with Relay(RelayOptions(ports=(41000, 41999), lock_memory=False)) as relay:
        legs = [relay.open_leg(), relay.open_leg()]
        for leg in legs:
            relay.set_media(leg, LegMedia(remote=NOBODY, codec=Codec.PCMA, send_pt=8, receive_pt=8))
        core: Core = relay._core
        tap = core.open_tap(*legs, look_back_ticks=40_000, ring_ticks=65_536, now_ns=0)
        out, end = bytearray(1 << 18), 0
        for i in range(packets):
            header = struct.pack("!BBHII", 0x80, 8, i & 0xFFFF, i * step & 0xFFFFFFFF, 9)
            core.inject(legs[0], header + b"\x11" * 160, i * every * NS_PER_TICK)
            if i % 2 or i == packets - 1:
                now_ns = i * every * NS_PER_TICK
                length, _ = core.drain_tap(tap, out, is_final=i == packets - 1, now_ns=now_ns)
                runs = [run for run in decode_block(bytes(out[:length])) if isinstance(run, AudioRun)]
                end = max([end, *(run.end for run in runs)])
        core.release_tap(tap)
    line = Timeline()
    for i in range(packets):
        line.place(9, i & 0xFFFF, i * step & 0xFFFFFFFF, 160, i * every)
    assert line.next_pos == end  # the reference has the same rule
    return end


def test_timestamps_that_run_away_gain_four_seconds_and_no_more() -> None:
    assert furthest(step=3990, packets=1000, every=160) <= 1000 * 160 + 32_000 + 1000


def test_a_clock_that_is_a_little_fast_is_followed_for_an_hour() -> None:
    packets = 3600 * 50 // 40  # one packet in forty is enough to follow it
    assert furthest(step=6403, packets=packets, every=6400) == (packets - 1) * 6403 + 160
