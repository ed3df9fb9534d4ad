"""What a closed gate erased, and what a masked leg held, is nowhere in the process's memory: the memory is searched."""

import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from audio.codecs import ALAW_TO_LINEAR
from audio.types import Codec
from tests.helpers.srtp import Far, Written
from tests.reference.rtp import RtpPacket, build_rtp

ROOT = Path(__file__).parents[2]

# The process under search never holds what it looks for: the needles come masked, memory is masked to compare, and
# what was read of it is wiped at once, masked or not.
SEARCHED = """
import re, sys, time
from audio.relay import Relay
from audio.types import Codec, DtmfPolicy, LegMedia, MediaAddress, MediaIo, RelayOptions, TapOptions
from audio.types import SrtpKey, SrtpKeys, SrtpSuite

def found(needles):
    hits = [0] * len(needles)
    table, read = bytes(b ^ 0x5C for b in range(256)), bytearray(1 << 16)
    empty = bytes(len(read))
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
        for line in maps:
            if not re.match(r"^[0-9a-f]+-[0-9a-f]+ rw", line) or "[v" in line:
                continue
            start, end = (int(part, 16) for part in line.split()[0].split("-"))
            while start < end:
                memory.seek(start)
                try:
                    memory.readinto(memoryview(read)[: min(end - start, len(read))])
                except OSError:
                    break
                if read != empty:  # most of it is
                    masked = read.translate(table)
                    read[:] = empty
                    for i, needle in enumerate(needles):
                        hits[i] += masked.count(needle)
                    masked[:] = empty  # to mask what is left of it would bring back what was masked
                start += len(read) - 64
    return hits

relay = Relay(RelayOptions(ports=(42000, 42999), lock_memory=False, io=MediaIo(sys.argv[5])))
relay.start()

def key_of(masked, name):
    key = bytearray(len(masked) // 2)
    for i in range(len(key)):
        key[i] = int(masked[2 * i : 2 * i + 2], 16) ^ 0x5C
    return SrtpKey(suite=SrtpSuite.AES_CM_128_HMAC_SHA1_80, key=key, name=name)

legs = []
for ports in sys.argv[1:3]:
    rtp, rtcp = map(int, ports.split(","))
    leg = relay.open_leg()
    remote = MediaAddress(ip="127.0.0.1", rtp_port=rtp, rtcp_port=rtcp)
    keys = sys.argv[4].split(",") if sys.argv[4] else None
    srtp = keys and SrtpKeys(receive=key_of(keys[0], b"theirs"), send=key_of(keys[1], b"ours"))
    relay.set_media(leg, LegMedia(remote=remote, codec=Codec.PCMA, send_pt=8, receive_pt=8, srtp=srtp or None))
    if srtp:
        srtp.receive.key[:] = srtp.send.key[:] = bytes(30)
    legs.append(leg)
relay.bridge(*legs)
relay.legs.detect_tones(legs[0], True)
relay.legs.set_dtmf(legs[0], DtmfPolicy.MASK if sys.argv[3] == "mask" else DtmfPolicy.PASS)
tap = relay.taps.open(*legs, TapOptions(look_back_s=60.0))  # a search takes seconds on a busy machine
needles = [bytes.fromhex(each) for each in sys.argv[6:]]
print(relay.local_address(legs[0]).rtp_port, flush=True)
for command in sys.stdin:
    if command == "close\\n":
        relay.taps.close_gate(tap, 60.0)
    received = relay.legs.statistics(legs[0]).received if legs else 0
    if command == "hang up\\n":
        relay.taps.release(tap)
        while legs:
            relay.close_leg(legs.pop())
    print(received, *found(needles), flush=True)
"""


class Searched:
    """A process with a relay and one bridged, tapped call; with keys, both of its sides are SRTP."""

    def __init__(self, policy: str, needles: list[bytes], far: Far | None = None, io: str = "auto") -> None:
        self.far = far
        keys = (far.keys.receive.key, far.keys.send.key) if far is not None else ()
        masked_keys = ",".join(bytes(value ^ 0x5C for value in key).hex() for key in keys)
        self.sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(4)]
        for each in self.sockets:
            each.bind(("127.0.0.1", 0))
        ports = [each.getsockname()[1] for each in self.sockets]
        masked = [bytes(value ^ 0x5C for value in needle).hex() for needle in needles]
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                SEARCHED,
                f"{ports[0]},{ports[1]}",
                f"{ports[2]},{ports[3]}",
                policy,
                masked_keys,
                io,
                *masked,
            ],
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
        data = build_rtp(packet)
        self.sockets[0].sendto(data if self.far is None else self.far.sends.protect(data), ("127.0.0.1", self.port))

    def ask(self, command: str) -> tuple[int, list[int]]:
        """Return the packets received so far, and how often each needle lies in memory."""
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        received, *hits = map(int, self._line().split())
        return received, hits

    def look_until(self, is_so: Callable[[int, list[int]], bool], *, within_s: float = 20.0) -> list[int]:
        """Look until something is so, or the time is over; return how often each needle was there at the end."""
        deadline = time.monotonic() + within_s
        while True:
            received, hits = self.ask("look")
            if is_so(received, hits) or time.monotonic() > deadline:
                return hits
            time.sleep(0.2)

    def close(self) -> None:
        self.process.communicate(timeout=10)
        for each in self.sockets:
            each.close()


@pytest.mark.parametrize(
    ("policy", "far", "io"),
    [
        ("pass", None, "epoll"),
        ("mask", Far(), "epoll"),
        pytest.param("pass", None, "io_uring", marks=[pytest.mark.io_uring, pytest.mark.long]),  # the next two have it
        pytest.param("mask", None, "io_uring", marks=pytest.mark.io_uring),
        pytest.param("pass", Far(), "io_uring", marks=pytest.mark.io_uring),
    ],
)
def test_nothing_of_an_erased_span_stays_in_memory(policy: str, far: Far | None, io: str) -> None:
    rng = random.Random(11)
    payloads = [rng.randbytes(160) for _ in range(10)]
    raw = [payload[40:64] for payload in payloads]
    linear = [ALAW_TO_LINEAR[list(payloads[-1][at : at + 16])].tobytes() for at in (100, 130)]
    searched = Searched(policy, [*raw, *linear], far, io)
    try:
        for sequence, payload in enumerate(payloads):
            searched.send(sequence, payload)
        hits = searched.look_until(lambda received, _: received == len(payloads))
        assert all(hits[:10]), "the search finds what the ring holds"
        searched.ask("close")
        hits = searched.look_until(lambda _, hits: not any(hits))  # the detector has the last samples for two seconds
        assert hits == [0] * 12
    finally:
        searched.close()


def test_keys_are_in_memory_while_a_call_lasts_and_master_keys_not_even_then() -> None:
    far = Far()
    pairs = [(Written(key), key) for key in (far.keys.receive, far.keys.send)]
    masters = [part for _, key in pairs for part in (bytes(key.key[:16]), bytes(key.key[16:]))]
    sessions = [written.derived(label, length) for written, _ in pairs for label, length in ((0, 16), (2, 14), (3, 16))]
    searched = Searched("pass", [*masters, *sessions], far)
    try:
        searched.send(1, bytes(160))
        _, hits = searched.ask("look")
        assert not any(hits[:4]), "a master key is used once"
        assert all(hits[4:]), "the search finds what both legs have"
        _, hits = searched.ask("hang up")
        assert hits == [0] * 10
    finally:
        searched.close()
