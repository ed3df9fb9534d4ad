"""The media core without signalling, as a path under test (see `benchmarks.paths`): bridged pairs, step by step.

``forward`` only relays; ``no-tones`` taps as well and drains once a second into a buffer that is thrown away; ``tones``
looks for tones too; ``written`` has the daemon's writer seal and write what is drained, in a home of its own.
``twice`` leads each call through the core twice, by way of loopback, and ``twice-srtp`` encrypts what lies between: as
many packets are closed and opened as in a call with SRTP on both sides. The second argument is how media threads
receive and send (`audio.types.MediaIo`).
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

from audio.relay import Relay
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
from audio.writer import PausableWriter
from benchmarks.ports import media_ports
from benchmarks.streams import need_descriptors
from benchmarks.sweep_recordings import prepare, row_of
from recorder.calls.container import SharedContainer
from storage.keys import NodeKeys
from storage.types import RecordingHead, RecordingId
from storage.vault import Vault

_OUT_BYTES = 1 << 18
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


def _open_leg(relay: Relay, remote_port: int) -> LegId:
    leg = relay.open_leg()
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


def _open_call(relay: Relay, ports: list[int], mode: str) -> tuple[LegId, LegId]:
    left, right = (_open_leg(relay, port) for port in ports)
    outer = (left, right)
    if mode.startswith("twice"):
        near, far = relay.open_leg(), relay.open_leg()
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


@contextmanager
def _written(relay: Relay, taps: Sequence[TapId]) -> Iterator[Callable[[], None]]:
    """Have the writer of the daemon keep the taps as recordings; nothing is left to be done once a second."""
    with tempfile.TemporaryDirectory(prefix="recorder-media-") as folder:
        home, now = Path(folder), datetime.now(UTC)
        prepare(home, now, now)
        vault, containers = Vault(home, NodeKeys.load(home)), []
        writer = PausableWriter(relay.taps, on_failure=_fail)
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
def _thrown_away(relay: Relay, taps: Sequence[TapId]) -> Iterator[Callable[[], None]]:
    out = bytearray(_OUT_BYTES)

    def drain() -> None:
        for tap in taps:
            while relay.taps.drain(tap, out)[1]:
                pass

    yield drain


def main() -> None:
    """Run until standard input ends."""
    mode, io, calls = sys.argv[1], MediaIo(sys.argv[2]), int(sys.argv[3])
    need_descriptors(8 * calls + 64)
    options = RelayOptions(ports=media_ports(calls, per_call=_PORTS_PER_CALL), lock_memory=False, io=io)
    with Relay(options) as relay:
        pairs = [_open_call(relay, [int(port) for port in sys.stdin.readline().split()], mode) for _ in range(calls)]
        taps = [relay.taps.open(*pair, TapOptions()) for pair in pairs if mode != "forward"]
        with (_written if mode == "written" else _thrown_away)(relay, taps) as drain:
            while not select.select([sys.stdin], [], [], 1.0)[0]:
                drain()
                relay.events()


if __name__ == "__main__":
    main()
