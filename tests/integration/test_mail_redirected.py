"""One administrator does not send the mail of somebody who decides elsewhere: tried at the shell and over HTTP."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder.notifications.kinds import NotificationKind
from recorder.notifications.watch import notify_of_changes
from tests.helpers.accounts import PASSWORD
from tests.helpers.console_site import Console, console_site, signed_in
from tests.helpers.recorder_commands import run

OLD, NEW = "dora@council.example", "mallory@elsewhere.example"


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    (tmp_path / "password").write_text(PASSWORD + "\n")
    with console_site(tmp_path, is_daemon_up=False) as running:
        running.home.config.write_text('[console]\nsecond_factor = "off"\n')
        yield running


def shell(console: Console, *words: str, by: str = "admin") -> str:
    """Run a command; returns what it said."""
    secret = str(console.home.root.parent / "password")
    return run(*words, "-C", str(console.home.root), "--as", by, "--password-file", secret).stderr


def address(console: Console, account: str) -> str | None:
    return console.deps.watch.addresses.all().get(account)


def told(console: Console, account: str) -> set[NotificationKind]:
    """Return the kinds of what an account is notified of."""
    notify_of_changes(console.deps.watch)
    return {one.notification.kind for one in console.deps.watch.box.of_account(account)}


@pytest.mark.parametrize("to", [NEW, ""])
@pytest.mark.parametrize("account", ["dpo", "lead", "revenues", "ict"])
def test_another_address_of_who_decides_waits_for_another_person(console: Console, account: str, to: str) -> None:
    shell(console, "mail", "address", account, OLD)
    assert address(console, account) == OLD, "the first one is set at once: nothing goes elsewhere by it"
    words = ("mail", "address", account, *filter(None, [to]))
    assert "Enter a reason" in shell(console, *words)
    assert "proposed" in shell(console, *words, "--reason", "a new mailbox")
    assert address(console, account) == OLD
    assert NotificationKind.MAIL_PROPOSED in told(console, account), "which goes to the address of before"
    (proposal,) = console.deps.proposals.waiting()
    assert "You proposed this" in shell(console, "proposals", "confirm", proposal.id)
    with signed_in(console, "dpo") as browser:
        assert (to or "no more email") in browser.get(f"/people/proposals/{proposal.id}").text
    assert NEW not in str(console.entries("people.proposed")[-1].details)
    shell(console, "proposals", "confirm", proposal.id, by="dpo")
    assert address(console, account) == (to or None)
    (changed,) = (entry for entry in console.entries("people.mail_address") if "proposed_by" in entry.details)
    assert (changed.subject, changed.details["proposed_by"]) == (account, "admin")
    assert console.deps.proposals.waiting() == []


def test_its_owner_declines(console: Console) -> None:
    shell(console, "mail", "address", "dpo", OLD)
    shell(console, "mail", "address", "dpo", NEW, "--reason", "a new mailbox")
    assert {NotificationKind.MAIL_PROPOSED, NotificationKind.GRANT_WAITS} <= told(console, "dpo")
    (proposal,) = console.deps.proposals.waiting()
    shell(console, "proposals", "decline", proposal.id, by="dpo")
    assert address(console, "dpo") == OLD


def test_who_decides_nothing_and_ones_own_are_changed_at_once(console: Console) -> None:
    for account in ("officer", "admin"):
        for to in (OLD, NEW):
            shell(console, "mail", "address", account, to)
            assert address(console, account) == to
    assert console.deps.proposals.waiting() == []
