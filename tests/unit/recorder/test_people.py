"""Accounts and tokens, with a real SQLite file and a clock that the test holds."""

import stat
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from argon2 import extract_parameters
from argon2.exceptions import VerifyMismatchError
from sqlalchemy import Engine

from recorder.access.account_rows import PeopleError
from recorder.access.accounts import FOUNDER_ROLES, People, SignedIn, count_usable
from recorder.access.attempts import LOCKED_AT_MOST, LOCKED_FOR, MAX_FAILURES, SignInRefusal, SignInRefused
from recorder.access.database import open_people
from recorder.access.granting import STANDS_FOR, Proposal
from recorder.access.password_hashes import hash_of_nobody
from recorder.access.proposals import Proposals
from recorder.access.tokens import TokenError, TokenRefused, Tokens
from recorder.permissions import Application, DeniedError, Role, Scope
from tests.helpers.accounts import CHEAP, PASSWORD, Clock, add_token


@pytest.fixture
def people(engine: Engine, clock: Clock) -> People:
    people = People(engine, now=clock, hasher=CHEAP)
    people.add("ann", PASSWORD, display_name="Ann Example", roles=FOUNDER_ROLES, teams=["Revenues"], extension="2001")
    return people


@pytest.fixture
def tokens(engine: Engine, clock: Clock) -> Tokens:
    return Tokens(engine, now=clock)


def fail(people: People, times: int) -> SignInRefused:
    results = [people.verify("ann", "violet otter lamp post") for _ in range(times)]
    refused = [result for result in results if isinstance(result, SignInRefused)]
    assert len(refused) == times
    return refused[-1]


def test_right_password(people: People) -> None:
    result = people.verify(" Ann ", PASSWORD)
    assert isinstance(result, SignedIn)
    assert result.person.roles == {Role.ADMIN}
    assert (result.person.teams, result.person.extension) == (("Revenues",), "2001")
    assert (result.note.act, result.note.subject) == ("people.sign_in", "ann")


def test_wrong_password_and_unknown_name(people: People) -> None:
    assert fail(people, 1).refusal is SignInRefusal.WRONG_PASSWORD
    unknown = people.verify("hunter2-typed-here", PASSWORD)
    assert isinstance(unknown, SignInRefused)
    assert unknown.refusal is SignInRefusal.UNKNOWN
    assert unknown.note.subject == "unknown"


def test_locked_after_five_for_fifteen_minutes(people: People, clock: Clock) -> None:
    assert fail(people, MAX_FAILURES).locked_until == clock.time + LOCKED_FOR
    locked = people.verify("ann", PASSWORD)
    assert isinstance(locked, SignInRefused)
    assert locked.refusal is SignInRefusal.LOCKED
    clock.time += LOCKED_FOR - timedelta(seconds=1)
    assert isinstance(people.verify("ann", PASSWORD), SignInRefused)
    clock.time += timedelta(seconds=1)
    assert isinstance(people.verify("ann", PASSWORD), SignedIn)


def test_lock_is_kept_in_the_file(people: People, tmp_path: Path, clock: Clock) -> None:
    fail(people, MAX_FAILURES)
    engine = open_people(tmp_path / "people.sqlite")
    again = People(engine, now=clock, hasher=CHEAP).verify("ann", PASSWORD)
    engine.dispose()
    assert isinstance(again, SignInRefused)
    assert again.refusal is SignInRefusal.LOCKED


def test_count_begins_again_after_success_and_after_the_lock(people: People, clock: Clock) -> None:
    fail(people, MAX_FAILURES - 1)
    assert isinstance(people.verify("ann", PASSWORD), SignedIn)
    assert fail(people, MAX_FAILURES - 1).locked_until is None
    fail(people, 1)
    clock.time += LOCKED_FOR
    assert fail(people, MAX_FAILURES - 1).locked_until is None
    assert fail(people, 1).locked_until == clock.time + 2 * LOCKED_FOR, "longer each time"
    for _ in range(3):
        clock.time += LOCKED_AT_MOST
        refused = fail(people, MAX_FAILURES)
    assert refused.locked_until == clock.time + LOCKED_AT_MOST
    clock.time += LOCKED_AT_MOST
    assert isinstance(people.verify("ann", PASSWORD), SignedIn)
    assert fail(people, MAX_FAILURES).locked_until == clock.time + LOCKED_FOR, "who signed in begins anew"


def test_guesses_at_the_same_time_get_no_more_tries(people: People) -> None:
    results: list[SignedIn | SignInRefused] = []
    threads = [
        threading.Thread(target=lambda: results.append(people.verify("ann", "violet otter lamp post")))
        for _ in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tried = [r for r in results if isinstance(r, SignInRefused) and r.refusal is SignInRefusal.WRONG_PASSWORD]
    assert (len(results), len(tried)) == (12, MAX_FAILURES)


def test_disabled_account(people: People) -> None:
    people.add("bob", PASSWORD, roles={Role.ADMIN})
    note = people.disable("ann")
    refused = people.verify("ann", PASSWORD)
    assert note.act == "people.disable"
    assert isinstance(refused, SignInRefused)
    assert refused.refusal is SignInRefusal.DISABLED
    assert people.find("ann") is None
    assert [account.is_disabled for account in people.list()] == [True, False]
    assert count_usable(people) == 1


def test_last_admin_stays(people: People) -> None:
    people.add("bob", PASSWORD, roles={Role.DPO})
    with pytest.raises(PeopleError, match="last admin"):
        people.disable("ann")
    assert people.find("ann") is not None


def test_new_password_unlocks(people: People) -> None:
    fail(people, MAX_FAILURES)
    people.set_password("ann", "copper walrus teapot")
    assert isinstance(people.verify("ann", PASSWORD), SignInRefused)
    assert isinstance(people.verify("ann", "copper walrus teapot"), SignedIn)


@pytest.mark.parametrize(
    ("name", "display_name"), [("ann", "Another"), ("bea", "Ann Example"), ("A N", ""), ("-x", ""), ("bea", "a\nb")]
)
def test_bad_or_taken_names(people: People, name: str, display_name: str) -> None:
    with pytest.raises(PeopleError):
        people.add(name, PASSWORD, display_name=display_name, roles=())
    assert len(people.list()) == 1


def test_a_weak_password_changes_nothing(people: People) -> None:
    with pytest.raises(PeopleError, match="12 characters"):
        people.set_password("ann", "short")
    assert isinstance(people.verify("ann", PASSWORD), SignedIn)


def test_unknown_account(people: People) -> None:
    with pytest.raises(PeopleError, match="no account"):
        people.disable("nobody")
    with pytest.raises(PeopleError, match="no account"):
        people.set_password("nobody", PASSWORD)


def test_neither_password_nor_token_is_in_the_file(people: People, tokens: Tokens, tmp_path: Path) -> None:
    secret = add_token(tokens, "crm", scopes=[Scope.PAUSE]).secret
    path = tmp_path / "people.sqlite"
    content = path.read_bytes()
    assert b"Ann Example" in content
    assert b"$argon2id$" in content
    assert PASSWORD.encode() not in content
    assert secret.encode() not in content
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_token(tokens: Tokens) -> None:
    new = add_token(tokens, "crm", scopes=[Scope.PAUSE], extensions=["2001"], networks=["10.1.0.0/16", "2001:db8::/32"])
    found = tokens.verify(new.secret, "10.1.2.3", Scope.PAUSE, "2001")
    assert found == Application(name="crm", scopes=frozenset({Scope.PAUSE}), extensions=frozenset({"2001"}))
    assert isinstance(tokens.verify(new.secret, "::ffff:10.1.2.3", Scope.PAUSE, None), Application)
    assert isinstance(tokens.verify(new.secret, "2001:db8::7", Scope.PAUSE, None), Application)
    assert new.secret not in str(new.note)


@pytest.mark.parametrize(
    ("source", "scope", "extension", "why"),
    [
        ("10.2.0.1", Scope.PAUSE, "2001", "source"),
        ("", Scope.PAUSE, "2001", "source"),
        ("10.1.0.1", Scope.CALLS_READ, "2001", "scope"),
        ("10.1.0.1", Scope.PAUSE, "2002", "extension"),
    ],
)
def test_token_refused(tokens: Tokens, source: str, scope: Scope, extension: str, why: str) -> None:
    new = add_token(tokens, "crm", scopes=[Scope.PAUSE], extensions=["2001"], networks=["10.1.0.0/16"])
    assert tokens.verify(new.secret, source, scope, extension) == TokenRefused("crm", why)


def test_token_expires_and_is_revoked(tokens: Tokens, clock: Clock) -> None:
    new = add_token(tokens, "crm", scopes=[Scope.PAUSE], expires_at=clock.time + timedelta(days=1))
    other = add_token(tokens, "old", scopes=[Scope.PAUSE])
    assert isinstance(tokens.identify(new.secret, "10.0.0.1"), Application)
    clock.time += timedelta(days=1)
    assert tokens.identify(new.secret, "10.0.0.1") == TokenRefused("crm", "expired")
    assert tokens.revoke("old").act == "tokens.revoke"
    assert tokens.identify(other.secret, "10.0.0.1") == TokenRefused("old", "revoked")
    with pytest.raises(TokenError):
        tokens.revoke("old")


def test_a_token_revoked_elsewhere_is_refused_at_once(tokens: Tokens, tmp_path: Path, clock: Clock) -> None:
    """Known tokens are kept in memory; the command line revokes them in another process."""
    new, other = add_token(tokens, "crm", scopes=[Scope.PAUSE]), add_token(tokens, "erp", scopes=[Scope.PAUSE])
    for _ in range(2):
        assert isinstance(tokens.identify(new.secret, "10.0.0.1"), Application)
    elsewhere = open_people(tmp_path / "people.sqlite")
    Tokens(elsewhere, now=clock).revoke("crm")
    assert tokens.identify(new.secret, "10.0.0.1") == TokenRefused("crm", "revoked")
    assert isinstance(tokens.identify(other.secret, "10.0.0.1"), Application)
    elsewhere.dispose()


def test_a_file_of_people_that_is_put_in_the_place_of_another_counts_at_once(
    tokens: Tokens, tmp_path: Path, clock: Clock
) -> None:
    """As after a restore: what the old file had is not good any more."""
    secret = add_token(tokens, "crm", scopes=[Scope.PAUSE]).secret
    assert isinstance(tokens.identify(secret, "10.0.0.1"), Application)
    restored = open_people(tmp_path / "restored.sqlite")
    add_token(Tokens(restored, now=clock), "erp", scopes=[Scope.PAUSE])
    restored.dispose()
    (tmp_path / "restored.sqlite").replace(tmp_path / "people.sqlite")
    assert tokens.identify(secret, "10.0.0.1") == TokenRefused("", "unknown")


def test_unknown_token(tokens: Tokens) -> None:
    secret = add_token(tokens, "crm", scopes=[Scope.PAUSE]).secret
    for wrong in ("", secret[:-1], secret + "x", "\udcff"):
        assert tokens.identify(wrong, "10.0.0.1") == TokenRefused("", "unknown")


def test_bad_tokens(tokens: Tokens, clock: Clock) -> None:
    with pytest.raises(TokenError, match="scope"):
        add_token(tokens, "crm", scopes=[])
    with pytest.raises(TokenError, match="network"):
        add_token(tokens, "crm", scopes=[Scope.PAUSE], networks=["10.1.0.1/16"])
    with pytest.raises(TokenError, match="expiry is in the past"):
        add_token(tokens, "crm", scopes=[Scope.PAUSE], expires_at=clock.time)
    with pytest.raises(TokenError, match="extension"):
        add_token(tokens, "crm", scopes=[Scope.PAUSE], extensions=["20,01"])
    with pytest.raises(TokenError, match="name"):
        add_token(tokens, "C R M", scopes=[Scope.PAUSE])
    add_token(tokens, "crm", scopes=[Scope.PAUSE])
    with pytest.raises(TokenError, match="used before"):
        add_token(tokens, "crm", scopes=[Scope.PAUSE])
    assert [line.application.name for line in tokens.list()] == ["crm"]


def test_nobody_costs_as_much_as_an_account_and_no_password_is_theirs(people: People) -> None:
    nobody = hash_of_nobody(CHEAP)
    assert extract_parameters(nobody) == extract_parameters(CHEAP.hash(PASSWORD))
    with pytest.raises(VerifyMismatchError):
        CHEAP.verify(nobody, PASSWORD)
    assert hash_of_nobody(CHEAP) != nobody
    assert isinstance(people.verify("no.such.person", PASSWORD), SignInRefused)


# --- teams and leavers over time


def teams_of(people: People, name: str = "ann") -> tuple[str, ...]:
    person = people.find(name)
    assert person is not None
    return person.teams


def test_a_manager_moves_on_a_day(people: People, clock: Clock) -> None:
    day = timedelta(days=1)
    people.set_team("ann", "Benefits", answers=True, from_=clock.time + day)
    people.set_team("ann", "Revenues", answers=False, from_=clock.time + 2 * day)
    assert teams_of(people) == ("Revenues",)
    clock.time += day
    assert teams_of(people) == ("Revenues", "Benefits")
    clock.time += day
    assert teams_of(people) == ("Benefits",)
    assert [account.person.teams for account in people.list()] == [("Benefits",)]


def test_plans_are_followed_in_their_order_however_late_they_are_looked_at(people: People, clock: Clock) -> None:
    day = timedelta(days=1)
    people.set_team("ann", "Benefits", answers=False, from_=clock.time + 3 * day)
    people.set_team("ann", "Benefits", answers=True, from_=clock.time + day)
    clock.time += 5 * day
    assert teams_of(people) == ("Revenues",)
    people.set_team("ann", "Benefits", answers=True)
    people.set_team("ann", "Benefits", answers=True)
    assert teams_of(people) == ("Revenues", "Benefits")
    note = people.set_team("ann", "Benefits", answers=False, from_=clock.time - 3 * day)
    assert note.details["from"] == clock.time.isoformat(), "nothing changes backwards"
    assert teams_of(people) == ("Revenues",)


@pytest.mark.parametrize("team", ["", "  ", "a,b", "x" * 101, "line\nbreak"])
def test_a_team_that_is_none(people: People, team: str) -> None:
    with pytest.raises(PeopleError):
        people.set_team("ann", team, answers=True)
    assert teams_of(people) == ("Revenues",)


def test_who_leaves_on_a_day(people: People, clock: Clock) -> None:
    people.add("bob", PASSWORD, roles=[Role.ADMIN])
    people.disable("ann", from_=clock.time + timedelta(days=1))
    assert isinstance(people.verify("ann", PASSWORD), SignedIn)
    assert [(one.is_disabled, one.closes_at is not None) for one in people.list()] == [(False, True), (False, False)]
    clock.time += timedelta(days=1)
    result = people.verify("ann", PASSWORD)
    assert isinstance(result, SignInRefused)
    assert result.refusal is SignInRefusal.DISABLED
    assert people.find("ann") is None
    assert count_usable(people) == 1


def test_two_admins_who_leave_on_the_same_day_leave_one(people: People, clock: Clock) -> None:
    people.add("bob", PASSWORD, roles=[Role.ADMIN])
    people.disable("ann", from_=clock.time + timedelta(days=1))
    with pytest.raises(PeopleError, match="last admin"):
        people.disable("bob", from_=clock.time + timedelta(days=2))


def test_a_disabled_account_is_used_again_without_powerful_roles(people: People, clock: Clock) -> None:
    people.add("ida", PASSWORD, roles=[Role.ICT, Role.MANAGER], teams=["Revenues"])
    with pytest.raises(PeopleError, match="is not disabled"):
        people.enable("ida")
    people.disable("ida")
    assert people.find("ida") is None
    assert people.enable("ida").details == {"without": [Role.ICT]}
    found = people.find("ida")
    assert found is not None
    assert found.roles == {Role.MANAGER}
    assert found.teams == ("Revenues",)
    assert isinstance(people.verify("ida", PASSWORD), SignedIn)
    people.disable("ida", from_=clock.time + timedelta(days=3))
    people.enable("ida")
    clock.time += timedelta(days=4)
    assert people.find("ida") is not None


def taken_from(people: People, proposals: Proposals, way: str, name: str) -> None:
    """Have one administrator take somebody's power."""
    if way == "revoke":
        roles = {account.person.name: account.person.roles for account in people.list()}[name]
        proposals.revoke(name, roles, enter=lambda _: None)
        return
    people.disable(name)
    if way == "enable":
        people.enable(name)


@pytest.mark.parametrize("way", ["disable", "revoke", "enable"])
def test_nobody_is_alone_because_they_took_the_others_power(
    engine: Engine, people: People, clock: Clock, way: str
) -> None:
    proposals = Proposals(engine, now=clock)
    people.add("eve", PASSWORD, roles=[Role.OFFICER])

    def grant() -> Proposal | None:
        return proposals.grant("ann", "eve", [Role.ICT], reason="night shift", enter=lambda _: None)[1]

    for name, role in (("abe", Role.ADMIN), ("dora", Role.DPO), ("lena", Role.TEAM_LEADER)):
        people.add(name, PASSWORD, roles=[role])
    assert grant() is not None
    for name in ("abe", "dora", "lena"):
        taken_from(people, proposals, way, name)
    with pytest.raises(DeniedError, match="abe and dora and lena could have confirmed it until lately"):
        grant()
    clock.time += STANDS_FOR - timedelta(seconds=1)
    with pytest.raises(DeniedError, match="until lately"):
        grant()
    clock.time += timedelta(seconds=1)
    assert grant() is None
    eve = people.find("eve")
    assert eve is not None
    assert Role.ICT in eve.roles


def test_an_account_that_was_never_powerful_keeps_nobody_waiting(engine: Engine, people: People, clock: Clock) -> None:
    people.add("otto", PASSWORD, roles=[Role.OFFICER, Role.MANAGER])
    people.add("dora", PASSWORD, roles=[Role.OFFICER])
    people.disable("otto")
    _, waits = Proposals(engine, now=clock).grant("ann", "dora", [Role.DPO], reason="the first", enter=lambda _: None)
    assert waits is None


HIDDEN = [
    "\x00", "\x1b", "\x85", "\u00ad", "\u200b", "\u200c", "\u200d", "\u200e", "\u200f", "\u2028", "\u2029", "\u202a",
    "\u202e", "\u2060", "\u2066", "\u2069", "\ufeff", "\u3164",
]  # fmt: skip


@pytest.mark.parametrize("sign", HIDDEN, ids=lambda one: f"U+{ord(one):04X}")
def test_no_name_has_a_character_that_is_not_seen(people: People, sign: str) -> None:
    with pytest.raises(PeopleError, match=rf"only characters that are seen: remove U\+{ord(sign):04X}"):
        people.add("bob", PASSWORD, display_name=f"Bob{sign} Example", roles={Role.OFFICER})
    with pytest.raises(PeopleError, match="only characters that are seen"):
        people.add("bob", PASSWORD, roles={Role.OFFICER}, teams=[f"Rev{sign}enues"])
    with pytest.raises(PeopleError, match="only characters that are seen"):
        people.set_team("ann", f"Hou{sign}sing", answers=True)
    assert [one.person.name for one in people.list()] == ["ann"]


@pytest.mark.parametrize(
    "taken",
    ["ann example", "ANN  EXAMPLE", " Ann Example ", "Ann\u00a0Example", "\uff21nn Example", "Ann\u2003Example"],
)
def test_a_display_name_that_looks_like_anothers_is_taken(people: People, taken: str) -> None:
    with pytest.raises(PeopleError, match="is taken"):
        people.add("bob", PASSWORD, display_name=taken, roles={Role.OFFICER})


def test_a_team_is_spelled_in_one_way(people: People) -> None:
    for spelled in ("revenues", "Revenues ", "REVENUES"):
        with pytest.raises(PeopleError, match="There is a team 'Revenues' already"):
            people.add("bob", PASSWORD, roles={Role.MANAGER}, teams=[spelled])
        with pytest.raises(PeopleError, match="There is a team 'Revenues' already"):
            people.set_team("ann", spelled, answers=True)
    people.add(
        "bob", PASSWORD, display_name="Zoë O’Neill-Łukasz", roles={Role.MANAGER}, teams=["Revenues", "Dŵr Cymru"]
    )
