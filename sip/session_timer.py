"""The session timer of a leg (RFC 4028): sends our refreshes, and ends a session that is not refreshed.

Each leg of a call has its own. Call thread only. Knows sippy; see `sip.reactor`.
"""

from collections.abc import Sequence

from sip import session_expires
from sip.events import Header
from sip.leg_dialog import LegComponents, LegDialog
from sip.leg_state import LegState
from sip.message import RawMessage
from sip.message_io import ALLOW, SUPPORTED
from sip.reactor import Cancellable, Sippy
from sip.session_expires import Agreed

EXPIRED = 'SIP;cause=408;text="Session timer expired"'
"""Reason of the BYE that ends a session that was not refreshed."""

LONGEST_S = 1 << 31
"""Limit of an accepted Min-SE."""

MAX_LENGTHENED = 8
"""Times that a leg repeats a request with a longer interval: each proxy on the way may require more."""

_SOON_S = 0.5
"""Shortest wait before a refused refresh is repeated."""


class SessionTimer:
    """Keeps one leg's session alive, or ends it."""

    def __init__(self, dialog: LegDialog, components: LegComponents) -> None:
        self._dialog = dialog
        self._components = components
        self._own_s = dialog.services.session.expires_s
        self._peer_least_s = 0
        self._lengthened = 0
        self._agreed: Agreed | None = None
        self._refresh: Cancellable | None = None
        self._expiry: Cancellable | None = None
        self._expires_at_s = 0.0

    # -- negotiation

    @property
    def request_headers(self) -> list[Header]:
        """The session timer headers of our INVITE, re-INVITE or UPDATE (sections 7.1 and 7.4)."""
        if self._agreed is not None:
            role = "uac" if self._agreed.is_ours else "uas"
            value = f"{max(self._agreed.seconds, self._peer_least_s)};refresher={role}"
        elif self._own_s is not None:
            value = str(max(self._own_s, self._peer_least_s))
        else:
            return []
        return [("Session-Expires", value), ("Min-SE", str(self._dialog.services.session.least_s))]

    def refused(self, message: RawMessage) -> bool:
        """Take a 422 to our request; return whether to repeat it with a longer interval (section 7.3)."""
        least_s = session_expires.min_se(message)
        is_longer = least_s is not None and self._peer_least_s < least_s < LONGEST_S
        if least_s is None or not is_longer or self._lengthened >= MAX_LENGTHENED:
            return False
        self._peer_least_s = least_s
        self._lengthened += 1
        return True

    def refusal(self, message: RawMessage) -> list[Header]:
        """Return the headers of a 422 if a request asks for too short an interval, else none."""
        least_s = self._dialog.services.session.least_s
        return [("Min-SE", str(least_s))] if session_expires.is_too_short(message, least_s) else []

    def agree(self, message: RawMessage) -> list[Header]:
        """Set the timer for the 2xx that we are about to send; return the headers of the 2xx."""
        session = self._dialog.services.session
        # Some recording clients end a session that we refresh, so we propose no timer to them.
        own_s = None if self._dialog.is_recorder else self._own_s
        self._run(session_expires.answer(message, own_s=own_s, least_s=session.least_s))
        if self._agreed is None:
            return []
        if self._agreed.is_ours:
            return [("Session-Expires", f"{self._agreed.seconds};refresher=uas")]
        return [("Session-Expires", f"{self._agreed.seconds};refresher=uac"), ("Require", "timer")]

    def agreed(self, message: RawMessage) -> None:
        """Set the timer from a 2xx to our request with `request_headers`."""
        self._run(session_expires.answered(message) if self.request_headers else None)

    # -- time

    def close(self) -> None:
        """Stop the timers."""
        for timer in (self._refresh, self._expiry):
            if timer is not None:
                timer.cancel()
        self._refresh = self._expiry = None

    def _run(self, agreed: Agreed | None) -> None:
        self.close()
        self._agreed = agreed
        if agreed is None:
            return
        reactor = self._dialog.services.reactor
        self._expires_at_s = reactor.now_s + agreed.expire_s
        self._expiry = reactor.call_later(agreed.expire_s, self._expire)
        if agreed.is_ours:
            self._refresh = reactor.call_later(agreed.refresh_s, self._send)

    def _expire(self) -> None:
        self._dialog.lost(EXPIRED)

    # -- refreshing

    def _send(self) -> None:
        if self._dialog.state is not LegState.CONNECTED:
            self._try_later()
        elif "UPDATE" in self._dialog.allows:
            self.update(())
        else:
            self._components.reinvite()

    def update(self, headers: Sequence[Header]) -> None:
        """Send an UPDATE without a session description and with some headers; it refreshes the session."""
        own = [("Allow", ALLOW), ("Supported", SUPPORTED), *self.request_headers]
        self._dialog.start(self._dialog.new_request("UPDATE", headers=[*own, *headers]), self._on_update_response)

    def _on_update_response(self, response: Sippy, _transaction: Sippy) -> None:
        status = response.getSCode()[0]
        if status in (405, 501):
            self._dialog.allows -= {"UPDATE"}
            if self._agreed is not None and self._agreed.is_ours:
                self._send()
        elif status >= 200:
            self.refreshed(status)

    def refreshed(self, status: int) -> None:
        """Take the final response to our refresh; after a refusal the session lives until it expires (section 10)."""
        message = self._dialog.services.transactions.current_or_none
        if status < 300 and message is not None:
            self.agreed(message)
        elif status in (408, 481):
            self._dialog.lost()
        elif status == 422 and message is not None and self.refused(message):
            self._send()  # further headers of an UPDATE are not repeated
        else:
            self._try_later()

    def _try_later(self) -> None:
        """Repeat the refresh halfway to the expiry; that is also late enough after a 491."""
        left_s = self._expires_at_s - self._dialog.services.reactor.now_s
        if self._agreed is not None and self._agreed.is_ours and left_s > _SOON_S:
            self._refresh = self._dialog.services.reactor.call_later(max(_SOON_S, left_s / 2), self._send)
