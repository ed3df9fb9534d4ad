"""Transcripts of recordings in a case: sealed with the recording's own key, so that they go when it goes.

Whoever types or uploads one needs leave to hear the recording; so does whoever reads it. Each version is kept until the
texts of its case are over; the newest one goes with a copy.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Engine, func, insert, select

from recorder.access.tables import transcripts as _table
from recorder.common.problems import ProblemError
from recorder.data_subjects.case_entries import CaseRepositories, at_work, write_step
from recorder.data_subjects.case_repository import CaseRepository
from recorder.data_subjects.letters import in_words
from recorder.exports.copy_orders import CaseFile
from recorder.permissions import Act, Actor, Person
from recorder.retention.erasure_repositories import refuse_locked
from recorder.retention.restricting import refuse_restricted
from recorder.rules.call_parts import withheld_of
from recorder.rules.cases import Case, CaseEvent, Decision
from recorder.rules.requesting import AccessKind
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
"""As the audit log has it that somebody read one."""
Open = Callable[[RecordingRow], RecordingReader]


@dataclass(frozen=True, slots=True)
class Transcripts:
    """The transcripts of one file of people; ``engine`` is from ``open_people`` and stays the caller's."""

    engine: Engine

    def keep(self, case_id: str, recording: RecordingId, form: TranscriptForm, sealed: bytes) -> None:
        """Keep one more version."""
        with self.engine.begin() as connection:
            is_of = (_table.c.case == case_id) & (_table.c.recording == recording)
            number = connection.execute(select(func.count()).where(is_of)).scalar_one()
            row = {"case": case_id, "recording": recording, "number": number, "form": str(form), "sealed": sealed}
            connection.execute(insert(_table).values(**row))

    def newest(self, case_id: str) -> dict[RecordingId, tuple[TranscriptForm, bytes]]:
        """Return the newest version of each recording of a case, sealed."""
        query = select(_table).where(_table.c.case == case_id).order_by(_table.c.number)
        with self.engine.begin() as connection:
            rows = connection.execute(query).all()
        return {RecordingId(row.recording): (TranscriptForm(row.form), row.sealed) for row in rows}


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptRepositories:
    """What transcripts are written with.

    Attributes:
        cases: Cases, and through them leave and the audit log.
        kept: Transcripts.
        open: Opens a container with the private key; StorageError if it cannot.
    """

    cases: CaseRepositories
    kept: Transcripts
    open: Open


def transcribe(
    repos: TranscriptRepositories, actor: Actor, case_id: str, recording: str, *, content: bytes, form: TranscriptForm
) -> Case:
    """Take a transcript of a recording into a case.

    Raises:
        ProblemError: Refused, with a sentence; nothing was kept.
    """
    person, case, row = _heard(repos.cases, actor, case_id, recording)
    try:
        transcript = read_transcript(content, form, duration_s=row.duration_s)
    except TranscriptError as error:
        raise ProblemError(422, str(error)) from error
    reader = _opened(repos.open, row)
    details = {"recording": row.id, "form": str(form), "characters": transcript.characters}
    case = write_step(repos.cases, person, case, CaseEvent.TRANSCRIBED, details)
    repos.kept.keep(case.id, row.id, form, reader.seal_beside(transcript.written().encode(), _bound(case.id, form)))
    return case


def read_of(repos: TranscriptRepositories, actor: Actor, case_id: str, recording: str) -> Transcript:
    """Return the newest transcript of a recording, for whoever may hear the recording; that is written down.

    Raises:
        ProblemError: Not allowed, or there is none.
    """
    person, case, row = _heard(repos.cases, actor, case_id, recording)
    found = repos.kept.newest(case.id).get(row.id)
    if found is None:
        raise ProblemError(404, f"There is no transcript of {row.id} in {case.id}.")
    transcript = _audible(repos, person, row, opened_transcript(_opened(repos.open, row), case.id, row, *found))
    repos.cases.hearing.ledger.note(READ, person.actor, case.id, {"recording": row.id})
    return transcript


def _audible(repos: TranscriptRepositories, person: Person, row: RecordingRow, transcript: Transcript) -> Transcript:
    """Return a transcript without what whoever reads it may not hear of the call."""
    leave = repos.cases.hearing.requests.leave(person.name, row.id, AccessKind.LISTEN)
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
    """Return a transcript that was sealed with its recording.

    Raises:
        ProblemError: 409: part of the recording was erased since, so that it has another key.
    """
    try:
        content = reader.open_beside(sealed, _bound(case_id, form))
    except DamagedError as error:
        raise ProblemError(
            409, f"The transcript of {row.id} was made before the recording was changed: make it again."
        ) from error
    return read_transcript(content, form, duration_s=row.duration_s)


def case_file(cases: CaseRepository, kept: Transcripts, case_id: str) -> CaseFile:
    """Return what of a case goes with copies.

    Raises:
        ProblemError: There is no such case, or it was not decided that anything is disclosed.
    """
    case = cases.get(case_id)
    if case is None:
        raise ProblemError(404, f"There is no case {case_id!r}: see `recorder sar list`.")
    if case.decision in (None, Decision.REFUSE):
        raise ProblemError(409, f"{case.id} is not decided so that anything is handed over.")
    checked = next((entry for entry in reversed(case.entries) if entry.step is CaseEvent.IDENTITY_CHECKED), None)
    identity = f"Checked on {in_words(checked.on)}" if checked else ""
    if not identity and case.is_in_doubt:
        identity = "In doubt; the data protection officer decided"
    opened = {recording: partial(_opened_of, case.id, found) for recording, found in kept.newest(case.id).items()}
    return CaseFile(id=case.id, recordings=frozenset(case.recordings), identity=identity, transcripts=opened)


def _opened_of(
    case_id: str, found: tuple[TranscriptForm, bytes], reader: RecordingReader, row: RecordingRow
) -> Transcript:
    return opened_transcript(reader, case_id, row, *found)


def _heard(repos: CaseRepositories, actor: Actor, case_id: str, recording: str) -> tuple[Person, Case, RecordingRow]:
    """Return who works on a case with a recording of it that they may hear."""
    person, case = at_work(repos, actor, case_id)
    if recording not in case.recordings:
        raise ProblemError(404, f"There is no recording {recording!r} in {case.id}.")
    found = RecordingId(recording)
    if repos.hearing.requests.leave(person.name, found, AccessKind.LISTEN) is None:
        sentence = f"To work on a transcript takes leave to hear {recording}: `recorder requests ask`."
        raise repos.hearing.ledger.refusal(person.actor, Act.PLAY, recording, sentence)
    refuse_locked(Erasures(repos.holds.index.database), found)
    refuse_restricted(Claims(repos.holds.index.database), found, repos.cases.now())
    try:
        return person, case, repos.holds.index.get(found)
    except NotFoundError as error:
        raise ProblemError(404, f"{recording} is gone.") from error


def _opened(open_: Open, row: RecordingRow) -> RecordingReader:
    try:
        return open_(row)
    except (StorageError, OSError) as error:
        raise ProblemError(409, f"The recording cannot be opened: {error}.") from error


def _bound(case_id: str, form: TranscriptForm) -> bytes:
    return f"transcript/{case_id}/{form}".encode()
