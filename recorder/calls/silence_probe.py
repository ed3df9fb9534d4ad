"""Probes a call in which no media arrives from either side. Call thread only.

A PBX may restart and lose a call without a BYE. Silence alone does not end a call. A re-offer does: a side that no
longer has the dialog answers 481, or does not answer (RFC 3261 section 12.2.1.2).
"""

from recorder.calls.bridged_call import BridgedCall
from recorder.calls.component import Component
from recorder.calls.rules.call_events import CallState, Side

PROBE_AFTER = 5
"""Interval of probes, in multiples of ``[media] dead_rtp_s``."""


class SilenceProbe(Component[BridgedCall]):
    """Sends re-offers to both sides while no media arrives from either."""

    def __init__(self, call: BridgedCall) -> None:
        super().__init__(call)
        self._silent: set[Side] = set()
        self._is_probing = False

    def fell_silent(self, side: Side) -> None:
        """Note that media has stopped arriving from a side."""
        self._silent.add(side)
        if self._is_silence and not self._is_probing:
            self._is_probing = True
            self._wait()

    def heard(self, side: Side) -> None:
        """Note that media is arriving from a side again."""
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
                call.services.endpoint.offer(leg, party.make_offer(party.codecs, party.local_direction))
        self._wait()
