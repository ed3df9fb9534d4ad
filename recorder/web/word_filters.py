"""Filters of the templates: codes in words, times in the site's time zone. They read `recorder.rules` only."""

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from enum import Enum
from typing import Any
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

from recorder.rules import times, wording
from recorder.rules.spans import in_seconds
from recorder.rules.words.audit import EVENT

Moment = datetime | str | None
"""A moment; a string is ISO 8601, from JSON."""


def filters_for(zone: ZoneInfo) -> Mapping[str, Callable[..., Any]]:
    """Return the filters by name, for a site's time zone."""

    def when(at: Moment) -> str:
        return times.moment(_parsed(at), zone) if at else ""

    def when_exact(at: Moment) -> str:
        return times.moment(_parsed(at), zone, with_seconds=True) if at else ""

    def when_short(at: Moment) -> str:
        return times.short_moment(_parsed(at), zone) if at else ""

    def clock(at: Moment) -> str:
        return times.clock(_parsed(at), zone) if at else ""

    def clock_exact(at: Moment) -> str:
        return times.clock(_parsed(at), zone, with_seconds=True) if at else ""

    return {
        "when": when, "when_exact": when_exact, "when_short": when_short, "clock": clock, "clock_exact": clock_exact,
        **_OF_ANY_ZONE,
    }  # fmt: skip


def _parsed(at: datetime | str) -> datetime:
    return datetime.fromisoformat(at) if isinstance(at, str) else at


def _state(code: object) -> str:
    """Return a code with a capital letter; a string is the state of a call in progress."""
    return wording.title(code) if isinstance(code, Enum) else wording.capital(wording.live_state(str(code)))


def _words(code: object) -> str:
    """Return a code as it stands in a sentence; a string is the state of a call in progress."""
    return wording.words(code) if isinstance(code, Enum) else wording.live_state(str(code))


def _roles(roles: Iterable[Enum]) -> str:
    """Return roles as a list in a sentence, in the order of their words; empty if there is none."""
    return wording.listed(sorted(wording.words(role) for role in roles))


def _plain(code: str) -> str:
    return wording.audit_event(code) if code in EVENT else wording.outcome_reason(code)


def _detail(value: object) -> str:
    """Return a value of an audit entry's details in words; it came from JSON."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{wording.detail_name(name)} {_detail(one)}" for name, one in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(_detail, value)) or "none"
    return "none" if value in (None, "") else wording.known_code(str(value))


def _code(text: str) -> Markup:
    """Return a sentence with what stands between backticks as code."""
    parts = text.split("`")
    marked = (Markup("<code>{}</code>").format(part) if n % 2 else escape(part) for n, part in enumerate(parts))
    return Markup().join(marked) if len(parts) % 2 else escape(text)


def _short_day(on: date) -> str:
    return times.short_day(on)


_OF_ANY_ZONE: Mapping[str, Callable[..., Any]] = {
    "actor": wording.actor_name,
    "alarm": lambda alarm: wording.capital(wording.alarm_name(alarm)),
    "capital": wording.capital,
    "category": wording.title,
    "code": _code,
    "day": times.day,
    "detail": _detail,
    "detail_name": wording.detail_name,
    "event": wording.audit_event,
    "held_for": lambda kind: wording.capital(wording.held_for(kind)),
    "hold_kind": wording.title,
    "message": lambda name: wording.capital(wording.message_name(name)),
    "in_seconds": in_seconds,
    "duration": times.duration,
    "minutes": times.position,
    "outcome": lambda code: wording.capital(wording.words_for("Outcome", code)),
    "parts": lambda spans: times.spans(spans, exact=True),
    "plain": _plain,
    "position": lambda seconds: times.position(seconds, exact=True),
    "reason": wording.outcome_reason,
    "roles": _roles,
    "short_day": _short_day,
    "state": _state,
    "to_do": wording.to_do,
    "unbroken": times.unbroken,
    "weekday": times.weekday,
    "words": _words,
}
