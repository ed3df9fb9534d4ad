"""Orders for copies of recordings: whether a copy is permitted and possible.

The command line and the console both use this. `exporting` then makes the copies. Nothing is changed here, except that
refusals are written to the audit log.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from recorder.access.listening.requests import Requests
from recorder.audit.audit_service import AuditService, incomplete
from recorder.common.problems import ProblemError
from recorder.exports.left_out import Ground
from recorder.exports.span_words import OVERHANG_S
from recorder.permissions import Act, Actor, Person
from recorder.recordings.inspection import Inspector
from recorder.retention.erasure_repositories import refuse_locked
from recorder.retention.restricting import refuse_restricted
from recorder.rules import times
from recorder.rules.call_parts import is_silent, narrowed, silenced, whole_for
from recorder.rules.requesting import GRANT_ENDED, AccessKind, AccessRequest
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
    """An order for copies.

    Attributes:
        form: Format of the copies.
        reason: Reason for the audit log and the cover sheet.
        span_s: From and to, seconds; an end of None is the end of the recording. None is the whole recording.
        redactions: Spans to silence in the copies.
        requester: Person who asked for the copies, as free text; may be empty.
        ground: Ground of the order, or None if not stated.
        passphrase: Passphrase that encrypts the package.
        destination: Where the copies go, for the audit log.
        case: Case whose transcripts and identity check go with the copies; may be empty.
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
    """Details of a case that go with copies.

    Attributes:
        id: Reference of the case.
        recordings: Recordings in the case.
        identity: How the requester's identity was checked, as text; empty if it was not.
        transcripts: Functions that open the transcript of a recording, given the recording's reader and row.
    """

    id: str
    recordings: frozenset[RecordingId]
    identity: str
    transcripts: Mapping[RecordingId, Callable[[RecordingReader, RecordingRow], Transcript]]


def _no_cases(case_id: str) -> CaseFile:
    raise ProblemError(404, f"There is no case {case_id!r}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyRepositories:
    """What making copies reads and writes.

    Attributes:
        index: Index of recordings.
        vault: Containers.
        open: Opens a container with the private key; raises StorageError.
        audit: The audit log.
        audit_service: Writer of acts to the audit log.
        site: Name of the council.
        timezone: IANA name of its time zone.
        now: Returns the current time, UTC.
        requests: Access requests and grants.
        case_file: Returns the details of a case that go with copies; raises ProblemError.
    """

    index: Index
    requests: Requests
    vault: Vault
    open: Callable[[RecordingRow], RecordingReader]
    audit: AuditLog
    audit_service: AuditService
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
    """A copy that is permitted and possible.

    Attributes:
        row: The recording.
        copy: The copy.
        is_whole: Whether the copy has the whole call.
        grant: The access request that permits it.
        heard: Spans that the grant covers; the rest is silent. None is the whole recording.
        transcript: Transcript that goes with the copy, redacted, or None.
        case: The case that the copy is for, or None.
    """

    row: RecordingRow
    copy: Copy
    is_whole: bool
    grant: AccessRequest
    heard: Spans | None = None
    transcript: Transcript | None = None
    case: CaseFile | None = None

    @property
    def request(self) -> str:
        """Id of the access request."""
        return self.grant.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Permitted:
    """A copy that is permitted, before its container is opened.

    Attributes:
        row: The recording.
        request: The access request that permits it.
        heard: Spans that the grant covers; None is the whole recording.
        span_s: From and to, seconds; None is the whole recording.
    """

    row: RecordingRow
    request: AccessRequest
    heard: Spans | None
    span_s: tuple[float, float] | None


def check_order(repos: CopyRepositories, actor: Actor, recording: str, order: CopyOrder) -> Ordered:
    """Check an order and return its copy; verifies the container and reads it through once.

    Args:
        repos: What copies are made from.
        actor: Who orders the copy.
        recording: Full id of the recording.
        order: The order.

    Raises:
        ProblemError: Refused; the message is a sentence for the person.
    """
    _check_words(order)
    found = permitted(repos, actor, recording, order)
    row, heard = found.row, found.heard
    copy = prepared(repos, row, order.form, heard=heard, span_s=found.span_s, redactions=order.redactions)
    is_whole = copy.span_s[0] == 0 and copy.span_s[1] >= row.duration_s
    case = repos.case_file(order.case) if order.case else None
    transcript = (
        None if case is None else _transcript(repos, case, row, copy, [*order.redactions, *silenced(row, heard)])
    )
    return Ordered(
        row=narrowed(row, heard), copy=copy, is_whole=is_whole, grant=found.request, heard=heard,
        transcript=transcript, case=case,
    )  # fmt: skip


def permitted(repos: CopyRepositories, actor: Actor, recording: str, order: CopyOrder) -> Permitted:
    """Check that a person may take a copy, or hear it before; nothing is opened.

    Raises:
        ProblemError: Refused; the message is a sentence for the person.
    """
    person = repos.audit_service.require(actor, Act.EXPORT, recording, reason=order.reason, has_grant=True)
    known = _known(repos, recording)
    request = repos.requests.leave(person, RecordingId(recording), AccessKind.COPY, known)
    if known is not None and repos.requests.has_ended(person, known, AccessKind.COPY):
        raise repos.audit_service.refusal(person.actor, Act.EXPORT, known.id, GRANT_ENDED)
    repos.audit_service.require(actor, Act.EXPORT, recording, reason=order.reason, has_grant=request is not None)
    assert request is not None, "a copy needs an access grant"
    row = _row_of(repos, recording)
    _refuse_locked(repos, person, row.id)
    heard, span_s = whole_for(row, request.heard(row.id)), _span(order, row)
    if is_silent(heard, *(span_s or (0.0, row.duration_s))):
        raise repos.audit_service.refusal(
            person.actor, Act.EXPORT, row.id, f"Nothing of this part of {row.id} was granted to you."
        )
    return Permitted(row=row, request=request, heard=heard, span_s=span_s)


def _transcript(
    repos: CopyRepositories, case: CaseFile, row: RecordingRow, copy: Copy, redactions: Sequence[Redaction]
) -> Transcript | None:
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
    """Verify a recording's container and prepare a copy; see `storage.export.prepare`.

    Args:
        repos: What copies are made from.
        row: The recording.
        form: Format of the copy.
        heard: Spans that may be heard; the rest is silent. None is the whole recording.
        span_s: Seconds [from, to) of the recording, or None for the whole recording.
        redactions: Further spans to silence.

    Raises:
        ProblemError: 409, the recording is damaged or gone, cannot be opened, or cannot be copied like this.
    """
    with _saying("The recording cannot be opened"):
        problem = Inspector(vault=repos.vault, index=repos.index).one(row).problem
        if problem is not None:
            raise ProblemError(409, f"The recording is damaged: {problem}.")
        reader = repos.open(row)
    with _saying("The recording cannot be copied like this"):
        silent = [*redactions, *silenced(row, heard)]
        return prepare(reader, form, span_s=span_s, redactions=silent, duration_s=row.duration_s)


def _check_words(order: CopyOrder) -> None:
    if order.redactions and not all(one.reason.strip() for one in order.redactions):
        raise incomplete("Enter why the parts are silenced. The cover sheet shows the reason.", "redact_reason")
    longest = max((len(one.reason) for one in order.redactions), default=0)
    for name, length in (("requester", len(order.requester)), ("redact_reason", longest)):
        if length > _LONGEST_TEXT:
            raise incomplete(f"No text may be longer than {_LONGEST_TEXT} characters.", name)
    if order.passphrase is not None:
        try:
            check_passphrase(order.passphrase)
        except StorageError as error:
            raise incomplete(f"The package cannot be sealed: {error}.", "passphrase") from error


def _row_of(repos: CopyRepositories, recording: str) -> RecordingRow:
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
                    409, f"{recording} is still in progress or not filed yet. Copy it when the call has ended."
                ) from error
            raise ProblemError(404, "There is no such recording.") from error
    if row.path is None:  # only a closed container has a path
        raise ProblemError(409, f"Nothing was kept of {row.id}: {row.outcome}, {row.reason}.")
    return row


def _known(repos: CopyRepositories, recording: str) -> RecordingRow | None:
    try:
        row = repos.index.get(recording)
    except NotFoundError:
        return None
    return row if row.id == recording else None


def _refuse_locked(repos: CopyRepositories, person: Person, recording: RecordingId) -> None:
    try:
        refuse_locked(Erasures(repos.index.database), recording)
        refuse_restricted(Claims(repos.index.database), recording, repos.now())
    except ProblemError as error:
        repos.audit_service.refusal(person.actor, Act.EXPORT, recording, error.detail)
        raise


def _span(order: CopyOrder, row: RecordingRow) -> tuple[float, float] | None:
    """Return the span of a copy; raises ProblemError if it or a redaction lies outside the call."""
    for one in order.redactions:
        _check_span(one.start_s, one.end_s, row, ("redact", "redact"))
    if order.span_s is None:
        return None
    start_s, end_s = order.span_s
    end_s = row.duration_s if end_s is None else end_s
    _check_span(start_s, end_s, row, ("start", "end"))
    return start_s, min(end_s, row.duration_s)


def _check_span(start_s: float, end_s: float, row: RecordingRow, names: tuple[str, str]) -> None:
    """Raise ProblemError at the fields of start and end, if a span is not in the call."""
    at_start, at_end = names
    if not (math.isfinite(start_s) and math.isfinite(end_s) and start_s >= 0):
        raise incomplete("A span must begin at 0 or later.", at_start)
    if start_s >= row.duration_s or end_s > row.duration_s + OVERHANG_S:
        outside, name = (start_s, at_start) if start_s >= row.duration_s else (end_s, at_end)
        where = times.position(outside, exact=True)
        raise incomplete(f"{where} is not in {row.id}, which is {times.duration(row.duration_s)} long.", name)
    if not start_s < end_s:
        raise incomplete(f"The span ends at {times.position(end_s, exact=True)}, before it begins.", at_end)


@contextmanager
def _saying(what: str) -> Iterator[None]:
    try:
        yield
    except StorageError as error:
        raise ProblemError(409, f"{what}: {error}.") from error
    except OSError as error:
        raise ProblemError(409, f"{what}: {error.strerror}.") from error
