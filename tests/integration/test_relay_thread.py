"""The media threads: their priority, and the wait in which packets gather."""

import os
import resource
import socket
import struct
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

from audio._relay import Core
from audio.relay import Relay
from audio.types import Codec, LegMedia, MediaAddress, Prompt, RelayOptions
from tests.helpers.recorder_home import HANGS_S, eventually
from tests.helpers.starvation import waited_s
from tests.reference.rtp import RtpPacket, build_rtp

_MEDIA_NICE = -10
NS_PER_S = 1_000_000_000
SO_TIMESTAMPNS = 35
"""Of Linux (asm-generic/socket.h); the module `socket` does not name it."""


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


def waits_of(thread: int) -> int:
    """Return how often a thread of this process has gone to sleep (proc(5), status)."""
    (line,) = (
        line
        for line in Path(f"/proc/self/task/{thread}/status").read_text().splitlines()
        if line.startswith("voluntary_ctxt_switches:")
    )
    return int(line.split()[1])


def arrival_ns(sock: socket.socket) -> int:
    """Receive a packet and return when the kernel took it, by the system's clock."""
    _, ancillary, _, _ = sock.recvmsg(4096, 64)
    (stamp,) = (data for level, kind, data in ancillary if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS))
    seconds, nanoseconds = struct.unpack("@ll", stamp)
    return int(seconds) * NS_PER_S + int(nanoseconds)


def test_a_media_thread_wakes_for_each_frame_of_a_prompt() -> None:
    """With nothing to do it sleeps for 250 ms. Time for which the kernel ran others instead is no delay of its own."""
    others = waited_s(os.getpid()).keys()
    with Relay(RelayOptions(lock_memory=False)) as relay, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far:
        far.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        far.settimeout(HANGS_S)
        far.bind(("127.0.0.1", 0))
        remote = MediaAddress(ip="127.0.0.1", rtp_port=far.getsockname()[1], rtcp_port=1)
        leg = relay.open_leg()
        relay.set_media(leg, LegMedia(remote=remote, codec=Codec.PCMA, send_pt=8, receive_pt=8))
        before = {thread: waited for thread, waited in waited_s(os.getpid()).items() if thread not in others}
        relay.legs.play(leg, Prompt(name="1 s", audio=dict.fromkeys(Codec, bytes(160 * 50))), tag=1)
        latest_start_ns = time.time_ns() + 5_000_000  # prompts begin on a grid of 5 ms
        late_s = [(arrival_ns(far) - latest_start_ns) / NS_PER_S - 0.02 * i for i in range(50)]
        waited = waited_s(os.getpid())
        starved_s = max(waited[thread] - before[thread] for thread in before)
    assert max(late_s) < starved_s + 0.15


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
        others = waited_s(os.getpid()).keys()
        relay.start()
        eventually(lambda: relay.counters()["received"] == legs * packets, "the backlog is taken")
        new = waited_s(os.getpid()).keys() - others
        (thread,) = (one for one in new if Path(f"/proc/self/task/{one}/comm").read_text() == "media\n")
        waits = waits_of(thread)
    assert waits < legs * packets / 128 / 2, "it has waited after each batch"
