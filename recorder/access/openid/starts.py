"""Sign-ins whose browser is at the provider. Kept in memory: a restart ends them.

Event loop only.
"""

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

WAIT_S = 600
"""How long a person may take at the provider, seconds."""
MOST = 4096
"""Most sign-ins kept; the oldest is dropped first. Floods from one address are limited earlier (`middleware`)."""


def _secret() -> str:
    return secrets.token_urlsafe(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A sign-in that was begun in one browser, and can be completed there only, once.

    Attributes:
        account: The account to connect, by its signed-in owner; None for a sign-in.
        session: The key of their session.
        wanted: The page that the person wanted when they were asked to sign in; empty for their first page.
        state: Sent to the provider and back.
        nonce: Sent to the provider and back in the ID token.
        verifier: The PKCE verifier, sent to the provider with the code.
        browser: The value of the browser's cookie.
    """

    account: str | None = None
    session: str | None = None
    wanted: str = ""
    state: str = field(default_factory=_secret, repr=False)
    nonce: str = field(default_factory=_secret, repr=False)
    verifier: str = field(default_factory=_secret, repr=False)
    browser: str = field(default_factory=_secret, repr=False)


class Starts:
    """The sign-ins that were begun.

    Args:
        clock: Returns seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._waiting: dict[str, tuple[float, Start]] = {}

    def keep(self, start: Start) -> None:
        """Keep a sign-in until its browser returns."""
        now = self._clock()
        while self._waiting:
            state, (until, _) = next(iter(self._waiting.items()))
            if until > now and len(self._waiting) < MOST:
                break  # the rest are newer
            del self._waiting[state]
        self._waiting[start.state] = (now + WAIT_S, start)

    def take(self, state: str, browser: str) -> Start | None:
        """Return and remove the sign-in of a returning browser; None if there is none, or another browser began it.

        Args:
            state: As it came back.
            browser: The cookie's value.
        """
        until, start = self._waiting.pop(state, (0.0, None))
        if start is None or until <= self._clock():
            return None
        is_same = hmac.compare_digest(start.browser.encode(), browser.encode("utf-8", "surrogateescape"))
        return start if is_same else None
