"""Renders pages from templates: autoescaped, times in the site's time zone."""

from collections.abc import Sequence
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
from starlette.responses import HTMLResponse

from recorder.access.reachability import AccountsAwayError
from recorder.permissions import Act, Person, Refusal
from recorder.recordings.lengths import flags_of, lengths_of
from recorder.rules.authorisation import may
from recorder.web.auth import ConsoleCaller
from recorder.web.deps import ConsoleDeps
from recorder.web.forms import EMPTY
from recorder.web.live_markup import LiveMarkup
from recorder.web.live_rows import LiveRow
from recorder.web.navigation import navigation
from recorder.web.word_filters import filters_for

HERE = Path(__file__).parent

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
        self._colour = deps.colour
        self._templates = Environment(
            loader=ChoiceLoader((FileSystemLoader(HERE / "templates"), PrefixLoader(_COMPONENTS))),
            autoescape=True, undefined=_PageUndefined, trim_blocks=True,
        )  # fmt: skip
        layout = {**_LAYOUT, "themeColor": deps.colour, "undefined": ChainableUndefined(), "null": None}
        self._templates.globals.update(layout)
        filters = filters_for(ZoneInfo(deps.timezone))
        self._templates.filters.update(filters, lengths=lengths_of, flags=flags_of)
        row = self._templates.get_template("live_drawn_rows.html")
        self._live = LiveMarkup(row.render, now_s=lambda: deps.now().timestamp())

    @staticmethod
    def can(person: Person, act: Act) -> bool:
        """Tell whether a person's role permits an act; access grants are checked separately."""
        return not isinstance(may(person, act, reason="shown"), Refusal)

    def page(self, template: str, caller: ConsoleCaller | None, *, status: int = 200, **values: Any) -> HTMLResponse:  # noqa: ANN401
        """Return a page; its navigation shows what ``caller`` may use."""
        person = caller.person if caller else None
        may_do = {act for act in Act if person is not None and self.can(person, act)}
        html = self._templates.get_template(template).render(
            live_rows=partial(self._live.rows, caller.csrf if caller else "", values.get("team", "")),
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

    def live_rows(self, caller: ConsoleCaller, rows: Sequence[LiveRow], *, team: str = "") -> str:
        """Return rows of live calls, or the row that says that there is no call."""
        if rows:
            return str.__str__(self._live.rows(caller.csrf, team, rows))  # no template: it would copy them again
        return self._templates.get_template("live_rows.html").render(rows=rows)
