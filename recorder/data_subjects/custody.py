"""The chain of custody of a case, with proof: the audit log is complete, and the files are unchanged."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recorder.audit.reading import problems_of
from recorder.common.problems import ProblemError
from recorder.data_subjects.case_entries import CaseRepositories, require_worker
from recorder.data_subjects.custody_rules import READ, Hand, chain_of
from recorder.permissions import Act, Actor, Person, Refusal
from recorder.recordings.inspection import Inspector
from recorder.rules.authorisation import may
from recorder.rules.cases import Case
from storage.audit import AuditLog
from storage.audit_entry import AuditEntry
from storage.audit_search import entries_about
from storage.errors import AuditUnavailableError, NotFoundError
from storage.types import RecordingId

NO_COPY = "no copy of these recordings was ever made with this content"


@dataclass(frozen=True, slots=True, kw_only=True)
class Custody:
    """A chain of custody.

    Attributes:
        case: The case.
        hands: Lines of the chain, oldest first.
        entries: Number of entries in the whole audit log.
        head: Hash of the log's last entry, hex.
        log_problems: Faults of the log's hash chain; empty if there are none.
        recordings: Result of the check of each recording.
        copies: Result of the check of each copy that was given: which copy it is, or that it is none.
    """

    case: Case
    hands: Sequence[Hand]
    entries: int
    head: str
    log_problems: Sequence[str]
    recordings: Mapping[str, "Proof"]
    copies: Mapping[str, "Proof"]

    @property
    def is_proven(self) -> bool:
        """Tell whether the log has no fault and no file was changed."""
        return not self.log_problems and all(one.is_good for one in (*self.recordings.values(), *self.copies.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Result of the check of one file: its SHA-256, hex, and what it shows, as text."""

    is_good: bool
    words: str
    sha256: str = ""


def custody_of(repos: CaseRepositories, actor: Actor, case_id: str, files: Sequence[Path] = ()) -> Custody:
    """Return the chain of custody of a case, and record that it was read. Reads the whole log and all recordings.

    Args:
        repos: Cases, and what they use.
        actor: Who asks.
        case_id: The case.
        files: Copies to identify, as they were handed over.

    Raises:
        ProblemError: 403, 404; 503, the audit log cannot be read or written.
        OSError: A file cannot be read.
    """
    person, case = require_worker(repos, actor, case_id)
    repos.hearing.audit_service.note(READ, person.actor, case.id, {"recordings": len(case.recordings)})
    log = repos.holds.audit
    try:
        hands = _hands(repos, log, person, case)
        state = log.verify()
    except AuditUnavailableError as error:
        raise ProblemError(503, "The audit log cannot be read. Ask ICT to look at the recorder.") from error
    return Custody(
        case=case,
        hands=hands,
        entries=state.entries,
        head=state.head,
        log_problems=problems_of(state),
        recordings={one: _recording(repos, one) for one in case.recordings},
        copies={str(path): _copy(path, hands) for path in files},
    )


def custody_to_json(custody: Custody) -> dict[str, Any]:
    """Return JSON-able values."""
    return {
        "case": custody.case.id,
        "requester": custody.case.requester,
        "is_proven": custody.is_proven,
        "audit_log": {"entries": custody.entries, "head": custody.head, "problems": [*custody.log_problems]},
        "recordings": {one: asdict(proof) for one, proof in custody.recordings.items()},
        "copies": {one: asdict(proof) for one, proof in custody.copies.items()},
        "hands": [asdict(hand) for hand in custody.hands],
    }


def _hands(repos: CaseRepositories, log: AuditLog, person: Person, case: Case) -> list[Hand]:
    since = case.entries[0].at
    subjects = [case.id, *case.recordings]
    for recording in case.recordings:
        subjects += [request.id for request in repos.hearing.requests.of_recording(recording)]
        try:
            since = min(since, repos.holds.index.get(recording).started_at)
        except NotFoundError:
            continue  # deleted: only entries since the case began are listed
    sees_all = not isinstance(may(person, Act.VIEW_AUDIT), Refusal)

    def text(entry: AuditEntry) -> str | None:
        return log.text(entry) if sees_all or case.id in (entry.subject, entry.details.get("case")) else None

    return chain_of(entries_about(log.path, subjects, since=since), text)


def _recording(repos: CaseRepositories, recording: RecordingId) -> Proof:
    try:
        row = repos.holds.index.get(recording)
    except NotFoundError:
        return Proof(is_good=True, words="deleted since; the entries above are what is left")
    if row.path is None:
        return Proof(is_good=True, words="nothing of its sound was kept")
    problem = Inspector(vault=repos.holds.vault, index=repos.holds.index).one(row).problem
    if problem is not None:
        return Proof(is_good=False, words=f"not what was recorded: {problem}")
    return Proof(is_good=True, words="the file is what was recorded and signed", sha256=row.sha256 or "")


def _copy(path: Path, hands: Sequence[Hand]) -> Proof:
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    made = next((hand for hand in hands if hand.sha256 == sha256), None)
    if made is None:
        return Proof(is_good=False, words=NO_COPY, sha256=sha256)
    return Proof(is_good=True, words=f"as it was made at {made.at} by {made.who}: {made.what}", sha256=sha256)
