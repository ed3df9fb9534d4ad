"""A token takes two people: by it one sees calls and numbers, and pauses, whatever one's own role keeps from one."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner

from recorder.cli import app
from recorder.domain.access import Application, DeniedError, Role, Scope
from recorder.domain.granting import Change
from recorder.people.account_rows import PeopleError
from recorder.people.accounts import FOUNDER_ROLES, People
from recorder.people.database import AuditNote
from recorder.people.proposals import Proposals
from recorder.people.tokens import TokenRefused, Tokens
from tests.helpers.accounts import CHEAP, PASSWORD, Clock
from tests.helpers.recorder_home import recorder_home

HERE, WHY = "127.0.0.1", "the payment page of Revenues"


class Site:
    """The people of a council, and a token that an administrator has made."""

    def __init__(self, engine: Engine, clock: Clock, others: dict[str, Role]) -> None:
        self.people = People(engine, now=clock, hasher=CHEAP)
        self.people.add("founder", PASSWORD, roles=FOUNDER_ROLES)
        for name, role in others.items():
            self.people.add(name, PASSWORD, roles=[role])
        self.tokens, self.proposals = Tokens(engine, now=clock), Proposals(engine, now=clock)
        self.notes: list[AuditNote] = []
        made = self.tokens.add("till", scopes=[Scope.PAUSE], extensions=["2001"], is_waiting=True)
        self.secret = made.secret

    def propose(self, reason: str = WHY) -> str | None:
        _, proposal = self.proposals.token("founder", "till", reason=reason, enter=self.notes.append)
        return None if proposal is None else proposal.id

    def decide(self, by: str, proposal: str | None, *, is_confirmed: bool = True) -> None:
        person = self.people.find(by)
        assert person is not None
        assert proposal is not None
        self.proposals.decide(person, proposal, is_confirmed=is_confirmed, enter=self.notes.append)

    @property
    def why_refused(self) -> str | None:
        known = self.tokens.identify(self.secret, HERE)
        return known.why if isinstance(known, TokenRefused) else None


@pytest.fixture
def site(engine: Engine, clock: Clock) -> Site:
    return Site(engine, clock, {"dora": Role.DPO, "lena": Role.TEAM_LEADER, "olive": Role.OFFICER})


def test_it_is_good_once_somebody_else_has_confirmed_it(site: Site) -> None:
    assert site.why_refused == "not confirmed", "before anybody was asked"
    proposal = site.propose()
    assert site.why_refused == "not confirmed"
    for nobody in ("founder", "olive", "lena"):  # a team leader confirms where there is nobody else
        with pytest.raises(DeniedError):
            site.decide(nobody, proposal)
    (waiting,) = site.proposals.waiting()
    assert (waiting.change, waiting.reason) == (
        Change.TOKEN, f"token till (pause; extensions 2001; from anywhere; for good): {WHY}",
    )  # fmt: skip
    assert site.tokens.list()[0].is_waiting
    site.decide("dora", proposal)
    known = site.tokens.identify(site.secret, HERE)
    assert isinstance(known, Application)
    assert [(note.act, note.subject) for note in site.notes] == [
        ("people.proposed", "founder"), ("tokens.confirm", "till"),
    ]  # fmt: skip
    assert site.notes[0].details["token"] == "till"


def test_a_token_that_was_declined_revoked_or_left_alone_is_good_for_nothing(site: Site, clock: Clock) -> None:
    site.decide("dora", site.propose(), is_confirmed=False)
    assert site.why_refused == "not confirmed"
    late = site.propose()
    clock.time += timedelta(days=8)
    with pytest.raises(DeniedError):
        site.decide("dora", late)
    again = site.propose()
    site.tokens.revoke("till")
    with pytest.raises(PeopleError):
        site.decide("dora", again)
    assert site.why_refused == "revoked"
    with pytest.raises(PeopleError):
        site.propose()
    with pytest.raises(DeniedError):
        site.propose(reason="")


def test_one_is_enough_while_nobody_else_could_confirm(engine: Engine, clock: Clock) -> None:
    site = Site(engine, clock, {"olive": Role.OFFICER})
    assert site.propose() is None
    assert site.why_refused is None
    assert [(note.act, dict(note.details)) for note in site.notes] == [("tokens.confirm", {"alone": True})]


def test_not_even_alone_where_somebody_could_until_lately(engine: Engine, clock: Clock) -> None:
    site = Site(engine, clock, {"dora": Role.DPO})
    site.people.disable("dora")
    with pytest.raises(DeniedError, match="until lately"):
        site.propose()
    assert site.why_refused == "not confirmed"


def test_at_the_shell_it_waits_for_the_data_protection_officer(tmp_path: Path) -> None:
    with recorder_home(tmp_path, next_hop="127.0.0.1:5999", is_started=False) as home:
        home.add_person("ada", Role.ADMIN)
        who = ("--as", "ada", "--password-file", str(home.password_file), "-C", str(home.root))
        words = ("tokens", "add", "till", "--scope", "calls:read", "--reason", WHY)
        done = CliRunner().invoke(app, [*words, *who])
        assert done.exit_code == 0, done.stderr
        assert "till: proposed" in " ".join(done.stderr.split())
        (line,) = home.json("tokens", "list", *who[:4])
        assert (line["name"], line["is_waiting"]) == ("till", True)


def test_at_the_shell_an_extension_is_the_configured_one_however_it_is_written(tmp_path: Path) -> None:
    with recorder_home(tmp_path, next_hop="127.0.0.1:5999", is_started=False) as home:
        home.edit('number = "2002"', 'number = "20-02"')
        home.add_person("ada", Role.ADMIN)
        who = ("--as", "ada", "--password-file", str(home.password_file), "-C", str(home.root))
        given = [word for number in ("(20)01", "2002", "7-777") for word in ("--extension", number)]
        done = CliRunner().invoke(app, ["tokens", "add", "till", "--scope", "pause", *given, "--reason", WHY, *who])
        assert done.exit_code == 0, done.stderr
        (line,) = home.json("tokens", "list", *who[:4])
        assert line["extensions"] == "20-02, 2001, 7-777"
