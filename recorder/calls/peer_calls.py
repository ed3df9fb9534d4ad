"""How many calls in progress came from each peer: none of them takes the room of all. Call thread only.

A flood of INVITEs from a trunk would otherwise use up ports and places, so that the PBX could not call out. Emergency
calls are not counted, and never refused.
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
_SAY_EVERY_S = 60.0


class Handling(enum.Enum):
    """What becomes of a call."""

    RECORDED = "recorded"
    PASSED = "passed"


class PeerCalls:
    """The calls of each peer.

    Args:
        services: The daemon's parts.
    """

    def __init__(self, services: CallServices) -> None:
        self._services = services
        self._calls: dict[SipCall, tuple[str, Handling]] = {}
        self._counts: Counter[tuple[str, Handling]] = Counter()
        self._saying = RateLimit(1, _SAY_EVERY_S)

    def refuses(self, peer: Peer | None, handling: Handling) -> bool:
        """Tell whether one more call of a peer is one too many, and raise the alarm if so."""
        if peer is None:
            return False
        limits = self._services.config.limits
        most = peer.most_calls(limits.max_calls if handling is Handling.RECORDED else limits.max_passed)
        if self._counts[peer.name, handling] < most:
            return False
        self._services.alarm("peer_calls_full")
        if self._saying.allows(time.monotonic_ns()):
            _log.warning(
                "peer %s has %d calls in progress that are %s, and more are answered 503: find out what calls, or raise"
                " max_calls of its [[peer]] if the calls are real",
                peer.name,
                most,
                handling.value,
            )
        return True

    def begin(self, call: SipCall, peer: Peer | None, handling: Handling) -> None:
        """Count a call until it ends."""
        if peer is not None:
            self._calls[call] = peer.name, handling
            self._counts[peer.name, handling] += 1

    def end(self, call: SipCall) -> None:
        """Count a call that has ended no longer; one that was not counted changes nothing."""
        counted = self._calls.pop(call, None)
        if counted is not None:
            self._counts[counted] -= 1
            if not self._counts[counted]:
                del self._counts[counted]
