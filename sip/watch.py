"""Watches targets by OPTIONS (RFC 3261 section 11), so that a dead one is known before a call is sent there.

Call thread only. Knows sippy; see `sip.reactor`.
"""

import random
import secrets

from sippy.SipAddress import SipAddress
from sippy.SipCallId import SipCallId
from sippy.SipFrom import SipFrom
from sippy.SipRequest import SipRequest
from sippy.SipTo import SipTo
from sippy.SipURL import SipURL

from sip.endpoint_services import EndpointServices
from sip.events import TargetChanged
from sip.message_io import parameter
from sip.options import Address
from sip.reactor import Cancellable, Sippy

PATIENCE_S = 1.0
"""A probe without an answer for this long is missed; fail-over needs to know within 2 s."""

MISSES = 2
"""Missed probes in a row after which a target is dead."""


class _Target:
    def __init__(self, watch: "Watch", address: Address) -> None:
        self._watch = watch
        self._address = address
        self._is_alive = True
        self._misses = 0
        self._probe = 0
        self._transaction: Sippy = None
        self._timer: Cancellable | None = None
        self._send()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._probe = -1
        self._abandon()

    def _send(self) -> None:
        self._probe += 1
        self._timer = self._watch.services.reactor.call_later(min(PATIENCE_S, self._watch.every_s), self._missed)
        probe = self._probe
        self._transaction = self._watch.services.transactions.newTransaction(
            self._watch.options_request(self._address),
            resp_cb=lambda response, _transaction: self._on_response(response, probe),
            cb_ifver=2,
        )

    def _on_response(self, response: Sippy, probe: int) -> None:
        status = response.getSCode()[0]
        if probe != self._probe or status < 200:
            return
        if status in (408, 503):
            return  # a proxy answers for a dead target, or the target is overloaded: a miss
        assert self._timer is not None
        self._timer.cancel()
        self._transaction = None
        self._misses = 0
        self._set_alive(True)
        self._timer = self._watch.services.reactor.call_later(self._watch.every_s, self._send)

    def _missed(self) -> None:
        self._abandon()
        self._misses += 1
        if self._misses >= MISSES:
            self._set_alive(False)
        if self._is_alive:
            self._send()
        else:
            self._timer = self._watch.services.reactor.call_later(self._watch.every_s, self._send)

    def _abandon(self) -> None:
        transaction, self._transaction = self._transaction, None
        if transaction is not None and getattr(transaction, "teA", None) is not None:
            transaction.teA.cancel()
            transaction.teA = None

    def _set_alive(self, is_alive: bool) -> None:
        if is_alive != self._is_alive:
            self._is_alive = is_alive
            self._watch.services.emit(TargetChanged(target=self._address, is_alive=is_alive))


class Watch:
    """All watched targets of an endpoint."""

    def __init__(self, services: EndpointServices, every_s: float) -> None:
        self.services = services
        self.every_s = every_s
        self._targets: dict[Address, _Target] = {}

    def add(self, address: Address) -> None:
        """Begin to watch a target; it is presumed alive. Adding it again changes nothing."""
        if address not in self._targets:
            self._targets[address] = _Target(self, address)

    def close(self) -> None:
        """Stop watching."""
        for target in self._targets.values():
            target.close()
        self._targets.clear()

    def options_request(self, address: Address) -> Sippy:
        """Return an OPTIONS outside any dialog."""
        host, transport = address.bracketed, parameter(address.transport)
        own = SipURL(username="ping")
        own.port = own.transport = None
        origin = SipFrom(address=SipAddress(url=own, hadbrace=True))
        origin.setTag(secrets.token_hex(8))
        return SipRequest(
            method="OPTIONS",
            ruri=SipURL(host=host, port=address.port, transport=transport),
            to=SipTo(address=SipAddress(url=SipURL(host=host), hadbrace=True)),
            fr0m=origin,
            cseq=random.SystemRandom().randrange(1, 1 << 16),
            callid=SipCallId(),
            target=((host, address.port), address.transport),
            user_agent=self.services.user_agent,
        )
