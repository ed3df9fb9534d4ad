"""`recorder assurance`: calls that should have been recorded, compared with the recordings."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from recorder.access.database import AuditNote
from recorder.assurance.assurance import Assurance, Imported, assurance_of, explain
from recorder.assurance.call_records import CallRecordsError
from recorder.assurance.day_report import DayReport, Finding, finding_from_json
from recorder.assurance.expecting import Expected
from recorder.assurance.importing import import_order, read_calls
from recorder.assurance.local_times import Repeated
from recorder.cli import completion
from recorder.cli.context import PersonContext
from recorder.cli.entries import audit, permit, shell_audit
from recorder.cli.errors import said_plainly
from recorder.cli.hold import day_from
from recorder.cli.options import DryRunOption, ReasonOption
from recorder.cli.output import fail, print_table, progress_bar, say
from recorder.cli.records import opened_index
from recorder.common.clock import utc_now
from recorder.config.call_record_options import FORMATS
from recorder.permissions import Act, Person
from recorder.reports.reports import ReportRefusedError, teams_of
from recorder.rules import times
from recorder.rules.wording import title, words_for

DayOption = Annotated[str | None, typer.Option("--day", metavar="DATE", help="One day, like 28/11/2026.")]
FirstOption = Annotated[str | None, typer.Option("--from", metavar="DATE", help="First day.")]
LastOption = Annotated[str | None, typer.Option("--to", metavar="DATE", help="Last day.")]
DEFAULT_DAYS = 7
MOST_DAYS = 366
CLOCK_SAID_S = 5.0
"""A PBX's clock that is less wrong than this is not mentioned."""
_COUNT_COLUMNS = [("what", ""), ("calls", "Calls")]
_FINDING_COLUMNS = [
    ("id", "Finding"),
    ("when", "When"),
    ("what", "What is wrong"),
    ("operator", "Officer"),
    ("extension", "Extension"),
    ("talk_s", "Talked, s"),
    ("recorded_s", "Recorded, s"),
    ("recording", "Recording"),
    ("explained_by", "Explained by"),
]


def import_records(
    context: PersonContext,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The call records; of Kamailio also the folder.")],
    form: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="F",
            help="asterisk, freeswitch, cucm, 3cx, kamailio, or the file of a mapping, *.toml.",
            autocompletion=lambda incomplete: [one for one in FORMATS if one.startswith(incomplete)],
        ),
    ],
    pbx: Annotated[str, typer.Option("--pbx", metavar="NAME", help="The PBX, where there are several.")] = "",
    time_zone: Annotated[
        str, typer.Option("--time-zone", metavar="ZONE", help="Of its times, like Europe/London or UTC.")
    ] = "",
    repeated_hour: Annotated[
        Repeated | None, typer.Option("--repeated-hour", help="Which one is meant when the clocks go back.")
    ] = None,
    dry_run: DryRunOption = False,
) -> None:
    """Import call records of a PBX, and compare them with the recordings.

    Only calls that should have been recorded are kept, without the number: of it the last four digits. A file may be
    imported again, also one that has grown.
    """
    person = context.sign_in("an import of call records")
    with opened_index(context) as index, _said(file):
        assurance = assurance_of(context.config, index.database, index, utc_now)
        order = import_order(
            file, form, pbx=pbx.strip()[:40], time_zone=time_zone, site_zone=context.zone, repeated=repeated_hour
        )
        details = {"format": Path(form).name, "pbx": order.pbx, "dry_run": dry_run}
        permit(context.home, Act.IMPORT_CALLS, person, reason="", subject="", operator=None, details=details)
        with progress_bar("reading", 1) as progress:
            found = read_calls(order, assurance.policy, progress, since=assurance.since)
        assurance.check(found)
        done = _only_read(found) if dry_run else assurance.add(found)
    context.tell({**done.as_json(), "dry_run": dry_run}, *_imported_words(done, dry_run=dry_run))


def report(context: PersonContext, day: DayOption = None, from_: FirstOption = None, to: LastOption = None) -> None:
    """Show how many calls were recorded as they should have been, by day. The default is yesterday.

    The figures are of the whole site; a manager sees the calls of their own teams.
    """
    with _opened(context) as (assurance, person):
        days = _days(assurance, day, from_, to, default=1)
        teams = _permitted(context, person, days, report="assurance")
        reports = [assurance.report(one).seen_by(teams) for one in days]
    if context.json:
        context.tell([one.as_json() for one in reports])
        return
    for one in reports:
        _print_report(context, one)


def list_findings(
    context: PersonContext,
    day: DayOption = None,
    from_: FirstOption = None,
    to: LastOption = None,
    every: Annotated[bool, typer.Option("--all", help="Also those that somebody explained.")] = False,
) -> None:
    """List calls that were not recorded as they should have been, and that nobody has explained.

    The default period is the last 7 whole days.
    """
    with _opened(context) as (assurance, person):
        days = _days(assurance, day, from_, to, default=DEFAULT_DAYS)
        teams = _permitted(context, person, days, report="assurance_findings")
        stored = assurance.store.findings(days[0], days[-1], teams)
    found = [finding_from_json(one.document, one.explanation) for one in stored]
    found = sorted((one for one in found if every or one.explanation is None), key=lambda one: (one.at, one.id))
    context.print_rows(
        [one.as_json() for one in found],
        _FINDING_COLUMNS,
        empty="no call that is to be explained",
        lines=[_line(context, one) for one in found],
    )


def explain_finding(
    context: PersonContext,
    finding: Annotated[
        str,
        typer.Argument(metavar="ID", help="From `recorder assurance list`.", autocompletion=completion.findings),
    ],
    reason: ReasonOption = "",
) -> None:
    """Say why a call was not recorded as it should have been; it is then no longer listed."""
    with _opened(context) as (assurance, person), said_plainly():
        done = explain(assurance, shell_audit(context.home), person, finding, reason)
    context.tell(done.as_json(), f"finding {done.id} is explained")


@contextmanager
def _opened(context: PersonContext) -> Iterator[tuple[Assurance, Person]]:
    person = context.sign_in("recording assurance")
    with opened_index(context) as index:
        yield assurance_of(context.config, index.database, index, utc_now), person


@contextmanager
def _said(file: Path) -> Iterator[None]:
    with said_plainly():
        try:
            yield
        except CallRecordsError as error:
            fail(f"{file}: {error}. Nothing was imported")


def _days(
    assurance: Assurance, day: str | None, first: str | None, last: str | None, *, default: int
) -> Sequence[date]:
    if day is not None and (first is not None or last is not None):
        fail("give either --day, or --from and --to", 2)
    until = day_from(last or day) or assurance.today - timedelta(days=1)
    since = day_from(first or day) or until - timedelta(days=default - 1)
    if since > until:
        fail("--to must not be before --from", 2)
    if (until - since).days >= MOST_DAYS:
        fail(f"give at most {MOST_DAYS} days", 2)
    return [since + timedelta(days=one) for one in range((until - since).days + 1)]


def _permitted(context: PersonContext, person: Person, days: Sequence[date], *, report: str) -> frozenset[str] | None:
    """Return the teams that the person may see, after logging the report; exit if refused."""
    details = {"report": report, "from": days[0].isoformat(), "to": days[-1].isoformat()}
    try:
        teams = teams_of(person, None)
    except ReportRefusedError as error:
        note = AuditNote(act=f"{Act.REPORT}.refused", subject="", details={**details, "why": str(error)})
        audit(context.home, note, actor=person.actor)
        fail(str(error))
    audit(context.home, AuditNote(act=Act.REPORT.value, subject="", details=details), actor=person.actor)
    return teams


def _only_read(found: Expected) -> Imported:
    left_out = {str(key): count for key, count in sorted(found.left_out.items())}
    return Imported(rows=found.rows, calls=len(found.calls), new=0, left_out=left_out)


def _imported_words(done: Imported, *, dry_run: bool) -> Iterator[str]:
    yield f"{done.rows} rows, {done.calls} calls that should have been recorded"
    for reason, count in done.left_out.items():
        yield f"  {count} rows left out: {words_for('LeftOut', reason)}"
    if dry_run:
        yield "nothing was imported"
        return
    yield f"{done.new} of them are new"
    for one in done.days:
        yield f"{times.day(one.day)}: {one.calls} calls, {one.bad} not recorded as they should have been"
    if any(one.unexplained for one in done.days):
        yield "`recorder assurance list` names them"


def _print_report(context: PersonContext, report: DayReport) -> None:
    say(f"{times.day(report.day)}: {report.calls} calls, {report.bad} not recorded as they should have been")
    if not report.records:
        say("no call records of this day were imported: only what the recorder saw was checked")
    for pbx, ahead_s in sorted(report.clock_s.items()):
        if abs(ahead_s) >= CLOCK_SAID_S:
            say(f"the clock of {pbx} is {abs(ahead_s):.0f} s {'ahead' if ahead_s > 0 else 'behind'}")
    if report.unmatched:
        say(f"{report.unmatched} recordings are of calls without a call record")
    counts = [{"what": title(one), "calls": count} for one, count in report.counts.items() if count]
    print_table(counts, _COUNT_COLUMNS, empty="no calls")
    if report.findings:
        print_table([_line(context, one) for one in report.findings], _FINDING_COLUMNS, empty="")


def _line(context: PersonContext, finding: Finding) -> dict[str, Any]:
    fields = finding.as_json()
    return {
        **fields, "when": f"{finding.at.astimezone(context.zone):%Y-%m-%d %H:%M:%S}",
        "what": title(finding.verdict), "recording": finding.recording or "",
        "talk_s": "" if finding.talk_s is None else f"{finding.talk_s:.0f}", "recorded_s": f"{finding.recorded_s:.0f}",
        "explained_by": fields["explained_by"] or "",
    }  # fmt: skip
