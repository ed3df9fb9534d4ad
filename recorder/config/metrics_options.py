"""The sections ``[metrics]`` and ``[console_metrics]``: where daemon and console serve their metrics. Pure."""

from dataclasses import dataclass
from ipaddress import ip_network

from sip.message import is_ip
from sip.options import Address

LOOPBACK = ("127.0.0.1/32", "::1/128")


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsOptions:
    """One of the sections.

    Attributes:
        listen: Address and TCP port; None serves no metrics.
        networks: CIDR networks that may scrape.
    """

    listen: Address | None = None
    networks: tuple[str, ...] = LOOPBACK

    @property
    def problem(self) -> tuple[str, str] | None:
        """Return the key and a sentence about a setting that cannot work, or None."""
        if self.listen is not None and not is_ip(self.listen.host):
            return "listen", f"listen must be IP:PORT, 127.0.0.1:9760, not {str(self.listen)!r}"
        if not self.networks:
            return (
                "networks",
                'networks is empty, so nobody could scrape: name the network of Prometheus, or listen = "off"',
            )
        for network in self.networks:
            try:
                ip_network(network)
            except ValueError:
                return "networks", f"{network!r} is not a network: write 192.0.2.7/32 or 192.0.2.0/24"
        return None
