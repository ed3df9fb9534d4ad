"""Answers a dispatcher's question whether this recorder takes new calls. Call thread only."""

from collections.abc import Sequence

from recorder.calls.call_services import CallServices
from recorder.calls.live_calls import LiveCalls
from recorder.calls.refusals import refusal_headers
from recorder.rules.availability import Availability, Obstacle
from sip.events import Header


class OptionsHealth:
    """The answer to OPTIONS outside dialogs, from drain, disk and number of calls.

    Attributes:
        is_draining: Whether a drain has OPTIONS refused.
    """

    def __init__(self, services: CallServices, calls: LiveCalls) -> None:
        self._services = services
        self._calls = calls
        self._availability = Availability()
        self.is_draining = False

    def refuse(self, is_draining: bool) -> None:
        """Have OPTIONS refused because of a drain, or no longer."""
        self.is_draining = is_draining

    def refusal(self) -> Sequence[Header] | None:
        """Return the headers of a 503 to OPTIONS, or None while new calls are welcome."""
        obstacle = self._obstacle()
        return None if obstacle is None else refusal_headers(obstacle)

    def _obstacle(self) -> Obstacle | None:
        limits = self._services.config.limits
        return self._availability.obstacle(
            is_draining=self.is_draining,
            is_disk_failing=self._services.refuses_unrecordable,
            calls=self._calls.recorded,
            max_calls=self._calls.max_calls if limits.refuse_options else None,
        )
