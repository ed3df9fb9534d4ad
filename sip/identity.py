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
        asserted: The first user that the peer asserts, or "" if it asserts none.
        claimed: User of the peer's own address in From or To.
        more: The other users that it asserts: further names of the same party.
    """

    asserted: str = ""
    claimed: str = ""
    more: tuple[str, ...] = ()

    @classmethod
    def of(cls, message: RawMessage) -> Self:
        """Return the identity that an INVITE gives."""
        first = asserted_user(message)
        return cls(
            asserted=first,
            claimed=user_part(message.value("from") or ""),
            more=_without(first, asserted_users(message)),
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Return every name of the party, the one that counts first."""
        return (self.asserted or self.claimed, *self.more)

    def answered_by(self, message: RawMessage) -> tuple[str | None, "Identity"]:
        """Take a response to our INVITE: return who answered, or None if it does not say, and the new identity."""
        first = asserted_user(message)
        more = _without(first, asserted_users(message, is_called=True))
        return first or None, replace(self, asserted=first, more=more)

    def seen_in(self, message: RawMessage, *, is_called: bool = False) -> tuple[str | None, "Identity"]:
        """Take a later request of the peer: return who is there now, or None for no change, and the new identity.

        P-Asserted-Identity goes before a From that has changed, and that before Remote-Party-ID. A request without an
        asserted identity withdraws none, and one with some of the known names only tells of nobody new.

        Args:
            message: The request.
            is_called: The peer is the called party of the dialog.
        """
        first, claimed = asserted_user(message), user_part(message.value("from") or "")
        users = asserted_users(message, is_called=is_called)
        if not first and claimed and claimed != self.claimed:
            return claimed, Identity(claimed=claimed, more=_without(claimed, users))
        if not users:
            return None, self
        if set(users) <= set(self.names):
            return None, replace(self, claimed=claimed)
        return users[0], Identity(asserted=users[0], claimed=claimed, more=users[1:])

    def shown(self, user: str) -> tuple[str | None, "Identity"]:
        """Take the user of an INFO (`display_number`); return the same as `seen_in`."""
        known = self.asserted or self.claimed
        return (None if user == known else user), replace(self, asserted=user, more=())


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


def asserted_users(message: RawMessage, *, is_called: bool = False) -> tuple[str, ...]:
    """Return every user that the peer asserts for its own side, each once.

    P-Asserted-Identity may have several values and lines, one SIP and one tel URI (RFC 3325 section 9.1).
    Remote-Party-ID comes after it, but for values that name the other party of the dialog.

    Args:
        message: A message of the peer.
        is_called: The peer is the called party of the dialog.
    """
    remote = _users_in(message, "remote-party-id", is_called=is_called)
    return tuple(dict.fromkeys([*_users_in(message, "p-asserted-identity"), *remote]))


_PARTY = re.compile(r";\s*party\s*=\s*\"?(calling|called)\b", re.IGNORECASE)


def _users_in(message: RawMessage, name: str, *, is_called: bool = False) -> Iterator[str]:
    other = "calling" if is_called else "called"
    for line in message.values(name):
        for value in split_values(line):
            user, party = user_part(value) or _bare_number(value), _PARTY.search(strip_quoted(value))
            if user and (party is None or party.group(1).lower() != other):
                yield user


def _without(first: str, users: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(user for user in users if user != first)


def _bare_number(address: str) -> str:
    """Return the number in ``"Ann" <2001>``, which FreeSWITCH writes in the place of a URI, or ""."""
    bare = strip_quoted(address)
    number = bare[bare.find("<") + 1 :].split(">", 1)[0].strip()
    return number if _NUMBER.fullmatch(number) else ""
