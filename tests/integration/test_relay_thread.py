"""The media threads: their priority, and the wait in which packets gather."""

import os
import resource
import socket
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

from audio._relay import Core
from audio.relay import Relay
from audio.types import Codec, LegMedia, MediaAddress, RelayOptions
from tests.reference.rtp import RtpPacket, build_rtp

_MEDIA_NICE = -10


def priorities() -> list[int]:
    """Return the nice value of every thread of this process (proc(5), field 19)."""
    found = []
    for path in Path("/proc/self/task").glob("*/stat"):
        with suppress(OSError):  # one of another test's has just ended
            found.append(int(path.read_text().rpartition(")")[2].split()[16]))
    return found


def may_raise_priority() -> bool:
    return os.geteuid() == 0 or resource.getrlimit(resource.RLIMIT_NICE)[0] >= 20 - _MEDIA_NICE


def test_media_threads_go_before_everything_else_where_that_is_allowed() -> None:
    before = priorities().count(_MEDIA_NICE)
    expected = 2 if may_raise_priority() else 0
    with Relay(RelayOptions(threads=2, lock_memory=False)):
        deadline = time.monotonic() + 5
        while (found := priorities().count(_MEDIA_NICE) - before) != expected and time.monotonic() < deadline:
            time.sleep(0.005)
    assert found == expected


@pytest.mark.parametrize("gather_us", [-1, 10_001])
def test_a_wait_out_of_range_is_refused(gather_us: int) -> None:
    with pytest.raises(ValueError, match="Core"):
        Core(lock_memory=False, gather_us=gather_us)


def test_who_is_behind_does_not_let_packets_gather() -> None:
    """At most 128 sockets are served of one wake-up: with a wait after each, a backlog of many went down slowly."""
    legs, packets = 200, 100
    options = RelayOptions(lock_memory=False, gather_ms=10.0)
    with closing(Relay(options)) as relay, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far:
        far.bind(("127.0.0.1", 0))
        remote = MediaAddress(ip="127.0.0.1", rtp_port=far.getsockname()[1], rtcp_port=1)
        media = LegMedia(remote=remote, codec=Codec.PCMA, send_pt=8, receive_pt=8)
        opened = [relay.open_leg() for _ in range(legs)]
        for leg in opened:
            relay.set_media(leg, media)
        for number in range(packets):
            packet = build_rtp(
                RtpPacket(payload_type=8, sequence=number, timestamp=160 * number, ssrc=7, payload=bytes(160))
            )
            for leg in opened:
                far.sendto(packet, ("127.0.0.1", relay.local_address(leg).rtp_port))
        began = time.monotonic()
        relay.start()
        while relay.counters()["received"] < legs * packets and time.monotonic() < began + 5.0:
            time.sleep(0.005)
        took_s = time.monotonic() - began
        assert relay.counters()["received"] == legs * packets
    assert took_s < legs * packets / 128 * 0.010 * 0.9, f"{took_s:.2f} s: it has waited after each batch"
