"""The player of a recording: a part is silenced by dragging or by keys alone, heard before, copied, and silent."""

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from audio.codecs import encode
from audio.types import Codec
from storage.redaction import MARGIN_S
from storage.rows import row_from_json
from storage.runs import ANCHOR, AUDIO, PCMA, pack
from storage.types import RecordingId
from tests.helpers.chromium import NARROW, WIDE, is_too_wide, person, violations, wait_until
from tests.helpers.console_site import Console, console_site
from tests.helpers.storage_home import Site, head, row

TALK = RecordingId("20261124T093000Z-2001-5a5a5a")
SECONDS, RATE = 9, 8000
Sound = NDArray[np.int16]


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    folder = tmp_path_factory.mktemp("player")
    with console_site(folder, is_daemon_up=False) as running:
        record_talk(folder, running)
        running.give_leave("dpo", TALK)
        yield running


def record_talk(folder: Path, console: Console) -> None:
    """Record two voices: tones that swell four times a second, as syllables do; nobody speaks from 7 s on."""
    at = np.arange(SECONDS * RATE) / RATE
    swell = 6000 * (0.6 + 0.4 * np.sin(8 * np.pi * at)) * (at < 6.5)
    voices = [encode(Codec.PCMA, (swell * np.sin(2 * np.pi * hz * at)).astype(np.int16)) for hz in (430, 790)]
    site = Site(folder)
    opened = site.vault.create(head(TALK))
    for second in range(SECONDS):
        begin = second * RATE
        for side, voice in enumerate(voices):
            anchor = pack(ANCHOR, side, PCMA, begin, aux=second * 1_000_000_000)
            opened.append(pack(AUDIO, side, PCMA, begin, payload=voice[begin : begin + RATE]) + anchor)
    fields = {"ended_at": "2026-11-24T09:30:09Z", "duration_s": float(SECONDS), "recorded_s": float(SECONDS)}
    finished = opened.close(row(TALK, **fields), is_complete=True)
    segments = [{"start_s": 0.0, "end_s": float(SECONDS), "kind": "recording", "reason": "", "by": ""}]
    kept = row(
        TALK, **fields, path=finished.path, bytes=finished.bytes, sha256=finished.sha256, segments=segments,
        operator="Olive Officer",
    )  # fmt: skip
    peaks = bytes(90 if tenth < 65 else 0 for tenth in range(SECONDS * 10))
    console.deps.copy_repositories.index.save(replace(row_from_json(kept), peaks=(peaks, peaks)))


@pytest.fixture(scope="module")
def page(browser: Browser, console: Console) -> Iterator[Page]:
    with person(browser, console.url, "dpo") as page:
        page.on("console", allow_no_violation)
        yield page


def allow_no_violation(message: ConsoleMessage) -> None:
    assert "Content Security Policy" not in message.text, message.text


def listen(page: Page) -> None:
    page.goto(f"/recordings/{TALK}")
    page.get_by_role("button", name="Listen").click()
    ready(page)


def ready(page: Page) -> None:
    page.wait_for_selector("#player[data-is-ready]")


def sound_of(page: Page) -> Sound:
    """Return what the player of a page plays, fetched with the page's own session."""
    content = page.request.get(page.locator("#sound").get_attribute("src") or "").body()
    return samples(content)


def samples(content: bytes) -> Sound:
    found, rate = soundfile.read(io.BytesIO(content), dtype="int16")
    assert rate == RATE
    return np.asarray(found, dtype=np.int16)


def is_silenced(sound: Sound, whole: Sound, start_s: float, end_s: float) -> None:
    """Check that a copy is silent in a span, to the sample, and that everything else is as it was."""
    first, last = round((start_s - MARGIN_S) * RATE), round((end_s + MARGIN_S) * RATE)
    assert sound.shape == whole.shape
    assert not sound[first:last].any(), "silent to the sample"
    assert np.array_equal(sound[:first], whole[:first])
    assert np.array_equal(sound[last:], whole[last:])
    assert whole[first:last].any(axis=0).all(), "both voices were there"


def copied(page: Page, folder: Path, press: str = "") -> Sound:
    """Return the copy that the page's form makes."""
    with page.expect_download() as download:
        if press:
            page.keyboard.press(press)
        else:
            page.get_by_role("button", name="Make the copy").click()
    download.value.save_as(folder / "copy.wav")
    download.value.delete()
    return samples((folder / "copy.wav").read_bytes())


def drag(page: Page, from_s: float, to_s: float) -> None:
    """Drag over the waveform."""
    wave = page.locator("#player-wave")
    wave.scroll_into_view_if_needed()
    box = wave.bounding_box()
    assert box is not None
    x, y = [box["x"] + 1 + (box["width"] - 2) * at / SECONDS for at in (from_s, to_s)], box["y"] + 120
    page.mouse.move(x[0], y)
    page.mouse.down()
    page.mouse.move((x[0] + x[1]) / 2, y, steps=3)
    page.mouse.move(x[1], y, steps=3)
    page.mouse.up()


def test_a_part_is_silenced_by_dragging(page: Page, console: Console, tmp_path: Path) -> None:
    listen(page)
    whole = sound_of(page)
    page.get_by_role("tab", name="Copy").click()
    drag(page, 2.0, 3.0)
    part = page.get_by_role("group", name="Part 1 to silence")
    start, end = part.get_by_label("From"), part.get_by_label("To")
    drawn = [start.input_value(), end.input_value()]
    assert [abs(float(one.partition(":")[2]) - at) < 0.15 for one, at in zip(drawn, (2, 3), strict=True)] == [True] * 2
    start.fill("0:02.1")
    end.fill("3.4")
    page.get_by_label("Why are they silenced?").fill("a neighbour's name")
    assert page.locator("[name=redact]").input_value() == "0:02.1 to 3.4", "the fields are what is sent"
    page.get_by_role("button", name="Hear it as the requester will").click()
    ready(page)
    expect(page.locator("#player")).to_contain_text("This is the copy as the requester will hear it")
    preview = sound_of(page)
    is_silenced(preview, whole, 2.1, 3.4)
    assert console.entries("recording.export") == [], "nothing was copied yet"
    played = console.entries("recording.play")[-1].details
    assert played["preview"] is True
    assert played["redactions"] == [{"start_s": 2.1, "end_s": 3.4, "channels": "both"}]
    page.get_by_label("Why do you need a copy?").fill("case 12")
    page.select_option("#copy-format", "wav")
    page.get_by_text("into a ZIP archive").click()
    assert np.array_equal(copied(page, tmp_path), preview), "the copy is what was heard"


def tab_to(page: Page, selector: str, *, back: bool = False) -> None:
    """Press Tab until a control has the focus."""
    for _ in range(80):
        page.keyboard.press("Shift+Tab" if back else "Tab")
        if page.evaluate("(wanted) => document.activeElement.matches(wanted)", selector):
            return
    pytest.fail(f"Tab never reaches {selector}")


def focused(page: Page) -> str:
    value: str = page.evaluate("document.activeElement.value")
    return value


def test_a_part_is_silenced_by_keyboard_alone(page: Page, tmp_path: Path) -> None:
    page.goto(f"/recordings/{TALK}")
    tab_to(page, "form[action$='/play'] button")
    page.keyboard.press("Enter")
    ready(page)
    whole = sound_of(page)
    tab_to(page, "#player-wave")
    page.keyboard.press("ArrowRight")
    assert page.locator("#player-wave").get_attribute("aria-valuetext") == "0:05 of 0:09"
    tab_to(page, "#player-mark")
    page.keyboard.press("Enter")
    assert focused(page) == "0:05", "it begins where the player is, and its start has the focus"
    for keys in ("ArrowDown", "ArrowDown", "Shift+ArrowDown"):
        page.keyboard.press(keys)
    assert focused(page) == "0:03.8"
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowUp")
    assert focused(page) == "0:06.1"
    tab_to(page, "[name=redact_reason]")
    page.keyboard.type("a neighbour's name")
    tab_to(page, "[formaction*=preview]")
    page.keyboard.press("Enter")
    page.wait_for_url("**/preview#copy")
    ready(page)
    preview = sound_of(page)
    is_silenced(preview, whole, 3.8, 6.1)
    for selector, keys in (("#copy-reason", "case 12"), ("#copy-format", "W"), ("#copy-package", " ")):
        tab_to(page, selector)
        page.keyboard.type(keys)
    tab_to(page, "form[action*=export] button:not([formaction]):not([type=button])")
    assert np.array_equal(copied(page, tmp_path, press="Enter"), preview)


def test_a_part_of_the_call_is_copied_as_it_was_heard(page: Page, tmp_path: Path) -> None:
    listen(page)
    whole = sound_of(page)
    page.get_by_role("tab", name="Copy").click()
    page.get_by_label("the part to copy").check()
    drag(page, 1.0, 5.0)
    page.fill("#copy-start", "0:01")
    page.fill("#copy-end", "0:05")
    page.get_by_role("button", name="Hear it as the requester will").click()
    ready(page)
    assert page.locator("#player-wave").get_attribute("aria-valuemax") == "4"
    assert np.array_equal(sound_of(page), whole[RATE : 5 * RATE])


NOW = "document.querySelector('#sound').currentTime"
NOTE_QUIET = """{
  window.quiet = [];
  const sound = document.querySelector("#sound");
  sound.addEventListener("timeupdate", () => {
    if (sound.currentTime > 7 && sound.currentTime < 8.7) window.quiet.push(sound.currentTime);
  });
}"""
IS_PAUSED = "document.querySelector('#sound').paused"


def test_buttons_and_keys_play(page: Page) -> None:
    listen(page)
    assert page.evaluate("document.querySelector('#sound').networkState") in {0, 1}, "nothing is loaded before"
    play = page.locator("#player-play")
    play.click()
    expect(play).to_have_text("Pause")
    page.uncheck("#player-left")  # by Web Audio, from here on
    wait_until(page, f"{NOW} > 0.3")
    page.focus("#player-wave")
    page.keyboard.press(" ")
    expect(play).to_have_text("Play")
    page.keyboard.press("Home")
    for key, at in (("ArrowRight", 5), ("l", 9), ("ArrowLeft", 4), ("j", 0), ("End", 9), ("Home", 0)):
        page.keyboard.press(key)
        assert abs(page.evaluate(NOW) - at) < 0.1, key
    page.click("#player-forward")
    page.click("#player-back")
    assert page.evaluate(NOW) < 0.1
    page.select_option("#player-speed", "2")
    assert page.evaluate("document.querySelector('#sound').playbackRate") == 2
    page.hover("#player-wave", position={"x": 5, "y": 5})
    expect(page.locator("#player-pointer")).to_contain_text("Pointer at 0:00")
    page.check("#player-skip")
    page.evaluate(NOTE_QUIET)
    page.keyboard.press("Home")
    page.focus("#player-wave")
    page.keyboard.press("k")
    wait_until(page, "document.querySelector('#sound').ended")
    assert page.evaluate("window.quiet") == [], "from the last word it goes to the end"
    page.uncheck("#player-skip")
    page.select_option("#player-speed", "0.5")  # it must go on while the page is pressed and looked at
    page.get_by_role("button", name="Play from 0:00").click()
    wait_until(page, f"{NOW} > 0.2 && {NOW} < 3")
    page.click("#player-in")
    assert page.evaluate(IS_PAUSED) is False
    play.click()


def test_a_part_to_erase_is_marked_by_dragging(page: Page, console: Console) -> None:
    page.goto(f"/recordings/{TALK}/erase")
    page.get_by_role("button", name="Listen while you mark the part").click()
    ready(page)
    drag(page, 4.0, 5.0)
    page.fill("#erase-start", "4")
    page.focus("#erase-end")
    page.keyboard.press("Shift+ArrowUp")
    end_s = float(page.locator("#erase-end").input_value().partition(":")[2])
    assert 5.8 < end_s < 6.2
    page.get_by_role("button", name="Play this part").click()
    wait_until(page, f"{IS_PAUSED} && {NOW} >= {end_s}")  # it stops at the end of the part
    page.fill("#erase-reason", "a neighbour's name")
    page.get_by_role("button", name="Mark for erasure").click()
    expect(page.locator(".govuk-notification-banner--success")).to_contain_text("A second person has to confirm")
    (order,) = console.deps.repos.erasures.newest(1)
    assert (order.start_s, order.end_s) == (4.0, end_s)
    page.goto(f"/erasures/{order.id}")
    expect(page.locator("main dl")).to_contain_text("0:04 to")
    assert violations(page) == []
    page.set_viewport_size(NARROW)
    assert not is_too_wide(page)
    page.set_viewport_size(WIDE)
