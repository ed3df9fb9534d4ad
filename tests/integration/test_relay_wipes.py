"""What a closed gate erased, and what a masked leg held, is nowhere in the process's memory: the memory is searched."""

import os
import random
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from audio.codecs import ALAW_TO_LINEAR
from audio.rtp import RtpPacket, build_rtp
from audio.types import Codec

ROOT = Path(__file__).parents[2]

# The process under search never holds what it looks for: the needles come masked, memory is masked to compare, and
# what was read of it is wiped at once.
SEARCHED = """
import re, sys, time
from audio.relay import Relay
from audio.types import Codec, DtmfPolicy, LegMedia, MediaAddress, RelayOptions, TapOptions

def found(needles):
    hits = [0] * len(needles)
    table, read = bytes(b ^ 0x5C for b in range(256)), bytearray(1 << 20)
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
        for line in maps:
            if not re.match(r"^[0-9a-f]+-[0-9a-f]+ rw", line) or "[v" in line:
                continue
            start, end = (int(part, 16) for part in line.split()[0].split("-"))
            while start < end:
                memory.seek(start)
                try:
                    size = memory.readinto(memoryview(read)[: min(end - start, len(read))])
                except OSError:
                    break
                masked = read.translate(table)[:size]
                read[:] = bytes(len(read))
                for i, needle in enumerate(needles):
                    hits[i] += masked.count(needle)
                start += (1 << 20) - 64
    return hits

relay = Relay(RelayOptions(ports=(42000, 42999), lock_memory=False))
relay.start()
legs = []
for ports in sys.argv[1:3]:
    rtp, rtcp = map(int, ports.split(","))
    leg = relay.open_leg()
    remote = MediaAddress(ip="127.0.0.1", rtp_port=rtp, rtcp_port=rtcp)
    relay.set_media(leg, LegMedia(remote=remote, codec=Codec.PCMA, send_pt=8, receive_pt=8))
    legs.append(leg)
relay.bridge(*legs)
relay.detect_tones(legs[0], True)
relay.set_dtmf(legs[0], DtmfPolicy.MASK if sys.argv[3] == "mask" else DtmfPolicy.PASS)
tap = relay.open_tap(*legs, TapOptions())
needles = [bytes.fromhex(each) for each in sys.argv[4:]]
print(relay.local_address(legs[0]).rtp_port, flush=True)
for command in sys.stdin:
    if command == "close\\n":
        relay.close_gate(tap, 5.0)
    print(relay.statistics(legs[0]).received, *found(needles), flush=True)
"""


class Searched:
    """A process with a relay and one bridged, tapped call."""

    def __init__(self, policy: str, needles: list[bytes]) -> None:
        self.sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(4)]
        for each in self.sockets:
            each.bind(("127.0.0.1", 0))
        ports = [each.getsockname()[1] for each in self.sockets]
        masked = [bytes(value ^ 0x5C for value in needle).hex() for needle in needles]
        self.process = subprocess.Popen(
            [sys.executable, "-c", SEARCHED, f"{ports[0]},{ports[1]}", f"{ports[2]},{ports[3]}", policy, *masked],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self.port = int(self._line())

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def send(self, sequence: int, payload: bytes) -> None:
        packet = RtpPacket(
            payload_type=int(Codec.PCMA), sequence=sequence, timestamp=160 * sequence, ssrc=7, payload=payload
        )
        self.sockets[0].sendto(build_rtp(packet), ("127.0.0.1", self.port))

    def ask(self, command: str) -> tuple[int, list[int]]:
        """Return the packets received so far, and how often each needle lies in memory."""
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        received, *hits = map(int, self._line().split())
        return received, hits

    def close(self) -> None:
        self.process.communicate(timeout=10)
        for each in self.sockets:
            each.close()


@pytest.mark.parametrize("policy", ["pass", "mask"])
def test_nothing_of_an_erased_span_stays_in_memory(policy: str) -> None:
    rng = random.Random(11)
    payloads = [rng.randbytes(160) for _ in range(10)]
    raw = [payload[40:64] for payload in payloads]
    linear = [ALAW_TO_LINEAR[list(payloads[-1][at : at + 16])].tobytes() for at in (100, 130)]
    searched = Searched(policy, [*raw, *linear])
    try:
        for sequence, payload in enumerate(payloads):
            searched.send(sequence, payload)
        hits: list[int] = []
        for _ in range(200):
            received, hits = searched.ask("look")
            if received == len(payloads):
                break
        assert all(hits[:10]), "the search finds what the ring holds"
        searched.ask("close")
        for _ in range(60):  # the last samples are in the detector for two seconds
            _, hits = searched.ask("look")
            if not any(hits):
                break
        assert hits == [0] * 12
    finally:
        searched.close()
