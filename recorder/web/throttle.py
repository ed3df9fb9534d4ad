"""How often somebody may ask for something: a bucket for each, which fills again at a steady rate. For any thread.

Behind a proxy everybody has one address, so there is room for a whole department that begins its shift.
"""

import threading
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network

AT_ONCE = 60
A_SECOND = 1.0
"""Tries to sign in of an address. An account is locked after five wrong ones: this is for whoever tries many accounts,
or keeps the machine busy hashing."""
MOST_BUCKETS = 4096
"""What is remembered; the one that was quiet for longest is forgotten first."""
_IPV6_SITE = 64
"""Bits of an address that say whose network it is (RFC 4291 section 2.5.4); the others a machine chooses for itself."""


class Throttle:
    """Buckets by name.

    Args:
        clock: Returns seconds that never go back.
        at_once: What a bucket holds, when it is new and at most.
        a_second: How much comes back a second.
    """

    def __init__(self, clock: Callable[[], float], *, at_once: float = AT_ONCE, a_second: float = A_SECOND) -> None:
        self._clock = clock
        self._at_once = at_once
        self._a_second = a_second
        self._lock = threading.Lock()
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, name: str) -> float:
        """Take one out of a bucket; returns 0, or after how many seconds there is one again."""
        with self._lock:
            left = self._now_left(name)
            is_there = left >= 1
            self._put(name, left - 1 if is_there else left)
        return 0.0 if is_there else (1 - left) / self._a_second

    def give_back(self, name: str) -> None:
        """Put one back that was taken for nothing."""
        with self._lock:
            self._put(name, self._now_left(name) + 1)

    def _now_left(self, name: str) -> float:
        now = self._clock()
        left, at = self._left.get(name, (self._at_once, now))
        return min(self._at_once, left + (now - at) * self._a_second)

    def _put(self, name: str, left: float) -> None:
        self._left.pop(name, None)
        self._left[name] = (min(left, self._at_once), self._clock())
        if len(self._left) > MOST_BUCKETS:
            del self._left[next(iter(self._left))]


def source_of(host: str) -> str:
    """Return whose address it is: an IPv4 address, or the /64 of an IPv6 one, in which one machine has every address.

    What is no address, such as the name of a socket, is returned as it is.
    """
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ip_network((int(address), _IPV6_SITE), strict=False))
