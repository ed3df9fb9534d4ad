"""Media by io_uring: shared buffers, receives that outlive a leg, what is queued, and systems that do not allow it."""

import errno
import os
import random
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from audio._relay import Core
from audio.relay import Relay
from audio.types import Codec, DtmfPolicy, LegMedia, MediaAddress, MediaIo, RelayOptions
from tests.helpers.media_io import epoll_watches, rings
from tests.helpers.rtp import UNPACED, Peer, eventually
from tests.reference.rtp import RtpPacket, build_rtp, parse_rtp

pytestmark = pytest.mark.io_uring

OPTIONS = RelayOptions(
    ports=(41000, 41999), lock_memory=False, quarantine_s=0.0, io=MediaIo.IO_URING, io_packets_per_s=UNPACED
)
HUGE_PAGE_KB = 2048
GIVEN_UP_S = 30.0
ROUNDS = 400
LATE_S = 0.02
"""Longer than a busy thread waits for packets to gather."""


@pytest.fixture
def relay() -> Iterator[Relay]:
    with Relay(OPTIONS) as relay:
        assert relay.io is MediaIo.IO_URING, relay.io_uring_refused
        yield relay


@pytest.fixture
def gathering() -> Iterator[Relay]:
    """A relay whose busy threads wait as long as they may."""
    with Relay(replace(OPTIONS, gather_ms=10.0)) as relay:
        yield relay


def is_received_by_ring(peer: Peer) -> bool:
    return not epoll_watches(peer.ours.rtp_port) and epoll_watches(peer.ours.rtcp_port)


def await_ring(*peers: Peer) -> None:
    """Wait until the receives of these peers' legs stand."""
    eventually(lambda: all(map(is_received_by_ring, peers)), "their receives stand")


def is_not_watched(port: int) -> bool:
    return not epoll_watches(port)


def packet(number: int) -> bytes:
    payload = number.to_bytes(4, "big") * 40
    return build_rtp(RtpPacket(payload_type=8, sequence=number, timestamp=160 * number, ssrc=7, payload=payload))


def waiting(sock: socket.socket) -> list[int]:
    """Return the sequence numbers of the packets that wait in a socket."""
    sock.setblocking(False)
    numbers = []
    with suppress(BlockingIOError):
        while True:
            numbers.append(parse_rtp(sock.recv(4096)).sequence)
    return numbers


def can_bind(port: int) -> Callable[[], bool]:
    def bind() -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                return False
            return True

    return bind


def test_each_thread_has_a_ring_that_takes_rtp_and_leaves_rtcp_to_epoll() -> None:
    with (
        Relay(replace(OPTIONS, threads=2)) as relay,
        Peer(relay) as a, Peer(relay) as b, Peer(relay, thread=1) as c, Peer(relay, thread=1, ip="127.0.0.1") as d,
    ):  # fmt: skip
        assert len(rings()) == 2
        for left, right in ((a, b), (c, d)):
            relay.bridge(left.leg, right.leg)
            await_ring(left, right)
            left.snd_raw(b"")  # an empty datagram ends a receive, which begins anew
            for number in range(10):
                left.snd(number, 160 * number)
                right.rcv("it goes on")
            assert is_received_by_ring(left)
    assert rings() == []


def test_a_port_is_free_once_its_leg_is_closed_and_while_somebody_sends_on(relay: Relay) -> None:
    with Peer(relay) as gone, Peer(relay) as other:
        relay.bridge(gone.leg, other.leg)
        await_ring(gone)
        relay.close_leg(gone.leg)

        def is_free() -> bool:
            gone.snd(1, 160)
            return can_bind(gone.ours.rtp_port)()

        eventually(is_free, "the socket is closed", timeout_s=10)


def test_what_came_at_a_closed_leg_is_nobodys(gathering: Relay) -> None:
    """The next leg takes the same slot, and the packet of the former one is still to be dealt with."""
    with Peer(gathering) as busy, Peer(gathering) as listener:
        for number in range(15):
            former = gathering.open_leg()
            media = LegMedia(
                remote=MediaAddress(ip="127.0.0.1", rtp_port=listener.rtp.getsockname()[1], rtcp_port=9),
                codec=Codec.PCMA, send_pt=8, receive_pt=8,
            )  # fmt: skip
            gathering.set_media(former, media)
            port = gathering.local_address(former).rtp_port
            eventually(partial(is_not_watched, port), "its receive stands")
            for _ in range(4):
                busy.snd(number, 160 * number)  # so that the thread waits for more
            busy.wait_taken()
            listener.rtp.sendto(packet(number), ("127.0.0.1", port))
            gathering.close_leg(former)
            new = gathering.open_leg()
            assert new & 0xFFFF == former & 0xFFFF, "the slot is used again"
            gathering.set_media(new, media)
            busy.snd(number, 160 * number)
            busy.wait_taken()
            eventually(can_bind(port), "the former socket is closed", timeout_s=10)
            assert gathering.legs.statistics(new).received == 0
            gathering.close_leg(new)


def test_without_a_free_buffer_packets_wait_in_their_sockets_and_completions_in_the_kernel() -> None:
    legs, packets = 300, 3  # 300 receives end for want of a buffer at once, more than there are entries for completions
    with closing(Core(lock_memory=False)) as core, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far:
        far.bind(("127.0.0.1", 0))
        core.use_io_uring(packets_per_s=UNPACED, buffers=2)
        sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2 * legs)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        opened = []
        for rtp, rtcp in zip(sockets[::2], sockets[1::2], strict=True):
            leg = core.open_leg(thread=0, rtp_fd=rtp.fileno(), rtcp_fd=rtcp.fileno())
            address = ("127.0.0.1", far.getsockname()[1])
            core.set_remote(leg, address, address)
            core.update_leg(leg, codec=8, send_pt=8, receive_pt=8, send_event_pt=-1, receive_event_pt=-1, sends=True,
                            receives=True)  # fmt: skip
            opened.append((leg, rtp.getsockname()))
        for number in range(packets):
            for _, address in opened:
                far.sendto(packet(number), address)
        core.start()
        eventually(lambda: core.counters()["received"] == legs * packets, "all are taken", timeout_s=10)
        assert core.counters()["starved"] > 256
        assert [core.leg_statistics(leg)["lost"] for leg, _ in opened] == [0] * legs
        core.close()
        for one in sockets:
            one.close()


def test_what_is_queued_goes_before_what_is_sent_at_once(gathering: Relay) -> None:
    """A star that was held goes on, as an event of our own, in the turn in which audio before it came."""
    for _ in range(5):
        with Peer(gathering) as a, Peer(gathering) as b:
            gathering.bridge(a.leg, b.leg)
            gathering.legs.set_dtmf(a.leg, DtmfPolicy.HOLD_STAR, ("*1",))
            await_ring(a)
            for number in range(3):
                a.snd(number, 160 * number)
            a.snd_digit(a.snd_digit(3, 480, "*"), 1280, "5")
            numbers = [b.rcv("audio, and then the star").sequence for _ in range(4)]
            assert numbers == list(range(numbers[0], numbers[0] + 4))


def test_nothing_goes_on_once_a_leg_is_muted(gathering: Relay) -> None:
    with Peer(gathering) as a, Peer(gathering) as b:
        gathering.bridge(a.leg, b.leg)
        await_ring(a)
        for number in range(30):
            for at in range(5):
                a.snd(5 * number + at, 160 * (5 * number + at))
            if number % 2:
                a.wait_taken()
            gathering.legs.mute(a.leg, True)
            waiting(b.rtp)
            a.wait_taken()
            b.rcv_none("it was muted", within_s=LATE_S)
            gathering.legs.mute(a.leg, False)


def test_who_sends_too_much_is_left_to_epoll_and_the_others_are_not() -> None:
    with Relay(replace(OPTIONS, io_packets_per_s=20)) as relay, Peer(relay) as a, Peer(relay) as b:
        relay.bridge(a.leg, b.leg)
        await_ring(a, b)
        sent = 0

        def is_left() -> bool:
            nonlocal sent
            for _ in range(20):
                a.snd(sent, 160 * sent)
                sent += 1
            a.wait_taken()
            return epoll_watches(a.ours.rtp_port)

        eventually(is_left, "six packets in a quarter of a second are too many")
        numbers = waiting(b.rtp)
        assert numbers == list(range(numbers[0], numbers[0] + sent)), "none is lost or overtaken by the change"
        assert is_received_by_ring(b)


@pytest.mark.long
def test_who_sent_too_much_is_back_at_the_ring_after_five_seconds() -> None:
    with Relay(replace(OPTIONS, io_packets_per_s=20)) as relay, Peer(relay) as a:
        await_ring(a)

        def is_left() -> bool:
            a.snd(1, 160)
            return epoll_watches(a.ours.rtp_port)

        eventually(is_left, "it is left to epoll")
        eventually(lambda: is_received_by_ring(a), "it is back", timeout_s=15)
        a.snd(2, 320)
        a.wait_taken()


def test_a_ring_that_is_lost_leaves_its_legs_to_epoll() -> None:
    with Relay(OPTIONS) as relay, Peer(relay) as a, Peer(relay) as b:
        relay.bridge(a.leg, b.leg)
        await_ring(a)
        (ring,) = rings()
        os.close(ring)

        def goes_on() -> bool:
            a.snd(1, 160)
            return bool(waiting(b.rtp))

        eventually(goes_on, "epoll has it", timeout_s=10)
        assert epoll_watches(a.ours.rtp_port)
        assert relay.io is MediaIo.EPOLL


def hidden_kb() -> int:
    """Return how much of this process's memory is locked, in no core file and in no child."""
    size = hidden = 0
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if line.startswith("Size:"):
            size = int(line.split()[1])
        elif line.startswith("VmFlags:") and {"dd", "dc", "lo"} <= set(line.split()):
            hidden += size
    return hidden


def test_buffers_are_locked_and_in_no_core_file_and_no_child() -> None:
    with closing(Core(lock_memory=True)) as core:
        before = hidden_kb()
        core.use_io_uring(packets_per_s=UNPACED)
        assert hidden_kb() - before == HUGE_PAGE_KB


def test_closing_leaves_nothing_open_and_no_port_bound() -> None:
    before = sorted(Path("/proc/self/fd").iterdir())
    with Relay(OPTIONS) as relay:
        ports = [relay.local_address(relay.open_leg()).rtp_port for _ in range(20)]
        eventually(lambda: not any(map(epoll_watches, ports)), "their receives stand")
    assert sorted(Path("/proc/self/fd").iterdir()) == before
    assert all(can_bind(port)() for port in ports)


def test_a_core_that_may_not_have_it_says_why_and_goes_by_epoll() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with closing(Core(lock_memory=False)) as core:
        free = os.dup(0)
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
        try:
            with pytest.raises(OSError, match="Too many open files") as refused:
                core.use_io_uring(packets_per_s=640)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert refused.value.errno == errno.EMFILE
        assert core.threads_by_io_uring == 0
        with pytest.raises(OSError, match="Invalid argument"):
            core.use_io_uring(packets_per_s=640, buffers=1 << 20)
        core.use_io_uring(packets_per_s=640)
        with pytest.raises(OSError, match="Invalid argument"):
            core.use_io_uring(packets_per_s=640)


FORBIDDEN = """
import ctypes, struct
SETUP, ALLOW, EPERM = 425, 0x7FFF0000, 0x00050001
rules = [(0x20, 0, 0, 0), (0x15, 0, 1, SETUP), (0x06, 0, 0, EPERM), (0x06, 0, 0, ALLOW)]
program = b"".join(struct.pack("HBBI", *rule) for rule in rules)
held = ctypes.create_string_buffer(program)
filter = struct.pack("HxxxxxxP", len(rules), ctypes.addressof(held))
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(38, 1, 0, 0, 0)
assert libc.prctl(22, 2, ctypes.c_char_p(filter)) == 0
from audio.relay import Relay
from audio.types import MediaIo, RelayOptions
with Relay(RelayOptions(ports=(41000, 41999), lock_memory=False, io=MediaIo.AUTO)) as relay:
    print(relay.io, relay.io_uring_refused)
"""


def test_where_a_system_call_filter_forbids_it_epoll_takes_its_place() -> None:
    done = subprocess.run([sys.executable, "-c", FORBIDDEN], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "epoll [Errno 1] Operation not permitted\n"


def relayed_at_last(relay: Relay, peer: Peer, number: int) -> int:
    """Send, with time between, until the kernel has relayed a packet; returns the number after the last."""
    until = time.monotonic() + GIVEN_UP_S
    while relay.counters()["relayed"] == 0:
        assert time.monotonic() < until, "the kernel relays nothing"
        peer.snd(number, 160 * number)
        number += 1
        time.sleep(0.02)
    return number


@pytest.mark.kernel_relay
def test_what_the_kernel_relays_overtakes_nothing_that_is_queued() -> None:
    """The kernel may take a stream over in the middle of a turn, and its next packet comes before the turn is over."""
    rng = random.Random(1)
    options = replace(OPTIONS, gather_ms=10.0, kernel_interfaces=("lo",), kernel_packets_per_s=UNPACED)
    with Relay(options) as relay, Peer(relay) as a, Peer(relay) as b, Peer(relay) as crowd:
        relay.bridge(a.leg, b.leg)
        await_ring(a, crowd)
        heard, number = [], 0
        for _ in range(ROUNDS):
            a.snd(number, 160 * number, bytes(320))  # too long for the kernel: its flow is shut
            a.snd(number + 1, 160 * number)
            for at in range(126):  # the last of the 128 that a busy thread waits for
                crowd.snd(at, 160 * at)
            until = time.perf_counter() + rng.random() * 0.0008
            while time.perf_counter() < until:
                pass
            a.snd(number + 2, 160 * number)
            number += 3
            crowd.wait_taken()
            a.wait_taken()
            heard += waiting(b.rtp)
        number = relayed_at_last(relay, a, number)  # whether it took one over in a turn is a matter of microseconds
        heard += waiting(b.rtp)
    assert heard == list(range(heard[0], heard[0] + number))
