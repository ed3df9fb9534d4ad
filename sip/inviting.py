"""The client side of a leg's INVITE: dialling, progress, answers, forks, CANCEL (RFC 3261 sections 9 and 13.2).

Component of a leg. Call thread only. Knows sippy; see `sip.reactor`.
"""

from sippy.SipAddress import SipAddress
from sippy.SipCallId import SipCallId
from sippy.SipFrom import SipFrom
from sippy.SipTo import SipTo
from sippy.SipURL import SipURL

from sip.commands import OutgoingCall
from sip.dialog import SentRequest
from sip.events import Header, LegAnswered, LegRang, LegRefused
from sip.header_policy import MARKER, passed_on
from sip.identity import Identity, asserted_users
from sip.leg_dialog import LegDialog
from sip.leg_state import LegState, Move
from sip.message import RawMessage, one_line
from sip.message_io import ALLOW, MAX_FORKS, RELIABLY, SUPPORTED, body_of, parameter, phrase, raw_header, strip_route
from sip.offer_answer_state import Negotiation
from sip.reactor import Sippy
from sip.reliable_uac import ReceivedReliably
from sip.session_timer import SessionTimer
from sip.signalled_address import SignalledAddress

_REFUSAL_HEADERS = {"contact", "reason", "retry-after", "warning", "diversion", "error-info"}


class Inviting:
    """The first INVITE of a dialled leg."""

    def __init__(
        self,
        dialog: LegDialog,
        negotiation: Negotiation,
        session_timer: SessionTimer,
        received: ReceivedReliably,
    ) -> None:
        self._dialog = dialog
        self._negotiation = negotiation
        self._session_timer = session_timer
        self._received = received
        self._call: OutgoingCall | None = None
        self._sent: SentRequest | None = None
        self._was_cancelled = False
        self._strays: set[str] = set()

    def begin(self, call: OutgoingCall) -> None:
        """Begin a leg by sending its INVITE."""
        dialog = self._dialog
        dialog.state = LegState.DIALLING
        dialog.owns_call_id = True
        dialog.identity = Identity(claimed=call.request_user)
        dialog.sippy_call_id = SipCallId()
        dialog.call_id = str(dialog.sippy_call_id)
        host, transport = call.target.bracketed, call.target.transport
        dialog.next_hop, dialog.transport = (host, call.target.port), transport
        dialog.signalled.add(SignalledAddress.named(call.target))
        dialog.target = SipURL(
            username=call.request_user, host=host, port=call.target.port, transport=parameter(transport)
        )
        dialog.remote = SipTo(address=SipAddress(url=SipURL(username=call.request_user, host=host), hadbrace=True))
        own = SipURL(username=call.from_user)
        own.port = own.transport = None
        display = one_line(call.from_display).replace("\\", "").replace('"', "")
        dialog.local = SipFrom(address=SipAddress(url=own, hadbrace=True, name=display or None))
        dialog.local.setTag(dialog.local_tag)
        self._call = call
        self._negotiation.local = call.body
        dialog.timers.append(dialog.services.reactor.call_later(call.no_reply_s, self._give_up, 408))
        self._send(call)

    def _send(self, call: OutgoingCall) -> None:
        dialog = self._dialog
        marks = [*call.loop_marks, *([call.loop_mark] if call.loop_mark else [])]
        headers = [*call.headers, *((MARKER, mark) for mark in marks)]
        supported = f"{SUPPORTED}, {RELIABLY}" if call.is_reliable else SUPPORTED
        headers += [("Allow", ALLOW), ("Supported", supported), *self._session_timer.request_headers]
        request = dialog.new_request("INVITE", body=call.body, headers=headers, max_forwards=call.max_forwards)
        self._sent = dialog.start(request, self._on_response, is_wanted=self._is_wanted, on_dropped=self._dropped)

    def _on_response(self, response: Sippy, transaction: Sippy) -> None:
        status, reason = response.getSCode()
        if 200 <= status < 300:
            self._on_success(response, transaction)
            return
        self._dialog.learn_signalled(response)
        if status < 200:
            self._on_progress(status, response, transaction)
        elif not self._is_sent_again(status, response):
            headers = self._refusal_headers(status)
            strip_route(response)
            self._sent = None
            if self._dialog.move(Move.FAILURE) and not self._was_cancelled:
                self._dialog.emit(LegRefused(leg=self._dialog.id, status=status, phrase=reason, headers=headers))

    def _is_sent_again(self, status: int, response: Sippy) -> bool:
        """Send the INVITE again after a 422 (RFC 4028); return whether it is sent."""
        message = self._dialog.services.transactions.current_or_none
        if status != 422 or message is None or not self._is_wanted() or not self._session_timer.refused(message):
            return False
        strip_route(response)
        # The ACK of the refusal is sent when this returns.
        self._dialog.services.reactor.submit(self._send_if_wanted)
        return True

    def _send_if_wanted(self) -> None:
        assert self._call is not None
        if self._is_wanted():
            self._send(self._call)
        else:
            self._dropped()

    def _dropped(self) -> None:
        """Fail: the call was cancelled before the INVITE was sent again, so there is nothing to cancel."""
        self._sent = None
        self._dialog.move(Move.FAILURE)

    def _is_wanted(self) -> bool:
        return self._dialog.state in (LegState.DIALLING, LegState.RINGING)

    def _on_progress(self, status: int, response: Sippy, transaction: Sippy) -> None:
        dialog = self._dialog
        was_first = dialog.state is LegState.DIALLING
        if was_first:
            dialog.stop_timers()  # the target has replied
        if dialog.state is LegState.CANCELLING:
            self._send_cancel(transaction)
            return
        call = self._call
        assert call is not None
        ring_s = call.ring_s
        if was_first and ring_s is not None:  # after a 100 too: a proxy may have died since
            dialog.timers.append(dialog.services.reactor.call_later(ring_s, self._give_up, 480))
        message = dialog.services.transactions.current
        if status == 100 or not dialog.move(Move.PROGRESS):
            return
        if not self._received.take(response, message, is_offer_ours=call.body is not None):
            return
        dialog.learn_abilities(message)
        self._negotiation.remote = body_of(message) or self._negotiation.remote
        dialog.emit(LegRang(leg=dialog.id, status=status, body=body_of(message), headers=passed_on(message)))

    def _on_success(self, response: Sippy, transaction: Sippy) -> None:
        dialog = self._dialog
        message = dialog.services.transactions.current
        dialog.remote_tag = message.tag("to")
        if dialog.remote_tag is not None:
            dialog.remote.setTag(dialog.remote_tag)
        dialog.learn_routes(response)
        dialog.learn_target(response, is_required=False)
        is_cancelled = dialog.state is LegState.CANCELLING
        if not dialog.move(Move.SUCCESS):
            return
        self._sent = None  # nothing can be cancelled any more; this frees some hundred objects of each call
        if is_cancelled:
            dialog.services.transactions.afterwards(lambda: dialog.send_bye(dialog.parting_reason))
            return
        dialog.stop_timers()
        dialog.learn_abilities(message)
        self._session_timer.agreed(message)
        self._negotiation.remote = body_of(message) or self._negotiation.remote
        if (
            self._call is not None
            and self._call.body is None
            and message.body
            and not self._negotiation.is_early_settled
        ):
            transaction.uack = True
            self._negotiation.late_answer = transaction
        asserted, dialog.identity = dialog.identity.answered_by(message)
        event = LegAnswered(
            leg=dialog.id,
            body=body_of(message),
            asserted_user=asserted,
            asserted_users=asserted_users(message, is_called=True),
            headers=passed_on(message),
        )
        dialog.services.transactions.afterwards(lambda: dialog.emit(event))

    def _give_up(self, status: int) -> None:
        transaction = self._sent.transaction if self._sent is not None else None
        if status == 408 and transaction is not None and transaction.teA is not None:
            # A retransmission could ring a phone that comes back after we have failed over.
            transaction.teA.cancel()
            transaction.teA = None
        if self.cancel(None):
            self._dialog.emit(LegRefused(leg=self._dialog.id, status=status, phrase=phrase(status)))

    def cancel(self, reason: str | None) -> bool:
        """Cancel the INVITE, as soon as a 1xx allows it; return whether there was anything to cancel."""
        transaction = self._sent.transaction if self._sent is not None else None
        if not self._dialog.move(Move.HANG_UP):
            return False
        self._was_cancelled, self._dialog.parting_reason = True, reason
        self._dialog.stop_timers()
        if transaction is not None and _has_provisional(transaction):
            self._send_cancel(transaction)
        return True

    def _send_cancel(self, transaction: Sippy) -> None:
        cancel = transaction.take_cancel()
        if cancel is None:
            return
        if self._dialog.parting_reason is not None:
            cancel.appendHeader(raw_header("Reason", self._dialog.parting_reason))
        self._dialog.services.transactions.newTransaction(cancel, userv=transaction.userv)

    def stray_success(self, response: Sippy, message: RawMessage) -> bool:
        """Take a 2xx to our INVITE that matches no transaction: ACK it and end that fork (section 13.2.2.4).

        Returns False for a retransmission of the 2xx we took, which the transactions acknowledge again.
        """
        dialog, tag = self._dialog, message.tag("to")
        if tag == dialog.remote_tag or tag is None:
            return False
        if tag not in self._strays and len(self._strays) >= MAX_FORKS:
            return True
        fork = dialog.forked(tag, response, message.cseq)
        ack = fork.new_request("ACK")
        fork.cseq = dialog.cseq  # PRACKs may have used the numbers in between
        address, _ = ack.getTarget()
        dialog.services.transactions.transmitMsg(
            dialog.services.transport.server_for(ack, fork.flow), ack, address, None
        )
        if tag not in self._strays:
            self._strays.add(tag)
            fork.send_bye(None)
        return True

    def _refusal_headers(self, status: int) -> tuple[Header, ...]:
        message = self._dialog.services.transactions.current_or_none
        if message is None:
            return ()
        wanted = _REFUSAL_HEADERS if status < 400 else _REFUSAL_HEADERS - {"contact"}
        return tuple((name, value) for name, value in message.headers if name.lower() in wanted)


def _has_provisional(transaction: Sippy) -> bool:
    # sippy has the transaction's state as a class.
    return type(transaction.state) is type and transaction.state.__name__ == "RINGING"
