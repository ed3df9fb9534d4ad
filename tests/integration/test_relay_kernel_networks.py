"""The kernel's relay between two interfaces: what a card would see of it, and ways that change under it."""

import socket
import struct

import pytest

from tests.helpers.network_call import Call, folded, talk
from tests.helpers.networks import Wires, join
from tests.reference.rtp import parse_rtp

pytestmark = pytest.mark.kernel_relay

SO_NO_CHECK = 11
"""Of the kernel's socket.h, which Python does not name: UDP without a checksum."""
EF, TTL = 46 << 2, 64


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
def test_every_packet_is_right_to_the_byte_on_the_wire(wires: Wires, network_call: Call, checksums: str) -> None:
    for network in (wires.caller, wires.callee):
        network.compute_checksums("phone", by_card=checksums == "of the card")
    for interface in ("outside", "inside"):  # so that nothing is left to a card that is not there
        wires.recorder.compute_checksums(interface, by_card=False)
    if checksums == "none":
        for phone in (network_call.caller, network_call.callee):
            phone.rtp.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)
    for _ in range(300):
        for speaker, hearer in ((network_call.caller, network_call.callee), (network_call.callee, network_call.caller)):
            said = speaker.say()
            assert parse_rtp(hearer.rtp.recv(4096)).payload == said
            seen = None
            while seen is None:
                seen = payload_of(hearer.wire.recv(4096), may_lack_checksum=checksums == "none")
            assert seen == said
    counters = network_call.relay.counters()
    assert counters["received"] == counters["sent"] == 600
    assert counters["relayed"] > 550


def test_a_peer_whose_hardware_changes_is_found_again(wires: Wires, network_call: Call) -> None:
    assert len(talk(network_call, 0.5)) > 40
    assert network_call.relay.counters()["relayed"] > 40
    for turn in range(2):
        wires.callee.ip(f"link set phone address 02:00:00:00:00:{turn:02x}")
        wires.recorder.ip("neigh flush all")
        heard = talk(network_call, 2)
        assert heard[0] < 1, "silent for longer than a moment"
        assert heard[-1] > 1.9
        assert len(heard) > 100
    counters = network_call.relay.counters()
    assert counters["relayed"] > 0.9 * counters["received"]


def test_a_way_that_changes_is_followed(wires: Wires, network_call: Call) -> None:
    join(wires.recorder, "second", wires.callee, "phone2")
    wires.recorder.ip("address add 10.3.0.1/24 dev second")
    wires.callee.ip("address add 10.3.0.2/24 dev phone2")
    for name in ("all", "phone", "phone2"):
        wires.callee.write(f"ipv4/conf/{name}/rp_filter", "0")
    assert len(talk(network_call, 0.5)) > 40
    assert network_call.relay.counters()["relayed"] > 40
    wires.recorder.ip("route add 10.2.0.2/32 via 10.3.0.2")
    wires.recorder.ip("link set inside down")
    before = network_call.relay.counters()
    heard = talk(network_call, 2)
    assert heard[0] < 1, "silent for longer than a moment"
    assert heard[-1] > 1.9
    after = network_call.relay.counters()
    assert after["relayed"] - before["relayed"] > 0.9 * (after["received"] - before["received"])


def test_a_peer_who_comes_by_another_wire_is_followed(wires: Wires, network_call: Call) -> None:
    join(wires.caller, "around", wires.callee, "across")
    wires.caller.ip("address add 10.4.0.2/24 dev around")
    wires.callee.ip("address add 10.4.0.1/24 dev across")
    wires.callee.write("ipv4/ip_forward", "1")
    for network, names in ((wires.callee, ("all", "phone", "across")), (wires.recorder, ("all", "inside", "outside"))):
        for name in names:
            network.write(f"ipv4/conf/{name}/rp_filter", "0")
    assert len(talk(network_call, 0.5)) > 40
    assert network_call.relay.counters()["relayed"] > 40
    wires.callee.ip(f"route add {Wires.CALLER}/32 via 10.4.0.2")
    wires.recorder.ip(f"route add {Wires.CALLER}/32 via {Wires.CALLEE}")
    wires.caller.ip(f"route add {Wires.OURS}/32 via 10.4.0.1")
    talk(network_call, 0.5)  # a change of routes is seen within 250 ms
    before = network_call.relay.counters()
    heard = talk(network_call, 1)
    after = network_call.relay.counters()
    assert len(heard) > 100
    assert after["relayed"] - before["relayed"] > 0.9 * (after["received"] - before["received"])
