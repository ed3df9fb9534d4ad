"""One leg: a dialog and its INVITE, on sippy's transactions. Call thread only.

sippy's own user agent is not used: its states take REFER for a hang-up, an empty re-INVITE for hold, answer UPDATE with
500, drop the call on glare, and keep neither History-Info nor the bytes of a body. What remains of sippy here is its
transactions and its messages; what a leg may do is one table. ADR-0002 has the reasons. See `sip.reactor`.

Here: how a leg ends, and what the peer asks for inside it. The INVITE is `sip.invited`'s or `sip.inviting`'s, offers
are `sip.offers`'s, REFER is `sip.referral`'s, the dialog as such is `sip.requests`'s.
"""

from collections.abc import Sequence
from urllib.parse import quote

from sip.crossing import identity_in
from sip.events import Body, Header, IdentityChanged, InfoReceived, LegEnded, LegId, SipEvent
from sip.identity import Identity, display_number, is_display_update
from sip.invited import Invited
from sip.inviting import Inviting
from sip.leg_state import TRANSITIONS, Move, State
from sip.message import RawMessage
from sip.offers import Offers
from sip.reactor import Cancellable, Sippy
from sip.referral import Referrals
from sip.requests import Dialog
from sip.session_timer import SessionTimer
from sip.wires import ALLOW, RECORDING_TYPES, SUPPORTED, Wires, body_of, phrase


class Leg(Dialog):
    """One dialog. Begun by `invited` or `inviting`; driven by the endpoint's commands and the peer's messages.

    Attributes:
        id: Its name for the application.
        state: Where it stands; see `sip.leg_state`.
        owns_call_id: We chose the Call-ID (RFC 3261 section 14.1).
        parting_reason: Value of Reason for a CANCEL or BYE that has to wait, or None.
        timers: Stopped when the leg ends.
        invited: The INVITE that was offered to us.
        inviting: The INVITE that we sent.
        offers: Offers after the first.
        session_timer: Refreshes the session, or ends it.
        referrals: Transfers that the peer asks for.
        identity: Who is at the peer's end.
    """

    def __init__(self, leg_id: LegId, wires: Wires) -> None:
        super().__init__(wires)
        self.id = leg_id
        self.state: State
        self.owns_call_id = False
        self.parting_reason: str | None = None
        self.timers: list[Cancellable] = []
        self.invited = Invited(self)
        self.inviting = Inviting(self)
        self.offers = Offers(self)
        self.session_timer = SessionTimer(self)
        self.referrals = Referrals(self)
        self.identity = Identity()

    # -- ending

    def hang_up(self, reason: str | None) -> None:
        """End the leg with what fits its state."""
        was = self.state
        if was in (State.DIALLING, State.RINGING):
            self.inviting.cancel(reason)
        elif self.move(Move.HANG_UP):
            if was is State.OFFERED:
                self.invited.reply(480, headers=[("Reason", reason)] if reason else [])
            elif was is State.CONFIRMING:
                self.parting_reason = reason
            else:
                self.offers.close()
                if not self.referrals.must_wait(reason):
                    self.send_bye(reason)

    def close(self) -> None:
        """End the leg because we go away."""
        if self.state is State.OFFERED:
            self.invited.refuse(503, phrase(503), [("Retry-After", "30")])
        elif self.state is State.CONFIRMING:
            self.move(Move.LOST)
            self.send_bye(None)
        else:
            self.hang_up(None)

    def lost(self) -> None:
        """End the leg since the peer no longer knows it."""
        if self.move(Move.LOST):
            self.offers.close()
            self.send_bye(None)
            self.emit(LegEnded(leg=self.id, cause="timeout", reason=None))

    # -- requests of the peer inside the dialog

    def on_request(self, request: Sippy, transaction: Sippy, message: RawMessage) -> Sippy:
        """Take a request inside the dialog; answers what sippy wants of a request hook."""
        if self.remote_cseq is not None and message.cseq <= self.remote_cseq:
            self.respond(request, transaction, 500)
            return None
        self.remote_cseq = message.cseq
        self.heard += 1
        self.learn_abilities(message)
        if self.state is State.ENDED:
            self.respond(request, transaction, 200 if message.method == "BYE" else 481)
            if message.method == "BYE":
                self.referrals.has_parted()
            return None
        unknown = [tag for tag in message.option_tags("require") if tag not in self.wires.known]
        if unknown and message.method != "BYE":
            self.respond(request, transaction, 420, headers=[("Unsupported", ", ".join(unknown))])
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
            "PRACK": self.invited.reliable.on_prack,
            "REFER": self.referrals.on_refer,
        }.get(message.method, self._on_other)
        return handler(request, transaction, message)

    def _look_at_identity(self, message: RawMessage) -> None:
        """Tell the application when the peer names another party: what a transfer inside a PBX looks like from here."""
        if message.method not in ("INVITE", "UPDATE"):
            return
        user, self.identity = self.identity.seen_in(message)
        if user is not None:
            headers = identity_in(message.headers)
            self.emit(IdentityChanged(leg=self.id, source=self.wires.source, user=user, headers=headers))

    def _on_bye(self, request: Sippy, transaction: Sippy, message: RawMessage) -> None:
        is_offered = self.state is State.OFFERED
        is_leaving = self.state is State.LEAVING
        self.respond(request, transaction, 200)
        if self.move(Move.PEER_BYE):
            if is_offered:
                self.invited.reply(487)
            self.offers.close()
            if not is_leaving:
                self.emit(LegEnded(leg=self.id, cause="bye", reason=message.value("reason")))

    def _on_info(self, request: Sippy, transaction: Sippy, message: RawMessage) -> None:
        if is_display_update(message):
            self._on_display_update(request, transaction, display_number(message))
            return
        self.respond(request, transaction, 200)
        body = body_of(message)
        if body is not None:
            self.emit(InfoReceived(leg=self.id, body=body))

    def _on_display_update(self, request: Sippy, transaction: Sippy, number: str) -> None:
        """Take an INFO that names who is at the peer's end now, as an UPDATE would."""
        if not number:
            self.respond(request, transaction, 415, headers=[("Accept", "application/dtmf-relay, application/dtmf")])
            return
        self.respond(request, transaction, 200)
        user, self.identity = self.identity.shown(number)
        if user is not None:
            named = (("P-Asserted-Identity", f"<sip:{quote(user)}@{self.wires.source.bracketed}>"),)
            self.emit(IdentityChanged(leg=self.id, source=self.wires.source, user=user, headers=named, is_by_info=True))

    def _on_options(self, request: Sippy, transaction: Sippy, _message: RawMessage) -> None:
        types = RECORDING_TYPES if self.is_recorder else "application/sdp"
        headers = [("Allow", ALLOW), ("Accept", types), ("Supported", SUPPORTED)]
        self.respond(request, transaction, 200, headers=headers, contact=self.contact())

    def _on_other(self, request: Sippy, transaction: Sippy, _message: RawMessage) -> None:
        self.respond(request, transaction, 405, headers=[("Allow", ALLOW)])

    def identify(self, headers: Sequence[Header]) -> None:
        """Tell the peer who it talks to now (RFC 4916's purpose, by RFC 3325's header), if it takes UPDATE."""
        if self.state is State.CONNECTED and "UPDATE" in self.allows:
            self.session_timer.update(headers)

    def send_info(self, body: Body) -> None:
        """Send an INFO."""
        if self.state is State.CONNECTED:
            self.start(self.new_request("INFO", body=body), self._on_response)

    def probe(self) -> None:
        """Ask whether the peer still knows the dialog (RFC 3261 section 12.2.1.2)."""
        if self.state is State.CONNECTED:
            self.start(self.new_request("OPTIONS", headers=[("Accept", "application/sdp")]), self._on_response)

    def _on_response(self, response: Sippy, _transaction: Sippy) -> None:
        if response.getSCode()[0] in (408, 481):
            self.lost()

    # -- parts

    def move(self, move: Move) -> bool:
        """Make a move of the table; tells whether there is one."""
        state = TRANSITIONS.get((self.state, move))
        if state is None:
            return False
        self.state = state
        if state is State.ENDED:
            self.stop_timers()
            self.session_timer.close()
            self.invited.reliable.close()
            self.wires.forget(self)
        return True

    def emit(self, event: SipEvent) -> None:
        """Tell the application."""
        self.wires.emit(event)

    def stop_timers(self) -> None:
        """Call off what waits."""
        for timer in self.timers:
            timer.cancel()
        self.timers.clear()
