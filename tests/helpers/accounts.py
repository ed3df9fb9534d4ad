"""What tests of people's accounts share: a password, a hasher that takes no time, a clock that the test holds."""

import sqlite3
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from sqlalchemy import Engine

from recorder.access.account_key import PEOPLE
from recorder.access.accounts import People
from recorder.access.database import AuditNote
from recorder.access.deputies import appoint
from recorder.access.listening.appointments import Appointments
from recorder.access.tokens import NewToken, Tokens, keep
from recorder.access.triggers import TRIGGERS
from storage.audit import AuditLog

PASSWORD = "violet otter lantern"
MAKER = "os:tests"
"""Who made the accounts of a test, in the audit log: at the machine, as `recorder init` does."""
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, time: datetime = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)) -> None:
        self.time = time

    def __call__(self) -> datetime:
        return self.time


def as_of_before(path: Path, account: str, roles: str) -> None:
    """Give an account roles as a version without the rule on `admin` let it have them; the file is people's."""
    connection = sqlite3.connect(path)
    with connection:
        for name in TRIGGERS:
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("UPDATE accounts SET roles = ? WHERE name = ?", (roles, account))
    connection.close()
    explain(path, account, roles.split(","))


def explain(path: Path, account: str, roles: Iterable[str]) -> None:
    """Have the audit log of a home say that an account got roles; the file is people's."""
    AuditLog(path.parent / "audit").append(
        act="people.granted", actor=MAKER, subject=account, details={"roles": sorted(roles)}
    )


def write_down_additions() -> None:
    """Have accounts that a test makes by themselves be in the audit log, as who makes one writes it there.

    What no entry explains gives no right. What the product makes it writes down itself.
    """
    add = People.add

    def added(self: People, name: str, password: str, **values: Any) -> AuditNote:
        note = add(self, name, password, **values)
        if _is_by_test():
            _write_down(self._engine, note.act, note.subject, dict(note.details))
        return note

    People.add = added  # type: ignore[method-assign]


def add_token(tokens: Tokens, name: str, **values: Any) -> NewToken:
    """Keep a token that is good at once; takes what `Tokens.prepare` does. In the product somebody else confirms it."""
    made = tokens.prepare(name, **values)
    with tokens._engine.begin() as connection:
        keep(connection, made.row, now=tokens._now())
    return made


def appoint_deputy(appointments: Appointments, account: str) -> bool:
    """Have somebody stand in for the data protection officer, named by two; tells whether they are disconnected."""
    engine = appointments._engine
    _write_down(engine, "people.deputy", account, {"proposal": "0a0a0a0a", "proposed_by": "one"})
    with engine.begin() as connection:
        return appoint(connection, account, named_by="one", confirmed_by="another", now=datetime.now(UTC))


def _is_by_test() -> bool:
    caller = str(sys._getframe(2).f_globals["__name__"])
    return caller.startswith(("tests.", "test_", "conftest"))


def _write_down(engine: Engine, act: str, subject: str, details: dict[str, Any]) -> None:
    path = Path(engine.get_execution_options().get(PEOPLE) or str(engine.url.database))
    if path.name == "people.sqlite":
        AuditLog(path.parent / "audit").append(act=act, actor=MAKER, subject=subject, details=details)
