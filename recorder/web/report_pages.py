"""Report of pauses per officer, as a page and through the API."""

from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from recorder.common.problems import ProblemError
from recorder.permissions import Act, Person
from recorder.reports.reports import PauseReport, ReportQuery, ReportRefusedError, pause_report, period, teams_of
from recorder.web.auth import ConsoleCaller
from recorder.web.filters import read_form
from recorder.web.forms import shown_again
from recorder.web.parts import ApiReader, Console, ConsoleParts, PageReader
from storage.types import Search

router = APIRouter()


class PausesQuery(BaseModel):
    """Filters of the report; without a filter everything matches."""

    model_config = ConfigDict(extra="forbid")
    started_from: AwareDatetime | None = Field(default=None, alias="from", description="ISO 8601, with its zone")
    started_to: AwareDatetime | None = Field(default=None, alias="to", description="Not included")
    operator: str | None = Field(default=None, max_length=100)
    team: str | None = Field(default=None, max_length=100)


class PausesForm(BaseModel):
    """The page's form, as typed."""

    from_date: str = ""
    to_date: str = ""
    operator: str = ""
    team: str = ""


@router.get("/api/reports/pauses", responses={403: {}, 422: {}, 429: {}, 503: {}})
def pauses(console: Console, caller: ApiReader, query: Annotated[PausesQuery, Query()]) -> dict[str, Any]:
    """Pauses per officer; by default the last 28 days. A manager sees their own teams."""
    search = Search(started_from=query.started_from, started_to=query.started_to, operator=query.operator or None)
    return _report(console, caller, search, query.team or None).as_json()


@router.get("/reports/pauses", include_in_schema=False)
def pauses_page(console: Console, caller: PageReader, typed: Annotated[PausesForm, Query()]) -> HTMLResponse:
    """Show pauses per officer, with the form for another period."""
    form, team = read_form(typed.model_dump(), console.deps.timezone), typed.team.strip()[:100]
    report = None if form.errors else _report(console, caller, form.search, team or None)
    return console.renderer.page(
        "pauses.html",
        caller,
        status=422 if form.errors else 200,
        report=report,
        form=shown_again(typed.model_dump(), form.errors),
    )


def _report(console: ConsoleParts, caller: ConsoleCaller, search: Search, team: str | None) -> PauseReport:
    deps, audit_service = console.deps, console.audit_service
    zone = ZoneInfo(deps.timezone)
    start, end = period(search.started_from, search.started_to, now=deps.now(), zone=zone)
    if end <= start:
        raise ProblemError(422, "The end must be after the beginning.")
    asked = ReportQuery(start=start, end=end, operator=search.operator, team=team)
    audit_service.authorise(caller.actor, Act.REPORT)
    assert isinstance(caller.actor, Person)  # the rules give this act to people only
    try:
        teams = teams_of(caller.actor, team)
    except ReportRefusedError as error:
        raise audit_service.refusal(caller.actor.actor, Act.REPORT, "", str(error)) from error
    audit_service.note(Act.REPORT, caller.actor.actor, "", {"report": "pauses", **asked.as_json()})
    return pause_report(deps.repos.index, deps.repos.erasures, asked, teams=teams)
