"""Answers a dispatcher's question whether this recorder takes new calls. Call thread only."""

from collections import defaultdict
from collections.abc import Sequence

from recorder.calls.call_services import CallServices
from recorder.calls.live_calls import LiveCalls
from recorder.calls.refusals import refusal_headers
from recorder.rules.availability import Availability, UnavailableReason
from sip.events import Header
from sip.options import Address


class OptionsHealth:
    """The answer to OPTIONS outside dialogs, from drain, disk and number of calls.

    Attributes:
        is_draining: Whether a drain has OPTIONS refused.
    """

    def __init__(self, services: CallServices, calls: LiveCalls) -> None:
        self._services = services
        self._calls = calls
        self._by_peer: defaultdict[str, Availability] = defaultdict(Availability)
        self.is_draining = False

    def refuse(self, is_draining: bool) -> None:
        """Have OPTIONS refused because of a drain, or no longer."""
        self.is_draining = is_draining

    def refusal(self, source: Address) -> Sequence[Header] | None:
        """Return the headers of a 503 to OPTIONS, or None while new calls of their source are welcome."""
        obstacle = self._obstacle(source)
        return None if obstacle is None else refusal_headers(obstacle)

    def _obstacle(self, source: Address) -> UnavailableReason | None:
        peer = self._calls.peer(source)
        return self._by_peer[peer.name if peer is not None else ""].obstacle(
            is_draining=self.is_draining,
            is_disk_failing=self._services.refuses_unrecordable,
            room=self._calls.room(peer) if self._services.config.limits.refuse_options else (),
        )
