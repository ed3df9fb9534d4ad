"""Session timers as both ends agree on them (RFC 4028). Pure; what runs by them is `sip.session_timer`."""

import re
from dataclasses import dataclass

from sip.message import RawMessage

_SECONDS = re.compile(r"\s*(\d{1,9})")
_REFRESHER = re.compile(r";\s*refresher\s*=\s*(uac|uas)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A Session-Expires header: seconds, and who refreshes (``uac``, ``uas``, or None when that is left open)."""

    seconds: int
    refresher: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """What a 2xx settled.

    Attributes:
        seconds: Life of the session without a refresh.
        is_ours: We refresh.
    """

    seconds: int
    is_ours: bool

    @property
    def refresh_s(self) -> float:
        """Return the seconds after which whoever refreshes does so (section 7.2)."""
        return self.seconds / 2

    @property
    def expire_s(self) -> float:
        """Return the seconds after which a session that nobody refreshed is ended with BYE (section 10)."""
        return self.seconds - min(32.0, self.seconds / 3)


def asked(message: RawMessage) -> Asked | None:
    """Return what a message says of a session timer, or None."""
    value = message.value("session-expires")
    seconds = _SECONDS.match(value) if value is not None else None
    if value is None or seconds is None:
        return None
    refresher = _REFRESHER.search(value)
    return Asked(seconds=int(seconds.group(1)), refresher=refresher.group(1).lower() if refresher else None)


def min_se(message: RawMessage) -> int | None:
    """Return the shortest session that a 422 allows, or None when it does not say."""
    value = message.value("min-se")
    seconds = _SECONDS.match(value) if value is not None else None
    return int(seconds.group(1)) if seconds else None


def is_too_short(message: RawMessage, least_s: int) -> bool:
    """Tell whether a request asks for a session too short for us and knows what 422 means (section 9)."""
    wanted = asked(message)
    return wanted is not None and wanted.seconds < least_s and "timer" in message.option_tags("supported")


def answer(message: RawMessage, *, own_s: int | None, least_s: int) -> Agreed | None:
    """Return what our 2xx to a request settles, or None when the session has no timer (section 9).

    Args:
        message: The INVITE, re-INVITE or UPDATE of the peer.
        own_s: What we propose when the peer knows session timers and asks for none; None to propose nothing.
        least_s: Shortest session for us; shorter ones were refused where the peer understands 422.
    """
    wanted, is_known = asked(message), "timer" in message.option_tags("supported")
    if wanted is None:
        return Agreed(seconds=own_s, is_ours=True) if is_known and own_s is not None else None
    if wanted.seconds < least_s:
        return None
    return Agreed(seconds=wanted.seconds, is_ours=not is_known or wanted.refresher == "uas")


def answered(message: RawMessage) -> Agreed | None:
    """Return what a 2xx to a request of ours settles, or None: no timer, since the peer knows none (section 7.2)."""
    settled = asked(message)
    return None if settled is None else Agreed(seconds=settled.seconds, is_ours=settled.refresher != "uas")
