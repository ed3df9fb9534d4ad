"""Holds by search for a case: they hold all recordings that fit until each is matched or dismissed.

Each change is in the audit log before it is in the tables, under the lock that deletion also takes.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from recorder.common.problems import ProblemError
from recorder.data_subjects.case_scope import WIDE_FOR, check_count, is_narrow
from recorder.permissions import DeniedError, Person
from recorder.recordings.kept_live import being_discarded
from recorder.recordings.visibility import begun_row
from recorder.retention.hold_repositories import HoldRepositories, settling_holds
from recorder.rules.cases import Case, CaseKind
from recorder.rules.fault_status import FAULT_STATUS
from recorder.rules.holds import GRACE
from storage.database import Database
from storage.holds import new_hold_id
from storage.query_holds import QueryHold, QueryHolds, Release
from storage.query_journal import CHANGED, PLACED, RELEASED, changed_details, placed_details, released_details
from storage.retention_types import HoldKind
from storage.tombstones import Deletions
from storage.types import RecordingId, Search

HOLD_KIND = {CaseKind.SUBJECT_ACCESS: HoldKind.SAR, CaseKind.DISCLOSURE: HoldKind.DISCLOSURE}
"""Kind of hold for each kind of case."""
_AT_ONCE = 250
"""Most recordings that one entry of the audit log releases."""


def place(
    repos: HoldRepositories,
    person: Person,
    case: Case,
    kind: HoldKind,
    search: Search,
    *,
    is_confirmed: bool = False,
) -> QueryHold:
    """Hold all recordings that fit a search, for a case. The caller holds the lock on legal holds.

    Args:
        repos: Legal holds.
        person: Who places the hold.
        case: Case that the hold is for.
        kind: Kind of hold.
        search: Search that decides which recordings are held.
        is_confirmed: Whether the hold lasts however wide the search is; otherwise a wide one ends after 14 days.

    Returns:
        The hold.
    """
    now = repos.now()
    ends_at = None if is_confirmed or is_narrow(search) else now + WIDE_FOR
    query = QueryHold(
        id=new_hold_id(), case_reference=case.id, kind=kind, owner=case.handler, placed_by=person.actor, placed_at=now,
        started_from=search.started_from, started_to=search.started_to, operator=search.operator,
        extension=search.extension, number=search.number, ends_at=ends_at,
    )  # fmt: skip
    with settling_holds(repos):
        repos.audit_service.note(PLACED, person.actor, case.id, placed_details(query), text=query.number or "")
        _queries(repos).save([query])
    return query


def check_discards(repos: HoldRepositories, search: Search) -> None:
    """Check that no recording that fits a search is being discarded. The caller holds the lock on legal holds.

    It would be gone a moment later although the hold was placed.

    Raises:
        ProblemError: 409, one is.
    """
    wanted = QueryHold(
        id="", case_reference="", kind=HoldKind.SAR, owner="", placed_by="", placed_at=repos.now(),
        started_from=search.started_from, started_to=search.started_to, operator=search.operator,
        extension=search.extension, number=search.number,
    )  # fmt: skip
    for recording in being_discarded(repos.state):
        row = begun_row(repos.vault, recording)
        if wanted.fits(row) if row is not None else repos.vault.files_of(recording):
            raise ProblemError(
                409,
                "A recording that fits is being discarded for a card payment, so it cannot be held. Try again in a "
                "moment, and look at how the call ended.",
            )


def place_found(repos: HoldRepositories, person: Person, case: Case, kind: HoldKind, search: Search) -> QueryHold:
    """Hold the recordings that a search found, and calls in progress that fit; later calls are not held."""
    now = repos.now()
    until = now if search.started_to is None else min(search.started_to, now)
    return place(repos, person, case, kind, replace(search, started_to=until), is_confirmed=True)


def counted(repos: HoldRepositories, search: Search, expected: int | None) -> dict[str, int]:
    """Return how many recordings fit the search of a new case, and how many of that time are deleted.

    Raises:
        ProblemError: 409, the person must confirm that number first; it is in ``extra["found"]``.
    """
    found = fitting(repos, search)
    try:
        check_count(search, found, expected)
    except DeniedError as error:
        raise ProblemError(FAULT_STATUS[error.fault], str(error), extra={"found": found}) from error
    return {"found": found, "deleted": deleted_of(repos.index.database, search)}


def check_settled(repos: HoldRepositories, case: Case) -> None:
    """Check that everything that a case found is matched or dismissed.

    Raises:
        ProblemError: 409, something is not.
    """
    left = undecided(repos, case)
    if left:
        raise ProblemError(
            409, f"{len(left)} recordings that fit this case are neither matched nor dismissed. The first is {left[0]}."
        )


def end(repos: HoldRepositories, person: Person, queries: Sequence[QueryHold], ends_at: datetime | None) -> None:
    """Set when holds by search end; None: not before their case ends. The caller holds the lock on legal holds."""
    changed = [replace(query, ends_at=ends_at) for query in queries if query.ends_at != ends_at]
    with settling_holds(repos):
        for query in changed:
            details = changed_details(query, repos.now())
            repos.audit_service.note(CHANGED, person.actor, query.case_reference, details)
        _queries(repos).save(changed)


def release(
    repos: HoldRepositories, person: Person, case: Case, recordings: Sequence[RecordingId], reason: str
) -> None:
    """Release recordings from a case's hold, after the days of grace. The caller holds the lock on legal holds."""
    now = repos.now()
    releases = [
        Release(case_reference=case.id, recording=one, grace_until=now + GRACE) for one in dict.fromkeys(recordings)
    ]
    with settling_holds(repos):
        for start in range(0, len(releases), _AT_ONCE):
            some = releases[start : start + _AT_ONCE]
            repos.audit_service.note(RELEASED, person.actor, case.id, released_details(some, now), text=reason)
        _queries(repos).save((), releases)


def standing(repos: HoldRepositories, case_id: str) -> list[QueryHold]:
    """Return a case's holds by search that are in force now, oldest first."""
    now = repos.now()
    return [query for query in _queries(repos).of_case(case_id) if query.is_active_at(now)]


def waiting_scopes(repos: HoldRepositories) -> list[tuple[str, datetime]]:
    """Return the cases whose wide hold nobody has confirmed or narrowed yet, with the time when it ends."""
    found = _queries(repos).active(repos.now())
    return [
        (query.case_reference, query.ends_at)
        for query in found
        if query.ends_at is not None and query.ends_at == query.placed_at + WIDE_FOR
    ]


def undecided(repos: HoldRepositories, case: Case) -> list[RecordingId]:
    """Return the ids of recordings that a case holds and nobody has matched or dismissed, sorted."""
    settled = {*case.recordings, *_queries(repos).released(case.id)}
    fitting = {row.id for query in standing(repos, case.id) for row in repos.index.each(query.search) if row.path}
    return sorted(fitting - settled)


def fitting(repos: HoldRepositories, search: Search) -> int:
    """Return how many recordings fit a search."""
    return sum(row.path is not None for row in repos.index.each(search))


def deleted_of(database: Database, search: Search) -> int:
    """Return how many recordings of a search's period are deleted; 0 if the search has no period.

    A tombstone has only the start and the extension of a call, so only these are compared.
    """
    if search.started_from is None or search.started_to is None:
        return 0
    gone = Deletions(database).began_within(search.started_from, search.started_to)
    return sum(search.extension in (None, recording[17:-7]) for recording in gone)


def _queries(repos: HoldRepositories) -> QueryHolds:
    return QueryHolds(repos.index.database)
