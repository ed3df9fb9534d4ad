"""What the stack of the recorder's machine would keep from a socket is not relayed past it either."""

import re
import socket
import struct
import time

import pytest

from tests.helpers.network_call import Call, folded, talk
from tests.helpers.networks import Network, Wires
from tests.helpers.rtp import eventually
from tests.reference.rtp import RtpPacket, build_rtp

pytestmark = pytest.mark.kernel_relay

VLAN_77 = bytes.fromhex("8100004d")


def hardware_address(network: Network, interface: str) -> bytes:
    found = re.search(r"ether (\S+)", network.ip(f"link show {interface}"))
    assert found
    return bytes.fromhex(found[1].replace(":", ""))


def next_frame(call: Call, wires: Wires) -> bytes:
    """Return the caller's next frame as its card would send it."""
    speaker = call.caller
    payload = speaker.count.to_bytes(4, "big") * 40
    packet = RtpPacket(
        payload_type=8,
        sequence=speaker.count % 65536,
        timestamp=160 * speaker.count,
        ssrc=speaker.port,
        payload=payload,
    )
    speaker.count += 1
    datagram = struct.pack("!HHHH", speaker.rtp.getsockname()[1], speaker.port, 180, 0) + build_rtp(packet)
    addresses = socket.inet_aton(Wires.CALLER) + socket.inet_aton(Wires.OURS)
    pseudo = addresses + struct.pack("!HH", socket.IPPROTO_UDP, len(datagram))
    datagram = datagram[:6] + struct.pack("!H", 0xFFFF - folded(pseudo + datagram)) + datagram[8:]
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(datagram), 0, 0, 64, socket.IPPROTO_UDP, 0) + addresses
    header = header[:10] + struct.pack("!H", 0xFFFF - folded(header)) + header[12:]
    ends = hardware_address(wires.recorder, "outside") + hardware_address(wires.caller, "phone")
    return ends + b"\x08\x00" + header + datagram


def spoil(frame: bytes, how: str) -> bytes:
    """Return a frame that is not for us, or not as it was sent."""
    if how == "damaged":
        return frame[:-1] + bytes([frame[-1] ^ 1])
    if how == "tagged":
        return frame[:12] + VLAN_77 + frame[12:]
    if how == "to another card":
        return bytes.fromhex("020000000099") + frame[6:]
    if how == "with a trailer":
        return frame + bytes(600)
    return frame


def heard(call: Call, expected: int = 0) -> int:
    """Return how many packets have come to the callee since: those expected, and what comes 50 ms after them."""
    count = 0
    try:
        while True:
            call.callee.rtp.settimeout(3.0 if count < expected else 0.05)
            call.callee.rtp.recv(4096)
            count += 1
    except TimeoutError:
        return count


@pytest.mark.parametrize(
    ("how", "passes"),
    [("sound", True), ("damaged", False), ("tagged", False), ("to another card", False), ("with a trailer", True)],
)
def test_only_what_is_for_us_and_as_it_was_sent_goes_on(
    wires: Wires, network_call: Call, how: str, passes: bool
) -> None:
    assert len(talk(network_call, 0.5)) > 40
    heard(network_call)
    before = network_call.relay.counters()
    for _ in range(3):
        network_call.caller.wire.send(spoil(next_frame(network_call, wires), how))
        time.sleep(0.02)
    assert heard(network_call, 3 * passes) == 3 * passes
    after = network_call.relay.counters()
    assert after["received"] - before["received"] == 3 * passes
    assert after["relayed"] - before["relayed"] == (3 if how == "sound" else 0), "a trailer is for the stack to cut off"


def test_the_peers_address_counts_only_by_the_way_that_leads_to_it(wires: Wires, network_call: Call) -> None:
    wires.recorder.write("ipv4/conf/inside/rp_filter", "1")
    assert len(talk(network_call, 0.5)) > 40
    heard(network_call)
    before = network_call.relay.counters()
    frame = next_frame(network_call, wires)
    for _ in range(3):
        ends = hardware_address(wires.recorder, "inside") + hardware_address(wires.callee, "phone")
        network_call.callee.wire.send(ends + frame[12:])
    assert heard(network_call) == 0
    assert network_call.relay.counters()["received"] == before["received"]


def test_where_a_policy_may_want_encryption_nothing_is_relayed(wires: Wires, network_call: Call) -> None:
    assert len(talk(network_call, 0.5)) > 40
    before = network_call.relay.counters()
    assert before["relayed"] > 40
    wires.recorder.ip("xfrm policy add dir out dst 10.99.0.1/32 tmpl proto esp mode transport level use")

    def has_stopped() -> bool:
        counted = network_call.relay.counters()["relayed"]
        talk(network_call, 0.1)
        return network_call.relay.counters()["relayed"] == counted

    eventually(has_stopped, "it is heard of within 250 ms", timeout_s=5.0)
    told = network_call.relay.counters()
    assert len(talk(network_call, 0.5)) > 40
    after = network_call.relay.counters()
    assert after["received"] > told["received"] + 40
    assert after["relayed"] == told["relayed"]
