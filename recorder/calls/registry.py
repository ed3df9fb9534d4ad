"""Which call each leg belongs to, and the boundary between calls. Call thread only.

A bug in one call is stopped here: it is logged once, that call is ended, the others go on.
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

    Args:
        services: The daemon's parts.

    Attributes:
        faults: How many internal errors ended a call or refused it.
        when_ended: Called with each call that has ended.
    """

    def __init__(self, services: CallServices) -> None:
        self._services = services
        self._calls: dict[LegId, SipCall] = {}
        self._media: dict[MediaLegId, SipCall] = {}
        self.faults = 0
        self.when_ended: list[Callable[[SipCall], None]] = []

    @property
    def legs(self) -> dict[LegId, SipCall]:
        """Return the calls by their SIP legs."""
        return self._calls

    def call_of(self, leg: LegId) -> SipCall | None:
        """Return the call that a SIP leg belongs to."""
        return self._calls.get(leg)

    def call_of_media(self, leg: MediaLegId) -> SipCall | None:
        """Return the call that a media leg belongs to."""
        return self._media.get(leg)

    def adopt(self, leg: LegId, call: SipCall) -> None:
        """Have the events of a leg come to a call from now on."""
        self._calls[leg] = call
        call.legs.every.append(leg)

    def adopt_media(self, leg: MediaLegId, call: SipCall) -> None:
        """Have what the media core sees on a leg come to a call from now on."""
        self._media[leg] = call

    def ended(self, call: SipCall) -> None:
        """Forget a call: nothing of it is left but what is being filed."""
        for leg in call.legs.every:
            if self._calls.get(leg) is call:  # it may be another call's by now
                del self._calls[leg]
        if call.recorded is not None:
            self._media = {leg: owner for leg, owner in self._media.items() if owner is not call}
        for tell in self.when_ended:
            tell(call)

    def guard(
        self,
        call: SipCall | None,
        fn: Callable[..., object],
        *args: object,
        otherwise: Callable[[], None] | None = None,
    ) -> None:
        """Call a function; if it fails, end the call that it is about, and call ``otherwise``."""
        try:
            fn(*args)
        except Exception:  # noqa: BLE001 - the boundary between calls: a bug of one ends here
            self.faults += 1
            self._services.alarm("call_fault")
            _log.exception("%s: internal error, %s", _described(call), "call refused" if call is None else "call ended")
            if call is not None:
                self._abandon(call)
            if otherwise is not None:
                otherwise()

    def _abandon(self, call: SipCall) -> None:
        try:
            call.stop("internal_error")
        except Exception:  # noqa: BLE001 - as above
            _log.exception("%s: internal error while it was ended; its legs are forgotten", _described(call))
        if any(self._calls.get(leg) is call for leg in call.legs.every):  # it failed on its way out
            self.ended(call)
            with contextlib.suppress(Exception):
                call.finish("internal_error")


def _described(call: SipCall | None) -> str:
    """Return what the log calls a call; one that is not recorded has no id."""
    if call is None:
        return "new call"
    return f"call {call.recorded.id}" if call.recorded is not None else "call that is not recorded"
