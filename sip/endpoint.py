"""The SIP endpoint: every leg of the daemon, over UDP, TCP and TLS. Call thread only.

Composes the transport, the legs (`sip.leg_register`), the handling of requests (`sip.uas_core`), the application's
commands (`sip.leg_commands`), registrations and the watch. A leg is in `sip.leg`.
"""

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime

from sip.endpoint_services import DialogKeeper, EndpointServices, SessionRule
from sip.events import Header, LegId, Listener, SourceMisbehaved
from sip.left_dialogs import KeptDialog, LeftDialogs
from sip.leg_commands import LegCommands
from sip.leg_register import LegRegister
from sip.message_io import RELIABLY, SIPREC
from sip.options import Address, Registrar, SipOptions, TransportKind
from sip.reactor import Reactor, guarded
from sip.registration import Registration
from sip.transport import Transport
from sip.uas_core import UasCore
from sip.watch import Watch

_SUPPORTED = frozenset({"timer", "replaces", "norefersub", RELIABLY})


class SipEndpoint:
    """The SIP side of the daemon.

    Attributes:
        commands: The application's commands on legs.
    """

    def __init__(self, options: SipOptions, listener: Listener, reactor: Reactor) -> None:
        """Bind the sockets and begin to listen.

        Args:
            options: Addresses, trusted networks, limits.
            listener: Called with each event on the call thread; its exceptions are logged.
            reactor: The call loop; the application runs it.

        Raises:
            OSError: An address cannot be bound.
            ValueError: A trusted network is no CIDR.
            TlsFilesError: Certificate, key or authorities cannot be used.
        """
        emit = functools.partial(guarded, listener)
        self._reactor = reactor
        self._legs = LegRegister(reactor)
        uas = self._uas = UasCore(options, self._legs)
        self._transport = Transport(
            options,
            uas.on_request,
            uas.on_stray_success,
            match=uas.match,
            on_report=lambda kind, source: emit(SourceMisbehaved(kind=kind, source=source)),
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
            emit=emit,
            find=self._legs.find,
        )
        uas.services = self._services
        self.commands = LegCommands(self._legs, self._services)
        self._registrations: list[Registration] = []
        self._watch = Watch(self._services, options.watch_every_s)

    @property
    def address(self) -> Address:
        """The bound UDP address, with its real port."""
        return self._transport.address

    @property
    def addresses(self) -> dict[TransportKind, Address]:
        """Every bound address, with its real port."""
        return self._transport.addresses

    @property
    def connections(self) -> int:
        """Number of TCP and TLS connections."""
        return self._transport.streams.connections if self._transport.streams is not None else 0

    @property
    def certificate_expires_at(self) -> datetime | None:
        """When our certificate expires, or None without TLS."""
        contexts = self._transport.streams.contexts if self._transport.streams is not None else None
        return contexts.expires_at if contexts is not None else None

    def renew_certificates(self) -> None:
        """Read the TLS files again, for new connections. Any thread.

        Raises:
            TlsFilesError: They cannot be used; nothing has changed.
        """
        if self._transport.streams is not None:
            self._transport.streams.renew()

    def answer_options_by(self, refusal: Callable[[Address], Sequence[Header] | None]) -> None:
        """Answer OPTIONS outside dialogs with 503 and the headers that ``refusal`` returns, or 200 if it returns None.

        ``refusal`` is given the source, on the call thread, at each OPTIONS.
        """
        self._uas.refusal = refusal

    @property
    def leg_count(self) -> int:
        """Number of legs, those that ended less than 33 s ago included. Any thread."""
        return self._legs.kept

    def when_removed(self, notify: Callable[..., object]) -> None:
        """Call a function with the objects of each leg, as its arguments, 33 s after its end, on the call thread."""
        self._legs.when_removed = notify

    @property
    def counters(self) -> dict[str, int]:
        """Numbers of dropped or refused messages, by reason, and of requests too large for UDP.

        ``untrusted``, ``without_tls``, ``malformed``, ``overload``, ``keepalive``, ``rate_limited``, ``foreign``,
        ``stray``, ``unsendable`` (no datagram can be sent to the address); of connections ``too_many``, ``tls_failed``,
        ``too_slow``, ``stuck``, ``unreachable``, ``no_transport``; of large requests ``large`` (sent in fragments) and
        ``large_over_tcp``. ``mended`` counts messages accepted after a repair of Route or Contact.
        """
        return self._transport.all_counters

    def keep_dialogs_by(self, keeper: DialogKeeper) -> None:
        """Have established dialogs kept from now on, for `hang_up_left` of the next process."""
        self._services.keeper = keeper

    def hang_up_left(
        self, left: Mapping[str, KeptDialog], *, reason: str, when_ended: Callable[[str], object]
    ) -> None:  # fmt: skip
        """Send BYE in dialogs that an earlier process left, by key, some at a time.

        Args:
            left: What the earlier process had kept.
            reason: Value of Reason in each BYE.
            when_ended: Called on the call thread with the key of each dialog whose BYE was answered, or given up.
        """
        LeftDialogs(self._services, reason, when_ended).hang_up(left)

    def admit_guests(self, guests: Collection[Address]) -> None:
        """Read datagrams of these addresses too, host and port, and of no former guests; () for none."""
        self._transport.admit_guests(guests)

    def watch(self, target: Address) -> None:
        """Begin to send OPTIONS to a target, which is presumed alive; TargetChanged follows each change."""
        self._watch.add(target)

    def register(self, registrar: Registrar) -> None:
        """Begin to keep an address of record registered; RegistrationChanged follows. `close` deregisters it."""
        self._registrations.append(Registration(self._services, registrar))

    @property
    def registrations(self) -> list[dict[str, str | int | None]]:
        """Status of each registration: name, is_registered, left_s (None if never registered), last_status."""
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
        """Close the sockets; legs are ended first, with BYE, CANCEL or 503.

        Args:
            keep: Legs that are not ended: their media does not come here, so they can go on without us.
        """
        self._watch.close()
        for registration in self._registrations:
            registration.close()
        self._registrations.clear()
        self._legs.close(keep)
        self._transport.close()
