"""Which addresses a webhook may connect to. Pure.

The addresses that a name resolves to are checked at each connection, and the connection goes to one of those that were
checked: a name that resolves to another address in between changes nothing.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

_TRANSLATED = ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")
"""NAT64 (RFC 6052, RFC 8215), 6to4 and Teredo: their addresses stand for others, perhaps inside."""
_NETWORKS = tuple(map(ip_network, _TRANSLATED))


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
    is_translated = any(address in network for network in _NETWORKS)
    return address.is_global and not address.is_multicast and not is_translated
