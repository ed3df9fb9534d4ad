"""Pages and HTTP+JSON of recording assurance: the days, one day, one call, and why it is in order."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.responses import Response

from recorder.assurance.assurance import Assurance, explain, known_finding
from recorder.assurance.day_report import DayReport, finding_from_json
from recorder.assurance.judging import Verdict
from recorder.common.problems import ProblemError
from recorder.permissions import Act, Allowed, Person
from recorder.reports.reports import teams_seen_by
from recorder.rules.authorisation import may
from recorder.web.auth import ConsoleCaller
from recorder.web.forms import EMPTY, Sent, TypedForm
from recorder.web.parts import ApiReader, Console, ConsoleParts, PageChanger, PageReader
from storage.assurance_types import StoredDay, StoredFinding

router = APIRouter()
SHOWN_DAYS = 28
DONE: Mapping[str, str] = {"explained": "The explanation is stored. The call is no longer listed as open."}
"""What was done, by the code in an address after the act."""


@router.get("/assurance", include_in_schema=False)
def days_page(console: Console, caller: PageReader) -> HTMLResponse:
    """Show the days, the last one first."""
    assurance, person = _authorised(console, caller, "assurance_days")
    first, last = assurance.today - timedelta(days=SHOWN_DAYS), assurance.today - timedelta(days=1)
    found = assurance.store.findings(first, last, teams_seen_by(person))
    days = assurance.store.days(first, last)
    return console.renderer.page(
        "assurance.html", caller, days=[(one, _open_on(one.day, found)) for one in reversed(days)],
        trend=assurance.trend(),
    )  # fmt: skip


@router.get("/assurance/days/{day}", include_in_schema=False)
def day_page(console: Console, day: str, caller: PageReader) -> HTMLResponse:
    """Show the calls of a day that were not recorded as they should have been."""
    report = _report(console, caller, day)
    is_over = report.day < console.deps.watch.assurance.today
    return console.renderer.page("assurance_day.html", caller, report=report, verdicts=list(Verdict), is_over=is_over)


@router.get("/assurance/findings/{finding_id}", include_in_schema=False)
def finding_page(console: Console, finding_id: str, caller: PageReader, done: str = "") -> HTMLResponse:
    """Show one call, and the form to explain it."""
    return _finding(console, caller, finding_id, done=DONE.get(done, ""))


@router.post("/assurance/findings/{finding_id}/explain", include_in_schema=False)
def explain_call(console: Console, finding_id: str, caller: PageChanger, sent: Sent) -> Response:
    """Store why a call is in order."""
    try:
        explain(console.deps.watch.assurance, console.audit_service, caller.actor, finding_id, sent["reason"])
    except ProblemError as error:
        if error.status != 422:
            raise
        return _finding(console, caller, finding_id, form=sent.refused(error), status=422)
    return RedirectResponse(f"/assurance/findings/{quote(finding_id, safe='')}?done=explained", 303)


@router.get("/api/assurance/days", responses={403: {}, 429: {}, 503: {}})
def days_listed(console: Console, caller: ApiReader) -> list[dict[str, Any]]:
    """The days of the last four weeks: calls, and how many were not recorded as they should have been."""
    assurance, person = _authorised(console, caller, "assurance_days")
    first, last = assurance.today - timedelta(days=SHOWN_DAYS), assurance.today - timedelta(days=1)
    found = assurance.store.findings(first, last, teams_seen_by(person))
    return [_day_json(one, _open_on(one.day, found)) for one in assurance.store.days(first, last)]


@router.get("/api/assurance/days/{day}", responses={403: {}, 404: {}, 422: {}, 429: {}, 503: {}})
def day_listed(console: Console, day: str, caller: ApiReader) -> dict[str, Any]:
    """One day, ``2026-11-28``, with its calls that were not recorded as they should have been."""
    return _report(console, caller, day).as_json()


def _authorised(console: ConsoleParts, caller: ConsoleCaller, report: str, **details: str) -> tuple[Assurance, Person]:
    console.audit_service.authorise(caller.actor, Act.REPORT)
    assert isinstance(caller.actor, Person)  # the rules give this act to people only
    console.audit_service.note(Act.REPORT, caller.actor.actor, "", {"report": report, **details})
    return console.deps.watch.assurance, caller.actor


def _report(console: ConsoleParts, caller: ConsoleCaller, day: str) -> DayReport:
    try:
        asked = date.fromisoformat(day)
    except ValueError as error:
        raise ProblemError(404, "There is no such day. Write it as 2026-11-28.") from error
    assurance, person = _authorised(console, caller, "assurance", day=asked.isoformat())
    return assurance.report(asked).seen_by(teams_seen_by(person))


def _finding(
    console: ConsoleParts, caller: ConsoleCaller, finding_id: str, *, form: TypedForm = EMPTY, status: int = 200,
    done: str = "",
) -> HTMLResponse:  # fmt: skip
    assurance, person = _authorised(console, caller, "assurance_finding")
    stored = known_finding(assurance, person, finding_id)
    may_explain = may(person, Act.EXPLAIN, reason="asked below", operator="", team=stored.team)
    return console.renderer.page(
        "assurance_finding.html", caller, status=status, day=stored.day, form=form, done=done,
        found=finding_from_json(stored.document, stored.explanation), may_explain=isinstance(may_explain, Allowed),
    )  # fmt: skip


def _open_on(day: date, found: Sequence[StoredFinding]) -> int:
    return sum(one.day == day and one.explanation is None for one in found)


def _day_json(one: StoredDay, unexplained: int) -> dict[str, Any]:
    return {
        "day": one.day.isoformat(), "calls": one.calls, "faulty": one.bad, "records": one.records,
        "unexplained": unexplained, **one.document,
    }  # fmt: skip
