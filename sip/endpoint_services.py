"""What an endpoint lends to what it is made of: transport, clock, accounts, and the way to the application.

Call thread only. Knows sippy; see `sip.reactor`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sippy.SipHeader import SipHeader

from sip.digest import Credentials
from sip.events import Body, Header, LegId, SipEvent
from sip.message import one_line
from sip.message_io import phrase, raw_body, raw_header
from sip.options import Address
from sip.reactor import Reactor, Sippy
from sip.transfer import Replaces
from sip.transport import Transport


@dataclass(frozen=True, slots=True)
class SessionRule:
    """What we want of session timers: life we propose (None: nothing), and the shortest that we take; seconds."""

    expires_s: int | None
    least_s: int


@dataclass(slots=True)
class EndpointServices:
    """What the endpoint lends to its dialogs, its registrations and its watch."""

    transport: Transport
    reactor: Reactor
    user_agent: str
    session: SessionRule
    known: frozenset[str]
    """Option tags that a request may require."""
    account_of: Callable[[str], Credentials | None]
    """Our account at the peer with an address, for its challenges."""
    emit: Callable[[SipEvent], None]
    find: Callable[[Replaces], LegId | None]
    """Finds the leg that is a dialog of ours."""

    @property
    def source(self) -> Address:
        """Return where the message that is being looked at came from."""
        source: Address = self.transactions.source
        return source

    @property
    def transactions(self) -> Sippy:
        """Return the transactions."""
        return self.transport.transactions

    def respond(
        self,
        request: Sippy,
        transaction: Sippy,
        status: int,
        *,
        reason: str | None = None,
        tag: str | None = None,
        body: Body | None = None,
        headers: Sequence[Header] = (),
        contact: Sippy = None,
        ack_cb: Callable[[Sippy], None] | None = None,
    ) -> None:
        """Send a response to a request."""
        response = request.genResponse(
            status, one_line(reason or phrase(status)), raw_body(body), server=self.user_agent
        )
        if tag is not None and status > 100:
            response.getHFBody("to").setTag(tag)
        if contact is not None:
            response.appendHeader(SipHeader(name="contact", body=contact))
        response.appendHeaders([raw_header(name, value) for name, value in headers])
        self.transactions.sendResponse(response, transaction, ack_cb=ack_cb)
