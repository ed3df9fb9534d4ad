"""Which phone programs this machine has, and which to use."""

import importlib.util
import shutil
from enum import StrEnum

from recorder.demo.phones.messages import PhoneError


class PhoneKind(StrEnum):
    """A program that can be a phone."""

    PJSUA2 = "pjsua2"
    BARESIP = "baresip"
    BUILT_IN = "built-in"
    """The recorder's own, which needs no other program."""


_MISSING = {
    PhoneKind.PJSUA2: "pjsua2 is not installed: pip install 'council-call-recorder[phones]', on Python 3.11 or 3.12",
    PhoneKind.BARESIP: "baresip is not installed: install the Debian package baresip-core",
}


def available() -> list[PhoneKind]:
    """Return the phone programs that this machine has, the preferred one first; the built-in phone is always there."""
    is_there = {
        PhoneKind.PJSUA2: importlib.util.find_spec("pjsua2") is not None,
        PhoneKind.BARESIP: shutil.which("baresip") is not None,
        PhoneKind.BUILT_IN: True,
    }
    return [kind for kind in PhoneKind if is_there[kind]]


def choose(wanted: PhoneKind | None = None) -> PhoneKind:
    """Return the phone to use: the wanted one, or else pjsua2, or else baresip, or else the built-in one.

    Raises:
        PhoneError: It is not installed; the message names the package.
    """
    there = available()
    if wanted is not None:
        if wanted not in there:
            raise PhoneError(_MISSING[wanted])
        return wanted
    return there[0]
