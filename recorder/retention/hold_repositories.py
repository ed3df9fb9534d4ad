"""Repositories of legal holds, and the checks before a hold is placed or changed."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from recorder.audit.audit_service import AuditService
from recorder.common.problems import ProblemError
from recorder.permissions import Act, Person
from recorder.recordings.kept_live import is_being_discarded
from recorder.recordings.visibility import begun_row, check_known, none_such
from recorder.rules import times
from recorder.rules.authorisation import knows_all
from recorder.rules.holds import HoldFacts, hold_facts
from recorder.rules.wording import outcome_words
from storage.audit import AuditLog
from storage.errors import HoldStateError, NotFoundError, OutsideError, StorageError
from storage.format import is_recording_id
from storage.hold_journal import settling, steady
from storage.holds import Holds
from storage.index import Index
from storage.retention_types import Hold
from storage.tombstones import Deletions
from storage.types import RecordingId, RecordingRow
from storage.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRepositories:
    """What placing and changing holds needs.

    Attributes:
        vault: Knows the calls in progress.
        now: The clock, UTC.
        needed: Returns why a hold may not be released yet, a sentence, because its case is open; or None.
    """

    index: Index
    holds: Holds
    audit: AuditLog
    audit_service: AuditService
    vault: Vault
    people: Callable[[], Iterable[Person]]
    state: Path
    now: Callable[[], datetime]
    needed: Callable[[Hold], str | None] = lambda _hold: None


def call_to_hold(repos: HoldRepositories, recording: str, person: Person | None = None) -> HoldFacts:
    """Return the facts of a recording that can be held.

    Args:
        repos: Where holds are kept.
        recording: Its id.
        person: Who wants to hold it; None if it is known that they may know of it.

    Raises:
        ProblemError: It does not exist or is hidden from them; nothing was kept of it; it was deleted. 503: unknown.
    """
    if not is_recording_id(recording):
        raise none_such()
    with storage_problems():
        try:
            row = repos.index.get(recording)
        except NotFoundError as error:
            begun = begun_row(repos.vault, RecordingId(recording))
            if begun is not None:
                _check_known(repos, person, recording, hold_facts(begun))
                if is_being_discarded(repos.state, recording):
                    raise ProblemError(
                        409, "The recording is being discarded for a card payment, so it cannot be held."
                    ) from error
                return hold_facts(begun)
            if person is not None and not knows_all(person):
                raise none_such() from error
            tombstone = Deletions(repos.index.database).get(RecordingId(recording))
            if tombstone is not None:
                raise ProblemError(
                    409, f"The recording was deleted on {times.day(tombstone.deleted_at)}, so it cannot be held."
                ) from error
            raise none_such() from error
    _check_known(repos, person, recording, hold_facts(row))
    if row.path is None:
        why = outcome_words(row.outcome, row.reason)
        raise ProblemError(409, f"Nothing was kept of this call, so it cannot be held. {why}.")
    if not _is_there(repos, row):
        raise ProblemError(409, "The recording was deleted: its file is gone, so it cannot be held.")
    return hold_facts(row)


def _is_there(repos: HoldRepositories, row: RecordingRow) -> bool:
    try:
        return repos.vault.has(row)
    except OutsideError:
        return True  # somebody changed the row, which is a reason to keep the file


def _check_known(repos: HoldRepositories, person: Person | None, recording: str, call: HoldFacts) -> None:
    if person is not None:
        check_call_known(repos, person, Act.PLACE_HOLD, recording, call)


def check_call_known(
    repos: HoldRepositories, person: Person, act: Act, recording: str, call: HoldFacts, *, what: str = "recording"
) -> None:
    """Check that a person may know of a call; a refused attempt is in the audit log.

    Raises:
        ProblemError: 404: they may not; it says that there is no such ``what``.
    """
    team = min(call.teams.intersection(person.teams), default=call.team)
    check_known(repos.audit_service, person, act, recording, operators=call.operators, team=team, what=what)


def known_hold(repos: HoldRepositories, hold_id: str) -> Hold:
    """Return a hold by its id.

    Raises:
        ProblemError: 404: there is none; 503: the database does not answer.
    """
    with storage_problems():
        try:
            return repos.holds.get(hold_id)
        except NotFoundError as error:
            raise none_such("hold") from error


def known_call(repos: HoldRepositories, hold: Hold) -> HoldFacts:
    """Return the facts of a hold's recording; without operators and team if there is no row."""
    with storage_problems():
        try:
            return hold_facts(repos.index.get(hold.recording))
        except NotFoundError:
            row = begun_row(repos.vault, hold.recording)
            return HoldFacts(operators=frozenset(), extensions=frozenset(), team="") if row is None else hold_facts(row)


@contextlib.contextmanager
def steady_holds(repos: HoldRepositories) -> Iterator[None]:
    """Keep the table of holds unchanged except for this act; a storage failure becomes a ProblemError with 503."""
    with storage_problems(), steady(repos.state, repos.holds, repos.audit):
        yield


@contextlib.contextmanager
def settling_holds(repos: HoldRepositories) -> Iterator[None]:
    """Report an act that is in the audit log but could not be written to the table."""
    with settling(repos.state):
        try:
            yield
        except (StorageError, OSError) as error:
            raise ProblemError(
                503,
                "The database does not answer. The act is in the audit log and takes effect once the database answers.",
            ) from error


@contextlib.contextmanager
def storage_problems() -> Iterator[None]:
    """Turn a failure of database or disk into a ProblemError with 503."""
    try:
        yield
    except (StorageError, OSError) as error:
        if isinstance(error, NotFoundError | HoldStateError):
            raise
        raise ProblemError(503, f"Nothing was changed: {error}.") from error
