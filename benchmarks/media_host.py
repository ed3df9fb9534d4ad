"""The media core without signalling, as a path under test (see `benchmarks.paths`): bridged pairs, step by step.

``forward`` only relays; ``no-tones`` taps as well and drains once a second into a buffer that is thrown away; ``tones``
looks for tones too; ``written`` has the daemon's writer seal and write what is drained, in a home of its own, and
``voices`` puts voices into what is drained before it is looked at. In ``written-unjudged`` and ``voices-unjudged`` the
writer does not look for speech.
``twice`` leads each call through the core twice, by way of loopback, and ``twice-srtp`` encrypts what lies between: as
many packets are closed and opened as in a call with SRTP on both sides. The second argument is how media threads
receive and send (`audio.types.MediaIo`), the third how many there are; each call is on one of them in turn.
"""

import os
import secrets
import select
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from audio.blocks import HEADER, KIND_AUDIO
from audio.codecs import encode
from audio.relay import Relay
from audio.taps import Taps
from audio.types import (
    Codec,
    DtmfPolicy,
    LegId,
    LegMedia,
    MediaAddress,
    MediaIo,
    RelayOptions,
    SrtpKey,
    SrtpKeys,
    SrtpSuite,
    TapId,
    TapOptions,
)
from audio.writer import PausableWriter, WriterOptions
from benchmarks.ports import media_ports
from benchmarks.speech_sounds import conversation, synthetic_speech
from benchmarks.streams import need_descriptors
from benchmarks.sweep_recordings import prepare, row_of
from recorder.calls.container import SharedContainer
from storage.keys import NodeKeys
from storage.types import RecordingHead, RecordingId
from storage.vault import Vault

_OUT_BYTES = 1 << 18
_VOICES_S = 60
_PORTS_PER_CALL = 8
"""Of a call that passes two recorders."""
_SUITE, _KEY_BYTES = SrtpSuite.AES_CM_128_HMAC_SHA1_80, 30


def _set_media(relay: Relay, leg: LegId, remote: MediaAddress, srtp: SrtpKeys | None = None) -> None:
    relay.set_media(
        leg,
        LegMedia(
            remote=remote,
            codec=Codec.PCMA,
            send_pt=8,
            receive_pt=8,
            send_event_pt=101,
            receive_event_pt=101,
            srtp=srtp,
        ),
    )


def _open_leg(relay: Relay, remote_port: int, call: int) -> LegId:
    leg = relay.open_leg(call)
    _set_media(relay, leg, MediaAddress(ip="127.0.0.1", rtp_port=remote_port, rtcp_port=remote_port + 1))
    return leg


def _new_key() -> SrtpKey:
    key = bytearray(secrets.token_bytes(_KEY_BYTES))
    return SrtpKey(suite=_SUITE, key=key, name=bytes(key))


def _join(relay: Relay, left: LegId, right: LegId, *, is_secure: bool) -> None:
    """Let two legs of ours talk to one another, each the other's peer."""
    to_right, to_left = _new_key(), _new_key()
    of_left = SrtpKeys(send=to_right, receive=to_left) if is_secure else None
    of_right = SrtpKeys(send=to_left, receive=to_right) if is_secure else None
    _set_media(relay, left, relay.local_address(right), of_left)
    _set_media(relay, right, relay.local_address(left), of_right)


def _open_call(relay: Relay, ports: list[int], mode: str, call: int) -> tuple[LegId, LegId]:
    left, right = (_open_leg(relay, port, call) for port in ports)
    outer = (left, right)
    if mode.startswith("twice"):
        near, far = relay.open_leg(call), relay.open_leg(call)
        _join(relay, near, far, is_secure=mode == "twice-srtp")
        relay.bridge(far, right)
        right = near
    for leg in (left, right):
        relay.legs.detect_tones(leg, mode not in ("forward", "no-tones"))
    relay.legs.set_dtmf(left, DtmfPolicy.PASS)
    relay.legs.set_dtmf(right, DtmfPolicy.HOLD_STAR, ("*1", "*2"))
    relay.bridge(left, right)
    print(*(relay.local_address(leg).rtp_port for leg in outer), flush=True)
    return left, right


class Voices:
    """Taps whose audio is replaced by somebody speaking, the same on both sides, by position."""

    def __init__(self, taps: Taps) -> None:
        self._taps = taps
        signal, _ = conversation(synthetic_speech(), np.random.default_rng(1), seconds=_VOICES_S)
        voice = encode(Codec.PCMA, np.clip(signal, -32_768, 32_767).astype(np.int16))
        self._voice, self._length = memoryview(voice * 2), len(voice)

    def drain(self, tap: TapId, out: bytearray | memoryview, *, is_final: bool = False) -> tuple[int, bool]:
        """Drain a tap, and put a voice into what it holds; see `audio.writer.TapDrain`."""
        length, has_more = self._taps.drain(tap, out, is_final=is_final)
        at = 0
        while at < length:
            kind, _channel, _codec, _zero, ticks, start, _aux = HEADER.unpack_from(out, at)
            at += HEADER.size
            if kind == KIND_AUDIO:
                first = start % self._length
                out[at : at + ticks] = self._voice[first : first + ticks]
                at += ticks
        return length, has_more

    def silenced(self, tap: TapId) -> list[tuple[int, int]]:
        """Take the silenced spans of a tap."""
        return self._taps.silenced(tap)

    def packets(self, tap: TapId) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the packets of a tap."""
        return self._taps.packets(tap)

    def release(self, tap: TapId) -> None:
        """Release a tap."""
        self._taps.release(tap)


@contextmanager
def _written(relay: Relay, taps: Sequence[TapId], mode: str) -> Iterator[Callable[[], None]]:
    """Have the writer of the daemon keep the taps as recordings; nothing is left to be done once a second."""
    drained = Voices(relay.taps) if mode.startswith("voices") else relay.taps
    options = WriterOptions(judges_speech=not mode.endswith("unjudged"))
    with tempfile.TemporaryDirectory(prefix="recorder-media-") as folder:
        home, now = Path(folder), datetime.now(UTC)
        prepare(home, now, now)
        vault, containers = Vault(home, NodeKeys.load(home)), []
        writer = PausableWriter(drained, on_failure=_fail, options=options)
        writer.start()
        for number, tap in enumerate(taps):
            recording = RecordingId(f"{now:%Y%m%dT%H%M%SZ}-{2000 + number}-{number:06x}")
            row = row_of(recording, now, now + timedelta(hours=1), number)
            head = RecordingHead(id=recording, started_at=now, operator_key=row["operator_key"], index_row=row)
            containers.append(SharedContainer(vault.create(head)))
            writer.add(recording, tap, containers[-1])
        yield lambda: None
        writer.close()
        for container in containers:
            container.destroy()


def _fail(key: str, error: Exception) -> None:
    print(f"recording {key} was not written: {error}", file=sys.stderr)
    os._exit(1)  # on the writer's thread


@contextmanager
def _thrown_away(relay: Relay, taps: Sequence[TapId], _mode: str) -> Iterator[Callable[[], None]]:
    out = bytearray(_OUT_BYTES)

    def drain() -> None:
        for tap in taps:
            while relay.taps.drain(tap, out)[1]:
                pass

    yield drain


def main() -> None:
    """Run until standard input ends."""
    mode, io, threads, calls = sys.argv[1], MediaIo(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    need_descriptors(8 * calls + 64)
    ports = media_ports(calls, per_call=_PORTS_PER_CALL)
    options = RelayOptions(ports=ports, lock_memory=False, io=io, threads=threads)
    with Relay(options) as relay:
        pairs = [
            _open_call(relay, [int(port) for port in sys.stdin.readline().split()], mode, call) for call in range(calls)
        ]
        taps = [relay.taps.open(*pair, TapOptions()) for pair in pairs if mode != "forward"]
        is_written = mode.startswith(("written", "voices"))
        with (_written if is_written else _thrown_away)(relay, taps, mode) as drain:
            while not select.select([sys.stdin], [], [], 1.0)[0]:
                drain()
                relay.events()


if __name__ == "__main__":
    main()
