"""Accounts that are connected to identities at an OpenID provider, and sign-in by these.

An account is connected once, to one subject of one issuer. After that no other token opens it, whatever name the token
carries. Each change returns an AuditNote for the caller to write.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, select, update

from recorder.access.account_rows import PeopleError, is_deputy, is_usable, one, person_of, row_of
from recorder.access.attempts import SignInRefusal, SignInRefused, refused
from recorder.access.database import AuditNote, from_s
from recorder.access.granting import POWERFUL
from recorder.access.tables import identities, second_factors, sessions
from recorder.access.teams import settle_changes
from recorder.permissions import Person, Role
from recorder.rules.signing_in import OpenIdIdentity
from recorder.rules.vouching import VOUCHED_BY

BY_CLAIM = "claim"
"""Stands for the person who connected an account, if the provider's claim did so at the first sign-in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognised:
    """The identity belongs to an account.

    Attributes:
        takes_code: They have an authenticator. If the provider's second factor is not trusted, they are not signed in
            until its code is right too.
    """

    person: Person
    notes: tuple[AuditNote, ...]
    takes_code: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """The identity that an account is connected to, since when, and by whom: an account, or BY_CLAIM."""

    issuer: str
    subject: str
    since: datetime
    by: str


class ConnectedIdentities:
    """The connected accounts in the file of people.

    Args:
        engine: From ``open_accounts``; stays the caller's.
        now: Returns the time, aware, UTC.
    """

    def __init__(self, engine: Engine, *, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._now = now

    def of(self, account: str) -> Connected | None:
        """Return the identity that an account is connected to, or None."""
        with self._engine.begin() as connection:
            row = _identity(connection, account)
        if row is None:
            return None
        since = from_s(row["connected_s"])
        assert since is not None
        return Connected(issuer=row["issuer"], subject=row["subject"], since=since, by=row["connected_by"])

    def recognise(self, identity: OpenIdIdentity) -> Recognised | SignInRefused:
        """Return the account of an identity. At the first sign-in the provider's claim names the account.

        The claim is not enough for an account with a powerful role or an authenticator, nor for the deputy's: its owner
        must connect it. Otherwise a person who gets a name at the provider could do more than pause calls.
        """
        with self._engine.begin() as connection:
            settle_changes(connection, self._now())
            known = _account_of(connection, identity)
            name = known or identity.account
            row = row_of(connection, name) if name is not None else None
            refusal = self._refusal(connection, row, is_known=known is not None)
            if refusal is not None:
                return _refused(name or "", refusal, identity)
            person = person_of(row)
            takes_code = _has_factor(connection, person.name)
            notes = []
            if known is None:
                notes.append(self._connect(connection, person.name, identity, by=BY_CLAIM))
        proven = {"second_factor": "provider"} if identity.has_second_factor else {}
        act = "people.openid_accepted" if takes_code and not proven else "people.sign_in"
        notes.append(AuditNote(act=act, subject=person.name, details={"by": "openid", **proven}))
        return Recognised(person=person, notes=tuple(notes), takes_code=takes_code)

    def _refusal(self, connection: Connection, row: Any, *, is_known: bool) -> SignInRefusal | None:  # noqa: ANN401 - a RowMapping
        if row is None:
            return SignInRefusal.UNKNOWN
        if not is_usable(row, self._now()):
            return SignInRefusal.DISABLED
        if row["locked_until_s"] is not None and row["locked_until_s"] > self._now().timestamp():
            return SignInRefusal.LOCKED
        if is_known:
            return None
        if _identity(connection, row["name"]) is not None:
            return SignInRefusal.OTHER_IDENTITY
        is_owners = _is_powerful(connection, row) or _has_factor(connection, row["name"])
        return SignInRefusal.NOT_CONNECTED if is_owners else None

    def connect(self, account: str, identity: OpenIdIdentity, *, by: str) -> AuditNote:
        """Connect an account to an identity.

        Args:
            account: The account.
            identity: The identity.
            by: Account that does it: the owner, or an administrator. An account with a powerful role, and the deputy's,
                is connected by its owner only, because the power would go with it.

        Raises:
            PeopleError: There is no such account, it is disabled or connected already, another one is connected to the
                same identity or named by it, or it is not theirs to connect.
        """
        with self._engine.begin() as connection:
            row = one(connection, account)
            if not is_usable(row, self._now()):
                raise PeopleError(f"The account {account} is disabled.")
            if by != account and _is_powerful(connection, row):
                raise PeopleError(f"{account} decides on others, so only they can connect their account, on its page.")
            if _identity(connection, account) is not None:
                raise PeopleError(f"{account} is connected already: ask an administrator to disconnect it first.")
            if _account_of(connection, identity) is not None:
                raise PeopleError("Another account is connected to the same identity at the provider.")
            if identity.account not in (None, account) and row_of(connection, identity.account) is not None:
                raise PeopleError("You signed in at the provider as a person who has another account here: try again.")
            note = self._connect(connection, account, identity, by=by)
            if by != account:  # whoever chose the identity could be its user
                note = replace(note, details={**note.details, VOUCHED_BY: [by]})
                connection.execute(delete(sessions).where(sessions.c.account == account))
        return note

    def _connect(self, connection: Connection, account: str, identity: OpenIdIdentity, *, by: str) -> AuditNote:
        row = {"account": account, "issuer": identity.issuer, "subject": identity.subject, "connected_by": by}
        connection.execute(insert(identities).values(**row, connected_s=self._now().timestamp()))
        details = {"issuer": identity.issuer, "identity": identity.subject, "by": by}
        return AuditNote(act="people.connected", subject=account, details=details)

    def disconnect(self, account: str) -> AuditNote:
        """Disconnect an account from its identity, and end its sessions.

        Raises:
            PeopleError: There is no such account, or it is not connected.
        """
        with self._engine.begin() as connection:
            one(connection, account)
            row = _identity(connection, account)
            if row is None:
                raise PeopleError(f"{account} is not connected.")
            connection.execute(delete(identities).where(identities.c.account == account))
            connection.execute(delete(sessions).where(sessions.c.account == account))
        details = {"issuer": row["issuer"], "identity": row["subject"]}
        return AuditNote(act="people.disconnected", subject=account, details=details)


def signs_in_elsewhere(connection: Connection, account: str) -> bool:
    """Tell whether an account is connected and no administrator's, which must open while the provider is down."""
    row = row_of(connection, account)
    return row is not None and Role.ADMIN not in person_of(row).roles and _identity(connection, account) is not None


def disconnect_unless_own(connection: Connection, account: str) -> bool:
    """Disconnect an account that somebody else connected, because it gets powerful roles.

    Its sessions go on, because the owner may be in a call, but without a second factor, because the provider's may be
    another person's. Tells whether it was disconnected.
    """
    row = _identity(connection, account)
    if row is None or row["connected_by"] == account:
        return False
    connection.execute(delete(identities).where(identities.c.account == account))
    connection.execute(update(sessions).where(sessions.c.account == account).values(is_proven=0))
    return True


def _is_powerful(connection: Connection, row: Any) -> bool:  # noqa: ANN401 - a RowMapping
    return bool(person_of(row).roles & POWERFUL) or is_deputy(connection, row["name"])


def _identity(connection: Connection, account: str) -> Any:  # noqa: ANN401 - a RowMapping or None
    return connection.execute(select(identities).where(identities.c.account == account)).mappings().first()


def _account_of(connection: Connection, identity: OpenIdIdentity) -> str | None:
    is_it = (identities.c.issuer == identity.issuer) & (identities.c.subject == identity.subject)
    found: str | None = connection.execute(select(identities.c.account).where(is_it)).scalar()
    return found


def _has_factor(connection: Connection, account: str) -> bool:
    query = select(second_factors.c.account).where(second_factors.c.account == account)
    return connection.execute(query).first() is not None


def _refused(name: str, refusal: SignInRefusal, identity: OpenIdIdentity) -> SignInRefused:
    result = refused(name, refusal)
    about = {"by": "openid", "issuer": identity.issuer, "identity": identity.subject}
    return replace(result, note=replace(result.note, details={**result.note.details, **about}))
