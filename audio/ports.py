"""Pairs of UDP sockets for RTP and RTCP: even and odd port, bound here, rested before they are used again.

No packet passes here. Call thread only.
"""

import errno
import socket
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from audio.types import PortsExhaustedError

_RECEIVE_BUFFER_BYTES = 65536
"""Half a second of a burst of small packets; more would only hold stale audio after a stall."""


_HELD_BY_OTHERS = frozenset({errno.EADDRINUSE, errno.EACCES})
_NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


@dataclass(frozen=True, slots=True)
class PortPair:
    """Two bound, non-blocking sockets; ``port`` is the even one, RTP's."""

    port: int
    rtp: socket.socket
    rtcp: socket.socket

    def close(self) -> None:
        """Close both sockets; what the kernel still holds for them is gone."""
        self.rtp.close()
        self.rtcp.close()


class PortPool:
    """Hands out pairs from a range and rests those that come back.

    A pair that is given back is closed at once, so that nothing queues up for its next owner, and its ports are not
    bound again for ``quarantine_s``: a peer that has not noticed the end of its call meets nobody.

    Args:
        address: Local IP literal to bind.
        ports: First and last port, inclusive; pairs lie wholly inside.
        quarantine_s: Rest of a pair, seconds.
        dscp: DSCP of what is sent, in [0, 63].
        clock: Monotonic seconds.

    Raises:
        ValueError: No pair fits in the range, or a number is out of range.
    """

    def __init__(
        self,
        *,
        address: str,
        ports: tuple[int, int],
        quarantine_s: float = 2.0,
        dscp: int = 46,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        first, last = ports[0] + ports[0] % 2, ports[1]
        if not (1 <= ports[0] <= last <= 65535) or first + 1 > last:
            raise ValueError(f"no even/odd pair of ports in {ports[0]}-{ports[1]}")
        if quarantine_s < 0 or not 0 <= dscp <= 63:
            raise ValueError(f"quarantine of at least 0 s and DSCP in [0, 63], got {quarantine_s} s and {dscp}")
        self._address = address
        self._family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._quarantine_s = quarantine_s
        self._dscp = dscp
        self._clock = clock
        self._free = deque(range(first, last, 2))
        self._resting: deque[tuple[float, int]] = deque()
        self._taken: set[int] = set()

    @property
    def taken(self) -> int:
        """Return how many pairs are out."""
        return len(self._taken)

    def take(self) -> PortPair:
        """Bind a pair; one that another process holds is passed over and tried again later.

        Raises:
            PortsExhaustedError: Every pair is out, resting, or held by another process, or no descriptor is left.
            OSError: The address cannot be bound.
        """
        now = self._clock()
        while self._resting and self._resting[0][0] <= now:
            self._free.append(self._resting.popleft()[1])
        for _ in range(len(self._free)):
            port = self._free[0]
            try:
                pair = self._bind(port)
            except OSError as error:
                if error.errno not in _NO_ROOM:
                    raise
                raise PortsExhaustedError(f"no descriptor or memory for a media socket: {error.strerror}") from error
            self._free.popleft()
            if pair is not None:
                self._taken.add(port)
                return pair
            self._free.append(port)
        raise PortsExhaustedError(
            f"no free RTP port pair: {len(self._taken)} in use, {len(self._resting)} resting, "
            f"{len(self._free)} held by others"
        )

    def give_back(self, pair: PortPair) -> None:
        """Close a pair and begin its rest; a pair that is not out is left alone."""
        pair.close()
        if pair.port in self._taken:
            self._taken.remove(pair.port)
            self._resting.append((self._clock() + self._quarantine_s, pair.port))

    def _bind(self, port: int) -> PortPair | None:
        rtp = self._bind_one(port)
        if rtp is None:
            return None
        try:
            rtcp = self._bind_one(port + 1)
        except OSError:
            rtp.close()
            raise
        if rtcp is None:
            rtp.close()
            return None
        return PortPair(port, rtp, rtcp)

    def _bind_one(self, port: int) -> socket.socket | None:
        sock = socket.socket(self._family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
            self._mark(sock)
            sock.bind((self._address, port))
        except OSError as error:
            sock.close()
            if error.errno in _HELD_BY_OTHERS:
                return None
            raise
        return sock

    def _mark(self, sock: socket.socket) -> None:
        if self._family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, self._dscp << 2)
        else:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, self._dscp << 2)
