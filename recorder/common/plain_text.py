"""Text that somebody else may have chosen, made harmless for a terminal and for a spreadsheet. Pure."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A cell that begins so is run by a spreadsheet."""


def clean(text: object) -> str:
    """Return text with control characters in view, so that a caller's name cannot drive a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else f"\\x{ord(c):02x}" for c in str(text))


def one_line(text: object) -> str:
    """Return text as one line: a line break in a caller's name must not look like another row."""
    return clean(text).replace("\n", "\\x0a")


def safe_cell(value: object) -> object:
    """Return a value as a spreadsheet may see it: a name is never a formula, nor a line of its own."""
    if not isinstance(value, str):
        return value
    text = one_line(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
