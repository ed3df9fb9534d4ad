"""The sections ``[[webhook]]``: which systems are told of which events. Pure."""

import re
from dataclasses import dataclass
from ipaddress import ip_network
from urllib.parse import urlsplit

from recorder.rules.webhook_events import EventType

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookOptions:
    """One target.

    Attributes:
        name: Names it in logs and commands.
        url: ``https://HOST/PATH``; ``http://`` only on this machine.
        secret_file: File with mode 0600: ``whsec_`` and a base64 secret; a second line while it is changed.
        events: What it is told of; empty for everything.
        networks: Networks inside the council that its name may resolve to; without them only public addresses.
        ca: File of CA certificates for it; None for the system's.
    """

    name: str
    url: str
    secret_file: str
    events: tuple[EventType, ...] = ()
    networks: tuple[str, ...] = ()
    ca: str | None = None

    @property
    def host(self) -> str:
        """Return the host of its URL. Only of a checked section."""
        return urlsplit(self.url).hostname or ""

    @property
    def is_local(self) -> bool:
        """Tell whether its URL names this machine."""
        return self.host in LOOPBACK

    def takes(self, kind: str) -> bool:
        """Tell whether it is told of events of a type."""
        return not self.events or kind in self.events

    @property
    def problem(self) -> tuple[str, str] | None:
        """Return the key and a sentence about a setting that cannot work, or None."""
        if _NAME.fullmatch(self.name) is None:
            return "name", f"name is {self.name!r}: it must be letters, digits, dots, hyphens, at most 40"
        try:
            parts = urlsplit(self.url)
            is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
            is_usable = is_usable and parts.port != 0  # reading it checks it
            is_plain = self.url.isascii() and self.url.isprintable() and " " not in self.url and not parts.fragment
        except ValueError:
            is_usable = is_plain = False
        if not is_usable or not is_plain:
            return "url", "url is not the address of a webhook: write https://HOST/PATH"  # it may hold a secret
        if parts.scheme == "http" and not self.is_local:
            return "url", "url is http: write https://HOST/PATH; http is for this machine only (127.0.0.1)"
        for network in self.networks:
            try:
                ip_network(network)
            except ValueError:
                return "networks", f"{network!r} is not a network: write 10.1.2.0/24"
        return None
