"""A transcript in a case: written by who may hear, sealed with the recording, given away without what is left out."""

import io
import json
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from recorder.cases import casework, transcripts
from recorder.domain.cases import Case, CaseKind, Step
from recorder.domain.rights import ClaimEvent
from recorder.domain.transcripts import TranscriptForm
from recorder.keeping.erasing import forgot_recording
from recorder.keeping.restricting import ClaimStep, ClaimWish, change_claim, write_claim
from recorder.problems import ProblemError
from storage.types import RecordingId, Right
from tests.helpers.accounts import Clock
from tests.helpers.console_site import Console, console_site, signed_in
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
    books, lead = console.deps.cases, console.person("lead")
    case = casework.open_case(books, lead, kind=CaseKind.SUBJECT_ACCESS, requester="J. Doe", form="", text="my call")
    casework.take_step(books, lead, case.id, Step.IDENTITY_CHECKED, text="account and date of birth")
    casework.take_step(books, lead, case.id, Step.SEARCHED, details={"found": 1})
    casework.match(books, lead, case.id, [ID])
    details = {"decision": "partly", "balance": ""}
    return casework.take_step(
        books, console.person("dpo"), case.id, Step.DECIDED, text="a neighbour's name", details=details
    )


def test_from_the_page_into_the_package_without_what_is_left_out(console: Console) -> None:
    case = decided(console)
    form = {"recording": ID, "form": "vtt", "transcript": VTT}
    with signed_in(console, "dpo") as dpo, signed_in(console, "lead") as lead:
        address = f"/cases/{case.id}/transcript"
        assert "leave to hear" in dpo.submit(address, **form).text, "the officer has no leave to hear it"
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


def test_a_restricted_recording_is_not_written_down(console: Console) -> None:
    case = decided(console)
    claims = casework.claim_books(console.deps.cases)
    wish = ClaimWish(right=Right.RESTRICTION, ground="accuracy", requester="J. Doe", reason="not what I said")
    claim = write_claim(claims, console.person("lead"), ID, wish)
    books = transcripts.TranscriptBooks(
        cases=console.deps.cases, kept=console.deps.transcripts, open=console.deps.copy_books.open
    )

    def write() -> Case:
        lead = console.person("lead")
        return transcripts.transcribe(books, lead, case.id, ID, content=b"She said so.", form=TranscriptForm.TEXT)

    with pytest.raises(ProblemError) as caught:
        write()
    assert caught.value.status == 409
    change_claim(claims, console.person("dpo"), claim.id, ClaimStep(event=ClaimEvent.UPHOLD, words="it is contested"))
    change_claim(claims, console.person("dpo"), claim.id, ClaimStep(event=ClaimEvent.LIFT, words="looked into it"))
    assert write().entries[-1].step is Step.TRANSCRIBED
    assert RecordingId(ID) in console.deps.transcripts.newest(case.id)


def test_of_a_recording_of_which_part_is_to_be_erased_nothing_is_read_or_written(console: Console) -> None:
    case = decided(console)
    address, form = f"/cases/{case.id}/transcript", {"recording": ID, "form": "txt", "transcript": "The card is 4929."}
    with signed_in(console, "lead") as lead:
        assert lead.submit(address, **form).status_code == 303
        forgot_recording(console.deps.books, console.person("officer"), ID, span_s=(1.0, 2.0), reason="card read out")
        read = lead.get(f"/cases/{case.id}/transcripts/{ID}")
        assert read.status_code == 409
        assert "4929" not in read.text
        assert lead.submit(address, **form).status_code == 409
