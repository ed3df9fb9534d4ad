"""The key of the accounts: without it a copy of the database gives nobody a code, and it can be lost and rotated."""

import os
import shutil
import sqlite3
from collections.abc import Collection
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine

from recorder.access.account_key import AccountKey, AccountKeyError, Use
from recorder.access.accounts import People, SignedIn
from recorder.access.attempts import SignInRefused
from recorder.access.database import open_people
from recorder.access.sealed_secrets import SealedSecrets
from recorder.access.second_factor import Enrolled, Proven, SecondFactors
from recorder.access.sessions import SessionKind, Sessions
from recorder.access.totp import code_of, new_secret, step_of
from recorder.permissions import Role
from tests.helpers.accounts import CHEAP, PASSWORD

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


class Site:
    """Accounts of ``ann`` and ``bob``, each with an authenticator."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "people.sqlite"
        self.engine: Engine = open_people(self.path)
        self.people = People(self.engine, now=lambda: NOW, hasher=CHEAP)
        self.factors = SecondFactors(self.engine, now=lambda: NOW)
        self.sealed = SealedSecrets(self.engine)
        self.secrets: dict[str, str] = {}
        self.codes: dict[str, list[str]] = {}
        for name in ("ann", "bob"):
            self.people.add(name, PASSWORD, roles=[Role.DPO])
            self.enrol(name)

    def enrol(self, name: str) -> None:
        self.secrets[name] = secret = new_secret()
        enrolled = self.factors.enrol(name, secret, code_of(secret, step_of(NOW) - 1))
        assert isinstance(enrolled, Enrolled)
        self.codes[name] = [*enrolled.codes]

    def code(self, name: str) -> str:
        return code_of(self.secrets[name], step_of(NOW))

    def write(self, statement: str, *values: str) -> None:
        with closing(sqlite3.connect(self.path)) as database, database:
            database.execute(statement, values)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_the_key_is_the_owners_alone_and_is_made_once(site: Site) -> None:
    key = site.sealed.key
    assert key.path == site.path.parent / "private" / "accounts.key"
    assert (key.path.stat().st_mode & 0o777, key.path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    before = key.path.read_bytes()
    assert not key.create()
    assert key.path.read_bytes() == before


def test_a_copied_database_without_the_key_gives_nobody_a_code(site: Site, tmp_path: Path) -> None:
    (stolen := tmp_path / "stolen").mkdir()
    shutil.copy(site.path, stolen)
    factors = SecondFactors(open_people(stolen / site.path.name), now=lambda: NOW)
    for typed in (site.code("ann"), site.codes["ann"][0]):
        with pytest.raises(
            AccountKeyError, match=r"accounts\.key.* is missing: restore .* `recorder users enrol-again`"
        ):
            factors.check("ann", typed)
    AccountKey(stolen / site.path.name).create()  # another one
    with pytest.raises(AccountKeyError, match=r"was sealed with key [0-9a-f]{8}, restore"):
        factors.check("ann", site.code("ann"))


@pytest.mark.parametrize("stored", ["ZTN34H37Z4FAVGRMYM7FHDFLG3TMXNCY", "s1:", "of bob"])
def test_a_secret_that_was_put_in_without_the_key_does_not_count(site: Site, stored: str) -> None:
    if stored == "of bob":
        with closing(sqlite3.connect(site.path)) as database:
            ((stored,),) = database.execute("SELECT secret FROM second_factors WHERE account = 'bob'")
    site.write("UPDATE second_factors SET secret = ? WHERE account = 'ann'", stored)
    site.secrets["ann"] = site.secrets["bob"]
    with pytest.raises(AccountKeyError, match="the authenticator of ann"):
        site.factors.check("ann", site.code("ann"))
    assert isinstance(site.factors.check("bob", site.code("bob")), Proven)


def test_a_secret_is_bound_to_its_use(site: Site) -> None:
    key = site.sealed.key
    sealed = key.seal("ann", Use.ENROLLING, "x")
    assert key.open("ann", Use.ENROLLING, sealed) == "x"
    assert sealed != key.seal("ann", Use.ENROLLING, "x")
    with pytest.raises(AccountKeyError, match="the recovery code of ann"):
        key.open("ann", Use.RECOVERY_CODE, sealed)


def test_the_secret_of_an_authenticator_that_is_being_set_up_is_sealed_too(site: Site) -> None:
    sessions, secret = Sessions(site.engine, now=lambda: NOW), new_secret()
    token = sessions.start("ann", kind=SessionKind.STARTING, enrolling=secret)
    found = sessions.find(token, kind=SessionKind.STARTING)
    assert found is not None
    assert found.enrolling == secret
    assert secret.encode() not in site.path.read_bytes()


def test_rotation_keeps_every_authenticator_and_code(site: Site) -> None:
    old = site.sealed.key.newest()
    note = site.sealed.rotate()
    assert (note.act, note.details["values"]) == ("keys.accounts_rotated", 18)
    assert note.details["key"] == site.sealed.key.newest() != old
    assert len(site.sealed.key.path.read_text().split()) == 1
    assert old.encode() not in site.path.read_bytes()
    assert isinstance(site.factors.check("ann", site.code("ann")), Proven)
    assert isinstance(site.factors.check("bob", site.codes["bob"][7]), Proven)


@pytest.mark.parametrize("is_resealed", [False, True])
def test_an_interrupted_rotation_locks_nobody_out_and_is_run_again(
    site: Site, monkeypatch: pytest.MonkeyPatch, is_resealed: bool
) -> None:
    with monkeypatch.context() as patched:
        stop = "forget_older" if is_resealed else "seal"

        def killed(*_given: object) -> None:
            raise InterruptedError

        patched.setattr(AccountKey, stop, killed)
        with pytest.raises(InterruptedError):
            site.sealed.rotate()
    assert len(site.sealed.key.path.read_text().split()) == 2
    assert isinstance(site.factors.check("ann", site.code("ann")), Proven)
    site.sealed.rotate()
    assert len(site.sealed.key.path.read_text().split()) == 1
    assert isinstance(site.factors.check("bob", site.code("bob")), Proven)


def test_a_rotation_keeps_the_key_of_another_one_that_was_killed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between its new key and its commit: the values are still sealed with the key of before."""
    forget = AccountKey.forget_older

    def meanwhile(self: AccountKey, used: Collection[str]) -> None:
        self.add()
        forget(self, used)

    with monkeypatch.context() as patched:
        patched.setattr(AccountKey, "forget_older", meanwhile)
        site.sealed.rotate()
    assert len(site.sealed.key.path.read_text().split()) == 2
    assert isinstance(site.factors.check("ann", site.code("ann")), Proven)
    site.sealed.rotate()
    assert len(site.sealed.key.path.read_text().split()) == 1
    assert isinstance(site.factors.check("bob", site.code("bob")), Proven)


def test_nothing_is_rotated_while_a_value_does_not_open(site: Site) -> None:
    site.write("UPDATE second_factors SET secret = 'x' WHERE account = 'ann'")
    before = site.sealed.key.path.read_bytes()
    with pytest.raises(AccountKeyError):
        site.sealed.rotate()
    assert site.sealed.key.path.read_bytes() == before


def test_a_lost_key_is_not_replaced_and_people_set_up_again(site: Site) -> None:
    site.sealed.key.path.unlink()
    assert str(site.sealed.problem()).startswith("no key opens the authenticators of ann, bob: restore ")
    with pytest.raises(AccountKeyError, match="is missing"):
        site.factors.check("ann", site.code("ann"))
    site.people.add("cat", PASSWORD, roles=[Role.DPO])
    with pytest.raises(AccountKeyError, match="is missing"):
        site.enrol("cat")
    assert not site.sealed.key.path.exists(), "the old one could still be restored"
    session = Sessions(site.engine, now=lambda: NOW)
    token = session.start("bob")
    assert site.sealed.unopened() == {"ann", "bob"}
    assert site.sealed.forget_unopened({"ann", "bob"}) == {"ann", "bob"}
    assert session.find(token) is None
    signed = site.people.verify("ann", PASSWORD)
    assert isinstance(signed, SignedIn)
    assert not signed.takes_code
    site.enrol("ann")
    assert isinstance(site.factors.check("ann", site.code("ann")), Proven)
    assert site.sealed.problem() is None


def test_only_what_no_key_opens_is_forgotten(site: Site) -> None:
    site.write("UPDATE second_factors SET secret = 'x' WHERE account = 'ann'")
    assert site.sealed.problem() is not None
    assert site.sealed.forget_unopened({"bob"}) == frozenset(), "the audit entry does not name ann"
    assert site.sealed.forget_unopened({"ann", "bob"}) == {"ann"}
    assert isinstance(site.factors.check("bob", site.code("bob")), Proven)


def test_wrong_codes_count_although_a_recovery_code_does_not_open(site: Site) -> None:
    site.write("UPDATE recovery_codes SET code_hash = 'x' || code_hash WHERE account = 'ann'")
    for _ in range(5):
        with pytest.raises(AccountKeyError, match="recovery code of ann"):
            site.factors.check("ann", "000000")
    assert isinstance(site.factors.check("ann", site.code("ann")), SignInRefused), "it is locked"


def test_a_key_that_others_may_read_is_not_taken_for_a_lost_one(site: Site) -> None:
    site.sealed.key.path.chmod(0o644)
    refused = r"can be read by others.*belongs to the owner of people\.sqlite"
    with pytest.raises(AccountKeyError, match=refused):
        site.sealed.forget_unopened({"ann"})
    with pytest.raises(AccountKeyError, match=refused):
        site.sealed.unopened()
    site.sealed.key.path.chmod(0o600)
    assert isinstance(site.factors.check("ann", site.code("ann")), Proven)


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a file to another user takes root")
def test_what_root_makes_is_the_accounts_owners(tmp_path: Path) -> None:
    people = tmp_path / "people.sqlite"
    people.touch()
    os.chown(people, 64_002, 64_002)
    key = AccountKey(people)
    assert key.create()
    key.add()
    for made in (key.path, key.path.parent):
        assert (made.stat().st_uid, made.stat().st_gid) == (64_002, 64_002)


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a file to another user takes root")
def test_root_gives_no_folder_away_that_a_link_leads_to(tmp_path: Path) -> None:
    (people := tmp_path / "people.sqlite").touch()
    os.chown(people, 64_002, 64_002)
    (roots := tmp_path / "roots").mkdir()
    (key := AccountKey(people)).path.parent.symlink_to(roots)
    assert key.create()
    assert roots.stat().st_uid == 0
