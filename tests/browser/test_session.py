"""A session's end is told before, and can be put off; what a page does by itself puts nothing off."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.helpers.accounts import Clock
from tests.helpers.chromium import is_too_wide, person, violations
from tests.helpers.console_site import Console, console_site

WARNED = timedelta(seconds=110)


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock(datetime(2026, 11, 25, 9, 0, tzinfo=UTC))


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory, clock: Clock) -> Iterator[Console]:
    with console_site(tmp_path_factory.mktemp("session"), now=clock) as running:
        yield running


def look(page: Page) -> None:
    """Have the page ask how long is left, as it does every half minute."""
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def test_a_warning_comes_before_the_end_and_one_can_stay(browser: Browser, console: Console, clock: Clock) -> None:
    limits = console.deps.sessions.limits
    with person(browser, console.url, "officer") as page:
        page.goto("/recordings")
        warning = page.locator("#session[role=alert]")
        expect(warning).to_be_hidden()
        for _ in range(2):
            clock.time += limits.idle - WARNED
            look(page)
            expect(warning).to_contain_text("You will be signed out in 2 minutes")
            assert violations(page) == []
            assert not is_too_wide(page)
            page.get_by_role("button", name="Stay signed in").press("Enter")
            expect(warning).to_be_hidden()
        clock.time += limits.idle + timedelta(seconds=1)
        look(page)
        page.wait_for_url("**/sign-in")


def test_the_longest_time_is_told_and_cannot_be_put_off(browser: Browser, console: Console, clock: Clock) -> None:
    limits = console.deps.sessions.limits
    with person(browser, console.url, "officer") as page:
        began = clock.time
        while clock.time + limits.idle / 2 < began + limits.longest - WARNED:
            clock.time += limits.idle / 2
            assert page.request.get("/recordings", max_redirects=0).status == 200
        clock.time = began + limits.longest - WARNED
        page.goto("/recordings")
        warning = page.locator("#session")
        expect(warning).to_contain_text("for as long as is allowed")
        assert warning.get_by_role("button").count() == 0
