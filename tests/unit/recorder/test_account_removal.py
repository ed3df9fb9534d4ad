"""Removing an account: only one that is closed, and never so that it hides who could confirm until lately."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from recorder.access.account_rows import PeopleError
from recorder.access.accounts import People
from recorder.access.database import open_people
from recorder.access.granting import STANDS_FOR
from recorder.access.removal import BESIDE, check_removable, remove_account
from recorder.notifications.addresses import Addresses
from recorder.permissions import Role
from tests.helpers.accounts import CHEAP, PASSWORD

NOW = datetime(2026, 11, 25, 14, 30, tzinfo=UTC)


def test_an_account(tmp_path: Path) -> None:
    engine = open_people(tmp_path / "people.sqlite")
    now = [NOW]
    people = People(engine, now=lambda: now[0], hasher=CHEAP)
    for name, role in (("ada", Role.ADMIN), ("amy", Role.ADMIN), ("olive", Role.OFFICER)):
        people.add(name, PASSWORD, roles={role})
    Addresses(engine).save("olive", "olive@council.example")
    with pytest.raises(PeopleError, match="disable it first"):
        check_removable(engine, "olive", NOW)
    with pytest.raises(PeopleError, match="no account"):
        check_removable(engine, "nobody", NOW)
    people.disable("olive")
    people.disable("amy")
    now[0] += timedelta(minutes=1)
    with pytest.raises(PeopleError, match="could confirm changes until lately"):
        check_removable(engine, "amy", now[0])
    assert check_removable(engine, "amy", now[0] + STANDS_FOR).subject == "amy"
    assert check_removable(engine, "olive", now[0]).act == "people.remove"
    remove_account(engine, "olive")
    assert [one.person.name for one in people.list()] == ["ada", "amy"]
    with engine.begin() as connection:
        left = [table.name for table in BESIDE if connection.execute(
            select(table).where(table.c.account == "olive")).first()]  # fmt: skip
    assert left == []
    people.add("olive", PASSWORD, roles={Role.OFFICER})
    engine.dispose()
