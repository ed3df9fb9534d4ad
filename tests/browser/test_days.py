"""A day of every role in one browser at one desk, beside a running daemon with calls; then nothing of it is there."""

import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from recorder.common.home import Home
from recorder.config.reading import read_config
from recorder.notifications.watch import notify_of_changes
from recorder.permissions import Role
from recorder.web.app import create_app
from recorder.web.deps import ConsoleDeps
from recorder.web.server import server_config
from recorder.web.wiring import open_console
from tests.helpers.accounts import CHEAP, PASSWORD
from tests.helpers.chromium import (
    ARGUMENTS,
    EXECUTABLE,
    Chromium,
    new_page,
    play_fast,
    sign_in_on,
    violations,
    wait_until,
)
from tests.helpers.console_site import Browser, serving
from tests.helpers.exchange import Exchange, Talk, exchange

EDITS = (("look_back_s = 5.0", "look_back_s = 2.5"), ("erase_s = 3.0", "erase_s = 1.0"))
PASSPHRASE = "violet otter lantern harbour"
_NUMBER = re.compile(r"/[^/]*\d[^/]*")
PEOPLE = {
    "alice": {Role.OFFICER}, "rhea": {Role.MANAGER}, "lena": {Role.TEAM_LEADER}, "dora": {Role.DPO}, "ivo": {Role.ICT},
    "mia": {Role.MEMBER}, "adam": {Role.ADMIN},
}  # fmt: skip


@dataclass(frozen=True)
class Desk:
    """One browser with one profile, at which everybody signs in in turn."""

    context: BrowserContext
    page: Page
    url: str
    lines: Exchange
    deps: ConsoleDeps
    examined: set[str] = field(default_factory=set)
    """Pages whose accessibility was looked at; test_pages has them all, in their states."""

    @contextmanager
    def at(self, name: str) -> Iterator[Page]:
        page = self.page  # a page of one's own each time is a new tab and a new process
        sign_in_on(page, name, url=self.url)
        yield page
        kind = _NUMBER.sub("/-", urlsplit(page.url).path)
        if kind not in self.examined:
            self.examined.add(kind)
            assert violations(page) == []
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url("**/sign-in")

    def acts(self, *nouns: str) -> list[tuple[str, str]]:
        return [(one.act, one.actor) for one in self.deps.repos.audit.entries() if one.act.startswith(nouns)]


@pytest.fixture
def desk(chromium: Chromium, tmp_path: Path) -> Iterator[Desk]:
    with exchange(tmp_path / "home", edits=EDITS) as lines:
        home = Home(lines.home.root)
        with open_console(home, read_config(lines.home.config), hasher=CHEAP) as deps:
            for name, roles in PEOPLE.items():
                extension = "2001" if name == "alice" else None
                teams = ["Revenues"] if name == "rhea" else []
                deps.people.add(name, PASSWORD, display_name=name, roles=roles, extension=extension, teams=teams)
            with serving(server_config(create_app(deps), host="127.0.0.1", port=0)) as server:
                host, port = server.servers[0].sockets[0].getsockname()[:2]
                context = chromium.playwright.chromium.launch_persistent_context(
                    tmp_path / "profile", executable_path=EXECUTABLE, args=ARGUMENTS,
                    downloads_path=tmp_path / "downloads",
                )  # fmt: skip
                try:
                    yield Desk(context, new_page(context), f"http://{host}:{port}", lines, deps)
                finally:
                    context.close()


@pytest.mark.long  # `make test` has each page and act apart, and a profile searched after a recording was played
def test_everybody_has_their_day_and_the_browser_keeps_no_sound(desk: Desk, tmp_path: Path) -> None:
    recording = an_officer_pauses_while_the_call_goes_on(desk)
    a_manager_ends_the_recording_of_a_call_that_distresses(desk)
    an_officer_asks_and_the_team_leader_approves(desk, recording)
    an_officer_listens(desk, recording)
    a_member_hears_what_is_about_them_and_nothing_else(desk, recording)
    ict_looks_in_an_emergency_and_is_acknowledged(desk, recording)
    an_administrator_hears_nothing(desk, recording)
    archive = the_dpo_closes_a_subject_access_request(desk, recording, tmp_path)
    the_audit_log_has_it_all(desk, recording)

    sound = heard_by_http(desk, recording)
    desk.context.close()
    needles = [b"RIFF", *telling_parts(sound), *telling_parts(archive.read_bytes())]
    files = [path for path in (tmp_path / "profile").rglob("*") if path.is_file() and not path.is_symlink()]
    assert len(files) > 20, "it is a profile"
    assert [path for path in files if any(one in path.read_bytes() for one in needles)] == []


def telling_parts(content: bytes) -> list[bytes]:
    parts = [content[at : at + 32] for at in range(2000, len(content) - 32, 4000)]
    found = [part for part in parts if len(set(part)) > 8]
    assert len(found) > 3
    return found


def an_officer_pauses_while_the_call_goes_on(desk: Desk) -> str:
    with desk.at("alice") as page:
        expect(page).to_have_url(f"{desk.url}/agent")
        talk: Talk = desk.lines.call()
        recording = talk.join()
        said = page.locator("#agent-words")
        expect(said).to_have_text("Recording")
        talk.talk_for(1.3)
        page.click("#agent-button:not([aria-disabled])")
        expect(said).to_have_text("Paused")
        talk.talk_for(1.0)  # a second press that comes sooner is taken for a double click
        page.click("#agent-button:not([aria-disabled])")
        expect(said).to_have_text("Recording")
        talk.talk_for(1.5)
        row = talk.hang_up()
        expect(said).to_have_text("No call")
    assert [one["kind"] for one in row["segments"]] == ["recording", "paused", "recording"]
    return recording


def a_manager_ends_the_recording_of_a_call_that_distresses(desk: Desk) -> None:
    talk = desk.lines.call()
    call = talk.join()
    with desk.at("alice") as page:
        page.get_by_role("button", name="The caller asks not to be recorded").click()
        expect(page.locator("#agent-said")).to_contain_text("A manager has been asked")
    with desk.at("rhea") as page:
        page.goto(f"{desk.url}/live")
        page.get_by_role("link", name="Decide").click()
        page.check("#decision")
        page.check("#caller_asked")
        page.check("#distress_judged")
        page.fill("#reason", "he weeps")
        page.get_by_role("button", name="Save decision").click()
        expect(page.locator("#live-said")).to_contain_text("has ended for good")
    row = talk.hang_up()
    assert (row["id"], row["opted_out"]) == (call, True)


def open_recording(page: Page, desk: Desk, recording: str) -> None:
    """Find it by search, as people do, and open its page."""
    page.goto(f"{desk.url}/recordings")
    page.get_by_text("Search by result, extension or time of day").click()
    page.fill("#extension", "2001")
    page.get_by_role("button", name="Search").click()
    page.locator(f"a[href='/recordings/{recording}']").click()
    expect(page.locator("main .reference").first).to_contain_text(recording)


def an_officer_asks_and_the_team_leader_approves(desk: Desk, recording: str) -> None:
    with desk.at("alice") as page:
        open_recording(page, desk, recording)
        expect(page.locator("#wave")).to_be_visible()
        assert page.locator("audio").count() == 0
        page.get_by_role("button", name="Ask to listen").click()
        page.select_option("#request-category", "accuracy")
        page.fill("#request-reason", "what was agreed about the arrears?")
        page.get_by_role("button", name="Send the request").click()
        expect(page.locator("main [role=alert]")).to_contain_text("Your request has been sent")
    with desk.at("lena") as page:
        page.goto(f"{desk.url}/requests")
        page.get_by_role("link", name="alice asks to listen").click()
        expect(page.locator("main")).to_contain_text("what was agreed about the arrears?")
        page.get_by_role("button", name="Grant").click()
        expect(page.locator("main")).to_contain_text("The request is granted.")
        expect(page.locator("main")).not_to_contain_text("For you to decide")


def an_officer_listens(desk: Desk, recording: str) -> None:
    with desk.at("alice") as page:
        page.goto(f"{desk.url}/recordings/{recording}")
        listen_to_the_end(page)
    assert desk.acts("recording.play")[:3] == [
        ("recording.play", "alice"), ("recording.play.opened", "alice"), ("recording.play.served", "alice"),
    ]  # fmt: skip


def listen_to_the_end(page: Page) -> None:
    page.get_by_role("button", name="Listen").click()
    page.wait_for_selector("#player[data-is-ready]")
    play_fast(page)
    page.get_by_role("button", name="Play from 0:00", exact=True).click()
    wait_until(page, "document.querySelector('audio').ended")


def a_member_hears_what_is_about_them_and_nothing_else(desk: Desk, recording: str) -> None:
    with desk.at("mia") as page:
        assert page.goto(f"{desk.url}/recordings/{recording}").status == 403  # type: ignore[union-attr]
        page.goto(f"{desk.url}/requests")
        page.get_by_role("button", name="Ask to listen").click()
        page.get_by_label("References of the recordings").fill(recording)
        page.get_by_label("The caller authorised it in writing").check()
        page.get_by_label("Why do you need it?").fill("Mr Example asked me to look into it")
        page.get_by_label("Reference", exact=True).fill("letter of 24 November")
        page.get_by_role("button", name="Send the request").click()
        expect(page.locator("#mine")).to_contain_text("Waiting")
    with desk.at("lena") as page:
        page.goto(f"{desk.url}/requests")
        page.get_by_role("link", name="mia asks to listen").click()
        page.get_by_role("button", name="Grant").click()
        expect(page.locator("main")).to_contain_text("The request is granted.")
    with desk.at("mia") as page:
        page.goto(f"{desk.url}/recordings/{recording}")
        expect(page.get_by_role("button", name="Listen")).to_be_visible()


def ict_looks_in_an_emergency_and_is_acknowledged(desk: Desk, recording: str) -> None:
    with desk.at("ivo") as page:
        page.get_by_role("link", name="Administration").click()
        page.get_by_role("link", name=re.compile("^(System|Health)$")).click()
        expect(page.locator("main")).to_contain_text("Calls in progress")
        page.goto(f"{desk.url}/recordings/{recording}")
        page.get_by_role("link", name="Listen without approval").click()
        page.fill("#play-reason", "no sound after the update of the PBX")
        page.get_by_role("button", name="Listen").click()
        expect(page.locator("#player-play")).to_be_visible()
        assert page.get_by_role("button", name="Make the copy").count() == 0
    notify_of_changes(desk.deps.watch)  # as a thread of the console's process does every few seconds
    with desk.at("dora") as page:
        page.get_by_role("link", name="Overview").click()
        expect(page.locator(".waits li")).to_have_count(1)
        page.locator(".waits a").click()
        page.get_by_role("button", name="Acknowledge").click()
        expect(page.locator("#emergencies")).to_have_count(0)
        page.get_by_role("link", name="Overview").click()
        expect(page.locator("main")).to_contain_text("Nothing is waiting for you.")


def an_administrator_hears_nothing(desk: Desk, recording: str) -> None:
    with desk.at("adam") as page:
        assert page.goto(f"{desk.url}/recordings/{recording}").status == 403  # type: ignore[union-attr]
        page.goto(f"{desk.url}/notices")
        expect(page.locator("main")).to_contain_text("In use")
        expect(page.get_by_role("link", name="Recordings")).to_have_count(0)


def the_dpo_closes_a_subject_access_request(desk: Desk, recording: str, folder: Path) -> Path:
    with desk.at("dora") as page:
        page.goto(f"{desk.url}/cases")
        page.get_by_role("button", name="Open a case").click()
        page.get_by_label("Their own calls").check()
        page.fill("#requester", "Mr Example")
        page.get_by_role("button", name="Continue").click()
        page.get_by_role("button", name="Open the case").click()
        expect(page.locator("main h1")).to_have_text("Mr Example")
        case = page.url.rpartition("/")[2].partition("?")[0]
        page.get_by_role("link", name="Check who is asking").click()
        page.get_by_label("I confirmed who they are").check()
        write_down(page, "council tax account and date of birth")
        page.get_by_role("link", name="Search for recordings").click()
        page.fill("#extension", "2001")
        page.get_by_role("button", name="Search").click()
        page.check(f"input[value='{recording}']")
        page.get_by_role("button", name="Take into the case").click()
        page.get_by_role("link", name="Dismiss all that are left").click()
        page.fill("#text", "another caller")
        page.get_by_role("button", name="Dismiss").click()
        expect(page.locator("main")).to_contain_text("There are no recordings to decide on.")
    with desk.at("lena") as page:
        page.goto(f"{desk.url}/cases/{case}")
        page.get_by_role("link", name="Decide", exact=True).click()
        page.get_by_label("Disclose in part").check()
        page.fill("#text", "a neighbour's name is left out")
        page.get_by_role("button", name="Save the decision").click()
        expect(page.locator("main dl").first).to_contain_text("disclose in part, by lena")
    with desk.at("dora") as page:
        page.goto(f"{desk.url}/cases/{case}")
        page.locator("table").get_by_role("link", name="Redact and copy").click()
        page.get_by_role("tab", name="History").click()
        expect(page.locator("#holds ~ h4").first).to_contain_text("Subject access request")
        page.get_by_role("tab", name="Copy").click()
        page.select_option("#copy-format", "wav")
        page.get_by_role("button", name="Mark a part from here").click()
        part = page.get_by_role("group", name="Part 1 to silence")
        part.get_by_label("From").fill("0:00.5")
        part.get_by_label("To").fill("0:01")
        part.get_by_label("Who").select_option("caller")
        page.fill("#copy-redact_reason", "a neighbour's name")
        page.fill("#copy-requester", "Mr Example")
        page.select_option("#copy-ground", "sar")
        page.fill("#copy-reason", case)
        page.fill("#copy-passphrase", PASSPHRASE)
        with page.expect_download() as download:
            page.get_by_role("button", name="Make the copy").click()
        archive = folder / "handed-over.zip"
        download.value.save_as(archive)
        download.value.delete()
        page.goto(f"{desk.url}/cases/{case}")
        expect(page.locator("main table")).to_contain_text("Ready 1 part silenced")
        page.get_by_role("link", name="Hand over").click()
        write_down(page, "by recorded post, the passphrase by telephone")
        expect(page.locator("main table")).to_contain_text("Handed over")
        page.get_by_role("link", name="Close the case").click()
        page.get_by_role("button", name="Close the case").click()
        expect(page.locator("main dl").first).to_contain_text("Closed")
    with zipfile.ZipFile(archive) as package:
        assert {"recording-001.wav", "cover-sheet.html", "SHA256SUMS"} <= set(package.namelist())
        assert all(one.flag_bits & 1 for one in package.infolist()), "sealed"
    return archive


def write_down(page: Page, words: str) -> None:
    page.fill("#text", words)
    page.get_by_role("button", name="Save").click()
    expect(page.locator("main")).to_contain_text("Recorded in the case.")


def the_audit_log_has_it_all(desk: Desk, recording: str) -> None:
    with desk.at("dora") as page:
        page.goto(f"{desk.url}/recordings/{recording}")
        page.get_by_role("tab", name="History").click()
        history = page.locator("#history")
        for words in (
            "Paused the recording", "Asked to listen: checking what was said", "Granted the request of alice",
            "Was sent the audio", "Listened without approval", "Took a copy as WAV, 1 part silenced",
            "Was refused: see a recording's details",
        ):  # fmt: skip
            expect(history).to_contain_text(words)
        page.goto(f"{desk.url}/audit")
        page.fill("#subject", recording)
        page.get_by_role("button", name="Find entries").click()
        expect(page.locator("main")).to_contain_text("recording.export.done")


def heard_by_http(desk: Desk, recording: str) -> bytes:
    """Return the sound that the officer heard, fetched beside the browser."""
    with Browser(desk.url) as plain:
        plain.sign_in("alice")
        html = plain.submit(f"/recordings/{recording}/play").text
        found = re.search(r'src="(/recordings/[^"]+/audio/[^"]+)"', html)
        assert found is not None
        return plain.get(found[1]).content
