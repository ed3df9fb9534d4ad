"""TLS certificates of SIP and the console: whether they can be used, and when they expire."""

import logging
import stat
from collections.abc import Iterator
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Protocol

from recorder.config.settings import Config
from recorder.config.sip_transports import tls_options
from recorder.rules import times
from recorder.service.findings import SiteFinding, error, ok, warning
from sip.options import Address, TlsOptions, TransportKind
from sip.tls import TlsFilesError, days_left, load

_log = logging.getLogger(__name__)

SOON_DAYS = 30
"""Days before expiry at which the alarm begins: certificate authorities need time."""

CHECK_S = 24 * 3600.0
"""How often the daemon logs an expiring certificate, seconds."""


class Carrier(Protocol):
    """What the health report needs of SIP; `sip.endpoint.SipEndpoint` in production."""

    @property
    def addresses(self) -> dict[TransportKind, Address]:
        """Addresses that SIP is bound to."""

    @property
    def connections(self) -> int:
        """Number of TCP and TLS connections."""

    @property
    def certificate_expires_at(self) -> datetime | None:
        """When the recorder's certificate expires, or None without TLS."""


def health(carrier: Carrier, now: datetime) -> dict[str, Any]:
    """Return the state of the SIP transports, with an alarm if the certificate expires soon."""
    expires_at = carrier.certificate_expires_at
    is_ending = expires_at is not None and days_left(expires_at, now) < SOON_DAYS
    return {
        "listening": [str(address) for address in carrier.addresses.values()],
        "connections": carrier.connections,
        "certificate_expires_at": expires_at.isoformat() if expires_at is not None else None,
        "alarms": {"tls_certificate_ends": 1} if is_ending else {},
    }


def warn_of_end(expires_at: datetime | None, now: datetime) -> None:
    """Log that the certificate of SIP expires soon, if it does."""
    if expires_at is not None and (left := days_left(expires_at, now)) < SOON_DAYS:
        _log.error(
            "the TLS certificate expires in %d days, at %s; renew it and run `recorder reload`", left, expires_at
        )


def check_tls(config: Config, now: datetime) -> Iterator[SiteFinding]:
    """Check the TLS certificates of SIP and the console."""
    sip = tls_options(config.sip)
    if sip is not None:
        again = "renew it, then `recorder reload`"
        yield from _check("TLS", sip, now, program="recorder", section="[sip]", who="peers that verify it", again=again)
    if config.console.tls is not None:
        certificate, key = config.console.tls
        options = TlsOptions(certificate=certificate, private_key=key)
        again = "renew it, then restart the console"
        yield from _check(
            "console TLS", options, now, program="console", section="[console]", who="browsers", again=again
        )
    elif config.console.listen is not None and not _is_loopback(config.console.listen):
        yield error(
            "console TLS", f"the console speaks plain HTTP on {config.console.listen}",
            why="anybody on that network can read passwords, codes and audio",
            do="set tls_certificate and tls_key in [console], or use a proxy and a loopback address",
        )  # fmt: skip


def _is_loopback(address: Address) -> bool:
    try:
        return ip_address(address.host).is_loopback
    except ValueError:
        return address.host == "localhost"


def _check(
    what: str, options: TlsOptions, now: datetime, *, program: str, section: str, who: str, again: str
) -> Iterator[SiteFinding]:
    try:
        expires_at = load(options).expires_at
    except TlsFilesError as problem:
        yield error(
            f"{what} certificate", str(problem), why=f"the {program} does not start", do=f"give PEM files in {section}",
        )  # fmt: skip
        return
    left, day = days_left(expires_at, now), times.day(expires_at)
    if left < 0:
        yield error(f"{what} certificate", f"it ended on {day}", why=f"{who} refuse the connection", do=again)
    elif left < SOON_DAYS:
        says = f"it ends on {day}, in {left} days"
        yield warning(f"{what} certificate", says, why=f"from then on {who} refuse the connection", do=again)
    else:
        yield ok(f"{what} certificate", f"good until {day}")
    if stat.S_IMODE(Path(options.private_key).stat().st_mode) & 0o077:
        yield warning(
            f"{what} key", f"others than the owner have rights on {options.private_key}",
            why="anybody who has it can impersonate this recorder", do="chmod 0600",
        )  # fmt: skip
