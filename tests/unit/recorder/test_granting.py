"""Powerful roles take two people: who confirms, until when, and what is so meanwhile. In a real file."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from recorder.access.account_rows import PeopleError
from recorder.access.accounts import FOUNDER_ROLES, People, SignedIn
from recorder.access.database import AuditNote
from recorder.access.granting import POWERFUL, STANDS_FOR, Proposal, ProposedChange, confirmers, takes_two
from recorder.access.listening.appointments import Appointments
from recorder.access.proposals import Proposals
from recorder.access.second_factor import Enrolled, SecondFactors
from recorder.access.totp import code_of, new_secret, step_of
from recorder.permissions import HEARING_ROLES, DeniedError, Fault, Person, Role
from tests.helpers.accounts import CHEAP, PASSWORD, Clock, appoint_deputy

WHY = "she takes over on Monday"


@pytest.fixture
def people(engine: Engine, clock: Clock) -> People:
    people = People(engine, now=clock, hasher=CHEAP)
    people.add("founder", PASSWORD, roles=FOUNDER_ROLES)
    people.add("olive", PASSWORD, roles=[Role.OFFICER])
    people.add("nora", PASSWORD, roles=[])
    return people


@pytest.fixture
def second(people: People) -> People:
    """The same, with a second administrator, a data protection officer and a team leader."""
    for name, role in (("ada", Role.ADMIN), ("dora", Role.DPO), ("lena", Role.TEAM_LEADER)):
        people.add(name, PASSWORD, roles=[role])
    return people


class Book:
    """Proposals, and what they entered into the audit log."""

    def __init__(self, engine: Engine, clock: Clock, people: People) -> None:
        self.proposals = Proposals(engine, now=clock)
        self.people = people
        self.notes: list[AuditNote] = []
        self.enter: Callable[[AuditNote], None] = self.notes.append

    def grant(self, by: str, account: str, *roles: Role, reason: str = WHY) -> Proposal | None:
        return self.proposals.grant(by, account, roles, reason=reason, enter=self.enter)[1]

    def proposed(self, by: str, account: str, *roles: Role) -> str:
        proposal = self.grant(by, account, *roles)
        assert proposal is not None
        return proposal.id

    def decide(self, by: str, proposal: str, *, is_confirmed: bool = True) -> None:
        person = self.people.find(by)
        assert person is not None
        self.proposals.decide(person, proposal, is_confirmed=is_confirmed, enter=self.enter)

    def roles(self, account: str) -> frozenset[Role]:
        person = self.people.find(account)
        assert person is not None
        return person.roles

    def refuses(self, by: str, proposal: str, fault: Fault) -> str:
        with pytest.raises(DeniedError) as denied:
            self.decide(by, proposal)
        assert denied.value.fault is fault
        return str(denied.value)


@pytest.fixture
def book(engine: Engine, clock: Clock, people: People) -> Book:
    return Book(engine, clock, people)


def test_the_first_account_makes_the_second_one_alone_and_the_log_says_so(book: Book) -> None:
    assert book.grant("founder", "olive", Role.TEAM_LEADER) is None
    assert book.roles("olive") == {Role.OFFICER, Role.TEAM_LEADER}
    assert book.notes[-1].details["alone"] is True
    book.people.add("third", PASSWORD, roles=[])
    assert book.grant("founder", "third", Role.DPO) is not None, "from now on there is somebody to confirm"


@pytest.mark.parametrize("role", sorted(POWERFUL))
def test_a_powerful_role_waits_for_another_one(book: Book, second: People, role: Role) -> None:
    proposal = book.proposed("founder", "nora", role)
    assert book.roles("nora") == set()
    assert [one.id for one in book.proposals.waiting()] == [proposal]
    book.decide("dora", proposal)
    assert book.roles("nora") == {role}
    assert book.proposals.waiting() == []
    assert [note.act for note in book.notes] == ["people.proposed", "people.granted"]
    assert book.notes[-1].details == {"roles": [role], "proposal": proposal, "proposed_by": "founder"}


@pytest.mark.parametrize("role", sorted(frozenset(Role) - POWERFUL - {Role.OFFICER}))
def test_others_do_not(book: Book, second: People, role: Role) -> None:
    assert book.grant("founder", "olive", role, reason="") is None
    assert role in book.roles("olive")
    assert "alone" not in book.notes[-1].details


@pytest.mark.parametrize(
    ("by", "account", "decider", "fault"),
    [
        ("founder", "olive", "founder", Fault.NOT_ALLOWED),
        ("ada", "nora", "nora", Fault.NOT_ALLOWED),
        ("ada", "dora", "dora", Fault.NOT_ALLOWED),
        ("ada", "olive", "olive", Fault.NOT_ALLOWED),
        ("ada", "olive", "lena", Fault.NOT_ALLOWED),
    ],
)
def test_who_may_not_confirm(book: Book, second: People, by: str, account: str, decider: str, fault: Fault) -> None:
    proposal = book.proposed(by, account, *(POWERFUL - {Role.ADMIN} - book.roles(account)))
    before = book.roles(account)
    book.refuses(decider, proposal, fault)
    assert book.roles(account) == before


def test_a_team_leader_confirms_where_nobody_else_can() -> None:
    def one(name: str, *roles: Role) -> Person:
        return Person(name=name, display_name=name, roles=frozenset(roles))

    ada, dora, lena = one("ada", Role.ADMIN), one("dora", Role.DPO), one("lena", Role.TEAM_LEADER)
    mary = one("mary", Role.MANAGER, Role.OFFICER, Role.ICT, Role.MEMBER)
    assert confirmers([ada, dora, lena, mary], proposer="ada", account="mary", change=ProposedChange.GRANT) == {"dora"}
    assert confirmers([ada, dora, lena, mary], proposer="ada", account="dora", change=ProposedChange.GRANT) == {"lena"}
    assert confirmers([ada, lena, mary], proposer="ada", account="lena", change=ProposedChange.GRANT) == set()


def test_a_proposal_is_decided_once(book: Book, second: People) -> None:
    proposal = book.proposed("founder", "olive", Role.DPO)
    book.decide("ada", proposal, is_confirmed=False)
    assert book.roles("olive") == {Role.OFFICER}
    assert "already declined" in book.refuses("dora", proposal, Fault.TOO_LATE)
    another = book.proposed("founder", "olive", Role.DPO)
    book.decide("dora", another)
    book.proposals.revoke("olive", [Role.DPO], enter=book.enter)
    assert "already confirmed" in book.refuses("ada", another, Fault.TOO_LATE), "a form that is sent again"
    assert book.roles("olive") == {Role.OFFICER}
    assert book.refuses("ada", "ffffffff", Fault.TOO_LATE)
    assert book.refuses("ada", "' or 1=1 --", Fault.TOO_LATE)


def test_two_who_decide_at_once(book: Book, second: People) -> None:
    proposal = book.proposed("founder", "olive", Role.DPO)
    done: list[str] = []
    start = threading.Barrier(2, timeout=10)

    def decide(by: str) -> None:
        start.wait()
        try:
            book.decide(by, proposal, is_confirmed=by == "ada")
            done.append(by)
        except DeniedError:
            pass

    threads = [threading.Thread(target=decide, args=(by,)) for by in ("ada", "dora")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(done) == 1
    assert (Role.DPO in book.roles("olive")) == (done == ["ada"])


def test_it_is_over_after_a_week(book: Book, second: People, clock: Clock) -> None:
    proposal = book.proposed("founder", "olive", Role.DPO)
    clock.time += STANDS_FOR
    assert book.proposals.waiting() == []
    assert "has expired" in book.refuses("dora", proposal, Fault.TOO_LATE)


def test_an_author_who_is_gone_and_an_account_that_is_gone(book: Book, second: People) -> None:
    proposal = book.proposed("ada", "olive", Role.DPO)
    book.proposals.revoke("ada", [Role.ADMIN], enter=book.enter)
    book.refuses("dora", proposal, Fault.TOO_LATE)
    another = book.proposed("founder", "olive", Role.DPO)
    book.people.disable("olive")
    book.refuses("dora", another, Fault.TOO_LATE)
    with pytest.raises(PeopleError, match="is disabled"):
        book.grant("founder", "olive", Role.MANAGER)


@pytest.mark.parametrize("reason", ["", "  ", "x" * 1001])
def test_it_takes_a_reason(book: Book, second: People, reason: str) -> None:
    with pytest.raises(DeniedError):
        book.grant("founder", "olive", Role.DPO, reason=reason)
    assert book.notes == []


def test_nothing_is_so_that_the_log_did_not_take(book: Book, second: People) -> None:
    def full(_note: AuditNote) -> None:
        raise OSError("no space left")

    book.enter = full
    with pytest.raises(OSError, match="no space"):
        book.grant("founder", "olive", Role.MANAGER)
    with pytest.raises(OSError, match="no space"):
        book.grant("founder", "olive", Role.DPO)
    assert book.roles("olive") == {Role.OFFICER}
    assert book.proposals.waiting() == []
    book.enter = book.notes.append
    proposal = book.proposed("founder", "olive", Role.DPO)
    book.enter = full
    with pytest.raises(OSError, match="no space"):
        book.decide("dora", proposal)
    assert book.roles("olive") == {Role.OFFICER}
    assert [one.id for one in book.proposals.waiting()] == [proposal], "it can be tried again"


def test_taking_away(book: Book, second: People) -> None:
    book.proposals.revoke("lena", [Role.TEAM_LEADER], enter=book.enter)
    assert book.roles("lena") == set()
    with pytest.raises(PeopleError, match="none of these"):
        book.proposals.revoke("lena", [Role.TEAM_LEADER], enter=book.enter)
    book.proposals.revoke("ada", [Role.ADMIN], enter=book.enter)
    with pytest.raises(PeopleError, match="last admin"):
        book.proposals.revoke("founder", [Role.ADMIN], enter=book.enter)


def test_who_leaves_on_a_day_is_no_other_admin(book: Book, second: People, clock: Clock) -> None:
    second.disable("ada", from_=clock.time + timedelta(days=3))
    with pytest.raises(PeopleError, match="last admin"):
        book.proposals.revoke("founder", [Role.ADMIN], enter=book.enter)


def test_an_authenticator_of_the_powerful_takes_two(book: Book, second: People, engine: Engine, clock: Clock) -> None:
    factors = SecondFactors(engine, now=clock)
    for name in ("dora", "olive"):
        secret = new_secret()
        assert isinstance(factors.enrol(name, secret, code_of(secret, step_of(clock()))), Enrolled)
    assert book.proposals.reset_authenticator("ada", "olive", reason="", enter=book.enter)[1] is None
    assert not factors.has("olive")
    _, proposal = book.proposals.reset_authenticator("ada", "dora", reason="phone lost", enter=book.enter)
    assert proposal is not None
    assert proposal.change is ProposedChange.RESET
    assert factors.has("dora")
    book.decide("founder", proposal.id)
    assert not factors.has("dora")
    assert {one.account for one in book.proposals.resets_since(clock.time - timedelta(days=1))} == {"dora", "olive"}
    with pytest.raises(PeopleError, match="no authenticator"):
        book.proposals.reset_authenticator("ada", "olive", reason="", enter=book.enter)


def test_what_somebody_has_already_needs_nobody(book: Book, second: People) -> None:
    dora = book.people.find("dora")
    assert dora is not None
    assert not takes_two(ProposedChange.GRANT, dora, [Role.DPO, Role.MANAGER])
    assert takes_two(ProposedChange.GRANT, dora, [Role.DPO, Role.ICT])


def test_admin_excludes_every_role_that_hears(book: Book, second: People) -> None:
    assert frozenset(Role) - {Role.ADMIN} == HEARING_ROLES
    for role in sorted(HEARING_ROLES):
        with pytest.raises(PeopleError, match="no role that hears"):
            book.grant("founder", "ada", role)
        with pytest.raises(PeopleError, match="no role that hears"):
            book.people.add("two", PASSWORD, roles=[Role.ADMIN, role])
    waiting = book.proposed("founder", "nora", Role.ADMIN)
    assert book.grant("founder", "nora", Role.MANAGER) is None
    with pytest.raises(PeopleError, match="no role that hears"):
        book.decide("dora", waiting)
    assert book.roles("nora") == {Role.MANAGER}
    assert book.notes[-1].details["roles"] == [Role.MANAGER], "what was not done is not in the log"


def test_a_password_of_the_powerful_takes_two(book: Book, second: People, engine: Engine, clock: Clock) -> None:
    new = "copper walrus teapot"

    def given(account: str) -> Proposal | None:
        hashed = book.people.hash_of(account, new)
        return book.proposals.set_password("ada", account, hashed, reason="forgotten", enter=book.enter)[1]

    assert given("olive") is None
    assert isinstance(book.people.verify("olive", new), SignedIn)
    second.add("ida", PASSWORD, roles=[Role.ICT])
    for account in ("dora", "lena", "founder", "ida"):
        proposal = given(account)
        assert proposal is not None
        assert not isinstance(book.people.verify(account, new), SignedIn)
        book.decide("founder" if account == "dora" else "dora", proposal.id)
        assert isinstance(book.people.verify(account, new), SignedIn)
    appoint_deputy(Appointments(engine, now=clock), "olive")
    assert given("olive") is not None, "who stands in for the data protection officer"
    book.people.disable("olive")
    with pytest.raises(PeopleError, match="is disabled"):
        given("olive")
