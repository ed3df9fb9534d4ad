"""The title of a recording: who spoke with whom, and when. Pure."""

from zoneinfo import ZoneInfo

from recorder.rules import times
from storage.types import RecordingRow

_AREAS_OF_TWO = ("20", "23", "24", "28", "29")
"""UK area codes of two digits after the 0; their local numbers have eight."""
_AREAS_OF_THREE = ("113", "114", "115", "116", "117", "118", "121", "131", "141", "151", "161", "191")


def title_of(row: RecordingRow, zone: ZoneInfo, *, has_number: bool = True) -> str:
    """Return ``Olive Officer with 020 7946 0000, 24 November 2026, 9:30am``.

    Args:
        row: The row as it is shown to the person, so that a number may be masked.
        zone: The site's time zone.
        has_number: Whether it names the other party. The title of a document does not: browsers keep it in their
            history, and may copy that to a service.
    """
    return f"{who_of(row, has_number=has_number)}, {times.moment(row.started_at, zone)}"


def who_of(row: RecordingRow, *, has_number: bool = True) -> str:
    """Return who spoke with whom: ``Olive Officer with 020 7946 0000``."""
    officer = row.operator or (f"extension {row.extension}" if row.extension else "An officer")
    other = row.called if row.direction == "outbound" else row.caller
    return f"{officer} with {spaced(other)}" if other and has_number else officer


def spaced(number: str) -> str:
    """Return a UK number with the spaces that people write; anything else as it is."""
    if not (number.isascii() and number.isdigit() and len(number) == 11 and number.startswith("0")):
        return number
    if number[1:3] in _AREAS_OF_TWO:
        return f"{number[:3]} {number[3:7]} {number[7:]}"
    if number[1:4] in _AREAS_OF_THREE or number[1] in "389":
        return f"{number[:4]} {number[4:7]} {number[7:]}"
    return f"{number[:5]} {number[5:]}"
