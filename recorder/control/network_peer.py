"""The peer of a request over mutual TLS, as ``scope["client"]`` of the application names it. Pure."""

from recorder.control.peer_tls import CONSOLE, TlsPeer


def client_of(peer: TlsPeer | None) -> tuple[str, int] | None:
    """Return ``("ROLE:NAME", 0)``, or None if the certificate names no machine of the site."""
    return None if peer is None else (f"{peer.role}:{peer.name}", 0)


def console_of(client: tuple[str, int]) -> str | None:
    """Return the name of the console that a request came from over mutual TLS; None if it did not."""
    role, _, name = client[0].partition(":")
    return name if role == CONSOLE else None
