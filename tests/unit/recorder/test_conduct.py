"""Which conduct the data protection officer looks into: very many recordings in a day, a role used at once."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from recorder.notifications.conduct import HEARD_A_DAY, USED_WITHIN, Granted, LoggedAct, heard_many, used_at_once
from recorder.notifications.kinds import NotificationKind
from recorder.notifications.recipients import of_conduct
from recorder.permissions import Act, Person, Role
from recorder.rules.requesting import Approvers

NOON = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
LONDON = ZoneInfo("Europe/London")


def heard(count: int, *, by: str = "lena", act: str = Act.PLAY, at: datetime = NOON) -> list[LoggedAct]:
    return [LoggedAct(at=at, act=act, actor=by, subject=f"r{number}") for number in range(count)]


def test_forty_recordings_in_a_day_are_told_and_one_less_is_not() -> None:
    assert heard_many(heard(HEARD_A_DAY), LONDON) == {("lena", date(2026, 7, 1))}
    assert not heard_many(heard(HEARD_A_DAY - 1), LONDON)


def test_copies_count_and_the_same_recording_counts_once() -> None:
    both = heard(HEARD_A_DAY - 1) + heard(HEARD_A_DAY - 1, act=Act.EXPORT)
    assert not heard_many(both, LONDON)
    assert heard_many([*both, LoggedAct(at=NOON, act=Act.EXPORT, actor="lena", subject="another")], LONDON)


@pytest.mark.parametrize("other", [{"by": "mary"}, {"act": "recording.play.refused"}, {"act": Act.VIEW}])
def test_what_others_did_and_what_nobody_heard_does_not_count(other: dict[str, str]) -> None:
    more = [LoggedAct(at=NOON, act=other.get("act", Act.PLAY), actor=other.get("by", "lena"), subject="another")]
    assert not heard_many([*heard(HEARD_A_DAY - 1), *more], LONDON)


def test_a_day_is_the_councils() -> None:
    before_midnight = datetime(2026, 7, 1, 22, 59, tzinfo=UTC)
    parts = heard(HEARD_A_DAY // 2, at=before_midnight)
    parts += [
        LoggedAct(at=before_midnight + timedelta(minutes=1), act=Act.PLAY, actor="lena", subject=f"s{n}")
        for n in range(20)
    ]
    assert not heard_many(parts, LONDON)
    assert heard_many(parts, UTC)


def person(name: str, *roles: Role) -> Person:
    return Person(name=name, display_name=name.title(), roles=frozenset(roles))


GRANT = Granted(at=NOON, account="ian", roles=frozenset({Role.ICT}))


@pytest.mark.parametrize(
    ("roles", "act", "after", "is_told"),
    [
        ((Role.ICT,), Act.PLAY, timedelta(minutes=5), True),
        ((Role.ICT,), Act.SEARCH, USED_WITHIN, True),
        ((Role.ICT,), Act.PLAY, USED_WITHIN + timedelta(seconds=1), False),
        ((Role.ICT,), Act.PLAY, timedelta(seconds=-1), False),
        ((Role.ICT,), Act.PAUSE, timedelta(minutes=5), False),
        ((Role.ICT,), "people.signed_in", timedelta(minutes=5), False),
        ((Role.ICT, Role.DPO), Act.SEARCH, timedelta(minutes=5), False),
        ((Role.ICT, Role.DPO), Act.MANAGE_KEYS, timedelta(minutes=5), True),
    ],
)
def test_a_role_that_is_used_within_an_hour_of_its_grant_is_told(
    roles: tuple[Role, ...], act: str, after: timedelta, is_told: bool
) -> None:
    done = [LoggedAct(at=NOON + after, act=act, actor="ian", subject="")]
    found = used_at_once(done, [GRANT], {"ian": person("ian", *roles)})
    assert found == ({("ian", NOON)} if is_told else set())


@pytest.mark.parametrize(
    ("role", "entry"),
    [
        (Role.TEAM_LEADER, "request.granted"),
        (Role.TEAM_LEADER, "case.decided"),
        (Role.TEAM_LEADER, "claim.asked"),
        (Role.MANAGER, "erasure.ordered"),
        (Role.MANAGER, "erasure.confirmed"),
        (Role.MANAGER, "hold.released"),
        (Role.DPO, "claim.upheld"),
        (Role.DPO, "retention.confirmed"),
        (Role.DPO, "index.reconciled"),
        (Role.ADMIN, "people.add"),
        (Role.ADMIN, "tokens.add"),
    ],
)
def test_what_was_decided_with_a_role_is_its_use_as_much_as_what_was_asked(role: Role, entry: str) -> None:
    grant = Granted(at=NOON, account="ian", roles=frozenset({role}))
    done = [LoggedAct(at=NOON + timedelta(minutes=5), act=entry, actor="ian", subject="")]
    assert used_at_once(done, [grant], {"ian": person("ian", role)}) == {("ian", NOON)}


def test_it_is_no_use_of_the_role_if_somebody_else_does_it_or_the_account_is_gone() -> None:
    done = [LoggedAct(at=NOON, act=Act.PLAY, actor="ina", subject="")]
    people = {name: person(name, Role.ICT) for name in ("ian", "ina")}
    assert not used_at_once(done, [GRANT], people)
    assert not used_at_once([LoggedAct(at=NOON, act=Act.PLAY, actor="ian", subject="")], [GRANT], {})


def test_who_protects_data_is_told_and_never_whom_it_is_about() -> None:
    people = (person("dora", Role.DPO), person("dan", Role.DPO), person("ann", Role.ADMIN))
    day = date(2026, 7, 1)
    told = of_conduct({("dora", day)}, {("ian", NOON)}, Approvers(people=people))
    assert [(one.kind, one.account, one.subject) for one in told] == [
        (NotificationKind.HEARD_MANY, "dan", "dora"),
        (NotificationKind.ROLE_USED_AT_ONCE, "dan", "ian"),
        (NotificationKind.ROLE_USED_AT_ONCE, "dora", "ian"),
    ]
    alone = of_conduct({("dora", day)}, (), Approvers(people=(people[0], people[2])))
    assert [one.account for one in alone] == ["ann"]
