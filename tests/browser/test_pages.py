"""Every page in its main states: WCAG 2.2 AA by axe, by keyboard alone, at two widths; and what a browser keeps."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from recorder.calls.notice_catalogue import NewNotice
from recorder.calls.notices import SHIPPED, NoticeStore, install_shipped
from recorder.permissions import Role
from recorder.web.live_rows import LONG_PAUSE_S
from storage.assurance_types import CallDirection, ExpectedCall
from storage.types import NoticeProof, Segment, SegmentKind
from tests.helpers.accounts import PASSWORD
from tests.helpers.chromium import (
    ARGUMENTS,
    EXECUTABLE,
    LAYOUT_RULES,
    NARROW,
    WIDE,
    Chromium,
    is_too_wide,
    note_what_shows,
    person,
    play_fast,
    resize,
    shows_the_same,
    sign_in,
    unreached_by_tab,
    violations,
    wait_until,
)
from tests.helpers.console_site import CALL, Console, console_site
from tests.helpers.extent import IS_FULL
from tests.helpers.recorder_home import eventually
from tests.helpers.storage_home import ID

Visit = Callable[[Page], object]
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
    with console_site(tmp_path_factory.mktemp("pages")) as running:
        running.people.add("ann", PASSWORD, display_name="<b>Ann</b>", roles={Role.OFFICER}, extension="2001")
        running.give_leave("dpo")
        run_its_course(running)
        run_the_recorder(running)
        yield running


def run_the_recorder(console: Console) -> None:
    """Give the recorder an alarm, messages and a changed configuration."""
    notices = NoticeStore(console.home.notices)
    install_shipped(notices)
    welsh = NewNotice(
        language="cy",
        service="Revenues",
        starts_at=datetime(2099, 1, 1, tzinfo=UTC),
        text="Rydym yn recordio galwadau.",
    )
    notices.put("first", SHIPPED / "second.en.flac", by="sally", of=welsh)
    played = [{"name": "first", "version": 1}]
    console.daemon.said |= {"alarms": {"disk_full": 2}, "notices": played}
    details = {"sha256": "ab" * 32, "changed": ["pause.max_s", "extension.2001"]}
    console.deps.repos.audit.append("config.reload", "os:root", "", details)
    assurance = console.deps.watch.assurance
    noon = datetime.combine(assurance.today - timedelta(days=2), time(12), assurance.site.zone)
    calls = [
        ExpectedCall(
            id=f"{number:032x}", pbx="asterisk", answered_at=noon + timedelta(minutes=5 * number), talk_s=187.0,
            extensions=("2001",), direction=CallDirection.INBOUND, number_end="1234", is_bypassed=number == 1,
        )
        for number in range(3)
    ]  # fmt: skip
    assurance.store.add_calls(calls, assurance.now())
    assurance.keep(noon.date())


def run_its_course(console: Console) -> None:
    """Give the call a course: a notice, a pause, a transfer, a span that was erased."""
    index = console.deps.copy_repositories.index
    began = index.get(ID).started_at
    spans = [
        ("recording", 0, 0.8, "Olive Officer", ""), ("paused", 0.8, 1.3, "Olive Officer", "agent"),
        ("recording", 1.3, 1.9, "Olive Officer", ""), ("recording", 1.9, 2.4, "Bob Benefits", ""),
        ("erased", 2.4, 2.7, "Bob Benefits", "card_data"), ("recording", 2.7, 3.0, "Bob Benefits", ""),
    ]  # fmt: skip
    segments = tuple(
        Segment(
            kind=SegmentKind(kind), start_s=start, end_s=end, operator=who, extension="2001" if "Olive" in who else "2",
            reason=why, by=who if why else "",
        )
        for kind, start, end, who, why in spans
    )  # fmt: skip
    notice = NoticeProof(
        id="first.en", sha256="ab" * 32, started_at=began - timedelta(seconds=9), complete=True, proof="heard",
        ended_at=began - timedelta(seconds=1), second_message=True,
    )  # fmt: skip
    silent = [int(10 * at) for one in segments if one.reason for at in (one.start_s, one.end_s)]
    peaks = [
        bytes(0 if silent[0] <= at < silent[1] else 40 + 37 * at * (side + 3) % 90 for at in range(30))
        for side in (0, 1)
    ]
    changed = replace(
        index.get(ID), segments=segments, notice=notice, peaks=(peaks[0], peaks[1]), paused_s=0.5, recorded_s=2.2,
        ended_at=began + timedelta(seconds=3), operators=("Olive Officer", "Bob Benefits"),
    )  # fmt: skip
    index.save(changed)


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


def at(path: str) -> Visit:
    return lambda page: page.goto(path)


def sign_in_again(page: Page) -> None:
    page.goto("/sign-in")
    page.fill("#name", "nobody")
    page.fill("#password", "not the password")
    page.get_by_role("button", name="Sign in").click()


def search(field: str, value: str) -> Visit:
    def visit(page: Page) -> None:
        page.goto("/recordings")
        page.fill(f"[name={field}]", value)
        page.click("main form button >> nth=0")

    return visit


def forgot(page: Page) -> None:
    page.goto("/live")
    page.click(f"#forgot-{CALL}")


def listen(page: Page) -> None:
    page.goto(f"/recordings/{ID}")
    page.get_by_role("button", name="Listen").click()
    page.wait_for_selector("#player[data-is-ready]")  # a click before its scripts is nobody's


def marked(page: Page) -> None:
    listen(page)
    page.get_by_role("tab", name="Copy").click()
    page.get_by_role("button", name="Mark a part from here").click()


def refuse_case(page: Page) -> None:
    page.goto("/cases/new")
    page.get_by_role("button", name="Continue").click()


def count_case(page: Page) -> None:
    page.goto("/cases/new")
    page.get_by_label("Their own calls").check()
    page.fill("#requester", "Mrs Example")
    page.get_by_role("button", name="Continue").click()
    for part, typed in (("day", "1"), ("month", "nov"), ("year", "26")):
        page.fill(f"[name=from_date-{part}]", typed)
    page.get_by_role("button", name="Open the case").click()


OPENED: list[str] = []
"""Paths of the cases that were opened; the year is in them."""


def open_case(page: Page) -> None:
    count_case(page)
    page.get_by_role("button", name="Open the case").click()
    page.wait_for_url(re.compile("/cases/SAR-"))
    OPENED.append(urlsplit(page.url).path)


def in_case(page_of_it: str) -> Visit:
    """Go to a page of the last case that was opened."""
    return lambda page: page.goto(f"{OPENED[-1]}/{page_of_it}")


def write_claim(page: Page) -> None:
    page.goto(f"/rights/new?recording={ID}")
    page.get_by_label("No longer needed for what it was made for").check()
    page.get_by_label("Who is asking?").fill("Mrs Example")
    page.get_by_label("What do they say, in their words or yours?").fill("it was years ago")
    page.get_by_role("button", name="Record the request").click()


def ask_for_several(page: Page) -> None:
    page.goto("/recordings")
    page.get_by_label("Select Olive Officer").check()
    page.get_by_role("button", name="Ask to listen").click()


def hold(page: Page) -> None:
    page.goto(f"/holds/new?recording={ID}")
    page.get_by_label("Evidence of unacceptable behaviour").check()
    page.get_by_label("Why is it needed?").fill("threats against an officer")
    page.get_by_role("button", name="Place the hold").click()


def release(page: Page) -> None:
    hold(page)
    page.get_by_label("Reference of the case").fill("U 12")
    page.get_by_role("button", name="Place the hold").click()
    page.get_by_role("link", name="evidence of unacceptable behaviour U 12").click()
    page.get_by_role("button", name="Release the hold").click()


def assured_day(page: Page) -> None:
    page.goto("/assurance")
    page.locator("#days a").click()


def explain_nothing(page: Page) -> None:
    assured_day(page)
    page.locator("#found a >> nth=0").click()
    page.get_by_role("button", name="Save the explanation").click()


def use_notice(page: Page) -> None:
    page.goto("/notices/first/2/use")
    page.get_by_label("From a day, at midnight").check()
    page.get_by_role("button", name="Bring into force").click()


def keys(page: Page) -> None:
    page.goto("/agent")
    page.locator("#agent-key summary").click()
    page.check("#agent-key-on")
    page.click("#agent-forgot")
    page.wait_for_selector("#agent-spans:not([hidden])")


def propose(page: Page) -> None:
    page.goto("/people")
    page.get_by_role("link", name="officer", exact=True).click()
    page.get_by_role("link", name="Give roles").click()
    page.get_by_label("Manager").check()
    page.get_by_label("Data protection officer").check()
    page.get_by_label("Why?").fill("she takes over on Monday")
    page.get_by_role("button", name="Give these roles").click()


def roles_wrong(page: Page) -> None:
    page.goto("/people/other/roles")
    page.get_by_role("button", name="Give these roles").click()


def proposal(page: Page) -> None:
    page.goto("/people")
    page.get_by_role("link", name="Give Olive Officer").click()


def authenticator(page: Page) -> None:
    page.goto("/account")
    page.fill("#password", PASSWORD)
    page.get_by_role("button", name="Set up an authenticator").click()


def wrong_code(page: Page) -> None:
    authenticator(page)
    page.fill("#code", "000000")
    page.get_by_role("button", name="Set up and sign in").click()


STATES: list[tuple[str, str, Visit, str]] = [
    ("sign_in", "ann", at("/sign-in"), "Account name"),
    ("sign_in_wrong", "ann", sign_in_again, "There is a problem"),
    ("accessibility", "ann", at("/accessibility"), "How accessible these pages are"),
    ("agent", "ann", at("/agent"), "Pause recording"),
    ("agent_no_extension", "plain", at("/agent"), "You are not at an extension"),
    ("agent_forgot", "ann", keys, "How much should be erased?"),
    ("live", "manager", at("/live"), "Resume the recording"),
    ("opt_out", "manager", at(f"/live/{CALL}/opt-out"), "Confirm both statements"),
    ("forgot", "ann", forgot, "State of the recording of <b>Ann</b>: paused."),
    ("recordings", "dpo", at("/recordings"), "1 call found, 1 recording"),
    ("recordings_none", "dpo", search("operator", "Nobody"), "0 calls found, 0 recordings"),
    ("recordings_wrong", "dpo", search("from_date-day", "31"), "The date must include a month and a year"),
    ("recording", "dpo", at(f"/recordings/{ID}"), "Parts of the call"),
    ("recording_listening", "dpo", listen, "You can listen for up to 30 minutes"),
    ("recording_copy", "dpo", marked, "Part 1 to silence"),
    ("recording_officer", "plain", at(f"/recordings/{ID}"), "Ask to listen"),
    ("recording_ask", "dpo", at(f"/recordings/{ID}/request"), "Why do you need it?"),
    ("recording_forgot", "dpo", at(f"/recordings/{ID}/forgot"), "You cannot get an erased part back"),
    ("recording_hold", "dpo", at(f"/recordings/{ID}/hold"), "What is it kept for?"),
    ("requests", "dpo", at("/requests"), "Your requests"),
    ("request_new", "dpo", ask_for_several, "What do you need the recordings for?"),
    ("absence", "dpo", at("/absence"), "While every team leader is absent"),
    ("cases", "dpo", at("/cases"), "There are no open cases"),
    ("case_refused", "dpo", refuse_case, "Enter the name of the person"),
    ("case_wide", "dpo", count_case, "1 recording fits this search"),
    ("case", "dpo", open_case, "The case is open."),
    ("cases_some", "dpo", at("/cases"), "Mrs Example"),
    ("case_identity", "dpo", in_case("identity"), "I confirmed who they are"),
    ("case_recordings", "dpo", in_case("recordings"), "1 recording to decide on"),
    ("case_narrow", "dpo", in_case("narrow"), "Up to what time?"),
    ("case_history", "dpo", in_case("history"), "Case opened"),
    ("case_letter", "dpo", in_case("letter/acknowledgement"), "Dear Mrs Example"),
    ("custody", "dpo", in_case("custody"), "Proven."),
    ("rights", "dpo", write_claim, "Record that it was withdrawn"),
    ("notifications", "dpo", at("/notifications"), "Nothing is waiting for you"),
    ("erasures", "dpo", at("/erasures"), "No erasures are waiting"),
    ("hold_wrong", "dpo", hold, "Enter the reference of the case"),
    ("hold_release", "dpo", release, "Why is it no longer needed?"),
    ("holds", "dpo", at("/holds"), "Evidence of unacceptable behaviour"),
    ("overview", "dpo", at("/overview"), "Waiting for you"),
    ("health", "dpo", at("/health"), "needs somebody to act"),
    ("notices", "dpo", at("/notices"), "In use"),
    ("notice", "dpo", at("/notices/first/2"), "Give up this date"),
    ("notice_use", "dpo", use_notice, "Enter the day from which callers hear this version"),
    ("changes", "dpo", at("/changes"), "pause.max_s"),
    ("account_changed", "admin", propose, "is waiting for another administrator"),
    ("account_roles_wrong", "admin", roles_wrong, "Select a role"),
    ("accounts", "dpo", at("/people"), "Waiting for a second person"),
    ("proposal", "dpo", proposal, "she takes over on Monday"),
    ("deputy", "dpo", at("/deputy"), "Change the deputy"),
    ("account", "dpo", at("/account"), "Sign out everywhere"),
    ("password", "dpo", at("/account/password"), "have 12 to 256 characters"),
    ("authenticator", "dpo", authenticator, "Code that the app shows now"),
    ("authenticator_wrong", "dpo", wrong_code, "The code is wrong"),
    ("pauses", "dpo", at("/reports/pauses"), "Olive Officer"),
    ("assurance", "dpo", at("/assurance"), "3 to explain"),
    ("assurance_day", "dpo", assured_day, "Went round the recorder"),
    ("assurance_wrong", "dpo", explain_nothing, "Enter a reason"),
    ("audit", "dpo", at("/audit"), "people.sign_in"),
    ("error", "dpo", at("/recordings/none"), "There is no such recording"),
]


SHOWN_BY_OTHERS = {
    "agent": "agent_forgot",
    "recordings_none": "recordings and recordings_wrong",
    "recording_listening": "recording and recording_copy",
    "cases": "cases_some",
    "authenticator": "authenticator_wrong",
}
"""States only for `make test-all`, with the states that show the same page with more on it than "none were found"."""
PAGES = [
    pytest.param(*state, id=state[0], marks=[pytest.mark.long] if state[0] in SHOWN_BY_OTHERS else [])
    for state in STATES
]

FRAME = (".top", "nav", "footer")


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


def test_the_board_draws_what_changed_and_leaves_the_rest(
    pages: dict[str, Page], console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, daemon = pages["manager"], console.daemon
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
    pages: dict[str, Page], console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, daemon = pages["manager"], console.daemon
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
    pages: dict[str, Page], console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, daemon = pages["ann"], console.daemon
    long = {**daemon._call(), "caller": "0044 20 7946 0000 extension 12345678", "service": "Customer Service Centre"}
    monkeypatch.setattr(daemon, "calls_rows", lambda: [long])
    page.goto("/live")
    for size in (NARROW, WIDE):
        page.set_viewport_size(size)
        boxes = [one.bounding_box() for one in page.locator("#live-rows :is(button, a)").all()]
        assert len(boxes) == 4, "pause, forgotten, opt-out, second message"
        assert all(box and box["x"] >= 0 and box["x"] + box["width"] <= size["width"] for box in boxes)


def test_a_pause_turns_amber_on_the_page_while_nothing_is_sent(
    pages: dict[str, Page], console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, daemon = pages["manager"], console.daemon
    since = datetime.now(UTC) - timedelta(seconds=LONG_PAUSE_S - 2)
    paused = {**daemon._call(), "state": "paused", "reasons": ["agent"], "state_since": since.isoformat()}
    monkeypatch.setattr(daemon, "calls_rows", lambda: [paused])
    page.goto("/live")
    age = page.locator(".board-state .age")
    expect(age).to_contain_text("long pause")
    expect(age).to_have_class("age age-late")
    assert violations(page, without=FRAME) == []


def test_a_second_thought_is_obeyed_once_the_change_could_be_seen(pages: dict[str, Page], console: Console) -> None:
    page, daemon = pages["manager"], console.daemon
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


_NOTE_A_BEGINNING = """{
  const audio = document.querySelector("audio");
  for (const one of ["seeking", "seeked"]) {
    audio.addEventListener(one, () => { window.began ||= audio.currentTime < 1; });
  }
}"""


def test_a_player_and_its_waveform_belong_together(pages: dict[str, Page], console: Console) -> None:
    page = pages["dpo"]
    listen(page)
    assert page.evaluate("document.querySelector('audio').networkState") in {0, 1}, "nothing is loaded before"
    opened = len(console.entries("recording.play.opened"))
    wave = page.locator("#player-wave").bounding_box()
    assert wave is not None
    page.mouse.click(wave["x"] + wave["width"] * 0.5, wave["y"] + 20)
    wait_until(page, "document.querySelector('audio').currentTime > 1.5")  # it plays from there
    page.keyboard.press("Tab")
    page.evaluate(_NOTE_A_BEGINNING)
    play_fast(page)
    page.get_by_role("button", name="Play from 0:00").first.press("Enter")
    wait_until(page, "window.began")  # it plays from the beginning
    wait_until(page, "document.querySelector('audio').ended")
    assert len(console.entries("recording.play.opened")) == opened + 1


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


def sealed_copy(page: Page) -> Path:
    """Make a copy of the recording that is shown, and delete it as the browser knows it; returns another one of it."""
    page.get_by_role("tab", name="Copy").click()
    page.select_option("#copy-format", "wav")
    page.fill("#copy-requester", "Mr Example")
    page.select_option("#copy-ground", "sar")
    page.fill("#copy-reason", "SAR-2026-0001")
    page.fill("#copy-passphrase", "violet otter lantern harbour")
    with page.expect_download() as download:
        page.get_by_role("button", name="Make the copy").click()
    kept = Path(download.value.path()).with_name("handed-over.zip")
    download.value.save_as(kept)
    download.value.delete()
    return kept


def test_a_browser_that_played_and_copied_a_recording_keeps_nothing_of_it(
    chromium: Chromium, console: Console, tmp_path: Path
) -> None:
    with console.browser() as plain:
        plain.sign_in("dpo")
        html = plain.submit(f"/recordings/{ID}/play").text
        found = re.search(r'src="(/recordings/[^"]+)"', html)
        assert found is not None
        sound = plain.get(found[1]).content
    assert sound.startswith(b"RIFF")

    context = chromium.playwright.chromium.launch_persistent_context(
        tmp_path / "profile", executable_path=EXECUTABLE, args=ARGUMENTS, downloads_path=tmp_path / "downloads"
    )
    try:
        page = sign_in(context, "dpo", url=console.url)
        page.goto(f"{console.url}/recordings/{ID}")
        page.get_by_role("button", name="Listen").click()
        play_fast(page)
        page.evaluate("document.querySelector('audio').play()")
        wait_until(page, "document.querySelector('audio').ended")
        copy = sealed_copy(page).read_bytes()
    finally:
        context.close()
    needles = [b"RIFF", *(one[at : at + 32] for one in (sound, copy) for at in range(2000, len(one) - 32, 4000))]
    assert len(needles) > 8
    files = [path for path in (tmp_path / "profile").rglob("*") if path.is_file() and not path.is_symlink()]
    assert len(files) > 20, "it is a profile"
    kept = [path for path in files if any(one in path.read_bytes() for one in needles)]
    assert kept == []
