"""REFER inside a dialog, and the NOTIFYs that report its progress (RFC 3515). Component of a leg.

The application decides on a transfer and carries it out. At most one REFER is open on a leg. Its implicit subscription
ends with the last NOTIFY, also after the peer's BYE (RFC 5057 section 4.1). Call thread only. Knows sippy; see
`sip.reactor`.
"""

from dataclasses import dataclass

from sip.events import Body, ReferReceived
from sip.leg_dialog import LegDialog
from sip.leg_state import LegState
from sip.message import RawMessage
from sip.message_io import phrase
from sip.reactor import Cancellable, Sippy
from sip.transfer import ReferRequest, TransferError, parse_refer, sipfrag

EXPIRES_S = 180
"""Lifetime of the subscription: longer than any phone rings."""
LAST_NOTIFY_S = 1.0
"""How long our BYE waits for the answer to the last NOTIFY, which it must not overtake."""


@dataclass(slots=True)
class _Referral:
    request: Sippy
    transaction: Sippy
    asked: ReferRequest
    event: str
    is_accepted: bool = False


class Referrals:
    """The transfers that the peer of a leg asks for, one after another."""

    def __init__(self, dialog: LegDialog) -> None:
        self._dialog = dialog
        self._now: _Referral | None = None
        self._asked = 0
        self._untold = 0
        self._bye: Cancellable | None = None
        self._bye_reason: str | None = None

    def on_refer(self, request: Sippy, transaction: Sippy, message: RawMessage) -> Sippy:
        """Take a REFER of the peer; the application accepts or refuses it, at once or later."""
        if self._now is not None or self._dialog.state is not LegState.CONNECTED:
            self._dialog.respond(request, transaction, 491)
            return None
        try:
            asked = parse_refer(message)
        except TransferError as error:
            self._dialog.respond(request, transaction, error.status)
            return None
        self._asked += 1
        event = "refer" if self._asked == 1 else f"refer;id={message.cseq}"  # RFC 3515 section 2.4.6
        self._now = _Referral(request, transaction, asked, event)
        replaces = self._dialog.services.find(asked.replaces) if asked.replaces is not None else None
        self._dialog.emit(
            ReferReceived(
                leg=self._dialog.id,
                source=self._dialog.services.source,
                user=asked.user,
                replaces=None if asked.replaces is None else str(asked.replaces),
                replaced_leg=replaces,
            )
        )
        return None, None, None

    def accept(self) -> None:
        """Answer 202, and report by NOTIFY that the attempt has begun."""
        now = self._now
        if now is None or now.is_accepted:
            return
        now.is_accepted = True
        headers = [] if now.asked.wants_progress else [("Refer-Sub", "false")]
        self._dialog.respond(now.request, now.transaction, 202, headers=headers, contact=self._dialog.contact())
        self._tell(100, phrase(100), is_final=False)

    def refuse(self, status: int) -> None:
        """Refuse the REFER."""
        now, self._now = self._now, None
        if now is not None and not now.is_accepted:
            self._dialog.respond(now.request, now.transaction, status)

    def notify(self, status: int, reason: str) -> None:
        """Report the progress of the attempt; a final status ends the subscription."""
        if self._now is not None and self._now.is_accepted:
            self._tell(status, reason or phrase(status), is_final=status >= 200)

    def _tell(self, status: int, reason: str, *, is_final: bool) -> None:
        now = self._now
        assert now is not None
        if is_final:
            self._now = None
        if not now.asked.wants_progress:
            return
        state = "terminated;reason=noresource" if is_final else f"active;expires={EXPIRES_S}"
        body = Body(content=sipfrag(status, reason), content_type="message/sipfrag;version=2.0")
        headers = [("Event", now.event), ("Subscription-State", state)]
        self._untold += 1
        self._dialog.start(self._dialog.new_request("NOTIFY", body=body, headers=headers), self._on_told)

    def _on_told(self, response: Sippy, _transaction: Sippy) -> None:
        if response.getSCode()[0] >= 200:
            self._untold -= 1
            if self._untold == 0 and self._bye is not None:
                self._send_bye()

    # -- our BYE, which must not overtake the last NOTIFY

    def must_wait(self, reason: str | None) -> bool:
        """Tell whether a BYE must wait for the answer to a NOTIFY; if so, it is sent from here."""
        if self._untold == 0:
            return False
        self._bye_reason = reason
        self._bye = self._dialog.services.reactor.call_later(LAST_NOTIFY_S, self._send_bye)
        return True

    def has_parted(self) -> None:
        """Cancel our BYE: the peer sent one."""
        if self._bye is not None:
            self._bye.cancel()
            self._bye = None

    def _send_bye(self) -> None:
        self.has_parted()
        self._dialog.send_bye(self._bye_reason)
