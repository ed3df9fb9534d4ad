"""Restriction, objection and erasure: every right, state and event is decided; who decides, and what follows."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import product

import pytest

from recorder.data_subjects.claim_letters import ClaimLetter, claim_letter
from recorder.data_subjects.letters import ROUTES, NotYetError
from recorder.notifications.recipients import of_claims
from recorder.permissions import DeniedError, Fault, Person, Role
from recorder.retention.rights import (
    GROUNDS,
    MOST_USE_DAYS,
    REFUSALS,
    TABLE,
    ClaimEvent,
    check_asking,
    check_event,
    deciders,
    is_to_destroy,
    keeps,
    state_after,
    why_restricted,
)
from recorder.rules.requesting import Approvers
from storage.retention_types import Claim, ClaimState, Right
from storage.types import RecordingId

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
TODAY = NOW.date()
DORA = Person(name="dora", display_name="Dora", roles=frozenset({Role.DPO}))
LENA = Person(name="lena", display_name="Lena", roles=frozenset({Role.TEAM_LEADER}))
DAN = Person(name="dan", display_name="Dan", roles=frozenset({Role.OFFICER}))
BENCH = Approvers(people=(DORA, LENA, DAN), deputy="dan")
CLAIM = Claim(
    id="1a2b3c4d", recording=RecordingId("20261124T093000Z-2001-0a1b2c"), right=Right.RESTRICTION, ground="accuracy",
    received_on=TODAY, asked_by="lena", asked_at=NOW, requester="J. Doe", reason="that is not what I said",
)  # fmt: skip
CELLS = list(product(Right, ClaimState, ClaimEvent))
# by right and state: uphold decline lift withdraw allow_use carry_out
EXPECTED = {
    (Right.RESTRICTION, ClaimState.ASKED): "upheld declined - withdrawn asked -",
    (Right.RESTRICTION, ClaimState.UPHELD): "- - lifted - upheld -",
    (Right.OBJECTION, ClaimState.ASKED): "upheld declined - withdrawn asked -",
    (Right.OBJECTION, ClaimState.UPHELD): "- - lifted - upheld done",
    (Right.ERASURE, ClaimState.ASKED): "upheld declined - withdrawn - -",
    (Right.ERASURE, ClaimState.UPHELD): "- - lifted - - done",
}


@pytest.mark.parametrize(("right", "state", "event"), CELLS)
def test_every_cell_of_the_table(right: Right, state: ClaimState, event: ClaimEvent) -> None:
    line = EXPECTED.get((right, state), "- - - - - -").split()
    expected = line[list(ClaimEvent).index(event)]
    claim = replace(CLAIM, right=right, state=state)
    if expected == "-":
        with pytest.raises(DeniedError, match="is not possible now"):
            state_after(claim, event)
    else:
        assert state_after(claim, event) == ClaimState(expected)
    assert set(TABLE) == set(GROUNDS) == set(REFUSALS) == set(Right)


@pytest.mark.parametrize(
    ("right", "state", "is_restricted", "is_kept", "goes"),
    [
        (Right.RESTRICTION, ClaimState.ASKED, True, True, False),
        (Right.RESTRICTION, ClaimState.UPHELD, True, True, False),
        (Right.RESTRICTION, ClaimState.LIFTED, False, False, False),
        (Right.OBJECTION, ClaimState.ASKED, True, True, False),
        (Right.OBJECTION, ClaimState.UPHELD, True, False, True),
        (Right.OBJECTION, ClaimState.DECLINED, False, False, False),
        (Right.ERASURE, ClaimState.ASKED, False, False, False),
        (Right.ERASURE, ClaimState.UPHELD, True, False, True),
        (Right.ERASURE, ClaimState.DONE, False, False, False),
    ],
)
def test_what_follows(right: Right, state: ClaimState, is_restricted: bool, is_kept: bool, goes: bool) -> None:
    claim = replace(CLAIM, right=right, state=state)
    assert (why_restricted([claim], NOW) is not None, keeps(claim), is_to_destroy(claim)) == (
        is_restricted, is_kept, goes,
    )  # fmt: skip


def test_use_is_allowed_for_a_time_and_claim_by_claim() -> None:
    used = replace(CLAIM, use_until=NOW + timedelta(days=1), use_ground="consent", use_by="dora")
    assert why_restricted([used], NOW) is None
    assert why_restricted([used], NOW + timedelta(days=1)) is not None
    assert why_restricted([used, replace(CLAIM, id="2")], NOW) is not None, "the other one still restricts"
    sentence = why_restricted([CLAIM], NOW)
    assert sentence is not None
    assert "Doe" not in sentence
    assert "not what I said" not in sentence


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ground": ""}, "Give the ground"),
        ({"ground": "own_situation"}, "Give the ground"),
        ({"requester": ""}, "who is asking"),
        ({"requester": "J.\nDoe"}, "who is asking"),
        ({"requester": "x" * 201}, "who is asking"),
        ({"reason": "  "}, "what they are asking"),
        ({"reason": "x" * 1001}, "or fewer"),
        ({"received_on": date(2026, 11, 26)}, "today or in the past"),
        ({"case_reference": "the one about Mrs Example, who said"}, "A case reference has at most 40"),
        ({"case_reference": "x" * 41}, "A case reference has at most 40"),
        ({"case_reference": "a\nb"}, "A case reference has at most 40"),
    ],
)
def test_what_cannot_be_written_down(changes: dict[str, object], words: str) -> None:
    with pytest.raises(DeniedError, match=words) as denied:
        check_asking(replace(CLAIM, **changes), TODAY)  # type: ignore[arg-type]
    assert denied.value.fault is Fault.INCOMPLETE


def decide(person: Person, event: ClaimEvent, claim: Claim = CLAIM, **how: object) -> None:
    given = {"ground": "", "words": "because", "days": None, **how}
    check_event(person, claim, event, approvers=BENCH, **given)  # type: ignore[arg-type]


def test_the_officer_decides_and_the_deputy_but_not_who_wrote_it_down() -> None:
    decide(DORA, ClaimEvent.UPHOLD)
    decide(DAN, ClaimEvent.UPHOLD)
    own = replace(CLAIM, asked_by="dora")
    for person, claim in ((LENA, replace(CLAIM, asked_by="dora")), (DORA, own)):
        with pytest.raises(DeniedError) as denied:
            decide(person, ClaimEvent.UPHOLD, claim)
        assert denied.value.fault is Fault.NOT_ALLOWED
    assert deciders(own, BENCH) == {"dan"}
    assert deciders(CLAIM, BENCH) == {"dora", "dan"}
    decide(LENA, ClaimEvent.WITHDRAW)


@pytest.mark.parametrize(
    ("event", "how", "words"),
    [
        (ClaimEvent.DECLINE, {}, "ground for declining"),
        (ClaimEvent.DECLINE, {"ground": "public_task"}, "ground for declining"),
        (ClaimEvent.DECLINE, {"ground": "no_ground", "words": ""}, "Enter the reason"),
        (ClaimEvent.ALLOW_USE, {"days": 3}, "ground for using it"),
        (ClaimEvent.ALLOW_USE, {"ground": "consent"}, "for 1 to"),
        (ClaimEvent.ALLOW_USE, {"ground": "consent", "days": 0}, "for 1 to"),
        (ClaimEvent.ALLOW_USE, {"ground": "consent", "days": MOST_USE_DAYS + 1}, "for 1 to"),
        (ClaimEvent.LIFT, {}, "is not possible now"),
        (ClaimEvent.UPHOLD, {"words": "x" * 1001}, "or fewer"),
    ],
)
def test_a_decision_that_is_refused(event: ClaimEvent, how: dict[str, object], words: str) -> None:
    with pytest.raises(DeniedError, match=words):
        decide(DORA, event, CLAIM, **how)


def text_of(which: ClaimLetter, claim: Claim) -> str:
    return claim_letter(which, claim, site="Test Council", today=TODAY, due=date(2026, 12, 29))


def test_letters_say_the_decision_and_how_to_complain() -> None:
    assert "We will answer by 29 December 2026" in text_of(ClaimLetter.ACKNOWLEDGEMENT, CLAIM)
    declined = replace(CLAIM, state=ClaimState.DECLINED, decision_ground="no_ground", words="the recording shows it")
    text = text_of(ClaimLetter.DECISION, declined)
    assert "the recording shows it" in text
    assert "None of the grounds applies" in text
    assert ROUTES in text
    upheld = replace(CLAIM, state=ClaimState.UPHELD, words="it is contested")
    assert "before the restriction ends" in text_of(ClaimLetter.DECISION, upheld)
    assert "ending the restriction" in text_of(ClaimLetter.LIFTING, upheld)
    for which, claim in ((ClaimLetter.DECISION, CLAIM), (ClaimLetter.LIFTING, declined)):
        with pytest.raises(NotYetError):
            text_of(which, claim)


def test_who_decides_is_told_and_again_when_a_month_has_passed() -> None:
    due = TODAY + timedelta(days=30)
    first = of_claims([(CLAIM, due)], BENCH, TODAY)
    assert [(str(one.kind), one.account) for one in first] == [("claim_waits", "dan"), ("claim_waits", "dora")]
    late = of_claims([(CLAIM, due)], BENCH, due + timedelta(days=1))
    assert {str(one.kind) for one in late} == {"claim_waits", "claim_overdue"}
    assert of_claims([(replace(CLAIM, state=ClaimState.UPHELD), due)], BENCH, due + timedelta(days=1)) == []
