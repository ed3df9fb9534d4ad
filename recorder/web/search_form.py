"""The search form as it is sent and as it is shown again. Pure."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from recorder.rules.typed_dates import TypedDateError, date_of, date_typed
from recorder.web.filters import DATE_PARTS, FIELDS, LONGEST_TEXT, Form, Preset, preset_range
from recorder.web.forms import TypedForm

_SIDES = ("from", "to")
_NEXT_TO = 1
"""Pages on either side of the present one that have a link, besides the first and the last."""


def fields_of(sent: TypedForm, now: datetime, zone: ZoneInfo) -> dict[str, str]:
    """Return the fields of a search form, for `recorder.web.filters.read_form`.

    A button with a period replaces the dates, so that the form shows what was searched for.

    Args:
        sent: The form.
        now: The current time.
        zone: The site's time zone.
    """
    fields = {name: sent[name] for name in (*FIELDS, *DATE_PARTS)}
    preset = fields.pop("preset")
    if preset in {*Preset}:
        first, after = preset_range(Preset(preset), now, zone)
        days = {"from": first.astimezone(zone).date(), "to": after.astimezone(zone).date() - timedelta(days=1)}
        for side, day in days.items():
            fields |= {f"{side}_date": day.isoformat(), f"{side}_time": ""}
        fields |= dict.fromkeys(DATE_PARTS, "")
    return fields


def address_of(path: str, typed: Mapping[str, str], *, page: int | str = 1) -> str:
    """Return the address of a search: what was typed, without empty fields, and each date as ``2026-11-28``.

    A period that was chosen goes before dates. A date that cannot be read keeps its parts, for its error.

    Args:
        path: The page that searches.
        typed: The values by field; others are left out.
        page: Page of results; the first is not named.
    """
    fields = {name: typed.get(name, "").strip()[:LONGEST_TEXT] for name in (*FIELDS, *DATE_PARTS)}
    if fields["preset"] in {*Preset}:
        fields |= dict.fromkeys((*DATE_PARTS, *(f"{side}_{of}" for side in _SIDES for of in ("date", "time"))), "")
    for side in _SIDES:
        _join_date(fields, f"{side}_date")
    fields["page"] = ""
    named = {name: value for name, value in fields.items() if value}
    query = urlencode(named if page in {1, "1", ""} else {**named, "page": page})
    return f"{path}?{query}" if query else path


def _join_date(fields: dict[str, str], name: str) -> None:
    parts = [f"{name}-{part}" for part in ("day", "month", "year")]
    try:
        day = date_of(*(fields[part] for part in parts))
    except TypedDateError:
        return
    fields |= {name: day.isoformat(), **dict.fromkeys(parts, "")}


def shown_again(form: Form) -> TypedForm:
    """Return a search form with what was typed; a date that was typed into one field is put into its three."""
    values = dict(form.typed)
    for side in _SIDES:
        names = [f"{side}_date-{part}" for part in ("day", "month", "year")]
        if not any(values[name] for name in names):
            values.update(zip(names, _parts(values[f"{side}_date"]), strict=True))
    return TypedForm(values={name: (value,) for name, value in values.items()}, errors=form.errors, is_sent=True)


def _parts(typed: str) -> tuple[str, str, str]:
    try:
        day = date_typed(typed)
    except TypedDateError:
        return typed, "", ""  # what cannot be read stays in sight, beside its error
    return str(day.day), str(day.month), str(day.year)


def page_links(page: int, pages: int | None, *, has_next: bool) -> Mapping[str, object]:
    """Return which pages of results have a button.

    Args:
        page: The present page, from 1.
        pages: How many there are; None if there are too many to count.
        has_next: Whether there is a page after this one.

    Returns:
        ``previous`` and ``next``, a page or None; ``numbers``, pages with None for those that are left out.
    """
    last = pages if pages is not None else page + has_next
    near = {1, *range(page - _NEXT_TO, page + _NEXT_TO + 1)} | ({last} if pages is not None else set())
    numbers: list[int | None] = []
    before = 0
    for number in sorted(one for one in near if 1 <= one <= last):
        if number > before + 1:
            numbers.append(None)
        numbers.append(number)
        before = number
    return {"previous": page - 1 if page > 1 else None, "next": page + 1 if has_next else None, "numbers": numbers}
