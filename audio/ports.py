"""Pairs of UDP sockets for RTP and RTCP: even and odd port, bound here, rested before they are used again.

A peer that has not noticed the end of its call goes on sending to its port, also when our process has died and begun
anew. So pairs are used in turn from a random one on, and those used lately last of all (ADR 34).

No packet passes here. Call thread only.
"""

import errno
import secrets
import socket
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from audio.port_memory import PortMemory
from audio.types import PortsExhaustedError

_RECEIVE_BUFFER_BYTES = 65536
"""Half a second of a burst of small packets; more would only hold stale audio after a stall."""


FORMER_RUN_REST_S = 600.0
"""How long a pair rests that a run before had out when it ended: its peer may have missed that for minutes."""

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

    A pair that is given back is closed at once, so that nothing queues up for its next owner. It rests for
    ``quarantine_s``; pairs that a former run had out rest for `FORMER_RUN_REST_S`. While others are free no pair that
    rests is used, and none is a reason to refuse a call.

    Args:
        address: Local IP literal to bind.
        ports: First and last port, inclusive; pairs lie wholly inside.
        quarantine_s: Rest of a pair, seconds.
        dscp: DSCP of what is sent, in [0, 63].
        clock: Monotonic seconds.
        memory: Which pairs are in use, and were in the former run; None: nothing is remembered.
        pick: Returns a number in [0, n): which pair is the first.

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
        memory: PortMemory | None = None,
        pick: Callable[[int], int] = secrets.randbelow,
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
        self._memory = memory
        former = memory.former if memory is not None else frozenset()
        until = clock() + FORMER_RUN_REST_S
        pairs = list(range(first, last, 2))
        begin = pick(len(pairs))
        in_turn = pairs[begin:] + pairs[:begin]
        self._free = deque((0.0, port) for port in in_turn if port not in former)
        self._resting: deque[tuple[float, int]] = deque()
        self._former = deque((until, port) for port in in_turn if port in former)
        self._taken: set[int] = set()

    @property
    def taken(self) -> int:
        """Return how many pairs are out."""
        return len(self._taken)

    def take(self) -> PortPair:
        """Bind a pair: one that is free, else the one that rests since the longest, else one of the former run.

        One that another process holds is passed over and tried again later.

        Raises:
            PortsExhaustedError: Every pair is out or held by another process, or no descriptor is left.
            OSError: The address cannot be bound.
        """
        self._end_rests()
        for pairs in (self._free, self._resting, self._former):
            for _ in range(len(pairs)):
                pair = self._bind_if_possible(pairs[0][1])
                pairs.rotate(-1)
                if pair is not None:
                    pairs.pop()
                    self._taken.add(pair.port)
                    self._note(pair.port, is_used=True)
                    return pair
        others = len(self._free) + len(self._resting) + len(self._former)
        raise PortsExhaustedError(f"no free RTP port pair: {len(self._taken)} in use, {others} held by others")

    def reserve(self) -> int:
        """Keep a pair for later and return its port; it is bound once, to see that it can be, and not kept bound.

        Nothing may queue up for it until somebody listens.

        Raises:
            PortsExhaustedError: As `take`.
            OSError: As `take`.
        """
        pair = self.take()
        pair.close()
        return pair.port

    def take_reserved(self, port: int) -> PortPair:
        """Bind a pair that was reserved; another one where a process holds it meanwhile.

        Raises:
            PortsExhaustedError: As `take`; the pair is reserved no more.
            OSError: As `take`; likewise.
        """
        try:
            pair = self._bind_if_possible(port)
        except (PortsExhaustedError, OSError):
            self.rest(port)
            raise
        if pair is None:
            self.rest(port)
            return self.take()
        return pair

    def rest(self, port: int) -> None:
        """Begin the rest of a pair that is bound no more; one that is not out is left alone."""
        if port in self._taken:
            self._taken.remove(port)
            self._resting.append((self._clock() + self._quarantine_s, port))

    def _end_rests(self) -> None:
        now = self._clock()
        for resting in (self._resting, self._former):
            while resting and resting[0][0] <= now:
                _, port = resting.popleft()
                self._free.append((0.0, port))
                self._note(port, is_used=False)

    def _note(self, port: int, *, is_used: bool) -> None:
        if self._memory is not None:
            self._memory.note(port, is_used=is_used)

    def _bind_if_possible(self, port: int) -> PortPair | None:
        try:
            return self._bind(port)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            raise PortsExhaustedError(f"no descriptor or memory for a media socket: {error.strerror}") from error

    def give_back(self, pair: PortPair) -> None:
        """Close a pair and begin its rest; a pair that is not out is left alone.

        It counts as used until its rest is over: a run that ends before then leaves it to the next to rest.
        """
        pair.close()
        self.rest(pair.port)

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
