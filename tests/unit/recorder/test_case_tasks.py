"""The task list of a case, state by state: a subject access request, a disclosure, refusals, and who looks at it."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from recorder.data_subjects.case_copies import LONGEST_MAKING, CopyState, copy_for
from recorder.data_subjects.case_deadlines import left_in_words
from recorder.data_subjects.case_tasks import CaseFacts, CaseTask, TaskState, can_refuse, tasks_of
from recorder.permissions import Person, Role
from recorder.rules.cases import Case, CaseEntry, CaseEvent, told
from storage.copy_list import CopyMade
from storage.types import RecordingId

NOW = datetime(2026, 11, 26, 9, 0, tzinfo=UTC)
LENA = Person(name="lena", display_name="Lena", roles=frozenset({Role.TEAM_LEADER}))
LEO = replace(LENA, name="leo", display_name="Leo")
DORA = Person(name="dora", display_name="Dora", roles=frozenset({Role.DPO}))
ONE = RecordingId("20261124T093000Z-2001-0a1b2c")
WORDS = {
    TaskState.COMPLETED: "done", TaskState.CANNOT_START: "later", TaskState.TO_DO: "todo", TaskState.NOT_NEEDED: "no",
    TaskState.WAITING_FOR_DPO: "dpo", TaskState.WAITING_FOR_REQUESTER: "requester",
    TaskState.WAITING_FOR_COLLEAGUE: "colleague",
}  # fmt: skip


def entry(step: CaseEvent, *, at: datetime = NOW, by: str = "lena", **details: Any) -> CaseEntry:
    if step is CaseEvent.MATCHED:
        details = {"recording": ONE, **details}
    return CaseEntry(step=step, at=at, by=by, on=date(2026, 11, 26), text="in words", details=details)


def case(*steps: CaseEvent | CaseEntry, kind: str = "sar") -> Case:
    opening: dict[str, Any] = {"kind": kind, "requester": "J. Doe", "ground": "crime" if kind == "disclosure" else None}
    rest = [one if isinstance(one, CaseEntry) else entry(one) for one in steps]
    return told("SAR-2026-0001", [entry(CaseEvent.OPENED, **opening), *rest])


def states(of: Case, person: Person = LEO, *, undecided: int = 0, uncopied: int = 0) -> str:
    """Return the states of all tasks in their order, in short words."""
    found = tasks_of(of, person, CaseFacts(undecided=undecided, uncopied=uncopied))
    assert [one.task for one in found] == list(CaseTask), "all of them, in one order"
    state = {one.task: one.state for one in found}
    for one in found:
        assert bool(one.waits_for) is (one.state is TaskState.CANNOT_START), "what cannot start says what is missing"
        over = {TaskState.CANNOT_START, TaskState.COMPLETED, TaskState.NOT_NEEDED}
        assert not over & {state[each] for each in one.waits_for}, "and that can be done, or somebody is at it"
    return " ".join(WORDS[one.state] for one in found)


IDENTIFIED, SEARCHED, MATCHED = CaseEvent.IDENTITY_CHECKED, CaseEvent.SEARCHED, CaseEvent.MATCHED
DISCLOSED = entry(CaseEvent.DECIDED, by="dora", decision="disclose")
REFUSED = entry(CaseEvent.DECIDED, by="dora", decision="refuse")
HANDED, CLOSED = CaseEvent.HANDED_OVER, CaseEvent.CLOSED


@pytest.mark.parametrize(
    ("steps", "left", "expected"),
    [
        # identity search take-in decide copy letter hand-over close
        ((), {}, "todo todo later later later todo later later"),
        ((), {"undecided": 2}, "todo todo todo later later todo later later"),
        ((CaseEvent.IDENTITY_ASKED,), {}, "requester todo later later later todo later later"),
        ((IDENTIFIED,), {}, "done todo later later later todo later later"),
        ((IDENTIFIED, SEARCHED), {"undecided": 1}, "done done todo later later todo later later"),
        ((SEARCHED, MATCHED), {}, "todo done done later later todo later later"),
        ((IDENTIFIED, SEARCHED), {}, "done done done todo later todo later later"),
        ((IDENTIFIED, SEARCHED, MATCHED), {}, "done done done todo later todo later later"),
        ((IDENTIFIED, SEARCHED, MATCHED, DISCLOSED), {"uncopied": 1}, "done done done done todo todo todo later"),
        ((IDENTIFIED, SEARCHED, MATCHED, DISCLOSED), {}, "done done done done done todo todo later"),
        ((IDENTIFIED, SEARCHED, MATCHED, DISCLOSED, HANDED), {}, "done done done done done done done todo"),
        ((IDENTIFIED, SEARCHED, MATCHED, DISCLOSED, HANDED), {"undecided": 1},
         "done done todo done done done done todo"),
        ((IDENTIFIED, SEARCHED, MATCHED, DISCLOSED, HANDED, CLOSED), {}, "done done done done done done done done"),
        ((IDENTIFIED, SEARCHED, MATCHED, DISCLOSED, HANDED, CLOSED), {"undecided": 1, "uncopied": 1},
         "done done no done no done done done"),
        ((IDENTIFIED, SEARCHED, DISCLOSED), {}, "done done done done no todo no todo"),
        ((SEARCHED, REFUSED), {"undecided": 1}, "no done todo done no todo no todo"),
        ((SEARCHED, MATCHED, REFUSED, CLOSED), {}, "no done done done no done no done"),
    ],
)  # fmt: skip
def test_a_subject_access_request(steps: tuple[Any, ...], left: dict[str, Any], expected: str) -> None:
    assert states(case(*steps), **left) == expected


@pytest.mark.parametrize(
    ("steps", "person", "expected"),
    [
        ((), LEO, "no todo later later later todo later later"),
        ((SEARCHED, MATCHED), LEO, "no done done dpo later todo later later"),
        ((SEARCHED, MATCHED), DORA, "no done done todo later todo later later"),
        ((SEARCHED, MATCHED, DISCLOSED), LEO, "no done done done done todo todo later"),
        ((IDENTIFIED, SEARCHED, MATCHED, DISCLOSED, HANDED, CLOSED), LEO, "done " * 7 + "done"),
    ],
)
def test_a_disclosure(steps: tuple[Any, ...], person: Person, expected: str) -> None:
    assert states(case(*steps, kind="disclosure"), person) == expected


@pytest.mark.parametrize(
    ("steps", "left", "task", "expected"),
    [
        ((), {}, CaseTask.TAKE_IN, [CaseTask.SEARCH]),
        ((), {}, CaseTask.DECIDE, [CaseTask.IDENTITY, CaseTask.SEARCH]),
        ((IDENTIFIED, SEARCHED), {"undecided": 1}, CaseTask.DECIDE, [CaseTask.TAKE_IN]),
        ((SEARCHED,), {"undecided": 1}, CaseTask.COPY, [CaseTask.IDENTITY, CaseTask.TAKE_IN]),
        ((IDENTIFIED, SEARCHED, MATCHED), {}, CaseTask.COPY, [CaseTask.DECIDE]),
        ((IDENTIFIED, SEARCHED, MATCHED), {}, CaseTask.CLOSE, [CaseTask.DECIDE]),
        ((IDENTIFIED, SEARCHED, MATCHED, DISCLOSED), {}, CaseTask.CLOSE, [CaseTask.HAND_OVER]),
    ],
)
def test_what_a_task_waits_for(
    steps: tuple[Any, ...], left: dict[str, Any], task: CaseTask, expected: list[CaseTask]
) -> None:
    listed = {one.task: one for one in tasks_of(case(*steps), LEO, CaseFacts(**left))}
    assert list(listed[task].waits_for) == expected


def test_who_opened_a_case_waits_for_another_to_decide() -> None:
    ready = case(IDENTIFIED, SEARCHED)
    assert states(ready, LENA).split()[3] == "colleague"
    doubted = case(CaseEvent.IDENTITY_DOUBTED, SEARCHED)
    assert [states(doubted, one).split()[0] for one in (LENA, DORA)] == ["dpo", "dpo"], "decided with the case"
    assert [states(doubted, one).split()[3] for one in (LENA, LEO, DORA)] == ["dpo", "dpo", "todo"]
    assert states(case(CaseEvent.IDENTITY_DOUBTED, SEARCHED, DISCLOSED), LEO).startswith("done done done done")


def test_a_request_can_be_refused_before_it_is_ready_to_be_disclosed() -> None:
    assert not can_refuse(case(), LEO), "the search comes first"
    assert can_refuse(case(SEARCHED), LEO)
    assert not can_refuse(case(SEARCHED), LENA)
    assert not can_refuse(case(SEARCHED, REFUSED), LEO)


def copy(minutes: int, *, is_complete: bool = True, redactions: int = 0) -> CopyMade:
    return CopyMade(
        id="0a0a0a0a", recording=ONE, made_by="user:lena", made_at=NOW + timedelta(minutes=minutes), format="wav",
        start_s=0.0, end_s=3.0, redactions=redactions, sha256="ab" * 32 if is_complete else None,
    )  # fmt: skip


def test_the_copy_of_a_recording() -> None:
    decided = case(IDENTIFIED, SEARCHED, MATCHED, DISCLOSED)
    handed = case(IDENTIFIED, SEARCHED, MATCHED, DISCLOSED, entry(HANDED, at=NOW + timedelta(minutes=10)))
    at = NOW + timedelta(minutes=15)
    for of, made, now, state in (
        (case(MATCHED), [copy(5)], at, CopyState.NONE),
        (decided, [], at, CopyState.NONE),
        (decided, [copy(-1)], at, CopyState.NONE),
        (decided, [copy(5, is_complete=False)], at, CopyState.BEING_MADE),
        (decided, [copy(5, is_complete=False)], NOW + 2 * LONGEST_MAKING, CopyState.NONE),
        (decided, [copy(5), copy(6, is_complete=False)], at, CopyState.READY),
        (handed, [copy(11)], at, CopyState.READY),
        (handed, [copy(5), copy(11)], at, CopyState.HANDED_OVER),
    ):
        assert copy_for(of, made, now).state is state, (made, now)
    newest = copy_for(decided, [copy(5), copy(6, redactions=2)], at)
    assert (newest.redactions, newest.made_at) == (2, NOW + timedelta(minutes=6))


def test_days_left_in_words() -> None:
    said = [left_in_words(left) for left in (12, 1, 0, -1, -30)]
    assert said == ["12 days left", "1 day left", "due today", "1 day overdue", "30 days overdue"]
