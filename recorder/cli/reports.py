"""`recorder reports pauses` and `recorder reports bypassed`."""

import csv as comma_separated
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from recorder.access.database import AuditNote
from recorder.cli.context import PersonContext
from recorder.cli.entries import audit
from recorder.cli.errors import said_plainly
from recorder.cli.output import fail, print_json, print_table, say
from recorder.cli.records import FromOption, ToOption, moment, opened_index
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.common.plain_text import safe_cell
from recorder.permissions import Act, Person
from recorder.reports.bypassed_calls import BypassedCall, BypassReport, UnreadableLineError, bypass_report, read_line
from recorder.reports.pause_report import OfficerPauses
from recorder.reports.reports import ReportQuery, ReportRefusedError, pause_report, period, teams_of
from recorder.rules import times
from storage.erasures import Erasures

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
    ("erased", "Calls erased from"),
    ("erased_s", "Erased, s"),
    ("opt_outs", "Opt-outs"),
]

BYPASSED_COLUMNS = [
    ("from", "From"),
    ("to", "To"),
    ("not_recorded", "Not recorded"),
    ("refused", "Refused"),
]
TeamOption = Annotated[str | None, typer.Option("--team", metavar="T", help="Only calls at the team's extensions.")]


def pauses(
    context: PersonContext,
    from_: FromOption = None,
    to: ToOption = None,
    operator: Annotated[str | None, typer.Option("--operator", metavar="X")] = None,
    team: TeamOption = None,
    csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values on standard output.")] = False,
) -> None:
    """Show pauses per officer: share of call time, repeats, pauses without a payment, pauses never resumed.

    The default period is the last 28 days. A manager sees the officers of their own teams.
    """
    if context.json and csv:
        fail("give either --json or --csv", 2)
    zone = context.zone
    start, end = _period(context, from_, to)
    asked = ReportQuery(start=start, end=end, operator=operator, team=team)
    person = context.sign_in("a report")
    teams = _permitted(context.home, person, asked, report="pauses")
    with opened_index(context) as index:
        found = pause_report(index, Erasures(index.database), asked, teams=teams)
    if context.json:
        print_json(found.as_json())
    elif csv:
        _print_csv(found.officers)
    else:
        say(f"{times.moment(start, zone)} to {times.moment(end, zone)}")
        print_table([_line(officer) for officer in found.officers], COLUMNS, empty="no calls in this period")


def bypassed(
    context: PersonContext,
    lists: Annotated[
        list[Path], typer.Argument(metavar="FOLDER|FILE...", help="Kamailio's list: its folder, or files of it.")
    ],
    from_: FromOption = None,
    to: ToOption = None,
    team: TeamOption = None,
) -> None:
    """Show the calls of nominated extensions that no recorder took, by the times in which that happened.

    Kamailio writes the list where it is in front of recorders. The default period is the last 28 days. A manager sees
    the calls of their own teams. With --json each call is listed.
    """
    start, end = _period(context, from_, to)
    asked = ReportQuery(start=start, end=end, team=team)
    person = context.sign_in("a report")
    teams = _permitted(context.home, person, asked, report="bypassed")
    unreadable: list[str] = []
    calls = _listed(lists, unreadable)
    found = bypass_report(calls, context.config.nominated, start=start, end=end, teams=teams)
    if context.json:
        print_json({**asked.as_json(), **found.as_json(), "unreadable": unreadable})
    else:
        _print_bypassed(context, found, start, end)
    for line in unreadable:
        say(f"{line}; it is not counted")


def _print_bypassed(context: PersonContext, found: BypassReport, start: datetime, end: datetime) -> None:
    zone = context.zone
    say(f"{times.moment(start, zone)} to {times.moment(end, zone)}")
    lines = [
        {
            "from": f"{span.start.astimezone(zone):%Y-%m-%d %H:%M:%S}",
            "to": f"{span.end.astimezone(zone):%Y-%m-%d %H:%M:%S}",
            "not_recorded": span.not_recorded,
            "refused": span.refused,
        }
        for span in found.spans
    ]
    print_table(lines, BYPASSED_COLUMNS, empty="no call bypassed the recorders in this period")
    if found.not_nominated:
        say(f"{found.not_nominated} further calls of extensions that are not nominated")


def _listed(paths: Iterable[Path], unreadable: list[str]) -> Iterator[BypassedCall]:
    """Yield the calls of Kamailio's list; lines that cannot be read are added to ``unreadable``."""
    for path in (file for given in paths for file in _files(given)):
        with said_plainly():
            text = path.read_bytes().decode("utf-8", errors="replace")
        # Not by splitlines(): a Call-ID may have characters that Python takes for ends of lines.
        for number, line in enumerate(text.removesuffix("\n").split("\n") if text else (), 1):
            try:
                yield read_line(line)
            except UnreadableLineError as error:
                unreadable.append(f"{path}, line {number}: {error}")


def _files(given: Path) -> list[Path]:
    if not given.is_dir():
        return [given]
    found = sorted(given.glob("bypassed_*.log*"))
    if not found:
        fail(f"{given} has no bypassed_*.log; give the folder that BYPASSED of kamailio.cfg names")
    return found


def _period(context: PersonContext, from_: str | None, to: str | None) -> tuple[datetime, datetime]:
    zone = context.zone
    start, end = period(moment(from_, zone, is_end=False), moment(to, zone, is_end=True), now=utc_now(), zone=zone)
    if end <= start:
        fail("--to must be after --from", 2)
    return start, end


def _permitted(home: Home, person: Person, asked: ReportQuery, *, report: str) -> frozenset[str] | None:
    """Return the teams that the person may see, after logging the report; exit if refused."""
    details = {"report": report, **asked.as_json()}
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
