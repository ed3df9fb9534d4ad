"""What can happen in a case, in which order, and who may do it: every pair of state and step, by hand."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from recorder.data_subjects.case_rules import check_opening, check_step
from recorder.data_subjects.letters import Letter, NotYetError, letter
from recorder.permissions import DeniedError, Fault, Person, Role
from recorder.rules.cases import Case, CaseEntry, CaseEvent, CaseKind, CaseState, Decision, after, opened, told
from recorder.rules.deadlines import Wait
from recorder.rules.vouching import Vouched

TODAY = date(2026, 11, 26)
NOW = datetime(2026, 11, 26, 9, 0, tzinfo=UTC)
LENA = Person(name="lena", display_name="Lena", roles=frozenset({Role.TEAM_LEADER}))
LEO = replace(LENA, name="leo", display_name="Leo")
DORA = Person(name="dora", display_name="Dora", roles=frozenset({Role.DPO}))
RHEA = Person(name="rhea", display_name="Rhea", roles=frozenset({Role.MANAGER}), teams=("Revenues",))
RECORDING = "20261124T093000Z-2001-0a1b2c"
OPENING = {"kind": "sar", "requester": "J. Doe", "form": "by telephone", "ground": None}
DETAILS: dict[CaseEvent, dict[str, Any]] = {
    CaseEvent.MATCHED: {"recording": RECORDING}, CaseEvent.DECIDED: {"decision": "disclose"}, CaseEvent.OPENED: OPENING,
}  # fmt: skip


def entry(step: CaseEvent, *, by: str = "lena", on: date = TODAY, text: str = "in words", **details: Any) -> CaseEntry:
    return CaseEntry(step=step, at=NOW, by=by, on=on, text=text, details={**DETAILS.get(step, {}), **details})


def case(*steps: CaseEvent | CaseEntry, kind: str = "sar") -> Case:
    ground = "crime" if kind == "disclosure" else None
    entries = [
        entry(CaseEvent.OPENED, kind=kind, ground=ground),
        *(s if isinstance(s, CaseEntry) else entry(s) for s in steps),
    ]
    return told("SAR-2026-0001", entries)


def denied(of: Case, person: Person, one: CaseEntry) -> DeniedError:
    with pytest.raises(DeniedError) as caught:
        check_step(of, person, one, TODAY)
    return caught.value


READY = (CaseEvent.IDENTITY_CHECKED, CaseEvent.SEARCHED, CaseEvent.MATCHED)
DECIDED = (*READY, entry(CaseEvent.DECIDED, by="dora"))
CLOSED = (*DECIDED, CaseEvent.HANDED_OVER, CaseEvent.CLOSED)
STATES = {CaseState.OPEN: case(*READY), CaseState.DECIDED: case(*DECIDED), CaseState.CLOSED: case(*CLOSED)}
WORDS = {
    CaseState.OPEN: "identity_asked identity_checked identity_doubted fee_asked clarification_asked extended searched"
    " noted transcribed decided dismissed narrowed scope_confirmed",
    CaseState.DECIDED: "transcribed handed_over noted dismissed",
    CaseState.CLOSED: "noted passphrase_told received returned destroyed",
}


@pytest.mark.parametrize("state", list(CaseState))
@pytest.mark.parametrize("step", list(CaseEvent))
def test_every_state_and_step(state: CaseState, step: CaseEvent) -> None:
    assert STATES[state].state is state
    if str(step) in WORDS[state].split():
        check_step(STATES[state], DORA, entry(step, by="dora"), TODAY)
    else:
        assert denied(STATES[state], DORA, entry(step, by="dora")).fault is Fault.TOO_LATE


@pytest.mark.parametrize(
    "step", [CaseEvent.PASSPHRASE_TOLD, CaseEvent.RECEIVED, CaseEvent.RETURNED, CaseEvent.DESTROYED]
)
def test_what_becomes_of_it_comes_after_it_was_handed_over(step: CaseEvent) -> None:
    handed = case(*DECIDED, CaseEvent.HANDED_OVER)
    check_step(handed, LENA, entry(step), TODAY)
    assert denied(handed, LENA, entry(step, text=" ")).fault is Fault.INCOMPLETE
    refusal = entry(CaseEvent.DECIDED, by="dora", decision="refuse")
    assert denied(case(*READY, refusal), LENA, entry(step)).fault is Fault.TOO_LATE


@pytest.mark.parametrize("step", [CaseEvent.IDENTITY_CHECKED, CaseEvent.IDENTITY_DOUBTED, CaseEvent.CLARIFICATION_ASKED,
                                  CaseEvent.EXTENDED, CaseEvent.NOTED])  # fmt: skip
def test_some_steps_take_words(step: CaseEvent) -> None:
    assert denied(case(), LENA, entry(step, text=" ")).fault is Fault.INCOMPLETE
    assert denied(case(), LENA, entry(step, text="x" * 1001)).fault is Fault.INCOMPLETE


def test_nothing_happens_in_the_future_or_by_anybody() -> None:
    assert denied(case(), LENA, entry(CaseEvent.NOTED, on=date(2026, 11, 27))).fault is Fault.INCOMPLETE
    assert denied(case(), RHEA, entry(CaseEvent.NOTED)).fault is Fault.NOT_ALLOWED
    with pytest.raises(DeniedError):
        check_opening(RHEA, OPENING, "", TODAY, TODAY)


def test_opening() -> None:
    check_opening(LENA, OPENING, "", TODAY, TODAY)  # no reason is a condition
    for details, text in (
        ({**OPENING, "requester": " "}, "x"),
        ({**OPENING, "kind": "disclosure"}, "x"),
        ({**OPENING, "kind": "disclosure", "ground": "crime"}, " "),
    ):
        with pytest.raises(DeniedError) as caught:
            check_opening(LENA, details, text, TODAY, TODAY)
        assert caught.value.fault is Fault.INCOMPLETE


def test_what_was_asked_for_comes_in_its_order() -> None:
    assert denied(case(), LENA, entry(CaseEvent.FEE_PAID)).fault is Fault.TOO_LATE
    check_step(case(CaseEvent.FEE_ASKED), LENA, entry(CaseEvent.FEE_PAID), TODAY)
    assert (
        denied(case(CaseEvent.FEE_ASKED, CaseEvent.FEE_PAID), LENA, entry(CaseEvent.FEE_PAID)).fault is Fault.TOO_LATE
    )
    assert denied(case(), LENA, entry(CaseEvent.CLARIFIED)).fault is Fault.TOO_LATE
    assert (
        denied(case(CaseEvent.CLARIFICATION_ASKED), LENA, entry(CaseEvent.CLARIFICATION_ASKED)).fault is Fault.TOO_LATE
    )
    assert denied(case(CaseEvent.IDENTITY_ASKED), LENA, entry(CaseEvent.IDENTITY_ASKED)).fault is Fault.TOO_LATE
    assert denied(case(CaseEvent.EXTENDED), LENA, entry(CaseEvent.EXTENDED)).fault is Fault.TOO_LATE
    assert denied(case(*READY), LENA, entry(CaseEvent.MATCHED)).fault is Fault.TOO_LATE
    course = case(
        CaseEvent.IDENTITY_ASKED, CaseEvent.CLARIFICATION_ASKED, CaseEvent.CLARIFIED, CaseEvent.EXTENDED
    ).course
    assert course.identity == Wait(asked_on=TODAY)
    assert course.clarifications == (Wait(asked_on=TODAY, came_on=TODAY),)
    assert course.is_extended


def test_who_decides() -> None:
    decided = entry(CaseEvent.DECIDED, by="leo")
    check_step(case(*READY), LEO, decided, TODAY)
    assert denied(case(*READY), LENA, decided).fault is Fault.NOT_ALLOWED
    assert "search" in str(denied(case(CaseEvent.IDENTITY_CHECKED), LEO, decided)).lower()
    assert "who the requester is" in str(denied(case(CaseEvent.SEARCHED), LEO, decided))
    refusal = entry(CaseEvent.DECIDED, decision="refuse", text="it is about somebody else")
    check_step(case(CaseEvent.SEARCHED), LEO, refusal, TODAY)
    assert denied(case(CaseEvent.SEARCHED), LEO, replace(refusal, text="")).fault is Fault.INCOMPLETE


def test_where_identity_is_in_doubt_the_officer_decides_and_balances() -> None:
    doubted = case(CaseEvent.IDENTITY_DOUBTED, CaseEvent.SEARCHED, CaseEvent.MATCHED)
    assert denied(doubted, LEO, entry(CaseEvent.DECIDED)).fault is Fault.NOT_ALLOWED
    assert denied(doubted, DORA, entry(CaseEvent.DECIDED)).fault is Fault.INCOMPLETE
    check_step(doubted, DORA, entry(CaseEvent.DECIDED, balance="the caller gave the account number"), TODAY)
    checked = after(doubted, entry(CaseEvent.IDENTITY_CHECKED))
    check_step(checked, LEO, entry(CaseEvent.DECIDED), TODAY)


def test_a_doubt_is_lifted_by_somebody_else_or_by_the_data_protection_officer() -> None:
    checked = entry(CaseEvent.IDENTITY_CHECKED, text="passport, seen at the desk")
    by_lena = case(CaseEvent.IDENTITY_DOUBTED)
    assert "You raised the doubt" in str(denied(by_lena, LENA, checked))
    check_step(by_lena, LEO, replace(checked, by="leo"), TODAY)
    check_step(by_lena, DORA, replace(checked, by="dora"), TODAY)
    by_both = case(CaseEvent.IDENTITY_DOUBTED, entry(CaseEvent.IDENTITY_DOUBTED, by="leo"))
    for person in (LENA, LEO):
        assert denied(by_both, person, checked).fault is Fault.NOT_ALLOWED
    by_dora = case(entry(CaseEvent.IDENTITY_DOUBTED, by="dora"))
    check_step(by_dora, DORA, replace(checked, by="dora"), TODAY)
    lifted = case(CaseEvent.IDENTITY_DOUBTED, replace(checked, by="leo"))
    check_step(lifted, LENA, checked, TODAY)
    one_maker = Vouched(by={"lena": frozenset({"anna"}), "leo": frozenset({"anna"})})
    with pytest.raises(DeniedError, match="Only anna vouched"):
        check_step(by_lena, LEO, replace(checked, by="leo"), TODAY, one_maker)


def test_a_disclosure_is_the_officers_and_has_no_month() -> None:
    police = case(CaseEvent.SEARCHED, CaseEvent.MATCHED, kind="disclosure")
    assert police.kind is CaseKind.DISCLOSURE
    check_step(police, DORA, entry(CaseEvent.DECIDED), TODAY)
    assert denied(police, LEO, entry(CaseEvent.DECIDED)).fault is Fault.NOT_ALLOWED
    for step in (CaseEvent.FEE_ASKED, CaseEvent.EXTENDED, CaseEvent.IDENTITY_ASKED):
        assert denied(police, LENA, entry(step)).fault is Fault.INCOMPLETE


def test_what_is_disclosed_is_handed_over_before_the_case_is_closed() -> None:
    assert denied(case(*DECIDED), LENA, entry(CaseEvent.CLOSED)).fault is Fault.TOO_LATE
    assert case(*CLOSED).closed_on == TODAY
    refused = case(CaseEvent.SEARCHED, entry(CaseEvent.DECIDED, by="dora", decision="refuse"))
    check_step(refused, LENA, entry(CaseEvent.CLOSED), TODAY)
    assert denied(refused, LENA, entry(CaseEvent.HANDED_OVER)).fault is Fault.TOO_LATE
    nothing = case(CaseEvent.IDENTITY_CHECKED, CaseEvent.SEARCHED, entry(CaseEvent.DECIDED, by="dora"))
    check_step(nothing, LENA, entry(CaseEvent.CLOSED), TODAY)


def test_a_case_with_a_recording_undecided_or_uncopied_is_closed_with_a_reason() -> None:
    handed = case(*DECIDED, CaseEvent.HANDED_OVER)
    refused = case(CaseEvent.SEARCHED, entry(CaseEvent.DECIDED, by="dora", decision="refuse"))
    ways: list[tuple[Case, dict[str, Any], str]] = [
        (handed, {"without_copy": [RECORDING]}, "No copy was made"),
        (handed, {"undecided": [RECORDING]}, "1 recording found for this case was neither"),
        (refused, {"undecided": [RECORDING, "another"]}, "2 recordings found for this case were neither"),
    ]
    for of, left, said in ways:
        closing = denied(of, LENA, entry(CaseEvent.CLOSED, text=" ", **left))
        assert closing.fault is Fault.TOO_LATE
        assert said in str(closing)
        check_step(of, LENA, entry(CaseEvent.CLOSED, text="another caller", **left), TODAY)


def test_a_case_is_what_its_entries_say() -> None:
    first = opened("SAR-2026-0001", entry(CaseEvent.OPENED))
    assert (first.handler, first.requester, first.state) == ("lena", "J. Doe", CaseState.OPEN)
    whole = case(*CLOSED)
    assert [one.step for one in whole.entries] == [
        CaseEvent.OPENED, *READY, CaseEvent.DECIDED, CaseEvent.HANDED_OVER, CaseEvent.CLOSED,
    ]  # fmt: skip
    assert (whole.recordings, whole.decision, whole.decided_by) == ((RECORDING,), Decision.DISCLOSE, "dora")


def text_of(which: Letter, of: Case, due: date | None = date(2026, 12, 29)) -> str:
    return letter(which, of, site="Borough Council", today=TODAY, due=due)


def test_letters() -> None:
    said = text_of(Letter.ACKNOWLEDGEMENT, case())
    assert "Dear J. Doe" in said
    assert "29 December 2026" in said
    assert "begins" in text_of(Letter.ACKNOWLEDGEMENT, case(CaseEvent.IDENTITY_ASKED, CaseEvent.FEE_ASKED), None)
    assert "in words" in text_of(Letter.ACKNOWLEDGEMENT, case(CaseEvent.CLARIFICATION_ASKED))
    refused = case(
        CaseEvent.SEARCHED, entry(CaseEvent.DECIDED, by="dora", decision="refuse", text="it is about another")
    )
    for which, of, words in (
        (Letter.EXTENSION, case(entry(CaseEvent.EXTENDED, text="forty calls")), "forty calls"),
        (Letter.REFUSAL, refused, "it is about another"),
        (Letter.DISCLOSURE, case(*DECIDED), "a copy of a recorded call"),
    ):
        said = text_of(which, of)
        assert words in said
        assert "Information Commissioner" in said
        with pytest.raises(NotYetError):
            text_of(which, case())
