"""Signing in with an authenticator, over the pages and at the shell, as people do and as those who should not."""

import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import httpx2
import pyotp
import pytest

from recorder.access.accounts import SignedIn
from recorder.access.attempts import LOCKED_FOR, MAX_FAILURES, SignInRefused
from recorder.config.settings import Console as ConsoleOptions
from recorder.permissions import Role
from recorder.web.throttle import AT_ONCE as THROTTLE
from tests.helpers.accounts import PASSWORD, Clock
from tests.helpers.console_site import Browser, Console, console_site, csrf_of
from tests.helpers.recorder_home import ADMIN, ROOT, RecorderHome, must, run
from tests.helpers.recorder_home import PASSWORD as FOUNDER_PASSWORD
from tests.helpers.storage_home import ID

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
SIGN_IN, CODE, ENROL = "/sign-in", "/sign-in/code", "/sign-in/authenticator"
SESSION, STARTING, WANTED = "recorder", "recorder-starting", "recorder-wanted"


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def console(tmp_path: Path, clock: Clock) -> Iterator[Console]:
    with console_site(tmp_path, is_daemon_up=False, now=clock, options=ConsoleOptions()) as running:
        yield running


@pytest.fixture
def browser(console: Console) -> Iterator[Browser]:
    with console.browser() as browser:
        yield browser


class Phone:
    """Somebody's authenticator app, by somebody else's library, on the test's clock."""

    def __init__(self, page: httpx2.Response, clock: Clock) -> None:
        found = re.search(r'<code id="secret">([A-Z2-7 ]+)</code>', page.text)
        assert found is not None, page.text[:500]
        self._app = pyotp.TOTP(found[1].replace(" ", ""))
        self._clock = clock

    def code(self) -> str:
        return self._app.at(self._clock.time)


def give_password(browser: Browser, name: str = "dpo") -> httpx2.Response:
    form = browser.get(SIGN_IN)
    return browser.post(SIGN_IN, data={"name": name, "password": PASSWORD, "csrf": csrf_of(form)})


def give(browser: Browser, page: str, code: str) -> httpx2.Response:
    return browser.post(page, data={"csrf": csrf_of(browser.get(page)), "code": code})


def enrol(browser: Browser, clock: Clock, name: str = "dpo") -> tuple[Phone, list[str]]:
    """Sign in for the first time."""
    assert give_password(browser, name).headers["location"] == ENROL
    phone = Phone(browser.get(ENROL), clock)
    done = give(browser, ENROL, phone.code())
    assert done.status_code == 200, done.text
    codes = re.findall(r"<li><code>([a-z0-9-]+)</code>", done.text)
    assert len(codes) == 8
    return phone, codes


def sign_out(browser: Browser) -> None:
    assert browser.post("/sign-out", data={"csrf": csrf_of(browser.get("/account"))}).status_code == 303


def test_the_first_sign_in_sets_up_and_the_next_one_asks(browser: Browser, console: Console, clock: Clock) -> None:
    phone, _ = enrol(browser, clock)
    assert browser.get("/recordings").status_code == 200
    sign_out(browser)
    clock.time += timedelta(seconds=30)
    assert give_password(browser).headers["location"] == CODE
    assert browser.get("/recordings").headers["location"] == SIGN_IN, "a password is not enough"
    assert give(browser, CODE, phone.code()).status_code == 303
    assert browser.get("/recordings").status_code == 200
    acts = [entry.act for entry in console.entries() if entry.act.startswith("people.")]
    assert acts == [
        "people.sign_in", "people.second_factor_set", "people.sign_out", "people.password_accepted", "people.sign_in",
    ]  # fmt: skip
    assert console.entries("people.sign_in")[-1].details["second_factor"] == "code"


LINK = f"/recordings/{ID}?done=held"
SEARCH = "/recordings?operator=smith+%26+co&number=0123"
ELSEWHERE = (
    "https://evil.example/live", "//evil.example/live", "/\\evil.example", "\\/evil.example", "/live\\", "/live\r\nX",
    "\t//evil.example", "/\t/evil.example", " /live", "/..//evil.example", "/.//evil.example", "/%2e%2e//evil.example",
    "live", "javascript:alert(1)", "/live@evil.example", "/l\u0456ve", "", "/" * 2000, f"/live?{'x' * 2000}",
)  # fmt: skip
NO_PAGE = (
    "/", "/sign-in", "/sign-in/code", "/sign-out", "/api/recordings", "/agent/changes", "/agent/state", "/agent/pause",
    "/live/rows", "/static/console.css", f"/recordings/{ID}/audio/secret", f"/recordings/{ID}/play", "/nothing",
)  # fmt: skip


@pytest.mark.parametrize("link", [LINK, SEARCH, f"/recordings/{ID}/request", "/cases", "/audit?act=call"])
def test_whoever_signs_in_stands_where_the_link_points(browser: Browser, clock: Clock, link: str) -> None:
    asked = browser.get(link)
    assert (asked.status_code, asked.headers["location"]) == (303, SIGN_IN)
    assert give_password(browser, "officer").headers["location"] == link
    sign_out(browser)
    assert give_password(browser, "officer").headers["location"] == "/live", "a link leads somebody once"


def test_a_link_is_kept_through_the_second_factor_and_its_setting_up(browser: Browser, clock: Clock) -> None:
    browser.get(LINK)
    give_password(browser)
    phone = Phone(browser.get(ENROL), clock)
    done = give(browser, ENROL, phone.code())
    assert f'href="{LINK}"' in done.text, "after the recovery codes"
    sign_out(browser)
    clock.time += timedelta(seconds=30)
    browser.get(SEARCH)
    assert give_password(browser).headers["location"] == CODE
    assert give(browser, CODE, "000000").status_code == 403
    assert give(browser, CODE, phone.code()).headers["location"] == SEARCH
    assert browser.get(SEARCH).status_code == 200


def test_scripts_say_which_page_they_left(browser: Browser) -> None:
    """Their own requests are of no page, and are not led back to."""
    assert browser.get("/agent/state").headers["location"] == SIGN_IN
    assert browser.get(SIGN_IN, params={"next": "/live?team=North"}).headers["location"] == SIGN_IN
    assert give_password(browser, "officer").headers["location"] == "/live?team=North"


@pytest.mark.parametrize("to", [*ELSEWHERE, *NO_PAGE])
def test_signing_in_leads_to_pages_of_the_console_only(browser: Browser, console: Console, to: str) -> None:
    assert browser.get(SIGN_IN, params={"next": to}).status_code == 200, "nothing is kept"
    assert WANTED not in browser.cookies
    browser.cookies.set(WANTED, quote(to, safe=""), domain="127.0.0.1")
    assert give_password(browser, "officer").headers["location"] == "/live", "a made-up cookie is as strange"


@pytest.mark.parametrize("to", ["//evil.example", "///evil.example", "/%5cevil.example", "/..%2f/evil.example"])
def test_a_strange_path_is_not_kept(browser: Browser, to: str) -> None:
    browser.get(httpx2.URL(str(browser.base_url)).copy_with(raw_path=to.encode()))
    assert WANTED not in browser.cookies


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({}, ["Enter your account name.", "Enter your password."]),
        ({"name": " ", "password": "secret"}, ["Enter your account name."]),
        ({"name": "dpo", "password": ""}, ["Enter your password."]),
    ],
)
def test_an_empty_sign_in_says_what_is_missing(
    browser: Browser, console: Console, given: dict[str, str], missing: list[str]
) -> None:
    for _ in range(20):  # more than wrong tries that lock an account
        answer = browser.post(SIGN_IN, data={**given, "csrf": csrf_of(browser.get(SIGN_IN))})
        assert answer.status_code == 422
    assert re.findall(r'<a href="#(?:name|password)">(.*?)</a>', answer.text) == missing
    assert "<title>Error: Sign in" in answer.text
    assert f'value="{given.get("name", "").strip()}"' in answer.text or not given.get("name", "").strip()
    assert "secret" not in answer.text
    assert console.entries("people.sign_in_refused") == [], "nobody tried anything"
    assert give_password(browser).headers["location"] == ENROL, "and no account is locked"


def test_an_empty_code_is_no_try(browser: Browser, clock: Clock) -> None:
    phone, _ = enrol(browser, clock)
    sign_out(browser)
    clock.time += timedelta(seconds=30)
    give_password(browser)
    for _ in range(20):
        answer = give(browser, CODE, " ")
        assert answer.status_code == 422
        assert '<a href="#code">Enter the code from your authenticator app, or a recovery code.</a>' in answer.text
    assert give(browser, CODE, phone.code()).status_code == 303


def test_an_act_is_not_done_after_signing_in(browser: Browser) -> None:
    assert browser.post(f"/recordings/{ID}/hold", data={"csrf": "x"}).headers["location"] == SIGN_IN
    assert give_password(browser, "officer").headers["location"] == "/live"


def test_the_secret_is_a_picture_too_and_stays_the_same_until_it_is_used(browser: Browser, clock: Clock) -> None:
    give_password(browser)
    page = browser.get(ENROL)
    assert "<svg" in page.text
    assert "style=" not in page.text
    assert page.headers["cache-control"] == "no-store"
    assert Phone(page, clock).code() == Phone(browser.get(ENROL), clock).code()
    wrong = give(browser, ENROL, "000000")
    assert wrong.status_code == 403
    assert Phone(wrong, clock).code() == Phone(page, clock).code()


def test_a_password_alone_opens_nothing(browser: Browser, console: Console, clock: Clock) -> None:
    enrol(browser, clock)
    with console.browser() as thief:
        give_password(thief)
        starting = thief.cookies[STARTING]
        for path in ("/live", "/recordings", "/account", "/audit", f"/recordings/{ID}"):
            assert thief.get(path).headers["location"] == SIGN_IN
        assert thief.get("/api/recordings").status_code == 401
        thief.cookies.set(SESSION, starting)
        assert thief.get("/live").headers["location"] == SIGN_IN, "one cookie is not taken for the other"
        assert thief.get(ENROL).headers["location"] == CODE, "nor is another authenticator set up"
        assert thief.post(ENROL, data={"csrf": csrf_of(thief.get(CODE)), "code": "123456"}).headers["location"] == CODE
    with console.browser() as session:
        give_password(session, "lead")
        session.cookies.clear()
        session.cookies.set(STARTING, browser.cookies[SESSION])
        assert session.get(CODE).headers["location"] == SIGN_IN


def test_a_code_that_somebody_saw_is_worth_nothing(browser: Browser, console: Console, clock: Clock) -> None:
    phone, _ = enrol(browser, clock)
    clock.time += timedelta(seconds=30)
    give_password(browser)
    seen = phone.code()
    assert give(browser, CODE, seen).status_code == 303
    with console.browser() as thief:
        give_password(thief)
        assert give(thief, CODE, seen).status_code == 403
        assert SESSION not in thief.cookies


def test_a_form_that_is_sent_again_begins_no_session(browser: Browser, clock: Clock) -> None:
    phone, _ = enrol(browser, clock)
    sign_out(browser)
    clock.time += timedelta(seconds=30)
    give_password(browser)
    starting, form = browser.cookies[STARTING], csrf_of(browser.get(CODE))
    sent = {"csrf": form, "code": phone.code()}
    assert browser.post(CODE, data=sent).status_code == 303
    first = browser.cookies[SESSION]
    browser.cookies.clear()
    browser.cookies.set(STARTING, starting)
    assert browser.post(CODE, data=sent).headers["location"] == SIGN_IN
    clock.time += timedelta(seconds=30)
    assert browser.post(CODE, data={**sent, "code": phone.code()}).headers["location"] == SIGN_IN
    assert SESSION not in browser.cookies
    assert first != starting


def test_forged_forms(browser: Browser, clock: Clock) -> None:
    phone, _ = enrol(browser, clock)
    sign_out(browser)
    clock.time += timedelta(seconds=30)
    give_password(browser)
    for csrf in ("", "x", browser.cookies[STARTING]):
        assert browser.post(CODE, data={"csrf": csrf, "code": phone.code()}).status_code == 403
    assert SESSION not in browser.cookies


def test_a_session_is_not_fixed_beforehand(browser: Browser, console: Console, clock: Clock) -> None:
    phone, _ = enrol(browser, clock)
    sign_out(browser)
    clock.time += timedelta(seconds=30)
    browser.cookies.set(SESSION, "chosen-by-somebody-else")
    give_password(browser)
    give(browser, CODE, phone.code())
    mine = [cookie.value for cookie in browser.cookies.jar if cookie.name == SESSION]
    assert any(value and value != "chosen-by-somebody-else" for value in mine)
    with console.browser() as other:
        other.cookies.set(SESSION, "chosen-by-somebody-else")
        assert other.get("/live").headers["location"] == SIGN_IN


def test_guessing_codes_locks_the_account(browser: Browser, console: Console, clock: Clock) -> None:
    phone, codes = enrol(browser, clock)
    clock.time += timedelta(seconds=30)
    with console.browser() as thief:
        for _ in range(MAX_FAILURES):
            give_password(thief)
            assert give(thief, CODE, "123456").status_code == 403
        assert give_password(thief).status_code == 403, "locked"
        assert give_password(thief, "nobody").text.count("locked") == give_password(thief).text.count("locked")
    refused = [entry.details["why"] for entry in console.entries("people.sign_in_refused")]
    assert refused.count("wrong_code") == MAX_FAILURES
    assert browser.get("/recordings").status_code == 200, "who is signed in stays so"
    clock.time += LOCKED_FOR
    give_password(browser)
    assert give(browser, CODE, phone.code()).status_code == 303
    assert codes


def test_tries_that_are_used_up_while_the_form_is_open(browser: Browser, console: Console, clock: Clock) -> None:
    enrol(browser, clock)
    with console.browser() as thief:
        give_password(thief)
        form = csrf_of(thief.get(CODE))
        for _ in range(MAX_FAILURES):
            assert thief.post(CODE, data={"csrf": form, "code": "123456"}).status_code == 403
        last = thief.post(CODE, data={"csrf": form, "code": "123456"})
        assert last.status_code == 403
        assert 'action="/sign-in"' in last.text
        assert thief.get(CODE).headers["location"] == SIGN_IN


def test_a_lost_phone(browser: Browser, console: Console, clock: Clock) -> None:
    _, codes = enrol(browser, clock)
    sign_out(browser)
    give_password(browser)
    assert give(browser, CODE, codes[0]).status_code == 303
    assert "7 recovery codes left" in browser.get("/account").text
    sign_out(browser)
    give_password(browser)
    assert give(browser, CODE, codes[0]).status_code == 403
    _, proposal = console.deps.proposals.reset_authenticator(
        "admin", "dpo", reason="the phone is lost", enter=lambda _note: None
    )
    assert proposal is not None, "the data protection officer's takes a second person"
    leader = console.people.find("lead")
    assert leader is not None
    console.deps.proposals.decide(leader, proposal.id, is_confirmed=True, enter=lambda _note: None)
    assert give_password(browser).headers["location"] == ENROL


def test_a_lost_key_of_the_accounts_is_said_and_no_code_counts(
    browser: Browser, console: Console, clock: Clock
) -> None:
    phone, codes = enrol(browser, clock)
    sign_out(browser)
    clock.time += timedelta(seconds=30)
    key = console.home.accounts_key
    kept = key.rename(key.with_name("elsewhere"))
    for typed in (phone.code(), codes[0]):
        give_password(browser)
        answer = give(browser, CODE, typed)
        assert (answer.status_code, "Ask ICT to look at the console" in answer.text) == (503, True)
        assert browser.get("/recordings").headers["location"] == SIGN_IN
    kept.rename(key)
    give_password(browser)
    assert give(browser, CODE, phone.code()).status_code == 303, "nothing was used up"


def test_an_officer_pauses_by_password_and_listens_by_code_only(
    browser: Browser, console: Console, clock: Clock
) -> None:
    console.give_leave("officer")
    assert give_password(browser, "officer").headers["location"] == "/live"
    csrf = csrf_of(browser.get("/account"))
    assert browser.post("/agent/pause", data={"csrf": csrf}).status_code in {503, 504}, (
        "no daemon here, but no sign-in asked for"
    )
    refused = browser.post(f"/recordings/{ID}/play", data={"csrf": csrf})
    assert refused.status_code == 403
    assert "authenticator" in refused.text
    copy = browser.post(f"/api/recordings/{ID}/export", json={"format": "wav", "reason": "complaint 17"},
                        headers={"X-CSRF-Token": csrf})  # fmt: skip
    assert copy.status_code == 403
    begun = {"csrf": csrf, "password": "not the password"}
    assert browser.post("/account/authenticator", data=begun).status_code == 403
    assert browser.post("/account/authenticator", data={**begun, "password": PASSWORD}).headers["location"] == ENROL
    phone = Phone(browser.get(ENROL), clock)
    assert give(browser, ENROL, phone.code()).status_code == 200
    csrf = csrf_of(browser.get("/account"))
    assert browser.post(f"/recordings/{ID}/play", data={"csrf": csrf}).status_code == 200
    assert browser.post("/account/authenticator", data={"csrf": csrf, "password": PASSWORD}).status_code == 409


def test_a_role_given_meanwhile_waits_for_the_second_factor(browser: Browser, console: Console, clock: Clock) -> None:
    console.people.add("new", PASSWORD, roles=[])
    assert give_password(browser, "officer").status_code == 303
    with console.browser() as other:
        give_password(other, "new")
        assert other.get("/account").status_code == 200
        for account in ("officer", "new"):
            _, proposal = console.deps.proposals.grant(
                "admin", account, [Role.DPO], reason="from Monday on", enter=console.enter
            )
            dpo = console.people.find("dpo")
            assert proposal is not None
            assert dpo is not None
            console.deps.proposals.decide(dpo, proposal.id, is_confirmed=True, enter=console.enter)
        assert other.get("/account").headers["location"] == SIGN_IN
    assert browser.get("/erasures").status_code == 403
    csrf = csrf_of(browser.get("/account"))
    assert browser.post("/agent/pause", data={"csrf": csrf}).status_code in {503, 504}, "an officer goes on pausing"
    enrol(browser, clock, "officer")
    assert browser.get("/erasures").status_code == 200


def test_many_who_try_passwords_keep_nobody_else_waiting(
    browser: Browser, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify, is_over = console.people.verify, threading.Event()

    def slowly(name: str, password: str, **how: bool) -> SignedIn | SignInRefused:
        assert is_over.wait(30)
        return verify(name, password, **how)

    monkeypatch.setattr(console.people, "verify", slowly)
    csrf = csrf_of(browser.get(SIGN_IN))
    wrong = {"name": "nobody", "password": "not the password", "csrf": csrf}
    cookies = {"recorder-sign-in": browser.cookies["recorder-sign-in"]}
    sent = threading.Semaphore(0)
    site = httpx2.Client(
        base_url=console.url, timeout=60, cookies=cookies, event_hooks={"request": [lambda _request: sent.release()]}
    )
    with ThreadPoolExecutor(THROTTLE) as crowd, site:
        tries = [crowd.submit(site.post, SIGN_IN, data=wrong) for _ in range(THROTTLE)]
        try:
            for _ in range(THROTTLE):
                assert sent.acquire(timeout=10)
                assert browser.get("/accessibility", timeout=5).status_code == 200
        finally:
            is_over.set()
        assert {one.result().status_code for one in tries} == {403}


def test_signing_out_everywhere(browser: Browser, console: Console, clock: Clock) -> None:
    phone, _ = enrol(browser, clock)
    clock.time += timedelta(seconds=30)
    with console.browser() as second:
        give_password(second)
        give(second, CODE, phone.code())
        csrf = csrf_of(second.get("/account"))
        assert second.post("/account/sign-out-everywhere", data={"csrf": "x"}).status_code == 403
        assert second.post("/account/sign-out-everywhere", data={"csrf": csrf}).headers["location"] == SIGN_IN
        assert second.get("/account").headers["location"] == SIGN_IN
    assert browser.get("/account").headers["location"] == SIGN_IN
    assert console.entries("people.sign_out_everywhere")[0].details["sessions"] == 2


def test_a_new_password_ends_every_session_and_keeps_the_authenticator(
    browser: Browser, console: Console, clock: Clock
) -> None:
    enrol(browser, clock)
    console.people.set_password("dpo", PASSWORD)
    assert browser.get("/account").headers["location"] == SIGN_IN
    assert give_password(browser).headers["location"] == CODE


@pytest.mark.parametrize("code", ["' or 1=1 --", "<script>alert(1)</script>", "0" * 900, "\x00" * 6, "١٢٣٤٥٦"])
def test_odd_codes(browser: Browser, clock: Clock, code: str) -> None:
    enrol(browser, clock)
    sign_out(browser)
    give_password(browser)
    answer = give(browser, CODE, code)
    assert answer.status_code == 403
    assert "<script>alert" not in answer.text


# --- at the shell


@pytest.fixture
def home(tmp_path: Path) -> RecorderHome:
    home = RecorderHome(tmp_path, next_hop="127.0.0.1:5070")
    home.edit('second_factor = "off"', 'second_factor = "required"')
    return home


class Shell:
    """The first account's owner, with a phone."""

    def __init__(self, home: RecorderHome, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home, self._monkeypatch = home, monkeypatch
        self._app: pyotp.TOTP | None = None
        self._used = 0

    def code(self) -> str:
        """Return a code that was not used yet; the recorder takes the next one's too."""
        assert self._app is not None
        self._used = max(int(time.time()) // 30, self._used + 1)
        return self._app.at(self._used * 30)

    def login(self) -> str:
        """Sign in as a program does: the secret is read from standard error, the code goes to standard input."""
        command = [sys.executable, "-m", "recorder", "login", "--as", ADMIN, "-C", str(self.home.root),
                   "--password-file", str(self.home.password_file)]  # fmt: skip
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
        ) as child:
            assert child.stdin is not None
            assert child.stderr is not None
            heard = ""
            while "one line:" not in heard and (line := child.stderr.readline()):
                heard += line
            if secret := re.search(r"secret: ([A-Z2-7 ]+)\n", heard):
                self._app = pyotp.TOTP(secret[1].replace(" ", ""))
            out, err = child.communicate(self.code() + "\n", timeout=30)
        assert child.returncode == 0, heard + err
        token = out.strip()
        self._monkeypatch.setenv("RECORDER_TOKEN", token)
        return token


@pytest.fixture
def shell(home: RecorderHome, monkeypatch: pytest.MonkeyPatch) -> Shell:
    return Shell(home, monkeypatch)


def test_one_sign_in_for_many_commands(home: RecorderHome, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    on = ("-C", str(home.root))
    by_password = ("--as", ADMIN, "--password-file", str(home.password_file))
    refused = run("users", "disable", "ann", *on, *by_password)
    assert refused.returncode == 1
    assert "recorder login" in refused.stderr
    shell.login()
    kept = (home.root / "people.sqlite").read_bytes()
    assert b"$argon2id$v=19$m=65536,t=3,p=4$" in kept, "a process hashes at the usual cost, unlike these tests"
    new = home.root.parent / "new"
    new.write_text(PASSWORD + "\n")
    must("users", "add", "ann", "--role", "officer", "--new-password-file", str(new), *on)
    must("users", "disable", "ann", "--as", ADMIN, *on)
    assert FOUNDER_PASSWORD
    another = run("users", "disable", "ann", "--as", "ann", *on)
    assert another.returncode == 2
    with_password = run("users", "disable", "ann", *on, *by_password)
    assert with_password.returncode == 1, "a password that is given is not helped out by the token"
    assert "needs a code to sign in" in with_password.stderr
    must("logout", *on)
    assert "recorder login" in run("users", "disable", "ann", *on).stderr
    monkeypatch.delenv("RECORDER_TOKEN")
    assert run("users", "disable", "ann", *on).returncode == 2
    token = shell.login()
    must("users", "reset-authenticator", ADMIN, "--reason", "the phone is lost", *on)
    assert "has expired" in run("users", "disable", "ann", *on).stderr, "who has lost a phone is signed out"
    assert token not in (home.root / "people.sqlite").read_bytes().decode("latin-1")


@pytest.mark.parametrize("token", ["x", "", "' or 1=1", "é"])
def test_tokens_that_are_none(home: RecorderHome, monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    monkeypatch.setenv("RECORDER_TOKEN", token)
    assert run("users", "disable", ADMIN, "-C", str(home.root)).returncode in {1, 2}
