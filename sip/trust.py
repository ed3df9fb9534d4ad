"""Which addresses are trusted, and the rules of their peers (`sip.options.PeerRule`). Pure."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from sip.options import PeerRule, SipOptions, TransportKind

MAX_REMEMBERED = 4096
"""Size of the cache, addresses, so that spoofed addresses do not fill the memory."""

NO_RULE = PeerRule(networks=())
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressTrust:
    """Whether one address is trusted, and the rule of its peer."""

    is_trusted: bool
    rule: PeerRule

    def may_ask_over(self, transport: TransportKind) -> bool:
        """Tell whether its requests over a transport are read."""
        is_tls_only = self.rule.tls_only or self.rule.requires_certificate
        return self.is_trusted and (transport is TransportKind.TLS or not is_tls_only)


class Trust:
    """Tells which addresses are trusted; any thread."""

    def __init__(self, options: SipOptions) -> None:
        """Take the networks of the options.

        Raises:
            ValueError: One is no CIDR.
        """
        self._trusted = _networks(options.trusted)
        self._rules = [(_networks(rule.networks), rule) for rule in options.rules]
        self._known: dict[str, AddressTrust] = {}
        self.guests: frozenset[tuple[str, int]] = frozenset()
        """Hosts and ports whose datagrams are read although their networks are not trusted: phones of a self-test."""

    def of(self, host: str) -> AddressTrust:
        """Return the trust in an IP literal; a host that is not an IP literal is not trusted."""
        found = self._known.get(host)
        if found is None:
            found = self._judge(host)
            if len(self._known) < MAX_REMEMBERED:
                self._known[host] = found
        return found

    def _judge(self, host: str) -> AddressTrust:
        try:
            ip = ipaddress.ip_address(host)
        except ValueError:
            return AddressTrust(is_trusted=False, rule=NO_RULE)
        rule = next((rule for networks, rule in self._rules if _is_in(ip, networks)), NO_RULE)
        return AddressTrust(is_trusted=_is_in(ip, self._trusted), rule=rule)


def _networks(cidrs: Sequence[str]) -> tuple[_Network, ...]:
    return tuple(ipaddress.ip_network(cidr, strict=False) for cidr in cidrs)


def _is_in(ip: ipaddress.IPv4Address | ipaddress.IPv6Address, networks: Sequence[_Network]) -> bool:
    return any(ip in network for network in networks)
