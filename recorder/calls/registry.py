"""Which call each leg belongs to, and the boundary between calls. Call thread only.

An exception in one call is caught here: it is logged once, that call is ended, and the others go on.
"""

import contextlib
import logging
from collections.abc import Callable

from audio.types import LegId as MediaLegId
from recorder.calls.call_services import CallServices
from recorder.calls.sip_call import SipCall
from sip.events import LegId

_log = logging.getLogger(__name__)


class CallRegistry:
    """The calls in progress by their legs.

    Attributes:
        faults: How many internal errors ended or refused a call.
        when_ended: Functions to call with each call that has ended.
    """

    def __init__(self, services: CallServices) -> None:
        self._services = services
        self._calls: dict[LegId, SipCall] = {}
        self._media: dict[MediaLegId, SipCall] = {}
        self.faults = 0
        self.when_ended: list[Callable[[SipCall], object]] = []

    @property
    def legs(self) -> dict[LegId, SipCall]:
        """Return the calls by their SIP legs."""
        return self._calls

    def call_of(self, leg: LegId) -> SipCall | None:
        """Return the call that a SIP leg belongs to, or None."""
        return self._calls.get(leg)

    def call_of_media(self, leg: MediaLegId) -> SipCall | None:
        """Return the call that a media leg belongs to, or None."""
        return self._media.get(leg)

    def adopt(self, leg: LegId, call: SipCall) -> None:
        """Hand the events of a SIP leg to a call from now on."""
        self._calls[leg] = call
        call.legs.every.append(leg)

    def adopt_media(self, leg: MediaLegId, call: SipCall) -> None:
        """Hand the events of a media leg to a call from now on."""
        self._media[leg] = call
        call.legs.media.append(leg)

    def ended(self, call: SipCall) -> None:
        """Remove a call that has ended; only its filing keeps it in memory then."""
        for leg in call.legs.every:
            if self._calls.get(leg) is call:  # a transfer may have given the leg to another call
                del self._calls[leg]
        for media_leg in call.legs.media:
            if self._media.get(media_leg) is call:
                del self._media[media_leg]
        for notify in self.when_ended:
            notify(call)

    def guard(
        self,
        call: SipCall | None,
        fn: Callable[..., object],
        *args: object,
        otherwise: Callable[[], None] | None = None,
    ) -> None:
        """Run a function; if it raises, end ``call`` and run ``otherwise``."""
        try:
            fn(*args)
        except Exception:  # noqa: BLE001 - the boundary between calls: an error in one must not end others
            self.faults += 1
            self._services.alarm("call_fault")
            _log.exception("%s: internal error, %s", log_name(call), "call refused" if call is None else "call ended")
            if call is not None:
                self._abandon(call)
            if otherwise is not None:
                otherwise()

    def _abandon(self, call: SipCall) -> None:
        try:
            call.stop("internal_error")
        except Exception:  # noqa: BLE001 - as above
            _log.exception("%s: internal error while the call was ended; its legs are removed", log_name(call))
        left = [leg for leg in call.legs.every if self._calls.get(leg) is call]
        if left or any(self._media.get(leg) is call for leg in call.legs.media):  # it failed before it was removed
            for leg in left:
                with contextlib.suppress(Exception):
                    self._services.endpoint.hang_up(leg)
            self.ended(call)
            with contextlib.suppress(Exception):
                call.finish("internal_error")


def log_name(call: SipCall | None) -> str:
    """Return the name of a call at the beginning of a log line; only a recorded call has an id."""
    if call is None:
        return "new call"
    return f"call {call.recorded.id}" if call.recorded is not None else "call that is not recorded"
