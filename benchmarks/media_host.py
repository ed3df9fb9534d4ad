"""The media core alone, as a path under test (see `benchmarks.paths`): bridged pairs, tapped, tone detection on or off.

What the daemon does besides - signalling, sealing, writing - is left out: the taps are drained once a second into a
buffer that is thrown away.
"""

import select
import sys

from audio.relay import Relay
from audio.types import Codec, DtmfPolicy, LegId, LegMedia, MediaAddress, RelayOptions, TapId, TapOptions
from benchmarks.streams import need_descriptors

_OUT_BYTES = 1 << 18
_FIRST_PORT, _LAST_PORT = 16384, 32767


def _open_leg(relay: Relay, remote_port: int, *, hears_tones: bool) -> LegId:
    leg = relay.open_leg()
    remote = MediaAddress(ip="127.0.0.1", rtp_port=remote_port, rtcp_port=remote_port + 1)
    relay.set_media(
        leg,
        LegMedia(remote=remote, codec=Codec.PCMA, send_pt=8, receive_pt=8, send_event_pt=101, receive_event_pt=101),
    )
    relay.detect_tones(leg, hears_tones)
    return leg


def _open_pair(relay: Relay, ports: list[int], *, hears_tones: bool) -> TapId:
    left, right = (_open_leg(relay, port, hears_tones=hears_tones) for port in ports)
    relay.set_dtmf(left, DtmfPolicy.PASS)
    relay.set_dtmf(right, DtmfPolicy.HOLD_STAR, ("*1", "*2"))
    relay.bridge(left, right)
    print(*(relay.local_address(leg).rtp_port for leg in (left, right)), flush=True)
    return relay.open_tap(left, right, TapOptions())


def main() -> None:
    """Run until standard input ends."""
    hears_tones, pairs = sys.argv[1] == "tones", int(sys.argv[2])
    need_descriptors(4 * pairs + 64)
    out = bytearray(_OUT_BYTES)
    with Relay(RelayOptions(ports=(_FIRST_PORT, _LAST_PORT), lock_memory=False)) as relay:
        taps = [
            _open_pair(relay, [int(port) for port in sys.stdin.readline().split()], hears_tones=hears_tones)
            for _ in range(pairs)
        ]
        while not select.select([sys.stdin], [], [], 1.0)[0]:
            for tap in taps:
                while relay.drain(tap, out)[1]:
                    pass
            relay.events()


if __name__ == "__main__":
    main()
