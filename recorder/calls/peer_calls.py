"""Limits on the calls in progress of each peer. Call thread only.

Without them a flood of INVITEs from a trunk would use up the ports and the calls, and the PBX could not call out.
Emergency calls are not counted, and never refused.
"""

import enum
import logging
import time
from collections import Counter

from recorder.calls.call_services import CallServices
from recorder.calls.sip_call import SipCall
from recorder.rules.limits import RateLimit
from recorder.rules.routing import Peer

_log = logging.getLogger(__name__)
_LOG_EVERY_S = 60.0


class Handling(enum.Enum):
    """How a call is handled."""

    RECORDED = "recorded"
    PASSED = "passed"


class PeerCalls:
    """Counts the calls in progress of each peer."""

    def __init__(self, services: CallServices) -> None:
        self._services = services
        self._calls: dict[SipCall, tuple[str, Handling]] = {}
        self._counts: Counter[tuple[str, Handling]] = Counter()
        self._log_limit = RateLimit(1, _LOG_EVERY_S)

    def refuses(self, peer: Peer | None, handling: Handling) -> bool:
        """Tell whether a new call would exceed its peer's limit; raise the alarm if it would."""
        if peer is None:
            return False
        calls, most = self.room(peer, handling)
        if calls < most:
            return False
        self._services.alarm("peer_calls_full")
        if self._log_limit.allows(time.monotonic_ns()):
            _log.warning(
                "Peer %s has %d calls in progress that are %s; more are answered 503. Find out what sends them, or"
                " raise max_calls of its [[peer]] if they are genuine",
                peer.name,
                most,
                handling.value,
            )
        return True

    def room(self, peer: Peer, handling: Handling) -> tuple[int, int]:
        """Return how many calls of a peer are in progress, and how many there may be."""
        limits = self._services.config.limits
        most = peer.most_calls(limits.max_calls if handling is Handling.RECORDED else limits.max_passed)
        return self._counts[peer.name, handling], most

    def begin(self, call: SipCall, peer: Peer | None, handling: Handling) -> None:
        """Count a call from now until `end`."""
        if peer is not None:
            self._calls[call] = peer.name, handling
            self._counts[peer.name, handling] += 1

    def end(self, call: SipCall) -> None:
        """Stop counting a call that has ended; does nothing if it was not counted."""
        counted = self._calls.pop(call, None)
        if counted is not None:
            self._counts[counted] -= 1
            if not self._counts[counted]:
                del self._counts[counted]
