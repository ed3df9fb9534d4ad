"""Sign-ins that wait for their browser to come back from the provider. Kept in memory: a restart ends them.

Used by the event loop alone.
"""

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

WAIT_S = 600
"""How long somebody may take at the provider."""
MOST = 4096
"""What is remembered; the oldest is forgotten first. A flood of an address is held up before (`middleware`)."""


def _secret() -> str:
    return secrets.token_urlsafe(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A sign-in that was begun in one browser, and can be ended there only, once.

    Attributes:
        account: The account that is to be connected, by whoever is signed in to it; None: this is a sign-in.
        session: The key of their session.
        state: Goes to the provider and comes back.
        nonce: Goes to the provider and comes back in the ID token.
        verifier: Of PKCE; goes to the provider with the code alone.
        browser: The value of the cookie that the browser was given.
    """

    account: str | None = None
    session: str | None = None
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
        """Remember one until its browser is back."""
        now = self._clock()
        for state, (until, _) in list(self._waiting.items()):
            if until > now and len(self._waiting) < MOST:
                break  # the others came later
            del self._waiting[state]
        self._waiting[start.state] = (now + WAIT_S, start)

    def take(self, state: str, browser: str) -> Start | None:
        """Return the sign-in of a browser that is back, and forget it; None when there is none, or not of this browser.

        Args:
            state: As it came back.
            browser: The cookie's value.
        """
        until, start = self._waiting.pop(state, (0.0, None))
        if start is None or until <= self._clock():
            return None
        is_same = hmac.compare_digest(start.browser.encode(), browser.encode("utf-8", "surrogateescape"))
        return start if is_same else None
