"""Probing a call in which nobody is heard. Call thread only.

A BYE may be lost with the PBX that sent it. Silence is no hang-up, but a side that no longer knows the dialog says so
(481, or nothing at all: RFC 3261 section 12.2.1.2), and then the call is over.
"""

from recorder.calls.bridged_call import BridgedCall
from recorder.calls.component import Component
from recorder.calls.rules.call_events import CallState, Side

PROBE_AFTER = 5
"""A call in which nobody is heard is probed after so many times the silence that is reported."""


class SilenceProbe(Component[BridgedCall]):
    """Asks both sides whether they are still there, as long as neither is heard."""

    def __init__(self, call: BridgedCall) -> None:
        super().__init__(call)
        self._silent: set[Side] = set()
        self._is_probing = False

    def fell_silent(self, side: Side) -> None:
        """Note that no media arrives from a side any more."""
        self._silent.add(side)
        if self._is_silence and not self._is_probing:
            self._is_probing = True
            self._wait()

    def heard(self, side: Side) -> None:
        """Note that media arrives from a side again."""
        self._silent.discard(side)

    @property
    def _is_silence(self) -> bool:
        return len(self._silent) == len(Side)

    def _wait(self) -> None:
        services = self._call.services
        services.scheduler.call_later(PROBE_AFTER * services.config.media.dead_rtp_s, self._with_call(self._probe))

    def _probe(self) -> None:
        call = self._call
        if call.progress.state is not CallState.JOINED or not self._is_silence:
            self._is_probing = False
            return
        for side, party in call.sides.items():
            leg = call.legs.of(side)
            if leg is not None:
                call.services.endpoint.offer(leg, party.make_offer(party.codecs, party.told))
        self._wait()
