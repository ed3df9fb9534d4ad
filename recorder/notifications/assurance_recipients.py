"""Who is notified of calls that were not recorded as they should have been. Pure."""

from collections import Counter
from collections.abc import Iterable
from datetime import timedelta

from recorder.assurance.judging import Verdict
from recorder.assurance.trend import Trend
from recorder.notifications.kinds import Notification, NotificationKind
from recorder.permissions import Role
from recorder.rules.requesting import Approvers
from recorder.rules.wording import title
from storage.assurance_types import StoredFinding

_SEE_ALL_TEAMS = frozenset({Role.DPO, Role.ICT, Role.TEAM_LEADER})


def of_findings(unexplained: Iterable[StoredFinding], approvers: Approvers) -> list[Notification]:
    """Notify the people who explain calls that were not recorded as they should have been, and ICT, once a day.

    Args:
        unexplained: Findings that nobody has explained.
        approvers: Accounts and their roles.
    """
    found = list(unexplained)
    told = []
    for person in approvers.people:
        teams = None if person.roles & _SEE_ALL_TEAMS else frozenset(person.teams)
        if not person.roles & (_SEE_ALL_TEAMS | {Role.MANAGER}):
            continue
        theirs = [one for one in found if teams is None or one.team in teams]
        told += [
            Notification(
                kind=NotificationKind.ASSURANCE_WAITS, account=person.name, moment=day.isoformat(),
                text=_verdicts([one for one in theirs if one.day == day]),
            )
            for day in sorted({one.day for one in theirs})
        ]  # fmt: skip
    return told


def of_trend(trend: Trend, approvers: Approvers) -> list[Notification]:
    """Notify data protection officers and ICT that the share of such calls has risen, once a week."""
    if not trend.has_risen:
        return []
    monday = trend.since - timedelta(days=trend.since.weekday())
    text = f"{trend.now.bad} of {trend.now.calls} calls now\n{trend.before.bad} of {trend.before.calls} calls before"
    return [
        Notification(kind=NotificationKind.ASSURANCE_RISEN, account=person.name, moment=monday.isoformat(), text=text)
        for person in approvers.people
        if person.roles & {Role.DPO, Role.ICT}
    ]


def _verdicts(found: Iterable[StoredFinding]) -> str:
    counts = Counter(one.document["verdict"] for one in found)
    return "\n".join(f"{title(one)}: {counts[one]}" for one in Verdict if counts[one])
