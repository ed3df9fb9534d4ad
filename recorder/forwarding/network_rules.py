"""Which addresses a webhook may connect to. Pure.

The addresses that a name resolves to are checked at each connection, and the connection goes to one of those that were
checked: a name that resolves to another address in between changes nothing.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

_GLOBAL_UNICAST = ip_network("2000::/3")
"""All public IPv6 addresses (RFC 4291 section 2.4). Outside are, among others, those that stand for an IPv4 address:
NAT64 (RFC 6052, RFC 8215), IPv4-compatible (RFC 4291 section 2.5.5.1) and IPv4-translated (RFC 2765)."""
_TRANSLATED = (ip_network("2002::/16"), ip_network("2001::/32"))
"""6to4 and Teredo: their addresses stand for others, perhaps inside."""


def allowed(addresses: Iterable[str], *, networks: Iterable[str], is_local: bool) -> list[str]:
    """Return the addresses that may be connected to, in their order.

    Args:
        addresses: What the name resolved to.
        networks: Those of the target's configuration, which may be inside.
        is_local: Whether the configured URL names this machine: only loopback is allowed then, beside ``networks``.
    """
    inside = tuple(map(ip_network, networks))
    found = []
    for text in addresses:
        address = _plain(ip_address(text.partition("%")[0]))
        if any(address in network for network in inside) or (address.is_loopback if is_local else _is_public(address)):
            found.append(text)
    return found


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv4Address):
        return address.is_global and not address.is_multicast
    is_translated = any(address in network for network in _TRANSLATED)
    return address in _GLOBAL_UNICAST and address.is_global and not is_translated
