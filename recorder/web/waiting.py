"""What waits for a person: their open notifications, oldest first, each named by person and time, with its page.

A notification may be older than a change of the person's roles or teams. So names are as the page would show them now;
where it would not, the text is that of the mail, which names nobody.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote
from zoneinfo import ZoneInfo

from recorder.data_subjects import case_deadlines
from recorder.data_subjects.casework import claim_repositories
from recorder.notifications.box import Kept
from recorder.notifications.kinds import NotificationKind
from recorder.permissions import Act, Allowed, Person
from recorder.recordings.searching import knows, shown
from recorder.rules import times, wording
from recorder.rules.authorisation import may
from recorder.web.deps import ConsoleDeps
from recorder.web.proposal_words import change_in_words
from storage.errors import NotFoundError


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One thing that waits.

    Attributes:
        text: What it is, named.
        href: The page where it is done.
        since: When the person was told.
    """

    text: str
    href: str
    since: datetime


Named = tuple[str, str] | None
"""Text and page; None if what it was about is gone, or is not for this person."""


def waiting_for(deps: ConsoleDeps, person: Person) -> list[Waiting]:
    """Return what waits for a person, oldest first. Blocks."""
    told = [one for one in deps.watch.box.of_account(person.name) if one.waits]
    return [_item(deps, person, one) for one in sorted(told, key=lambda one: one.made_at)]


def _item(deps: ConsoleDeps, person: Person, told: Kept) -> Waiting:
    name, subject = _NAMES.get(told.notification.kind), told.notification.subject
    text, href = (name(deps, person, subject) if name else None) or (told.wording.subject, told.wording.path)
    return Waiting(text=text, href=href, since=told.made_at)


def _can(person: Person, act: Act) -> bool:
    return isinstance(may(person, act, reason="shown"), Allowed)


def _who(deps: ConsoleDeps, account: str) -> str:
    found = deps.people.find(account)
    return found.display_name if found else account


def _page(of: str, subject: str) -> str:
    return f"/{of}/{quote(subject, safe='')}"


def _request(deps: ConsoleDeps, _person: Person, subject: str) -> Named:
    request = deps.hearing.requests.get(subject)
    if request is None:
        return None
    count = len(request.wish.recordings)
    what = "a recording" if count == 1 else f"{count} recordings"
    return f"{_who(deps, request.account)} asks to listen to {what}", _page("requests", request.id)


def _emergency(deps: ConsoleDeps, _person: Person, subject: str) -> Named:
    found = deps.hearing.emergencies.get(subject)
    if found is None:
        return None
    at = times.moment(found.at, ZoneInfo(deps.timezone))
    return (
        f"{_who(deps, found.account)} listened to a recording without approval on {at}",
        _page("emergencies", found.id),
    )


def _case(deps: ConsoleDeps, person: Person, subject: str) -> Named:
    case = deps.cases.cases.get(subject) if _can(person, Act.WORK_ON_CASES) else None
    if case is None:
        return None
    due = case_deadlines.due(deps.cases, case)
    by = f", due {times.day(due)}" if due else ""
    return f"Case of {case.requester}{by}", f"/cases/{quote(case.id, safe='')}"


def _claim(deps: ConsoleDeps, person: Person, subject: str) -> Named:
    if not _can(person, Act.WRITE_CLAIM):
        return None
    try:
        claim = claim_repositories(deps.cases).claims.get(subject)
    except NotFoundError:
        return None
    return (
        f"{claim.requester or 'Someone'} asks for {wording.words(claim.right)}",
        _page("rights", claim.id),
    )


def _hold(deps: ConsoleDeps, person: Person, subject: str) -> Named:
    try:
        hold = deps.hold_repositories.holds.get(subject)
        row = deps.index.get(hold.recording)
    except NotFoundError:
        return None
    if not (_can(person, Act.PLACE_HOLD) and knows(person, row)):
        return None
    row = shown(person, row)
    at = times.moment(row.started_at, ZoneInfo(deps.timezone))
    return f"Review the hold on {row.operator}’s call of {at}", _page("holds", hold.id)


def _proposal(deps: ConsoleDeps, person: Person, subject: str) -> Named:
    if not _can(person, Act.CONFIRM_GRANT):
        return None
    proposal = next((one for one in deps.proposals.waiting() if one.id == subject), None)
    if proposal is None:
        return None
    names = {proposal.account: _who(deps, proposal.account)}
    return change_in_words(proposal, names), f"/people/proposals/{quote(subject, safe='')}"


_NAMES: Mapping[NotificationKind, Callable[[ConsoleDeps, Person, str], Named]] = {
    NotificationKind.REQUEST_WAITS: _request,
    NotificationKind.EMERGENCY: _emergency,
    NotificationKind.GRANT_WAITS: _proposal,
    NotificationKind.CASE_PRESSING: _case,
    NotificationKind.CASE_DUE: _case,
    NotificationKind.CASE_OVERDUE: _case,
    NotificationKind.SCOPE_WAITS: _case,
    NotificationKind.CLAIM_WAITS: _claim,
    NotificationKind.CLAIM_OVERDUE: _claim,
    NotificationKind.HOLD_DUE: _hold,
    NotificationKind.HOLD_RELEASED: _hold,
}
