"""Debian's Chromium, driven by Playwright: pages as people meet them."""

import contextlib
from collections.abc import Iterator
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, ViewportSize, sync_playwright

from tests.helpers.accounts import PASSWORD

EXECUTABLE = "/usr/bin/chromium"
ARGUMENTS = ("--no-sandbox", "--autoplay-policy=no-user-gesture-required")
WIDE, NARROW = ViewportSize(width=1280, height=900), ViewportSize(width=390, height=844)
LEVEL_AA = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"], "resultTypes": ["violations"]}
_CONTROLS = "a[href], button, input:not([type=hidden]), select, textarea, summary, audio[controls], [tabindex='0']"

_axe = Axe()


@contextlib.contextmanager
def chromium() -> Iterator[tuple[Playwright, Browser]]:
    """Start the browser; nothing is downloaded."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=EXECUTABLE, args=ARGUMENTS)
        try:
            yield playwright, browser
        finally:
            browser.close()


@contextlib.contextmanager
def person(browser: Browser, url: str, name: str, *, password: str = PASSWORD, **options: Any) -> Iterator[Page]:
    """Somebody's own browser, signed in; an error of a page's script fails the test."""
    context = browser.new_context(viewport=WIDE, base_url=url, **options)
    try:
        yield sign_in(context, name, password=password)
    finally:
        context.close()


def sign_in(context: BrowserContext, name: str, *, url: str = "", password: str = PASSWORD) -> Page:
    """Open a page and sign in on it."""
    context.set_default_timeout(10_000)
    page = context.new_page()
    page.on("pageerror", _fail)
    page.goto(f"{url}/sign-in")
    page.fill("#name", name)
    page.fill("#password", password)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda to: not to.endswith("/sign-in"))
    return page


def _fail(error: Exception) -> None:
    raise AssertionError(f"a script of the page failed: {error}")


def violations(page: Page) -> list[str]:
    """Return what axe finds against WCAG 2.2 AA, one line each, in the page as it is drawn: its words come first."""
    page.wait_for_load_state()
    found = _axe.run(page, options=LEVEL_AA).response["violations"]
    return [f"{one['id']}: {node['html'][:200]}" for one in found for node in one["nodes"]]


def is_too_wide(page: Page) -> bool:
    """Tell whether the page as a whole scrolls sideways; a table in a frame of its own may."""
    wide: bool = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    return wide


def unreached_by_tab(page: Page) -> list[str]:
    """Press Tab from the top through the whole page; return the controls that never had a focus that shows.

    Controls are known by their ids or their words: a page may draw them anew meanwhile.
    """
    page.evaluate(_TO_REACH, _CONTROLS)
    for _ in range(400):
        page.keyboard.press("Tab")
        if page.evaluate(_REACHED) == 0:
            break
    left: list[str] = page.evaluate("[...window.unreached]")
    return left


_TO_REACH = """(controls) => {
  window.keyOf = (one) => (one.type === "radio" ? `group ${one.name}` : one.id || one.outerHTML.slice(0, 200));
  const isSeen = (one) => one.checkVisibility({ visibilityProperty: true }) && !one.disabled;
  window.unreached = new Set([...document.querySelectorAll(controls)].filter(isSeen).map(window.keyOf));
  document.body.tabIndex = -1;  // the next Tab goes to the first control, wherever the focus was
  document.body.focus();
  document.body.removeAttribute("tabindex");
}"""
_REACHED = """() => {
  const one = document.activeElement;
  const style = getComputedStyle(one);
  const shows = (style.outlineStyle !== "none" && style.outlineWidth !== "0px") || style.boxShadow !== "none";
  if (shows) window.unreached.delete(window.keyOf(one));
  return window.unreached.size;
}"""
