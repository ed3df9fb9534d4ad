"""Second factors in a real file, with a clock that the test holds: guesses, replays, recovery codes."""

import hashlib
import sqlite3
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from recorder.access.account_rows import PeopleError
from recorder.access.accounts import People, SignedIn
from recorder.access.attempts import LOCKED_FOR, MAX_FAILURES, SignInRefusal, SignInRefused
from recorder.access.database import open_people
from recorder.access.second_factor import RECOVERY_CODES, Enrolled, Proven, SecondFactors, remove_factor
from recorder.access.sessions import KEPT_FOR, STARTING_FOR, SessionKind, Sessions
from recorder.access.totp import code_of, new_secret, step_of
from recorder.permissions import Act, Allowed, Person, Refusal, Role
from recorder.rules.authorisation import may
from recorder.rules.signing_in import SecondFactor, SessionLimits, SignInRules
from tests.helpers.accounts import CHEAP, PASSWORD, Clock

SECRET = new_secret()


@pytest.fixture
def people(engine: Engine, clock: Clock) -> People:
    people = People(engine, now=clock, hasher=CHEAP)
    people.add("ann", PASSWORD, roles=[Role.DPO])
    people.add("bob", PASSWORD, roles=[Role.DPO])
    return people


@pytest.fixture
def factors(engine: Engine, clock: Clock, people: People) -> SecondFactors:
    assert people.find("ann")
    return SecondFactors(engine, now=clock)


@pytest.fixture
def codes(factors: SecondFactors, clock: Clock) -> tuple[str, ...]:
    """Ann's recovery codes; her authenticator is set up."""
    enrolled = factors.enrol("ann", SECRET, code(clock))
    assert isinstance(enrolled, Enrolled)
    return enrolled.codes


def code(clock: Clock, steps: int = 0) -> str:
    return code_of(SECRET, step_of(clock()) + steps)


def wrong(factors: SecondFactors, times: int, account: str = "ann") -> SignInRefused:
    results = [factors.check(account, "not a code") for _ in range(times)]
    assert all(isinstance(result, SignInRefused) for result in results)
    assert isinstance(results[-1], SignInRefused)
    return results[-1]


def test_setting_up_takes_a_code_of_the_phone(factors: SecondFactors, clock: Clock) -> None:
    refused = factors.enrol("ann", SECRET, "000000")
    assert isinstance(refused, SignInRefused)
    assert refused.refusal is SignInRefusal.WRONG_CODE
    assert not factors.has("ann")
    enrolled = factors.enrol("ann", SECRET, code(clock))
    assert isinstance(enrolled, Enrolled)
    assert len(set(enrolled.codes)) == RECOVERY_CODES == factors.codes_left("ann")
    with pytest.raises(PeopleError, match="already"):
        factors.enrol("ann", new_secret(), "000000")


def test_signed_in_by_password_and_code_only(
    people: People, factors: SecondFactors, clock: Clock, codes: tuple[str, ...]
) -> None:
    result = people.verify("ann", PASSWORD)
    assert isinstance(result, SignedIn)
    assert result.takes_code
    assert result.note.act == "people.password_accepted"
    clock.time += timedelta(seconds=30)
    proven = factors.check("ann", code(clock))
    assert isinstance(proven, Proven)
    assert (proven.note.act, proven.note.details) == ("people.sign_in", {"second_factor": "code"})
    bob = people.verify("bob", PASSWORD)
    assert isinstance(bob, SignedIn)
    assert not bob.takes_code


def test_a_code_is_good_once_the_one_that_set_it_up_too(
    factors: SecondFactors, clock: Clock, codes: tuple[str, ...]
) -> None:
    assert isinstance(factors.check("ann", code(clock)), SignInRefused)
    assert isinstance(factors.check("ann", code(clock, 1)), Proven)
    assert isinstance(factors.check("ann", code(clock, 1)), SignInRefused)
    assert isinstance(factors.check("ann", code(clock)), SignInRefused), "nor one from before it"


def test_one_code_in_two_hands_at_once(factors: SecondFactors, clock: Clock, codes: tuple[str, ...]) -> None:
    found: list[Proven | SignInRefused] = []
    threads = [
        threading.Thread(target=lambda: found.append(factors.check("ann", code(clock, 1)))) for _ in range(MAX_FAILURES)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(found) == MAX_FAILURES
    assert sum(isinstance(result, Proven) for result in found) == 1


def test_a_password_buys_no_more_guesses(
    people: People, factors: SecondFactors, clock: Clock, codes: tuple[str, ...]
) -> None:
    for _ in range(MAX_FAILURES - 1):
        assert isinstance(people.verify("ann", PASSWORD), SignedIn)
        assert wrong(factors, 1).refusal is SignInRefusal.WRONG_CODE
    assert isinstance(people.verify("ann", PASSWORD), SignedIn)
    wrong(factors, 1)
    assert wrong(factors, 1).locked_until == clock.time + LOCKED_FOR
    locked = people.verify("ann", PASSWORD)
    assert isinstance(locked, SignInRefused)
    assert locked.refusal is SignInRefusal.LOCKED
    assert isinstance(factors.check("ann", code(clock, 1)), SignInRefused), "a right code opens no locked account"
    clock.time += LOCKED_FOR
    assert isinstance(factors.check("ann", code(clock)), Proven)
    assert isinstance(wrong(factors, MAX_FAILURES - 1), SignInRefused)
    assert isinstance(people.verify("ann", PASSWORD), SignedIn), "whoever signed in has all tries again"


def test_a_recovery_code_is_good_once(factors: SecondFactors, codes: tuple[str, ...]) -> None:
    typed = f" {codes[3].upper().replace('-', ' ')} "
    proven = factors.check("ann", typed)
    assert isinstance(proven, Proven)
    assert proven.note.details == {"second_factor": "recovery_code"}
    assert isinstance(factors.check("ann", codes[3]), SignInRefused)
    assert factors.codes_left("ann") == RECOVERY_CODES - 1
    assert isinstance(factors.check("bob", codes[0]), SignInRefused), "nobody else's"


def test_nothing_of_the_codes_is_in_the_file(tmp_path: Path, codes: tuple[str, ...]) -> None:
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert SECRET.encode() not in content
    for one in codes:
        assert one.encode() not in content
        assert one.replace("-", "").encode() not in content
        assert hashlib.sha256(one.replace("-", "").encode()).hexdigest().encode() not in content


def test_taken_away(
    people: People, factors: SecondFactors, engine: Engine, clock: Clock, codes: tuple[str, ...]
) -> None:
    sessions = Sessions(engine, now=clock)
    secret = sessions.start("ann")
    with engine.begin() as connection:
        remove_factor(connection, "ann")
    assert sessions.find(secret) is None
    assert isinstance(factors.check("ann", codes[0]), SignInRefused)
    result = people.verify("ann", PASSWORD)
    assert isinstance(result, SignedIn)
    assert not result.takes_code
    with engine.begin() as connection, pytest.raises(PeopleError, match="no authenticator"):
        remove_factor(connection, "ann")


def test_who_has_to() -> None:
    rules = SignInRules()
    for role in Role:
        person = Person(name="pat", display_name="Pat", roles=frozenset({role}))
        assert rules.must_enrol(person) == (role is not Role.OFFICER)
        assert not SignInRules(second_factor=SecondFactor.OFF).must_enrol(person)
    assert not rules.counts_as_proven(is_proven=False)
    assert rules.counts_as_proven(is_proven=True)
    assert SignInRules(second_factor=SecondFactor.OFF).counts_as_proven(is_proven=False)


def test_what_a_password_alone_lets_them_act_as() -> None:
    rules = SignInRules()
    both = Person(name="pat", display_name="Pat", roles=frozenset({Role.OFFICER, Role.DPO}))
    assert rules.as_signed_in(both, is_proven=True) == both
    assert rules.as_signed_in(both, is_proven=False) == replace(both, roles=frozenset({Role.OFFICER}), is_proven=False)
    for role in Role:
        person = replace(both, roles=frozenset({role}))
        assert (rules.as_signed_in(person, is_proven=False) is None) == (role is not Role.OFFICER)
        assert SignInRules(second_factor=SecondFactor.OFF).as_signed_in(person, is_proven=False) == person
    nobody = replace(both, roles=frozenset())
    assert rules.as_signed_in(nobody, is_proven=False) == replace(nobody, is_proven=False)


@pytest.mark.parametrize("act", [Act.PLAY, Act.EXPORT])
def test_nobody_hears_on_a_password_alone(act: Act) -> None:
    for role in Role:
        unproven = Person(name="pat", display_name="Pat", roles=frozenset({role}), is_proven=False)
        assert isinstance(may(unproven, act, reason="complaint 17", has_grant=True), Refusal)
    officer = Person(name="pat", display_name="Pat", roles=frozenset({Role.OFFICER}), is_proven=False)
    assert isinstance(may(officer, Act.PAUSE), Allowed)


# --- sessions


def test_one_kind_is_never_taken_for_another(engine: Engine, clock: Clock) -> None:
    sessions = Sessions(engine, now=clock)
    for kind in SessionKind:
        secret = sessions.start("ann", kind=kind)
        assert [other for other in SessionKind if sessions.find(secret, kind=other)] == [kind]


def test_a_session_that_is_starting_ends_soon_whatever_is_done(engine: Engine, clock: Clock) -> None:
    sessions = Sessions(engine, now=clock)
    secret = sessions.start("ann", kind=SessionKind.STARTING, enrolling=SECRET)
    clock.time += STARTING_FOR - timedelta(seconds=1)
    found = sessions.find(secret, kind=SessionKind.STARTING)
    assert found is not None
    assert found.enrolling == SECRET
    clock.time += timedelta(seconds=1)
    assert sessions.find(secret, kind=SessionKind.STARTING) is None


def test_limits_are_as_configured(engine: Engine, clock: Clock) -> None:
    limits = SessionLimits(idle=timedelta(minutes=5), longest=timedelta(minutes=12))
    sessions = Sessions(engine, now=clock, limits=limits)
    secret = sessions.start("ann")
    clock.time += timedelta(minutes=4)
    found = sessions.find(secret, is_activity=False)
    assert found is not None
    assert (found.idle_left_s, found.left_s) == (60, 480)
    found = sessions.find(secret)
    assert found is not None
    assert found.idle_left_s == 300
    clock.time += timedelta(minutes=4)
    assert sessions.find(secret) is not None
    clock.time += timedelta(minutes=3)
    found = sessions.find(secret)
    assert found is not None
    assert (found.idle_left_s, found.left_s) == (60, 60), "the longest time counts too"
    clock.time += timedelta(minutes=1)
    assert sessions.find(secret) is None


def test_a_session_is_kept_while_a_call_lasts(engine: Engine, clock: Clock) -> None:
    sessions = Sessions(engine, now=clock)
    secret = sessions.start("ann")
    found = sessions.find(secret)
    assert found is not None
    for _ in range(14 * 30):
        clock.time += timedelta(minutes=2)
        sessions.keep(found.key)
        assert sessions.find(secret, is_activity=False) is not None
    clock.time += KEPT_FOR
    assert sessions.find(secret, is_activity=False) is None, "twelve hours were over long before"
    sessions.keep(found.key)
    assert sessions.find(secret, is_activity=False) is None, "what is over does not come back"


def test_every_session_of_an_account_ends(engine: Engine, clock: Clock) -> None:
    sessions = Sessions(engine, now=clock)
    hers = [sessions.start("ann", kind=kind) for kind in SessionKind]
    his = sessions.start("bob")
    assert sessions.end_all("ann") == len(hers)
    assert not any(sessions.find(secret, kind=kind) for secret, kind in zip(hers, SessionKind, strict=True))
    assert sessions.find(his) is not None


def test_a_file_of_an_older_version_gets_its_columns(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "people.sqlite"
    with sqlite3.connect(path) as old:
        old.execute(
            "CREATE TABLE sessions (secret_hash VARCHAR PRIMARY KEY, account VARCHAR NOT NULL, csrf VARCHAR NOT NULL,"
            " created_s FLOAT NOT NULL, seen_s FLOAT NOT NULL)"
        )
        old.execute(
            "CREATE TABLE accounts (name VARCHAR PRIMARY KEY, display_name VARCHAR NOT NULL UNIQUE, roles VARCHAR NOT"
            " NULL, teams VARCHAR NOT NULL, extension VARCHAR, password_hash VARCHAR NOT NULL, created_s FLOAT NOT"
            " NULL, disabled_s FLOAT, failures INTEGER NOT NULL, locked_until_s FLOAT)"
        )
        hashed = CHEAP.hash(PASSWORD)
        old.execute("INSERT INTO accounts VALUES ('old', 'Old', 'dpo', '', NULL, ?, 1.0, NULL, 2, NULL)", (hashed,))
    old.close()
    for _ in range(2):
        engine = open_people(path)
        people = People(engine, now=clock, hasher=CHEAP)
        assert isinstance(people.verify("old", PASSWORD), SignedIn)
        assert Sessions(engine, now=clock).find(Sessions(engine, now=clock).start("old")) is not None
        engine.dispose()
