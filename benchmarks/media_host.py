"""The media core alone, as a path under test (see `benchmarks.paths`): bridged pairs, tapped, tone detection on.

What the daemon does besides - signalling, sealing, writing - is left out: the taps are drained once a second into a
buffer that is thrown away.
"""

import select
import socket
import sys

from audio._relay import Core
from audio.types import TICKS_PER_S, Codec, DtmfPolicy
from benchmarks.streams import need_descriptors

_LOOK_BACK_TICKS = 5 * TICKS_PER_S
_RING_TICKS = 1 << 17
_OUT_BYTES = 1 << 18
_FIRST_PORT, _LAST_PORT = 20000, 32766


def _port_pairs(count: int) -> list[tuple[socket.socket, socket.socket]]:
    """Bind even/odd pairs below the ephemeral range."""
    pairs: list[tuple[socket.socket, socket.socket]] = []
    for port in range(_FIRST_PORT, _LAST_PORT, 2):
        if len(pairs) == count:
            break
        rtp, rtcp = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) for _ in range(2))
        try:
            rtp.bind(("127.0.0.1", port))
            rtcp.bind(("127.0.0.1", port + 1))
        except OSError:
            rtp.close()
            rtcp.close()
            continue
        pairs.append((rtp, rtcp))
    return pairs


def _open_leg(core: Core, pair: tuple[socket.socket, socket.socket], remote_port: int) -> int:
    leg = core.open_leg(thread=0, rtp_fd=pair[0].fileno(), rtcp_fd=pair[1].fileno())
    core.update_leg(
        leg,
        codec=Codec.PCMA,
        send_pt=8,
        receive_pt=8,
        send_event_pt=101,
        receive_event_pt=101,
        sends=True,
        receives=True,
    )
    core.set_remote(leg, ("127.0.0.1", remote_port), None)
    core.detect_tones(leg, True)
    return leg


def main() -> None:
    """Run until standard input ends."""
    pairs = int(sys.argv[1])
    need_descriptors(4 * pairs + 64)
    sockets = _port_pairs(2 * pairs)
    core = Core(threads=1, lock_memory=False)
    core.start()
    taps = []
    for index in range(pairs):
        ports = [int(port) for port in sys.stdin.readline().split()]
        left, right = (_open_leg(core, sockets[2 * index + side], ports[side]) for side in (0, 1))
        core.dtmf_policy(left, DtmfPolicy.PASS)
        core.dtmf_policy(right, DtmfPolicy.HOLD_STAR, ("*1", "*2"))
        core.bridge(left, right)
        taps.append(core.open_tap(left, right, look_back_ticks=_LOOK_BACK_TICKS, ring_ticks=_RING_TICKS))
        print(*(sockets[2 * index + side][0].getsockname()[1] for side in (0, 1)), flush=True)
    out = bytearray(_OUT_BYTES)
    while not select.select([sys.stdin], [], [], 1.0)[0]:
        for tap in taps:
            while core.drain_tap(tap, out)[1]:
                pass
        core.drain_events()
    core.close()


if __name__ == "__main__":
    main()
