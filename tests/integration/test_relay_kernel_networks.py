"""The kernel's relay between two interfaces: what a card would see of it, and ways that change under it."""

import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from audio.rtp import RtpPacket, build_rtp, parse_rtp
from audio.types import MediaAddress
from tests.helpers.networks import Network, Wires, join
from tests.helpers.relay_process import RelayProcess

SO_NO_CHECK = 11
"""Of the kernel's socket.h, which Python does not name: UDP without a checksum."""
EF, TTL = 46 << 2, 64


@pytest.fixture
def wires() -> Iterator[Wires]:
    with Wires() as wires:
        yield wires


@dataclass
class Phone:
    """One side of the call: its socket, all that comes in by its interface, and our port for it."""

    rtp: socket.socket
    rtcp: socket.socket
    wire: socket.socket
    port: int = 0
    count: int = 0

    def say(self) -> bytes:
        """Send the next frame; returns it."""
        payload = self.count.to_bytes(4, "big") * 40
        packet = RtpPacket(
            payload_type=8, sequence=self.count % 65536, timestamp=160 * self.count, ssrc=self.port, payload=payload
        )
        self.rtp.sendto(build_rtp(packet), (Wires.OURS, self.port))
        self.count += 1
        return payload

    def close(self) -> None:
        for each in (self.rtp, self.rtcp, self.wire):
            each.close()


class Call:
    """Caller and callee on their networks, and a relay at the recorder."""

    def __init__(self, wires: Wires) -> None:
        self.caller = phone_of(wires.caller, Wires.CALLER)
        self.callee = phone_of(wires.callee, Wires.CALLEE)
        remotes = [
            MediaAddress(ip=phone.rtp.getsockname()[0], rtp_port=phone.rtp.getsockname()[1], rtcp_port=1 + i)
            for i, phone in enumerate((self.caller, self.callee))
        ]
        with wires.recorder.inside():
            self.relay = RelayProcess(remotes, address=Wires.OURS, interfaces=("outside", "inside"))
        self.caller.port, self.callee.port = self.relay.ports


def phone_of(network: Network, address: str) -> Phone:
    return Phone(network.udp(address), network.udp(address), network.capture("phone"))


@pytest.fixture
def call(wires: Wires) -> Iterator[Call]:
    call = Call(wires)
    with call.relay:
        yield call
    call.caller.close()
    call.callee.close()


def folded(data: bytes) -> int:
    """Return the sum that is 0xFFFF over what carries its checksum (RFC 1071)."""
    total: int = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + bytes(len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def payload_of(frame: bytes, *, may_lack_checksum: bool) -> bytes | None:
    """Hold a frame with RTP of ours to what is due; returns its audio, None for other traffic."""
    header, datagram = frame[14:34], frame[34:]
    if header[9] != socket.IPPROTO_UDP or datagram[8] != 0x80:
        return None
    assert header[0] == 0x45
    assert folded(header) == 0xFFFF, "IP checksum"
    assert (header[1], header[8]) == (EF, TTL), "DSCP and TTL"
    assert header[12:16] == socket.inet_aton(Wires.OURS), "ours is the source"
    assert struct.unpack("!HH", header[2:4] + datagram[4:6]) == (len(frame) - 14, len(frame) - 34)
    checksum = struct.unpack("!H", datagram[6:8])[0]
    if checksum or not may_lack_checksum:
        pseudo = header[12:20] + struct.pack("!HH", socket.IPPROTO_UDP, len(datagram))
        assert folded(pseudo + datagram) == 0xFFFF, "UDP checksum"
    return parse_rtp(datagram[8:]).payload


@pytest.mark.parametrize("checksums", ["of the stack", "of the card", "none"])
def test_every_packet_is_right_to_the_byte_on_the_wire(wires: Wires, call: Call, checksums: str) -> None:
    for network in (wires.caller, wires.callee):
        network.compute_checksums("phone", by_card=checksums == "of the card")
    for interface in ("outside", "inside"):  # so that nothing is left to a card that is not there
        wires.recorder.compute_checksums(interface, by_card=False)
    if checksums == "none":
        for phone in (call.caller, call.callee):
            phone.rtp.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)
    for _ in range(300):
        for speaker, hearer in ((call.caller, call.callee), (call.callee, call.caller)):
            said = speaker.say()
            assert parse_rtp(hearer.rtp.recv(4096)).payload == said
            seen = None
            while seen is None:
                seen = payload_of(hearer.wire.recv(4096), may_lack_checksum=checksums == "none")
            assert seen == said
    counters = call.relay.counters()
    assert counters["received"] == counters["sent"] == 600
    assert counters["relayed"] > 550


def talk(call: Call, seconds: float) -> list[float]:
    """Say a frame every 5 ms for a while; returns when, from its begin on, those came that the callee has heard."""
    began, heard = time.monotonic(), []
    call.callee.rtp.setblocking(False)
    while (now := time.monotonic() - began) < seconds:
        call.caller.say()
        time.sleep(0.005)
        try:
            while True:
                call.callee.rtp.recv(4096)
                heard.append(now)
        except BlockingIOError:
            pass
    return heard


def test_a_peer_whose_hardware_changes_is_found_again(wires: Wires, call: Call) -> None:
    assert len(talk(call, 0.5)) > 40
    assert call.relay.counters()["relayed"] > 40
    for turn in range(2):
        wires.callee.ip(f"link set phone address 02:00:00:00:00:{turn:02x}")
        wires.recorder.ip("neigh flush all")
        heard = talk(call, 2)
        assert heard[0] < 1, "silent for longer than a moment"
        assert heard[-1] > 1.9
        assert len(heard) > 100
    counters = call.relay.counters()
    assert counters["relayed"] > 0.9 * counters["received"]


def test_a_way_that_changes_is_followed(wires: Wires, call: Call) -> None:
    join(wires.recorder, "second", wires.callee, "phone2")
    wires.recorder.ip("address add 10.3.0.1/24 dev second")
    wires.callee.ip("address add 10.3.0.2/24 dev phone2")
    for name in ("all", "phone", "phone2"):
        wires.callee.write(f"ipv4/conf/{name}/rp_filter", "0")
    assert len(talk(call, 0.5)) > 40
    assert call.relay.counters()["relayed"] > 40
    wires.recorder.ip("route add 10.2.0.2/32 via 10.3.0.2")
    wires.recorder.ip("link set inside down")
    before = call.relay.counters()
    heard = talk(call, 2)
    assert heard[0] < 1, "silent for longer than a moment"
    assert heard[-1] > 1.9
    after = call.relay.counters()
    assert after["relayed"] - before["relayed"] > 0.9 * (after["received"] - before["received"])
