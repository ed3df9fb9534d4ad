"""Writes calls as CSV for a spreadsheet: one line a call, as the person may see it. Pure."""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from zoneinfo import ZoneInfo

from recorder.recordings.lengths import flags_of, lengths_of
from recorder.rules import wording
from storage.types import RecordingRow

HEADINGS = (
    "Id", "Began", "Officer", "Extension", "Service", "Team", "Direction", "Caller", "Called", "Outcome", "Reason",
    "Length of the call in seconds", "Recorded seconds", "Paused", "Opted out", "Held",
)  # fmt: skip
_NUMBER = re.compile(r"\+?[0-9* ]+", re.ASCII)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_of(rows: Iterable[RecordingRow], zone: ZoneInfo) -> Iterator[bytes]:
    """Yield the lines, headings first; times are of the site, ``2026-11-28 05:46:09``.

    Args:
        rows: As the person may see them, with numbers masked.
        zone: Time zone of the site.
    """
    yield "\ufeff".encode()  # by which spreadsheets know that it is UTF-8
    yield _line(HEADINGS)
    for row in rows:
        lengths, flags = lengths_of(row), flags_of(row)
        yield _line(
            (
                row.id, f"{row.started_at.astimezone(zone):%Y-%m-%d %H:%M:%S}", row.operator, row.extension,
                row.service, row.team, row.direction, row.caller, row.called, wording.words(row.outcome),
                wording.outcome_reason(row.reason), f"{lengths.call_s:g}", f"{lengths.recorded_s:g}",
                *("yes" if one else "no" for one in (flags.was_paused, flags.is_opted_out, flags.is_held)),
            )
        )  # fmt: skip


def _line(cells: Iterable[str]) -> bytes:
    written = io.StringIO()
    csv.writer(written).writerow([_harmless(cell) for cell in cells])
    return written.getvalue().encode()


def _harmless(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA) and not _NUMBER.fullmatch(cell) else cell
