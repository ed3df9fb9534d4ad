"""Pages of a case for the transcripts of its recordings."""

from typing import Annotated

from fastapi import APIRouter, Form, UploadFile
from fastapi.responses import HTMLResponse
from starlette.responses import Response

from recorder.audit.audit_service import incomplete
from recorder.data_subjects import transcripts
from recorder.data_subjects.case_progress import row_of
from recorder.rules.transcripts import MOST_BYTES, TranscriptError, TranscriptForm, uploaded
from recorder.web.case_view import CasePages
from recorder.web.forms import Sent, TypedForm
from recorder.web.parts import Console, ConsoleParts, PageChanger, PageReader
from storage.types import RecordingId

router = APIRouter(include_in_schema=False)
_Word = Annotated[str, Form(max_length=40)]


@router.get("/cases/{case_id}/transcripts")
def list_transcripts(console: Console, case_id: str, caller: PageReader, done: str = "") -> HTMLResponse:
    """Show which recordings have a transcript."""
    return _page(CasePages(console=console, caller=caller, case_id=case_id), "case_transcripts.html", done=done)


@router.get("/cases/{case_id}/transcript")
def type_transcript(console: Console, case_id: str, caller: PageReader) -> HTMLResponse:
    """Ask for a transcript to be typed."""
    return _page(CasePages(console=console, caller=caller, case_id=case_id), "case_transcript.html")


@router.get("/cases/{case_id}/transcript-file")
def choose_transcript(console: Console, case_id: str, caller: PageReader) -> HTMLResponse:
    """Ask for the file of a transcript."""
    return _page(CasePages(console=console, caller=caller, case_id=case_id), "case_transcript_file.html")


@router.post("/cases/{case_id}/transcript")
def transcribe(  # noqa: PLR0917 - FastAPI passes them by name
    console: Console, case_id: str, caller: PageChanger, sent: Sent, recording: _Word = "", form: _Word = "",
    transcript: Annotated[str, Form(max_length=60_000)] = "",
) -> Response:  # fmt: skip
    """Store a typed transcript; longer ones are uploaded or given at the shell."""
    pages = CasePages(console=console, caller=caller, case_id=case_id, sent=sent)

    def act() -> None:
        if form not in {*TranscriptForm}:
            raise incomplete("Select how the transcript is written.", "form")
        content = transcript.encode("utf-8", "replace")
        transcripts.transcribe(
            _transcripts(console), caller.actor, case_id, recording, content=content, form=TranscriptForm(form)
        )

    return pages.after(act, lambda shown, status: _page(pages, "case_transcript.html", shown, status),
                       to="/transcripts", done="transcribed")  # fmt: skip


@router.post("/cases/{case_id}/transcript-file")
def upload_transcript(  # noqa: PLR0917 - FastAPI passes them by name
    console: Console, case_id: str, caller: PageChanger, sent: Sent, recording: _Word = "",
    file: UploadFile | None = None,
) -> Response:  # fmt: skip
    """Store an uploaded transcript."""
    pages = CasePages(console=console, caller=caller, case_id=case_id, sent=sent)

    def act() -> None:
        if file is None or not file.filename:
            raise incomplete("Select a file.", "file")
        try:
            content, form = uploaded(file.filename, file.file.read(MOST_BYTES + 1))
        except TranscriptError as error:
            raise incomplete(str(error), "file") from error
        transcripts.transcribe(_transcripts(console), caller.actor, case_id, recording, content=content, form=form)

    return pages.after(act, lambda shown, status: _page(pages, "case_transcript_file.html", shown, status),
                       to="/transcripts", done="transcribed")  # fmt: skip


@router.get("/cases/{case_id}/transcripts/{one}")
def read_transcript(console: Console, case_id: str, one: str, caller: PageReader) -> HTMLResponse:
    """Show the newest transcript of a recording."""
    text = transcripts.read_of(_transcripts(console), caller.actor, case_id, one).written()
    pages = CasePages(console=console, caller=caller, case_id=case_id)
    return pages.show("case_transcript_text.html", text=text, id=one, row=row_of(console.deps.cases, RecordingId(one)))


def _page(
    pages: CasePages, template: str, form: TypedForm | None = None, status: int = 200, done: str = ""
) -> HTMLResponse:
    written = pages.console.deps.transcripts.newest(pages.case_id)
    return pages.show(template, form=form, status=status, done=done, written=written)


def _transcripts(console: ConsoleParts) -> transcripts.TranscriptRepositories:
    deps = console.deps
    return transcripts.TranscriptRepositories(cases=deps.cases, kept=deps.transcripts, open=deps.copy_repositories.open)
