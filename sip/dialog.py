"""The state of a dialog (RFC 3261 section 12): identifiers, target, route set, CSeq; makes and sends its requests.

`sip.leg` builds legs on it. Call thread only. Knows sippy; see `sip.reactor`.
"""

import random
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sippy.SipAddress import SipAddress
from sippy.SipContact import SipContact
from sippy.SipRoute import SipRoute

from sip.authorization import MAX_TRIES, Authorization, is_challenge
from sip.connection import Connection
from sip.digest import Credentials
from sip.endpoint_services import EndpointServices
from sip.events import Body, Header
from sip.message import RawMessage, is_ip
from sip.message_io import parameter, raw_body, raw_header, strip_route
from sip.options import TransportKind
from sip.reactor import Sippy
from sip.signalled_address import SignalledAddress
from sip.stack_message import stack_request

MAX_SIGNALLED = 32
"""Most signalled addresses that are stored of one peer."""

ResponseHook = Callable[[Sippy, Sippy], None]
"""Called with a response and its transaction."""


@dataclass(slots=True)
class SentRequest:
    """A request that was sent; when a challenge is answered, it is sent again in another transaction."""

    request: Sippy
    on_response: ResponseHook | None
    is_wanted: Callable[[], bool]
    on_dropped: Callable[[], None] | None
    transaction: Sippy = None
    has_account: bool = False
    tries: int = 0


class Dialog:
    """The state of one dialog.

    Attributes:
        services: Of the endpoint.
        call_id: The Call-ID.
        local_tag: Our tag.
        remote_tag: The peer's tag, or None until it has sent one.
        local: Our From.
        remote: Our To.
        sippy_call_id: The Call-ID as sippy has it.
        cseq: Number of our next request.
        remote_cseq: Number of the peer's last request, or None.
        target: The peer's Contact, or where we dial.
        next_hop: Where our first request goes, whatever its URI.
        routes: The route set, the nearest first.
        signalled: Addresses of the peer: those that its messages came from, or named.
        is_recorder: A recording session; our Contact says that we are its server (RFC 7866 section 6.2).
        heard: Number of the peer's requests inside the dialog, with the ACKs of its INVITEs.
        allows: Methods of the peer's Allow, in capitals; empty if it sent none.
        transport: Of the peer's messages; the meaning of a URI without a transport.
        flow: The connection of the last message, or None.
        authorization: Answers the peer's challenges.
        account: Our account, if it is not that of the address a request goes to.
    """

    def __init__(self, services: EndpointServices) -> None:
        self.services = services
        self.call_id = ""
        self.local_tag = secrets.token_hex(8)
        self.remote_tag: str | None = None
        self.local: Sippy = None
        self.remote: Sippy = None
        self.sippy_call_id: Sippy = None
        self.cseq = random.SystemRandom().randrange(1, 1 << 16)
        self.remote_cseq: int | None = None
        self.target: Sippy = None
        self.next_hop: tuple[str, int] | None = None
        self.routes: list[Sippy] = []
        self.signalled: set[SignalledAddress] = set()
        self.is_recorder = False
        self.heard = 0
        self.allows: frozenset[str] = frozenset()
        self.transport = TransportKind.UDP
        self.flow: Connection | None = None
        self.authorization = Authorization()
        self.account: Credentials | None = None

    def contact(self) -> Sippy:
        """Return our Contact."""
        contact = SipContact()
        contact.getUri().name = None
        contact.getUrl().username = self.local.getUrl().username
        if self.is_recorder:
            contact.getUri().setParam("+sip.srs")
        return contact

    def learn_target(self, message: Sippy, *, is_required: bool = True) -> None:
        """Set the target of our next requests to the peer's Contact (RFC 3261 section 12.2).

        If there is no route set, a host name in the Contact (``phone.invalid``, ``phone.local``) is replaced by the
        source address of the message: it rarely resolves. The message is changed too, since sippy sends the ACK by it.

        Raises:
            ValueError: A Contact is required and there is none.
        """
        self.learn_signalled(message)
        if message.countHFs("contact") == 0 or message.getHFBody("contact").asterisk:
            if is_required:
                raise ValueError("no Contact")
            return
        url = message.getHFBody("contact").getUrl()
        source = self.services.transactions.source
        self.transport, self.flow = source.transport, self.services.transactions.flow
        is_address = isinstance(url.host, str) and is_ip(url.host)  # of a tel URI sippy makes our own address
        if not self.routes and message.countHFs("record-route") == 0 and not is_address:
            url.host, url.port, url.transport = source.bracketed, source.port, parameter(source.transport)
        self.target = url.getCopy()
        self.changed()

    def changed(self) -> None:
        """Take note that the next request would be another one, or go elsewhere; a leg's dialog has it kept."""

    def learn_signalled(self, message: Sippy) -> None:
        """Add the peer's addresses in a message; in-dialog requests from elsewhere are refused (`sip.limits`)."""
        current = self.services.transactions.current_or_none
        if current is None or len(self.signalled) >= MAX_SIGNALLED:
            return
        source = self.services.transactions.source
        self.signalled.add(SignalledAddress.seen(current, source, self.signalled))
        urls = [route.getUrl() for route in message.getHFBodys("record-route")]
        contacts = message.getHFBodys("contact")
        if len(contacts) == 1 and not contacts[0].asterisk:
            urls.append(contacts[0].getUrl())
        for url in urls:
            host = url.host.strip("[]") if isinstance(url.host, str) else ""
            for kind in self._kinds_of(url, source.transport) if is_ip(host) else ():
                self.signalled.add(SignalledAddress.at(host, url.port or kind.default_port, kind))

    def _kinds_of(self, url: Sippy, seen: TransportKind) -> set[TransportKind]:
        """Return the transports that the host of a URI may use, in a message that came over ``seen``.

        A message may come over TCP only because it is large, and the next one over UDP (RFC 3261 section 18.1.1).
        """
        kinds = {self.services.transport.kind_of(url, seen)}
        is_open = url.transport is None and url.scheme != "sips" and seen is TransportKind.TCP
        return kinds | {TransportKind.UDP} if is_open else kinds

    def learn_abilities(self, message: RawMessage) -> None:
        """Store the methods of a message's Allow header."""
        if message.value("allow") is not None:
            self.allows = frozenset(tag.upper() for tag in message.option_tags("allow"))

    def learn_routes(self, response: Sippy) -> None:
        """Set the route set from a response to our INVITE (RFC 3261 section 12.1.2)."""
        self.routes = [route.getCopy() for route in reversed(response.getHFBodys("record-route"))]
        self.changed()

    def new_request(
        self,
        method: str,
        *,
        body: Body | None = None,
        headers: Sequence[Header] = (),
        max_forwards: int = 70,
    ) -> Sippy:
        """Return the next request of this dialog, routed by its route set (RFC 3261 section 12.2.1.1)."""
        routes, target = [route.getCopy() for route in self.routes], self.target.getCopy()
        if routes and not routes[0].getUrl().lr:
            routes.append(SipRoute(address=SipAddress(url=target)))
            target = routes.pop(0).getUrl()
            hop = self._hop(target)
        elif routes:
            hop = self._hop(routes[0].getUrl())
        elif self.remote_tag is None and self.next_hop is not None:
            hop = self.next_hop, self.transport
        else:
            hop = self._hop(target)
        request = stack_request(
            method,
            target,
            to=self.remote.getCopy(),
            origin=self.local.getCopy(),
            cseq=self.cseq,
            call_id=self.sippy_call_id.getCopy(),
            contact=self.contact() if method in ("INVITE", "UPDATE", "NOTIFY", "REGISTER") else None,
            routes=routes,
            hop=hop,
            user_agent=self.services.user_agent,
            max_forwards=max_forwards,
        )
        request.setBody(raw_body(body))
        request.appendHeaders([raw_header(name, value) for name, value in headers])
        self.cseq += 1
        self.changed()
        return request

    def _hop(self, url: Sippy) -> tuple[tuple[str, int], TransportKind]:
        """Return the host, port and transport of a URI."""
        transport = self.services.transport.kind_of(url, self.transport)
        return (url.host, url.port or transport.default_port), transport

    def start(
        self,
        request: Sippy,
        on_response: ResponseHook | None,
        *,
        is_wanted: Callable[[], bool] = lambda: True,
        on_dropped: Callable[[], None] | None = None,
    ) -> SentRequest:
        """Send a request and retransmit it until it is answered; after a challenge it is sent again with credentials.

        Args:
            request: Made by `new_request`.
            on_response: Called with each response and its transaction, except for a challenge that is answered.
            is_wanted: Asked before the request is sent again: it may have been cancelled meanwhile.
            on_dropped: Called if it was cancelled.
        """
        sent = SentRequest(request, on_response, is_wanted, on_dropped)
        self._transmit(sent)
        return sent

    def _transmit(self, sent: SentRequest) -> None:
        request, transactions = sent.request, self.services.transactions
        address = request.getTarget()[0]
        account = self.account or self.services.account_of(address[0].strip("[]"))
        uri = request.getSL().split(" ")[1] if account is not None else ""
        self.authorization.sign(request, uri, account)
        sent.has_account = account is not None
        sent.transaction = transactions.newTransaction(
            request,
            resp_cb=lambda response, transaction: self._take_response(sent, response, transaction),
            cb_ifver=2,
            userv=self.services.transport.server_for(request, self.flow),
        )
        if request.getMethod() == "INVITE":  # the ACK of a 2xx has the same credentials (RFC 3261 section 22.1)
            signed = [h for h in request.headers if h.name in ("authorization", "proxy-authorization")]
            sent.transaction.ack.appendHeaders(signed)

    def _take_response(self, sent: SentRequest, response: Sippy, transaction: Sippy) -> None:
        status, message = response.getSCode()[0], self.services.transactions.current_or_none
        may_answer = sent.has_account and sent.tries < MAX_TRIES and message is not None and sent.is_wanted()
        if is_challenge(status) and may_answer and message is not None and self.authorization.take(status, message):
            strip_route(response)
            # The ACK of the challenge is sent when this returns.
            self.services.reactor.submit(self._answer_challenge, sent)
        elif sent.on_response is not None:
            sent.on_response(response, transaction)

    def _answer_challenge(self, sent: SentRequest) -> None:
        if not sent.is_wanted():
            if sent.on_dropped is not None:
                sent.on_dropped()
            return
        sent.tries += 1
        sent.request.getHFBody("cseq").cseq = self.cseq
        self.cseq += 1
        self.changed()
        sent.request.getHFBody("via").genBranch()
        self._transmit(sent)

    def send_bye(self, reason: str | None) -> None:
        """Send BYE; its answer is ignored."""
        self.start(self.new_request("BYE", headers=[("Reason", reason)] if reason else []), None)

    def respond(self, request: Sippy, transaction: Sippy, status: int, **more: Sippy) -> None:
        """Answer a request inside the dialog."""
        tag = None if request.getHFBody("to").getTag() else self.local_tag
        self.services.respond(request, transaction, status, tag=tag, **more)

    def forked(self, tag: str, response: Sippy, cseq: int) -> "Dialog":
        """Return the dialog that the 2xx of another fork of our INVITE made; ``cseq`` is the INVITE's."""
        fork = Dialog(self.services)
        fork.local_tag, fork.remote_tag, fork.call_id = self.local_tag, tag, self.call_id
        fork.sippy_call_id, fork.cseq = self.sippy_call_id, cseq
        fork.local, fork.remote = self.local.getCopy(), self.remote.getCopy()
        fork.remote.setTag(tag)
        fork.target, fork.next_hop, fork.transport = self.target, self.next_hop, self.transport
        fork.learn_routes(response)
        fork.learn_target(response, is_required=False)
        return fork
