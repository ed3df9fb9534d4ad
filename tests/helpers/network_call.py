"""A call between two networks through a recorder's (`tests.helpers.networks`), and what is seen of it on the wires."""

import socket
import struct
import time
from dataclasses import dataclass

from audio.types import MediaAddress
from tests.helpers.networks import Network, Wires
from tests.helpers.relay_process import RelayProcess
from tests.reference.rtp import RtpPacket, build_rtp

FRAME_S = 0.005
"""Between two frames of `talk`."""


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


def folded(data: bytes) -> int:
    """Return the sum that is 0xFFFF over what carries its checksum (RFC 1071)."""
    total: int = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + bytes(len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def talk(call: Call, seconds: float) -> list[float]:
    """Say a frame every 5 ms for a while; returns when, from its begin on, those came that the callee has heard.

    Time is counted in frames: on a busy machine the same number takes longer.
    """
    heard = []
    call.callee.rtp.setblocking(False)
    for number in range(round(seconds / FRAME_S)):
        call.caller.say()
        time.sleep(FRAME_S)
        try:
            while True:
                call.callee.rtp.recv(4096)
                heard.append(number * FRAME_S)
        except BlockingIOError:
            pass
    return heard
