"""The agent page in a browser, a real daemon and calls in progress: pausing, opting out, losing the daemon."""

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Page, expect

from recorder.calls.notices import NoticeStore
from recorder.common.home import Home
from recorder.config.reading import read_config
from recorder.permissions import Role
from recorder.web.app import create_app
from recorder.web.deps import ConsoleDeps
from recorder.web.server import server_config
from recorder.web.wiring import open_console
from tests.helpers.accounts import CHEAP, PASSWORD
from tests.helpers.chromium import person, violations, wait_until
from tests.helpers.console_site import serving
from tests.helpers.exactness import PACKET_S, kept_of
from tests.helpers.exchange import Exchange, Talk, exchange
from tests.helpers.recorder_home import SECOND_HZ, SECOND_S, eventually, tone_file
from tests.helpers.starvation import stopwatch, with_children

ERASE_S = 1.0
EDITS = (("look_back_s = 5.0", "look_back_s = 2.5"), ("erase_s = 3.0", f"erase_s = {ERASE_S}"))
PROMISED_S = 2.0
LONG_S = 10.0
"""Length of a second message that is still played when the page is looked at, on a busy machine too."""
CALM_MS = 800
"""Longer than that of agent.js: the second click of a double click must not undo the first."""
UNANSWERED = "the recorder did not answer in 2 seconds"
NOTE_WORDS = """{
  window.noted = "";
  window.noting?.disconnect();
  window.noting = new MutationObserver((changes) => {
    for (const { target } of changes) window.noted += `${target.textContent}\\n`;
  });
  for (const id of ["agent-said", "agent-problem"]) {
    window.noting.observe(document.getElementById(id), { childList: true });
  }
}"""
"""Keeps in ``window.noted`` every answer to an act that the page shows from now on.

The page replaces an answer by the next one, or takes it away, before a slow test has read it.
"""


@dataclass(frozen=True)
class Site:
    lines: Exchange
    deps: ConsoleDeps
    url: str


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with exchange(tmp_path_factory.mktemp("agent"), edits=EDITS) as lines:
        home = Home(lines.home.root)
        with open_console(home, read_config(lines.home.config), hasher=CHEAP) as deps:
            deps.people.add("alice", PASSWORD, display_name="alice", roles={Role.OFFICER}, extension="2001")
            deps.people.add("rhea", PASSWORD, display_name="Rhea", roles={Role.MANAGER}, teams=["Revenues"])
            with serving(server_config(create_app(deps), host="127.0.0.1", port=0)) as server:
                host, port = server.servers[0].sockets[0].getsockname()[:2]
                yield Site(lines, deps, f"http://{host}:{port}")


@pytest.fixture(scope="module")
def alices(site: Site, browser: Browser) -> Iterator[Page]:
    with person(browser, site.url, "alice") as page:
        expect(page).to_have_url(f"{site.url}/agent")
        yield page


@pytest.fixture
def alice(site: Site, alices: Page) -> Page:
    alices.goto(f"{site.url}/agent")
    return alices


@pytest.fixture(scope="module")
def rhea(site: Site, browser: Browser) -> Iterator[Page]:
    with person(browser, site.url, "rhea") as page:
        yield page


def shows(page: Page, words: str) -> float:
    """Wait until the page says how the recording stands; returns the moment."""
    expect(page.locator("#agent-words")).to_have_text(words)
    return time.monotonic()


def is_shown(page: Page, words: str) -> bool:
    """Tell whether the page says now that the recording stands so."""
    return page.locator("#agent-words").text_content() == words


def watched() -> Callable[[], float]:
    """Return what tells how long page and console have taken since now, of the CPU time that they were given.

    The way leads through the page, its browser, the driver, and threads of the console in this process.
    """
    return stopwatch(*with_children(os.getpid()), threads=6)


def click(page: Page) -> None:
    """Press the button as somebody does who has read what it says."""
    be_calm(page)
    page.click("#agent-button")


def key(name: str) -> Callable[[Page], None]:
    def press(page: Page) -> None:
        be_calm(page)
        page.keyboard.press(name)

    return press


def be_calm(page: Page) -> None:
    """Wait until an act can be done: shortly after the end of another one it is taken for the same press."""
    expect(page.locator("#agent-button:not([aria-disabled])")).to_be_visible()
    page.wait_for_timeout(CALM_MS)


def confirmed(page: Page, press: Callable[[Page], None], said: str, is_done: Callable[[], bool]) -> bool:
    """Press until it is done; tells whether the page said so.

    Where the recorder did not answer in time, do as the page tells people to: look at the state, and press again if it
    is not done. Not for tests of that time.
    """
    while True:
        page.evaluate(NOTE_WORDS)
        press(page)
        wait_until(page, f"[{said!r}, {UNANSWERED!r}].some((words) => window.noted.includes(words))")
        if not page.evaluate(f"window.noted.includes({UNANSWERED!r})"):
            return True
        expect(page.locator("#agent-problem")).to_be_empty()
        if is_done():
            return False


def named(button: str) -> Callable[[Page], None]:
    """Return what presses a button."""
    return lambda page: page.get_by_role("button", name=button).click()


def test_the_board_says_at_once_that_the_recorder_drains(site: Site, rhea: Page) -> None:
    rhea.goto(f"{site.url}/live")
    banner = rhea.locator("#live-drain")
    expect(banner).to_have_text("")
    site.lines.home.act("/api/drain").raise_for_status()
    expect(banner).to_contain_text("The recorder is draining: new calls are refused. 0 calls go on")
    assert violations(rhea) == []
    site.lines.home.act("/api/drain/cancel").raise_for_status()
    expect(banner).to_have_text("")


def test_an_agent_pauses_by_mouse_and_by_key_and_nothing_of_it_is_kept(site: Site, alice: Page) -> None:
    shows(alice, "No call")
    talk = site.lines.call()
    recording = talk.join()
    shows(alice, "Recording")
    alice.keyboard.press("F8")  # nobody has switched it on
    talk.talk_for(ERASE_S + 0.4)
    assert talk.wait_phase("joined")["state"] == "recording"
    closed: list[tuple[float, float]] = []
    ways = ((click, click), (key("F8"), key("Shift+F8")))
    for pause, resume in ways:
        if (pause, resume) != ways[0]:
            alice.locator("#agent-key summary").click()
            alice.check("#agent-key-on")
        confirmed(alice, pause, "The recording is paused.", lambda: is_shown(alice, "Paused"))
        done_s = shows(alice, "Paused")
        expect(alice.locator("#agent-time")).to_have_text(
            re.compile(r"Paused for 0:0\d\. An alarm is raised in 9:5\d if it is still paused")
        )
        expect(alice.locator("#agent-erases")).to_have_text(
            "The last 1 second before the pause will not be in the recording."
        )
        expect(alice).to_have_title("Paused – my phone – Recorder call recorder")
        assert talk.wait_phase("joined")["state"] == "paused"
        talk.talk_for(1.0)
        closed.append((done_s, time.monotonic()))
        confirmed(alice, resume, "Recording.", lambda: is_shown(alice, "Recording"))
        shows(alice, "Recording")
        talk.talk_for(ERASE_S + 0.6)
    row = talk.hang_up()
    shows(alice, "No call")

    kinds = [segment["kind"] for segment in row["segments"]]
    assert kinds == ["recording", "paused", "recording", "paused", "recording"]
    assert {segment["by"] for segment in row["segments"][1:]} == {"alice"}
    left, right, _ = talk.home.copy(recording)
    for kept in (kept_of(left, talk.left), kept_of(right, talk.right)):
        for done_s, asked_s in closed:
            assert kept.bytes_between(done_s - ERASE_S + PACKET_S, asked_s) == 0
        assert kept.bytes_between(0, time.monotonic()) > 0


def test_a_manager_grants_what_was_asked_for_on_the_agent_page(site: Site, rhea: Page, alice: Page) -> None:
    rhea.goto(f"{site.url}/live")
    talk = site.lines.call()
    talk.join()
    shows(alice, "Recording")
    asks = named("The caller asks not to be recorded")
    confirmed(alice, asks, "A manager has been asked", lambda: rhea.get_by_role("link", name="Decide").count() > 0)
    rhea.get_by_role("link", name="Decide").click()
    rhea.check("#decision")
    rhea.check("#caller_asked")
    rhea.check("#distress_judged")
    rhea.fill("#reason", "she is very upset")
    rhea.get_by_role("button", name="Save decision").click()
    expect(rhea.locator("#live-said")).to_contain_text("has ended for good")
    shows(alice, "Not recorded")
    expect(alice.locator("#agent-since")).to_contain_text("the caller opted out")
    expect(alice.locator("#agent-said")).to_have_text("This call is not recorded.")
    row = talk.hang_up()
    assert (row["opted_out"], row["reason"]) == (True, "opted_out")
    rhea.goto("about:blank")  # no board redraws itself meanwhile


def test_the_page_says_that_the_second_message_was_played(site: Site, alice: Page) -> None:
    talk = site.lines.call()
    talk.join()
    play_second(alice, talk)
    expect(alice.locator("#agent-state .requests")).to_contain_text("The second message was played")
    shows(alice, "Recording")
    assert talk.hang_up()["notice"]["second_message"] is True


@pytest.fixture
def long_message(site: Site) -> Iterator[None]:
    """Have the second message last LONG_S, and afterwards what it lasted before."""
    home = site.lines.home

    def set_second(seconds: float) -> None:
        sound = tone_file(home.root / "second.wav", SECOND_HZ, seconds)
        NoticeStore(home.root / "notices").put("second", sound, by="sally")
        home.act("/api/reload").raise_for_status()

    set_second(LONG_S)
    yield
    set_second(SECOND_S)


@pytest.mark.usefixtures("long_message")
def test_while_the_caller_hears_the_second_message_the_page_says_so(site: Site, alice: Page) -> None:
    talk = site.lines.call()
    talk.join()
    play_second(alice, talk)
    words = "The caller hears the second message, and cannot hear you until it ends"
    expect(alice.locator("#agent-state .requests")).to_contain_text(words)
    assert violations(alice) == []
    assert talk.hang_up()["notice"]["second_message"] is True


def play_second(page: Page, talk: Talk) -> None:
    shows(page, "Recording")
    confirmed(
        page, named("Play the second message to the caller"), "does not hear you until it ends",
        lambda: talk.wait_phase("joined")["second_message"] != "ready",
    )  # fmt: skip


def test_a_double_click_does_not_undo_itself(site: Site, alice: Page) -> None:
    talk = site.lines.call()
    talk.join()
    shows(alice, "Recording")
    alice.locator("#agent-button").dblclick()
    shows(alice, "Paused")
    talk.talk_for(0.5)
    assert talk.wait_phase("joined")["state"] == "paused"
    talk.hang_up()


def test_forgetting_to_pause_has_what_was_said_erased(site: Site, alice: Page) -> None:
    talk = site.lines.call()
    recording = talk.join()
    shows(alice, "Recording")
    talk.talk_for(0.5)
    confirmed(alice, named("I forgot to pause"), "How much should be erased?", lambda: False)
    shows(alice, "Paused")
    expect(alice.locator("#agent-spans-title")).to_be_focused()
    alice.get_by_label("The last minute before the pause").check()
    expect(alice.locator("#agent-will-erase")).to_contain_text("You have chosen: The last minute before the pause")
    open_orders = site.deps.repos.erasures.open_orders
    if confirmed(
        alice, named("Erase it"), "The part will be erased after the call",
        lambda: any(one.recording == recording for one in open_orders()),
    ):  # fmt: skip
        expect(alice.locator("#agent-spans")).to_be_hidden()
    expect(alice.locator("#agent-state .phone-orders")).to_contain_text("To be erased once the call has ended")
    assert violations(alice) == []
    talk.hang_up()
    expect(alice.locator("#agent-last")).to_contain_text("I forgot to pause")
    orders = [one for one in open_orders() if one.recording == recording]
    assert [(one.ordered_by, one.start_s) for one in orders] == [("alice", 0.0)]


def take_over(page: Page, talk: Talk, number: str) -> None:
    """Sign on at a phone that is somebody's: ask for the code on the page, and key it at the phone."""
    page.goto("/agent")
    page.fill("#sign-on-extension", number)
    page.keyboard.press("Enter")
    keys = page.locator("#code-title ~ p kbd")
    expect(keys).to_have_text(re.compile(r"\*7\d{6}#"))
    assert violations(page) == []
    talk.right.press(keys.inner_text())

    def is_there() -> bool:
        page.goto("/agent")
        return page.get_by_role("button", name=f"Sign off from {number}").count() == 1

    eventually(is_there, "the page says that they are signed on")


def test_whoever_signs_on_has_the_calls_that_begin_after(site: Site, browser: Browser, alice: Page) -> None:
    site.deps.people.add("bob", PASSWORD, display_name="Bob Benefits", roles={Role.OFFICER})
    site.deps.people.add("carol", PASSWORD, display_name="Carol", roles={Role.OFFICER})
    talk = site.lines.call()
    talk.join()
    shows(alice, "Recording")
    with person(browser, site.url, "bob") as bob, person(browser, site.url, "carol") as carol:
        take_over(bob, talk, "2001")
        shows(alice, "Recording")
        assert talk.hang_up()["operator"] == "alice", "the call that went on stays hers"
        talk = site.lines.call()
        talk.join()
        shows(bob, "Recording")
        shows(alice, "No call")

        take_over(carol, talk, "2001")
        assert site.deps.live.health()["alarms"]["sign_on_clash"] == 2
        row = talk.hang_up()
        assert (row["operator"], row["operators"]) == ("Bob Benefits", ["Bob Benefits"])
        bob.goto("/agent")
        expect(bob.locator("body")).to_contain_text("Carol took over extension 2001 from you")
        carol.get_by_role("button", name="Sign off from 2001").click()
        expect(carol.locator("#agent-said")).to_contain_text("You are signed off")
    log = [entry for entry in site.deps.repos.audit.entries() if entry.act.startswith("agent.")]
    assert [(entry.act, entry.actor, entry.details.get("instead_of")) for entry in log] == [
        ("agent.sign_on.code", "bob", "alice"), ("agent.sign_on", "bob", "alice"),
        ("agent.sign_on.code", "carol", "Bob Benefits"), ("agent.sign_on", "carol", "Bob Benefits"),
        ("agent.sign_off", "carol", None),
    ]  # fmt: skip


def test_a_daemon_that_hangs_or_dies_is_not_confirmed_within_two_seconds(site: Site, alice: Page) -> None:
    talk = site.lines.call()
    talk.join()
    shows(alice, "Recording")
    alert = alice.locator("#agent-problem[role=alert]")

    os.kill(site.lines.home.pid, signal.SIGSTOP)
    taken_s = watched()
    try:
        shows(alice, "Not confirmed")
        assert taken_s() < PROMISED_S
        expect(alert).to_contain_text("Use the pause key on the phone")
        assert violations(alice) == []
        assert alice.get_by_text("Paused", exact=True).count() == 0
    finally:
        os.kill(site.lines.home.pid, signal.SIGCONT)
    shows(alice, "Recording")
    expect(alert).to_be_empty()

    taken_s = watched()
    site.lines.home.kill()
    shows(alice, "Not confirmed")
    assert taken_s() < PROMISED_S
    expect(alice.locator("#agent-button")).to_have_text("Pause recording")
    click(alice)
    expect(alert).to_contain_text("Not confirmed")
    assert alice.locator("#agent-words").text_content() == "Not confirmed"
    talk.left.hush()
    talk.right.hush()
    site.lines.home.start()
    shows(alice, "No call")
    expect(alert).to_be_empty()
