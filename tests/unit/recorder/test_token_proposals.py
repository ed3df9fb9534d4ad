"""A token takes two people: by it one sees calls and numbers, and pauses, whatever one's own role keeps from one."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner

from recorder.access.account_rows import PeopleError
from recorder.access.accounts import FOUNDER_ROLES, People
from recorder.access.database import AuditNote
from recorder.access.granting import STANDS_FOR, ProposedChange
from recorder.access.proposals import Enter, Proposals
from recorder.access.tokens import TokenError, TokenRefused, Tokens
from recorder.cli.cli import app
from recorder.permissions import Application, DeniedError, Role, Scope
from recorder.retention.account_expiry import AccountExpiry
from storage.errors import AuditUnavailableError
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
        self.secret = ""

    def propose(self, reason: str = WHY, *, enter: Enter | None = None) -> str | None:
        made = self.tokens.prepare("till", scopes=[Scope.PAUSE], extensions=["2001"])
        self.secret = made.secret
        _, proposal = self.proposals.token("founder", made, reason=reason, enter=enter or self.notes.append)
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
    proposal = site.propose()
    assert site.why_refused == "not confirmed"
    for nobody in ("founder", "olive", "lena"):  # a team leader confirms where there is nobody else
        with pytest.raises(DeniedError):
            site.decide(nobody, proposal)
    (waiting,) = site.proposals.waiting()
    assert (waiting.change, waiting.reason) == (
        ProposedChange.TOKEN, f"token till (pause; extensions 2001; from anywhere; for good): {WHY}",
    )  # fmt: skip
    assert site.tokens.list()[0].is_waiting
    site.decide("dora", proposal)
    known = site.tokens.identify(site.secret, HERE)
    assert isinstance(known, Application)
    assert [(note.act, note.subject) for note in site.notes] == [
        ("tokens.add", "till"), ("people.proposed", "founder"), ("tokens.confirm", "till"),
    ]  # fmt: skip
    assert site.notes[1].details["token"] == "till"


def test_a_token_that_was_declined_revoked_or_left_alone_is_good_for_nothing(site: Site, clock: Clock) -> None:
    site.decide("dora", site.propose(), is_confirmed=False)
    assert site.why_refused == "revoked"
    assert (site.notes[-1].act, site.notes[-1].details["token"]) == ("people.declined", "till")
    late = site.propose()
    assert site.why_refused == "not confirmed", "the name of a token that never was good is free"
    clock.time += STANDS_FOR
    with pytest.raises(DeniedError):
        site.decide("dora", late)
    (line,) = site.tokens.list()
    assert (line.is_waiting, line.is_revoked, site.why_refused) == (False, True, "revoked")
    again = site.propose()
    site.tokens.revoke("till")
    with pytest.raises(PeopleError):
        site.decide("dora", again)
    assert site.why_refused == "revoked"
    with pytest.raises(DeniedError):
        site.propose(reason="")


def test_the_name_of_one_that_was_good_or_waits_is_not_given_again(site: Site) -> None:
    proposal = site.propose()
    with pytest.raises(TokenError, match="used before"):
        site.propose()
    site.decide("dora", proposal)
    site.tokens.revoke("till")
    with pytest.raises(TokenError, match="used before"):
        site.propose()


def test_the_name_of_one_that_nobody_confirmed_in_time_is_free(site: Site, clock: Clock) -> None:
    site.propose()
    clock.time += STANDS_FOR
    site.decide("dora", site.propose())
    assert site.why_refused is None


@pytest.mark.parametrize("act", ["tokens.add", "people.proposed"])
def test_what_cannot_be_audited_leaves_no_token(site: Site, act: str) -> None:
    def enter(note: AuditNote) -> None:
        if note.act == act:
            raise AuditUnavailableError("full")

    with pytest.raises(AuditUnavailableError):
        site.propose(enter=enter)
    assert site.tokens.list() == []
    assert site.proposals.waiting() == []


def test_one_that_nobody_confirmed_is_swept(site: Site, engine: Engine, clock: Clock) -> None:
    site.propose()
    former, over = AccountExpiry(engine), clock.time + STANDS_FOR
    assert former.count(before=over) == 0
    assert former.count(before=over + timedelta(seconds=1)) == 2, "the token, and its proposal"
    former.forget(before=over + timedelta(seconds=1))
    assert site.tokens.list() == []


def test_one_is_enough_while_nobody_else_could_confirm(engine: Engine, clock: Clock) -> None:
    site = Site(engine, clock, {"olive": Role.OFFICER})
    assert site.propose() is None
    assert site.why_refused is None
    assert [(note.act, dict(note.details)) for note in site.notes] == [
        ("tokens.add", {"scopes": "pause", "extensions": "2001", "networks": "", "expires_s": None}),
        ("tokens.confirm", {"alone": True}),
    ]


def test_not_even_alone_where_somebody_could_until_lately(engine: Engine, clock: Clock) -> None:
    site = Site(engine, clock, {"dora": Role.DPO})
    site.people.disable("dora")
    with pytest.raises(DeniedError, match="until lately"):
        site.propose()
    assert (site.tokens.list(), site.notes) == ([], []), "what is refused leaves nothing that waits for ever"


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


def test_at_the_shell_what_was_refused_or_declined_leaves_the_name(tmp_path: Path) -> None:
    with recorder_home(tmp_path, next_hop="127.0.0.1:5999", is_started=False) as home:
        for name, role in (("ada", Role.ADMIN), ("dora", Role.DPO)):
            home.add_person(name, role)

        def recorder(*words: str, by: str = "ada") -> tuple[int, str]:
            who = ("--as", by, "--password-file", str(home.password_file), "-C", str(home.root))
            done = CliRunner().invoke(app, [*words, *who])
            return done.exit_code, " ".join((done.stdout + done.stderr).split())

        add = ("tokens", "add", "till", "--scope", "calls:read", "--reason")
        code, said = recorder(*add, "x")
        assert (code, "reason" in said) == (1, True)
        assert recorder("tokens", "list")[1] == "there are no tokens"
        code, said = recorder(*add, WHY)
        assert (code, "ccr_" in said) == (0, True)
        (proposal,) = re.findall(r"confirm ([0-9a-f]{8})", said)
        assert recorder("users", "decline", proposal, by="dora")[0] == 0
        assert recorder("tokens", "list")[1].split() == ["till", "calls:read", "True", "False"]
        assert recorder(*add, WHY)[0] == 0
        code, said = recorder(*add, WHY)
        assert (code, "used before" in said, "ccr_" in said) == (1, True, False)
