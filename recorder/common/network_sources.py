"""Groups network addresses by the machine that may own them. Pure."""

from ipaddress import IPv6Address, ip_address, ip_network

_IPV6_SITE = 64
"""Bits of an IPv6 address that name the network (RFC 4291 section 2.5.4); a machine chooses the others itself."""


def source_of(host: str) -> str:
    """Return the source of an address: an IPv4 address, or the /64 of an IPv6 address, which one machine may own.

    Other values, such as the name of a socket, are returned unchanged.
    """
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ip_network((int(address), _IPV6_SITE), strict=False))
