"""Whose certificate it is (RFC 5922 section 7), and whom we hear."""

from typing import Any

import pytest

from sip.options import Address, PeerRule, SipOptions, TransportKind
from sip.tls import identities, is_named
from sip.trust import Trust

SUBJECT = ((("commonName", "CN.example"),),)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ((("DNS", "PBX.example"), ("DNS", "b.example")), {"pbx.example", "b.example"}),
        ((("DNS", "pbx.example"), ("URI", "sip:council.example")), {"council.example"}),
        ((("URI", "sip:alice@council.example"), ("DNS", "pbx.example")), {"pbx.example"}),
        ((("URI", "https://council.example"), ("DNS", "pbx.example")), {"pbx.example"}),
        ((("URI", "sip:council.example;lr"),), {"council.example"}),
        ((("IP Address", "192.0.2.1"), ("IP Address", "2001:DB8:0:0:0:0:0:1")), {"192.0.2.1", "2001:db8::1"}),
        ((("email", "a@b"),), set()),
        ((), {"cn.example"}),
    ],
)
def test_identities(names: tuple[tuple[str, str], ...], expected: set[str]) -> None:
    certificate: dict[str, Any] = {"subject": SUBJECT, "subjectAltName": names} if names else {"subject": SUBJECT}
    assert identities(certificate) == expected


def test_no_wildcard_and_no_nothing_matches() -> None:
    certificate = {"subjectAltName": (("DNS", "*.example"), ("DNS", "pbx.example"), ("IP Address", "2001:DB8::1"))}
    assert is_named(certificate, ["PBX.example."])
    assert is_named(certificate, ["other", "2001:db8:0::1"])
    assert not is_named(certificate, ["sbc.example"])
    assert not is_named(certificate, [])
    assert not is_named({}, [""])


def test_trust_is_by_network_and_rule() -> None:
    rules = (
        PeerRule(networks=("192.0.2.0/25",), requires_certificate=True, tls_names=("a",)),
        PeerRule(networks=("192.0.2.0/24",), tls_only=True),
        PeerRule(networks=("192.0.0.0/8",)),
    )
    listen = Address(host="192.0.2.1")
    trust = Trust(SipOptions(listen=listen, trusted=("192.0.0.0/8", "2001:db8::/32"), rules=rules))
    tls, tcp, udp = TransportKind.TLS, TransportKind.TCP, TransportKind.UDP
    for host, taken in (
        ("192.0.2.1", {tls}),
        ("192.0.2.200", {tls}),
        ("192.1.1.1", {tls, tcp, udp}),
        ("2001:db8::1", {tls, tcp, udp}),
        ("198.51.100.1", set()),
        ("pbx.example", set()),
    ):
        assert {kind for kind in TransportKind if trust.of(host).may_ask_over(kind)} == taken, host
    assert trust.of("192.0.2.1").rule.tls_names == ("a",)
