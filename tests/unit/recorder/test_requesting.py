"""Who may ask to hear what, who decides, and for how long: every rule by hand, apart from the code that it checks."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from recorder.permissions import DeniedError, Fault, Person, Role
from recorder.rules.requesting import (
    GRANT_DAYS,
    MOST_GRANT_DAYS,
    MOST_RECORDINGS,
    AccessKind,
    AccessRequest,
    Approvers,
    Category,
    RequestState,
    RequestWish,
    categories_for,
    check_decision,
    check_wish,
    deciders,
    grant_until,
    granted_spans,
    standing,
)
from recorder.rules.spans import US, Spans
from storage.rows import row_from_json
from storage.types import RecordingId, RecordingRow
from tests.helpers.storage_home import row

NOW = datetime(2026, 11, 26, 9, 0, tzinfo=UTC)
ID = RecordingId("20261124T093000Z-2001-0a1b2c")


def subject(**changes: Any) -> RecordingRow:
    known = {"operator": "Olive Officer", "team": "Revenues", "duration_s": 20.0, "path": "x.rec", "segments": []}
    return row_from_json(row(ID, **{**known, **changes}))


SUBJECT = subject()


def person(name: str, *roles: Role, teams: tuple[str, ...] = (), display_name: str = "") -> Person:
    return Person(name=name, display_name=display_name or name, roles=frozenset(roles), teams=teams)


OLIVE = person("olive", Role.OFFICER, display_name="Olive Officer")
OTTO = person("otto", Role.OFFICER)
RHEA = person("rhea", Role.MANAGER, teams=("Housing", "Revenues"))
HUGO = person("hugo", Role.MANAGER, teams=("Housing",))
LENA, LEO = person("lena", Role.TEAM_LEADER), person("leo", Role.TEAM_LEADER)
DORA = person("dora", Role.DPO)
IAN = person("ian", Role.ICT)
ADA = person("ada", Role.ADMIN)
MIA = person("mia", Role.MEMBER)
EVERYBODY = (OLIVE, OTTO, RHEA, HUGO, LENA, LEO, DORA, IAN, ADA, MIA)
BENCH = Approvers(people=EVERYBODY, deputy="rhea")
WISH = RequestWish(recordings=(ID,), category=Category.COMPLAINT, reason="complaint 17")
MEMBERS = replace(WISH, category=Category.AUTHORISED, reference="letter of 1 November")


def refusal(requester: Person, wish: RequestWish, *subjects: RecordingRow, approvers: Approvers = BENCH) -> DeniedError:
    with pytest.raises(DeniedError) as caught:
        check_wish(requester, wish, subjects, approvers)
    return caught.value


@pytest.mark.parametrize(
    ("who", "wish"),
    [(OLIVE, WISH), (RHEA, WISH), (LENA, WISH), (DORA, WISH), (MIA, MEMBERS)],
    ids=lambda one: str(one)[:30],
)
def test_who_may_ask(who: Person, wish: RequestWish) -> None:
    check_wish(who, wish, [SUBJECT], BENCH)


@pytest.mark.parametrize("who", [OTTO, HUGO, IAN, ADA, person("nobody")], ids=lambda one: one.name)
def test_who_may_not(who: Person) -> None:
    denied = refusal(who, WISH, SUBJECT)
    assert denied.fault is Fault.NOT_ALLOWED
    assert str(ID) in str(denied)


@pytest.mark.parametrize("who", [OTTO, HUGO, RHEA, LENA], ids=lambda one: one.name)
def test_what_is_not_there_sounds_like_what_is_not_theirs(who: Person) -> None:
    gone = str(refusal(who, WISH))
    if who in (OTTO, HUGO):
        assert gone == str(refusal(who, WISH, SUBJECT))


def test_one_of_several_is_enough_to_refuse_all() -> None:
    other = RecordingId("20261124T093000Z-2002-0a1b2d")
    both = replace(WISH, recordings=(ID, other))
    assert str(other) in str(refusal(OLIVE, both, SUBJECT, subject(id=other, operator="", team="")))


def test_a_call_with_two_operators_is_a_call_of_both() -> None:
    parts = [(0.0, 12.0, "2001", "Olive Officer", "Revenues"), (12.0, 20.0, "2002", "otto", "Housing")]
    shared = subject(
        segments=[
            {"start_s": start_s, "end_s": end_s, "kind": "recording", "officers": [
                {"extension": extension, "operator": operator, "team": team}]}
            for start_s, end_s, extension, operator, team in parts
        ]
    )  # fmt: skip
    first, second = ((0, 12 * US),), ((12 * US, 20 * US),)
    assert check_wish(OLIVE, WISH, [shared], BENCH) == {ID: first}
    assert check_wish(OTTO, WISH, [shared], BENCH) == check_wish(HUGO, WISH, [shared], BENCH) == {ID: second}
    for who, wish in ((RHEA, WISH), (LENA, WISH), (MIA, MEMBERS)):
        assert check_wish(who, wish, [shared], BENCH) == {}, "all of it"

    moved = replace(HUGO, teams=("Revenues",))
    asked = AccessRequest(id="0a1b2c3d", account="hugo", wish=WISH, asked_at=NOW, spans={ID: second})
    assert granted_spans(HUGO, asked, [shared]) == {ID: second}
    with pytest.raises(DeniedError, match="There is nothing left that they may"):
        granted_spans(moved, asked, [shared])
    assert granted_spans(LENA, asked, [shared]) == {ID: second}, "what was asked for, and no more"
    of_before = replace(asked, spans={})
    assert granted_spans(HUGO, of_before, [shared]) == {ID: second}, "asked before there were parts"
    assert granted_spans(LENA, of_before, [shared]) == {}
    with pytest.raises(DeniedError, match="There is nothing left that they may"):
        granted_spans(HUGO, of_before, [])


def test_the_whole_call_is_granted_for_a_complaint_with_a_reason() -> None:
    check_decision(LENA, REQUEST, OLIVE, BENCH, granted=True, words="both officers are complained of", is_whole=True)
    assert undecided(LENA, is_whole=True).fault is Fault.INCOMPLETE
    accuracy = replace(REQUEST, wish=replace(WISH, category=Category.ACCURACY))
    assert undecided(LENA, accuracy, is_whole=True, words="go on").fault is Fault.NOT_ALLOWED
    assert undecided(OLIVE, is_whole=True, words="go on").fault is Fault.NOT_ALLOWED


@pytest.mark.parametrize(
    ("changes", "fault", "words"),
    [
        ({"reason": "  "}, Fault.INCOMPLETE, "Enter a reason"),
        ({"reason": "x" * 1001}, Fault.INCOMPLETE, "Enter a reason"),
        ({"recordings": ()}, Fault.INCOMPLETE, "Select the recordings"),
        ({"recordings": (ID,) * (MOST_RECORDINGS + 1)}, Fault.INCOMPLETE, "or fewer"),
        ({"reference": "x" * 101}, Fault.INCOMPLETE, "reference"),
        ({"category": Category.ABOUT_ME, "reference": "R 1"}, Fault.NOT_ALLOWED, "Only elected members"),
    ],
)
def test_what_is_missing_or_too_long(changes: dict[str, object], fault: Fault, words: str) -> None:
    denied = refusal(LENA, replace(WISH, **changes), SUBJECT)  # type: ignore[arg-type]
    assert (denied.fault, words in str(denied)) == (fault, True)


@pytest.mark.parametrize("category", list(Category))
def test_an_elected_member_asks_on_two_grounds_only_and_with_a_reference(category: Category) -> None:
    asked = replace(WISH, category=category, reference="R 1")
    if category in (Category.ABOUT_ME, Category.AUTHORISED):
        check_wish(MIA, asked, [SUBJECT], BENCH)
        assert refusal(MIA, replace(asked, reference=" "), SUBJECT).fault is Fault.INCOMPLETE
    else:
        assert refusal(MIA, asked, SUBJECT).fault is Fault.NOT_ALLOWED


@pytest.mark.parametrize(
    ("who", "absent", "expected"),
    [
        (OLIVE, "", "lena leo"),
        (OLIVE, "lena", "leo"),
        (OLIVE, "lena leo", "dora rhea"),
        (RHEA, "lena leo", "dora"),
        (LENA, "", "dora"),
        (LENA, "leo", "dora"),
        (DORA, "", "rhea"),
        (DORA, "lena leo", "rhea"),
        (person("both", Role.DPO, Role.TEAM_LEADER), "", "rhea"),
    ],
    ids=lambda one: getattr(one, "name", one),
)
def test_who_decides(who: Person, absent: str, expected: str) -> None:
    approvers = replace(BENCH, absent=frozenset(absent.split()))
    assert deciders(who, approvers) == set(expected.split())


def test_nobody_decides_their_own_however_it_comes_about() -> None:
    for who in EVERYBODY:
        for absent in ((), ("lena",), ("lena", "leo")):
            for deputy in (None, *(one.name for one in EVERYBODY)):
                approvers = Approvers(people=EVERYBODY, absent=frozenset(absent), deputy=deputy)
                assert who.name not in deciders(who, approvers)


def test_without_anybody_to_decide_nothing_is_asked() -> None:
    assert "deputy" in str(refusal(DORA, WISH, SUBJECT, approvers=replace(BENCH, deputy=None)))
    assert refusal(DORA, WISH, SUBJECT, approvers=replace(BENCH, deputy="gone")).fault is Fault.NOT_ALLOWED


REQUEST = AccessRequest(id="0a1b2c3d", account="olive", wish=WISH, asked_at=NOW)


def undecided(decider: Person, request: AccessRequest = REQUEST, **how: object) -> DeniedError:
    said = {"granted": True, "words": "", **how}
    with pytest.raises(DeniedError) as caught:
        check_decision(decider, request, OLIVE, BENCH, **said)  # type: ignore[arg-type]
    return caught.value


def test_deciding() -> None:
    check_decision(LENA, REQUEST, OLIVE, BENCH, granted=True, words="")
    check_decision(LEO, REQUEST, OLIVE, BENCH, granted=False, words="ask for a shorter span")
    assert undecided(DORA).fault is Fault.NOT_ALLOWED
    assert "lena or leo" in str(undecided(DORA))
    assert undecided(OLIVE).fault is Fault.NOT_ALLOWED
    assert undecided(LENA, granted=False, words=" ").fault is Fault.INCOMPLETE
    assert undecided(LENA, words="x" * 1001).fault is Fault.INCOMPLETE
    for state in set(RequestState) - {RequestState.WAITING}:
        assert undecided(LENA, replace(REQUEST, state=state)).fault is Fault.TOO_LATE


def test_a_request_of_somebody_who_is_gone_can_only_be_declined() -> None:
    check_decision(DORA, REQUEST, None, BENCH, granted=False, words="has left")
    with pytest.raises(DeniedError):
        check_decision(DORA, REQUEST, None, BENCH, granted=True, words="")
    with pytest.raises(DeniedError):
        check_decision(LENA, REQUEST, None, BENCH, granted=False, words="has left")


def test_leave_lasts_until_its_day_and_covers_what_was_granted() -> None:
    until = grant_until(NOW, None)
    assert until == NOW + timedelta(days=GRANT_DAYS)
    granted = replace(REQUEST, state=RequestState.GRANTED, until=until)
    assert granted.gives(AccessKind.LISTEN, until - timedelta(seconds=1))
    assert not granted.gives(AccessKind.LISTEN, until)
    assert not granted.gives(AccessKind.COPY, NOW)
    assert replace(granted, wish=replace(WISH, leave=AccessKind.COPY)).gives(AccessKind.LISTEN, NOW)
    for state in set(RequestState) - {RequestState.GRANTED}:
        assert not replace(granted, state=state).gives(AccessKind.LISTEN, NOW)


@pytest.mark.parametrize("days", [0, -1, MOST_GRANT_DAYS + 1])
def test_leave_for_too_short_or_too_long(days: int) -> None:
    with pytest.raises(DeniedError):
        grant_until(NOW, days)


@pytest.mark.parametrize(
    ("roles", "is_members", "is_others"),
    [({Role.OFFICER}, False, True), ({Role.MEMBER}, True, False), ({Role.MEMBER, Role.MANAGER}, True, True)],
)
def test_purposes_are_offered_to_those_who_may_ask_on_them(roles: set[Role], is_members: bool, is_others: bool) -> None:
    offered = categories_for(Person(name="p", display_name="P", roles=frozenset(roles)))
    assert ([Category.ABOUT_ME in offered, Category.AUTHORISED in offered]) == [is_members] * 2
    assert ([Category.TRAINING in offered, Category.COMPLAINT in offered]) == [is_others] * 2


HANDED_OVER = subject(
    segments=[
        {"start_s": start_s, "end_s": end_s, "kind": "recording", "officers": [
            {"extension": "2001", "operator": operator, "team": team}]}
        for start_s, end_s, operator, team in (
            (0.0, 12.0, "Olive Officer", "Revenues"), (12.0, 20.0, "otto", "Housing"),
        )
    ]
)  # fmt: skip
FIRST: Spans = ((0, 12 * US),)
SECOND: Spans = ((12 * US, 20 * US),)
CHECKED = replace(WISH, category=Category.QUALITY)
AFTER_MEMBER = replace(OLIVE, roles=frozenset({Role.MEMBER}))
BOTH_TEAMS = replace(RHEA, teams=("Housing", "Revenues"))


@pytest.mark.parametrize(
    ("before", "now", "wish", "granted", "left"),
    [
        (OLIVE, OLIVE, WISH, FIRST, FIRST),
        (OLIVE, AFTER_MEMBER, WISH, FIRST, ()),
        (OLIVE, AFTER_MEMBER, WISH, None, ()),
        (OLIVE, replace(OLIVE, roles=frozenset()), WISH, FIRST, ()),
        (OLIVE, replace(OLIVE, roles=frozenset({Role.ICT})), WISH, FIRST, ()),
        (OLIVE, replace(OLIVE, roles=frozenset({Role.MANAGER})), WISH, FIRST, ()),
        (OLIVE, replace(OLIVE, roles=frozenset({Role.MANAGER}), teams=("Housing",)), WISH, FIRST, ()),
        (OLIVE, replace(OLIVE, roles=frozenset({Role.MANAGER}), teams=("Revenues",)), WISH, FIRST, FIRST),
        (OLIVE, replace(OLIVE, roles=frozenset({Role.DPO})), WISH, FIRST, FIRST),
        (OLIVE, replace(OLIVE, display_name="Olive Married"), WISH, FIRST, ()),
        (HUGO, HUGO, WISH, SECOND, SECOND),
        (HUGO, replace(HUGO, teams=()), WISH, SECOND, ()),
        (HUGO, replace(HUGO, teams=("Revenues",)), WISH, SECOND, ()),
        (BOTH_TEAMS, replace(RHEA, teams=("Housing",)), CHECKED, None, SECOND),
        (BOTH_TEAMS, replace(RHEA, teams=("Housing",)), WISH, None, None),
        (BOTH_TEAMS, replace(RHEA, teams=("Parking",)), WISH, None, ()),
        (LENA, replace(LENA, roles=frozenset({Role.MANAGER}), teams=("Housing",)), CHECKED, None, SECOND),
        (LENA, replace(LENA, roles=frozenset({Role.MANAGER})), CHECKED, None, ()),
        (DORA, replace(DORA, roles=frozenset({Role.TEAM_LEADER})), CHECKED, None, None),
        (MIA, MIA, MEMBERS, None, None),
        (MIA, replace(OLIVE, roles=frozenset({Role.OFFICER})), MEMBERS, None, ()),
        (MIA, replace(MIA, roles=frozenset()), MEMBERS, None, ()),
    ],
)  # fmt: skip
def test_a_grant_covers_what_the_person_could_still_ask_for(
    before: Person, now: Person, wish: RequestWish, granted: Spans | None, left: Spans | None
) -> None:
    spans = {} if granted is None else {ID: granted}
    request = replace(REQUEST, account=before.name, wish=wish, state=RequestState.GRANTED, spans=spans)
    found = standing(now, request, HANDED_OVER)
    assert (() if found is None else found.heard(ID)) == left


def test_a_reference_has_only_characters_that_are_seen() -> None:
    denied = refusal(OLIVE, replace(WISH, reference="CMP\u202e-88"), SUBJECT)
    assert (denied.fault, denied.field) == (Fault.INCOMPLETE, "reference")
    assert "U+202E" in str(denied)
