"""Signing in by an OpenID provider that is somebody else's program."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from benchmarks.ports import free_port
from recorder.access.database import AuditNote
from recorder.config.openid_options import OpenIdOptions
from recorder.config.settings import Config
from recorder.config.settings import Console as ConsoleOptions
from recorder.permissions import Role
from recorder.service.openid_check import check_openid
from tests.helpers.accounts import PASSWORD
from tests.helpers.console_site import Browser, Console, console_site, csrf_of
from tests.helpers.glewlwyd import CLIENT, SECRET, Glewlwyd, glewlwyd
from tests.helpers.openid import CALLBACK, LEAVE, SESSION, leave, led_to, title

PEOPLE = ("officer", "other", "dpo", "housing", "stranger")


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[Glewlwyd]:
    callback = f"http://127.0.0.1:{port}{CALLBACK}"
    with glewlwyd(tmp_path_factory.mktemp("provider"), callback) as running:
        for name in PEOPLE:
            running.add_person(name)
        yield running


@pytest.fixture
def options(provider: Glewlwyd, port: int, tmp_path: Path) -> OpenIdOptions:
    secret = tmp_path / "client-secret"
    secret.touch(0o600)
    secret.write_text(f"{SECRET}\n")
    return OpenIdOptions(
        issuer=provider.issuer, client_id=CLIENT, client_secret_file=str(secret), scopes=("openid",),
        console_url=f"http://127.0.0.1:{port}",
    )  # fmt: skip


@contextmanager
def site(folder: Path, port: int, openid: OpenIdOptions) -> Iterator[Console]:
    assert openid.problem is None
    with console_site(folder, is_daemon_up=False, options=ConsoleOptions(), openid=openid, port=port) as running:
        yield running


@pytest.fixture
def console(tmp_path: Path, port: int, options: OpenIdOptions) -> Iterator[Console]:
    with site(tmp_path, port, options) as running:
        yield running


def arrive(browser: Browser, provider: Glewlwyd, name: str) -> httpx2.Response:
    """Go to the provider, sign in there, and come back."""
    return browser.get(provider.back(name, leave(browser)))


def test_an_officer_signs_in_and_is_connected_for_good(console: Console, provider: Glewlwyd) -> None:
    with console.browser() as browser:
        address = leave(browser)
        asked = parse_qs(urlsplit(address).query)
        assert asked["code_challenge_method"] == ["S256"]
        assert asked["response_type"] == ["code"]
        assert len(asked["state"][0]) >= 43
        assert len(asked["nonce"][0]) >= 43
        assert asked["state"] != asked["nonce"]
        answer = browser.get(provider.back("officer", address))
        assert led_to(answer) == "/live"
        assert "SameSite=strict" in next(c for c in answer.headers.get_list("set-cookie") if c.startswith("recorder="))
        assert browser.get("/live").status_code == 200
        assert browser.get("/account").text.count("Your account has been connected to <code>") == 1
    acts = [(entry.act, entry.actor, entry.details.get("by")) for entry in console.entries() if "people." in entry.act]
    assert acts == [("people.connected", "officer", "claim"), ("people.sign_in", "officer", "openid")]
    with console.browser() as again:
        assert led_to(arrive(again, provider, "officer")) == "/live"
    assert len(console.entries("people.connected")) == 1


def test_who_signs_out_is_signed_out_here(console: Console, provider: Glewlwyd) -> None:
    with console.browser() as browser:
        arrive(browser, provider, "officer")
        browser.post("/sign-out", data={"csrf": csrf_of(browser.get("/account"))})
        assert browser.get("/live").status_code == 303


def test_a_role_that_takes_a_second_factor_sets_ours_up(console: Console, provider: Glewlwyd) -> None:
    with console.browser() as browser:
        assert led_to(arrive(browser, provider, "housing")) == "/sign-in/authenticator"
        assert browser.get("/live").status_code == 303
        assert browser.get("/sign-in/authenticator").status_code == 200


def test_the_second_factor_of_the_provider_counts_where_it_is_trusted(
    tmp_path: Path, port: int, options: OpenIdOptions, provider: Glewlwyd
) -> None:
    with site(tmp_path, port, replace(options, amr_values=("session",))) as console, console.browser() as browser:
        assert led_to(arrive(browser, provider, "housing")) == "/live"
        assert browser.get("/recordings").status_code == 200
        assert console.entries("people.sign_in")[-1].details["second_factor"] == "provider"


@pytest.mark.parametrize(
    ("name", "words", "why"),
    [("stranger", "You do not have an account", "unknown"), ("dpo", "Connect your account first", "not_connected")],
)
def test_who_is_not_let_in_is_told_what_to_do(
    console: Console, provider: Glewlwyd, name: str, words: str, why: str
) -> None:
    with console.browser() as browser:
        answer = arrive(browser, provider, name)
        assert (answer.status_code, title(answer)) == (403, words)
        assert SESSION not in browser.cookies
    entry = console.entries("people.sign_in_refused")[-1]
    assert (entry.subject, entry.details["why"]) == ("unknown" if why == "unknown" else name, why)
    assert entry.details["identity"] in answer.text


def test_a_closed_account_stays_closed(console: Console, provider: Glewlwyd) -> None:
    with console.browser() as browser:
        arrive(browser, provider, "officer")
    console.people.disable("officer")
    with console.browser() as browser:
        answer = arrive(browser, provider, "officer")
        assert (answer.status_code, title(answer)) == (403, "Your account is closed")


def test_a_name_that_is_given_to_somebody_else_opens_nothing(console: Console, provider: Glewlwyd) -> None:
    with console.browser() as browser:
        assert led_to(arrive(browser, provider, "other")) == "/live"
    provider.remove_person("other")
    provider.add_person("other")
    with console.browser() as browser:
        answer = arrive(browser, provider, "other")
        assert (answer.status_code, title(answer)) == (403, "This account is connected to somebody else")
        assert SESSION not in browser.cookies
    console.deps.identities.disconnect("other")
    with console.browser() as browser:
        assert led_to(arrive(browser, provider, "other")) == "/live"


def test_an_answer_is_good_once_and_in_one_browser(console: Console, provider: Glewlwyd) -> None:
    with console.browser() as browser, console.browser() as thief:
        address = provider.back("officer", leave(browser))
        leave(thief)  # so that it has a cookie of its own
        stolen = thief.get(address)
        assert (stolen.status_code, title(stolen)) == (403, "This sign-in is out of date")
        spent = browser.get(address)
        assert (spent.status_code, title(spent)) == (403, "This sign-in is out of date"), "the state is used up"
        address = provider.back("officer", leave(browser))
        assert led_to(browser.get(address)) == "/live"
        again = browser.get(address)
        assert (again.status_code, title(again)) == (403, "This sign-in is out of date")
        assert SESSION not in thief.cookies


def test_somebody_else_cannot_have_their_own_answer_taken_by_ones_browser(console: Console, provider: Glewlwyd) -> None:
    with console.browser() as attacker, console.browser() as victim:
        address = provider.back("other", leave(attacker))
        assert victim.get(address).status_code == 403
        assert SESSION not in victim.cookies


def test_who_cancels_at_the_provider_is_told(console: Console) -> None:
    with console.browser() as browser:
        state = parse_qs(urlsplit(leave(browser)).query)["state"][0]
        words = "<b>call 0900</b>"
        answer = browser.get(CALLBACK, params={"state": state, "error": "access_denied", "error_description": words})
        assert (answer.status_code, title(answer)) == (403, "You are not signed in")
        assert "0900" not in answer.text
        assert browser.get(CALLBACK, params={"error": "access_denied"}).status_code == 403


def test_the_button_is_tied_to_the_page_that_had_it(console: Console) -> None:
    with console.browser() as browser:
        assert browser.post(LEAVE, data={"csrf": "x"}).status_code == 403
        assert browser.post(LEAVE).status_code == 403
        assert browser.get(LEAVE).status_code == 405


def test_people_who_decide_on_others_connect_their_account_themselves(
    tmp_path: Path, port: int, options: OpenIdOptions, provider: Glewlwyd
) -> None:
    relaxed = replace(options, amr_values=("session",))
    with site(tmp_path, port, relaxed) as console, console.browser() as browser:
        secret = console.deps.sessions.start("dpo", is_proven=True)
        browser.cookies.set(SESSION, secret)
        csrf = csrf_of(browser.get("/account"))
        wrong = browser.post("/account/connect", data={"csrf": csrf, "password": "not the password"})
        assert wrong.status_code == 403
        to = led_to(browser.post("/account/connect", data={"csrf": csrf, "password": PASSWORD}))
        assert parse_qs(urlsplit(to).query)["prompt"] == ["login"]
        another = browser.get(provider.back("officer", to))
        assert (another.status_code, title(another)) == (409, "Your account is not connected"), "a shared desk"
        to = led_to(browser.post("/account/connect", data={"csrf": csrf, "password": PASSWORD}))
        assert led_to(browser.get(provider.back("dpo", to))) == "/account"
        connected = console.deps.identities.of("dpo")
        assert connected is not None
        assert connected.by == "dpo"
        with console.browser() as other:
            assert led_to(arrive(other, provider, "dpo")) == "/live"


def test_a_connection_of_others_opens_no_power_that_comes_later(
    tmp_path: Path, port: int, options: OpenIdOptions, provider: Glewlwyd
) -> None:
    """Whoever had an officer's name at the provider must not become a team leader with it."""
    relaxed = replace(options, amr_values=("session",), passwords_too=False)
    with site(tmp_path, port, relaxed) as console, console.browser() as browser, console.browser() as owner:
        assert led_to(arrive(browser, provider, "other")) == "/live"
        proposals, notes = console.deps.proposals, list[AuditNote]()

        def enter(note: AuditNote) -> None:
            notes.append(note)
            console.enter(note)

        _, asked = proposals.grant("admin", "other", [Role.TEAM_LEADER], reason="leads the team now", enter=enter)
        assert asked is not None
        proposals.decide(console.person("dpo"), asked.id, is_confirmed=True, enter=enter)
        assert notes[-1].details["disconnected"] is True
        assert browser.get("/live").status_code == 200, "who is in a call goes on"
        assert "team leader" not in browser.get("/account").text
        again = arrive(browser, provider, "other")
        assert (again.status_code, title(again)) == (403, "Connect your account first")
        sent = {"name": "other", "password": PASSWORD, "csrf": csrf_of(owner.get("/sign-in"))}
        assert owner.post("/sign-in", data=sent).headers["location"] == "/sign-in/authenticator"


def test_who_was_signed_out_meanwhile_connects_nothing(console: Console, provider: Glewlwyd) -> None:
    with console.browser() as browser:
        browser.cookies.set(SESSION, console.deps.sessions.start("officer"))
        csrf = csrf_of(browser.get("/account"))
        to = led_to(browser.post("/account/connect", data={"csrf": csrf, "password": PASSWORD}))
        console.deps.sessions.end_all("officer")
        assert browser.get(provider.back("officer", to)).status_code == 403
        assert console.deps.identities.of("officer") is None


def test_passwords_can_be_left_to_administrators(
    tmp_path: Path, port: int, options: OpenIdOptions, provider: Glewlwyd
) -> None:
    with site(tmp_path, port, replace(options, passwords_too=False)) as console:
        with console.browser() as browser:
            assert browser.sign_in("officer").status_code == 303, "not connected yet"
            arrive(browser, provider, "officer")
        with console.browser() as browser:
            for _ in range(7):
                assert browser.sign_in("officer").status_code == 403
            assert console.entries("people.sign_in_refused")[-1].details["why"] == "password_off"
            assert led_to(arrive(browser, provider, "officer")) == "/live", "and nobody locks them by guessing"
        assert Role.ADMIN in console.person("admin").roles
        with console.browser() as browser:
            sent = {"name": "admin", "password": PASSWORD, "csrf": csrf_of(browser.get("/sign-in"))}
            assert browser.post("/sign-in", data=sent).headers["location"] == "/sign-in/authenticator"


def test_a_locked_account_is_locked_this_way_too(console: Console, provider: Glewlwyd) -> None:
    with console.browser() as browser:
        for _ in range(5):
            browser.sign_in("officer", "not the password")
        answer = arrive(browser, provider, "officer")
        assert (answer.status_code, title(answer)) == (403, "Your account is locked")


def test_a_provider_that_is_down_is_told_at_once(tmp_path: Path, port: int, options: OpenIdOptions) -> None:
    nowhere = replace(options, issuer=f"http://127.0.0.1:{free_port()}")
    with site(tmp_path, port, nowhere) as console, console.browser() as browser:
        began = time.monotonic()
        answer = browser.post(LEAVE, data={"csrf": csrf_of(browser.get("/sign-in"))})
        assert (answer.status_code, title(answer)) == (503, "The sign-in service is not answering")
        assert time.monotonic() - began < 5
        assert browser.sign_in("officer").status_code == 303


def test_site_check_asks_the_provider(provider: Glewlwyd, options: OpenIdOptions) -> None:
    assert [(found.level, found.says) for found in check_openid(Config(openid=options))] == [
        ("ok", f"{provider.issuer} answers")
    ]
    (found,) = check_openid(Config(openid=replace(options, issuer=f"{provider.issuer}/")))
    assert found.level == "warning"
    Path(options.client_secret_file or "").chmod(0o644)
    (found,) = check_openid(Config(openid=options))
    assert "its mode must be 0600" in found.says
    assert list(check_openid(Config())) == []


def test_a_wrong_secret_is_told_as_a_fault_of_the_house(
    console: Console, provider: Glewlwyd, options: OpenIdOptions, caplog: pytest.LogCaptureFixture
) -> None:
    Path(options.client_secret_file or "").write_text("not the secret\n")
    with console.browser() as browser:
        answer = arrive(browser, provider, "officer")
        assert (answer.status_code, title(answer)) == (503, "The sign-in service is not answering")
    assert "check client_id and its secret" in caplog.text
