"""The board of live calls: it changes in place, under a focus and a press, and says what it must in time."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, Page, expect

from recorder.web.live_rows import LONG_PAUSE_S
from tests.helpers.chromium import FRAME, NARROW, WIDE, person, violations, wait_until
from tests.helpers.console_site import CALL, Console
from tests.helpers.filled_console import filled_console
from tests.helpers.recorder_home import eventually

PRESS_AT_ONCE = """(id) => new MutationObserver((_, observer) => {
  if (!document.getElementById(id)) return;
  observer.disconnect();
  document.activeElement.click();
}).observe(document.getElementById("live-rows"), { subtree: true, childList: true, attributes: true })"""
"""Clicks what has the focus as soon as the rows have an element with this id.

It is done in the page: where the machine is busy, the test's own click may come long after that.
"""


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with filled_console(tmp_path_factory.mktemp("board")) as running:
        yield running


@pytest.fixture(scope="module")
def page(browser: Browser, console: Console) -> Iterator[Page]:
    """A manager, signed in."""
    with person(browser, console.url, "revenues") as page:
        yield page


@pytest.fixture(scope="module")
def ann(browser: Browser, console: Console) -> Iterator[Page]:
    """The officer of the call, signed in."""
    with person(browser, console.url, "ann") as page:
        yield page


def test_the_board_draws_what_changed_and_leaves_the_rest(
    page: Page, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = console.daemon
    first = daemon._call()
    others = [
        {**first, "call": f"{CALL}{name}", "operator": name, "state": "recording"} for name in ("one", "two", "three")
    ]
    listed = [others[0], first, *others[1:]]
    monkeypatch.setattr(daemon, "calls_rows", lambda: listed)
    names = "[...document.querySelectorAll('#live-rows tr')].map((row) => row.id)"
    page.goto("/live")
    page.evaluate("for (const row of document.querySelectorAll('#live-rows tr')) row.isOld = true")
    listed[:] = [others[0], {**others[2], "state": "paused"}, first]
    daemon.has_changed.set()
    wanted = [f"call-{one['call']}" for one in listed]
    wait_until(page, f"{names}.join() === {','.join(wanted)!r}")  # the rows are those of now, in their order
    old = page.evaluate("[...document.querySelectorAll('#live-rows tr')].map((row) => Boolean(row.isOld))")
    assert old == [True, True, True], "a row that changes stays where a focus or a press may be"
    listed.clear()
    daemon.has_changed.set()
    expect(page.locator("#live-rows")).to_contain_text("No calls are in progress")


def test_a_focus_and_a_press_survive_a_change_of_the_row(
    page: Page, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = console.daemon
    call = {**daemon._call(), "state": "recording"}
    listed = [call]
    monkeypatch.setattr(daemon, "calls_rows", lambda: listed)
    page.goto("/live")
    page.focus(f"#pause-{CALL}")
    page.evaluate("window.pressed = document.activeElement")
    page.evaluate("window.began = document.querySelector('#live-rows td')")
    daemon.heard.clear()
    page.evaluate(PRESS_AT_ONCE, f"resume-{CALL}")  # meant for what the button was
    listed[:] = [{**call, "state": "paused"}]
    daemon.has_changed.set()
    expect(page.locator("#live-said")).to_contain_text("has just changed")
    assert daemon.heard == []
    assert page.evaluate("document.activeElement === window.pressed"), "the button is the same one"
    assert page.evaluate("document.querySelector('#live-rows td') === window.began")

    listed[:] = [{**call, "state": "opted_out"}]
    daemon.has_changed.set()
    expect(page.locator(".state")).to_have_text("Opted out")
    assert page.evaluate("document.activeElement.getAttribute('role')") == "region", "a focus that is gone goes nearby"


def test_no_button_of_the_board_lies_off_the_screen_of_a_phone(
    ann: Page, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, daemon = ann, console.daemon
    long = {**daemon._call(), "caller": "0044 20 7946 0000 extension 12345678", "service": "Customer Service Centre"}
    monkeypatch.setattr(daemon, "calls_rows", lambda: [long])
    page.goto("/live")
    for size in (NARROW, WIDE):
        page.set_viewport_size(size)
        boxes = [one.bounding_box() for one in page.locator("#live-rows :is(button, a)").all()]
        assert len(boxes) == 4, "pause, forgotten, opt-out, second message"
        assert all(box and box["x"] >= 0 and box["x"] + box["width"] <= size["width"] for box in boxes)


def test_a_pause_turns_amber_on_the_page_while_nothing_is_sent(
    page: Page, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = console.daemon
    since = datetime.now(UTC) - timedelta(seconds=LONG_PAUSE_S - 2)
    paused = {**daemon._call(), "state": "paused", "reasons": ["agent"], "state_since": since.isoformat()}
    monkeypatch.setattr(daemon, "calls_rows", lambda: [paused])
    page.goto("/live")
    age = page.locator(".board-state .age")
    expect(age).to_contain_text("long pause")
    expect(age).to_have_class("age age-late")
    assert violations(page, without=FRAME) == []


def test_a_second_thought_is_obeyed_once_the_change_could_be_seen(page: Page, console: Console) -> None:
    daemon = console.daemon
    daemon.state = "paused"
    page.goto("/live")
    page.click(f"#resume-{CALL}")
    eventually(lambda: daemon.state == "recording", "the press did what it said")
    daemon.has_changed.set()
    page.wait_for_selector(f"#pause-{CALL}")

    def press() -> bool:
        page.click(f"#pause-{CALL}")
        return daemon.state == "paused"

    eventually(press, "another press is obeyed in time")
    daemon.state = "recording"
