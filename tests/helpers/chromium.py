"""Debian's Chromium, driven by Playwright: pages as people meet them."""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, ViewportSize, sync_playwright

from tests.helpers.accounts import PASSWORD

EXECUTABLE = "/usr/bin/chromium-headless-shell"
ARGUMENTS = ("--no-sandbox", "--autoplay-policy=no-user-gesture-required")
FRAME = (".top", "nav", "footer")
"""Header, navigation and footer, which are the same on all pages of a person."""
WIDE, NARROW = ViewportSize(width=1280, height=900), ViewportSize(width=390, height=844)
LEVEL_AA = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"], "resultTypes": ["violations"]}
_CONTROLS = (
    "a[href]:not([role=tab][tabindex='-1']), button, input:not([type=hidden]), select, textarea, summary, "
    "audio[controls], [tabindex='0']"
)
"""What Tab reaches. Tabs that are not selected are reached from the selected one, by the arrows."""


HANGS_MS = 60_000
"""How long a page is waited for: no expectation, only the end of a test that hangs."""

LAYOUT_RULES = ("link-in-text-block", "scrollable-region-focusable", "target-size")
"""Rules whose answer changes with the width though the same elements are shown; the contrast is another."""

# All that axe found good is three times what it found bad, and stays in the page.
_VIOLATIONS = """([context, options, colours]) => {
  if (colours) axe.configure({ rules: [{ id: "color-contrast", selector: "[data-look]" }] });
  const fresh = colours ? MARK_COLOURS(new Set(colours)) : [];
  return axe.run(context ?? document, options).then(({violations}) => [fresh, violations.flatMap(
      ({id, nodes}) => nodes.map(({html}) => `${id}: ${html.slice(0, 200)}`))]);
}"""
# What the contrast of words depends on: their colour and size, and each ground below them. Where an element lies
# elsewhere than in its parent, what is below it is not known, and it is always looked at.
_MARK_COLOURS = """(known) => {
  const grounds = new Map();
  const groundOf = (one) => {
    if (!one) return "";
    if (!grounds.has(one)) {
      const style = getComputedStyle(one);
      const { backgroundColor, backgroundImage, opacity, filter, mixBlendMode, position } = style;
      const own = [backgroundColor, backgroundImage, opacity, filter, mixBlendMode].join();
      const isFlat = own === "rgba(0, 0, 0, 0),none,1,none,normal";
      const isShifted = !["auto", "0px"].includes(style.top) || !["auto", "0px"].includes(style.left);
      const isElsewhere = position !== "static" && (position !== "relative" || isShifted) ||
        style.transform !== "none" || parseFloat(style.marginTop) < 0 ||
        parseFloat(style.marginLeft) < 0 && !one.matches(".govuk-grid-row");
      grounds.set(one, groundOf(one.parentElement) + (isFlat ? "" : `/${own}`) + (isElsewhere ? "/?" : ""));
    }
    return grounds.get(one);
  };
  const fresh = [];
  for (const one of document.querySelectorAll("body *")) {
    const hasWords = [...one.childNodes].some((part) => part.nodeType === 3 && part.data.trim());
    if (!hasWords && !one.matches("input, select, textarea")) continue;
    const { color: ink, fontSize, fontWeight, textShadow } = getComputedStyle(one);
    const look = [one.disabled, ink, fontSize, fontWeight, textShadow, groundOf(one)].join();
    if (known.has(look) && !look.includes("/?")) continue;
    one.setAttribute("data-look", "");
    known.add(look);
    fresh.push(look);
  }
  return fresh;
}"""
_VIOLATIONS = _VIOLATIONS.replace("MARK_COLOURS", f"({_MARK_COLOURS})")


class Chromium:
    """A browser that stays open between tests; nothing is downloaded.

    Playwright's synchronous API leaves its event loop marked as the running one of this thread. `show` and `hide` set
    and clear that mark, so that other tests may run loops of their own in between.
    """

    def __init__(self) -> None:
        self.playwright: Playwright = sync_playwright().start()
        self._loop = asyncio.get_running_loop()
        self._browser: Browser | None = None

    @property
    def browser(self) -> Browser:
        """Browser without a profile, started when it is first asked for."""
        if self._browser is None:
            self._browser = self.playwright.chromium.launch(executable_path=EXECUTABLE, args=ARGUMENTS)
        return self._browser

    def show(self) -> None:
        """Mark the browser's loop as running, as it must be while the browser is driven."""
        asyncio._set_running_loop(self._loop)

    @staticmethod
    def hide() -> None:
        """Clear the mark."""
        asyncio._set_running_loop(None)

    def close(self) -> None:
        """End the browser."""
        self.show()
        if self._browser is not None:
            self._browser.close()
        self.playwright.stop()
        self.hide()


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
    page = new_page(context)
    sign_in_on(page, name, url=url, password=password)
    return page


def new_page(context: BrowserContext) -> Page:
    """Open a page; an error of its scripts fails the test."""
    context.set_default_timeout(HANGS_MS)
    page = context.new_page()
    page.on("pageerror", _fail)
    return page


def sign_in_on(page: Page, name: str, *, url: str = "", password: str = PASSWORD) -> None:
    """Sign in on a page that is open."""
    page.goto(f"{url}/sign-in")
    page.fill("#name", name)
    page.fill("#password", password)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda to: not to.endswith("/sign-in"))


def _fail(error: Exception) -> None:
    raise AssertionError(f"a script of the page failed: {error}")


def violations(
    page: Page,
    *,
    without: Sequence[str] = (),
    has_sheets: bool = True,
    has_contrast: bool = True,
    colours: set[str] | None = None,
    rules: Sequence[str] = (),
) -> list[str]:
    """Return what axe finds against WCAG 2.2 AA, one line each, in the page as it is drawn: its words come first.

    Args:
        page: Where to look.
        without: Selectors of parts that were looked at before.
        has_sheets: Load the style sheets once more and look for rules that turn the page with the device.
        has_contrast: Compare the colour of each word with what is behind it: half of the CPU.
        colours: Colours of words and of what is behind them that were compared before: they are not compared again,
            and those of this page are added. None compares all.
        rules: The only rules to look for; else all of level AA.
    """
    page.wait_for_load_state()
    context = {"exclude": [[one] for one in without]} if without else None
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    options = {**LEVEL_AA, "preload": has_sheets, "rules": {"color-contrast": {"enabled": has_contrast}}}
    if rules:
        options = {"runOnly": {"type": "rule", "values": list(rules)}, "resultTypes": ["violations"], "preload": False}
    known = None if colours is None else sorted(colours)
    fresh, lines = page.evaluate(_VIOLATIONS, [context, options, known])
    if colours is not None:
        colours.update(fresh)
    found: list[str] = lines
    return found


def resize(page: Page, size: ViewportSize) -> None:
    """Give the window of a page another size, and wait until its scripts know."""
    page.set_viewport_size(size)
    page.evaluate("matchMedia('(scripting: enabled)').matches && new Promise(requestAnimationFrame)")


def note_what_shows(page: Page, *, without: Sequence[str] = ()) -> None:
    """Have the page remember which of its elements show, but for some parts."""
    page.evaluate(f"(without) => {{ window.shownBefore = ({_SHOWN})(without); }}", ",".join(without))


def shows_the_same(page: Page, *, without: Sequence[str] = ()) -> bool:
    """Tell whether the elements that show are those of before."""
    is_same: bool = page.evaluate(
        f"(without) => {{ const now = ({_SHOWN})(without), before = window.shownBefore ?? [];"
        " return now.length === before.length && now.every((one, at) => one === before[at]); }",
        ",".join(without),
    )
    return is_same


_SHOWN = """(without) => [...document.querySelectorAll("body *")].filter((one) =>
    one.checkVisibility({ visibilityProperty: true }) && !(without && one.closest(without)))"""


def is_too_wide(page: Page) -> bool:
    """Tell whether the page as a whole scrolls sideways; a table in a frame of its own may."""
    wide: bool = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    return wide


def unreached_by_tab(page: Page, *, within: str = "") -> list[str]:
    """Press Tab from the top through the whole page; return the controls that never had a focus that shows.

    Controls are known by their ids or their words: a page may draw them anew, or load itself anew, meanwhile.

    Args:
        page: Where to press.
        within: Selector of the part to begin at, and whose controls are meant; else the whole page.
    """
    has_scripts = page.evaluate("matchMedia('(scripting: enabled)').matches")
    at_once = 30 if has_scripts else 1  # a page that may run scripts notes itself where the focus was
    left: set[str] = set(page.evaluate(_TO_REACH, [within or "body", _CONTROLS]))
    presses = 0
    while left and presses < 400:
        for _ in range(min(at_once, len(left))):  # not past the last control: the next click begins in the page
            page.keyboard.down("Tab")  # a key that is held repeats itself
            presses += 1
        page.keyboard.up("Tab")
        left.difference_update(page.evaluate(_REACHED))
    return sorted(left)


def wait_until(page: Page, condition: str) -> None:
    """Wait until an expression of the page is true.

    The page looks by itself: who asks it a hundred times a second keeps a busy machine from what is waited for. Not
    `Page.wait_for_function`, which the pages' policy for scripts forbids.
    """
    page.evaluate(_WAIT % (condition, HANGS_MS))


_WAIT = """new Promise((done, fail) => {
  const began = performance.now();
  const look = () => {
    if (%s) done();
    else if (performance.now() - began > %d) fail(new Error("it is not so in time"));
    else setTimeout(look, 50);
  };
  look();
})"""
_NOW = """() => {
  const one = document.activeElement;
  const style = getComputedStyle(one);
  const shows = (style.outlineStyle !== "none" && style.outlineWidth !== "0px") || style.boxShadow !== "none";
  return shows ? keyOf(one) : "";
}"""
_KEY_OF = 'const keyOf = (one) => (one.type === "radio" ? `group ${one.name}` : one.id || one.outerHTML.slice(0, 200));'
_TO_REACH = f"""([within, controls]) => {{
  {_KEY_OF}
  const isSeen = (one) => one.checkVisibility({{ visibilityProperty: true }}) && !one.disabled;
  const top = document.querySelector(within);
  const tabIndex = top.getAttribute("tabindex");
  top.tabIndex = -1;  // the next Tab goes to the first control, wherever the focus was
  top.focus();
  if (tabIndex === null) top.removeAttribute("tabindex");
  window.reached = [];
  document.addEventListener("focusin", () => window.reached.push(({_NOW})()));
  return [...top.querySelectorAll(controls)].filter(isSeen).map(keyOf);
}}"""
_REACHED = f"() => {{ {_KEY_OF} return [...(window.reached ?? []), ({_NOW})()]; }}"


def play_fast(page: Page) -> None:
    """Let the player of a page, which may not be there yet, play at eight times the speed."""
    page.locator("audio").evaluate("player => { player.playbackRate = 8 }")
