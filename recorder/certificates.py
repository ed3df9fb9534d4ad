"""The certificate that SIP over TLS shows: whether it can be used, and for how much longer."""

import stat
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from recorder.carriage import tls_options
from recorder.config import Config
from recorder.site_check import Finding, Level, error, warning
from sip.options import Address, TransportKind
from sip.tls import TlsFilesError, days_left, load

SOON_DAYS = 30
"""A certificate that ends within so many days is an alarm: authorities take their time."""

CHECK_S = 24 * 3600.0
"""How often the daemon's log says so."""


class Carrier(Protocol):
    """What is asked of the endpoint; `sip.b2bua.SipEndpoint` is the real one."""

    @property
    def addresses(self) -> dict[TransportKind, Address]:
        """Every address bound."""

    @property
    def connections(self) -> int:
        """How many TCP and TLS connections there are."""

    @property
    def certificate_expires_at(self) -> datetime | None:
        """When our certificate ends, or None without TLS."""


def health(carrier: Carrier, now: datetime) -> dict[str, Any]:
    """Return how SIP is carried, with an alarm for a certificate that ends soon."""
    expires_at = carrier.certificate_expires_at
    is_ending = expires_at is not None and days_left(expires_at, now) < SOON_DAYS
    return {
        "listening": [str(address) for address in carrier.addresses.values()],
        "connections": carrier.connections,
        "certificate_expires_at": expires_at.isoformat() if expires_at is not None else None,
        "alarms": {"tls_certificate_ends": 1} if is_ending else {},
    }


def check_tls(config: Config, now: datetime) -> Iterator[Finding]:
    """Look whether TLS can be spoken, and until when."""
    options = tls_options(config.sip)
    if options is None:
        return
    what = "TLS certificate"
    try:
        expires_at = load(options).expires_at
    except TlsFilesError as problem:
        yield error(
            what, str(problem), why="the recorder does not start", do="give PEM files in [sip]; docs/integration",
        )  # fmt: skip
        return
    left, day = days_left(expires_at, now), expires_at.date().isoformat()
    if left < 0:
        yield error(
            what, f"it ended on {day}", why="peers that verify it refuse the connection, and calls with it",
            do="renew it, then `recorder reload`",
        )  # fmt: skip
    elif left < SOON_DAYS:
        yield warning(
            what, f"it ends on {day}, in {left} days", why="from then on peers refuse the connection",
            do="renew it, then `recorder reload`",
        )  # fmt: skip
    else:
        yield Finding(level=Level.OK, what=what, says=f"good until {day}")
    if stat.S_IMODE(Path(options.private_key).stat().st_mode) & 0o077:
        yield warning(
            "TLS key", f"others than the owner have rights on {options.private_key}",
            why="whoever has it can pass for this recorder", do="chmod 0600",
        )  # fmt: skip
