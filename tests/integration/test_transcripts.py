"""A transcript in a case: written by who may hear, sealed with the recording, given away without what is left out."""

import io
import json
import os
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest

from recorder.common.problems import ProblemError
from recorder.data_subjects import casework, transcripts
from recorder.retention.erasing import forgot_recording
from recorder.retention.restricting import ClaimChange, ClaimWish, change_claim, write_claim
from recorder.retention.rights import ClaimEvent
from recorder.rules.cases import Case, CaseEvent, CaseKind
from recorder.rules.transcripts import TranscriptForm
from storage.retention_types import Right
from storage.types import RecordingId
from tests.helpers.accounts import Clock
from tests.helpers.console_site import Browser, Console, console_site, signed_in
from tests.helpers.starvation import stopwatch
from tests.helpers.storage_home import ID

WORDS = "My neighbour [[Mr Example]] said so"
VTT = f"WEBVTT\n\n00:00.000 --> 00:01.000\nGood morning\n\n00:01.000 --> 00:02.000\n{WORDS}\n"


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    clock = Clock(datetime(2026, 11, 25, 9, 0, tzinfo=UTC))
    with console_site(tmp_path, now=clock, is_daemon_up=False) as running:
        yield running


def decided(console: Console) -> Case:
    """Return a case of the team leader's that the data protection officer decided: its handler may hear and copy."""
    repos, lead = console.deps.cases, console.person("lead")
    case = casework.open_case(repos, lead, kind=CaseKind.SUBJECT_ACCESS, requester="J. Doe", form="", text="my call")
    casework.add_event(repos, lead, case.id, CaseEvent.IDENTITY_CHECKED, text="account and date of birth")
    casework.add_event(repos, lead, case.id, CaseEvent.SEARCHED, details={"found": 1})
    casework.match(repos, lead, case.id, [ID])
    details = {"decision": "partly", "balance": ""}
    return casework.add_event(
        repos, console.person("dpo"), case.id, CaseEvent.DECIDED, text="a neighbour's name", details=details
    )


def test_from_the_page_into_the_package_without_what_is_left_out(console: Console) -> None:
    case = decided(console)
    form = {"recording": ID, "form": "vtt", "transcript": VTT}
    with signed_in(console, "dpo") as dpo, signed_in(console, "lead") as lead:
        address = f"/cases/{case.id}/transcript"
        assert "You need permission to listen to" in dpo.submit(address, **form).text, "the officer has no grant"
        assert lead.submit(address, **form).status_code == 303
        assert "Mr Example" in lead.get(f"/cases/{case.id}/transcripts/{ID}").text
        assert dpo.get(f"/cases/{case.id}/transcripts/{ID}").status_code == 403
        assert lead.get(f"/cases/{case.id}/transcripts/20261124T093000Z-2001-ffffff").status_code == 404
        order = {"reason": "asked for by letter", "format": "wav", "package": "yes", "case": case.id}
        packed = lead.submit(f"/recordings/{ID}/export", **order)
        redacted = lead.submit(
            f"/recordings/{ID}/export", **order, redact="0:00-0:00.5", redact_reason="somebody else's words"
        )
        assert lead.submit(f"/recordings/{ID}/export", **{**order, "case": "SAR-2026-0099"}).status_code == 404
    content = console.home.people.read_bytes()
    for text in (b"Mr Example", b"Good morning", b"My neighbour"):
        assert text not in content, "sealed with the recording's key"
    with zipfile.ZipFile(io.BytesIO(packed.content)) as archive:
        written = archive.read("transcript-001.vtt").decode()
        assert "Good morning" in written
        assert "My neighbour [left out] said so" in written
        assert "Mr Example" not in written
        sheet = archive.read("cover-sheet.html").decode()
        for words in (case.id, "Checked on 25 November 2026", "transcript-001.vtt"):
            assert words in sheet
        assert "transcript-001.vtt" in archive.read("SHA256SUMS").decode()
        assert json.loads(archive.read("manifest.json"))["case"] == case.id
    with zipfile.ZipFile(io.BytesIO(redacted.content)) as archive:
        assert "Good morning" not in archive.read("transcript-001.vtt").decode()
    entries = [entry for entry in console.entries() if entry.act == "case.transcribed"]
    assert [entry.details["recording"] for entry in entries] == [ID]
    assert not any("Example" in json.dumps(entry.details) for entry in console.entries())


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"form": "docx"}, 422),
        ({"form": "vtt", "transcript": "no times"}, 422),
        ({"form": "txt", "transcript": "a\x00b"}, 422),
        ({"recording": "../../etc"}, 404),
        ({"transcript": ""}, 422),
        ({"transcript": "x" * 70_000}, 413),
    ],
)
def test_bad_forms_are_refused(shared: tuple[Console, Case], changes: dict[str, str], status: int) -> None:
    console, case = shared
    form = {"recording": ID, "form": "txt", "transcript": "She said so.", **changes}
    with signed_in(console, "lead") as lead:
        assert lead.submit(f"/cases/{case.id}/transcript", **form).status_code == status
    assert console.deps.transcripts.newest(case.id) == {}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Console, Case]]:
    with console_site(tmp_path_factory.mktemp("transcripts"), is_daemon_up=False) as running:
        yield running, decided(running)


SRT = "1\r\n00:00:00,000 --> 00:00:01,000\r\nGood <b>morning</b>\r\n\r\n2\r\n00:00:01,000 --> 00:00:02,000\r\nyes\r\n"


def upload(lead: Browser, case: Case, name: str, content: bytes) -> httpx2.Response:
    return lead.post(
        f"/cases/{case.id}/transcript-file", data={"csrf": lead.csrf, "recording": ID},
        files={"file": (name, content, "text/plain")},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "shown"),
    [
        ("talk.txt", b"She said <script>so</script>.", "&lt;script&gt;"),
        ("talk.VTT", VTT.encode(), "00:00:01.000 --&gt;"),
        ("talk.srt", b"\xef\xbb\xbf" + SRT.encode(), "Good morning"),
    ],
)
def test_a_file_is_a_transcript_like_one_that_was_typed(
    console: Console, name: str, content: bytes, shown: str
) -> None:
    case = decided(console)
    with signed_in(console, "lead") as lead, signed_in(console, "dpo") as dpo:
        assert upload(dpo, case, name, content).status_code == 403, "no leave to hear it"
        assert "Upload a transcript" in lead.get(f"/cases/{case.id}/transcript-file").text
        assert upload(lead, case, name, content).status_code == 303
        page = lead.get(f"/cases/{case.id}/transcripts/{ID}").text
    assert shown in page
    assert "<script>so" not in page
    assert content[-20:] not in console.home.people.read_bytes(), "sealed with the recording's key"
    assert [entry.details["recording"] for entry in console.entries("case.transcribed")] == [ID]


@pytest.mark.parametrize(
    ("name", "content", "status", "why"),
    [
        ("talk.wav", b"RIFF....WAVE", 422, "plain text (.txt), WebVTT (.vtt) or SubRip (.srt)"),
        ("talk.txt", b"RIFF....WAVEfmt ", 422, "a sound file (WAV)"),
        ("talk.vtt", b"ID3\x04", 422, "a sound file (MP3)"),
        ("talk.txt", b"PK\x03\x04word/document.xml", 422, "word processors"),
        ("talk.txt", "She said so".encode("utf-16"), 422, "UTF-16"),
        ("talk.txt", "caf\xe9".encode("latin-1"), 422, "text in UTF-8"),
        ("talk.txt", b"a\x00b", 422, "control characters"),
        ("talk.txt", b"", 422, "empty"),
        ("talk.srt", b"1\n00:00:09,000 --> 00:00:10,000\nafter the end\n", 422, "ends after the recording"),
        ("talk.srt", b"no times", 422, "is not the beginning of a cue"),
        ("talk.txt", b"x" * 500_001, 422, "at most 500,000 bytes"),
        ("talk.txt", b"x" * 1_000_000, 413, "at most 900000 bytes"),
        ("talk", b"She said so", 422, "plain text (.txt)"),
    ],
)
def test_what_is_no_transcript_is_refused_with_the_reason(
    shared: tuple[Console, Case], name: str, content: bytes, status: int, why: str
) -> None:
    console, case = shared
    with signed_in(console, "lead") as lead:
        answer = upload(lead, case, name, content)
        assert (answer.status_code, why in answer.text) == (status, True), answer.text
        assert lead.submit(f"/cases/{case.id}/transcript-file", recording=ID).status_code == 422, "no file"
        wrong = lead.post(f"/cases/{case.id}/transcript-file", data={"csrf": "x"}, files={"file": ("a.txt", b"a")})
        assert wrong.status_code == 403
    assert console.deps.transcripts.newest(case.id) == {}


@pytest.mark.parametrize("endless", [b"<" * 400_000, b"<v" + b" " * 100_000, b"<v." * 100_000, b"[[" * 50_000])
@pytest.mark.parametrize("head", [b"", b"WEBVTT\n\n00:01.000 --> 00:02.000\n"])
def test_marks_without_an_end_do_not_hold_up_who_pauses(
    shared: tuple[Console, Case], head: bytes, endless: bytes
) -> None:
    """Whoever reads them once for each would keep the interpreter to itself for half an hour."""
    console, case = shared
    name = "talk.vtt" if head else "talk.txt"
    with signed_in(console, "lead") as lead:
        took_s = stopwatch(os.getpid())
        answer = upload(lead, case, name, head + endless + b"x]")
        assert answer.status_code in (303, 422), answer.text
        assert took_s() < 5.0


def test_a_restricted_recording_is_not_written_down(console: Console) -> None:
    case = decided(console)
    claims = casework.claim_repositories(console.deps.cases)
    wish = ClaimWish(right=Right.RESTRICTION, ground="accuracy", requester="J. Doe", reason="not what I said")
    claim = write_claim(claims, console.person("lead"), ID, wish)
    repos = transcripts.TranscriptRepositories(
        cases=console.deps.cases, kept=console.deps.transcripts, open=console.deps.copy_repositories.open
    )

    def write() -> Case:
        lead = console.person("lead")
        return transcripts.transcribe(repos, lead, case.id, ID, content=b"She said so.", form=TranscriptForm.TEXT)

    with pytest.raises(ProblemError) as caught:
        write()
    assert caught.value.status == 409
    change_claim(claims, console.person("dpo"), claim.id, ClaimChange(event=ClaimEvent.UPHOLD, words="it is contested"))
    change_claim(claims, console.person("dpo"), claim.id, ClaimChange(event=ClaimEvent.LIFT, words="looked into it"))
    assert write().entries[-1].step is CaseEvent.TRANSCRIBED
    assert RecordingId(ID) in console.deps.transcripts.newest(case.id)


def test_of_a_recording_of_which_part_is_to_be_erased_nothing_is_read_or_written(console: Console) -> None:
    case = decided(console)
    address, form = f"/cases/{case.id}/transcript", {"recording": ID, "form": "txt", "transcript": "The card is 4929."}
    with signed_in(console, "lead") as lead:
        assert lead.submit(address, **form).status_code == 303
        forgot_recording(console.deps.repos, console.person("officer"), ID, span_s=(1.0, 2.0), reason="card read out")
        read = lead.get(f"/cases/{case.id}/transcripts/{ID}")
        assert read.status_code == 409
        assert "4929" not in read.text
        assert lead.submit(address, **form).status_code == 409
        assert upload(lead, case, "talk.txt", b"The card is 4929.").status_code == 409
