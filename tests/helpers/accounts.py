"""What tests of people's accounts share: a password, a hasher that takes no time, a clock that the test holds."""

from datetime import UTC, datetime

from argon2 import PasswordHasher

PASSWORD = "violet otter lantern"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, time: datetime = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)) -> None:
        self.time = time

    def __call__(self) -> datetime:
        return self.time
