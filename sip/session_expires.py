"""Negotiation of session timers (RFC 4028). Pure; `sip.session_timer` runs them."""

import re
from dataclasses import dataclass

from sip.message import RawMessage

_SECONDS = re.compile(r"\s*(\d{1,9})")
_REFRESHER = re.compile(r";\s*refresher\s*=\s*(uac|uas)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A Session-Expires header: seconds, and who refreshes (``uac``, ``uas``, or None if it does not say)."""

    seconds: int
    refresher: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """The session timer that a 2xx established.

    Attributes:
        seconds: Session interval: the session ends after so long without a refresh.
        is_ours: We refresh.
    """

    seconds: int
    is_ours: bool

    @property
    def refresh_s(self) -> float:
        """Seconds after which the refresher sends a refresh (section 7.2)."""
        return self.seconds / 2

    @property
    def expire_s(self) -> float:
        """Seconds without a refresh after which the session is ended with BYE (section 10)."""
        return self.seconds - min(32.0, self.seconds / 3)


def asked(message: RawMessage) -> Asked | None:
    """Return the Session-Expires of a message, or None."""
    value = message.value("session-expires")
    seconds = _SECONDS.match(value) if value is not None else None
    if value is None or seconds is None:
        return None
    refresher = _REFRESHER.search(value)
    return Asked(seconds=int(seconds.group(1)), refresher=refresher.group(1).lower() if refresher else None)


def min_se(message: RawMessage) -> int | None:
    """Return the shortest interval that a 422 allows, or None if it does not say."""
    value = message.value("min-se")
    seconds = _SECONDS.match(value) if value is not None else None
    return int(seconds.group(1)) if seconds else None


def is_too_short(message: RawMessage, least_s: int) -> bool:
    """Tell whether a request asks for too short an interval and its sender supports 422 (section 9)."""
    wanted = asked(message)
    return wanted is not None and wanted.seconds < least_s and "timer" in message.option_tags("supported")


def answer(message: RawMessage, *, own_s: int | None, least_s: int) -> Agreed | None:
    """Return the timer that our 2xx to a request establishes, or None (section 9).

    Args:
        message: The INVITE, re-INVITE or UPDATE of the peer.
        own_s: Interval that we propose if the peer supports session timers and asks for none; None proposes nothing.
        least_s: Shortest interval for us; shorter ones were refused if the peer supports 422.
    """
    wanted, is_known = asked(message), "timer" in message.option_tags("supported")
    if wanted is None:
        return Agreed(seconds=own_s, is_ours=True) if is_known and own_s is not None else None
    if wanted.seconds < least_s:
        return None
    return Agreed(seconds=wanted.seconds, is_ours=not is_known or wanted.refresher == "uas")


def answered(message: RawMessage) -> Agreed | None:
    """Return the timer that a 2xx to our request establishes, or None: the peer supports none (section 7.2)."""
    settled = asked(message)
    return None if settled is None else Agreed(seconds=settled.seconds, is_ours=settled.refresher != "uas")
