"""Passes each request to its leg or to a new leg, or answers it (RFC 3261 section 8.2).

Call thread only. Knows sippy; see `sip.reactor`.
"""

import logging
import re
from collections.abc import Callable, Sequence

from sip.endpoint_services import EndpointServices
from sip.events import CallOffered, Header, LegId
from sip.header_policy import MARKER, passed_on
from sip.identity import asserted_user, asserted_users
from sip.leg_register import LegRegister
from sip.leg_state import LegState
from sip.limits import DialogMatch
from sip.message import RawMessage, display_name, is_ambiguous_user, strip_quoted, user_part
from sip.message_io import ALLOW, RECORDING_TYPES, SIPREC, SUPPORTED, body_of
from sip.options import Address, SipOptions
from sip.reactor import Sippy
from sip.session_expires import is_too_short
from sip.transfer import TransferError, replaces_of

_log = logging.getLogger(__name__)

_IN_DIALOG = {"BYE", "INFO", "UPDATE", "PRACK", "INVITE", "NOTIFY", "REFER"}
_SRC = re.compile(r"[;>]\s*\+sip\.src\b", re.IGNORECASE)


class UasCore:
    """The server side of the endpoint outside legs.

    Attributes:
        services: Of the endpoint; set before the first message is handled.
        refusal: Is given the source of OPTIONS outside a dialog; returns the headers with which they are answered 503,
            so that the peer sends calls elsewhere, or None if they are answered 200.
    """

    services: EndpointServices

    def __init__(self, options: SipOptions, legs: LegRegister) -> None:
        self._options = options
        self._legs = legs
        self.refusal: Callable[[Address], Sequence[Header] | None] = lambda _source: None

    def match(self, message: RawMessage, source: Address) -> DialogMatch:
        """Return whether a message belongs to an existing dialog: by its tags, and by coming from the dialog's peer."""
        if message.status is not None:
            return DialogMatch.NEW if self._legs.of_response(message) is None else DialogMatch.KNOWN
        leg = self._legs.of_request(message)
        if leg is None:
            return DialogMatch.NEW
        if message.method == "INVITE" and message.tag("to") is None:
            return DialogMatch.KNOWN  # a retransmission, or the same by another path, which is answered 482
        may_act = self.services.transport.peers.may_act(source, message.method, leg.dialog.signalled)
        return DialogMatch.KNOWN if may_act else DialogMatch.FOREIGN

    def on_request(self, request: Sippy, transaction: Sippy, message: RawMessage, source: Address) -> Sippy:
        """Take a request; return what sippy expects of a request hook."""
        local_tag = message.tag("to")
        leg = self._legs.of_request(message)
        if leg is not None and local_tag is not None:
            return leg.on_request(request, transaction, message)
        if message.method == "INVITE" and local_tag is None:
            return self._on_invite(request, transaction, message, source)
        self._answer_outside(request, transaction, message, source)
        return None

    def on_stray_success(self, response: Sippy, message: RawMessage) -> bool:
        """Take a 2xx to our INVITE that matches no transaction; return whether it was handled."""
        leg = self._legs.of_response(message)
        return leg is not None and leg.inviting.stray_success(response, message)

    def _answer_outside(self, request: Sippy, transaction: Sippy, message: RawMessage, source: Address) -> None:
        respond, local_tag = self.services.respond, message.tag("to")
        unsupported = self._unsupported(message)
        if unsupported:
            respond(request, transaction, 420, headers=[("Unsupported", ", ".join(unsupported))])
        elif message.method == "OPTIONS" and (refusal := self.refusal(source)) is not None:
            respond(request, transaction, 503, headers=refusal)
        elif message.method == "OPTIONS":
            headers = [("Allow", ALLOW), ("Accept", "application/sdp"), ("Supported", SUPPORTED)]
            if self._options.is_recording_server:
                headers = [("Allow", ALLOW), ("Accept", RECORDING_TYPES), ("Supported", f"{SUPPORTED}, {SIPREC}")]
            respond(request, transaction, 200, headers=headers)
        elif message.method in _IN_DIALOG and (local_tag is not None or message.method == "BYE"):
            respond(request, transaction, 481)
        else:
            respond(request, transaction, 405, headers=[("Allow", ALLOW)])

    def _on_invite(self, request: Sippy, transaction: Sippy, message: RawMessage, source: Address) -> Sippy:
        known = self._legs.of_invite(message)
        if known is not None:
            if known.invited.invite.key[2] != message.branch:
                # The same request by another path (RFC 3261 section 8.2.2.2).
                self.services.respond(request, transaction, 482)
            return None
        refusal, replaced = self._refusal(message), None
        if refusal is None:
            refusal, replaced = self._replaced(message)
        if refusal is not None:
            status, headers = refusal
            self.services.respond(request, transaction, status, headers=headers)
            return None, None, None
        leg = self._legs.make(self.services)
        try:
            hook = leg.invited.begin(request, transaction, message)
        except Exception as error:  # noqa: BLE001 - sippy's parsers may raise anything for a peer's header
            _log.debug("unusable INVITE: %s", type(error).__name__)
            self.services.respond(request, transaction, 400)
            return None, None, None
        self._legs.add_offered(leg)
        self.services.emit(_offered(leg.dialog.id, message, source, replaced))
        return hook

    def _refusal(self, message: RawMessage) -> tuple[int, list[Header]] | None:
        if message.start_line.split(" ")[1].lower().startswith("sips:"):
            # sips requires TLS on every hop to the phone; we cannot promise that for the PBX behind us.
            return 416, []
        if is_ambiguous_user(message.start_line.split(" ")[1]):
            return 404, []
        hops = _max_forwards(message)
        if hops <= 0:
            return 483, []
        unsupported = self._unsupported(message)
        if unsupported:
            return 420, [("Unsupported", ", ".join(unsupported))]
        if message.tag("from") is None:
            return 400, []
        if is_too_short(message, self._options.min_session_s):
            return 422, [("Min-SE", str(self._options.min_session_s))]
        return None

    def _unsupported(self, message: RawMessage) -> list[str]:
        return [tag for tag in message.option_tags("require") if tag not in self.services.known]

    def _replaced(self, message: RawMessage) -> tuple[tuple[int, list[Header]] | None, LegId | None]:
        """Return the refusal of an INVITE with Replaces, or the leg that it names (RFC 3891 section 3)."""
        try:
            replaces = replaces_of(message)
        except TransferError as error:
            return (error.status, []), None
        if replaces is None:
            return None, None
        leg = self._legs.named_by(replaces)
        if leg is None:
            return (481, []), None
        if leg.dialog.state is LegState.ENDED:
            return (603, []), None
        if leg.dialog.state not in (LegState.CONNECTED, LegState.CONFIRMING):
            return (481, []), None
        return ((486, []), None) if replaces.is_early_only else (None, leg.dialog.id)


def _offered(leg: LegId, message: RawMessage, source: Address, replaced: LegId | None) -> CallOffered:
    origin = message.value("from") or ""
    return CallOffered(
        leg=leg,
        source=source,
        request_user=user_part(message.start_line.split(" ")[1]),
        to_user=user_part(message.value("to") or ""),
        from_user=user_part(origin),
        from_display=display_name(origin),
        asserted_user=asserted_user(message) or None,
        asserted_users=asserted_users(message),
        sip_call_id=message.call_id,
        headers=passed_on(message),
        max_forwards=_max_forwards(message),
        loop_marks=message.values(MARKER),
        body=body_of(message),
        required=message.option_tags("require"),
        supported=message.option_tags("supported"),
        is_recording_client=any(_SRC.search(strip_quoted(contact)) for contact in message.values("contact")),
        origin=origin,
        session_id=(message.value("session-id") or "").split(";", 1)[0].strip(),
        replaced_leg=replaced,
    )


def _max_forwards(message: RawMessage) -> int:
    value = message.value("max-forwards")
    return int(value) if value is not None and value.isascii() and value.isdigit() else 70
