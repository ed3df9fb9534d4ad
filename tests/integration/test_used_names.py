"""Nobody inherits the recordings of somebody who left by getting their display name: tried at the shell."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from recorder.retention.account_expiry import AccountExpiry
from tests.helpers.accounts import PASSWORD
from tests.helpers.console_site import Console, console_site, signed_in
from tests.helpers.recorder_commands import run
from tests.helpers.storage_home import ID


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    (tmp_path / "password").write_text(PASSWORD + "\n")
    with console_site(tmp_path, is_daemon_up=False) as running:
        running.home.config.write_text('[console]\nsecond_factor = "off"\n')
        yield running


def shell(console: Console, *words: str) -> str:
    """Run a command of the administrator; returns what was refused, or nothing."""
    secret = str(console.home.root.parent / "password")
    new = ("--new-password-file", secret) if words[:2] == ("users", "add") else ()
    done = run(*words, *new, "-C", str(console.home.root), "--as", "admin", "--password-file", secret)
    return done.stderr if done.returncode != 0 else ""


def add(console: Console, name: str, shown: str, *more: str) -> str:
    return shell(console, "users", "add", name, "--role", "officer", "--display-name", shown, *more)


def leave(console: Console, name: str) -> None:
    assert shell(console, "users", "disable", name) == ""
    assert shell(console, "users", "remove", name, "--yes") == ""


@pytest.mark.parametrize("shown", ["Olive Officer", "olive  OFFICER"])
@pytest.mark.parametrize("name", ["olive", "officer"])
def test_a_leavers_name_is_not_given_to_a_joiner(console: Console, name: str, shown: str) -> None:
    leave(console, "officer")
    said = add(console, name, shown)
    assert "was used before" in said
    assert "--same-person" in said
    assert console.deps.people.find(name) is None


def test_nor_one_of_an_account_that_a_sweep_deleted(console: Console) -> None:
    assert shell(console, "users", "disable", "other") == ""
    AccountExpiry(console.deps.people._engine).forget(before=datetime.now(UTC))
    assert "the account other had it" in add(console, "otto", "Otto Other")


def test_nor_one_that_only_calls_have(console: Console) -> None:
    index = console.deps.copy_repositories.index
    index.save(replace(index.get(ID), operator="Nell Night"))
    assert "calls on record have it" in add(console, "nell", "Nell Night")
    assert "calls on record have it" in add(console, "nell", "Nell Night", "--reason", "she is new")


def test_the_same_person_has_their_calls_again_and_the_log_says_who_said_so(console: Console) -> None:
    leave(console, "officer")
    assert "needs --reason" in add(console, "olive", "Olive Officer", "--same-person")
    assert add(console, "olive", "Olive Officer", "--same-person", "--reason", "back from leave, badge 12") == ""
    added = console.entries("people.add")[-1]
    assert (added.actor, added.details["same_person"], added.details["former_account"]) == ("admin", True, "officer")
    with signed_in(console, "olive") as browser:
        assert ID in browser.get("/recordings").text


def test_a_name_that_nobody_had_is_given_as_before(console: Console) -> None:
    assert add(console, "nell", "Nell Night") == ""
    assert "same_person" not in console.entries("people.add")[-1].details
