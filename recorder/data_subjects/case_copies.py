"""The copies of a case's recordings: none, being made, ready or handed over, and whether something is silenced."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from recorder.data_subjects.case_entries import CaseRepositories
from recorder.rules.cases import Case, CaseEvent
from storage.copy_list import CopyList, CopyMade
from storage.types import RecordingId

LONGEST_MAKING = timedelta(hours=1)
"""A copy that was begun longer ago and is not complete was broken off."""


class CopyState(enum.StrEnum):
    """The states of the copy of a recording for a case."""

    NONE = "none"
    BEING_MADE = "being_made"
    READY = "ready"
    HANDED_OVER = "handed_over"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseCopy:
    """The copy of a recording for a case.

    Attributes:
        state: Its state.
        redactions: How many spans of the newest complete copy are silenced.
        made_at: When that copy was begun, UTC; None if there is none.
    """

    state: CopyState
    redactions: int = 0
    made_at: datetime | None = None


def copies_of(repos: CaseRepositories, case: Case) -> dict[RecordingId, CaseCopy]:
    """Return the copy of each recording of a case."""
    made, now = CopyList(repos.hearing.index.database), repos.cases.now()
    return {recording: copy_for(case, made.of_recording(recording), now) for recording in case.recordings}


def copy_for(case: Case, made: Sequence[CopyMade], now: datetime) -> CaseCopy:
    """Return the copy of a recording for a case; copies from before the decision do not count. Pure.

    Args:
        case: The case.
        made: The copies of the recording, oldest first, incomplete ones included.
        now: The current time.
    """
    since = case.decided_at
    if since is None:
        return CaseCopy(state=CopyState.NONE)
    counted = [one for one in made if one.made_at >= since]
    complete = [one for one in counted if one.sha256 is not None]
    if not complete:
        is_begun = any(now - one.made_at < LONGEST_MAKING for one in counted)
        return CaseCopy(state=CopyState.BEING_MADE if is_begun else CopyState.NONE)
    handed_at = [entry.at for entry in case.entries if entry.step is CaseEvent.HANDED_OVER]
    is_handed = any(complete[0].made_at <= at for at in handed_at)
    return CaseCopy(
        state=CopyState.HANDED_OVER if is_handed else CopyState.READY,
        redactions=complete[-1].redactions,
        made_at=complete[-1].made_at,
    )
