"""Pages for health with remedies, and changes of the configuration."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from recorder.audit.audit_service import incomplete
from recorder.audit.details import details_in_words
from recorder.audit.reading import last_verified
from recorder.common.problems import ProblemError
from recorder.control.site_lists import SILENT
from recorder.permissions import Act
from recorder.rules import times, wording
from recorder.rules.alarm_book import acknowledgement_problem
from recorder.rules.alarms import Advice, advice_on
from recorder.rules.retention_schedule import DataClass
from recorder.web.auth import ConsoleCaller
from recorder.web.console_alarms import console_alarms
from recorder.web.forms import EMPTY, Sent, TypedForm
from recorder.web.parts import Console, ConsoleParts, PageChanger, PageReader, Text
from storage.audit_entry import AuditEntry
from storage.audit_reading import of_act
from storage.database import SQLITE, Database
from storage.errors import AuditUnavailableError, StorageError
from storage.rows import time_to_json
from storage.unfinished import Unfinished, UnfinishedRecordings

router = APIRouter(include_in_schema=False)

_LAGS_S, _STALL_S, _DAY_S = 0.5, 0.1, 24 * 3600
"""From when on the writer counts as late, and the call thread as blocked, seconds."""
SHOWN = 200
"""Changes on a page; the audit log has all."""
CHANGES: Mapping[str, str] = {
    "recorder.init": "Set up",
    "config.reload": "Configuration reloaded",
    "notice.set": "Message set",
    "retention.in_force": "Retention periods in force",
    "retention.shorten": "Shorter retention periods confirmed",
}
"""Acts of the audit log that the page of changes shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """An alarm with its remedy."""

    name: str
    count: int
    advice: Advice
    nodes: list[str] = field(default_factory=list)
    acknowledged: Mapping[str, Any] | None = None
    can_be: bool = False
    """Whether it can be acknowledged: the daemon's alarms can, the console's own end with their cause."""


@dataclass(frozen=True, slots=True)
class Measure:
    """Something that is measured of the daemon: its name, and its value in words."""

    name: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAway:
    """A node that is away, with the number of recordings that it had open."""

    node: str
    count: int
    seen_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigChange:
    """A change of the configuration; ``what`` says in words what was changed."""

    at: str
    by: str
    kind: str
    what: str
    sha256: str


@router.get("/health")
def health(console: Console, caller: PageReader) -> HTMLResponse:
    """Show the daemon's health and what to do about alarms."""
    _allow(console, caller, "health")
    return _health_page(console, caller)


@router.post("/health/acknowledge")
def acknowledge(  # noqa: PLR0917 - FastAPI passes them by name
    console: Console, caller: PageChanger, sent: Sent, alarm: Text = "", remark: Text = "", hours: Text = "24"
) -> Response:
    """Acknowledge an alarm of the daemon."""
    try:
        if (wrong := acknowledgement_problem(remark, _hours(hours))) is not None:
            raise incomplete(wrong[1], wrong[0])
        console.live.acknowledge_alarm(caller.actor, alarm, remark.strip(), _hours(hours))
    except ProblemError as error:
        if error.status not in (404, 422):
            raise
        return _health_page(console, caller, form=sent.named(f"alarm-{alarm}").refused(error), status=error.status)
    return RedirectResponse("/health#alarms", 303)


def _hours(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _health_page(
    console: ConsoleParts, caller: ConsoleCaller, *, form: TypedForm = EMPTY, status: int = 200
) -> HTMLResponse:
    found, problem = _health(console)
    said, own = (found or {}).get("acknowledged", {}), console_alarms(console.deps)
    counts = {**(found or {}).get("alarms", {}), **own}
    alarms = [
        Alarm(
            name=name,
            count=count,
            advice=advice_on(name),
            nodes=nodes_of(found or {}, name),
            acknowledged=said.get(name),
            can_be=name not in own and name != SILENT,
        )
        for name, count in sorted(counts.items())
    ]
    return console.renderer.page(
        "health.html", caller, health=found, problem=problem, alarms=alarms,
        verified=last_verified(console.deps.hold_repositories.state), late=console.audit_service.late.waiting,
        review_on=console.deps.watch.policy_review_on, state=state_of(found or {}, console.deps.now()),
        away=nodes_away(console.deps.hold_repositories.holds.database), form=form, status=status,
    )  # fmt: skip


def nodes_away(database: Database) -> list[NodeAway]:
    """Return the nodes that are away and had recordings open, without the recordings' ids, which have an extension."""
    if database.dialect == SQLITE:
        return []
    try:
        found = UnfinishedRecordings(database).of_nodes_away()
    except StorageError:
        return []
    by_node: dict[str, list[Unfinished]] = {}
    for one in found:
        by_node.setdefault(one.node, []).append(one)
    return [
        NodeAway(node=node, count=len(some), seen_at=time_to_json(some[0].seen_at))
        for node, some in sorted(by_node.items())
    ]


def nodes_of(health: Mapping[str, Any], alarm: str) -> list[str]:
    """Return the nodes that have an alarm; none on a site with one recorder."""
    return [name for name, one in health.get("nodes", {}).items() if alarm in one["alarms"]]


def state_of(health: Mapping[str, Any], now: datetime) -> list[Measure]:
    """Return how the daemon does, in words; a measure that its version does not report is left out."""
    found: list[Measure] = []
    if (disk := health.get("disk")) is not None:
        found.append(Measure("Free disk space", _disk_in_words(disk)))
    if (writer := health.get("writer")) is not None:
        late_s = writer["lag_s"]
        words = "Keeps up" if late_s < _LAGS_S else f"{late_s:.1f} s late: audio is lost from 4 s on. Look at the disk"
        found.append(Measure("Writing to disk", words))
    if (thread := health.get("call_thread")) is not None:
        longest_s, count = thread["longest_stall_lately_ms"] / 1000, thread["stalls_over_100_ms"]
        words = "Not blocked" if longest_s < _STALL_S else f"Blocked for up to {longest_s:.1f} s"
        found.append(Measure("Signalling in the last minutes", f"{words} ({count} times over 0.1 s since the start)"))
    ends_at = health.get("carriage", {}).get("certificate_expires_at")
    if ends_at is not None:
        at = datetime.fromisoformat(ends_at)
        words = f"Ends in {(at - now).days} days" if at > now else "Has ended"
        found.append(Measure("Certificate for SIP over TLS", f"{words}, on {at:%-d %B %Y}"))
    return found


def _disk_in_words(disk: Mapping[str, Any]) -> str:
    free, size, left_s = disk["free_bytes"], disk["size_bytes"], disk["left_s"]
    words = f"{free / 1e9:,.1f} GB of {size / 1e9:,.1f} GB"
    if left_s is None:
        return f"{words}. It is not shrinking, or has not been watched for an hour yet"
    return f"{words}, which lasts {left_s / _DAY_S:,.0f} days at the rate of the last day"


@router.get("/changes")
def changes(console: Console, caller: PageReader) -> HTMLResponse:
    """Show changes of the configuration, with time and person."""
    _allow(console, caller, "changes")
    try:
        zone = ZoneInfo(console.deps.timezone)
        found = [change_of(entry, zone) for entry in of_act(console.deps.repos.audit.path, *CHANGES)]
    except AuditUnavailableError as error:
        raise ProblemError(503, "The audit log cannot be read. Ask ICT to look at the recorder.") from error
    return console.renderer.page("changes.html", caller, changes=found[: -SHOWN - 1 : -1], has_more=len(found) > SHOWN)


def change_of(entry: AuditEntry, zone: ZoneInfo) -> ConfigChange:
    """Return an audit entry as a change in words."""
    details = entry.details
    if entry.act == "config.reload":
        what = ", ".join(map(str, details.get("changed", []))) or "No setting changed"
    elif entry.act == "notice.set":
        what = _notice_change(entry.subject, details, zone)
    elif "periods" in details:
        what = ", ".join(
            f"{wording.capital(wording.words_for(DataClass, name))}: {times.days(days)}"
            for name, days in details["periods"].items()
        )
    else:
        what = ", ".join(f"{name}: {value}" for name, value in details_in_words(details, zone) if name != "where")
    sha256 = str(details.get("sha256") or "")
    return ConfigChange(at=entry.at, by=entry.actor, kind=CHANGES[entry.act], what=what, sha256=sha256)


def _notice_change(message: str, details: Mapping[str, Any], zone: ZoneInfo) -> str:
    what = f"{wording.capital(wording.message_name(message))}, version {details.get('version')}"
    if details.get("service"):
        what += f", {details['service']}"
    if details.get("is_given_up"):
        return f"{what}: its date was given up"
    starts_at = details.get("starts_at")
    return f"{what}, from {times.moment(datetime.fromisoformat(starts_at), zone)}" if starts_at else what


def _allow(console: ConsoleParts, caller: ConsoleCaller, page: str) -> None:
    console.audit_service.authorise(caller.actor, Act.SEE_SYSTEM)
    # This page must work while the audit log cannot be written, to repair it.
    console.audit_service.note_late(Act.SEE_SYSTEM, caller.actor.actor, "", {"page": page})


def _health(console: ConsoleParts) -> tuple[dict[str, Any] | None, str]:
    try:
        return console.live.health(), ""
    except ProblemError as error:
        return None, error.detail
