"""The UDP socket: reads whole datagrams, and sends one without letting go of the interpreter.

Python lets other threads run during each system call. A thread that computes then keeps the interpreter for up to 5 ms
(`sys.getswitchinterval`), while ``sendto`` takes some 10 us and, with MSG_DONTWAIT, never blocks. So that the call
thread does not wait so long for each message, such a datagram is sent by a call that keeps the interpreter.
"""

import ctypes
import errno
import functools
import os
import socket
import struct
from typing import Any

MAX_DATAGRAM = 65535
MAX_REMEMBERED = 1024
"""Addresses that are kept in the form of the system call."""

_sendto = ctypes.PyDLL(None, use_errno=True).sendto
_sendto.restype = ctypes.c_ssize_t
_sendto.argtypes = (
    ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32,
)  # fmt: skip


class DatagramSocket(socket.socket):
    """A UDP socket for sippy's server."""

    def recvfrom(self, _size: int, _flags: int = 0) -> tuple[bytes, Any]:
        """Receive a whole datagram: sippy asks for 8192 bytes, and an INVITE with SIPREC metadata may be larger."""
        return super().recvfrom(MAX_DATAGRAM)

    def send_now(self, data: bytes, host: str, port: int) -> None:
        """Send a datagram without waiting; to an IP literal also without letting other threads run.

        Raises:
            OSError: As `socket.socket.sendto`; BlockingIOError: the socket is full.
        """
        to = _socket_address(host, port)
        if to is not None:
            if _sendto(self.fileno(), data, len(data), socket.MSG_DONTWAIT, to, len(to)) >= 0:
                return
            code = ctypes.get_errno()
            if code != errno.EINTR:
                raise OSError(code, os.strerror(code))
        self.sendto(data, socket.MSG_DONTWAIT, (host, port))


@functools.lru_cache(MAX_REMEMBERED)
def _socket_address(host: str, port: int) -> bytes | None:
    """Return a ``sockaddr_in`` or ``sockaddr_in6`` of Linux, or None: no literal, one with a zone, or no port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        ip = socket.inet_pton(family, host)
        head = struct.pack("=H", family) + struct.pack("!H", port)
    except (OSError, ValueError, struct.error):
        return None
    # IPv6 has four bytes of flow information before the address, and four of the zone after it.
    return head + ip + bytes(8) if family == socket.AF_INET else head + bytes(4) + ip + bytes(4)
