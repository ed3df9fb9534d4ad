"""Whether a call that is passed through names a nominated extension: a rule is missing, or somebody lies. Pure."""

from collections.abc import Container

from recorder.domain.identities import numbers_of
from sip.events import CallOffered


def mentions(offered: CallOffered, numbers: Container[str]) -> bool:
    """Tell whether To, From or an identity header of a call names one of the numbers."""
    return any(number in numbers for number in numbers_of(offered))
