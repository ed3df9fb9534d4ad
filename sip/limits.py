"""Rate limits for each source of messages, by token buckets; also the limit of the backlog. Pure: times are passed in.

Messages of an existing dialog are not limited, nor are calls to an urgent number. All others - new calls, requests
outside dialogs, stray responses - cost a token of their source.
"""

import enum
import functools
import ipaddress
import threading
from collections import Counter
from collections.abc import Callable, Collection, Sequence

from sip.message import RawMessage, user_part
from sip.options import Address, PeerLimits
from sip.signalled_address import SignalledAddress

BURST_S = 5.0
"""Size of a bucket, in seconds of its rate: many calls begin at nine o'clock."""

MAX_SOURCES = 4096
"""Sources with buckets of their own; further sources share one, so that forged addresses do not fill the memory."""

MAX_REPORTED = 256
"""Pairs of kind and source that are stored as reported."""

REPORT_AGAIN_S = 3600.0
"""Interval between two reports of the same kind and source."""

REPORTS_PER_S, REPORTS_BURST = 0.1, 50
"""Limit of the reports of all sources together, so that an attack from many sources does not flood the reports."""

MAX_BACKLOG, MAX_BACKLOG_OF_SOURCE, URGENT_RESERVE = 2000, 1500, 200
"""Datagrams that may wait for the call thread (about a second of its work); of one source; urgent ones beyond that."""


class DialogMatch(enum.Enum):
    """Whether a message belongs to one of our dialogs or transactions."""

    KNOWN = "known"  # it belongs to one, and comes from its peer
    FOREIGN = "foreign"  # its tags are those of one, but it comes from another address or port
    NEW = "new"  # it belongs to none


class MessageVerdict(enum.Enum):
    """What to do with a message."""

    ADMIT = "admit"
    BUSY = "busy"  # answered 503 with Retry-After
    FORBID = "forbid"  # answered 403
    DROP = "drop"


class Bucket:
    """A token bucket.

    Args:
        per_s: Tokens added each second, over 0.
        burst: Capacity in tokens, at least 1.
    """

    __slots__ = ("_at_s", "_burst", "_per_s", "_tokens")

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s, self._burst = per_s, max(burst, 1.0)
        self._tokens, self._at_s = self._burst, 0.0

    def takes(self, now_s: float) -> bool:
        """Take a token if there is one; return whether there was. ``now_s`` is monotonic."""
        self._tokens = min(self._burst, self._tokens + max(now_s - self._at_s, 0.0) * self._per_s)
        self._at_s = now_s
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


class _Buckets:
    """The buckets of one source."""

    __slots__ = ("calls", "refusals", "requests", "strays")

    def __init__(self, limits: PeerLimits) -> None:
        self.calls = Bucket(limits.calls_per_s, BURST_S * limits.calls_per_s)
        self.requests = Bucket(limits.requests_per_s, BURST_S * limits.requests_per_s)
        self.strays = Bucket(limits.requests_per_s, BURST_S * limits.requests_per_s)
        self.refusals = Bucket(limits.calls_per_s, limits.calls_per_s)


class Peers:
    """Finds the peers in whose networks an address is.

    Raises:
        ValueError: A network is no CIDR.
    """

    def __init__(self, peers: Sequence[PeerLimits]) -> None:
        self._peers = [(peer, [ipaddress.ip_network(cidr, strict=False) for cidr in peer.networks]) for peer in peers]
        self._found = functools.lru_cache(MAX_SOURCES)(self._look_up)

    def of(self, host: str) -> tuple[PeerLimits, ...]:
        """Return every peer whose networks have an address, in order; none if it is not an IP literal.

        Addresses are kept, and no text: a host of a message may be a phone number, or 60 kB long.
        """
        try:
            return self._found(ipaddress.ip_address(host.strip("[]").split("%", 1)[0]))
        except ValueError:
            return ()

    def _look_up(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> tuple[PeerLimits, ...]:
        return tuple(peer for peer, networks in self._peers if any(address in network for network in networks))

    def may_act(self, source: Address, method: str, known: Collection[SignalledAddress]) -> bool:
        """Tell whether a request from an address is allowed in a dialog whose peer has some signalled addresses.

        The address must be one of them, or have the port of one and be in the networks of the same ``[[peer]]``:
        machines of one peer act for one another. BYE may come from any port of the peer's host: some gateways send
        requests from other ports than they listen on, and a call whose BYE is refused stays open.
        """
        if method == "BYE" and any(one.host == source.host for one in known):
            return True
        peers = self.of(source.host)
        own, any_port = {id(peer) for peer in peers}, any(peer.any_port for peer in peers)
        return any(
            one.fits(source, method, any_port=any_port)
            and (one.host == source.host or any(id(peer) in own for peer in self.of(one.host)))
            for one in known
        )


class Intake:
    """Decides which messages of each source are admitted.

    Args:
        peers: Limits by network; the first peer that has a source counts.
        is_urgent: Tells whether a dialled number is never limited (emergency calls).
        report: Called with a kind and a source, at most once for both in `REPORT_AGAIN_S`.

    Attributes:
        counters: Messages that were not admitted, by kind: rate_limited, foreign, stray.
    """

    def __init__(self, peers: Peers, *, is_urgent: Callable[[str], bool], report: Callable[[str, str], None]) -> None:
        self._peers = peers
        self._is_urgent = is_urgent
        self._report = report
        self._sources: dict[str, _Buckets] = {}
        self._others = _Buckets(PeerLimits(networks=()))
        self._reported: dict[tuple[str, str], float] = {}
        self._reports = Bucket(REPORTS_PER_S, REPORTS_BURST)
        self.counters: Counter[str] = Counter()

    def decide(self, message: RawMessage, match: DialogMatch, source: str, now_s: float) -> MessageVerdict:
        """Return what to do with a message from a trusted source (an IP literal)."""
        if match is DialogMatch.KNOWN:
            return MessageVerdict.ADMIT
        buckets = self._buckets(source)
        if match is DialogMatch.FOREIGN:
            return self._foreign(message, buckets, source, now_s)
        if message.status is not None or message.method == "ACK":
            if buckets.strays.takes(now_s):
                return MessageVerdict.ADMIT
            return self._refused("stray", MessageVerdict.DROP, source, now_s)
        is_call = message.method == "INVITE" and message.tag("to") is None
        if is_call and self.is_urgent(message.start_line):
            return MessageVerdict.ADMIT
        if (buckets.calls if is_call else buckets.requests).takes(now_s):
            return MessageVerdict.ADMIT
        admission = MessageVerdict.BUSY if buckets.refusals.takes(now_s) else MessageVerdict.DROP
        return self._refused("rate_limited", admission, source, now_s)

    def answers_malformed(self, source: str, now_s: float) -> bool:
        """Report a malformed message, and tell whether to answer it: at most as often as calls are refused."""
        self.report("malformed", source, now_s)
        return self._buckets(source).refusals.takes(now_s)

    def is_urgent(self, start_line: str) -> bool:
        """Tell whether a request line is an INVITE to an urgent number."""
        parts = start_line.split(" ")
        return len(parts) > 1 and parts[0] == "INVITE" and self._is_urgent(user_part(parts[1]))

    def report(self, kind: str, source: str, now_s: float) -> None:
        """Report a kind of trouble from a source, unless it was reported within `REPORT_AGAIN_S`."""
        last_s = self._reported.get((kind, source))
        if (last_s is not None and now_s - last_s < REPORT_AGAIN_S) or not self._reports.takes(now_s):
            return
        if len(self._reported) >= MAX_REPORTED:
            del self._reported[next(iter(self._reported))]
        self._reported[kind, source] = now_s
        self._report(kind, source)

    def _foreign(self, message: RawMessage, buckets: _Buckets, source: str, now_s: float) -> MessageVerdict:
        is_answered = message.method != "ACK" and message.status is None and buckets.refusals.takes(now_s)
        return self._refused("foreign", MessageVerdict.FORBID if is_answered else MessageVerdict.DROP, source, now_s)

    def _refused(self, kind: str, admission: MessageVerdict, source: str, now_s: float) -> MessageVerdict:
        self.counters[kind] += 1
        self.report(kind, source, now_s)
        return admission

    def _buckets(self, source: str) -> _Buckets:
        found = self._sources.get(source)
        if found is None:
            if len(self._sources) >= MAX_SOURCES:
                return self._others
            peers = self._peers.of(source)
            found = self._sources[source] = _Buckets(peers[0] if peers else PeerLimits(networks=()))
        return found


class Backlog:
    """Counts the datagrams that wait for the call thread, so that no source takes all places. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: Counter[str] = Counter()
        self._all = 0

    def enter(self, source: str, *, is_urgent: Callable[[], bool]) -> bool:
        """Take a place for a datagram if one is free; ``is_urgent`` is called only if none is."""
        with self._lock:
            has_room = self._all < MAX_BACKLOG and self._waiting[source] < MAX_BACKLOG_OF_SOURCE
        if not has_room and (self._all >= MAX_BACKLOG + URGENT_RESERVE or not is_urgent()):
            return False
        with self._lock:
            self._all += 1
            self._waiting[source] += 1
        return True

    def leave(self, source: str) -> None:
        """Free the place of a datagram."""
        with self._lock:
            self._all -= 1
            self._waiting[source] -= 1
            if self._waiting[source] <= 0:
                del self._waiting[source]
