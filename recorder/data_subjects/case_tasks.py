"""The task list of a case: what is done, what can be done now, and who is waited for. Pure.

It says what the rules allow (`recorder.data_subjects.case_rules`) and allows nothing itself.
"""

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from recorder.data_subjects.case_rules import needs_dpo, why_not_decide
from recorder.permissions import Person, Role
from recorder.rules.cases import Case, CaseKind, Decision


class CaseTask(enum.StrEnum):
    """The tasks of a case, in their order."""

    IDENTITY = "identity"
    SEARCH = "search"
    TAKE_IN = "take_in"
    DECIDE = "decide"
    COPY = "copy"
    LETTER = "letter"
    HAND_OVER = "hand_over"
    CLOSE = "close"


class TaskState(enum.StrEnum):
    """The states of a task."""

    COMPLETED = "completed"
    TO_DO = "to_do"
    CANNOT_START = "cannot_start"
    WAITING_FOR_REQUESTER = "waiting_for_requester"
    WAITING_FOR_COLLEAGUE = "waiting_for_colleague"
    WAITING_FOR_DPO = "waiting_for_dpo"
    NOT_NEEDED = "not_needed"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFacts:
    """What a task list depends on besides the entries of the case.

    Attributes:
        undecided: How many recordings are held for the case and neither taken in nor dismissed.
        uncopied: How many of its recordings have no complete copy since the decision.
    """

    undecided: int = 0
    uncopied: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedTask:
    """A task with its state.

    Attributes:
        waits_for: Of a task that cannot start: the tasks to do first that can be done now, in their order.
    """

    task: CaseTask
    state: TaskState
    waits_for: tuple[CaseTask, ...] = ()


def tasks_of(case: Case, person: Person, facts: CaseFacts) -> list[ListedTask]:
    """Return all tasks of a case as a person sees them, in their order."""
    states = {task: _STATE[task](case, person, facts) for task in CaseTask}

    def first(task: CaseTask) -> set[CaseTask]:
        """Return the tasks that can be done now before a task can start."""
        if states[task] is not TaskState.CANNOT_START:
            return {task}
        return {each for one in _missing(task, case, facts) for each in first(one)}

    return [
        ListedTask(
            task=task,
            state=state,
            waits_for=tuple(sorted(first(task), key=list(CaseTask).index)) if state is TaskState.CANNOT_START else (),
        )
        for task, state in states.items()
    ]


def _missing(task: CaseTask, case: Case, facts: CaseFacts) -> list[CaseTask]:
    """Return what is missing before a task that cannot start; each is an earlier task."""
    match task:
        case CaseTask.TAKE_IN:
            return [CaseTask.SEARCH]
        case CaseTask.DECIDE:
            missing = {
                CaseTask.IDENTITY: not _is_known(case),
                CaseTask.SEARCH: not case.searches,
                CaseTask.TAKE_IN: bool(facts.undecided),
            }
            return [one for one, is_missing in missing.items() if is_missing]
        case CaseTask.CLOSE if case.decision is not None:
            return [CaseTask.HAND_OVER]
        case _:
            return [CaseTask.DECIDE]


def _is_known(case: Case) -> bool:
    """Tell whether it is known who asks, or in doubt, which the decision settles."""
    return case.is_identified or case.is_in_doubt or case.kind is CaseKind.DISCLOSURE


def can_refuse(case: Case, person: Person) -> bool:
    """Tell whether a person may refuse the request now; that takes a search, and nothing else of the list."""
    return case.decision is None and case.searches > 0 and why_not_decide(case, person) is None


def _gives(case: Case) -> bool:
    """Tell whether copies are to be handed over: something was found, and it is not refused."""
    return case.decision is not Decision.REFUSE and bool(case.recordings)


def _identity(case: Case, _person: Person, _facts: CaseFacts) -> TaskState:
    if case.is_identified:
        return TaskState.COMPLETED
    if case.kind is CaseKind.DISCLOSURE or case.decision is Decision.REFUSE:
        return TaskState.NOT_NEEDED
    if case.is_in_doubt:
        return TaskState.WAITING_FOR_DPO if case.decision is None else TaskState.COMPLETED
    is_asked = case.course.identity is not None and case.course.identity.came_on is None
    return TaskState.WAITING_FOR_REQUESTER if is_asked else TaskState.TO_DO


def _search(case: Case, _person: Person, _facts: CaseFacts) -> TaskState:
    return TaskState.COMPLETED if case.searches else TaskState.TO_DO


def _take_in(case: Case, _person: Person, facts: CaseFacts) -> TaskState:
    if facts.undecided:
        return TaskState.TO_DO if case.closed_on is None else TaskState.NOT_NEEDED
    return TaskState.COMPLETED if case.searches or case.recordings else TaskState.CANNOT_START


def _decide(case: Case, person: Person, facts: CaseFacts) -> TaskState:
    if case.decision is not None:
        return TaskState.COMPLETED
    if not (_is_known(case) and case.searches) or facts.undecided:
        return TaskState.CANNOT_START
    if needs_dpo(case) and Role.DPO not in person.roles:
        return TaskState.WAITING_FOR_DPO
    return TaskState.TO_DO if why_not_decide(case, person) is None else TaskState.WAITING_FOR_COLLEAGUE


def _copy(case: Case, _person: Person, facts: CaseFacts) -> TaskState:
    if case.decision is None:
        return TaskState.CANNOT_START
    if not _gives(case):
        return TaskState.NOT_NEEDED
    if not facts.uncopied:
        return TaskState.COMPLETED
    return TaskState.TO_DO if case.closed_on is None else TaskState.NOT_NEEDED


def _letter(case: Case, _person: Person, _facts: CaseFacts) -> TaskState:
    """The answer goes with the copies, or alone before the case is closed; the acknowledgement goes at any time."""
    return TaskState.COMPLETED if case.handed_over or case.closed_on is not None else TaskState.TO_DO


def _hand_over(case: Case, _person: Person, _facts: CaseFacts) -> TaskState:
    if case.handed_over:
        return TaskState.COMPLETED
    if case.decision is None:
        return TaskState.CANNOT_START
    return TaskState.TO_DO if _gives(case) else TaskState.NOT_NEEDED


def _close(case: Case, _person: Person, _facts: CaseFacts) -> TaskState:
    if case.closed_on is not None:
        return TaskState.COMPLETED
    is_due = case.decision is not None and (bool(case.handed_over) or not _gives(case))
    return TaskState.TO_DO if is_due else TaskState.CANNOT_START


_STATE: Mapping[CaseTask, Callable[[Case, Person, CaseFacts], TaskState]] = MappingProxyType(
    {
        CaseTask.IDENTITY: _identity,
        CaseTask.SEARCH: _search,
        CaseTask.TAKE_IN: _take_in,
        CaseTask.DECIDE: _decide,
        CaseTask.COPY: _copy,
        CaseTask.LETTER: _letter,
        CaseTask.HAND_OVER: _hand_over,
        CaseTask.CLOSE: _close,
    }
)
