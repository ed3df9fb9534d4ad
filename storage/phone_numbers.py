"""The one form in which telephone numbers are compared: E.164 by the United Kingdom's plan. Pure.

A trunk, a PBX and a person write one number in many ways: ``07700 900555``, ``+44 (0)7700 900555``, ``00447700900555``,
``447700900555``. Rows keep what was received, and people are shown that. Whatever finds, holds or keeps a call by
number compares `normalise_number` of both sides, which the index has in columns of its own
(docs/adr/0077-one-form-of-a-number.md).
After a change of this rule a migration has to bring them over, as 0015 does.
"""

import re

_COUNTRY = "44"
"""Of the United Kingdom, with the Channel Islands and the Isle of Man."""
_DECORATION = re.compile(r"[\s().\-\u2010-\u2015\u2212\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")
"""Blanks, brackets, dots and hyphens, and the characters that word processors and address books use for them."""
_TRUNK_ZERO = re.compile(r"(?<=[0-9])([^0-9]*)\(0\)")
"""The 0 in ``+44 (0)20``, which is dialled only inside the country."""
_NATIONAL = re.compile(r"[1235789][0-9]{9}|[18][0-9]{8}")
"""A national number without its 0: ten digits, or nine in some areas and of freephone. None begins with 4 or 6."""
_LEAST_NATIONAL = 10
"""Fewest digits of a national number with its 0; a shorter one is an extension, a short code or a part of a number."""
_LEAST_INTERNATIONAL = 9
"""Fewest digits of an international number with its 00."""


def normalise_number(number: str) -> str:
    """Return a telephone number as E.164 (``+`` and digits); others only without blanks, brackets, dots and hyphens.

    ``0...`` is national, ``+...`` and ``00...`` are international, and so is ``44...`` if a whole national number
    follows. The trunk's 0 is dropped, as in ``+44 (0)20``. Extensions, short codes (999, 101, 1xxx) and words such as
    ``anonymous`` do not change. The form of a form is the same.

    Args:
        number: As signalled or typed.
    """
    is_international = "+" in number or number.lstrip().startswith("00")
    bare = _DECORATION.sub("", _TRUNK_ZERO.sub(r"\1", number) if is_international else number)
    digits = bare.lstrip("+")
    if not digits.isascii() or not digits.isdigit():
        return number.strip()
    has_code = bare.startswith("+")
    if digits.startswith("00") and len(digits) >= _LEAST_INTERNATIONAL:
        digits, has_code = digits[2:], True
    national = digits.removeprefix(_COUNTRY).lstrip("0")
    if digits.startswith("0"):  # the code of no country begins with 0: some gateways write + before a national number
        is_whole = len(digits) >= _LEAST_NATIONAL and national
        return f"+{_COUNTRY}{national}" if is_whole else bare
    if digits.startswith(_COUNTRY) and (has_code or _NATIONAL.fullmatch(national)):
        return f"+{_COUNTRY}{national}"
    return f"+{digits}" if has_code else bare
