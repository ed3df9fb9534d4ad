"""Makes text from outside harmless for a terminal and for a spreadsheet, and compares names. Pure.

A name of a person, team or service, or a reference, has no characters that are not seen: controls, marks of direction,
blanks without width, separators of lines. With them, two names look the same, or one looks like another.
"""

import unicodedata

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First characters of cells that a spreadsheet evaluates."""
_UNITS = ("B", "kB", "MB", "GB", "TB")


_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Categories of Unicode whose characters are not seen, or change how others are shown."""
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and symbols by category that are shown as a blank, or not at all."""


def name_problem(text: str, what: str = "A name") -> str | None:
    """Return why a text cannot be a name, as a sentence, or None.

    Args:
        text: The name.
        what: What it is the name of, as the sentence begins.
    """
    hidden = next((c for c in text if unicodedata.category(c) in _HIDDEN or c in _BLANK), None)
    if hidden is None:
        return None
    return f"{what} has only characters that are seen: remove U+{ord(hidden):04X}."


def comparable(name: str) -> str:
    """Return the form by which names are compared: two with the same form are one name.

    Case, the number of blanks, characters that are not seen, and compatible forms of one character do not count.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    seen = (" " if c.isspace() else c for c in folded)
    return " ".join("".join(c for c in seen if unicodedata.category(c) not in _HIDDEN and c not in _BLANK).split())


def clean(text: object) -> str:
    """Return text with control characters made visible, so that a caller's name cannot control a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else f"\\x{ord(c):02x}" for c in str(text))


def one_line(text: object) -> str:
    """Return text as one line, so that a line break in a caller's name cannot look like another row."""
    return clean(text).replace("\n", "\\x0a")


def safe_cell(value: object) -> object:
    """Return a value that is safe in a spreadsheet: never a formula, never several lines."""
    if not isinstance(value, str):
        return value
    text = one_line(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def size_words(size: int) -> str:
    """Return a number of bytes for people, with three digits."""
    value, unit = float(size), 0
    while value >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.3g} {_UNITS[unit]}" if value < 1000 else f"{value:,.0f} {_UNITS[unit]}"
