"""Parses the search form. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from recorder.rules.typed_dates import TypedDateError, date_of, date_typed, moment_in, time_typed
from storage.types import Outcome, Search

PAGE_SIZE = 50
MAX_PAGE = 1000
"""Last page that can be opened: it costs as much as 50,000 index entries; filter by date instead."""
LONGEST_TEXT = 100
FIELDS = ("from_date", "from_time", "to_date", "to_time", "operator", "extension", "number", "outcome", "page",
          "service", "team", "preset")  # fmt: skip


DATE_PARTS = tuple(f"{side}_date-{part}" for side in ("from", "to") for part in ("day", "month", "year"))
"""Fields of the two date inputs; a date may be typed into one field instead."""
_DATES = ("from_date", "from_time", "to_date", "to_time", *DATE_PARTS)


class Preset(StrEnum):
    """A period that is chosen instead of typed."""

    TODAY = "today"
    LAST_7_DAYS = "last_7_days"


def preset_range(preset: Preset, now: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return a period, UTC: whole days of the site, the present one included."""
    today = now.astimezone(zone).date()
    first = today if preset is Preset.TODAY else today - timedelta(days=6)
    start, end = (datetime.combine(day, time(0), zone).astimezone(UTC) for day in (first, today + timedelta(days=1)))
    return start, end


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A parsed search form.

    Attributes:
        search: The search, without values that are invalid.
        page: Page number, from 1.
        typed: The values as typed, to show again.
        errors: Error messages by field.
    """

    search: Search
    page: int
    typed: Mapping[str, str]
    errors: Mapping[str, str] = field(default_factory=dict)


def read_form(sent: Mapping[str, str], timezone: str, *, now: datetime | None = None) -> Form:
    """Parse the search form; dates and times are in the site's time zone.

    "To" includes the day, or the minute, that it names. Where the clocks go back, a range includes both hours. Typed
    dates go before a preset.

    Args:
        sent: The values by field.
        timezone: IANA name of the zone.
        now: The current time, for presets; None where a form has none.
    """
    values = {name: sent.get(name, "").strip()[:LONGEST_TEXT] for name in (*FIELDS, *DATE_PARTS)}
    errors: dict[str, str] = {}
    zone = ZoneInfo(timezone)
    start = _moment(values, "from", zone, errors)
    end = _moment(values, "to", zone, errors)
    if end is not None:
        end += timedelta(minutes=1) if values["to_time"] else timedelta(0)
    if now is not None and values["preset"] in {*Preset} and not any(values[one] for one in _DATES):
        start, end = preset_range(Preset(values["preset"]), now, zone)
    if start is not None and end is not None and end <= start:
        errors["to_date"] = "The end must be after the beginning."
    outcome = _outcome(values["outcome"], errors)
    page = _page(values["page"])
    search = Search(
        started_from=start,
        started_to=end,
        operator=values["operator"] or None,
        extension=values["extension"] or None,
        number=values["number"] or None,
        outcome=outcome,
        service=values["service"] or None,
        team=values["team"] or None,
        limit=PAGE_SIZE,
        offset=(page - 1) * PAGE_SIZE,
    )
    return Form(search=search, page=page, typed=values, errors=errors)


def _moment(values: Mapping[str, str], which: str, zone: ZoneInfo, errors: dict[str, str]) -> datetime | None:
    day_text, time_text = values[f"{which}_date"], values[f"{which}_time"]
    parts = [values[f"{which}_date-{part}"] for part in ("day", "month", "year")]
    if not (day_text or any(parts)):
        if time_text:
            errors[f"{which}_date"] = "Enter the date as well as the time."
        return None
    try:
        day = date_of(*parts) if any(parts) else date_typed(day_text)
    except TypedDateError as error:
        errors[f"{which}_date"] = f"{error}."
        return None
    try:
        typed = datetime.combine(day, time_typed(time_text)) if time_text else day
        return moment_in(typed, zone, is_end=which == "to")
    except TypedDateError as error:
        errors[f"{which}_time"] = f"{error}."
        return None


def _outcome(text: str, errors: dict[str, str]) -> Outcome | None:
    if not text:
        return None
    try:
        return Outcome(text)
    except ValueError:
        errors["outcome"] = "Select a result from the list."
        return None


def _page(text: str) -> int:
    return min(max(int(text), 1), MAX_PAGE) if text.isascii() and text.isdigit() and len(text) < 7 else 1
