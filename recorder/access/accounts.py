"""Accounts of people: adding, changing, disabling, listing, and checking passwords.

Each change returns an AuditNote, which the caller writes to the audit log before it shows the result. The clock is
passed in. Hashing a password blocks for about 0.1 s, so do not call this from an event loop.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from argon2 import PasswordHasher
from sqlalchemy import Connection, Engine, delete, insert, select, update

from recorder.access.account_rows import (
    PeopleError,
    check_combination,
    check_other_admin,
    check_person,
    check_team_spelling,
    columns_of,
    details_of,
    is_usable,
    one,
    person_of,
    power_lost,
    renew_password,
    row_of,
)
from recorder.access.attempts import SignInRefusal, SignInRefused, begin_attempt, excuse, refused, take_back
from recorder.access.database import AuditNote, from_s
from recorder.access.granting import POWERFUL, PasswordSet
from recorder.access.identities import signs_in_elsewhere
from recorder.access.password_hashes import PasswordHashes
from recorder.access.passwords import weakness
from recorder.access.removal import is_still_named
from recorder.access.seals import Seals, disagreements
from recorder.access.tables import accounts, identities, second_factors, sessions
from recorder.access.teams import plan_change, settle_changes
from recorder.common.plain_text import comparable
from recorder.permissions import Person, Role
from recorder.rules.authorisation import combines_admin
from recorder.rules.vouching import NOBODY, VOUCHED, VOUCHED_BY, Vouched, vouching_problem

FOUNDER_ROLES = frozenset({Role.ADMIN})
"""Roles of the account that `recorder init` adds, which then adds the data protection officer's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """The password was right.

    Attributes:
        takes_code: They have a second factor, so they are not signed in until its code is right too (`second_factor`).
    """

    person: Person
    note: AuditNote
    takes_code: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A line of `recorder users list`.

    Attributes:
        created_at: When it was added, UTC.
        closes_at: From when it cannot be used, UTC; None if nothing is planned.
        locked_until: Until when nobody can sign in to it, or None.
        is_connected: It is connected to an identity at an OpenID provider.
    """

    person: Person
    created_at: datetime
    is_disabled: bool
    closes_at: datetime | None
    locked_until: datetime | None
    has_second_factor: bool
    is_connected: bool


class People:
    """The accounts in one file; safe to use from several threads and processes.

    Args:
        engine: From ``open_accounts``; stays the caller's.
        now: Returns the time, aware, UTC.
        hasher: argon2id with its usual costs; tests pass a cheap one.
        seals: Verifies roles by the audit log; unverified roles do not count. None for callers that only write.
    """

    def __init__(
        self, engine: Engine, *, now: Callable[[], datetime], hasher: PasswordHasher | None = None,
        seals: Seals | None = None,
    ) -> None:  # fmt: skip
        self._engine = engine
        self.seals = seals
        self._now = now
        self._hashes = PasswordHashes(hasher)

    def add(
        self,
        name: str,
        password: str,
        *,
        display_name: str = "",
        roles: Iterable[Role],
        teams: Iterable[str] = (),
        extension: str | None = None,
        by: str | None = None,
        has_calls: bool = False,
        is_same_person: bool = False,
    ) -> AuditNote:
        """Add an account.

        Calls are found by the display name of their officer, so that of somebody else would give their calls away.

        Args:
            name: 2 to 40 of a-z, 0-9, dot, dash, underscore; starts with a letter or digit.
            password: Must satisfy ``passwords.weakness``.
            display_name: As calls name their operator; by default the name. Unique.
            roles: Its roles.
            teams: Teams a manager answers for.
            extension: Own extension.
            by: Account of who adds it, and alone vouches for it until somebody else does; None for the first account.
            has_calls: Calls on record have the display name.
            is_same_person: Who adds it says that these calls, or the former account with this display name, are theirs.

        Raises:
            PeopleError: A value is invalid or already taken.
        """
        person = Person(
            name=name,
            display_name=display_name or name,
            roles=frozenset(roles),
            teams=tuple(teams),
            extension=extension,
        )
        check_person(person)
        check_combination(name, frozenset(), person.roles)
        _check_password(password, name)
        former = self._former(person.display_name)
        if (has_calls or former is not None) and not is_same_person:
            who = "calls on record have it" if has_calls else f"the account {former} had it"
            raise PeopleError(
                f"The display name {person.display_name!r} was used before: {who}. Whoever has it sees these calls as "
                "their own. Enter another one, such as with a middle initial; or --same-person with --reason if they "
                "are the same person."
            )
        row = {
            **columns_of(person),
            "password_hash": self._hashes.hash_of(password),
            "created_s": self._now().timestamp(),
        }
        with self._engine.begin() as connection:
            _check_free(connection, person, self._now())
            connection.execute(insert(accounts).values(**row))
        more: dict[str, Any] = {} if by is None else {VOUCHED_BY: [by]}
        if is_same_person:
            more |= {"same_person": True, "former_account": former, "has_calls": has_calls}
        return AuditNote(act="people.add", subject=name, details=details_of(person) | more)

    def _former(self, display_name: str) -> str | None:
        """Return the account that had a display name before, as the audit log has it, or None."""
        return None if self.seals is None else self.seals.explained().named.get(comparable(display_name))

    def disable(self, name: str, *, from_: datetime | None = None) -> AuditNote:
        """Disable an account and end its sessions, at once or from a later moment.

        Recordings of the person are still found by their name.

        Args:
            name: The account.
            from_: Aware; None for now. Until then nothing changes, and another call may change it.

        Raises:
            PeopleError: There is no such account, or it is the last one that may change accounts.
        """
        now = self._now()
        at = max(from_ or now, now)
        with self._engine.begin() as connection:
            one(connection, name)
            check_other_admin(connection, name)
            connection.execute(update(accounts).where(accounts.c.name == name).values(disabled_s=at.timestamp()))
            if at <= now:
                connection.execute(delete(sessions).where(sessions.c.account == name))
        return AuditNote(act="people.disable", subject=name, details={"from": at.isoformat()})

    def enable(self, name: str) -> AuditNote:
        """Enable a disabled account, without its powerful roles, which take two people.

        An account that is only set to close later keeps everything, and stays open.

        Raises:
            PeopleError: There is no such account, or it is not disabled.
        """
        with self._engine.begin() as connection:
            row = one(connection, name)
            if row["disabled_s"] is None:
                raise PeopleError(f"The account {name} is not disabled.")
            roles = person_of(row).roles
            kept = roles if is_usable(row, self._now()) else roles - POWERFUL
            values = {"disabled_s": None, "roles": ",".join(sorted(kept)), **power_lost(roles - kept, self._now())}
            connection.execute(update(accounts).where(accounts.c.name == name).values(**values))
        return AuditNote(act="people.enable", subject=name, details={"without": sorted(roles - kept)})

    def set_team(self, name: str, team: str, *, answers: bool, from_: datetime | None = None) -> AuditNote:
        """Add or remove a team that a person answers for, at once or from a later moment.

        Args:
            name: The account.
            team: As calls name it; the teams of earlier calls do not change.
            answers: True to add, False to remove.
            from_: Aware; None for now.

        Raises:
            PeopleError: There is no such account, or the team's name is not valid.
        """
        now = self._now()
        at = max(from_ or now, now)
        with self._engine.begin() as connection:
            person = person_of(one(connection, name))
            if answers or team not in person.teams:  # one with hidden characters, from before, can be removed
                check_person(replace(person, teams=(*person.teams, team)))
            if answers:
                check_team_spelling(connection, [team])
            if not team.strip():
                raise PeopleError("A team needs a name.")
            plan_change(connection, name, team, answers=answers, at=at)
            settle_changes(connection, now)
        details = {"team": team, "answers": answers, "from": at.isoformat()}
        return AuditNote(act="people.set_team", subject=name, details=details)

    def set_password(self, name: str, password: str) -> AuditNote:
        """Set the owner's own new password, unlock the account and end its sessions; see also `Proposals`.

        Args:
            name: The account, whose owner does it.
            password: Must satisfy ``passwords.weakness``.

        Raises:
            PeopleError: There is no such account, or the password is too weak.
        """
        password_hash = self.hash_of(name, password)
        with self._engine.begin() as connection:
            one(connection, name)
            renew_password(connection, name, password_hash, by=name, now=self._now())
        return AuditNote(act="people.set_password", subject=name)

    def hash_of(self, name: str, password: str) -> str:
        """Return the hash of a password for an account.

        Raises:
            PeopleError: The password is too weak.
        """
        _check_password(password, name)
        return self._hashes.hash_of(password)

    def passwords_set_since(self, moment: datetime) -> list[PasswordSet]:
        """Return the accounts whose password was set since a moment, with the last time of each."""
        query = select(accounts).where(accounts.c.password_set_s >= moment.timestamp())
        with self._engine.begin() as connection:
            rows = connection.execute(query.order_by(accounts.c.name)).mappings().all()
        return [
            PasswordSet(account=row["name"], at=at, by=row["password_set_by"])
            for row in rows
            if (at := from_s(row["password_set_s"])) is not None
        ]

    def list(self) -> list[Account]:
        """Return every account by name, disabled ones too."""
        with self._engine.begin() as connection:
            settle_changes(connection, self._now())
            rows = connection.execute(select(accounts).order_by(accounts.c.name)).mappings().all()
            proven = set(connection.execute(select(second_factors.c.account)).scalars())
            connected = set(connection.execute(select(identities.c.account)).scalars())
        return [
            _account(
                row, self._sealed(row), self._now(), has_second_factor=row["name"] in proven,
                is_connected=row["name"] in connected,
            )
            for row in rows
        ]  # fmt: skip

    def unexplained(self) -> dict[str, frozenset[Role]]:
        """Return the roles by account that the audit log does not explain; they give no rights."""
        if self.seals is None:
            return {}
        with self._engine.begin() as connection:
            rows = [person_of(row) for row in connection.execute(select(accounts)).mappings()]
        return disagreements(self.seals.explained(), rows)

    def vouched(self) -> Vouched:
        """Return who vouched for each account, as the audit log has it."""
        return NOBODY if self.seals is None else self.seals.vouched()

    def vouch(self, by: str, name: str) -> AuditNote:
        """Return the audit entry by which a person vouches for an account, which takes effect once it is written.

        Raises:
            PeopleError: There is no such account in use, or they cannot.
        """
        with self._engine.begin() as connection:
            row = one(connection, name)
        if not is_usable(row, self._now()):
            raise PeopleError(f"The account {name} is disabled.")
        if (problem := vouching_problem(by, name, self.vouched())) is not None:
            raise PeopleError(problem)
        return AuditNote(act=VOUCHED, subject=name, details={"display_name": row["display_name"]})

    def _sealed(self, row: Any) -> Person:  # noqa: ANN401 - a RowMapping
        person = person_of(row)
        return person if self.seals is None else self.seals.sealed(person)

    def find(self, name: str) -> Person | None:
        """Return the person of an active account; None if there is none or it is disabled."""
        with self._engine.begin() as connection:
            settle_changes(connection, self._now())
            row = row_of(connection, name)
        return None if row is None or not is_usable(row, self._now()) else self._sealed(row)

    def verify(self, name: str, password: str, *, if_connected: bool = True) -> SignedIn | SignInRefused:
        """Check a name and a password.

        The failure is counted before the password is checked, and taken back if it is right, so that simultaneous
        guesses get no more than MAX_FAILURES tries. An unknown name takes as long as a known one.

        Args:
            name: As typed.
            password: As typed.
            if_connected: Whether passwords count for accounts that are connected to an OpenID provider. If not, only
                administrators' do; others are not checked, so nobody can lock them by guessing.
        """
        name = name.strip().lower()
        hash_or_refusal = self._attempt(name, if_connected=if_connected)
        if isinstance(hash_or_refusal, SignInRefused):
            self._hashes.check_nobody(password)
            return hash_or_refusal
        if not self._hashes.matches(hash_or_refusal, password):
            return refused(name, SignInRefusal.WRONG_PASSWORD, self._locked_until(name))
        return self._succeed(name, hash_or_refusal, password)

    def _attempt(self, name: str, *, if_connected: bool) -> str | SignInRefused:
        with self._engine.begin() as connection:
            settle_changes(connection, self._now())
            if not if_connected and signs_in_elsewhere(connection, name):
                return refused(name, SignInRefusal.PASSWORD_OFF)
            row = begin_attempt(connection, name, self._now())
            return row if isinstance(row, SignInRefused) else str(row["password_hash"])

    def _succeed(self, name: str, password_hash: str, password: str) -> SignedIn | SignInRefused:
        rehashed = self._hashes.rehashed(password_hash, password)
        with self._engine.begin() as connection:
            row = row_of(connection, name)
            if row is None or not is_usable(row, self._now()) or row["password_hash"] != password_hash:
                return refused(name, SignInRefusal.DISABLED)  # changed during hashing
            has_factor = select(second_factors.c.account).where(second_factors.c.account == name)
            takes_code = connection.execute(has_factor).first() is not None
            if takes_code:
                take_back(connection, row)
            else:
                excuse(connection, name)
            connection.execute(update(accounts).where(accounts.c.name == name).values(password_hash=rehashed))
        act = "people.password_accepted" if takes_code else "people.sign_in"
        return SignedIn(person=self._sealed(row), note=AuditNote(act=act, subject=name), takes_code=takes_code)

    def _locked_until(self, name: str) -> datetime | None:
        with self._engine.begin() as connection:
            row = row_of(connection, name)
        return None if row is None else from_s(row["locked_until_s"])


def _check_password(password: str, account: str) -> None:
    problem = weakness(password, account=account)
    if problem:
        raise PeopleError(problem)


def _check_free(connection: Connection, person: Person, now: datetime) -> None:
    known = connection.execute(select(accounts.c.name, accounts.c.display_name)).all()
    shown = comparable(person.display_name)
    if any(one.name == person.name or comparable(one.display_name) == shown for one in known):
        raise PeopleError(
            f"The name {person.name} or {person.display_name!r} is taken; each person needs an account of their own."
        )
    check_team_spelling(connection, person.teams)
    if is_still_named(connection, person.name, now):
        raise PeopleError(
            f"The name {person.name} was that of a removed account, and a request or a proposal still names who had "
            "it: choose another name."
        )


def _account(
    row: Any,  # noqa: ANN401 - a RowMapping
    person: Person,
    now: datetime,
    *,
    has_second_factor: bool,
    is_connected: bool,
) -> Account:
    created_at = from_s(row["created_s"])
    assert created_at is not None
    return Account(
        person=person,
        created_at=created_at,
        is_disabled=not is_usable(row, now),
        closes_at=from_s(row["disabled_s"]),
        locked_until=from_s(row["locked_until_s"]),
        has_second_factor=has_second_factor,
        is_connected=is_connected,
    )


def usable_people(people: People) -> list[Person]:
    """Return everybody with an active account."""
    return [account.person for account in people.list() if not account.is_disabled]


def is_anothers_extension(people: People, person: Person, number: str) -> bool:
    """Tell whether an extension is the own one of another account, where a sign-on takes a code."""
    return any(other.extension == number and other.name != person.name for other in usable_people(people))


def combining_admin(people: People) -> list[Person]:
    """Return people with `admin` and a role that hears, from before these excluded each other; they hear nothing."""
    return [person for person in usable_people(people) if combines_admin(person.roles)]


def count_usable(people: People) -> int:
    """Return the number of active accounts; site-check warns below two."""
    return len(usable_people(people))
