"""How far a case is: its tasks, the copy of each of its recordings, and what is still undecided."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from recorder.data_subjects import case_holds
from recorder.data_subjects.case_copies import CaseCopy, CopyState, copies_of
from recorder.data_subjects.case_entries import CaseRepositories
from recorder.data_subjects.case_scope import WIDE_FOR
from recorder.data_subjects.case_tasks import CaseFacts, ListedTask, can_refuse, tasks_of
from recorder.permissions import Person
from recorder.rules.cases import Case, CaseState
from storage.errors import NotFoundError
from storage.types import RecordingId, RecordingRow


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRecording:
    """A recording of a case: its row, None if it was deleted, and its copy."""

    id: RecordingId
    row: RecordingRow | None
    copy: CaseCopy

    @property
    def has_copy(self) -> bool:
        """Tell whether a complete copy was made since the decision."""
        return self.copy.state in (CopyState.READY, CopyState.HANDED_OVER)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseProgress:
    """How far a case is.

    Attributes:
        tasks: Its tasks as a person sees them, in their order.
        recordings: The recordings that were taken in, in the order of taking.
        undecided: The recordings that are held and neither taken in nor dismissed, oldest first.
        can_refuse: Whether the person may refuse the request now.
        wide_until: When a wide hold of the open case ends, unless the data protection officer confirms or narrows it.
    """

    tasks: Sequence[ListedTask]
    recordings: Sequence[CaseRecording]
    undecided: Sequence[RecordingId]
    can_refuse: bool
    wide_until: datetime | None

    @property
    def uncopied(self) -> list[CaseRecording]:
        """The recordings without a complete copy since the decision."""
        return [one for one in self.recordings if not one.has_copy]


def progress_of(repos: CaseRepositories, person: Person, case: Case) -> CaseProgress:
    """Return how far a case is, for a person who works on it."""
    copies = copies_of(repos, case)
    recordings = [CaseRecording(id=one, row=row_of(repos, one), copy=copies[one]) for one in case.recordings]
    undecided = case_holds.undecided(repos.holds, case)
    facts = CaseFacts(undecided=len(undecided), uncopied=sum(not one.has_copy for one in recordings))
    return CaseProgress(
        tasks=tasks_of(case, person, facts), recordings=recordings, undecided=undecided,
        can_refuse=can_refuse(case, person), wide_until=_wide_until(repos, case),
    )  # fmt: skip


def _wide_until(repos: CaseRepositories, case: Case) -> datetime | None:
    if case.state is not CaseState.OPEN:
        return None
    standing = case_holds.standing(repos.holds, case.id)
    return next((one.ends_at for one in standing if one.ends_at == one.placed_at + WIDE_FOR), None)


def row_of(repos: CaseRepositories, recording: RecordingId) -> RecordingRow | None:
    """Return the row of a recording, or None if it was deleted."""
    try:
        return repos.holds.index.get(recording)
    except NotFoundError:
        return None
