"""Registers us at a PBX or trunk (RFC 3261 section 10): refreshes, retries with back-off, deregisters at the end.

Call thread only. Knows sippy; see `sip.reactor`.
"""

import random
import re
from dataclasses import dataclass

from sippy.SipAddress import SipAddress
from sippy.SipCallId import SipCallId
from sippy.SipFrom import SipFrom
from sippy.SipTo import SipTo
from sippy.SipURL import SipURL

from sip.dialog import Dialog
from sip.endpoint_services import EndpointServices
from sip.events import RegistrationChanged
from sip.message import RawMessage, split_values, strip_quoted
from sip.options import Registrar
from sip.reactor import Cancellable, Sippy

RETRY_S, RETRY_MAX_S = 5.0, 300.0
"""Wait after the first failure, doubled after each further one, and its maximum."""

MAX_LENGTHENED = 8
"""Times in a row that a longer lifetime is requested at once after a 423."""

LONGEST_S = 7 * 24 * 3600
"""Largest Min-Expires that is accepted."""

REFRESH_AT = 0.8
"""Share of the granted lifetime after which we register again."""

_EXPIRES = re.compile(r";\s*expires\s*=\s*\"?(\d{1,9})", re.IGNORECASE)
_SECONDS = re.compile(r"\s*(\d{1,9})\s*(?:[;(].*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationState:
    """State of a registration: ``until_s`` is when it expires, monotonic, or None if we were never registered."""

    status: int | None
    until_s: float | None


class Registration:
    """Keeps one address of record registered."""

    def __init__(self, services: EndpointServices, registrar: Registrar) -> None:
        self.registrar = registrar
        self.state = RegistrationState(status=None, until_s=None)
        self._services = services
        self._expires_s = registrar.expires_s
        self._failures = 0
        self._lengthened = 0
        self._is_closed = False
        self._timer: Cancellable | None = None
        self._dialog = self._new_dialog()
        self._send(self._expires_s)

    @property
    def is_registered(self) -> bool:
        """Tell whether we are registered now."""
        return self.state.until_s is not None and self.state.until_s > self._services.reactor.now_s

    def close(self) -> None:
        """Deregister, without waiting for the answer."""
        self._is_closed = True
        self._stop_timer()
        if self.is_registered:
            self._send(0)

    def _new_dialog(self) -> Dialog:
        registrar, dialog = self.registrar, Dialog(self._services)
        dialog.account = registrar.account
        dialog.sippy_call_id = SipCallId()
        dialog.call_id = str(dialog.sippy_call_id)
        domain = f"[{registrar.domain}]" if ":" in registrar.domain else registrar.domain
        own = SipURL(username=registrar.user, host=domain)
        own.port = own.transport = None
        dialog.local = SipFrom(address=SipAddress(url=own, hadbrace=True))
        dialog.local.setTag(dialog.local_tag)
        dialog.remote = SipTo(address=SipAddress(url=own.getCopy(), hadbrace=True))
        dialog.target = SipURL(host=domain)
        dialog.target.port = None
        dialog.next_hop, dialog.transport = (
            (registrar.address.bracketed, registrar.address.port),
            registrar.address.transport,
        )
        return dialog

    def _send(self, expires_s: int) -> None:
        self._timer = None
        request = self._dialog.new_request("REGISTER", headers=[("Expires", str(expires_s))])
        self._dialog.start(request, self._on_response, is_wanted=lambda: expires_s == 0 or not self._is_closed)

    def _on_response(self, response: Sippy, _transaction: Sippy) -> None:
        status, message = response.getSCode()[0], self._services.transactions.current_or_none
        if status < 200 or self._is_closed:
            return
        if status < 300 and message is not None:
            self._registered(message)
        elif status == 423 and message is not None and self._is_lengthened(message):
            self._timer = self._services.reactor.call_later(0.0, self._send, self._expires_s)
        else:
            self._failed(status, message)

    def _registered(self, message: RawMessage) -> None:
        granted_s = max(1, self._granted_s(message))
        self._failures = self._lengthened = 0
        now_s = self._services.reactor.now_s
        self._tell(RegistrationState(status=200, until_s=now_s + granted_s))
        self._timer = self._services.reactor.call_later(granted_s * REFRESH_AT, self._send, self._expires_s)

    def _granted_s(self, message: RawMessage) -> int:
        """Return the lifetime granted to our Contact, seconds; other Contacts may be registered too."""
        (host, _), _ = self._services.transport.shown(self.registrar.address.transport)
        contacts = [part for value in message.values("contact") for part in split_values(value)]
        for contact in contacts:
            granted = _EXPIRES.search(strip_quoted(contact))
            if granted is not None and f"{self.registrar.user}@{host}" in contact:
                return int(granted.group(1))
        stated = _SECONDS.fullmatch(message.value("expires") or "")
        return int(stated.group(1)) if stated else self._expires_s

    def _is_lengthened(self, message: RawMessage) -> bool:
        """Take a 423 (section 10.3); return whether to ask again with a longer lifetime."""
        least = _SECONDS.fullmatch(message.value("min-expires") or "")
        is_longer = least is not None and self._expires_s < int(least.group(1)) <= LONGEST_S
        if least is None or not is_longer or self._lengthened >= MAX_LENGTHENED:
            return False
        self._expires_s = int(least.group(1))
        self._lengthened += 1
        return True

    def _failed(self, status: int, message: RawMessage | None) -> None:
        asked = _SECONDS.fullmatch((message.value("retry-after") if message is not None else None) or "")
        wait_s = min(RETRY_S * 2**self._failures, RETRY_MAX_S) * random.SystemRandom().uniform(0.9, 1.1)
        if asked is not None:
            wait_s = max(wait_s, min(int(asked.group(1)), RETRY_MAX_S))
        self._failures += 1
        self._tell(RegistrationState(status=status, until_s=self.state.until_s))
        self._timer = self._services.reactor.call_later(wait_s, self._send, self._expires_s)

    def _tell(self, state: RegistrationState) -> None:
        is_news = (state.status, self.state.status) != (200, 200)
        self.state = state
        if is_news:
            name = self.registrar.name
            self._services.emit(
                RegistrationChanged(name=name, is_registered=self.is_registered, status=state.status or 0)
            )

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
