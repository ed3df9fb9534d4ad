"""The endpoint: every leg of the daemon, over UDP, TCP and TLS (`sip.endpoint.Endpoint`). Call thread only.

Finds the leg a message belongs to, makes legs for new INVITEs, answers what belongs to none, and watches targets.
What happens inside a leg is `sip.leg`'s. Knows sippy; see `sip.reactor`.
"""

import itertools
import logging
import re
from collections.abc import Collection, Sequence
from datetime import datetime

from sip.endpoint import OutgoingCall
from sip.endpoint_services import EndpointServices, SessionRule
from sip.events import Body, CallOffered, Header, LegId, Listener, SipEvent, SourceMisbehaved
from sip.header_policy import MARKER, passed_on
from sip.identity import asserted_user
from sip.leg import Leg
from sip.leg_state import State
from sip.limits import DialogMatch
from sip.message import RawMessage, display_name, strip_quoted, user_part
from sip.message_io import ALLOW, RECORDING_TYPES, RELIABLY, SIPREC, SUPPORTED, body_of
from sip.options import Address, Registrar, SipOptions, TransportKind
from sip.reactor import Reactor, Sippy, guarded
from sip.registration import Registration
from sip.session_expires import is_too_short
from sip.transfer import Replaces, TransferError, replaces_of
from sip.transport import Transport
from sip.watch import Watch

_log = logging.getLogger(__name__)

LINGER_S = 33.0
"""An ended leg still answers for this long (64 * T1, RFC 3261 section 17): late 2xx, BYE, retransmissions. A second
more, so that what waits for the ACK of its last response, for as long, does not come after the leg is gone."""

_IN_DIALOG = {"BYE", "INFO", "UPDATE", "PRACK", "INVITE", "NOTIFY", "REFER"}
_SUPPORTED = frozenset({"timer", "replaces", "norefersub", RELIABLY})
_SRC = re.compile(r"[;>]\s*\+sip\.src\b", re.IGNORECASE)


class SipEndpoint:
    """The real `sip.endpoint.Endpoint`."""

    def __init__(self, options: SipOptions, listener: Listener, reactor: Reactor) -> None:
        """Bind the sockets and begin to listen.

        Args:
            options: Address, trusted networks, names.
            listener: Called with each event on the call thread; what it raises is logged.
            reactor: The call loop; the application runs it.

        Raises:
            OSError: An address cannot be bound.
            ValueError: A trusted network is no CIDR.
            TlsFilesError: Certificate, key or authorities cannot be used.
        """
        self._listener = listener
        self._reactor = reactor
        self._options = options
        self._ids = itertools.count(1)
        self._legs: dict[LegId, Leg] = {}
        self._lingering: dict[LegId, Leg] = {}
        self._dialogs: dict[tuple[str, str], Leg] = {}
        self._invites: dict[tuple[str, str | None], Leg] = {}
        self._transport = Transport(
            options,
            self._on_request,
            self._on_stray_success,
            match=self._match,
            on_report=lambda kind, source: self._emit(SourceMisbehaved(kind=kind, source=source)),
        )
        session = SessionRule(options.session_expires_s, options.min_session_s)
        known = _SUPPORTED | ({SIPREC} if options.is_recording_server else frozenset())
        self._services = EndpointServices(
            transport=self._transport,
            reactor=reactor,
            user_agent=options.user_agent,
            session=session,
            known=known,
            account_of=options.account_of,
            emit=self._emit,
            find=self._find,
        )
        self._registrations: list[Registration] = []
        self._watch = Watch(self._services, options.watch_every_s)

    @property
    def address(self) -> Address:
        """The UDP address bound, with its real port."""
        return self._transport.address

    @property
    def addresses(self) -> dict[TransportKind, Address]:
        """Every address bound, with its real port."""
        return self._transport.addresses

    @property
    def connections(self) -> int:
        """How many TCP and TLS connections there are."""
        return self._transport.streams.connections if self._transport.streams is not None else 0

    @property
    def certificate_expires_at(self) -> datetime | None:
        """When our certificate ends, or None without TLS."""
        contexts = self._transport.streams.contexts if self._transport.streams is not None else None
        return contexts.expires_at if contexts is not None else None

    def renew_certificates(self) -> None:
        """Read the files of TLS again; from any thread. Connections that stand keep what they were made with.

        Raises:
            TlsFilesError: They cannot be used; everything stays as it was.
        """
        if self._transport.streams is not None:
            self._transport.streams.renew()

    @property
    def counters(self) -> dict[str, int]:
        """What went no further, by reason, and requests too large for UDP.

        ``untrusted``, ``without_tls``, ``malformed``, ``overload``, ``keepalive``, ``rate_limited``, ``foreign``,
        ``stray``, ``unsendable`` (to where no datagram of ours can go); of connections ``too_many``, ``tls_failed``,
        ``too_slow``, ``stuck``, ``unreachable``, ``no_transport``; ``large`` (went out in fragments),
        ``large_over_tcp``. ``mended`` went further: a Route or Contact of theirs had to be put right first.
        """
        return self._transport.all_counters

    # -- commands (sip.endpoint.Endpoint describes them)

    def ring(self, leg: LegId, *, status: int = 180, body: Body | None = None, headers: Sequence[Header] = ()) -> None:
        """Send a provisional response to an offered leg."""
        if found := self._legs.get(leg):
            found.invited.ring(status, body, headers)

    def answer(
        self, leg: LegId, body: Body | None, *, is_recorder: bool = False, headers: Sequence[Header] = ()
    ) -> None:
        """Send 200 to an offered leg."""
        if found := self._legs.get(leg):
            found.dialog.is_recorder = is_recorder
            found.invited.answer(body, headers)

    def refuse(self, leg: LegId, status: int, phrase: str, *, headers: Sequence[Header] = ()) -> None:
        """Send a final non-2xx response to an offered leg."""
        if found := self._legs.get(leg):
            found.invited.refuse(status, phrase, headers)

    def dial(self, call: OutgoingCall) -> LegId:
        """Send an INVITE."""
        leg = Leg(LegId(next(self._ids)), self._services, self._forget)
        leg.inviting.begin(call)
        self._register(leg)
        return leg.dialog.id

    def hang_up(self, leg: LegId, *, reason: str | None = None) -> None:
        """End a leg with what fits its state."""
        if found := self._legs.get(leg):
            found.hang_up(reason)

    def offer(self, leg: LegId, body: Body | None) -> None:
        """Send a re-INVITE."""
        if found := self._legs.get(leg):
            found.offers.offer(body)

    def answer_offer(self, leg: LegId, body: Body | None) -> None:
        """Answer the offer that is open on the leg."""
        if found := self._legs.get(leg):
            found.offers.answer(body)

    def refuse_offer(self, leg: LegId, status: int = 488) -> None:
        """Refuse the offer that is open on the leg."""
        if found := self._legs.get(leg):
            found.offers.refuse(status)

    def send_info(self, leg: LegId, body: Body) -> None:
        """Send an INFO."""
        if found := self._legs.get(leg):
            found.send_info(body)

    def probe(self, leg: LegId) -> None:
        """Ask whether the peer still knows the leg."""
        if found := self._legs.get(leg):
            found.dialog.probe()

    def accept_refer(self, leg: LegId) -> None:
        """Answer a REFER with 202."""
        if found := self._legs.get(leg):
            found.referrals.accept()

    def refuse_refer(self, leg: LegId, status: int) -> None:
        """Refuse a REFER."""
        if found := self._legs.get(leg):
            found.referrals.refuse(status)

    def notify(self, leg: LegId, status: int, phrase: str = "") -> None:
        """Tell how a transfer stands, also whoever has hung up since."""
        if found := self._legs.get(leg) or self._lingering.get(leg):
            found.referrals.notify(status, phrase)

    def identify(self, leg: LegId, headers: Sequence[Header]) -> None:
        """Tell a connected peer who it talks to now."""
        if found := self._legs.get(leg):
            found.identify(headers)

    def watch(self, target: Address) -> None:
        """Begin to send OPTIONS to a target."""
        self._watch.add(target)

    def register(self, registrar: Registrar) -> None:
        """Begin to keep an address of record bound to us."""
        self._registrations.append(Registration(self._services, registrar))

    @property
    def registrations(self) -> list[dict[str, str | int | None]]:
        """Return how each registration stands: name, whether calls reach us, seconds left, status of the last try."""
        now_s = self._reactor.now_s
        return [
            {
                "name": found.registrar.name,
                "is_registered": found.is_registered,
                "left_s": None if found.state.until_s is None else max(0, round(found.state.until_s - now_s)),
                "last_status": found.state.status,
            }
            for found in self._registrations
        ]

    def close(self, *, keep: Collection[LegId] = ()) -> None:
        """End all legs but those to be kept, and close the socket."""
        self._watch.close()
        for registration in self._registrations:
            registration.close()
        self._registrations.clear()
        for leg in list(self._legs.values()):
            if leg.dialog.id not in keep:
                leg.close()
        self._legs.clear()
        self._transport.close()

    # -- messages

    def _match(self, message: RawMessage, source: Address) -> DialogMatch:
        """Say whose message this is: tags alone do not make an act in a dialog, it must come from its peer as well."""
        if message.status is not None:
            is_ours = (message.call_id, message.tag("from") or "") in self._dialogs
            return DialogMatch.KNOWN if is_ours else DialogMatch.NEW
        leg = self._leg_of(message)
        if leg is None:
            return DialogMatch.NEW
        if message.method == "INVITE" and message.tag("to") is None:
            return DialogMatch.KNOWN  # sent again, or by another way, which is answered 482
        may_act = self._transport.peers.may_act(source, message.method, leg.dialog.places)
        return DialogMatch.KNOWN if may_act else DialogMatch.FOREIGN

    def _leg_of(self, message: RawMessage) -> Leg | None:
        """Return the leg that a request belongs to, by its tags; of an INVITE without, when it is the same again."""
        local_tag, remote_tag = message.tag("to"), message.tag("from")
        if local_tag is not None:
            leg = self._dialogs.get((message.call_id, local_tag))
            return leg if leg is not None and leg.dialog.remote_tag in (None, remote_tag) else None
        if message.method not in ("INVITE", "CANCEL"):
            return None
        leg = self._invites.get((message.call_id, remote_tag))
        return leg if leg is not None and leg.invited.invite.key[1] == message.cseq else None

    def _on_request(self, request: Sippy, transaction: Sippy, message: RawMessage, source: Address) -> Sippy:
        local_tag = message.tag("to")
        leg = self._leg_of(message)
        if leg is not None and local_tag is not None:
            return leg.on_request(request, transaction, message)
        if message.method == "INVITE" and local_tag is None:
            return self._on_invite(request, transaction, message, source)
        self._answer_outside(request, transaction, message, local_tag)
        return None

    def _answer_outside(self, request: Sippy, transaction: Sippy, message: RawMessage, local_tag: str | None) -> None:
        respond = self._services.respond
        unsupported = self._unsupported(message)
        if unsupported:
            respond(request, transaction, 420, headers=[("Unsupported", ", ".join(unsupported))])
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
        known = self._invites.get((message.call_id, message.tag("from")))
        if known is not None and known.invited.invite.key[1] == message.cseq:
            if known.invited.invite.key[2] != message.branch:
                # The same request by another way (RFC 3261 section 8.2.2.2).
                self._services.respond(request, transaction, 482)
            return None
        refusal, replaced = self._refusal(message), None
        if refusal is None:
            refusal, replaced = self._replaced(message)
        if refusal is not None:
            status, headers = refusal
            self._services.respond(request, transaction, status, headers=headers)
            return None, None, None
        leg = Leg(LegId(next(self._ids)), self._services, self._forget)
        try:
            hook = leg.invited.begin(request, transaction, message)
        except Exception as error:  # noqa: BLE001 - whatever sippy's parsers raise for a peer's header
            _log.debug("unusable INVITE: %s", type(error).__name__)
            self._services.respond(request, transaction, 400)
            return None, None, None
        self._register(leg)
        self._invites[leg.dialog.call_id, leg.dialog.remote_tag] = leg
        self._emit(_offered(leg.dialog.id, message, source, replaced))
        return hook

    def _refusal(self, message: RawMessage) -> tuple[int, list[Header]] | None:
        if message.start_line.split(" ")[1].lower().startswith("sips:"):
            # It asks for TLS on every hop to the phone; nobody here can promise that for the PBX behind us.
            return 416, []
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
        return [tag for tag in message.option_tags("require") if tag not in self._services.known]

    def _replaced(self, message: RawMessage) -> tuple[tuple[int, list[Header]] | None, LegId | None]:
        """Return what refuses an INVITE with Replaces, or the leg that it names (RFC 3891 section 3)."""
        try:
            replaces = replaces_of(message)
        except TransferError as error:
            return (error.status, []), None
        if replaces is None:
            return None, None
        leg = self._dialog(replaces)
        if leg is None:
            return (481, []), None
        if leg.dialog.state is State.ENDED:
            return (603, []), None
        if leg.dialog.state not in (State.CONNECTED, State.CONFIRMING):
            return (481, []), None
        return ((486, []), None) if replaces.is_early_only else (None, leg.dialog.id)

    def _dialog(self, replaces: Replaces) -> Leg | None:
        leg = self._dialogs.get((replaces.call_id, replaces.to_tag))
        return leg if leg is not None and leg.dialog.remote_tag == replaces.from_tag else None

    def _find(self, replaces: Replaces) -> LegId | None:
        leg = self._dialog(replaces)
        return None if leg is None else leg.dialog.id

    def _on_stray_success(self, response: Sippy, message: RawMessage) -> bool:
        leg = self._dialogs.get((message.call_id, message.tag("from") or ""))
        return leg is not None and leg.inviting.stray_success(response, message)

    # -- the register of legs

    def _register(self, leg: Leg) -> None:
        if leg.dialog.state is State.ENDED:
            return
        self._legs[leg.dialog.id] = leg
        self._dialogs[leg.dialog.call_id, leg.dialog.local_tag] = leg

    def _forget(self, leg: Leg) -> None:
        self._legs.pop(leg.dialog.id, None)
        self._lingering[leg.dialog.id] = leg
        self._reactor.call_later(LINGER_S, self._bury, leg)

    def _bury(self, leg: Leg) -> None:
        self._lingering.pop(leg.dialog.id, None)
        self._dialogs.pop((leg.dialog.call_id, leg.dialog.local_tag), None)
        if self._invites.get((leg.dialog.call_id, leg.dialog.remote_tag)) is leg:
            del self._invites[leg.dialog.call_id, leg.dialog.remote_tag]

    def _emit(self, event: SipEvent) -> None:
        guarded(self._listener, event)


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
