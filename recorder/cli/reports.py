"""`recorder report pauses`."""

import csv as comma_separated
import sys
from collections.abc import Iterable
from typing import Annotated, Any

import typer

from recorder.access.database import AuditNote
from recorder.cli.context import PersonJsonContext
from recorder.cli.records import FromOption, ToOption, moment, opened_index
from recorder.cli.shared import (
    audit,
    fail,
    print_json,
    print_table,
    say,
)
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.common.plain_text import safe_cell
from recorder.permissions import Act, Person
from recorder.reports.pause_report import OfficerPauses
from recorder.reports.reports import ReportQuery, ReportRefusedError, pause_report, period, teams_of
from storage.erasures import Erasures
from storage.errors import StorageError

report = typer.Typer(help="Reports on calls, by officer.", no_args_is_help=True)

COLUMNS = [
    ("operator", "Officer"),
    ("teams", "Teams"),
    ("calls", "Calls"),
    ("share", "Paused, % of time"),
    ("pauses", "Pauses"),
    ("repeats", "Calls with several"),
    ("without_payment", "Without a payment"),
    ("never_resumed", "Never resumed"),
    ("longest_pause_s", "Longest, s"),
    ("silenced_s", "Digits silenced, s"),
    ("fax_suspected", "Fax suspected"),
    ("discarded", "Discarded"),
    ("forgot", "Forgot"),
    ("opt_outs", "Opt-outs"),
]


@report.callback()
def _report() -> None:
    """Reports on calls, by officer."""


@report.command("pauses")
def pauses(
    context: PersonJsonContext,
    from_: FromOption = None,
    to: ToOption = None,
    operator: Annotated[str | None, typer.Option("--operator", metavar="X")] = None,
    team: Annotated[
        str | None, typer.Option("--team", metavar="T", help="Only calls at the team's extensions.")
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values on standard output.")] = False,
) -> None:
    """Show pauses per officer: share of call time, repeats, pauses without a payment, pauses never resumed.

    The default period is the last 28 days. A manager sees the officers of their own teams.
    """
    if context.json and csv:
        fail("give either --json or --csv", 2)
    zone = context.zone
    start, end = period(moment(from_, zone, is_end=False), moment(to, zone, is_end=True), now=utc_now(), zone=zone)
    if end <= start:
        fail("--to must be after --from", 2)
    asked = ReportQuery(start=start, end=end, operator=operator, team=team)
    person = context.sign_in("a report")
    teams = _permitted(context.home, person, asked)
    try:
        with opened_index(context) as index:
            found = pause_report(index, Erasures(index.database), asked, teams=teams)
    except StorageError as error:
        fail(str(error))
    if context.json:
        print_json(found.as_json())
    elif csv:
        _print_csv(found.officers)
    else:
        say(f"{start.astimezone(zone):%Y-%m-%d %H:%M} to {end.astimezone(zone):%Y-%m-%d %H:%M}, {zone.key}")
        print_table([_line(officer) for officer in found.officers], COLUMNS, empty="no calls in this period")


def _permitted(home: Home, person: Person, asked: ReportQuery) -> frozenset[str] | None:
    """Return the teams that the person may see, after logging the report; exit if refused."""
    details = {"report": "pauses", **asked.as_json()}
    try:
        teams = teams_of(person, asked.team)
    except ReportRefusedError as error:
        why = {**details, "why": str(error)}
        audit(home, AuditNote(act=f"{Act.REPORT}.refused", subject="", details=why), actor=person.actor)
        fail(str(error))
    audit(home, AuditNote(act=Act.REPORT.value, subject="", details=details), actor=person.actor)
    return teams


def _line(officer: OfficerPauses) -> dict[str, Any]:
    fields = officer.as_json()
    return {**fields, "teams": ", ".join(fields["teams"]), "share": f"{officer.paused_share:.1%}"}


def _print_csv(officers: Iterable[OfficerPauses]) -> None:
    writer = comma_separated.writer(sys.stdout, lineterminator="\n")
    rows = [officer.as_json() for officer in officers]
    writer.writerow(OfficerPauses(operator="").as_json())
    for row in rows:
        writer.writerow(safe_cell(", ".join(value) if isinstance(value, list) else value) for value in row.values())
