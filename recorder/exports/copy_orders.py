"""Orders for copies of recordings: what is asked for, and whether it may be and can be done.

Used by the command and the console alike; `exporting` then makes the copies. Nothing is changed here but that
refusals are written to the audit log.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from recorder.access.listening.requests import Requests
from recorder.audit.audit_service import AuditService
from recorder.common.problems import ProblemError
from recorder.exports.copying import Ground
from recorder.exports.cover_sheet import length_words, position_words
from recorder.exports.span_words import OVERHANG_S
from recorder.permissions import Act, Actor, Person
from recorder.recordings.inspection import Inspector
from recorder.retention.erasure_repositories import refuse_locked
from recorder.retention.restricting import refuse_restricted
from recorder.rules.call_parts import is_silent, narrowed, silenced, whole_for
from recorder.rules.requesting import AccessKind
from recorder.rules.spans import Spans
from recorder.rules.transcripts import Transcript, TranscriptError, for_copy
from storage.audit import AuditLog
from storage.claims import Claims
from storage.copy_list import CopyList
from storage.encoding import CopyFormat
from storage.erasures import Erasures
from storage.errors import NotFoundError, StorageError
from storage.export import Copy, prepare
from storage.format import is_recording_id
from storage.index import Index
from storage.package import check_passphrase
from storage.reader import RecordingReader
from storage.tombstones import Deletions
from storage.types import RecordingId, RecordingRow, Redaction
from storage.vault import Vault

_LONGEST_TEXT = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyOrder:
    """What somebody asks for.

    Attributes:
        form: Format of the copies.
        reason: Why; goes into the audit log and onto the cover sheet.
        span_s: From and to, seconds; an end of None is the end of the recording. None is all of it.
        redactions: What is silent in the copy.
        requester: Who asked for it, in words; may be empty.
        ground: On what ground; None is not stated.
        passphrase: Seals the package.
        destination: Where it goes, for the audit log.
        case: The case whose transcripts go with it, and whose identity check the cover sheet tells; empty is none.
    """

    form: CopyFormat
    reason: str
    span_s: tuple[float, float | None] | None = None
    redactions: tuple[Redaction, ...] = ()
    requester: str = ""
    ground: Ground | None = None
    passphrase: str | None = field(default=None, repr=False)
    destination: str = ""
    case: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFile:
    """What of a case goes with copies.

    Attributes:
        id: Its reference.
        recordings: What is in it.
        identity: How the requester's identity was checked, in words; empty where it was not.
        transcripts: What opens the transcript of a recording, with the recording's reader and row.
    """

    id: str
    recordings: frozenset[RecordingId]
    identity: str
    transcripts: Mapping[RecordingId, Callable[[RecordingReader, RecordingRow], Transcript]]


def _no_cases(case_id: str) -> CaseFile:
    raise ProblemError(404, f"There is no case {case_id!r}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyRepositories:
    """What copies are made from and written down in.

    Attributes:
        index: Recordings.
        vault: Their containers.
        open: Opens a container with the private key; StorageError if it cannot.
        audit: The audit log.
        ledger: The audit log as acts of people write it.
        site: Name of the council.
        timezone: IANA name of its zone.
        now: The clock, UTC.
        requests: Access grants.
        case_file: Returns what of a case goes with copies, or raises ProblemError.
    """

    index: Index
    requests: Requests
    vault: Vault
    open: Callable[[RecordingRow], RecordingReader]
    audit: AuditLog
    ledger: AuditService
    site: str
    timezone: str
    now: Callable[[], datetime]
    case_file: Callable[[str], CaseFile] = _no_cases

    @property
    def copies(self) -> CopyList:
        """The list of copies."""
        return CopyList(self.index.database)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """A copy that may be and can be made.

    Attributes:
        row: The recording.
        copy: The copy.
        is_whole: Whether it is of all of the call.
        request: The request by which it was granted.
        heard: What of the recording may be heard by that request; the rest is silent. None is all of it.
        transcript: What goes with it, what is left out taken away; None where there is none.
        case: The case that it is for, or None.
    """

    row: RecordingRow
    copy: Copy
    is_whole: bool
    request: str
    heard: Spans | None = None
    transcript: Transcript | None = None
    case: CaseFile | None = None


def check_order(repos: CopyRepositories, actor: Actor, recording: str, order: CopyOrder) -> Ordered:
    """Return the copy that an order asks for; the container is verified and looked through once.

    Args:
        repos: From what.
        actor: Who asks.
        recording: A whole id.
        order: What for.

    Raises:
        ProblemError: Refused, with a sentence.
    """
    _check_words(order)
    person = repos.ledger.require(actor, Act.EXPORT, recording, reason=order.reason, has_grant=True)
    request = repos.requests.leave(person.name, RecordingId(recording), AccessKind.COPY)
    repos.ledger.require(actor, Act.EXPORT, recording, reason=order.reason, has_grant=request is not None)
    assert request is not None, "nobody copies without leave"
    row = _row_of(repos, recording)
    _refuse_locked(repos, person, row.id)
    heard, span_s = whole_for(row, request.heard(row.id)), _span(order, row)
    if is_silent(heard, *(span_s or (0.0, row.duration_s))):
        raise repos.ledger.refusal(
            person.actor, Act.EXPORT, row.id, f"Nothing of this part of {row.id} was granted to you."
        )
    copy = prepared(repos, row, order.form, heard=heard, span_s=span_s, redactions=order.redactions)
    is_whole = copy.span_s[0] == 0 and copy.span_s[1] >= row.duration_s
    case = repos.case_file(order.case) if order.case else None
    transcript = (
        None if case is None else _transcript(repos, case, row, copy, [*order.redactions, *silenced(row, heard)])
    )
    return Ordered(
        row=narrowed(row, heard), copy=copy, is_whole=is_whole, request=request.id, heard=heard, transcript=transcript,
        case=case,
    )  # fmt: skip


def _transcript(
    repos: CopyRepositories, case: CaseFile, row: RecordingRow, copy: Copy, redactions: Sequence[Redaction]
) -> Transcript | None:
    """Return the transcript that goes with a copy of a recording of a case, or None."""
    if row.id not in case.recordings:
        raise ProblemError(409, f"{row.id} is not in {case.id}.")
    opener = case.transcripts.get(row.id)
    if opener is None:
        return None
    silent = [(one.start_s, one.end_s) for one in redactions]
    with _saying("The recording cannot be opened"):
        written = opener(repos.open(row), row)
    try:
        return for_copy(written, span_s=copy.span_s, silent=silent)
    except TranscriptError as error:
        raise ProblemError(409, str(error)) from error


def prepared(
    repos: CopyRepositories,
    row: RecordingRow,
    form: CopyFormat,
    *,
    heard: Spans | None,
    span_s: tuple[float, float] | None = None,
    redactions: Sequence[Redaction] = (),
) -> Copy:
    """Return a copy of a recording whose container was verified and looked through; see `storage.export.prepare`.

    Args:
        repos: From what.
        row: The recording.
        form: Its format.
        heard: What may be heard of it; the rest is silent. None is all of it.
        span_s: Seconds [from, to) of the recording, or None for all of it.
        redactions: What is silent beside.

    Raises:
        ProblemError: 409: it is damaged or gone, cannot be opened, or cannot be copied like this.
    """
    with _saying("The recording cannot be opened"):
        problem = Inspector(vault=repos.vault, index=repos.index).one(row).problem
        if problem is not None:
            raise ProblemError(409, f"The recording is not what was recorded: {problem}.")
        reader = repos.open(row)
    with _saying("The recording cannot be copied like this"):
        silent = [*redactions, *silenced(row, heard)]
        return prepare(reader, form, span_s=span_s, redactions=silent, duration_s=row.duration_s)


def _check_words(order: CopyOrder) -> None:
    if order.redactions and not all(one.reason.strip() for one in order.redactions):
        raise ProblemError(422, "Say why something is to be silent in the copy: the cover sheet tells it.")
    if max(len(order.requester), *(len(one.reason) for one in order.redactions), 0) > _LONGEST_TEXT:
        raise ProblemError(422, f"No text may be longer than {_LONGEST_TEXT} characters.")
    if order.passphrase is not None:
        try:
            check_passphrase(order.passphrase)
        except StorageError as error:
            raise ProblemError(422, f"The package cannot be sealed: {error}.") from error


def _row_of(repos: CopyRepositories, recording: str) -> RecordingRow:
    """Return the row of a finished recording of which something was kept and is still there."""
    if not is_recording_id(recording):
        raise ProblemError(404, "There is no such recording.")
    with _saying("The recording cannot be found"):
        tombstone = Deletions(repos.index.database).get(RecordingId(recording))
        if tombstone is not None:
            raise ProblemError(410, f"{tombstone.sentence}.")
        try:
            row = repos.index.get(recording)
        except NotFoundError as error:
            if repos.vault.files_of(RecordingId(recording)):
                raise ProblemError(
                    409, f"{recording} goes on or is not filed yet: copy it once it has ended."
                ) from error
            raise ProblemError(404, "There is no such recording.") from error
    if row.path is None:  # a path is that of a closed file
        raise ProblemError(409, f"Nothing was kept of {row.id}: {row.outcome}, {row.reason}.")
    return row


def _refuse_locked(repos: CopyRepositories, person: Person, recording: RecordingId) -> None:
    try:
        refuse_locked(Erasures(repos.index.database), recording)
        refuse_restricted(Claims(repos.index.database), recording, repos.now())
    except ProblemError as error:
        repos.ledger.refusal(person.actor, Act.EXPORT, recording, error.detail)
        raise


def _span(order: CopyOrder, row: RecordingRow) -> tuple[float, float] | None:
    """Return the span of a copy; raises ProblemError where anything lies outside the call."""
    for one in order.redactions:
        _check_span(one.start_s, one.end_s, row)
    if order.span_s is None:
        return None
    start_s, end_s = order.span_s
    end_s = row.duration_s if end_s is None else end_s
    _check_span(start_s, end_s, row)
    return start_s, min(end_s, row.duration_s)


def _check_span(start_s: float, end_s: float, row: RecordingRow) -> None:
    if not (math.isfinite(start_s) and math.isfinite(end_s) and start_s >= 0):
        raise ProblemError(422, "A span must begin at 0 or later.")
    if start_s >= row.duration_s or end_s > row.duration_s + OVERHANG_S:
        outside = start_s if start_s >= row.duration_s else end_s
        raise ProblemError(
            422, f"{position_words(outside)} is not in {row.id}, which is {length_words(row.duration_s)} long."
        )
    if not start_s < end_s:
        raise ProblemError(422, f"The span ends at {position_words(end_s)}, before it begins.")


@contextmanager
def _saying(what: str) -> Iterator[None]:
    """Turn what storage raises into a problem: 409 with its sentence."""
    try:
        yield
    except StorageError as error:
        raise ProblemError(409, f"{what}: {error}.") from error
    except OSError as error:
        raise ProblemError(409, f"{what}: {error.strerror}.") from error
