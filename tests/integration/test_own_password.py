"""One's own password: changed with the old one, by page and by command; others sessions end, and its owner is told."""

import html
import re
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from recorder.access.accounts import SignedIn
from recorder.access.passwords import RULES, weakness
from recorder.notifications.kinds import NotificationKind
from recorder.notifications.watch import notify_of_changes
from recorder.web.throttle import A_SECOND, AT_ONCE
from storage.audit import AuditLog
from tests.helpers.accounts import PASSWORD, Clock
from tests.helpers.console_site import Browser, Console, console_site, signed_in
from tests.helpers.recorder_home import ADMIN, RecorderHome, must, run
from tests.helpers.recorder_home import PASSWORD as FOUNDERS

PAGE = "/account/password"
NEW = "copper walrus teapot"
GOOD = {"password": PASSWORD, "new": NEW, "again": NEW}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def console(tmp_path: Path, clock: Clock) -> Iterator[Console]:
    with console_site(tmp_path, is_daemon_up=False, now=clock) as running:
        yield running


@pytest.fixture
def officer(console: Console) -> Iterator[Browser]:
    with signed_in(console, "officer") as browser:
        yield browser


def told(console: Console, account: str) -> list[NotificationKind]:
    notify_of_changes(console.deps.watch)
    return [one.notification.kind for one in console.deps.watch.box.of_account(account)]


def test_it_is_changed_and_every_other_session_ends(console: Console, officer: Browser) -> None:
    assert f'href="{PAGE}"' in officer.get("/account").text
    form = html.unescape(officer.get(PAGE).text)
    assert all(rule in form for rule in RULES)
    assert form.count('autocomplete="new-password"') == 2
    old = officer.cookies["recorder"]
    with signed_in(console, "officer") as elsewhere, signed_in(console, "other") as stranger:
        done = officer.submit(PAGE, **GOOD)
        assert (done.status_code, done.headers["location"]) == (303, "/account?changed=password")
        said = officer.get(done.headers["location"]).text
        assert "Your password has been changed" in said, "this browser stays signed in"
        assert officer.cookies["recorder"] != old, "on a session of its own"
        assert elsewhere.get("/account").headers["location"] == "/sign-in"
        assert stranger.get("/account").status_code == 200
    with console.browser() as thief:
        thief.cookies.set("recorder", old)
        assert thief.get("/account").headers["location"] == "/sign-in"
    assert not isinstance(console.people.verify("officer", PASSWORD), SignedIn)
    assert isinstance(console.people.verify("officer", NEW), SignedIn)
    (entry,) = console.entries("people.set_password")
    assert (entry.actor, entry.subject) == ("officer", "officer")
    assert told(console, "officer") == [NotificationKind.PASSWORD_CHANGED]
    assert told(console, "officer") == [NotificationKind.PASSWORD_CHANGED], "once"
    assert told(console, "other") == []
    assert "If this was not you" in officer.get("/notifications").text


@pytest.mark.parametrize(
    ("sent", "status", "sentence"),
    [
        ({"password": "not this one at all"}, 403, "Your password is wrong"),
        ({"password": ""}, 403, "Your password is wrong"),
        ({"again": "copper walrus teapots"}, 422, "do not match"),
        ({"new": "short", "again": "short"}, 422, "at least 12 characters"),
        ({"new": "Welcome2026!!", "again": "Welcome2026!!"}, 422, "too easy to guess"),
        ({"new": "officer walrus teapot", "again": "officer walrus teapot"}, 422, "account name"),
        ({"new": PASSWORD, "again": PASSWORD}, 422, "different from your current one"),
        ({"new": "x" * 257, "again": "x" * 257}, 422, "256 characters or fewer"),
    ],
)
def test_what_is_not_right_changes_nothing(
    console: Console, officer: Browser, sent: dict[str, str], status: int, sentence: str
) -> None:
    answer = officer.submit(PAGE, **{**GOOD, **sent})
    assert (answer.status_code, sentence in answer.text) == (status, True), answer.text
    field = "password" if status == 403 else "new"
    assert f'<a href="#{field}">' in answer.text
    assert "walrus" not in answer.text, "no password is put into the page again"
    assert isinstance(console.people.verify("officer", PASSWORD), SignedIn)
    assert console.entries("people.set_password") == []
    assert told(console, "officer") == []


def test_guessing_the_password_of_now_locks_the_account(console: Console, officer: Browser, clock: Clock) -> None:
    for _ in range(5):
        assert officer.submit(PAGE, **{**GOOD, "password": "not this one at all"}).status_code == 403
    locked = officer.submit(PAGE, **GOOD)
    assert (locked.status_code, "locked" in locked.text) == (403, True)
    why = [one.details["why"] for one in console.entries("people.sign_in_refused")]
    assert why == ["wrong_password"] * 5 + ["locked"]
    assert officer.get("/account").status_code == 200, "whoever is in a call can still pause"
    clock.time += timedelta(minutes=15, seconds=1)
    assert officer.submit(PAGE, **GOOD).status_code == 303


def test_forged_and_strangers_forms(console: Console, officer: Browser) -> None:
    assert officer.post(PAGE, data={**GOOD, "csrf": "x"}).status_code == 403
    with console.browser() as stranger:
        assert stranger.get(PAGE).headers["location"] == "/sign-in"
        assert stranger.post(PAGE, data=GOOD).headers["location"] == "/sign-in"
    assert isinstance(console.people.verify("officer", PASSWORD), SignedIn)


def test_tries_here_are_tries_to_sign_in_of_that_address(console: Console, officer: Browser) -> None:
    with console.browser() as another:
        another.get("/sign-in")
        began_s = time.monotonic()
        here = [officer.post(PAGE, data={"csrf": "x"}).status_code for _ in range(AT_ONCE + 10)]
        there = [another.post("/sign-in", data={}).status_code for _ in range(AT_ONCE + 10)]
        came_back = (time.monotonic() - began_s) * A_SECOND
    assert set(here) == {403, 429}
    allowed = (here + there).count(403)
    assert AT_ONCE <= allowed <= AT_ONCE + came_back + 1, "one bucket for both"


def test_the_rules_that_are_shown_are_those_that_are_held() -> None:
    shown = " ".join(RULES)
    found = re.search(r"have (\d+) to (\d+) characters", shown)
    assert found is not None
    assert weakness("violet otter lantern"[: int(found[1])], account="x") is None
    assert weakness("violet otter"[: int(found[1]) - 1], account="x") is not None
    for bad in ("Welcome2026!", "abcdef violet otter", "123456 violet otter", "qwerty violet otter"):
        assert weakness(bad, account="x") is not None


def test_an_administrator_sets_it_and_its_owner_is_told(console: Console) -> None:
    console.set_password("officer", NEW)
    assert told(console, "officer") == [NotificationKind.PASSWORD_SET]
    assert told(console, "admin") == []


# --- at the shell


@pytest.fixture
def home(tmp_path: Path) -> RecorderHome:
    return RecorderHome(tmp_path, next_hop="127.0.0.1:5070")


def file(home: RecorderHome, text: str) -> str:
    path = home.root.parent / f"{abs(hash(text))}"
    path.write_text(text + "\n")
    return str(path)


def test_at_the_shell_a_token_alone_changes_nobodys_password(
    home: RecorderHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = ("-C", str(home.root))
    token = must("login", *home.as_admin(), *on).strip()
    monkeypatch.setenv("RECORDER_TOKEN", token)
    change = ("users", "password", ADMIN, "--new-password-file", file(home, NEW), *on)
    assert "a password is needed" in run(*change).stderr
    wrong = run(*change, "--current-password-file", file(home, "not this one at all"))
    assert (wrong.returncode, "name or password is wrong" in wrong.stderr) == (1, True)
    must(*change, "--current-password-file", file(home, FOUNDERS))
    assert "has expired" in run(*change).stderr, "that session has ended too"
    acts = [(one.act, one.actor) for one in AuditLog(home.root / "audit").entries()]
    assert acts[-2:] == [("people.sign_in_refused", ADMIN), ("people.set_password", ADMIN)]


def test_at_the_shell_the_password_of_now_is_enough(home: RecorderHome) -> None:
    on = ("-C", str(home.root))
    must("users", "add", "ann", "--role", "officer", "--new-password-file", file(home, PASSWORD), *home.as_admin(), *on)
    as_ann = ("--as", "ann", "--password-file", file(home, PASSWORD))
    refused = run("users", "password", ADMIN, "--new-password-file", file(home, NEW), *as_ann, *on)
    assert (refused.returncode, "role" in refused.stderr) == (1, True)
    must("users", "password", "ann", "--new-password-file", file(home, NEW), *as_ann, *on)
    assert run("users", "password", "ann", "--new-password-file", file(home, NEW), *as_ann, *on).returncode == 1
