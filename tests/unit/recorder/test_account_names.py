"""An account's name is not given to somebody else while anything still names the person who had it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recorder.access.account_rows import PeopleError
from recorder.access.accounts import People
from recorder.access.database import open_people
from recorder.access.listening.requests import Requests
from recorder.access.proposals import Proposals
from recorder.access.removal import remove_account
from recorder.permissions import Role
from recorder.rules.requesting import AccessKind, Category, RequestState, RequestWish
from storage.types import RecordingId
from tests.helpers.accounts import CHEAP, PASSWORD

NOW = datetime(2026, 11, 25, 14, 30, tzinfo=UTC)
CALL = RecordingId("20261124T090000Z-2000-0a1b2c")


def test_nobody_inherits_a_grant_or_a_proposed_role(tmp_path: Path) -> None:
    engine = open_people(tmp_path / "people.sqlite")
    people = People(engine, now=lambda: NOW, hasher=CHEAP)
    for name, role in (("ada", Role.ADMIN), ("dora", Role.DPO), ("olive", Role.OFFICER), ("oscar", Role.OFFICER)):
        people.add(name, PASSWORD, roles={role})
    requests = Requests(engine, now=lambda: NOW)
    asked = requests.new("olive", RequestWish(recordings=(CALL,), category=Category.ACCURACY, reason="a complaint"))
    requests.keep(asked)
    requests.settle(asked, RequestState.GRANTED, by="lead", until=NOW + timedelta(days=7))
    proposals = Proposals(engine, now=lambda: NOW)
    proposals.grant("ada", "oscar", [Role.DPO], reason="a good reason for it", enter=lambda note: None)
    for name in ("olive", "oscar"):
        people.disable(name)
        remove_account(engine, name)
        with pytest.raises(PeopleError, match="still names who had it"):
            people.add(name, PASSWORD, roles={Role.OFFICER})
    assert requests.granted("olive", CALL, AccessKind.LISTEN)  # so the name must stay unused
    engine.dispose()
