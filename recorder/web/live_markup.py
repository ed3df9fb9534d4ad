"""Draws rows of live calls: each is rendered once and cached, with places for what differs by person and moment."""

import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from markupsafe import Markup

from recorder.rules.times import position
from recorder.web.live_rows import LONG_PAUSE_S, LiveRow

_MOST_ROWS = 2000
"""Rendered rows that are cached; above that number the cache is cleared."""

PLACES = ("fields", "running", "age", "late")
"""What differs: the hidden fields of forms, the length of the call, of its pause, and whether that is long."""

_HIDDEN = Markup('<input type="hidden" name="{}" value="{}">')


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A rendered row.

    Attributes:
        parts: Its markup, cut at its places; every second part is a place.
        places: The index of each place in `PLACES`.
        started_s: When the call began, seconds since the epoch; None if not known.
        paused_s: When its pause began; None without a pause.
    """

    parts: list[str]
    places: list[int]
    started_s: float | None
    paused_s: float | None


class LiveMarkup:
    """Renders rows of live calls.

    Args:
        render: Renders the template of rows, with ``rows``, ``end``, ``long_s`` and the names in `PLACES`.
        now_s: Returns the current time, seconds since the epoch.
    """

    def __init__(self, render: Callable[..., str], *, now_s: Callable[[], float]) -> None:
        self._render = render
        self._now_s = now_s
        token = secrets.token_hex(16)  # callers cannot guess it, so their names cannot contain it
        self._end = f"{token}end;"
        self._tokens = {name: Markup(f"{token}{name};") for name in PLACES}  # noqa: S704 - no input
        self._place = re.compile(f"{token}([a-z]+);")
        self._rows: dict[tuple[object, ...], _Drawn] = {}

    def rows(self, csrf: str, team: str, rows: Sequence[LiveRow]) -> Markup:
        """Return the markup of rows, one after the other; most rows are the same for all people.

        Args:
            csrf: The CSRF value of the person's forms.
            team: The team that their board is limited to; empty for all.
            rows: The calls.
        """
        fields = str(_HIDDEN.format("csrf", csrf) + (_HIDDEN.format("team", team) if team else ""))
        now_s, found = self._now_s(), self._drawn(rows)
        return Markup("".join(_filled(one, fields, now_s) for one in found))  # noqa: S704 - autoescaped, and ours

    def _drawn(self, rows: Sequence[LiveRow]) -> list[_Drawn]:
        keyed = [(row.key, row) for row in rows]
        known = self._rows
        missing = {key: row for key, row in keyed if key not in known}
        if missing:
            if len(known) + len(missing) > _MOST_ROWS:
                known = self._rows = {key: known[key] for key, _ in keyed if key in known}
            known.update(zip(missing, self._draw([*missing.values()]), strict=True))
        return [known[key] for key, _ in keyed]

    def _draw(self, rows: Sequence[LiveRow]) -> Iterator[_Drawn]:
        """Render rows that are not cached, all at once."""
        values: dict[str, Any] = {**self._tokens, "rows": rows, "end": self._end, "long_s": int(LONG_PAUSE_S)}
        for row, markup in zip(rows, self._render(**values).split(self._end), strict=False):
            parts = self._place.split(markup)
            places = [PLACES.index(name) for name in parts[1::2]]
            yield _Drawn(parts, places, _epoch_s(row.call.get("started_at")), _epoch_s(row.paused_since))


def _filled(drawn: _Drawn, fields: str, now_s: float) -> str:
    running = "" if drawn.started_s is None else _length(int(now_s - drawn.started_s))
    age, late = "", ""
    if drawn.paused_s is not None:
        paused_s = now_s - drawn.paused_s
        age, late = _length(int(paused_s)), " age-late" if paused_s >= LONG_PAUSE_S else ""
    values, parts = (fields, running, age, late), drawn.parts.copy()
    parts[1::2] = [values[place] for place in drawn.places]
    return "".join(parts)


def _epoch_s(at: str | None) -> float | None:
    return datetime.fromisoformat(at).timestamp() if at else None


@lru_cache(maxsize=8192)
def _length(seconds: int) -> str:
    return position(seconds)
