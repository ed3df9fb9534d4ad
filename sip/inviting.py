"""Our INVITE: dialling, progress, answers, forks, giving up and CANCEL (RFC 3261 sections 9 and 13.2). Part of a leg.

Call thread only. Knows sippy; see `sip.reactor`.
"""

from typing import TYPE_CHECKING

from sippy.SipAddress import SipAddress
from sippy.SipCallId import SipCallId
from sippy.SipFrom import SipFrom
from sippy.SipTo import SipTo
from sippy.SipURL import SipURL

from sip.crossing import MARKER, passed_on
from sip.endpoint import OutgoingCall
from sip.events import Header, LegAnswered, LegRang, LegRefused
from sip.identity import Identity
from sip.leg_state import Move, State
from sip.message import RawMessage, one_line
from sip.part import Part
from sip.places import Place
from sip.reactor import Sippy
from sip.reliable import ReceivedReliably
from sip.requests import Sent
from sip.wires import ALLOW, MAX_FORKS, RELIABLY, SUPPORTED, body_of, parameter, phrase, raw_header, strip_route

if TYPE_CHECKING:
    from sip.dialog import Leg

_REFUSAL_HEADERS = {"contact", "reason", "retry-after", "warning", "diversion", "error-info"}


class Inviting(Part):
    """The first INVITE of a dialled leg."""

    def __init__(self, leg: "Leg") -> None:
        super().__init__(leg)
        self._call: OutgoingCall | None = None
        self._sent: Sent | None = None
        self._was_cancelled = False
        self.reliable = ReceivedReliably(leg)
        self._strays: set[str] = set()

    def begin(self, call: OutgoingCall) -> None:
        """Begin a leg with an INVITE of ours."""
        leg = self._leg
        leg.state = State.DIALLING
        leg.owns_call_id = True
        leg.identity = Identity(claimed=call.request_user)
        leg.sippy_call_id = SipCallId()
        leg.call_id = str(leg.sippy_call_id)
        host, transport = call.target.bracketed, call.target.transport
        leg.next_hop, leg.transport = (host, call.target.port), transport
        leg.places.add(Place.named(call.target))
        leg.target = SipURL(
            username=call.request_user, host=host, port=call.target.port, transport=parameter(transport)
        )
        leg.remote = SipTo(address=SipAddress(url=SipURL(username=call.request_user, host=host), hadbrace=True))
        own = SipURL(username=call.from_user)
        own.port = own.transport = None
        display = one_line(call.from_display).replace("\\", "").replace('"', "")
        leg.local = SipFrom(address=SipAddress(url=own, hadbrace=True, name=display or None))
        leg.local.setTag(leg.local_tag)
        self._call = call
        leg.offers.local = call.body
        leg.timers.append(leg.wires.reactor.call_later(call.no_reply_s, self._give_up, 408))
        self._send(call)

    def _send(self, call: OutgoingCall) -> None:
        leg = self._leg
        marks = [*call.loop_marks, *([call.loop_mark] if call.loop_mark else [])]
        headers = [*call.headers, *((MARKER, mark) for mark in marks)]
        supported = f"{SUPPORTED}, {RELIABLY}" if call.is_reliable else SUPPORTED
        headers += [("Allow", ALLOW), ("Supported", supported), *leg.session_timer.request_headers]
        request = leg.new_request("INVITE", body=call.body, headers=headers, max_forwards=call.max_forwards)
        self._sent = leg.start(request, self._on_response, is_wanted=self._is_wanted, on_dropped=self._dropped)

    def _on_response(self, response: Sippy, transaction: Sippy) -> None:
        status, reason = response.getSCode()
        self._leg.learn_places(response)
        if status < 200:
            self._on_progress(status, response, transaction)
        elif status < 300:
            self._on_success(response, transaction)
        elif not self._is_sent_again(status, response):
            headers = self._refusal_headers(status)
            strip_route(response)
            self._sent = None
            if self._leg.move(Move.FAILURE) and not self._was_cancelled:
                self._leg.emit(LegRefused(leg=self._leg.id, status=status, phrase=reason, headers=headers))

    def _is_sent_again(self, status: int, response: Sippy) -> bool:
        """Tell whether the INVITE was sent once more, in the way that a refusal asks for."""
        message = self._leg.wires.transactions.current_or_none
        if status != 422 or message is None or not self._is_wanted() or not self._leg.session_timer.refused(message):
            return False
        strip_route(response)
        # The ACK of the refusal leaves when this returns.
        self._leg.wires.reactor.submit(self._send_if_wanted)
        return True

    def _send_if_wanted(self) -> None:
        assert self._call is not None
        if self._is_wanted():
            self._send(self._call)
        else:
            self._dropped()

    def _dropped(self) -> None:
        """Take it that the INVITE was given up before it was sent again: there is nothing to cancel."""
        self._sent = None
        self._leg.move(Move.FAILURE)

    def _is_wanted(self) -> bool:
        return self._leg.state in (State.DIALLING, State.RINGING)

    def _on_progress(self, status: int, response: Sippy, transaction: Sippy) -> None:
        leg = self._leg
        was_first = leg.state is State.DIALLING
        if was_first:
            leg.stop_timers()  # somebody is there
        if leg.state is State.CANCELLING:
            self._send_cancel(transaction)
            return
        call = self._call
        assert call is not None
        ring_s = call.ring_s
        if was_first and ring_s is not None:  # after a 100 too: a proxy may have died since
            leg.timers.append(leg.wires.reactor.call_later(ring_s, self._give_up, 480))
        message = leg.wires.transactions.current
        if status == 100 or not leg.move(Move.PROGRESS):
            return
        if not self.reliable.take(response, message, is_offer_ours=call.body is not None):
            return
        leg.learn_abilities(message)
        leg.offers.remote = body_of(message) or leg.offers.remote
        leg.emit(LegRang(leg=leg.id, status=status, body=body_of(message), headers=passed_on(message)))

    def _on_success(self, response: Sippy, transaction: Sippy) -> None:
        leg = self._leg
        message = leg.wires.transactions.current
        leg.remote_tag = message.tag("to")
        if leg.remote_tag is not None:
            leg.remote.setTag(leg.remote_tag)
        leg.learn_routes(response)
        leg.learn_target(response, is_required=False)
        is_cancelled = leg.state is State.CANCELLING
        if not leg.move(Move.SUCCESS):
            return
        self._sent = None  # there is nothing to cancel any more: a call that stands has some hundred objects fewer
        if is_cancelled:
            leg.wires.transactions.afterwards(lambda: leg.send_bye(leg.parting_reason))
            return
        leg.stop_timers()
        leg.learn_abilities(message)
        leg.session_timer.agreed(message)
        leg.offers.remote = body_of(message) or leg.offers.remote
        if self._call is not None and self._call.body is None and message.body and not leg.offers.is_early_settled:
            transaction.uack = True
            leg.offers.late_answer = transaction
        asserted, leg.identity = leg.identity.answered_by(message)
        event = LegAnswered(leg=leg.id, body=body_of(message), asserted_user=asserted, headers=passed_on(message))
        leg.wires.transactions.afterwards(lambda: leg.emit(event))

    def _give_up(self, status: int) -> None:
        transaction = self._sent.transaction if self._sent is not None else None
        if status == 408 and transaction is not None and transaction.teA is not None:
            # Nobody is there: a retransmission would ring a phone that comes back after we have failed over.
            transaction.teA.cancel()
            transaction.teA = None
        if self.cancel(None):
            self._leg.emit(LegRefused(leg=self._leg.id, status=status, phrase=phrase(status)))

    def cancel(self, reason: str | None) -> bool:
        """Give the INVITE up: CANCEL, as soon as a 1xx allows it. Tells whether there was anything to give up."""
        transaction = self._sent.transaction if self._sent is not None else None
        if not self._leg.move(Move.HANG_UP):
            return False
        self._was_cancelled, self._leg.parting_reason = True, reason
        self._leg.stop_timers()
        if transaction is not None and _has_provisional(transaction):
            self._send_cancel(transaction)
        return True

    def _send_cancel(self, transaction: Sippy) -> None:
        cancel, transaction.cancel = transaction.cancel, None
        if cancel is None:
            return
        if self._leg.parting_reason is not None:
            cancel.appendHeader(raw_header("Reason", self._leg.parting_reason))
        self._leg.wires.transactions.newTransaction(cancel, userv=transaction.userv)

    def stray_success(self, response: Sippy, message: RawMessage) -> bool:
        """Take a 2xx to our INVITE that no transaction waits for: ACK it and end that fork (section 13.2.2.4).

        Answers False for a retransmission of the one we took, which the transactions acknowledge again.
        """
        leg, tag = self._leg, message.tag("to")
        if tag == leg.remote_tag or tag is None:
            return False
        if tag not in self._strays and len(self._strays) >= MAX_FORKS:
            return True
        fork = leg.forked(tag, response, message.cseq)
        ack = fork.new_request("ACK")
        fork.cseq = leg.cseq  # a PRACK of ours may have used the numbers in between
        address, _ = ack.getTarget()
        leg.wires.transactions.transmitMsg(leg.wires.transport.server_for(ack, fork.flow), ack, address, None)
        if tag not in self._strays:
            self._strays.add(tag)
            fork.send_bye(None)
        return True

    def _refusal_headers(self, status: int) -> tuple[Header, ...]:
        message = self._leg.wires.transactions.current_or_none
        if message is None:
            return ()
        wanted = _REFUSAL_HEADERS if status < 400 else _REFUSAL_HEADERS - {"contact"}
        return tuple((name, value) for name, value in message.headers if name.lower() in wanted)


def _has_provisional(transaction: Sippy) -> bool:
    # sippy stops the request's retransmission timer at the first provisional response, and knows its own state.
    return type(transaction.state) is type and transaction.state.__name__ == "RINGING"
