"""The endpoint: every leg of the daemon, over UDP, TCP and TLS. Call thread only.

Put together here: the transport, the legs (`sip.leg_register`), what peers ask for (`sip.uas_core`), what the
application has legs do (`sip.leg_commands`), registrations and the watch. What happens inside a leg is `sip.leg`'s.
"""

import functools
from collections.abc import Collection
from datetime import datetime

from sip.endpoint_services import EndpointServices, SessionRule
from sip.events import LegId, Listener, SourceMisbehaved
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
        commands: What the application has legs do.
    """

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
        emit = functools.partial(guarded, listener)
        self._reactor = reactor
        self._legs = LegRegister(reactor)
        uas = UasCore(options, self._legs)
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

    def watch(self, target: Address) -> None:
        """Begin to send OPTIONS to a target; TargetChanged follows each change. Presumed alive at first."""
        self._watch.add(target)

    def register(self, registrar: Registrar) -> None:
        """Begin to keep an address of record bound to us; RegistrationChanged follows. `close` takes it back."""
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
        """Close the sockets. Legs that still exist are ended first, with BYE, CANCEL or 503.

        Args:
            keep: Legs to be left as they are: their media does not come here, so that they outlive us.
        """
        self._watch.close()
        for registration in self._registrations:
            registration.close()
        self._registrations.clear()
        self._legs.close(keep)
        self._transport.close()
