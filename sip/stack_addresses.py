"""Reads, copies and writes sippy's URIs, addresses and Vias faster than sippy does, with the same results.

sippy asks of each part of each of them whether it is "my" own, and copies one by the constructors of three classes.
Here a plain address is read by one regular expression; anything else is left to sippy's own parser. `sip.stack_speed`
puts these functions into sippy's classes. Knows sippy; see `sip.reactor`.
"""

import re
from collections.abc import Sequence
from typing import Any, TypeAlias
from urllib.parse import quote

from sippy.SipAddress import SipAddress, needquotes
from sippy.SipAddressHF import SipAddressHF
from sippy.SipConf import MyAddress, MyPort, MyTransport, SipConf
from sippy.SipURL import USERNAME_SAFE, SipURL

Sippy: TypeAlias = Any
"""An object of sippy, which has no types."""

_PLAIN_URL = (
    r"(sips?):(?:([\w.!~*'()&=+$,/#-]+)@)?([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])"  # scheme, user, host
    r"(?::(\d{1,5}))?(?P<params>(?:;[\w.=+-]+)*)"  # port, parameters
)
_URL = re.compile(_PLAIN_URL, re.ASCII)
_ADDRESS = re.compile(rf"""(?:"([^"\\]*)" *)?<{_PLAIN_URL}>(?:;tag=([\w.!%*+`'~-]+))?""", re.ASCII)
"""The address of a From, To or Contact as almost every peer writes it; it has no parameter but a tag."""
_SAFE_USER = re.compile(r"[\w.!~*'()&=+$,;?/#-]*", re.ASCII)
"""A user that `urllib.parse.quote` would leave as it is."""
_OWN = (MyAddress, MyPort, MyTransport)
"""sippy's classes of the parts that stand for our own address, port and transport."""
_ORIGINAL_PARSE = SipAddressHF.parse


def parse_url(text: str) -> Sippy:
    """Return sippy's URI of a text.

    Raises:
        ValueError: It is none that sippy can read; also IndexError and others of its parser.
    """
    match = _URL.fullmatch(text)
    return SipURL(text) if match is None else _plain_url(match.groups(), text)


def is_plain(text: str) -> bool:
    """Tell whether a text is the address of a From, To or Contact that can be read, whatever it is read for."""
    match = _ADDRESS.fullmatch(text)
    return match is not None and not match["params"]


def _plain_url(groups: Sequence[str | None], text: str | None = None) -> Sippy:
    url = SipURL.__new__(SipURL)
    url.original_uri = text
    url.scheme, url.username, url.host, port, params = groups
    url.other, url.userparams = [], []
    if port is not None:
        url.port = int(port)
    if params:
        url.setParams(params[1:].split(";"))
    return url


def parse_address(field: Sippy) -> None:
    """Parse a header with an address, as ``SipAddressHF.parse``."""
    match = _ADDRESS.fullmatch(field.body)
    if match is None:
        _ORIGINAL_PARSE(field)
        return
    name, *url, tag = match.groups()
    address = SipAddress.__new__(SipAddress)
    address.name, address.url, address.hadbrace = name or "", _plain_url(url), True
    address.params, address.params_order = ({}, []) if tag is None else ({"tag": tag}, ["tag"])
    field.address, field.parsed = address, True


def copy_url(url: Sippy) -> Sippy:
    """Copy a URI, as ``SipURL.getCopy``, but with its scheme: sippy makes ``sip:`` of ``sips:``, plain text of TLS."""
    copied = SipURL.__new__(SipURL)
    copied.__dict__.update(url.__dict__)
    copied.original_uri = None
    copied.other, copied.userparams = list(url.other), list(url.userparams)
    return copied


def copy_address(address: Sippy) -> Sippy:
    """Copy an address, as ``SipAddress.getCopy``."""
    copied = SipAddress.__new__(SipAddress)
    copied.name, copied.url, copied.hadbrace = address.name, address.url.getCopy(), address.hadbrace
    copied.params, copied.params_order = address.params.copy(), address.params_order[:]
    return copied


def copy_address_header(field: Sippy) -> Sippy:
    """Copy a header with an address, as ``SipAddressHF.getCopy``."""
    copied = field.__class__.__new__(field.__class__)
    copied.__dict__.update(field.__dict__)
    if field.parsed:
        copied.body, copied.address = None, field.address.getCopy()
    return copied


def url_text(url: Sippy, local_addr: Sippy = None) -> str:
    """Write a URI, as ``SipURL.localStr``."""
    own_host = own_port = own_transport = None
    if local_addr is not None:
        (own_host, own_port), own_transport = local_addr
    text, user, host, port, transport = f"{url.scheme}:", url.username, url.host, url.port, url.transport
    if user is not None:
        text += user if _SAFE_USER.fullmatch(user) else quote(user, USERNAME_SAFE)
        text += "".join([f";{param}" for param in url.userparams])
        text += "@" if url.password is None else f":{url.password}@"
    text += own_host if own_host is not None and isinstance(host, _OWN) else str(host)
    is_transport_own = isinstance(transport, _OWN)
    is_transport_default = is_transport_own and own_transport == SipConf.default_transport
    if port is not None:
        shown = own_port if own_port is not None and isinstance(port, _OWN) else port
        if not (is_transport_default and int(shown) == SipConf.default_port):
            text += f":{int(shown)}"
    if url.usertype is not None:
        text += f";user={url.usertype}"
    if is_transport_own and own_transport is not None and not is_transport_default:
        text += f";transport={own_transport}"
    elif transport is not None and not is_transport_own:
        text += f";transport={transport}"
    if url.ttl is not None or url.maddr is not None or url.method is not None or url.tag is not None:
        rare = [(name, getattr(url, name)) for name in ("ttl", "maddr", "method", "tag")]
        text += "".join([f";{name}={value}" for name, value in rare if value is not None])
    for other in url.other:
        text += f";{other}"
    if url.lr:
        text += ";lr"
    if url.headers:
        text += "?" + "&".join([f"{key}={quote(value)}" for key, value in url.headers.items()])
    return text


def address_text(address: Sippy, local_addr: Sippy = None) -> str:
    """Write an address, as ``SipAddress.localStr``."""
    text: str = address.url.localStr(local_addr)
    name = address.name
    if name:
        text = f'"{name}" <{text}>' if needquotes(name, SipAddress.transtable) else f"{name} <{text}>"
    elif address.hadbrace:
        text = f"<{text}>"
    for key in address.params_order:
        value = address.params[key]
        text += f";{key}" if value is None else f";{key}={value}"
    return text


def via_text(via: Sippy, local_addr: Sippy = None) -> str:
    """Write a Via, as ``SipVia.localStr``."""
    if not via.parsed:
        return str(via.body)
    own_host = own_port = own_transport = None
    if local_addr is not None:
        (own_host, own_port), own_transport = local_addr
    transport, host, port = via.transport, via.hostname, via.port
    if is_transport_own := isinstance(transport, _OWN):
        transport = str(transport if own_transport is None else own_transport).upper()
        transport = "WSS" if transport == "WS" else transport
    text = f"{via.sipver}/{transport} {own_host if own_host is not None and isinstance(host, _OWN) else host}"
    if port is not None and own_port is not None and isinstance(port, _OWN):
        is_default = own_transport == SipConf.default_transport and int(own_port) == SipConf.default_port
        text += "" if is_transport_own and is_default else f":{own_port}"
    elif port is not None:
        text += f":{port}"
    for key, value in via.params.items():
        text += f";{key}" if value is None else f";{key}={value}"
    return text
