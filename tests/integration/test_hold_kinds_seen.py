"""By what a recording is kept is for who looks after holds: not for who was in the call, and whom it may be about."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from recorder.permissions import Application, Person, Role, Scope
from recorder.retention.holding import place_hold
from recorder.rules.holds import HELD, HoldFacts, HoldWish, kinds_seen
from storage.retention_types import HoldKind
from tests.helpers.console_site import Console, console_site, signed_in
from tests.helpers.storage_home import ID

KINDS = ("complaint", "disclosure")
CALL = HoldFacts(
    operators=frozenset({"Olive Officer"}), extensions=frozenset({"2001"}), team="Revenues",
    teams=frozenset({"Revenues"}),
)  # fmt: skip


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    with console_site(tmp_path, is_daemon_up=False) as running:
        index = running.deps.hold_repositories.index
        index.save(replace(index.get(ID), team="Revenues"))
        yield running


def test_the_officer_of_a_call_learns_of_no_complaint(console: Console) -> None:
    wish = HoldWish(kind=HoldKind.COMPLAINT, reason="rude to the caller", case_reference="C 17")
    place_hold(console.deps.hold_repositories, console.person("revenues"), ID, wish)
    with signed_in(console, "officer") as officer, signed_in(console, "revenues") as manager:
        assert officer.get(f"/api/recordings/{ID}").json()["holds"] == [HELD]
        assert [one["holds"] for one in officer.get("/api/recordings").json()["recordings"]] == [[HELD]]
        page = officer.get(f"/recordings/{ID}").text
        assert "<dd>Held</dd>" in page
        assert "Held for" not in page
        assert manager.get(f"/api/recordings/{ID}").json()["holds"] == ["complaint"]
        assert "Held for a complaint" in manager.get(f"/recordings/{ID}").text


@pytest.mark.parametrize(
    ("roles", "teams", "extension", "is_told"),
    [
        ({Role.MANAGER}, ("Revenues",), None, True),
        ({Role.MANAGER}, ("Housing",), None, False),
        ({Role.TEAM_LEADER}, (), None, True),
        ({Role.DPO}, (), None, True),
        ({Role.DPO}, (), "2001", False),
        ({Role.OFFICER}, (), None, False),
        ({Role.ICT}, (), None, False),
        ({Role.MEMBER}, (), None, False),
    ],
)
def test_who_is_told_by_what_it_is_kept(
    roles: set[Role], teams: tuple[str, ...], extension: str | None, is_told: bool
) -> None:
    person = Person(name="pat", display_name="Pat", roles=frozenset(roles), teams=teams, extension=extension)
    assert kinds_seen(person, KINDS, CALL) == (KINDS if is_told else (HELD,))
    assert kinds_seen(person, (), CALL) == ()


def test_a_token_is_told_that_it_is_kept() -> None:
    crm = Application(name="crm", scopes=frozenset({Scope.RECORDINGS_READ}))
    assert kinds_seen(crm, KINDS, CALL) == (HELD,)
