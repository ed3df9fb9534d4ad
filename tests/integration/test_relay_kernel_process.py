"""The kernel's relay and the life of its process: held, killed, searched, closed, and without the right to it."""

import errno
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from audio.relay import Relay
from audio.types import MediaAddress, RelayOptions
from tests.helpers.process_memory import search
from tests.helpers.relay_process import RelayProcess
from tests.helpers.rtp import UNPACED, eventually
from tests.reference.rtp import RtpPacket, build_rtp, parse_rtp

pytestmark = pytest.mark.kernel_relay

RING = 8192 - 64
"""Packets that may wait for a media thread (COPY_SLOTS and COPY_SPARE in audio/core/bpf/flow.h)."""
SO_RCVBUFFORCE = 33
"""Of socket(7), which Python does not name: a buffer beyond the system's limit, for root."""
OPTIONS = RelayOptions(ports=(41000, 41999), lock_memory=False)


ATTEMPTS = 20
"""For what has to be done before the kernel knows that nobody looks, 50 ms after a relay was stopped."""


class Call:
    """A caller and a callee on loopback, and a relay between them in a process of its own."""

    def __init__(self) -> None:
        self.sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(4)]
        for each in self.sockets:
            each.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
            each.bind(("127.0.0.1", 0))
        ports = [each.getsockname()[1] for each in self.sockets]
        self.caller, self.callee = self.sockets[0], self.sockets[2]
        remotes = [
            MediaAddress(ip="127.0.0.1", rtp_port=port, rtcp_port=port_2) for port, port_2 in (ports[:2], ports[2:])
        ]
        self.relay = RelayProcess(remotes)
        self.count = 0

    def say(self, count: int) -> None:
        """Send that many frames of the caller's, numbered on."""
        for number in range(self.count, self.count + count):
            self.say_one(number.to_bytes(4, "big") * 40)

    def say_one(self, payload: bytes) -> None:
        packet = RtpPacket(
            payload_type=8, sequence=self.count % 65536, timestamp=160 * self.count, ssrc=7, payload=payload
        )
        self.count += 1
        self.caller.sendto(build_rtp(packet), ("127.0.0.1", self.relay.ports[0]))

    def heard(self, *, least: int = 0) -> list[int]:
        """Return the numbers of the frames that wait for the callee; waits until there are so many."""
        numbers: list[int] = []
        while True:
            self.callee.settimeout(10 if len(numbers) < least else 0)
            try:
                numbers.append(int.from_bytes(parse_rtp(self.callee.recv(4096)).payload[:4], "big"))
            except BlockingIOError:
                return numbers

    def settle(self) -> None:
        """Talk until the kernel relays it."""
        before = self.relay.counters()["relayed"]
        for _ in range(100):
            self.say(1)
            self.heard(least=1)
            if self.relay.counters()["relayed"] > before + 1:
                return
        raise AssertionError("the kernel relays nothing")


@pytest.fixture
def call() -> Iterator[Call]:
    call = Call()
    with call.relay:
        yield call
    for each in call.sockets:
        each.close()


def test_what_the_core_cannot_take_is_not_relayed(call: Call) -> None:
    call.settle()
    before, first = call.relay.counters(), call.count
    call.relay.stop()
    call.say(RING + 3000)
    relayed = len(heard := call.heard(least=1))
    assert heard == list(range(first, first + relayed)), "what there was room for, in order"
    assert relayed <= RING, "and no more than wait for the core"
    call.relay.go_on()
    later: list[int] = []

    def has_caught_up() -> bool:
        call.say(1)
        later.extend(call.heard())
        return call.count - 1 in later

    eventually(has_caught_up, "what was in the socket goes on, and then what is said", timeout_s=10)
    later += call.heard()
    assert later[:100] == list(range(first + relayed, first + relayed + 100)), "sockets have the rest, in order"
    assert later == sorted(set(later))
    after = call.relay.counters()
    assert after["of_the_first"] == first + relayed + len(later), "all that was relayed is known, and nothing else"
    assert after["relayed"] - before["relayed"] >= relayed


def test_for_a_core_that_is_stopped_nothing_is_relayed(call: Call) -> None:
    call.settle()
    first = call.count
    call.relay.stop()
    time.sleep(0.1)  # more than the kernel waits for a look at its copies
    call.say(50)
    assert call.heard() == []
    call.relay.go_on()
    assert call.heard(least=50) == list(range(first, first + 50)), "its socket had them"


def test_a_stranger_ends_nothing(call: Call) -> None:
    strange = build_rtp(RtpPacket(payload_type=8, sequence=1, timestamp=1, ssrc=7, payload=bytes(160)))
    strangers = 0
    for _ in range(ATTEMPTS):
        strangers += 1
        call.settle()
        first = call.count
        call.relay.stop()
        call.sockets[1].sendto(strange, ("127.0.0.1", call.relay.ports[0]))
        call.say(10)
        heard = call.heard()
        call.relay.go_on()
        if len(heard) == 10:
            break
        call.heard(least=10 - len(heard))
    assert heard == list(range(first, first + 10)), "the kernel goes on, and the stranger is not heard"
    eventually(lambda: call.relay.counters()["dropped"] == strangers, "the strangers are counted", timeout_s=10)


def test_a_process_that_is_gone_relays_nothing(call: Call) -> None:
    call.settle()
    call.say(100)
    assert len(call.heard(least=100)) == 100
    call.relay.kill()
    call.say(100)
    assert call.heard() == []


def test_nothing_of_it_stays_in_memory(call: Call) -> None:
    for _ in range(ATTEMPTS):
        call.settle()
        phrases = {f"frame {i}": os.urandom(160) for i in range(20)}
        needles = {name: phrase[40:72] for name, phrase in phrases.items()}
        received = call.relay.counters()["received"]
        call.relay.stop()
        for phrase in phrases.values():
            call.say_one(phrase)
        found = {hit.needle for hit in search(call.relay.pid, needles) if "bpf-map" in hit.region}
        call.relay.go_on()
        if found == set(needles):
            break
    assert found == set(needles), "the search finds what is there"
    eventually(lambda: call.relay.counters()["received"] == received + 20, "it was taken", timeout_s=10)
    assert search(call.relay.pid, needles) == []


def test_the_ring_is_in_no_core_file_and_no_child(call: Call) -> None:
    name, flags = "", {}
    for line in Path(f"/proc/{call.relay.pid}/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            name = line
        elif line.startswith("VmFlags:") and "bpf-map" in name:
            flags[name] = set(line.split())
    assert len(flags) == 3, "the flows, the ring and its ends"
    assert all({"dd", "dc"} <= each for each in flags.values()), flags


def held() -> list[str]:
    """Return what this process has open, and what of the kernel's programs it has mapped."""
    links = [link.readlink().name for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    mapped = [line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines()]
    return sorted([*links, *(name for name in mapped if name.endswith("bpf-map"))])


def test_closing_leaves_nothing_open() -> None:
    before = held()
    with Relay(replace(OPTIONS, kernel_interfaces=("lo",), kernel_packets_per_s=UNPACED)):
        assert {f"anon_inode:{kind}" for kind in ("bpf-map", "bpf-prog", "bpf_link")} <= set(held())
    assert held() == before


@pytest.mark.parametrize("interfaces", [("no-such-one",), ("lo", "no-such-one"), ("lo", "x" * 40)])
def test_no_such_interface(interfaces: tuple[str, ...]) -> None:
    before = held()
    with pytest.raises(OSError, match="No such device") as raised:
        Relay(replace(OPTIONS, kernel_interfaces=interfaces))
    assert raised.value.errno == errno.ENODEV
    assert not any("bpf" in each for each in held())
    del raised  # which holds what else was made up to there
    assert held() == before


def test_what_is_no_choice_of_interfaces_or_comes_too_late() -> None:
    with pytest.raises(ValueError, match="16 at most"):
        Relay(replace(OPTIONS, kernel_interfaces=("lo",) * 17))
    with Relay(OPTIONS) as relay, pytest.raises(OSError, match="Invalid argument"):
        relay._core.relay_in_kernel("audio/relay.bpf.o", ["lo"], packets_per_s=1)


@pytest.mark.parametrize(
    "limited",
    [("setpriv", "--inh-caps=-all", "--bounding-set=-all"), ("unshare", "--user", "--map-root-user")],
    ids=["no capabilities", "user namespace"],
)
def test_without_the_right_to_it_it_says_so_and_sockets_work(limited: tuple[str, ...]) -> None:
    program = """
from audio.relay import Relay
from audio.types import RelayOptions
try:
    Relay(RelayOptions(kernel_interfaces=("lo",)))
except PermissionError:
    print("refused")
with Relay(RelayOptions(lock_memory=False)) as relay:
    print(relay.counters()["legs"])
"""
    done = subprocess.run([*limited, sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "refused\n0\n"
