"""What tests of people's accounts share: a password, a hasher that takes no time, a clock that the test holds."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from argon2 import PasswordHasher

from recorder.people.triggers import TRIGGERS

PASSWORD = "violet otter lantern"
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
