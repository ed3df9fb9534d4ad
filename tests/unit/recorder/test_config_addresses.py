"""Addresses and targets as the configuration writes them: host, port and transport."""

import pytest

from recorder.config.sip_transports import parse_address, parse_target
from sip.options import Address


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("192.0.2.1:5060", "192.0.2.1", 5060),
        ("[2001:db8::1]:5070", "2001:db8::1", 5070),
        ("pbx.example:0", "pbx.example", 0),
        ("192.0.2.1", "192.0.2.1", 5061),
        ("[2001:db8::1]", "2001:db8::1", 5061),
    ],
)
def test_addresses(text: str, host: str, port: int) -> None:
    assert parse_address(text, 5061) == Address(host=host, port=port)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("192.0.2.1", "192.0.2.1:5060"),
        ("pbx.example:5070", "pbx.example:5070"),
        ("udp:192.0.2.1", "192.0.2.1:5060"),
        ("tcp:192.0.2.1", "tcp:192.0.2.1:5060"),
        ("tls:pbx.example", "tls:pbx.example:5061"),
        ("TLS:[2001:db8::1]:5062", "tls:[2001:db8::1]:5062"),
        ("tls:[2001:db8::1]", "tls:[2001:db8::1]:5061"),
        ("192.0.2.1;transport=TLS", "tls:192.0.2.1:5061"),
        ("[2001:db8::1]:5060;transport=tcp", "tcp:[2001:db8::1]:5060"),
    ],
)
def test_targets_may_name_a_transport(text: str, shown: str) -> None:
    target = parse_target(text)
    assert str(target) == shown
    assert parse_target(shown) == target


@pytest.mark.parametrize("text", ["", "sctp:a:1", "tls:", "a;transport=", "a;transport=ws", "a;user=phone", "tls:a:b"])
def test_what_is_no_target(text: str) -> None:
    with pytest.raises(ValueError):
        parse_target(text)


@pytest.mark.parametrize(
    "text", ["", "tls:192.0.2.1:5061", ":5060", "192.0.2.1:", "192.0.2.1:65536", "192.0.2.1:-1", "[]:5060"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="is not IP:PORT"):
        parse_address(text)


def test_an_address_needs_its_port_where_there_is_no_default() -> None:
    with pytest.raises(ValueError, match="is not IP:PORT"):
        parse_address("192.0.2.1")
