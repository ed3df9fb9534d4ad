"""Every page in its main states: WCAG 2.2 AA by axe, by keyboard alone, at two widths."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.browser.page_states import SHOWN_BY_OTHERS, STATES, Visit
from tests.helpers.chromium import (
    FRAME,
    LAYOUT_RULES,
    NARROW,
    WIDE,
    is_too_wide,
    note_what_shows,
    person,
    resize,
    shows_the_same,
    unreached_by_tab,
    violations,
)
from tests.helpers.console_site import Console
from tests.helpers.extent import IS_FULL
from tests.helpers.filled_console import filled_console

PAGES = [
    pytest.param(*state, id=state[0], marks=[pytest.mark.long] if state[0] in SHOWN_BY_OTHERS else [])
    for state in STATES
]


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with filled_console(tmp_path_factory.mktemp("pages")) as running:
        yield running


@pytest.fixture(scope="module")
def pages(browser: Browser, console: Console) -> Iterator[dict[str, Page]]:
    """Somebody of each kind, signed in."""
    with (
        person(browser, console.url, "ann") as ann,
        person(browser, console.url, "revenues") as manager,
        person(browser, console.url, "dpo") as dpo,
        person(browser, console.url, "admin") as admin,
        person(browser, console.url, "officer", java_script_enabled=False) as plain,
    ):
        yield {"ann": ann, "manager": manager, "dpo": dpo, "admin": admin, "plain": plain}


@pytest.fixture(scope="module")
def colours() -> set[str]:
    """Colours of words, with what is behind them, that were compared."""
    return set()


@pytest.fixture(scope="module")
def framed() -> set[str]:
    """Who had a page whose header, navigation and footer were looked at as well."""
    return set()


def found_at(page: Page, width: ViewportSize, *, colours: set[str], is_first: bool) -> list[str]:
    """Return what axe finds in a page that was narrow and becomes wide.

    All pages have the same sheets and the same colours at both widths. At the second width only rules that depend on
    the layout can find something else, unless other elements show.
    """
    if is_first or IS_FULL:
        return violations(page, without=() if is_first else FRAME)
    if width is NARROW:
        note_what_shows(page, without=FRAME)
        return violations(page, without=FRAME, has_sheets=False, has_contrast=False)
    rules = (*LAYOUT_RULES, "color-contrast") if shows_the_same(page, without=FRAME) else ()
    return violations(page, without=FRAME, has_sheets=False, colours=colours, rules=rules)


@pytest.mark.parametrize(("name", "who", "visit", "words"), PAGES)
def test_a_page_is_accessible(
    pages: dict[str, Page],
    framed: set[str],
    colours: set[str],
    tmp_path: Path,
    name: str,
    who: str,
    visit: Visit,
    words: str,
) -> None:
    page = pages[who]
    visit(page)
    expect(page.locator("main")).to_contain_text(words)
    assert page.locator("main h1").count() == 1
    assert page.evaluate("document.documentElement.lang") == "en-GB"
    is_first = who not in framed  # somebody's header and navigation are the same on all their pages
    framed.add(who)
    for width in (NARROW, WIDE):
        resize(page, width)
        if who != "plain":  # axe is a script
            assert found_at(page, width, colours=colours, is_first=is_first) == [], width
        if is_too_wide(page):
            page.screenshot(path=tmp_path / f"{name}-{width['width']}.png", full_page=True)
            pytest.fail(f"it scrolls sideways at {width['width']} px: see {tmp_path}")
    assert unreached_by_tab(page, within="" if is_first else "main") == []


def test_the_first_key_offers_to_skip_to_the_main_part(pages: dict[str, Page]) -> None:
    page = pages["dpo"]
    page.goto("/recordings")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to main content"
    assert page.locator(".govuk-skip-link").bounding_box()["x"] >= 0  # type: ignore[index]
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.getElementById('main').contains(document.activeElement)")


def test_a_click_is_not_lost_when_the_skip_link_has_the_focus(pages: dict[str, Page]) -> None:
    page = pages["dpo"]
    page.goto("/recordings")
    before = page.locator("main h1").bounding_box()
    page.keyboard.press("Tab")
    assert page.locator("main h1").bounding_box() == before, "nothing moves between mouse down and mouse up"
    page.get_by_role("link", name="Requests and cases").click()
    page.wait_for_url("**/requests")
