"""`recorder keys rotate-accounts` and `recorder users enrol-again`, and what site-check says of the key."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from recorder.access.database import open_people
from recorder.access.second_factor import Enrolled, Proven, SecondFactors
from recorder.access.totp import code_of, new_secret, step_of
from recorder.permissions import Role
from storage.audit import AuditLog
from storage.audit_reading import of_act
from tests.helpers.recorder_home import RecorderHome

SECRET = new_secret()
NOW = datetime.now(UTC)


@pytest.fixture
def home(tmp_path: Path) -> RecorderHome:
    """A home whose account ``hilda`` has an authenticator, and ``ian`` has none."""
    home = RecorderHome(tmp_path, next_hop="127.0.0.1:5070")
    home.add_person("ian", Role.ICT)
    enrolled = factors(home).enrol("hilda", SECRET, code_of(SECRET, step_of(NOW) - 1))
    assert isinstance(enrolled, Enrolled)
    return home


def factors(home: RecorderHome) -> SecondFactors:
    return SecondFactors(open_people(home.root / "people.sqlite"), now=lambda: NOW)


def entry_of(home: RecorderHome, act: str) -> tuple[str, dict[str, object]]:
    (entry,) = of_act(AuditLog(home.root / "audit").path, act)
    return entry.actor, dict(entry.details)


def test_the_key_is_rotated_by_a_person_and_authenticators_go_on(home: RecorderHome) -> None:
    key, on = home.root / "private" / "accounts.key", ("-C", str(home.root))
    before = key.read_text()
    assert home.run("keys", "rotate-accounts", *on).returncode == 2, "it takes a person"
    assert home.run("keys", "rotate-accounts", *home.as_admin(), *on).returncode == 1, "not an administrator"
    assert key.read_text() == before
    done = home.run("keys", "rotate-accounts", "--as", "ian", "--password-file", str(home.password_file), *on)
    assert done.returncode == 0, done.stderr
    assert "9 values are sealed with a new key" in done.stderr
    assert key.read_text() != before
    actor, details = entry_of(home, "keys.accounts_rotated")
    assert (actor, details["values"]) == ("ian", 9)
    assert before.strip() not in str(details), "ids of keys, no keys"
    assert isinstance(factors(home).check("hilda", code_of(SECRET, step_of(NOW))), Proven)


def test_people_set_up_again_after_the_key_was_lost(home: RecorderHome) -> None:
    on = ("-C", str(home.root))
    refused = home.run("users", "enrol-again", *on)
    assert (refused.returncode, "nothing to do" in refused.stderr) == (1, True)
    (home.root / "private" / "accounts.key").unlink()
    told = home.run("site-check", *on)
    assert told.returncode == 1
    assert "no key opens the authenticators of hilda: restore" in " ".join(told.stdout.split())
    rotated = home.run("keys", "rotate-accounts", "--as", "ian", "--password-file", str(home.password_file), *on)
    assert (rotated.returncode, "enrol-again" in rotated.stderr) == (1, True)
    tried = home.run("users", "enrol-again", "--dry-run", *on)
    assert tried.returncode == 0, tried.stderr
    assert "nothing was changed" in tried.stderr
    assert factors(home).has("hilda")
    assert list(of_act(AuditLog(home.root / "audit").path, "people.second_factors_lost")) == []
    done = home.run("users", "enrol-again", *on)
    assert done.returncode == 0, done.stderr
    actor, details = entry_of(home, "people.second_factors_lost")
    assert actor.startswith("os:")
    assert (details["accounts"], details["without_account"]) == (["hilda"], True)
    assert not factors(home).has("hilda")
