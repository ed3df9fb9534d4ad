"""Answers 401 and 407 challenges for the requests of one dialog or registration (RFC 3261 section 22).

Call thread only. Knows sippy; see `sip.reactor`.
"""

import secrets
from dataclasses import dataclass, field

from sip.digest import Challenge, Credentials, answer, challenge_of, strongest
from sip.message import RawMessage
from sip.message_io import raw_header
from sip.reactor import Sippy

MAX_TRIES = 4
"""Challenges answered for one request: a proxy's, the server's, and each again with a new nonce."""

_NAMES = {401: "www-authenticate", 407: "proxy-authenticate"}


@dataclass(slots=True)
class _Answered:
    """A known challenge; further requests are signed for it in advance."""

    challenge: Challenge
    cnonce: str = field(default_factory=lambda: secrets.token_hex(8))
    count: int = 0


class Authorization:
    """The challenges that a peer made in one dialog, and the answers to them."""

    def __init__(self) -> None:
        self._answered: dict[tuple[str, bool], _Answered] = {}

    def take(self, status: int, message: RawMessage) -> bool:
        """Take a 401 or 407; return whether it has a new challenge that can be answered.

        The same realm again with a nonce that is not stale means that the account is wrong.
        """
        challenges = [challenge_of(value, is_proxy=status == 407) for value in message.values(_NAMES[status])]
        is_new = False
        for challenge in strongest(found for found in challenges if found is not None):
            key = (challenge.realm, challenge.is_proxy)
            known = self._answered.get(key)
            # A server may refuse a nonce that an earlier request used without saying that it is stale.
            if known is None or challenge.is_stale or known.count > 1:
                self._answered[key] = _Answered(challenge)
                is_new = True
        return is_new

    def sign(self, request: Sippy, uri: str, account: Credentials | None) -> None:
        """Put the answers to all known challenges into a request; those of an earlier try are replaced."""
        for name in ("authorization", "proxy-authorization"):
            request.delHFs(name)
        if account is None:
            return
        for known in self._answered.values():
            known.count += 1
            value = answer(
                known.challenge,
                account,
                method=request.getMethod(),
                uri=uri,
                count=known.count,
                cnonce=known.cnonce,
            )
            request.appendHeader(raw_header(known.challenge.header, value))


def is_challenge(status: int) -> bool:
    """Tell whether a status is a challenge: 401 or 407."""
    return status in _NAMES
