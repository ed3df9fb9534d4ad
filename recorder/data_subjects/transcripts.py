"""Transcripts of recordings in a case, sealed with the recording's own key, so that they are destroyed with it.

Writing or reading a transcript needs an access grant for the recording. Every version is kept until the texts of its
case expire; the newest goes with copies.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Engine, func, insert, select

from recorder.access.tables import transcripts as _table
from recorder.common.problems import ProblemError
from recorder.data_subjects.case_entries import CaseRepositories, require_worker, write_event
from recorder.data_subjects.case_repository import CaseRepository
from recorder.exports.copy_orders import CaseFile
from recorder.permissions import Act, Actor, Person
from recorder.retention.erasure_repositories import refuse_locked
from recorder.retention.restricting import refuse_restricted
from recorder.rules.call_parts import withheld_of
from recorder.rules.cases import Case, CaseEvent, Decision
from recorder.rules.requesting import GRANT_ENDED, AccessKind
from recorder.rules.times import day
from recorder.rules.transcripts import (
    OVERHANG_S,
    Transcript,
    TranscriptError,
    TranscriptForm,
    for_copy,
    read_transcript,
)
from storage.claims import Claims
from storage.erasures import Erasures
from storage.errors import DamagedError, NotFoundError, StorageError
from storage.reader import RecordingReader
from storage.types import RecordingId, RecordingRow

READ = "case.transcript_read"
"""Act of the audit log: somebody read a transcript."""
Open = Callable[[RecordingRow], RecordingReader]


@dataclass(frozen=True, slots=True)
class Transcripts:
    """The transcripts in one accounts database; the caller keeps ``engine`` (from ``open_accounts``) open."""

    engine: Engine

    def keep(self, case_id: str, recording: RecordingId, form: TranscriptForm, sealed: bytes) -> None:
        """Store a new version."""
        with self.engine.begin() as connection:
            is_of = (_table.c.case == case_id) & (_table.c.recording == recording)
            number = connection.execute(select(func.count()).where(is_of)).scalar_one()
            row = {"case": case_id, "recording": recording, "number": number, "form": str(form), "sealed": sealed}
            connection.execute(insert(_table).values(**row))

    def newest(self, case_id: str) -> dict[RecordingId, tuple[TranscriptForm, bytes]]:
        """Return the newest version for each recording of a case, sealed."""
        query = select(_table).where(_table.c.case == case_id).order_by(_table.c.number)
        with self.engine.begin() as connection:
            rows = connection.execute(query).all()
        return {RecordingId(row.recording): (TranscriptForm(row.form), row.sealed) for row in rows}


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptRepositories:
    """What transcripts read and write.

    Attributes:
        cases: Cases, access grants and the audit log.
        kept: Transcripts.
        open: Opens a container with the private key; raises StorageError.
    """

    cases: CaseRepositories
    kept: Transcripts
    open: Open


def transcribe(
    repos: TranscriptRepositories, actor: Actor, case_id: str, recording: str, *, content: bytes, form: TranscriptForm
) -> Case:
    """Store a transcript of a recording of a case.

    Raises:
        ProblemError: Refused; the message is a sentence. Nothing was stored.
    """
    person, case, row = _heard(repos.cases, actor, case_id, recording)
    try:
        transcript = read_transcript(content, form, duration_s=row.duration_s)
    except TranscriptError as error:
        raise ProblemError(422, str(error)) from error
    reader = _opened(repos.open, row)
    details = {"recording": row.id, "form": str(form), "characters": transcript.characters}
    case = write_event(repos.cases, person, case, CaseEvent.TRANSCRIBED, details)
    repos.kept.keep(case.id, row.id, form, reader.seal_beside(transcript.written().encode(), _bound(case.id, form)))
    return case


def read_of(repos: TranscriptRepositories, actor: Actor, case_id: str, recording: str) -> Transcript:
    """Return the newest transcript of a recording, and record that it was read.

    Raises:
        ProblemError: Not allowed, or no transcript.
    """
    person, case, row = _heard(repos.cases, actor, case_id, recording)
    found = repos.kept.newest(case.id).get(row.id)
    if found is None:
        raise ProblemError(404, f"There is no transcript of {row.id} in {case.id}.")
    transcript = _audible(repos, person, row, opened_transcript(_opened(repos.open, row), case.id, row, *found))
    repos.cases.hearing.audit_service.note(READ, person.actor, case.id, {"recording": row.id})
    return transcript


def _audible(repos: TranscriptRepositories, person: Person, row: RecordingRow, transcript: Transcript) -> Transcript:
    """Return the transcript without the spans that the person may not hear."""
    leave = repos.cases.hearing.requests.leave(person, row.id, AccessKind.LISTEN, row)
    silent = withheld_of(row, () if leave is None else leave.heard(row.id))
    if not silent:
        return transcript
    try:
        return for_copy(transcript, span_s=(0.0, row.duration_s + OVERHANG_S), silent=silent)
    except TranscriptError as error:
        raise ProblemError(409, str(error)) from error


def opened_transcript(
    reader: RecordingReader, case_id: str, row: RecordingRow, form: TranscriptForm, sealed: bytes
) -> Transcript:
    """Decrypt a transcript that was sealed with its recording.

    Raises:
        ProblemError: 409, part of the recording was erased since, which changed its key.
    """
    try:
        content = reader.open_beside(sealed, _bound(case_id, form))
    except DamagedError as error:
        raise ProblemError(
            409, f"The recording {row.id} was changed after its transcript was made. Make the transcript again."
        ) from error
    return read_transcript(content, form, duration_s=row.duration_s)


def case_file(cases: CaseRepository, kept: Transcripts, case_id: str) -> CaseFile:
    """Return the details of a case that go with copies.

    Raises:
        ProblemError: No such case, or it was not decided to disclose.
    """
    case = cases.get(case_id)
    if case is None:
        raise ProblemError(404, f"There is no case {case_id!r}: see `recorder cases list`.")
    if case.decision in (None, Decision.REFUSE):
        raise ProblemError(409, f"{case.id} has no decision to hand anything over.")
    checked = next((entry for entry in reversed(case.entries) if entry.step is CaseEvent.IDENTITY_CHECKED), None)
    identity = f"Checked on {day(checked.on)}" if checked else ""
    if not identity and case.is_in_doubt:
        identity = "In doubt; the data protection officer decided"
    opened = {recording: partial(_opened_of, case.id, found) for recording, found in kept.newest(case.id).items()}
    return CaseFile(id=case.id, recordings=frozenset(case.recordings), identity=identity, transcripts=opened)


def _opened_of(
    case_id: str, found: tuple[TranscriptForm, bytes], reader: RecordingReader, row: RecordingRow
) -> Transcript:
    return opened_transcript(reader, case_id, row, *found)


def _heard(repos: CaseRepositories, actor: Actor, case_id: str, recording: str) -> tuple[Person, Case, RecordingRow]:
    """Return the person, the case and the recording, if they may work on the case and hear the recording."""
    person, case = require_worker(repos, actor, case_id)
    if recording not in case.recordings:
        raise ProblemError(404, f"There is no recording {recording!r} in {case.id}.")
    found, requests = RecordingId(recording), repos.hearing.requests
    try:
        row = repos.holds.index.get(found)
    except NotFoundError:
        row = None
    if row is not None and requests.has_ended(person, row, AccessKind.LISTEN):
        raise repos.hearing.audit_service.refusal(person.actor, Act.PLAY, recording, GRANT_ENDED)
    if requests.leave(person, found, AccessKind.LISTEN, row) is None:
        sentence = f"You need permission to listen to {recording} first. Ask for it with `recorder requests add`."
        raise repos.hearing.audit_service.refusal(person.actor, Act.PLAY, recording, sentence)
    refuse_locked(Erasures(repos.holds.index.database), found)
    refuse_restricted(Claims(repos.holds.index.database), found, repos.cases.now())
    if row is None:
        raise ProblemError(404, f"{recording} is gone.")
    return person, case, row


def _opened(open_: Open, row: RecordingRow) -> RecordingReader:
    try:
        return open_(row)
    except (StorageError, OSError) as error:
        raise ProblemError(409, f"The recording cannot be opened: {error}.") from error


def _bound(case_id: str, form: TranscriptForm) -> bytes:
    return f"transcript/{case_id}/{form}".encode()
