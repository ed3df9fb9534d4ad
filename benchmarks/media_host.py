"""The media core alone, as a path under test (see `benchmarks.paths`): bridged pairs, tapped, tone detection on or off.

What the daemon does besides - signalling, sealing, writing - is left out: the taps are drained once a second into a
buffer that is thrown away. ``twice`` leads each call through the core twice, by way of loopback, and ``twice-srtp``
encrypts what lies between: as many packets are closed and opened as in a call with SRTP on both sides.
"""

import secrets
import select
import sys

from audio.relay import Relay
from audio.types import (
    Codec,
    DtmfPolicy,
    LegId,
    LegMedia,
    MediaAddress,
    RelayOptions,
    SrtpKey,
    SrtpKeys,
    SrtpSuite,
    TapId,
    TapOptions,
)
from benchmarks.streams import need_descriptors

_OUT_BYTES = 1 << 18
_FIRST_PORT, _LAST_PORT = 16384, 32767
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


def _open_call(relay: Relay, ports: list[int], mode: str) -> TapId:
    left, right = (_open_leg(relay, port) for port in ports)
    outer = (left, right)
    if mode.startswith("twice"):
        near, far = relay.open_leg(), relay.open_leg()
        _join(relay, near, far, is_secure=mode == "twice-srtp")
        relay.bridge(far, right)
        right = near
    for leg in (left, right):
        relay.detect_tones(leg, mode != "no-tones")
    relay.set_dtmf(left, DtmfPolicy.PASS)
    relay.set_dtmf(right, DtmfPolicy.HOLD_STAR, ("*1", "*2"))
    relay.bridge(left, right)
    print(*(relay.local_address(leg).rtp_port for leg in outer), flush=True)
    return relay.open_tap(left, right, TapOptions())


def main() -> None:
    """Run until standard input ends."""
    mode, calls = sys.argv[1], int(sys.argv[2])
    need_descriptors(8 * calls + 64)
    out = bytearray(_OUT_BYTES)
    with Relay(RelayOptions(ports=(_FIRST_PORT, _LAST_PORT), lock_memory=False)) as relay:
        taps = [_open_call(relay, [int(port) for port in sys.stdin.readline().split()], mode) for _ in range(calls)]
        while not select.select([sys.stdin], [], [], 1.0)[0]:
            for tap in taps:
                while relay.drain(tap, out)[1]:
                    pass
            relay.events()


if __name__ == "__main__":
    main()
