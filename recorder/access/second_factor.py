"""Second factors: codes of an authenticator app, and recovery codes for a lost phone.

A code is checked only after the password was right. Wrong codes count together with wrong passwords (`attempts`).
Secrets and hashes of recovery codes are sealed (`account_key`).
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, select, update

from recorder.access.account_key import AccountKey, AccountKeyError, Use, key_of
from recorder.access.account_rows import PeopleError, is_usable, person_of, row_of
from recorder.access.attempts import SignInRefusal, SignInRefused, begin_attempt, excuse, refused
from recorder.access.database import AuditNote
from recorder.access.tables import recovery_codes, second_factors, sessions
from recorder.access.totp import STEP_S, matching_step
from recorder.permissions import Person

RECOVERY_CODES = 8
_RECOVERY_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without letters that look alike."""
_RECOVERY_LENGTH = 16
"""79 bits: too many to guess from the SHA-256, which is fast to compute, even with the key that seals it."""
WRONG_CODE_SENTENCE = (
    f"The code is wrong. Enter the code that your app shows now. Each code works once, for {STEP_S} seconds. "
    "After 5 wrong attempts your account is locked for 15 minutes, and longer the next time."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """The code was right, and the person is signed in."""

    person: Person
    note: AuditNote


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """An authenticator is set up; the recovery codes cannot be shown again."""

    codes: tuple[str, ...]
    note: AuditNote


class SecondFactors:
    """The second factors in the file of people.

    Args:
        engine: From ``open_accounts``; stays the caller's.
        now: Returns the time, aware, UTC.
    """

    def __init__(self, engine: Engine, *, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._key = key_of(engine)
        self._now = now

    def has(self, account: str) -> bool:
        """Tell whether an account has a second factor."""
        with self._engine.begin() as connection:
            return _factor(connection, account) is not None

    def codes_left(self, account: str) -> int:
        """Return how many recovery codes are unused."""
        with self._engine.begin() as connection:
            query = select(recovery_codes.c.code_hash).where(recovery_codes.c.account == account)
            return len(connection.execute(query).all())

    def enrol(self, account: str, secret: str, code: str) -> Enrolled | SignInRefused:
        """Set up an authenticator, once its first code shows that the app has the secret; ends every session.

        Args:
            account: The account, whose password was given.
            secret: From `totp.new_secret`.
            code: As typed.

        Raises:
            PeopleError: It has one already.
            AccountKeyError: The key that seals secrets is lost.
        """
        with self._engine.begin() as connection:
            if _factor(connection, account) is not None:
                raise PeopleError(f"{account} has an authenticator already.")
            row = begin_attempt(connection, account, self._now())
            if isinstance(row, SignInRefused):
                return row
            step = matching_step(secret, code, self._now(), after=0)
            if step is None:
                return refused(account, SignInRefusal.WRONG_CODE)
            excuse(connection, account)
            now_s = self._now().timestamp()
            ensure_key(connection, self._key)
            sealed = self._key.seal(account, Use.AUTHENTICATOR, secret)
            values = {"account": account, "secret": sealed, "last_step": step, "enrolled_s": now_s}
            connection.execute(insert(second_factors).values(**values))
            codes = self._new_codes(connection, account)
            connection.execute(delete(sessions).where(sessions.c.account == account))
        return Enrolled(codes=codes, note=AuditNote(act="people.second_factor_set", subject=account))

    def check(self, account: str, code: str) -> Proven | SignInRefused:
        """Check a code of the app, or a recovery code, which can be used only once.

        Raises:
            AccountKeyError: The account's secret or a recovery code does not open; the latter counts as a wrong code.
        """
        with self._engine.begin() as connection:
            row = begin_attempt(connection, account, self._now())
            if isinstance(row, SignInRefused):
                return row
            factor = _factor(connection, account)
            if factor is None:
                return refused(account, SignInRefusal.WRONG_CODE)
            secret = self._key.open(account, Use.AUTHENTICATOR, factor["secret"])
            by, problem = None, None
            try:
                by = self._spend(connection, account, code, secret=secret, last_step=factor["last_step"])
            except AccountKeyError as error:  # the code was tried, so it counts: raised after the transaction
                problem = error
            row = row_of(connection, account)
            if problem is None and (by is None or not is_usable(row, self._now())):
                return refused(account, SignInRefusal.WRONG_CODE)
            if problem is None:
                excuse(connection, account)
        if problem is not None:
            raise problem
        note = AuditNote(act="people.sign_in", subject=account, details={"second_factor": by})
        return Proven(person=person_of(row), note=note)

    def _spend(self, connection: Connection, account: str, code: str, *, secret: str, last_step: int) -> str | None:
        """Use up a code, and return its kind; None if it is not valid."""
        step = matching_step(secret, code, self._now(), after=last_step)
        if step is not None:
            mine = second_factors.c.account == account
            connection.execute(update(second_factors).where(mine).values(last_step=step))
            return "code"
        typed = _hash(code)
        query = select(recovery_codes.c.code_hash).where(recovery_codes.c.account == account)
        for sealed in connection.execute(query).scalars().all():
            if hmac.compare_digest(self._key.open(account, Use.RECOVERY_CODE, sealed), typed):
                connection.execute(delete(recovery_codes).where(recovery_codes.c.code_hash == sealed))
                return "recovery_code"
        return None

    def _new_codes(self, connection: Connection, account: str) -> tuple[str, ...]:
        connection.execute(delete(recovery_codes).where(recovery_codes.c.account == account))
        codes = tuple(_new_code() for _ in range(RECOVERY_CODES))
        sealed = [self._key.seal(account, Use.RECOVERY_CODE, _hash(code)) for code in codes]
        connection.execute(insert(recovery_codes), [{"code_hash": one, "account": account} for one in sealed])
        return codes


def ensure_key(connection: Connection, key: AccountKey) -> None:
    """Create the key before the first value is sealed; a lost key is not replaced.

    Args:
        connection: In a transaction.
        key: Of the same accounts.

    Raises:
        OSError: It cannot be written.
    """
    if connection.execute(select(second_factors.c.account).limit(1)).first() is None:
        key.create()


def has_factor(connection: Connection, account: str) -> bool:
    """Tell whether an account has an authenticator."""
    return _factor(connection, account) is not None


def remove_factor(connection: Connection, account: str) -> None:
    """Remove a second factor and end every session; the next sign-in sets up another.

    Args:
        connection: In a transaction.
        account: An existing account.

    Raises:
        PeopleError: It has none.
    """
    mine = second_factors.c.account == account
    if connection.execute(delete(second_factors).where(mine)).rowcount != 1:
        raise PeopleError(f"{account} has no authenticator.")
    connection.execute(delete(recovery_codes).where(recovery_codes.c.account == account))
    connection.execute(delete(sessions).where(sessions.c.account == account))


def _factor(connection: Connection, account: str) -> Any:  # noqa: ANN401 - a RowMapping or None
    return connection.execute(select(second_factors).where(second_factors.c.account == account)).mappings().first()


def _new_code() -> str:
    letters = "".join(secrets.choice(_RECOVERY_LETTERS) for _ in range(_RECOVERY_LENGTH))
    return "-".join(letters[at : at + 4] for at in range(0, _RECOVERY_LENGTH, 4))


def _hash(code: str) -> str:
    bare = "".join(code.lower().split()).replace("-", "")
    return hashlib.sha256(bare.encode("utf-8", "surrogatepass")).hexdigest()
