"""The numbers by which the parties of a call were named, so that a search by any of them finds the call. Pure."""

from collections.abc import Iterable, Iterator

from recorder.calls.rules.transfer import tells_nothing
from sip.events import CallOffered, Header
from sip.message import split_values, user_part

HEADERS = frozenset({"p-asserted-identity", "remote-party-id", "diversion", "history-info"})
"""Headers that name a party of a call, or a party to whom it was addressed."""
MOST = 32
"""Most numbers of one call, because a peer may send any amount."""
MAX_LENGTH = 80
"""Longest number or extension, characters; longer ones are ignored."""


class Identities:
    """The numbers of one call, in the order in which they were named."""

    def __init__(self) -> None:
        self._numbers: dict[str, bool] = {}
        """For each number whether it is a claim."""

    @property
    def numbers(self) -> tuple[str, ...]:
        """Return the numbers in the order in which they were named."""
        return tuple(self._numbers)

    def add(self, numbers: Iterable[str], *, is_claim: bool = False) -> bool:
        """Add numbers of a party; when there are `MOST`, a number that is no claim replaces the latest claim.

        Args:
            numbers: The numbers.
            is_claim: A peer asserted them in headers such as Diversion, of which it may send any amount.

        Returns:
            Whether one of them is new.
        """
        is_changed = False
        for number in numbers:
            if tells_nothing(number) or len(number) > MAX_LENGTH:
                continue
            if number in self._numbers:
                self._numbers[number] = self._numbers[number] and is_claim
            elif len(self._numbers) < MOST or (not is_claim and self._make_room()):
                self._numbers[number] = is_claim
                is_changed = True
        return is_changed

    def _make_room(self) -> bool:
        latest = next((number for number in reversed(self._numbers) if self._numbers[number]), None)
        if latest is not None:
            del self._numbers[latest]
        return latest is not None


def signalled_parties(offered: CallOffered) -> tuple[str, ...]:
    """Return the numbers of caller and called party in an INVITE."""
    return (offered.request_user, offered.to_user, offered.from_user, offered.asserted_user or "")


def numbers_of(offered: CallOffered) -> Iterator[str]:
    """Yield every number in an INVITE: caller, called party, and parties who were called before."""
    yield from signalled_parties(offered)
    yield from numbers_in(offered.headers)


def numbers_in(headers: Iterable[Header]) -> Iterator[str]:
    """Yield the numbers in headers that name a party; a line may have several values."""
    for name, value in headers:
        if name.lower() in HEADERS:
            yield from map(user_part, split_values(value))
