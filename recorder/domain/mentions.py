"""Whether a call that is passed through names a nominated extension: a rule is missing, or somebody lies. Pure."""

from collections.abc import Container, Iterator

from sip.events import CallOffered
from sip.message import user_part

IDENTITY = frozenset({"p-asserted-identity", "remote-party-id", "diversion", "history-info"})


def mentions(offered: CallOffered, numbers: Container[str]) -> bool:
    """Tell whether To, From or an identity header of a call names one of the numbers."""
    return any(number in numbers for number in _numbers(offered))


def _numbers(offered: CallOffered) -> Iterator[str]:
    yield offered.request_user
    yield offered.to_user
    yield offered.from_user
    yield offered.asserted_user or ""
    for name, value in offered.headers:
        if name.lower() in IDENTITY:
            yield user_part(value)
