"""Two people name the data protection officer's deputy, and neither is a data protection officer. In a real file."""

import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from recorder.access.account_rows import PeopleError
from recorder.access.accounts import FOUNDER_ROLES, People
from recorder.access.database import AuditNote, open_people
from recorder.access.deputies import appoint
from recorder.access.granting import Proposal, ProposedChange, confirmers
from recorder.access.listening.appointments import Appointments
from recorder.access.proposals import Proposals
from recorder.access.second_factor import SecondFactors
from recorder.access.totp import code_of, new_secret, step_of
from recorder.notifications.kinds import NotificationKind
from recorder.notifications.recipients import of_deputy, of_proposals
from recorder.permissions import Act, DeniedError, Fault, Role
from recorder.rules.requesting import Approvers
from tests.helpers.accounts import CHEAP, PASSWORD, Clock, as_of_before

WHY = "she decides on what the officer asks for"


class Book:
    """Accounts, proposals, and what they entered into the audit log."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self.engine, self.clock = engine, clock
        self.people = People(engine, now=clock, hasher=CHEAP)
        self.proposals = Proposals(engine, now=clock)
        self.appointments = Appointments(engine, now=clock)
        self.notes: list[AuditNote] = []
        for name, roles in (
            ("ada", FOUNDER_ROLES), ("bob", {Role.ADMIN}), ("dora", {Role.DPO}), ("lena", {Role.TEAM_LEADER}),
            ("olive", {Role.OFFICER}), ("ida", {Role.ICT}),
        ):  # fmt: skip
            self.people.add(name, PASSWORD, roles=roles)

    def propose(self, by: str, account: str, reason: str = WHY) -> Proposal:
        proposal = self.proposals.name_deputy(by, account, reason=reason, enter=self.notes.append)[1]
        assert proposal is not None, "one alone names nobody"
        return proposal

    def decide(self, by: str, proposal: Proposal, *, is_confirmed: bool = True) -> None:
        person = self.people.find(by)
        assert person is not None
        self.proposals.decide(person, proposal.id, is_confirmed=is_confirmed, enter=self.notes.append)

    @property
    def path(self) -> Path:
        return Path(str(self.engine.url.database))

    @property
    def approvers(self) -> Approvers:
        return self.appointments.approvers(self.people)


@pytest.fixture
def book(engine: Engine, clock: Clock) -> Book:
    return Book(engine, clock)


def test_one_proposes_and_another_confirms(book: Book) -> None:
    proposal = book.propose("ada", "olive")
    assert book.appointments.deputy() is None
    book.decide("bob", proposal)
    assert book.appointments.deputy() == "olive"
    assert book.appointments.deputy_named_by_one() is None
    note = book.notes[-1]
    assert (note.act, note.subject, note.details["proposed_by"]) == (Act.NAME_DEPUTY, "olive", "ada")
    book.decide("bob", book.propose("ada", "lena"))
    assert book.appointments.deputy() == "lena", "in the place of whoever was"


def test_a_data_protection_officer_neither_proposes_nor_confirms_nor_declines(book: Book) -> None:
    with pytest.raises(DeniedError, match="two other people must choose"):
        book.propose("dora", "olive")
    proposal = book.propose("ada", "olive")
    for is_confirmed in (True, False):
        with pytest.raises(DeniedError) as denied:
            book.decide("dora", proposal, is_confirmed=is_confirmed)
        assert denied.value.fault is Fault.NOT_ALLOWED
    assert book.appointments.deputy() is None
    assert "dora" not in confirmers(
        book.approvers.people, proposer="ada", account="olive", change=ProposedChange.DEPUTY
    )
    assert {one.account for one in of_proposals([proposal], book.approvers)} == {"bob"}


def test_nor_does_an_administrator_of_before_who_is_one_too(book: Book) -> None:
    book.people.add("both", PASSWORD, roles={Role.ADMIN})
    as_of_before(book.path, "both", "admin,dpo")
    with pytest.raises(DeniedError, match="two other people must choose"):
        book.propose("both", "olive")
    with pytest.raises(DeniedError, match="two other people must choose"):
        book.decide("both", book.propose("ada", "olive"))


@pytest.mark.parametrize("decider", ["ada", "olive", "lena"])
def test_who_else_does_not_confirm(book: Book, decider: str) -> None:
    proposal = book.propose("ada", "olive")
    with pytest.raises(DeniedError):
        book.decide(decider, proposal)
    assert book.appointments.deputy() is None


def test_a_team_leader_confirms_where_there_is_no_other_administrator_and_one_alone_never_does(book: Book) -> None:
    book.people.disable("bob")
    with pytest.raises(DeniedError, match="Nobody could confirm"):
        book.propose("ada", "lena")
    book.decide("lena", book.propose("ada", "olive"))
    assert book.appointments.deputy() == "olive"


@pytest.mark.parametrize(("account", "why"), [("bob", "watches over"), ("ida", "watches over"), ("nora", "no role")])
def test_whom_the_officer_watches_over_is_no_deputy(book: Book, account: str, why: str) -> None:
    if account == "nora":
        book.people.add("nora", PASSWORD, roles=[])
    with pytest.raises(PeopleError, match=why):
        book.propose("ada", account)


def test_who_became_one_of_them_meanwhile_is_not_confirmed(book: Book) -> None:
    proposal = book.propose("ada", "olive")
    given = book.proposals.grant("ada", "olive", [Role.ICT], reason=WHY, enter=book.notes.append)[1]
    assert given is not None
    book.decide("dora", given)
    with pytest.raises(PeopleError, match="watches over"):
        book.decide("bob", proposal)


def test_it_takes_a_reason(book: Book) -> None:
    with pytest.raises(DeniedError, match="reason"):
        book.propose("ada", "olive", reason="")


def test_nobody_is_named_while_one_of_the_two_set_their_password(book: Book) -> None:
    """One administrator alone would set it, sign in and set up the authenticator, and the other confirms a name."""

    def set_password(by: str) -> None:
        done = book.proposals.set_password(by, "olive", CHEAP.hash("x"), reason=WHY, enter=book.notes.append)
        assert done[1] is None, "an officer's takes one person"

    set_password("ada")
    with pytest.raises(DeniedError, match="ada set the password of olive"):
        book.propose("ada", "olive")
    with pytest.raises(DeniedError, match="ada set the password of olive"):
        book.proposals.grant("ada", "olive", [Role.DPO], reason=WHY, enter=book.notes.append)
    book.people.set_password("olive", PASSWORD + " own")
    for by in ("ada", "bob"):
        proposal = book.propose("ada", "olive")
        set_password(by)
        with pytest.raises(DeniedError, match=f"{by} set the password of olive"):
            book.decide("bob", proposal)
        book.decide("bob", proposal, is_confirmed=False)
        book.people.set_password("olive", PASSWORD + " own")
    book.decide("bob", book.propose("ada", "olive"))
    assert book.appointments.deputy() == "olive"


def test_who_confirms_sees_what_was_set_lately(book: Book) -> None:
    assert book.proposals.lately_set() == {}, "nothing waits"
    book.propose("ada", "olive")
    (first,) = book.proposals.lately_set().values()
    assert (first.password_at, first.password_by, first.authenticator_at) == (book.clock(), None, None)
    book.clock.time += timedelta(days=31)
    book.propose("ada", "olive")
    assert book.proposals.lately_set() == {}, "long ago"
    book.people.set_password("olive", PASSWORD + " own")
    secret = new_secret()
    SecondFactors(book.engine, now=book.clock).enrol("olive", secret, code_of(secret, step_of(book.clock())))
    (now,) = book.proposals.lately_set().values()
    assert (now.password_at, now.password_by, now.authenticator_at) == (book.clock(), "olive", book.clock())


@pytest.mark.parametrize(
    ("named_by", "confirmed_by"), [("ada", "dora"), ("dora", "ada"), ("ada", "ada"), ("olive", "ada"), ("ada", "olive")]
)
def test_the_file_itself_keeps_the_rule(book: Book, named_by: str, confirmed_by: str) -> None:
    with pytest.raises(IntegrityError, match="two people name the deputy"), book.engine.begin() as connection:
        appoint(connection, "olive", named_by=named_by, confirmed_by=confirmed_by, now=book.clock())
    with pytest.raises(IntegrityError, match="two people"), book.engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO deputies (account, since_s, named_by) VALUES ('olive', 0, 'ada')")
    assert book.appointments.deputy() is None


def test_a_deputy_of_before_stays_and_administrators_are_told(book: Book) -> None:
    connection = sqlite3.connect(book.path)
    with connection:
        connection.execute("DROP TABLE schema_revision")
        connection.execute("DROP TABLE deputies")
        connection.execute("CREATE TABLE deputies (account VARCHAR PRIMARY KEY, since_s FLOAT, named_by VARCHAR)")
        connection.execute("INSERT INTO deputies VALUES ('olive', 0, 'dora')")
    connection.close()
    appointments = Appointments(open_people(book.path), now=book.clock)
    assert appointments.deputy() == "olive"
    assert appointments.approvers(book.people).deputies == {"olive"}
    told = of_deputy(appointments.deputy_named_by_one(), book.approvers)
    assert {(one.kind, one.account) for one in told} == {
        (NotificationKind.DEPUTY_BY_ONE, "ada"),
        (NotificationKind.DEPUTY_BY_ONE, "bob"),
    }
    book.decide("bob", book.propose("ada", "olive"))
    assert appointments.deputy_named_by_one() is None
    assert of_deputy(None, book.approvers) == []
