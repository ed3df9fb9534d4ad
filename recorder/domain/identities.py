"""By which numbers the people on a call were known: each is searched by, so that nobody's call is missed. Pure."""

from collections.abc import Iterable, Iterator

from recorder.domain.transfer import tells_nothing
from sip.events import CallOffered, Header
from sip.message import user_part

HEADERS = frozenset({"p-asserted-identity", "remote-party-id", "diversion", "history-info"})
"""Headers that name a party of a call, or one that it was meant for."""
MOST = 32
"""Numbers that are kept of one call: a peer may name as many as it likes."""


class Identities:
    """The numbers of one call, in the order in which they were named."""

    def __init__(self) -> None:
        self._numbers: dict[str, None] = {}

    @property
    def numbers(self) -> tuple[str, ...]:
        """Return each number once."""
        return tuple(self._numbers)

    def add(self, numbers: Iterable[str]) -> bool:
        """Take numbers by which somebody on the call goes; tells whether one of them is new."""
        before = len(self._numbers)
        for number in numbers:
            if not tells_nothing(number) and len(self._numbers) < MOST:
                self._numbers.setdefault(number)
        return len(self._numbers) > before


def numbers_of(offered: CallOffered) -> Iterator[str]:
    """Yield every number that an INVITE names: who calls, who was dialled, and who was dialled before."""
    yield offered.request_user
    yield offered.to_user
    yield offered.from_user
    yield offered.asserted_user or ""
    yield from numbers_in(offered.headers)


def numbers_in(headers: Iterable[Header]) -> Iterator[str]:
    """Yield the numbers that headers name a party by."""
    for name, value in headers:
        if name.lower() in HEADERS:
            yield user_part(value)
