"""One leg: a dialog and its INVITE, on sippy's transactions. Call thread only.

This module composes the components of a leg, ends it, and handles the peer's requests inside the dialog. The INVITE is
in `sip.invited` or `sip.inviting`, offers in `sip.reoffers`, REFER in `sip.referral`, the dialog in `sip.leg_dialog`,
the state table in `sip.leg_state`. The components know the dialog and the components below them, but not the leg.

sippy's own user agent is not used: it takes REFER for a hang-up and an empty re-INVITE for hold, answers UPDATE with
500, drops the call on glare, and keeps neither History-Info nor the bytes of a body (ADR 2). See `sip.reactor`.
"""

import weakref
from collections.abc import Callable, Sequence
from urllib.parse import quote

from sip.endpoint_services import EndpointServices
from sip.events import Body, Header, IdentityChanged, InfoReceived, LegEnded, LegId
from sip.header_policy import identity_in
from sip.identity import display_number, is_display_update
from sip.invited import Invited
from sip.inviting import Inviting
from sip.leg_dialog import LegDialog
from sip.leg_state import LegState, Move
from sip.message import RawMessage
from sip.message_io import ALLOW, RECORDING_TYPES, SUPPORTED, body_of, phrase
from sip.offer_answer_state import Negotiation
from sip.reactor import Sippy
from sip.referral import Referrals
from sip.reliable_uac import ReceivedReliably
from sip.reoffers import Reoffers
from sip.session_timer import SessionTimer


class Leg:
    """One leg, begun by `invited` or `inviting`, driven by the endpoint's commands and the peer's messages.

    The leg owns its components; they refer back to it weakly. A strong reference would be a cycle that only the garbage
    collector could free, and the whole daemon stops while it runs. The register keeps a leg for `LINGER_S` after its
    end (`sip.leg_register`), so that no component uses a freed leg.

    Attributes:
        dialog: The dialog with the state of the leg.
        invited: The INVITE that was offered to us.
        inviting: The INVITE that we sent.
        offers: Offers after the first.
        referrals: Transfers that the peer asks for.
    """

    def __init__(self, leg_id: LegId, services: EndpointServices, forget: Callable[["Leg"], None]) -> None:
        """Make a leg; ``forget`` is called when it ends."""
        me: Leg = weakref.proxy(self)
        self._services = services
        self._forget = forget
        self.dialog = LegDialog(leg_id, services, me)
        negotiation = Negotiation()
        self._session_timer = SessionTimer(self.dialog, me)
        received = ReceivedReliably(self.dialog, negotiation)
        self.offers = Reoffers(self.dialog, negotiation, self._session_timer, received)
        self.invited = Invited(self.dialog, negotiation, self._session_timer, self.offers)
        self.inviting = Inviting(self.dialog, negotiation, self._session_timer, received)
        self.referrals = Referrals(self.dialog)

    @property
    def parts(self) -> tuple[object, ...]:
        """Return the objects that should be freed once the register has removed the leg."""
        return (self, self.dialog, self.offers, self.invited, self.inviting, self.referrals)

    # -- ending

    def hang_up(self, reason: str | None) -> None:
        """End the leg by BYE, CANCEL or 480, by its state."""
        dialog = self.dialog
        was = dialog.state
        if was in (LegState.DIALLING, LegState.RINGING):
            self.inviting.cancel(reason)
        elif dialog.move(Move.HANG_UP):
            if was is LegState.OFFERED:
                self.invited.invite.reply(480, headers=[("Reason", reason)] if reason else [])
            elif was is LegState.CONFIRMING:
                dialog.parting_reason = reason
            else:
                self.offers.close()
                if not self.referrals.must_wait(reason):
                    dialog.send_bye(reason)

    def close(self) -> None:
        """End the leg because the endpoint closes."""
        dialog = self.dialog
        if dialog.state is LegState.OFFERED:
            self.invited.refuse(503, phrase(503), [("Retry-After", "30")])
        elif dialog.state is LegState.CONFIRMING:
            dialog.move(Move.LOST)
            dialog.send_bye(None)
        else:
            self.hang_up(None)

    # -- requests of the peer inside the dialog

    def on_request(self, request: Sippy, transaction: Sippy, message: RawMessage) -> Sippy:
        """Take a request inside the dialog; return what sippy expects of a request hook."""
        dialog = self.dialog
        if dialog.remote_cseq is not None and message.cseq <= dialog.remote_cseq:
            dialog.respond(request, transaction, 500)
            return None
        dialog.remote_cseq = message.cseq
        dialog.heard += 1
        dialog.learn_abilities(message)
        if dialog.state is LegState.ENDED:
            dialog.respond(request, transaction, 200 if message.method == "BYE" else 481)
            if message.method == "BYE":
                self.referrals.has_parted()
            return None
        unknown = [tag for tag in message.option_tags("require") if tag not in self._services.known]
        if unknown and message.method != "BYE":
            dialog.respond(request, transaction, 420, headers=[("Unsupported", ", ".join(unknown))])
            return (None, None, None) if message.method == "INVITE" else None
        self._look_at_identity(message)
        if message.method in ("INVITE", "UPDATE"):
            self.invited.overtaken()
        handler = {
            "BYE": self._on_bye,
            "INVITE": self.offers.on_reinvite,
            "UPDATE": self.offers.on_update,
            "INFO": self._on_info,
            "OPTIONS": self._on_options,
            "PRACK": self.invited.on_prack,
            "REFER": self.referrals.on_refer,
        }.get(message.method, self._on_other)
        return handler(request, transaction, message)

    def _look_at_identity(self, message: RawMessage) -> None:
        """Tell the application when the peer names another party; a transfer inside a PBX shows only by that."""
        dialog = self.dialog
        if message.method not in ("INVITE", "UPDATE"):
            return
        user, dialog.identity = dialog.identity.seen_in(message, is_called=dialog.owns_call_id)
        if user is not None:
            dialog.emit(
                IdentityChanged(
                    leg=dialog.id,
                    source=self._services.source,
                    user=user,
                    users=dialog.identity.names,
                    headers=identity_in(message.headers),
                )
            )

    def _on_bye(self, request: Sippy, transaction: Sippy, message: RawMessage) -> None:
        dialog = self.dialog
        is_offered = dialog.state is LegState.OFFERED
        is_leaving = dialog.state is LegState.LEAVING
        dialog.respond(request, transaction, 200)
        if dialog.move(Move.PEER_BYE):
            if is_offered:
                self.invited.invite.reply(487)
            self.offers.close()
            if not is_leaving:
                dialog.emit(LegEnded(leg=dialog.id, cause="bye", reason=message.value("reason")))

    def _on_info(self, request: Sippy, transaction: Sippy, message: RawMessage) -> None:
        dialog = self.dialog
        if is_display_update(message):
            self._on_display_update(request, transaction, display_number(message))
            return
        dialog.respond(request, transaction, 200)
        body = body_of(message)
        if body is not None:
            dialog.emit(InfoReceived(leg=dialog.id, body=body))

    def _on_display_update(self, request: Sippy, transaction: Sippy, number: str) -> None:
        """Take an INFO that names who is at the peer's end now, like an UPDATE."""
        dialog = self.dialog
        if not number:
            dialog.respond(request, transaction, 415, headers=[("Accept", "application/dtmf-relay, application/dtmf")])
            return
        dialog.respond(request, transaction, 200)
        user, dialog.identity = dialog.identity.shown(number)
        if user is not None:
            named = (("P-Asserted-Identity", f"<sip:{quote(user)}@{self._services.source.bracketed}>"),)
            dialog.emit(
                IdentityChanged(
                    leg=dialog.id,
                    source=self._services.source,
                    user=user,
                    users=(user,),
                    headers=named,
                    is_by_info=True,
                )
            )

    def _on_options(self, request: Sippy, transaction: Sippy, _message: RawMessage) -> None:
        dialog = self.dialog
        types = RECORDING_TYPES if dialog.is_recorder else "application/sdp"
        headers = [("Allow", ALLOW), ("Accept", types), ("Supported", SUPPORTED)]
        dialog.respond(request, transaction, 200, headers=headers, contact=dialog.contact())

    def _on_other(self, request: Sippy, transaction: Sippy, _message: RawMessage) -> None:
        self.dialog.respond(request, transaction, 405, headers=[("Allow", ALLOW)])

    def identify(self, headers: Sequence[Header]) -> None:
        """Tell the peer who it talks to now (as RFC 4916, with RFC 3325's header), if it supports UPDATE."""
        if self.dialog.state is LegState.CONNECTED and "UPDATE" in self.dialog.allows:
            self._session_timer.update(headers)

    def send_info(self, body: Body) -> None:
        """Send an INFO."""
        dialog = self.dialog
        if dialog.state is LegState.CONNECTED:
            dialog.start(dialog.new_request("INFO", body=body), dialog.end_if_unknown)

    # -- acts on all components (sip.leg_dialog.LegComponents)

    def settle(self) -> None:
        """Answer the open offers."""
        self.offers.close()

    def stop(self) -> None:
        """Stop the timers of the components, and remove the leg from the register."""
        self._session_timer.close()
        self.invited.close()
        self._forget(self)

    def reinvite(self) -> None:
        """Refresh the session by a re-INVITE."""
        self.offers.refresh()
