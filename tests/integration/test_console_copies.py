"""Copies in the console: by the same rules as at the shell, streamed, audited, and listed on the recording's page."""

import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from recorder.exports.copy_orders import CopyOrder, check_order
from recorder.exports.exporting import Copying
from recorder.permissions import Person, Role
from recorder.recordings.replay import copies_of
from storage.encoding import CopyFormat
from storage.errors import ExportError
from tests.helpers.console_site import Browser, Console, console_site
from tests.helpers.grants import keep_leave
from tests.helpers.recorder_home import eventually
from tests.helpers.storage_home import ID

DORA = Person(name="dpo", display_name="Dora Dpo", roles=frozenset({Role.DPO}))


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    with console_site(tmp_path, is_daemon_up=False) as console:
        yield console


@pytest.fixture
def browser(console: Console) -> Iterator[Browser]:
    console.give_leave()
    with console.browser() as browser:
        browser.sign_in()
        yield browser


def test_a_package_with_a_silenced_span_and_the_list_of_copies(console: Console, browser: Browser) -> None:
    assert "Copies that were made" not in browser.get(f"/recordings/{ID}").text
    answer = browser.submit(
        f"/recordings/{ID}/export", format="g711", reason="complaint 17", start="0:01", redact="caller:1.5-2\n",
        redact_reason="a neighbour", requester="J. Doe", ground="sar", package="yes",
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"] == f'attachment; filename="{ID}.zip"'
    assert answer.headers["cache-control"] == "no-store"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        sound, sheet = archive.read(f"{ID}.wav"), archive.read("cover-sheet.html").decode()
        assert archive.read("cover-sheet.pdf")[:5] == b"%PDF-"
    left = sound[58::2]
    assert len(left) == 16_000
    assert left[3600:8400] == b"\xd5" * 4800
    assert left[:3600] == bytes(i * 7 % 251 for i in range(8000, 11_600))
    assert "J. Doe" in sheet
    assert "a neighbour" in sheet
    done = console.entries("recording.export.done")[0].details
    assert done["sha256"] in sheet
    page = browser.get(f"/recordings/{ID}").text
    assert "Copies that were made" in page
    assert done["sha256"] in page
    (listed,) = browser.get(f"/api/recordings/{ID}").json()["copies"]
    assert (listed["sha256"], listed["made_by"], listed["redactions"]) == (done["sha256"], "dpo", 1)
    entries = console.entries("recording.export") + console.entries("recording.export.done")
    assert list(copies_of(entries).values()) == console.deps.copy_repositories.copies.of_recording(ID)


def test_the_api_takes_the_same_order(browser: Browser) -> None:
    order = {
        "format": "flac", "reason": "tribunal 4", "start_s": 0.5, "end_s": 2, "package": True,
        "passphrase": "violet otter lantern", "redactions": [{"start_s": 1, "end_s": 1.2, "reason": "a name"}],
    }  # fmt: skip
    copy = browser.post(f"/api/recordings/{ID}/export", json=order, headers={"X-CSRF-Token": browser.csrf})
    assert copy.status_code == 200, copy.text
    with zipfile.ZipFile(io.BytesIO(copy.content)) as archive:
        assert archive.namelist()[0] == "recording-001.flac"
        assert archive.infolist()[0].flag_bits & 1
    short = browser.post(
        f"/api/recordings/{ID}/export", json={**order, "passphrase": "short"}, headers={"X-CSRF-Token": browser.csrf}
    )
    assert short.status_code == 422
    assert "at least 16 characters" in short.json()["detail"]


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"format": "doc"}, 422, "The format must be one of"),
        ({"start": "soon"}, 422, "is not a time"),
        ({"end": "9"}, 422, "which is 3 seconds long"),
        ({"redact": "1-2"}, 422, "Enter why the parts are silenced"),
        ({"redact": "somewhere", "redact_reason": "x"}, 422, "is not a span to silence"),
        ({"ground": "spite"}, 422, "The ground must be one of"),
        ({"reason": ""}, 422, "Enter a reason"),
    ],
)
def test_refusals_are_on_the_page(
    console: Console, browser: Browser, fields: dict[str, str], status: int, words: str
) -> None:
    form = {"format": "wav", "reason": "complaint 17", **fields}
    answer = browser.submit(f"/recordings/{ID}/export", **form)
    assert answer.status_code == status
    assert words in answer.text
    assert 'role="alert"' in answer.text
    assert console.entries("recording.export") == []
    assert console.entries("access.refused") == []
    assert console.deps.copy_repositories.copies.of_recording(ID) == []


def test_a_refused_form_keeps_what_was_typed_but_the_passphrase(browser: Browser) -> None:
    typed = {
        "format": "flac", "reason": "complaint 17", "start": "soon", "end": "later", "redact": "0-1",
        "redact_reason": "a name", "requester": "J. Doe", "ground": "disclosure", "case": "c-1",
    }  # fmt: skip
    text = browser.submit(f"/recordings/{ID}/export", **typed, passphrase="correct horse battery").text
    for kept in ("soon", "later", "a name", "J. Doe", "c-1"):
        assert f'value="{kept}"' in text
    assert ">complaint 17</textarea>" in text
    assert ">0-1</textarea>" in text
    assert '<option value="flac" selected>' in text
    assert '<option value="disclosure" selected>' in text
    assert 'name="package" value="yes">' in text  # it was not ticked
    assert "correct horse" not in text


def test_a_copy_is_heard_before_it_is_made_and_is_the_same(console: Console, browser: Browser) -> None:
    wish = {"start": "0:01", "redact": "caller: 1.5 to 2\n", "redact_reason": "a neighbour"}
    page = browser.submit(f"/recordings/{ID}/preview", **wish)
    assert page.status_code == 200
    assert ">caller: 1.5 to 2" in page.text, "what was typed stays for the copy"
    found = re.search(r'src="(/recordings/[^"]+/audio/[^"]+)"', page.text)
    assert found is not None
    heard = browser.get(found[1]).content
    assert browser.get(found[1], headers={"Range": "bytes=4000-4999"}).content == heard[4000:5000]
    assert console.entries("recording.export") == []
    assert console.deps.copy_repositories.copies.of_recording(ID) == []
    copy = browser.submit(f"/recordings/{ID}/export", **wish, format="wav", reason="complaint 17")
    assert copy.content == heard
    assert len(heard) == 44 + 2 * 8000 * 4
    assert "Listened to a copy before it was made, 1 part silenced" in browser.get(f"/recordings/{ID}").text
    browser.submit("/sign-out")
    (served,) = console.entries("recording.play.served")
    assert served.details["spans"] == [{"from_s": 1.0, "to_s": 3.0}], "on the recording's clock"
    assert served.details["redactions"] == [{"start_s": 1.5, "end_s": 2.0, "channels": "left"}]


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [({"redact": "somewhere"}, 422, "is not a span to silence"), ({"end": "9"}, 422, "which is 3 seconds long")],
)
def test_a_preview_is_refused_as_the_copy_is(
    console: Console, browser: Browser, fields: dict[str, str], status: int, words: str
) -> None:
    answer = browser.submit(f"/recordings/{ID}/preview", **fields)
    assert (answer.status_code, words in answer.text) == (status, True)
    assert console.entries("recording.play") == []


def test_a_copy_that_breaks_off_stays_on_the_list(console: Console, browser: Browser) -> None:
    """Whoever took half of it has that half."""
    repos = console.deps.copy_repositories
    order = CopyOrder(form=CopyFormat.WAV, reason="complaint 17")
    copying = Copying(repos, DORA, order, [check_order(repos, DORA, ID, order)])
    chunks = copying.sound(0, "copy.wav")
    assert repos.copies.of_recording(ID) == []
    next(chunks)
    assert len(console.entries("recording.export")) == 1
    chunks.close()  # type: ignore[attr-defined]
    (listed,) = repos.copies.of_recording(ID)
    assert listed.sha256 is None
    (broken,) = console.entries("recording.export.broken_off")
    assert broken.details["copy"] == listed.id
    assert console.entries("recording.export.done") == []
    assert "Not completed" in browser.get(f"/recordings/{ID}").text


def test_whoever_hangs_up_in_the_middle_is_written_down(console: Console, browser: Browser) -> None:
    """An hour of silence goes over the line; the browser goes away after its first bytes."""
    index = console.deps.copy_repositories.index
    index.save(replace(index.get(ID), duration_s=3600.0))
    form = {"csrf": browser.csrf, "format": "wav", "reason": "complaint 17"}
    with browser.stream("POST", f"/recordings/{ID}/export", data=form) as answer:
        assert next(answer.iter_bytes(4))[:4] == b"RIFF"
        assert len(console.entries("recording.export")) == 1
    browser.close()
    eventually(lambda: console.entries("recording.export.broken_off"), "the end is written down", timeout_s=20)
    (broken,) = console.entries("recording.export.broken_off")
    assert broken.details["bytes"] < 3600 * 8000 * 4
    assert console.entries("recording.export.done") == []


def test_without_a_typesetter_it_is_said_before_the_first_byte(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recorder.exports.pdf.sys.executable", "/bin/false")
    repos = console.deps.copy_repositories
    order = CopyOrder(form=CopyFormat.WAV, reason="complaint 17")
    keep_leave(repos.requests, DORA.name, ID, until=repos.now() + timedelta(days=1))
    copying = Copying(replace(repos, site="x"), DORA, order, [check_order(repos, DORA, ID, order)])
    with pytest.raises(ExportError, match="PDF cannot be made here"):
        next(copying.package())
    assert console.entries("recording.export") == []
