"""Colours of the console's header and whether text on them can be read. Pure."""

import re

READABLE = 4.5
"""Least contrast of text (WCAG 2.2, success criterion 1.4.3)."""

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}\Z")


def is_colour(text: str) -> bool:
    """Tell whether a text is a colour as ``#rrggbb``."""
    return _COLOUR.match(text) is not None


def contrast_with_white(colour: str) -> float:
    """Return the contrast ratio between white and a colour, in [1, 21] (WCAG 2.2, "contrast ratio").

    Args:
        colour: As ``#rrggbb``.
    """
    red, green, blue = (_linear(int(colour[at : at + 2], 16) / 255) for at in (1, 3, 5))
    return 1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05)


def _linear(part: float) -> float:
    """Return a part of an sRGB colour without its gamma (WCAG 2.2, "relative luminance")."""
    return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)
