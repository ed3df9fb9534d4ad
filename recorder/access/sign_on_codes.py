"""Codes that prove a person's presence at a phone: shown on their page, keyed at the phone during a call. In memory."""

import hmac
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

DIGITS = 6
GOOD_FOR = timedelta(minutes=15)
"""How long a code is valid: enough for the next call to come."""
MAX_WRONG = 3
"""This many wrong entries at a phone invalidate every code for it."""
MOST_CODES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOnCode:
    """A code that has not been keyed yet.

    Attributes:
        digits: The code; never in repr or logs.
        extension: Where to key it.
        operator: The same person, as calls name them.
        until: When it expires.
    """

    digits: str
    extension: str
    account: str
    operator: str
    until: datetime

    def __repr__(self) -> str:
        return f"SignOnCode(extension={self.extension!r}, account={self.account!r})"


class SignOnCodes:
    """The codes that have not been keyed yet; safe from any thread.

    Args:
        now: Returns the time, aware, UTC.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._codes: dict[tuple[str, str], SignOnCode] = {}
        self._wrong: dict[str, int] = {}
        self._lock = threading.Lock()

    def issue(self, extension: str, *, account: str, operator: str, digits: str | None = None) -> SignOnCode:
        """Return a new code; an earlier one of the same account for the same phone becomes invalid.

        Args:
            extension: Where to key it.
            account: Whose it is.
            operator: The same person, as calls name them.
            digits: The code that another node has given them; None for a new one. One that somebody else has for the
                phone already is replaced by a new one.
        """
        with self._lock:
            now = self._now()
            self._codes = {key: one for key, one in self._codes.items() if one.until > now}
            taken = {one.digits for one in self._codes.values() if one.extension == extension}
            if digits is None or digits in taken:
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
        """Return the code keyed at a phone and use it up; None if it is not valid."""
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
