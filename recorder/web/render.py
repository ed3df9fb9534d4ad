"""Renders pages from templates: autoescaped, times in the site's time zone."""

from collections.abc import Sequence
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from starlette.responses import HTMLResponse

from recorder.access.reachability import AccountsAwayError
from recorder.permissions import Act, Person, Refusal
from recorder.rules.authorisation import may
from recorder.web.auth import ConsoleCaller
from recorder.web.deps import ConsoleDeps
from recorder.web.forms import EMPTY
from recorder.web.live_markup import LiveMarkup
from recorder.web.live_rows import LiveRow
from recorder.web.navigation import navigation
from recorder.web.page_templates import page_templates


class Renderer:
    """Renders templates for one console."""

    def __init__(self, deps: ConsoleDeps) -> None:
        self._site = deps.site
        self._box = deps.watch.box
        self._colour = deps.colour
        self._templates = page_templates(ZoneInfo(deps.timezone), deps.colour)
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
