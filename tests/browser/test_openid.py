"""Signing in at an OpenID provider's own page, in a browser with its rules for cookies and forms."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks.ports import free_port
from recorder.config.openid_options import CALLBACK_PATH, OpenIdOptions
from tests.helpers.accounts import PASSWORD
from tests.helpers.chromium import HANGS_MS, WIDE, is_too_wide, sign_in, unreached_by_tab, violations
from tests.helpers.console_site import Console, console_site
from tests.helpers.glewlwyd import CLIENT, SECRET, Glewlwyd, glewlwyd
from tests.helpers.glewlwyd import PASSWORD as PROVIDER_PASSWORD


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[Glewlwyd]:
    # Another site than the console's, as browsers see it: what is Strict does not come back from there.
    with glewlwyd(tmp_path_factory.mktemp("provider"), f"http://localhost:{port}{CALLBACK_PATH}") as running:
        for name in ("officer", "dpo", "stranger"):
            running.add_person(name)
        yield running


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory, provider: Glewlwyd, port: int) -> Iterator[Console]:
    folder = tmp_path_factory.mktemp("console")
    secret = folder / "client-secret"
    secret.touch(0o600)
    secret.write_text(SECRET)
    options = OpenIdOptions(
        issuer=provider.issuer, client_id=CLIENT, client_secret_file=str(secret), scopes=("openid",),
        console_url=f"http://localhost:{port}", button="Sign in with your council account",
    )  # fmt: skip
    with console_site(folder, openid=options, port=port) as running:
        running.url = f"http://localhost:{port}"
        yield running


@contextmanager
def fresh(browser: Browser, console: Console) -> Iterator[Page]:
    context = browser.new_context(viewport=WIDE, base_url=console.url)
    context.set_default_timeout(HANGS_MS)
    try:
        yield context.new_page()
    finally:
        context.close()


def sign_in_there(page: Page, name: str) -> None:
    page.fill("#username", name)
    page.fill("#password", PROVIDER_PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Continue").click()


def test_an_officer_signs_in_at_the_provider(browser: Browser, console: Console, provider: Glewlwyd) -> None:
    with fresh(browser, console) as page:
        page.goto("/sign-in")
        assert violations(page) == []
        assert not is_too_wide(page)
        assert unreached_by_tab(page) == []
        page.get_by_role("button", name="Sign in with your council account").click()
        page.wait_for_url(f"{provider.url}/login.html**")
        sign_in_there(page, "officer")
        page.wait_for_url(f"{console.url}/live")
        expect(page.get_by_role("link", name="Olive Officer")).to_be_visible()
        assert {cookie["sameSite"] for cookie in page.context.cookies(console.url)} == {"Strict"}
        page.goto("/account")
        expect(page.get_by_text("Connected to")).to_be_visible()
        assert violations(page) == []
        page.get_by_role("button", name="Sign out", exact=True).click()
        page.wait_for_url("**/sign-in")
        page.goto("/live")
        page.wait_for_url("**/sign-in")


def test_who_has_no_account_reads_what_to_do(browser: Browser, console: Console, provider: Glewlwyd) -> None:
    with fresh(browser, console) as page:
        page.goto("/sign-in")
        page.get_by_role("button", name="Sign in with your council account").click()
        sign_in_there(page, "stranger")
        expect(page.get_by_role("heading", level=1)).to_have_text("You do not have an account")
        assert violations(page) == []
        assert not is_too_wide(page)
        page.get_by_role("link", name="Return to the sign-in page").click()
        page.wait_for_url("**/sign-in")


def test_an_account_is_connected_by_its_owner(browser: Browser, console: Console, provider: Glewlwyd) -> None:
    with fresh(browser, console) as page:
        mine = sign_in(page.context, "dpo")
        mine.goto("/account")
        assert violations(mine) == []
        mine.fill("#connect-password", PASSWORD)
        mine.get_by_role("button", name="Connect").click()
        mine.wait_for_url(f"{provider.url}/login.html**")
        sign_in_there(mine, "dpo")
        mine.wait_for_url(f"{console.url}/account")
        expect(mine.get_by_text("Connected to")).to_be_visible()
    assert [entry.details["by"] for entry in console.entries("people.connected")][-1] == "dpo"
