"""Renders pages from templates: autoescaped, times in the site's time zone."""

import secrets
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from recorder.access.reachability import AccountsAwayError
from recorder.permissions import Act, Person, Refusal
from recorder.rules.authorisation import may
from recorder.web.auth import ConsoleCaller
from recorder.web.deps import ConsoleDeps
from recorder.web.live_rows import LiveRow
from recorder.web.word_filters import filters_for

HERE = Path(__file__).parent

_MOST_ROWS = 2000
"""Rendered rows of live calls that are cached; above that number the cache is cleared."""


class Renderer:
    """Renders templates for one console."""

    def __init__(self, deps: ConsoleDeps) -> None:
        self._site = deps.site
        self._box = deps.watch.box
        self._token = secrets.token_hex(16)  # placeholder for CSRF values in cached rows; callers cannot guess it
        self._live_rows: dict[tuple[object, ...], list[str]] = {}
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        self._templates.filters.update(filters_for(ZoneInfo(deps.timezone)))

    @staticmethod
    def can(person: Person, act: Act) -> bool:
        """Tell whether a person's role permits an act; access grants are checked separately."""
        return not isinstance(may(person, act, reason="shown"), Refusal)

    def page(self, template: str, caller: ConsoleCaller | None, *, status: int = 200, **values: Any) -> HTMLResponse:  # noqa: ANN401
        """Return a page; its navigation shows what ``caller`` may use."""
        person = caller.person if caller else None
        can = {act.name: person is not None and self.can(person, act) for act in Act}
        html = self._templates.get_template(template).render(
            live_row=self._rows_of(caller),
            site=self._site,
            person=person,
            can=can,
            csrf=caller.csrf if caller else "",
            unseen=lambda: self._unseen(person),  # lazy: parts of pages do not use it
            **values,
        )
        return HTMLResponse(html, status_code=status)

    def _unseen(self, person: Person | None) -> int:
        try:
            return self._box.unseen(person.name) if person else 0
        except AccountsAwayError:
            return 0

    def live_rows(self, caller: ConsoleCaller, rows: Sequence[LiveRow]) -> str:
        """Return rows of live calls, or the row that says that there is no call."""
        return self._templates.get_template("live_rows.html").render(live_row=self._rows_of(caller), rows=rows)

    def _rows_of(self, caller: ConsoleCaller | None) -> Callable[[LiveRow], Markup]:
        return partial(self._live_row, caller.csrf if caller else "")

    def _live_row(self, csrf: str, row: LiveRow) -> Markup:
        """Return a row of live calls from the cache; most rows are the same for all people."""
        parts = self._live_rows.get(row.key)
        if parts is None:
            html = self._templates.get_template("live_row.html").render(row=row, csrf=self._token)
            parts = html.split(self._token)
            if len(self._live_rows) >= _MOST_ROWS:
                self._live_rows.clear()
            self._live_rows[row.key] = parts
        return Markup(csrf.join(parts))  # noqa: S704 - autoescaped, and the token is ours
