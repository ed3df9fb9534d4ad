"""Services that the parts of an endpoint share: transport, clock, accounts, and the emitter of events.

Call thread only. Knows sippy; see `sip.reactor`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

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
    """Session intervals in seconds (RFC 4028): the one we propose (None: none), and the shortest that we accept."""

    expires_s: int | None
    least_s: int


class DialogKeeper(Protocol):
    """Keeps what the next process needs to end the dialogs of this one (`sip.left_dialogs`); must not block."""

    def keep(self, leg: LegId, kept: Mapping[str, Any]) -> None:
        """Keep a dialog in place of what was kept of it before."""

    def forget(self, leg: LegId) -> None:
        """Forget a dialog that has ended."""


@dataclass(slots=True)
class EndpointServices:
    """Shared by the dialogs, registrations and the watch of one endpoint."""

    transport: Transport
    reactor: Reactor
    user_agent: str
    session: SessionRule
    known: frozenset[str]
    """Option tags that a request may require."""
    account_of: Callable[[str], Credentials | None]
    """Returns our account at the peer with an address, for its challenges."""
    emit: Callable[[SipEvent], None]
    find: Callable[[Replaces], LegId | None]
    """Returns the leg whose dialog a Replaces names."""
    keeper: DialogKeeper | None = None
    """Keeps established dialogs, or None."""

    @property
    def source(self) -> Address:
        """The source of the message in processing."""
        source: Address = self.transactions.source
        return source

    @property
    def transactions(self) -> Sippy:
        """The transactions of sippy."""
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
