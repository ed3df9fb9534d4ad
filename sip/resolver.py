"""Resolves the host names of targets in advance, on a thread of its own, so that no call waits for DNS (RFC 3263).

Each name is resolved at the start and again when its records expire. While DNS does not answer, the last result stays
in use. SRV records and times to live come from dnspython; the standard library has neither.
"""

import ipaddress
import logging
import random
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import dns.exception
import dns.name
import dns.resolver

from sip.message import is_ip
from sip.options import Address, TransportKind
from sip.srv_order import SERVICES, SrvTarget, ordered

_log = logging.getLogger(__name__)

LEAST_TTL_S, MOST_TTL_S = 1.0, 3600.0
"""Bounds for the time to live of records."""

SYSTEM_TTL_S = 30.0
"""Time to live of addresses from the system's resolver, which does not give one."""

RETRY_S = 5.0
"""Wait after a failed query."""

PATIENCE_S = 2.0
"""Timeout of one query."""

_FAILURES = (dns.exception.DNSException, OSError, UnicodeError)


@dataclass(frozen=True, slots=True)
class _Known:
    records: tuple[SrvTarget, ...]
    due_s: float
    is_failing: bool


class Resolver:
    """Keeps the names of targets resolved.

    Args:
        servers: Name servers by IP literal; if empty, the system's resolver is used, with ``/etc/hosts``.
        families: IP versions that we can send to: 4, 6 or both.
        on_change: Called on the resolver's thread when the addresses of a name change.
    """

    def __init__(self, servers: tuple[Address, ...], families: frozenset[int], on_change: Callable[[], None]) -> None:
        self._families = families
        self._on_change = on_change
        self._is_system = not servers
        self._dns = dns.resolver.Resolver(configure=False) if servers else _system_resolver()
        if servers:
            self._dns.nameservers = [server.host for server in servers]
            self._dns.nameserver_ports = {server.host: server.port for server in servers}
        self._dns.timeout, self._dns.lifetime = PATIENCE_S / 2, PATIENCE_S
        self._lock = threading.Lock()
        self._known: dict[Address, _Known] = {}
        self._wanted: frozenset[Address] = frozenset()
        self._wake = threading.Event()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="names", daemon=True)

    def want(self, targets: Iterable[Address]) -> None:
        """Set the targets to keep resolved; those that are not names are left out. Any thread."""
        with self._lock:
            self._wanted = frozenset(target for target in targets if _is_name(target))
        self._wake.set()

    def start(self, wait_s: float) -> None:
        """Start the thread, and wait at most ``wait_s`` until every name has been queried once."""
        self._thread.start()
        deadline = time.monotonic() + wait_s
        while self._has_unknown() and time.monotonic() < deadline:
            time.sleep(0.01)

    def close(self) -> None:
        """End the thread, after the query in progress."""
        self._is_closed = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(PATIENCE_S + 1)

    def expand(self, target: Address) -> tuple[Address, ...]:
        """Return the known addresses of a target in the order in which to try them; never waits.

        A name without known addresses is returned as it is.
        """
        with self._lock:
            known = self._known.get(target)
        if known is None or not known.records:
            return (target,)
        found = ordered(known.records, lambda most: random.SystemRandom().randint(0, most))
        return tuple(replace(target, host=record.host, port=record.port, is_srv=False) for record in found)

    @property
    def failing(self) -> list[str]:
        """The names whose last query failed."""
        with self._lock:
            return sorted(str(target) for target, known in self._known.items() if known.is_failing)

    # -- the thread

    def _has_unknown(self) -> bool:
        with self._lock:
            return any(target not in self._known for target in self._wanted)

    def _run(self) -> None:
        while not self._is_closed:
            self._wake.clear()
            with self._lock:
                wanted, known = self._wanted, dict(self._known)
            now_s = time.monotonic()
            for target in wanted:
                if not self._is_closed and (target not in known or known[target].due_s <= now_s):
                    self._ask(target, known.get(target))
            with self._lock:
                self._known = {target: found for target, found in self._known.items() if target in self._wanted}
                due_s = min((found.due_s for found in self._known.values()), default=time.monotonic() + MOST_TTL_S)
            self._wake.wait(max(0.05, due_s - time.monotonic()))

    def _ask(self, target: Address, before: _Known | None) -> None:
        try:
            records, ttl_s = self._located(target)
        except _FAILURES as error:
            if before is None or not before.is_failing:
                _log.error("%s cannot be resolved: %s", target, type(error).__name__)
            old = before.records if before is not None else ()
            found = _Known(old, time.monotonic() + RETRY_S, is_failing=True)
        else:
            wait_s = min(max(ttl_s, LEAST_TTL_S), MOST_TTL_S)
            found = _Known(tuple(records), time.monotonic() + wait_s, is_failing=False)
        with self._lock:
            self._known[target] = found
        if set(found.records) != set(before.records if before is not None else ()):
            self._on_change()

    def _located(self, target: Address) -> tuple[list[SrvTarget], float]:
        if not target.is_srv:
            return self._addressed(target.host, target.port)
        name = SERVICES[target.transport] + target.host
        try:
            answer = self._dns.resolve(name, "SRV", search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return self._addressed(target.host, target.port)  # RFC 3263 section 4.2: no SRV, so addresses
        records: list[SrvTarget] = []
        ttl_s = float(answer.rrset.ttl) if answer.rrset is not None else LEAST_TTL_S
        failed: Exception | None = None
        for entry in answer:
            host = entry.target.to_text(omit_final_dot=True)
            if host in ("", "."):
                continue  # the service does not exist (RFC 2782)
            try:
                found, address_ttl_s = self._addressed(host, entry.port)
            except _FAILURES as error:  # other records may have addresses
                failed = error
                continue
            ttl_s = min(ttl_s, address_ttl_s)
            records += [replace(record, priority=entry.priority, weight=entry.weight) for record in found]
        if not records:
            raise failed or OSError("no SRV record leads to an address")
        return records, ttl_s

    def _addressed(self, host: str, port: int) -> tuple[list[SrvTarget], float]:
        if is_ip(host):
            return [SrvTarget(host=host.strip("[]"), port=port)], MOST_TTL_S
        found, ttl_s = self._of_system(host) if self._is_system else self._of_servers(host)
        if not found:
            raise OSError("no address of a family that we use")
        return [SrvTarget(host=address, port=port) for address in found], ttl_s

    def _of_system(self, host: str) -> tuple[list[str], float]:
        infos = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
        addresses = dict.fromkeys(str(info[4][0]) for info in infos)
        usable = [a for a in addresses if ipaddress.ip_address(a.split("%", 1)[0]).version in self._families]
        return usable, SYSTEM_TTL_S

    def _of_servers(self, host: str) -> tuple[list[str], float]:
        found: list[str] = []
        ttl_s = MOST_TTL_S
        for version, kind in ((4, "A"), (6, "AAAA")):
            if version not in self._families:
                continue
            try:
                answer = self._dns.resolve(host, kind, search=False)
            except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
                continue
            found += [entry.to_text() for entry in answer]
            ttl_s = min(ttl_s, float(answer.rrset.ttl) if answer.rrset is not None else ttl_s)
        return found, ttl_s


def _is_name(target: Address) -> bool:
    """Tell whether a target is to be resolved; over TLS the name is needed to check the certificate."""
    return not is_ip(target.host) and target.transport is not TransportKind.TLS


def _system_resolver() -> dns.resolver.Resolver:
    try:
        return dns.resolver.Resolver()
    except dns.resolver.NoResolverConfiguration:
        return dns.resolver.Resolver(configure=False)
