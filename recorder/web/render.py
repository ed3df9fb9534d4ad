"""Renders pages from templates: autoescaped, times in the site's time zone."""

import secrets
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import (
    ChainableUndefined,
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PackageLoader,
    PrefixLoader,
    StrictUndefined,
)
from jinja2.utils import missing
from markupsafe import Markup
from starlette.responses import HTMLResponse

from recorder.access.reachability import AccountsAwayError
from recorder.permissions import Act, Person, Refusal
from recorder.recordings.lengths import flags_of, lengths_of
from recorder.rules.authorisation import may
from recorder.web.auth import ConsoleCaller
from recorder.web.deps import ConsoleDeps
from recorder.web.forms import EMPTY
from recorder.web.live_rows import LiveRow
from recorder.web.navigation import navigation
from recorder.web.word_filters import filters_for

HERE = Path(__file__).parent

_MOST_ROWS = 2000
"""Rendered rows of live calls that are cached; above that number the cache is cleared."""


_COMPONENTS = {"govuk_frontend_jinja": PackageLoader("govuk_frontend_jinja")}
_LAYOUT = dict.fromkeys(
    ("assetUrl", "bodyAttributes", "bodyClasses", "containerAttributes", "containerClasses", "cspNonce",
     "footerAttributes", "footerClasses", "headerAttributes", "headerClasses", "htmlClasses", "mainAttributes",
     "mainClasses", "mainLang", "opengraphImageUrl", "pageTitleLang"),
    "",
)  # fmt: skip
"""Variables of GOV.UK's page template that this console does not set."""


class _PageUndefined(StrictUndefined):
    """A misspelt variable or attribute is an error; what a component may be called without is not.

    That is an absent key of its parameters, and ``caller``.
    """

    def __new__(cls, hint: str | None = None, obj: Any = missing, *rest: Any, **others: Any) -> Any:  # noqa: ANN401
        """Return the undefined value of a name or of an attribute of ``obj``."""
        if isinstance(obj, dict) or others.get("name") == "caller":
            return ChainableUndefined(hint, obj, *rest, **others)
        return super().__new__(cls)


class Renderer:
    """Renders templates for one console."""

    def __init__(self, deps: ConsoleDeps) -> None:
        self._site = deps.site
        self._box = deps.watch.box
        self._token = secrets.token_hex(16)  # placeholder for CSRF values in cached rows; callers cannot guess it
        self._live_rows: dict[tuple[object, ...], list[str]] = {}
        self._colour = deps.colour
        self._templates = Environment(
            loader=ChoiceLoader((FileSystemLoader(HERE / "templates"), PrefixLoader(_COMPONENTS))),
            autoescape=True, undefined=_PageUndefined, trim_blocks=True,
        )  # fmt: skip
        self._templates.globals.update({**_LAYOUT, "undefined": ChainableUndefined(), "null": None})
        filters = filters_for(ZoneInfo(deps.timezone))
        self._templates.filters.update(filters, lengths=lengths_of, flags=flags_of)

    @staticmethod
    def can(person: Person, act: Act) -> bool:
        """Tell whether a person's role permits an act; access grants are checked separately."""
        return not isinstance(may(person, act, reason="shown"), Refusal)

    def page(self, template: str, caller: ConsoleCaller | None, *, status: int = 200, **values: Any) -> HTMLResponse:  # noqa: ANN401
        """Return a page; its navigation shows what ``caller`` may use."""
        person = caller.person if caller else None
        may_do = {act for act in Act if person is not None and self.can(person, act)}
        html = self._templates.get_template(template).render(
            live_row=self._rows_of(caller),
            site=self._site,
            colour=self._colour,
            person=person,
            can={act.name: act in may_do for act in Act},
            headings=navigation(may_do) if person else (),
            csrf=caller.csrf if caller else "",
            unseen=lambda: self._unseen(person),  # lazy: parts of pages do not use it
            **{"form": EMPTY, **values},
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
