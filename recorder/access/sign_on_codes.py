"""Codes that prove that somebody is at a phone: shown on their page, keyed at that phone during a call. In memory."""

import hmac
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

DIGITS = 6
GOOD_FOR = timedelta(minutes=15)
"""Long enough for the next call to come."""
MAX_WRONG = 3
"""So many wrong entries at a phone end every code for it."""
MOST_CODES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOnCode:
    """A code that waits to be keyed.

    Attributes:
        digits: The code; never shown by repr or log.
        extension: Where it has to be keyed.
        account: Who asked for it.
        operator: The same, as calls name them.
        until: Until when it is good.
    """

    digits: str
    extension: str
    account: str
    operator: str
    until: datetime

    def __repr__(self) -> str:
        return f"SignOnCode(extension={self.extension!r}, account={self.account!r})"


class SignOnCodes:
    """The codes that wait; safe from any thread.

    Args:
        now: Returns the time, aware, UTC.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._codes: dict[tuple[str, str], SignOnCode] = {}
        self._wrong: dict[str, int] = {}
        self._lock = threading.Lock()

    def issue(self, extension: str, *, account: str, operator: str) -> SignOnCode:
        """Return a new code; one that the same account had for the same phone is good no more."""
        with self._lock:
            now = self._now()
            self._codes = {key: one for key, one in self._codes.items() if one.until > now}
            taken = {one.digits for one in self._codes.values() if one.extension == extension}
            digits = next(code for code in iter(_random, None) if code not in taken)
            made = SignOnCode(
                digits=digits, extension=extension, account=account, operator=operator, until=now + GOOD_FOR
            )
            self._codes.pop((extension, account), None)
            self._codes[extension, account] = made
            if len(self._codes) > MOST_CODES:  # the oldest goes first
                del self._codes[next(iter(self._codes))]
            return made

    def take(self, extension: str, keyed: str) -> SignOnCode | None:
        """Return whose code was keyed at a phone, which is used up by this; None: nobody's."""
        with self._lock:
            now = self._now()
            waiting = [one for one in self._codes.values() if one.extension == extension and one.until > now]
            found = next((one for one in waiting if hmac.compare_digest(one.digits, keyed)), None)
            if found is not None:
                del self._codes[extension, found.account]
                self._wrong.pop(extension, None)
                return found
            if waiting:
                self._count_wrong(extension)
            return None

    def _count_wrong(self, extension: str) -> None:
        self._wrong[extension] = self._wrong.get(extension, 0) + 1
        if self._wrong[extension] >= MAX_WRONG:
            del self._wrong[extension]
            self._codes = {key: one for key, one in self._codes.items() if one.extension != extension}


def _random() -> str:
    return f"{secrets.randbelow(10**DIGITS):0{DIGITS}d}"
