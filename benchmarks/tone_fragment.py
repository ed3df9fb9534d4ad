"""How much of a tone goes on to the other side before its digit is known, through the real relay and its sockets."""

import socket
import statistics
import time
from types import TracebackType
from typing import Any, Self

import numpy as np

from audio.blocks import AudioRun, decode_block
from audio.codecs import encode
from audio.relay import Relay
from audio.types import Channel, Codec, DtmfPolicy, LegMedia, MediaAddress, RelayOptions, TapOptions
from benchmarks.tone_channel import rms_of
from benchmarks.tone_misses import key_signal
from tests.reference.rtp import RtpPacket, build_rtp, parse_rtp

_PACKET, _TICKS_PER_MS = 160, 8
_SILENCE = 0xD5
_LEAD_PACKETS, _MOST_PACKETS = 5, 6
_PATIENCE_S = 1.0
_HELD_MS = 100
_SLOT_PACKETS = 24


class FragmentError(RuntimeError):
    """The relay did not pass the tone on, or never knew the digit."""


class _Party:
    """One party on loopback."""

    def __init__(self, relay: Relay) -> None:
        self.rtp, self._rtcp = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        for sock in (self.rtp, self._rtcp):
            sock.bind(("127.0.0.1", 0))
            sock.settimeout(_PATIENCE_S)
        self.leg = relay.open_leg()
        ours = relay.local_address(self.leg)
        self._target = (ours.ip, ours.rtp_port)
        self._sent = 0
        remote = MediaAddress(ip="127.0.0.1", rtp_port=self.rtp.getsockname()[1], rtcp_port=self._rtcp.getsockname()[1])
        media = LegMedia(
            remote=remote,
            codec=Codec.PCMA,
            send_pt=8,
            receive_pt=8,
            send_event_pt=None,
            receive_event_pt=None,
            sends=True,
            receives=True,
        )
        relay.set_media(self.leg, media)

    def send(self, payload: bytes) -> None:
        """Send the next packet of 20 ms."""
        packet = RtpPacket(
            payload_type=8,
            sequence=self._sent % 65536,
            timestamp=self._sent * _PACKET,
            ssrc=7,
            payload=payload,
            is_marked=False,
        )
        self._sent += 1
        self.rtp.sendto(build_rtp(packet), self._target)

    def receive(self) -> bytes:
        """Return the payload of the next packet.

        Raises:
            FragmentError: None came.
        """
        try:
            return bytes(parse_rtp(self.rtp.recv(4096)).payload)
        except TimeoutError:
            raise FragmentError("the relay passed nothing on") from None

    def received_now(self) -> list[bytes]:
        """Return what waits."""
        self.rtp.setblocking(False)
        payloads: list[bytes] = []
        try:
            while True:
                payloads.append(bytes(parse_rtp(self.rtp.recv(4096)).payload))
        except BlockingIOError:
            return payloads
        finally:
            self.rtp.settimeout(_PATIENCE_S)

    def close(self) -> None:
        self.rtp.close()
        self._rtcp.close()


class _Bridge:
    """A relay with a caller and an officer who hear each other."""

    def __init__(self, policy: DtmfPolicy) -> None:
        self.relay = Relay(RelayOptions(ports=(42000, 42999), lock_memory=False))
        self.relay.start()
        self.caller, self.officer = _Party(self.relay), _Party(self.relay)
        self.relay.bridge(self.caller.leg, self.officer.leg)
        self.relay.legs.detect_tones(self.caller.leg, True)
        self.relay.legs.set_dtmf(self.caller.leg, policy)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.relay.close()
        self.caller.close()
        self.officer.close()


def _tone(key: str, samples: int, seed: int) -> bytes:
    """Return a key in A-law with no byte that stands for silence, so that each byte can be counted."""
    wave = key_signal(key, samples, np.random.default_rng(seed), rms=rms_of(-12))
    return encode(Codec.PCMA, wave.astype(np.int16)).replace(bytes([_SILENCE]), bytes([_SILENCE ^ 1]))


def _is_silenced(relay: Relay, bridge: _Bridge, line: bytes, packets: int) -> tuple[bool, int]:
    """Pass so many packets of a line on; return whether the digit was known by then, and the tone's ticks passed."""
    tap = relay.taps.open(bridge.caller.leg, bridge.officer.leg, TapOptions())
    passed = 0
    try:
        for index in range(packets):
            bridge.caller.send(line[index * _PACKET : (index + 1) * _PACKET])
            passed += _PACKET - bridge.officer.receive().count(_SILENCE)
        out = bytearray(1 << 16)
        length, _ = relay.taps.drain(tap, out, is_final=True)
        kept = sum(
            len(record.payload) - bytes(record.payload).count(_SILENCE)
            for record in decode_block(bytes(out[:length]))
            if isinstance(record, AudioRun) and record.channel is Channel.LEFT
        )
        return kept == 0, passed
    finally:
        relay.taps.release(tap)


def _passed_before_known(bridge: _Bridge, key: str, lead: int, seed: int) -> int:
    silence = bytes([_SILENCE])
    line = silence * (_LEAD_PACKETS * _PACKET + lead) + _tone(key, _HELD_MS * _TICKS_PER_MS, seed)
    for packets in range(_LEAD_PACKETS + 1, _LEAD_PACKETS + _MOST_PACKETS):
        _reset(bridge)
        is_known, passed = _is_silenced(bridge.relay, bridge, line, packets)
        if is_known:
            return passed
    raise FragmentError(f"the digit was not known after {_HELD_MS} ms of its tone")


def _reset(bridge: _Bridge) -> None:
    """Let the detector forget what it has heard: detection off and on again."""
    bridge.relay.legs.detect_tones(bridge.caller.leg, False)
    bridge.relay.legs.detect_tones(bridge.caller.leg, True)


def unmasked(keys: str, *, step: int) -> dict[str, Any]:
    """Measure a leg that holds nothing back: the tone that has gone on when the digit is known, ms.

    Args:
        keys: Which keys.
        step: Ticks between the alignments of the tone in its packet that are tried, in [1, 160].

    Raises:
        FragmentError: The relay did not do its work.
    """
    with _Bridge(DtmfPolicy.PASS) as bridge:
        passed = [
            _passed_before_known(bridge, key, lead, seed=lead) / _TICKS_PER_MS
            for key in keys
            for lead in range(0, _PACKET, step)
        ]
    return {
        "tones": len(passed),
        "max_ms": max(passed),
        "mean_ms": round(statistics.fmean(passed), 1),
        "min_ms": min(passed),
    }


def masked(keys: str, *, seed: int) -> dict[str, Any]:
    """Measure a MASK leg in real time: what of tones of 100 ms, clean and well levelled, reaches the other side, ms."""
    rng = np.random.default_rng(seed)
    line = bytearray()
    for index, key in enumerate(keys):
        slot = bytearray([_SILENCE]) * (_SLOT_PACKETS * _PACKET)
        at = 6 * _PACKET + int(rng.integers(0, _PACKET))
        tone = _tone(key, _HELD_MS * _TICKS_PER_MS, seed + index)
        slot[at : at + len(tone)] = tone
        line += slot
    line += bytes([_SILENCE]) * (10 * _PACKET)
    heard = bytearray()
    with _Bridge(DtmfPolicy.MASK) as bridge:
        due = time.monotonic()
        for index in range(0, len(line), _PACKET):
            bridge.caller.send(bytes(line[index : index + _PACKET]))
            due += _PACKET / _TICKS_PER_MS / 1000
            time.sleep(max(0.0, due - time.monotonic()))
            heard += b"".join(bridge.officer.received_now())
    passed = (len(heard) - heard.count(_SILENCE)) / _TICKS_PER_MS
    return {"tones": len(keys), "sent_ms": _HELD_MS * len(keys), "passed_ms": passed}
