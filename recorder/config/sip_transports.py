"""SIP transports of the configuration: addresses, options of the endpoint, and combinations that cannot work. Pure.

`recorder.config.reading` reads the keys; this module alone translates them for `sip.endpoint`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from recorder.config.settings import Config, Sip
from sip.digest import Credentials
from sip.message import is_ip
from sip.options import Address, PeerLimits, PeerRule, SipOptions, StreamLimits, TlsOptions, TransportKind

WILDCARDS = ("0.0.0.0", "::")  # noqa: S104 - compared with, never bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """A combination that cannot work: a sentence, and the key that it is about."""

    sentence: str
    section: str
    key: str
    entry: int = 0


def parse_target(value: str) -> Address:
    """Parse ``host:port`` with an optional transport: ``tls:host:port``, or ``host:port;transport=tls``.

    Without a port it is 5060, or 5061 for TLS (RFC 3261 section 19.1.2), or that of the name's SRV records.

    Raises:
        ValueError: It is not one.
    """
    text, semicolon, parameter = value.partition(";")
    scheme, colon, rest = text.partition(":")
    named = parameter.strip().removeprefix("transport=") if semicolon else TransportKind.UDP
    if scheme.lower() in list(TransportKind) and colon and rest:
        named, text = scheme, rest
    kind = TransportKind(named.strip().lower())
    found = parse_address(text, kind.default_port)
    has_port = text.rpartition(":")[2] == str(found.port)
    is_srv = not has_port and not is_ip(found.host) and kind is not TransportKind.TLS
    return replace(found, transport=kind, is_srv=is_srv)


def parse_address(value: str, default_port: int | None = None) -> Address:
    """Parse ``IP:PORT``, ``[IPv6]:PORT`` or ``host:port``.

    Raises:
        ValueError: It is none of these, or the port is not in [0, 65535].
    """
    host, colon, port = value.rpartition(":")
    if not colon or host.endswith(":") or ("]" in port):
        host, port = value, "" if default_port is None else str(default_port)
    if not port.isdigit() or int(port) > 65535 or not host.strip("[]"):
        raise ValueError(f"{value!r} is not IP:PORT")
    if ":" in host.strip("[]") and not is_ip(host):  # such as tls:192.0.2.1
        raise ValueError(f"{value!r} is not IP:PORT")
    return Address(host=host.strip("[]"), port=int(port))


def sip_options(
    config: Config, *, is_urgent: Callable[[str], bool], account_of: Callable[[str], Credentials | None]
) -> SipOptions:
    """Return the options of the SIP endpoint."""
    sip = config.sip
    return SipOptions(
        listen=sip.listen,
        listen_tcp=sip.listen_tcp,
        listen_tls=sip.listen_tls,
        tls=tls_options(sip),
        advertised=sip.advertised,
        trusted=tuple(network for peer in config.peer for network in peer.networks),
        peers=tuple(
            PeerLimits(
                networks=peer.networks,
                calls_per_s=peer.calls_per_s,
                requests_per_s=peer.requests_per_s,
                any_port=peer.any_port,
            )
            for peer in config.peer
        ),
        rules=tuple(
            PeerRule(
                networks=peer.networks,
                tls_names=peer.tls_names,
                tls_only=peer.tls_only,
                requires_certificate=peer.requires_certificate,
                large_over_tcp=peer.large_over_tcp,
            )
            for peer in config.peer
        ),
        streams=StreamLimits(
            connections=config.limits.max_connections, per_source=config.limits.max_connections_per_source
        ),
        is_urgent=is_urgent,
        watch_every_s=sip.watch_every_s,
        is_recording_server=any(peer.siprec for peer in config.peer),
        session_expires_s=sip.session_expires_s,
        min_session_s=sip.min_session_s,
        account_of=account_of,
    )


def mistakes(config: Config) -> Iterator[Mistake]:
    """Yield combinations that cannot work."""
    yield from _listeners(config.sip)
    listening = {TransportKind.UDP}
    listening |= {TransportKind.TCP} if config.sip.listen_tcp is not None else set()
    listening |= {TransportKind.TLS} if config.sip.listen_tls is not None else set()
    used = [("route", "targets", i, target) for i, route in enumerate(config.route) for target in route.targets]
    used += [("register", "registrar", i, register.registrar) for i, register in enumerate(config.register)]
    for section, key, i, target in used:
        if target.transport not in listening:
            sentence = (
                f"{target} needs listen_{target.transport} in [sip]: the target must be able to reach the recorder too"
            )
            yield Mistake(sentence=sentence, section=section, key=key, entry=i)
    yield from _peers(config, listening)
    if config.limits.max_connections_per_source > config.limits.max_connections:
        yield Mistake(
            sentence="max_connections_per_source is larger than max_connections",
            section="limits",
            key="max_connections_per_source",
        )


def tls_options(sip: Sip) -> TlsOptions | None:
    """Return the TLS options, or None without TLS."""
    if sip.listen_tls is None or sip.tls_certificate is None or sip.tls_key is None:
        return None
    return TlsOptions(certificate=sip.tls_certificate, private_key=sip.tls_key, ca=sip.tls_ca)


def _listeners(sip: Sip) -> Iterator[Mistake]:
    for key in ("tls_certificate", "tls_key"):
        if sip.listen_tls is not None and getattr(sip, key) is None:
            yield Mistake(sentence=f"listen_tls needs {key}, the path of a PEM file", section="sip", key="listen_tls")
    for key, address in (("listen_tcp", sip.listen_tcp), ("listen_tls", sip.listen_tls)):
        if address is not None and address.host in WILDCARDS and sip.advertised is None:
            sentence = f"advertised must say which IP goes into Via and Contact when {key} is a wildcard"
            yield Mistake(sentence=sentence, section="sip", key=key)
    if sip.listen_tcp is not None and sip.listen_tcp == sip.listen_tls and sip.listen_tcp.port:
        yield Mistake(
            sentence="listen_tcp and listen_tls must not be the same address", section="sip",
            key="listen_tls",
        )  # fmt: skip


def _peers(config: Config, listening: set[TransportKind]) -> Iterator[Mistake]:
    for i, peer in enumerate(config.peer):
        for key in ("tls_only", "requires_certificate"):
            if getattr(peer, key) and TransportKind.TLS not in listening:
                sentence = f"{key} needs listen_tls in [sip]: peer {peer.name!r} could send nothing"
                yield Mistake(sentence=sentence, section="peer", key=key, entry=i)
        if peer.requires_certificate and not peer.tls_names:
            sentence = f"requires_certificate needs tls_names: the names in the certificate of peer {peer.name!r}"
            yield Mistake(sentence=sentence, section="peer", key="requires_certificate", entry=i)
        wildcard = next((name for name in peer.tls_names if "*" in name), None)
        if wildcard is not None:
            sentence = f"tls_names holds {wildcard!r}: SIP has no wildcards (RFC 5922), give the full name"
            yield Mistake(sentence=sentence, section="peer", key="tls_names", entry=i)
        if peer.large_over_tcp and TransportKind.TCP not in listening:
            sentence = "large_over_tcp needs listen_tcp in [sip]"
            yield Mistake(sentence=sentence, section="peer", key="large_over_tcp", entry=i)
