"""Runs the kernel's program on a packet that then goes nowhere: it has passed the program, and is not in its socket."""

import ctypes
import platform
import socket
import struct
from pathlib import Path
from typing import Final

from tests.helpers.rtp import Peer

_SYS_BPF: Final = {"x86_64": 321, "aarch64": 280}[platform.machine()]
_BPF_PROG_TEST_RUN: Final = 10
_TEST_RUN_BYTES: Final = 80
_libc = ctypes.CDLL(None, use_errno=True)


def delay_on_its_way(peer: Peer, rtp: bytes) -> None:
    """Have the program of this process's relay see a packet of a peer's, by loopback; it reaches no socket.

    Raises:
        OSError: No right to run programs (CAP_BPF), or the kernel refuses the packet.
    """
    (ip, port), ours = peer.rtp.getsockname(), peer.ours
    udp = struct.pack("!HHHH", port, ours.rtp_port, 8 + len(rtp), 0) + rtp
    addresses = socket.inet_aton(ip) + socket.inet_aton(ours.ip)
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, socket.IPPROTO_UDP, 0) + addresses
    frame = ctypes.create_string_buffer(bytes(12) + b"\x08\x00" + header + udp)
    out = ctypes.create_string_buffer(len(frame) + 256)
    attributes = ctypes.create_string_buffer(
        struct.pack(
            "=IIIIQQII", _program(), 0, len(frame) - 1, len(out), ctypes.addressof(frame), ctypes.addressof(out), 1, 0
        ),
        _TEST_RUN_BYTES,
    )
    if _libc.syscall(_SYS_BPF, _BPF_PROG_TEST_RUN, attributes, _TEST_RUN_BYTES) < 0:
        raise OSError(ctypes.get_errno(), "BPF_PROG_TEST_RUN")


def _program() -> int:
    """Return the descriptor of the one program that this process has loaded."""
    links = list(Path("/proc/self/fd").iterdir())  # one of which was only there to list them
    (link,) = (link for link in links if link.is_symlink() and str(link.readlink()) == "anon_inode:bpf-prog")
    return int(link.name)
