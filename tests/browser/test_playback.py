"""A recording is played: by its waveform, by one opening; and nothing of it stays in the browser."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.page_states import listen
from tests.helpers.chromium import ARGUMENTS, EXECUTABLE, Chromium, person, play_fast, sign_in, wait_until
from tests.helpers.console_site import Console
from tests.helpers.filled_console import filled_console
from tests.helpers.storage_home import ID

_NOTE_A_BEGINNING = """{
  const audio = document.querySelector("audio");
  for (const one of ["seeking", "seeked"]) {
    audio.addEventListener(one, () => { window.began ||= audio.currentTime < 1; });
  }
}"""
"""Notes when the player's sound is at its beginning."""


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with filled_console(tmp_path_factory.mktemp("playback")) as running:
        yield running


@pytest.fixture(scope="module")
def page(browser: Browser, console: Console) -> Iterator[Page]:
    """Somebody who may listen, signed in."""
    with person(browser, console.url, "dpo") as page:
        yield page


def test_a_player_and_its_waveform_belong_together(page: Page, console: Console) -> None:
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
