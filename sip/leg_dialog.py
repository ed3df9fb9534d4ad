"""The dialog of a leg with the leg's state; all components of a leg use it. Call thread only.

It does not know the components; it acts on all of them by `LegComponents`. Knows sippy; see `sip.reactor`.
"""

from typing import Protocol

from sip.dialog import Dialog
from sip.endpoint_services import EndpointServices
from sip.events import LegEnded, LegId, SipEvent
from sip.identity import Identity
from sip.left_dialogs import KeptDialog, kept_of
from sip.leg_state import TRANSITIONS, LegState, Move
from sip.reactor import Cancellable, Sippy


class LegComponents(Protocol):
    """Acts on all components of a leg; `sip.leg.Leg` implements it."""

    def settle(self) -> None:
        """Answer the open offers: a BYE follows."""

    def stop(self) -> None:
        """Stop all components: the leg has ended."""

    def reinvite(self) -> None:
        """Refresh the session by a re-INVITE."""


_KEPT = frozenset({LegState.CONFIRMING, LegState.LEAVING, LegState.CONNECTED})
"""States in which the peer waits for a BYE if this process is killed."""


class LegDialog(Dialog):
    """A dialog with the state of its leg; emits the leg's events.

    Attributes:
        id: The leg's name for the application.
        state: Of the leg; see `sip.leg_state`.
        owns_call_id: We chose the Call-ID (RFC 3261 section 14.1).
        parting_reason: Value of Reason for a CANCEL or BYE that is sent later, or None.
        timers: Stopped when the leg ends.
        identity: Who is at the peer's end.
    """

    def __init__(self, leg_id: LegId, services: EndpointServices, components: LegComponents) -> None:
        super().__init__(services)
        self.id = leg_id
        self.state: LegState
        self.owns_call_id = False
        self.parting_reason: str | None = None
        self.timers: list[Cancellable] = []
        self.identity = Identity()
        self._components = components
        self._kept: KeptDialog | None = None

    def move(self, move: Move) -> bool:
        """Make a move of the table; return whether the table has it for this state."""
        state = TRANSITIONS.get((self.state, move))
        if state is None:
            return False
        self.state = state
        self._keep()
        if state is LegState.ENDED:
            self.stop_timers()
            self._components.stop()
        return True

    def changed(self) -> None:
        """See `Dialog`."""
        if self._kept is not None:
            self._keep()

    def _keep(self) -> None:
        """Have the dialog kept for the next process while it is established, and forgotten when it ends."""
        keeper = self.services.keeper
        if keeper is None:
            return
        kept = kept_of(self) if self.state in _KEPT else None
        if kept == self._kept:
            return
        self._kept = kept
        if kept is not None:
            keeper.keep(self.id, kept)
        else:
            keeper.forget(self.id)

    def emit(self, event: SipEvent) -> None:
        """Tell the application."""
        self.services.emit(event)

    def stop_timers(self) -> None:
        """Cancel the timers."""
        for timer in self.timers:
            timer.cancel()
        self.timers.clear()

    def lost(self, reason: str | None = None) -> None:
        """End the leg because the peer no longer has the dialog; ``reason`` is the value of Reason in our BYE."""
        if self.move(Move.LOST):
            self._components.settle()
            self.send_bye(reason)
            self.emit(LegEnded(leg=self.id, cause="timeout", reason=reason))

    def probe(self) -> None:
        """Ask by OPTIONS whether the peer still has the dialog (RFC 3261 section 12.2.1.2)."""
        if self.state is LegState.CONNECTED:
            self.start(self.new_request("OPTIONS", headers=[("Accept", "application/sdp")]), self.end_if_unknown)

    def end_if_unknown(self, response: Sippy, _transaction: Sippy) -> None:
        """End the leg if a response says that the peer does not have the dialog, or if none came."""
        if response.getSCode()[0] in (408, 481):
            self.lost()
