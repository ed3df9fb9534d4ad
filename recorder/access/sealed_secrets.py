"""Sealed values of the accounts database as a whole: sealing with a new key, and removing what no key opens."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from sqlalchemy import Column, Connection, Engine, Table, delete, select, update

from recorder.access.account_key import AccountKeyError, Use, key_id_of, key_of
from recorder.access.database import AuditNote
from recorder.access.tables import recovery_codes, second_factors, sessions

LOST = "people.second_factors_lost"
"""Act of the audit log: authenticators were removed because no key opens them."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A column of sealed values."""

    table: Table
    column: Column[str]
    use: Use


_PLACES = (
    _Place(second_factors, second_factors.c.secret, Use.AUTHENTICATOR),
    _Place(recovery_codes, recovery_codes.c.code_hash, Use.RECOVERY_CODE),
    _Place(sessions, sessions.c.enrolling, Use.ENROLLING),
)


class SealedSecrets:
    """The sealed values in the file of people.

    Args:
        engine: From ``open_accounts``; stays the caller's.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.key = key_of(engine)

    def rotate(self) -> AuditNote:
        """Seal every value with a new key, and destroy the old one.

        After a kill the old or both keys are there and open every value; run it again.

        Raises:
            AccountKeyError: A value does not open; nothing was sealed anew.
            OSError: The key cannot be written.
        """
        with self._engine.begin() as connection:
            opened = [
                (account, place, sealed, self.key.open(account, place.use, sealed))  # all, before anything changes
                for account, place, sealed in _values(connection)
            ]
            self.key.add()
            for account, place, sealed, plain in opened:
                anew = self.key.seal(account, place.use, plain)
                connection.execute(update(place.table).where(place.column == sealed).values({place.column: anew}))
        with self._engine.begin() as connection:  # not while another rotation is under way
            self.key.forget_older({key_id_of(sealed) for _, _, sealed in _values(connection)})
        details = {"key": self.key.newest(), "values": len(opened)}
        return AuditNote(act="keys.accounts_rotated", subject="", details=details)

    def unopened(self) -> frozenset[str]:
        """Return the accounts with a value that no key opens.

        Raises:
            AccountKeyError: The key is there, and cannot be read.
        """
        with self._engine.begin() as connection:
            return self._unopened(connection)

    def _unopened(self, connection: Connection) -> frozenset[str]:
        values = _values(connection)
        return frozenset(account for account, place, sealed in values if not self._opens(account, place, sealed))

    def _opens(self, account: str, place: _Place, sealed: str) -> bool:
        try:
            self.key.open(account, place.use, sealed)
        except AccountKeyError as error:
            if not error.is_lost:
                raise
            return False
        return True

    def problem(self) -> str | None:
        """Return what keeps people with an authenticator from signing in, as a sentence; None if nothing does."""
        try:
            lost = sorted(self.unopened())
        except AccountKeyError as error:
            return str(error)
        return f"no key opens the authenticators of {', '.join(lost)}: {self.key.what_to_do()}" if lost else None

    def forget_unopened(self, among: Collection[str]) -> frozenset[str]:
        """Remove the authenticators that no key opens, and end these accounts' sessions; return the accounts.

        At the next sign-in each sets up another authenticator.

        Args:
            among: The accounts that the audit log names; others are left alone.

        Raises:
            AccountKeyError: The key is there, and cannot be read.
        """
        with self._engine.begin() as connection:
            lost = self._unopened(connection) & frozenset(among)
            for table in (second_factors, recovery_codes, sessions):
                connection.execute(delete(table).where(table.c.account.in_(lost)))
        return lost


def _values(connection: Connection) -> Iterator[tuple[str, _Place, str]]:
    for place in _PLACES:
        query = select(place.table.c.account, place.column).where(place.column.is_not(None))
        for account, sealed in connection.execute(query).all():
            yield account, place, sealed
