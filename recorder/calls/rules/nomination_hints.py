"""Whether a call that is passed through names a nominated extension: a rule is missing, or somebody lies. Pure."""

from collections.abc import Mapping

from recorder.calls.rules.identities import numbers_of
from recorder.rules.policy import Extension, extension_of
from sip.events import CallOffered


def has_nomination_hint(offered: CallOffered, extensions: Mapping[str, Extension]) -> bool:
    """Tell whether To, From or an identity header of a call names a nominated extension, however it is written."""
    return any(extension_of(extensions, number) is not None for number in numbers_of(offered))
