"""Finds nominated extensions in the headers of a passthrough call: a route may be missing, or a header wrong. Pure."""

from collections.abc import Mapping

from recorder.calls.rules.identities import numbers_of
from recorder.rules.policy import Extension, extension_of
from sip.events import CallOffered


def has_nomination_hint(offered: CallOffered, extensions: Mapping[str, Extension]) -> bool:
    """Tell whether To, From or an identity header of an INVITE names a nominated extension, in any form."""
    return any(extension_of(extensions, number) is not None for number in numbers_of(offered))
