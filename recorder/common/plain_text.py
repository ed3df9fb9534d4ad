"""Makes text from outside harmless for a terminal and for a spreadsheet. Pure."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First characters of cells that a spreadsheet evaluates."""
_UNITS = ("B", "kB", "MB", "GB", "TB")


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
