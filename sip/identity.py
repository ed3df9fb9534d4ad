"""Who is at the other end of a dialog, as the peer names them (RFC 3325, RFC 4916). Pure.

A transfer inside a PBX shows only here: the same dialog, another name.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

from sip.message import RawMessage, split_values, strip_quoted, user_part


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The identity that a peer gave last.

    Attributes:
        asserted: User of P-Asserted-Identity, or "" if there was none.
        claimed: User of the peer's own address in From or To.
    """

    asserted: str = ""
    claimed: str = ""

    @classmethod
    def of(cls, message: RawMessage) -> Self:
        """Return the identity that an INVITE gives."""
        return cls(asserted=asserted_user(message), claimed=user_part(message.value("from") or ""))

    def answered_by(self, message: RawMessage) -> tuple[str | None, "Identity"]:
        """Take a response to our INVITE: return who answered, or None if it does not say, and the new identity."""
        asserted = asserted_user(message)
        return asserted or None, replace(self, asserted=asserted)

    def seen_in(self, message: RawMessage) -> tuple[str | None, "Identity"]:
        """Take a later request of the peer: return who is there now, or None for no change, and the new identity.

        An asserted identity goes before a claimed one; a request without an asserted identity withdraws none.
        """
        asserted, claimed = asserted_user(message), user_part(message.value("from") or "")
        if asserted:
            known = self.asserted or self.claimed
            return (None if asserted == known else asserted), Identity(asserted=asserted, claimed=claimed)
        if not claimed or claimed == self.claimed:
            return None, self
        return claimed, Identity(claimed=claimed)

    def shown(self, user: str) -> tuple[str | None, "Identity"]:
        """Take the user of an INFO (`display_number`); return the same as `seen_in`."""
        known = self.asserted or self.claimed
        return (None if user == known else user), replace(self, asserted=user)


DISPLAY_TYPE = "message/update_display"
"""Type of the INFO by which one FreeSWITCH tells another who is at its end now."""

_NUMBER = re.compile(r"[\w.*#+-]{1,64}", re.ASCII)


def is_display_update(message: RawMessage) -> bool:
    """Tell whether an INFO says who is at the peer's end now."""
    return (message.value("content-type") or "").split(";", 1)[0].strip().lower() == DISPLAY_TYPE


def display_number(message: RawMessage) -> str:
    """Return the number that such an INFO names in its header ``X-FS-Display-Number``, or ""."""
    value = message.value("x-fs-display-number") or ""
    return user_part(value) or _bare_number(value)


def asserted_user(message: RawMessage) -> str:
    """Return the user of the first P-Asserted-Identity, or a bare number in its place, or ""."""
    return next(_users_in(message, "p-asserted-identity"), "")


def asserted_users(message: RawMessage) -> tuple[str, ...]:
    """Return every user that the peer asserts for its own side, each once.

    P-Asserted-Identity may have several values and lines, one SIP and one tel URI (RFC 3325 section 9.1).
    Remote-Party-ID comes after it, but for values that name the called party.
    """
    return tuple(dict.fromkeys([*_users_in(message, "p-asserted-identity"), *_users_in(message, "remote-party-id")]))


_IS_CALLED = re.compile(r";\s*party\s*=\s*\"?called\b", re.IGNORECASE)


def _users_in(message: RawMessage, name: str) -> Iterator[str]:
    for line in message.values(name):
        for value in split_values(line):
            user = user_part(value) or _bare_number(value)
            if user and _IS_CALLED.search(strip_quoted(value)) is None:
                yield user


def _bare_number(address: str) -> str:
    """Return the number in ``"Ann" <2001>``, which FreeSWITCH writes in the place of a URI, or ""."""
    bare = strip_quoted(address)
    number = bare[bare.find("<") + 1 :].split(">", 1)[0].strip()
    return number if _NUMBER.fullmatch(number) else ""
