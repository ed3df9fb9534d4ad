"""Dialogs that an earlier process left: kept as plain values while they last, and ended by BYE (RFC 3261 section 15).

A process that is killed says nothing to the two phones of a call, which would hear silence until they hang up. What a
BYE needs is handed to a keeper whenever it changes, and the next process sends it. Call thread only. Knows sippy; see
`sip.reactor`.
"""

import logging
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from sippy.SipCallId import SipCallId
from sippy.SipFrom import SipFrom
from sippy.SipRoute import SipRoute
from sippy.SipTo import SipTo

from sip.dialog import Dialog
from sip.endpoint_services import EndpointServices
from sip.options import TransportKind
from sip.reactor import Sippy
from sip.stack_addresses import parse_url

_log = logging.getLogger(__name__)

AT_ONCE = 20
"""How many are ended in one go: the peers, and new calls, have a turn in between."""
EVERY_S = 0.1
_FINAL = 200
_UNANSWERED = 408

KeptDialog = Mapping[str, Any]
"""What a request in a dialog needs, JSON-able."""


def kept_of(dialog: Dialog) -> KeptDialog:
    """Return what a BYE in an established dialog needs."""
    own = dialog.services.transport.shown(dialog.transport.value)
    return {
        "call_id": dialog.call_id,
        "local_tag": dialog.local_tag,
        "remote_tag": dialog.remote_tag,
        "local": dialog.local.localStr(own),
        "remote": dialog.remote.localStr(own),
        "cseq": dialog.cseq,
        "target": dialog.target.localStr(own),
        "routes": [route.localStr(own) for route in dialog.routes],
        "transport": dialog.transport.value,
    }


def restored(services: EndpointServices, kept: KeptDialog) -> Dialog:
    """Return the dialog of kept values, for a request that ends it. Accounts are found by the peer's address.

    Raises:
        Exception: The values are none that `kept_of` returns, or sippy's parsers cannot read them.
    """
    dialog = Dialog(services)
    dialog.call_id, dialog.sippy_call_id = kept["call_id"], SipCallId(body=kept["call_id"])
    dialog.local_tag, dialog.remote_tag = kept["local_tag"], kept["remote_tag"]
    dialog.local, dialog.remote = _parsed(SipFrom, kept["local"]), _parsed(SipTo, kept["remote"])
    dialog.cseq = int(kept["cseq"])
    dialog.target = parse_url(kept["target"])
    dialog.routes = [_parsed(SipRoute, route) for route in kept["routes"]]
    dialog.transport = TransportKind(kept["transport"])
    return dialog


def _parsed(kind: Sippy, text: str) -> Sippy:
    field = kind(body=text)
    field.parse()
    return field


class LeftDialogs:
    """Ends dialogs that an earlier process left.

    Args:
        services: Of the endpoint.
        reason: Value of Reason in each BYE (RFC 3326).
        when_ended: Called with the key of each dialog whose BYE was answered, or was not until timer F.
    """

    def __init__(self, services: EndpointServices, reason: str, when_ended: Callable[[str], object]) -> None:
        self._services, self._reason, self._when_ended = services, reason, when_ended
        self._waiting: deque[tuple[str, KeptDialog]] = deque()

    def hang_up(self, left: Mapping[str, KeptDialog]) -> None:
        """Begin to send a BYE in each dialog; keys are the caller's."""
        self._waiting.extend(left.items())
        self._go_on()

    def _go_on(self) -> None:
        for _ in range(min(AT_ONCE, len(self._waiting))):
            self._send_bye(*self._waiting.popleft())
        if self._waiting:
            self._services.reactor.call_later(EVERY_S, self._go_on)

    def _send_bye(self, key: str, kept: KeptDialog) -> None:
        def on_response(response: Sippy, _transaction: Sippy) -> None:
            status = response.getSCode()[0]
            if status >= _FINAL:
                if status == _UNANSWERED:
                    _log.warning("a phone did not answer the BYE of a call that an earlier daemon left")
                self._when_ended(key)

        try:
            dialog = restored(self._services, kept)
            dialog.start(dialog.new_request("BYE", headers=[("Reason", self._reason)]), on_response)
        except Exception as error:  # noqa: BLE001 - sippy's parsers may raise anything, and the other calls count
            _log.error("a call that an earlier daemon left cannot be ended: %s", type(error).__name__)
            self._when_ended(key)
