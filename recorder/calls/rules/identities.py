"""By which numbers the people on a call were known: each is searched by, so that nobody's call is missed. Pure."""

from collections.abc import Iterable, Iterator

from recorder.calls.rules.transfer import tells_nothing
from sip.events import CallOffered, Header
from sip.message import user_part

HEADERS = frozenset({"p-asserted-identity", "remote-party-id", "diversion", "history-info"})
"""Headers that name a party of a call, or one that it was meant for."""
MOST = 32
"""Numbers that are kept of one call: a peer may name as many as it likes."""
MAX_LENGTH = 80
"""A longer one is nobody's number or extension."""


class Identities:
    """The numbers of one call, in the order in which they were named."""

    def __init__(self) -> None:
        self._numbers: dict[str, bool] = {}
        """Whether it is a claim, by the number."""

    @property
    def numbers(self) -> tuple[str, ...]:
        """Return each number once."""
        return tuple(self._numbers)

    def add(self, numbers: Iterable[str], *, is_claim: bool = False) -> bool:
        """Take numbers by which somebody on the call goes.

        Args:
            numbers: The numbers.
            is_claim: They are only what a peer says, of which it may say any amount: headers such as Diversion. Claims
                make room for the numbers of those who are on the call, the latest claim first.

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
        """Forget the latest claim, if there is one."""
        latest = next((number for number in reversed(self._numbers) if self._numbers[number]), None)
        if latest is not None:
            del self._numbers[latest]
        return latest is not None


def signalled_parties(offered: CallOffered) -> tuple[str, ...]:
    """Return who calls and who was dialled, by an INVITE."""
    return (offered.request_user, offered.to_user, offered.from_user, offered.asserted_user or "")


def numbers_of(offered: CallOffered) -> Iterator[str]:
    """Yield every number that an INVITE names: who calls, who was dialled, and who was dialled before."""
    yield from signalled_parties(offered)
    yield from numbers_in(offered.headers)


def numbers_in(headers: Iterable[Header]) -> Iterator[str]:
    """Yield the numbers that headers name a party by."""
    for name, value in headers:
        if name.lower() in HEADERS:
            yield user_part(value)
