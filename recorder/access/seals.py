"""Roles are sealed by the audit log: a role that no entry explains gives no right.

Each change of roles is an entry before anybody sees it. So what the log says is added up here, and a row of the file
of people counts only as far as it agrees. Whoever writes into that file gets nothing by it, unless they write into the
log too, where it stands for good and is noted elsewhere (`[anchors]`). Safe between threads.
"""

import logging
import threading
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime

from recorder.permissions import Act, Person, Role
from storage.audit import AuditLog
from storage.audit_entry import AuditEntry
from storage.audit_reading import acts_after
from storage.errors import AuditUnavailableError
from storage.rows import time_from_json

_log = logging.getLogger(__name__)

ADDED, GRANTED, REVOKED, ENABLED = "people.add", "people.granted", "people.revoked", "people.enable"
RESEALED = "people.resealed"
"""Somebody at the machine had the roles count again that the file has, because the log was begun anew."""
_ROLES = (ADDED, GRANTED, REVOKED, ENABLED, RESEALED)
NOTHING_EXPLAINED = frozenset({Role.OFFICER})
"""What counts while the log says of no account: pausing must not stop where it was begun anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A recording that was heard without approval, as the audit log has it."""

    account: str
    recording: str
    at: datetime


@dataclass(slots=True)
class Explained:
    """What the audit log says of roles, of the deputy and of break-glass.

    Attributes:
        roles: By account.
        heard: Acts of break-glass, by id.
        acknowledged: Those that somebody took note of.
        deputy: Who was named to stand in for the data protection officer, or "".
        is_deputy_by_two: Whether two people have named one: since then no entry of one person's counts.
        is_known: Whether the log could ever be read.
    """

    roles: dict[str, frozenset[Role]] = field(default_factory=dict)
    heard: dict[str, Heard] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    deputy: str = ""
    is_deputy_by_two: bool = False
    is_known: bool = False

    def copy(self) -> "Explained":
        """Return one that changes apart from this."""
        return replace(self, roles={**self.roles}, heard={**self.heard}, acknowledged={*self.acknowledged})

    def take(self, entry: AuditEntry) -> None:
        """Add an entry."""
        if entry.act in _ROLES:
            self._take_roles(entry)
        elif entry.act == Act.NAME_DEPUTY:
            self._take_deputy(entry)
        elif entry.act == Act.ACKNOWLEDGE:
            self.acknowledged.add(entry.subject)
        elif emergency := str(entry.details.get("emergency") or ""):
            at = time_from_json(entry.at)
            assert at is not None, "every entry has its moment"
            self.heard.setdefault(emergency, Heard(account=entry.actor, recording=entry.subject, at=at))

    def _take_deputy(self, entry: AuditEntry) -> None:
        if not entry.subject:
            self.deputy = ""  # one person alone has nobody stand in
        elif entry.details.get("proposal"):
            if entry.details.get("proposed_by") not in (None, "", entry.actor):
                self.deputy, self.is_deputy_by_two = entry.subject, True
        elif not self.is_deputy_by_two and "break_glass" not in entry.details:
            # Of before it took two. With that detail it was only asked for at the shell, and nobody had confirmed it.
            self.deputy = entry.subject

    def _take_roles(self, entry: AuditEntry) -> None:
        before = self.roles.get(entry.subject, frozenset())
        if entry.act == RESEALED:
            accounts = entry.details.get("accounts")
            self.deputy = str(entry.details.get("deputy") or "")
            for name, roles in accounts.items() if isinstance(accounts, dict) else ():
                self.roles[name] = self.roles.get(name, frozenset()) | roles_in(roles)
        elif entry.act == ADDED:
            self.roles[entry.subject] = roles_in(entry.details.get("roles"))
        elif entry.act == GRANTED:
            self.roles[entry.subject] = before | roles_in(entry.details.get("roles"))
        else:
            taken = entry.details.get("without" if entry.act == ENABLED else "roles")
            self.roles[entry.subject] = before - roles_in(taken)


class Seals:
    """What the audit log explains, read on from where it was read before.

    Args:
        audit: The log.
    """

    def __init__(self, audit: AuditLog) -> None:
        self._audit = audit
        self._lock = threading.Lock()
        self._explained = Explained()
        self._at: tuple[int, int] = (0, 0)

    def sealed(self, person: Person) -> Person:
        """Return somebody with those of their roles that the log explains.

        Where it cannot be read, and never could, they keep them all: it cannot be written then either, so nobody hears,
        sees or changes anything but live calls, and a pause must not stop.
        """
        explained = self.explained()
        if not explained.is_known:
            return person
        allowed = explained.roles.get(person.name, frozenset()) if explained.roles else NOTHING_EXPLAINED
        return person if person.roles <= allowed else replace(person, roles=person.roles & allowed)

    def sealed_deputy(self, account: str | None) -> str | None:
        """Return the deputy, if the log says that it is this account."""
        return account if account == self.explained().deputy else None

    def explained(self) -> Explained:
        """Return what the log says now; what it said last, while it cannot be read."""
        with self._lock:
            try:
                found = acts_after(self._audit.path, self._at, *_ROLES, Act.NAME_DEPUTY, Act.PLAY, Act.ACKNOWLEDGE)
            except AuditUnavailableError as error:
                _log.error("roles cannot be held against the audit log: %s", error)
                return self._explained
            if found.entries or found.is_anew or not self._explained.is_known:
                # Another object each time: whoever has the one of before may be reading it.
                explained = Explained() if found.is_anew else self._explained.copy()
                explained.is_known = True
                for entry in found.entries:
                    explained.take(entry)
                self._explained = explained
            self._at = found.at
            return self._explained


def disagreements(explained: Explained, people: Collection[Person]) -> dict[str, frozenset[Role]]:
    """Return which roles of whom the log does not explain.

    Args:
        explained: What the log says.
        people: Every account, with the roles of its row.
    """
    rows = {person.name: person.roles for person in people}
    more = {name: roles - explained.roles.get(name, frozenset()) for name, roles in rows.items()}
    return {name: roles for name, roles in more.items() if roles}


def roles_in(listed: object) -> frozenset[Role]:
    """Return the roles of a list in an entry's details; what is none is passed over."""
    known = {role.value for role in Role}
    return frozenset(Role(one) for one in listed if one in known) if isinstance(listed, list) else frozenset()
