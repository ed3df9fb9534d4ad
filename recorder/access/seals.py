"""Verifies roles by the audit log: a role that no entry explains gives no rights.

Each change of roles is in the log before it takes effect. This module adds up the entries, and a row in the file of
people counts only as far as it agrees. A person who changes that file gains nothing, unless they also change the log,
where it stays and is anchored elsewhere (`[anchors]`). Safe between threads.
"""

import logging
import threading
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime

from recorder.common.plain_text import comparable
from recorder.permissions import Act, Person, Role
from recorder.rules.vouching import VOUCHED, VOUCHED_BY, Vouched
from storage.audit import AuditLog
from storage.audit_entry import AuditEntry
from storage.audit_reading import acts_after
from storage.errors import AuditUnavailableError
from storage.rows import time_from_json

_log = logging.getLogger(__name__)

ADDED, GRANTED, REVOKED, ENABLED = "people.add", "people.granted", "people.revoked", "people.enable"
REMOVED = "people.remove"
RESEALED = "people.resealed"
"""A user of the machine accepted the roles in the file, because the log was begun anew."""
RESET, PASSWORD, CONNECTED = "people.second_factor_removed", "people.set_password", "people.connected"
_ROLES = (ADDED, GRANTED, REVOKED, ENABLED, REMOVED, RESEALED)
_VOUCHING = (ADDED, GRANTED, RESET, PASSWORD, CONNECTED, VOUCHED, str(Act.NAME_DEPUTY))
_ACTS = tuple(dict.fromkeys((*_ROLES, *_VOUCHING, Act.PLAY, Act.ACKNOWLEDGE)))
NOTHING_EXPLAINED = frozenset({Role.OFFICER})
"""Roles that count while the log mentions no account: pausing must work after the log was begun anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A break-glass hearing in the audit log."""

    account: str
    recording: str
    at: datetime


@dataclass(slots=True)
class Explained:
    """Roles, deputy and break-glass acts as the audit log has them.

    Attributes:
        roles: By account.
        heard: Break-glass acts, by id.
        acknowledged: Ids of those that were acknowledged.
        deputy: Account of the data protection officer's deputy, or "".
        is_deputy_by_two: Whether two people have named a deputy; from then on entries of one person do not count.
        is_known: Whether the log could ever be read.
        vouched: Who vouched for accounts, by account; see `recorder.rules.vouching`.
        named: Accounts that were ever added, by display name as it is compared.
    """

    roles: dict[str, frozenset[Role]] = field(default_factory=dict)
    heard: dict[str, Heard] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    deputy: str = ""
    is_deputy_by_two: bool = False
    is_known: bool = False
    vouched: dict[str, frozenset[str]] = field(default_factory=dict)
    named: dict[str, str] = field(default_factory=dict)

    def copy(self) -> "Explained":
        """Return a copy that can be changed on its own."""
        return replace(
            self, roles={**self.roles}, heard={**self.heard}, acknowledged={*self.acknowledged},
            vouched={**self.vouched}, named={**self.named},
        )  # fmt: skip

    def take(self, entry: AuditEntry) -> None:
        """Add an entry."""
        if entry.act in _VOUCHING:
            self._take_vouching(entry)
        if entry.act in _ROLES:
            self._take_roles(entry)
        elif entry.act == Act.NAME_DEPUTY:
            self._take_deputy(entry)
        elif entry.act == Act.ACKNOWLEDGE:
            self.acknowledged.add(entry.subject)
        elif emergency := str(entry.details.get("emergency") or ""):
            at = time_from_json(entry.at)
            assert at is not None, "every entry has a time"
            self.heard.setdefault(emergency, Heard(account=entry.actor, recording=entry.subject, at=at))

    def _take_vouching(self, entry: AuditEntry) -> None:
        account, by = entry.subject, entry.details.get(VOUCHED_BY)
        if by is not None:
            self.vouched[account] = names_in(by)
        elif entry.act == ADDED or (entry.act == GRANTED and entry.details.get("alone") is True):
            self.vouched.pop(account, None)  # by an earlier version, at the machine, or while nobody could confirm
        elif account in self.vouched and entry.act in (GRANTED, VOUCHED, str(Act.NAME_DEPUTY)):
            self.vouched[account] |= {entry.actor, *names_in([entry.details.get("proposed_by")])}

    def _take_deputy(self, entry: AuditEntry) -> None:
        if not entry.subject:
            self.deputy = ""  # ending takes one person
        elif entry.details.get("proposal"):
            if entry.details.get("proposed_by") not in (None, "", entry.actor):
                self.deputy, self.is_deputy_by_two = entry.subject, True
        elif not self.is_deputy_by_two and "break_glass" not in entry.details:
            # From before it took two people. With that detail it was only a proposal that nobody had confirmed.
            self.deputy = entry.subject

    def _take_roles(self, entry: AuditEntry) -> None:
        before = self.roles.get(entry.subject, frozenset())
        if entry.act == RESEALED:
            accounts = entry.details.get("accounts")
            self.deputy = str(entry.details.get("deputy") or "")
            for name, roles in accounts.items() if isinstance(accounts, dict) else ():
                self.roles[name] = self.roles.get(name, frozenset()) | roles_in(roles)
        elif entry.act == REMOVED:
            self.roles[entry.subject] = frozenset()
        elif entry.act == ADDED:
            self.named[comparable(str(entry.details.get("display_name") or entry.subject))] = entry.subject
            self.roles[entry.subject] = roles_in(entry.details.get("roles"))
        elif entry.act == GRANTED:
            self.roles[entry.subject] = before | roles_in(entry.details.get("roles"))
        else:
            taken = entry.details.get("without" if entry.act == ENABLED else "roles")
            self.roles[entry.subject] = before - roles_in(taken)


class Seals:
    """The audit log's account of roles; each read continues where the last one ended."""

    def __init__(self, audit: AuditLog) -> None:
        self._audit = audit
        self._lock = threading.Lock()
        self._explained = Explained()
        self._at: tuple[int, int] = (0, 0)

    def sealed(self, person: Person) -> Person:
        """Return a person with only those roles that the log explains.

        If the log could never be read they keep all roles: it cannot be written then either, so nobody can do anything
        but act on live calls, and pausing must work.
        """
        explained = self.explained()
        if not explained.is_known:
            return person
        allowed = explained.roles.get(person.name, frozenset()) if explained.roles else NOTHING_EXPLAINED
        return person if person.roles <= allowed else replace(person, roles=person.roles & allowed)

    def sealed_deputy(self, account: str | None) -> str | None:
        """Return the account if the log has it as the deputy, else None."""
        return account if account == self.explained().deputy else None

    def vouched(self) -> Vouched:
        """Return who vouched for each account, as the log has it."""
        return Vouched(by=self.explained().vouched)

    def explained(self) -> Explained:
        """Return the log's account of roles; the last one known while the log cannot be read."""
        with self._lock:
            try:
                found = acts_after(self._audit.path, self._at, *_ACTS)
            except AuditUnavailableError as error:
                _log.error("Roles cannot be verified by the audit log: %s", error)
                return self._explained
            if found.entries or found.is_anew or not self._explained.is_known:
                # A new object each time: another thread may be reading the old one.
                explained = Explained() if found.is_anew else self._explained.copy()
                explained.is_known = True
                for entry in found.entries:
                    explained.take(entry)
                self._explained = explained
            self._at = found.at
            return self._explained


def disagreements(explained: Explained, people: Collection[Person]) -> dict[str, frozenset[Role]]:
    """Return the roles by account that the log does not explain.

    Args:
        explained: The log's account.
        people: Every account, with the roles of its row.
    """
    rows = {person.name: person.roles for person in people}
    more = {name: roles - explained.roles.get(name, frozenset()) for name, roles in rows.items()}
    return {name: roles for name, roles in more.items() if roles}


def names_in(listed: object) -> frozenset[str]:
    """Return the names in a list of an entry's details; other values are skipped."""
    return frozenset(one for one in listed if isinstance(one, str)) if isinstance(listed, list) else frozenset()


def roles_in(listed: object) -> frozenset[Role]:
    """Return the roles in a list of an entry's details; other values are skipped."""
    known = {role.value for role in Role}
    return frozenset(Role(one) for one in listed if one in known) if isinstance(listed, list) else frozenset()
