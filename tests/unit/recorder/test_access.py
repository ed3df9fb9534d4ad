"""Every (role, act) pair is decided here, by hand, apart from the table that it checks."""

import pytest

from docs.make_permissions import PAGE, updated
from recorder.permissions import (
    LOCAL_ACTS,
    NEEDS_REASON,
    SCOPE_OF,
    WATCHES_ICT,
    Act,
    Allowed,
    Application,
    LocalUser,
    Person,
    Refusal,
    Role,
    Scope,
)
from recorder.rules.authorisation import may

REASON = "complaint 17 of Mrs Example"

# y: allowed, o: own recordings only, t: own teams' only, b: own and own teams', l: with leave only, g: break-glass,
# -: refused
EXPECTED = {
    #                  admin officer manager leader dpo ict member
    Act.SEE_LIVE: "- y y y y y -",
    Act.SEE_NUMBERS: "- y y y y - -",
    Act.SIGN_ON: "- y y y - - -",
    Act.PAUSE: "- y y y y - -",
    Act.DISCARD: "- y y y y - -",
    Act.RESUME: "- y y y y - -",
    Act.RAISE_OPT_OUT: "- y y y y - -",
    Act.OPT_OUT: "- - y y y - -",
    Act.DECLINE_OPT_OUT: "- - y y y - -",
    Act.SECOND_MESSAGE: "- y y y y - -",
    Act.RETROACTIVE_PAUSE: "- o b y y - -",
    Act.SEARCH: "- o t y y y -",
    Act.VIEW: "- o t y y y l",
    Act.PLAY: "- l l l l g l",
    Act.EXPORT: "- l l l l - l",
    Act.ASK: "- o t y y - y",
    Act.DECIDE: "- - - y y - -",
    Act.MARK_ABSENT: "- - - y y - -",
    Act.NAME_DEPUTY: "y - - - - - -",
    Act.ACKNOWLEDGE: "- - - - y - -",
    Act.WORK_ON_CASES: "- - - y y - -",
    Act.SCOPE_CASE: "- - - - y - -",
    Act.WRITE_CLAIM: "- - - y y - -",
    Act.DECIDE_CLAIM: "- - - - y - -",
    Act.ERASE: "- - t y y - -",
    Act.CONFIRM_ERASURE: "- - t y y - -",
    Act.PLACE_HOLD: "- - t y y - -",
    Act.RELEASE_HOLD: "- - t y y - -",
    Act.RUN_RETENTION: "- - - - y y -",
    Act.SHORTEN_RETENTION: "- - - - y - -",
    Act.CONFIRM_SWEEP: "- - - y y - -",
    Act.MANAGE_KEYS: "- - - - - y -",
    Act.VIEW_AUDIT: "- - - - y - -",
    Act.REPAIR_INDEX: "- - - - y y -",
    Act.RECONCILE: "- - - - y - -",
    Act.REPORT: "- - t y y y -",
    Act.SEE_SYSTEM: "y - - y y y -",
    Act.MANAGE_PEOPLE: "y - - - - - -",
    Act.CONFIRM_GRANT: "y - - y y - -",
    Act.MANAGE_TOKENS: "y - - - - - -",
    Act.SET_NOTICE: "y - - - y y -",
    Act.IMPORT_CALLS: "- - - - y y -",
    Act.EXPLAIN: "- - t y y - -",
}
PAIRS = [(role, act, mark) for act, line in EXPECTED.items() for role, mark in zip(Role, line.split(), strict=True)]


def person(*roles: Role) -> Person:
    return Person(name="pat", display_name="Pat Example", roles=frozenset(roles))


def test_every_act_is_decided() -> None:
    assert set(EXPECTED) == set(Act)
    assert len(PAIRS) == len(Role) * len(Act)


@pytest.mark.parametrize(("role", "act", "mark"), PAIRS)
def test_role_and_act(role: Role, act: Act, mark: str) -> None:
    decision = may(person(role), act, reason=REASON)
    expected = {
        "y": Allowed(),
        "o": Allowed(own_only=True),
        "t": Allowed(team_only=True),
        "b": Allowed(own_only=True, team_only=True),
        "g": Allowed(break_glass=True),
    }.get(mark)
    if mark == "l":
        assert isinstance(decision, Refusal)
        assert "You need permission" in decision.reason
        assert may(person(role), act, reason=REASON, has_grant=True) == Allowed()
    elif expected is None:
        assert isinstance(decision, Refusal)
        assert "role" in decision.reason
        assert may(person(role), act, reason=REASON, has_grant=True) == decision
    else:
        assert decision == expected


def test_the_documented_matrix_is_that_of_the_table() -> None:
    text = PAGE.read_text()
    assert updated(text) == text, "run python -m docs.make_permissions"


@pytest.mark.parametrize("act", list(Act))
def test_nobody_without_a_role_does_anything(act: Act) -> None:
    assert isinstance(may(person(), act, reason=REASON), Refusal)


def test_admin_and_officer_together_do_not_listen() -> None:
    assert isinstance(may(person(Role.ADMIN, Role.OFFICER), Act.PLAY, reason=REASON), Refusal)
    assert isinstance(may(person(Role.ADMIN), Act.PLAY, reason=REASON, has_grant=True), Refusal)


@pytest.mark.parametrize("act", sorted(WATCHES_ICT))
def test_nobody_of_ict_watches_over_ict(act: Act) -> None:
    assert isinstance(may(person(Role.DPO), act, reason=REASON), Allowed)
    for roles in ((Role.DPO, Role.ICT), (Role.ICT,), (Role.DPO, Role.TEAM_LEADER, Role.ICT)):
        assert isinstance(may(person(*roles), act, reason=REASON), Refusal)


def test_leave_is_no_break_glass() -> None:
    both = person(Role.ICT, Role.MANAGER)
    assert may(both, Act.PLAY, reason=REASON) == Allowed(break_glass=True)
    assert may(both, Act.PLAY, has_grant=True) == Allowed()
    assert isinstance(may(person(Role.ICT), Act.PLAY), Refusal)
    assert isinstance(may(person(Role.ICT), Act.EXPORT, reason=REASON, has_grant=True), Refusal)


def test_roles_add_up() -> None:
    assert may(person(Role.OFFICER, Role.DPO), Act.SEARCH, operator="Somebody Else") == Allowed()


@pytest.mark.parametrize("act", sorted(NEEDS_REASON))
@pytest.mark.parametrize("reason", ["", "   ", "ab", "x" * 1001])
def test_a_reason_is_demanded(act: Act, reason: str) -> None:
    decision = may(person(Role.DPO), act, reason=reason, has_grant=True)
    assert isinstance(decision, Refusal)
    assert "reason" in decision.reason


def test_officer_sees_own_calls_only() -> None:
    assert may(person(Role.OFFICER), Act.VIEW, operator="Pat Example") == Allowed(own_only=True)
    assert isinstance(may(person(Role.OFFICER), Act.VIEW, operator="Sam Example"), Refusal)


@pytest.mark.parametrize("act", list(Act))
def test_local_user(act: Act) -> None:
    decision = may(LocalUser(name="root"), act, reason=REASON)
    assert isinstance(decision, Allowed) == (act in LOCAL_ACTS)


def test_local_user_never_listens() -> None:
    assert not LOCAL_ACTS & {Act.PLAY, Act.EXPORT, Act.OPT_OUT, Act.MANAGE_PEOPLE, Act.MANAGE_TOKENS}


@pytest.mark.parametrize("act", list(Act))
@pytest.mark.parametrize("scope", list(Scope))
def test_token_does_what_its_scope_says(act: Act, scope: Scope) -> None:
    decision = may(Application(name="crm", scopes=frozenset({scope})), act, reason=REASON)
    assert isinstance(decision, Allowed) == (SCOPE_OF.get(act) == scope)


def test_token_stays_on_its_extensions() -> None:
    token = Application(name="crm", scopes=frozenset(Scope), extensions=frozenset({"2001"}))
    assert may(token, Act.PAUSE, extension="2001") == Allowed()
    assert isinstance(may(token, Act.PAUSE, extension="2002"), Refusal)


def test_actors_cannot_be_mistaken_for_one_another() -> None:
    names = {person().actor, LocalUser(name="pat").actor, Application(name="pat", scopes=frozenset()).actor}
    assert names == {"pat", "os:pat", "token:pat"}


# --- teams


def manager(*teams: str, roles: frozenset[Role] = frozenset({Role.MANAGER})) -> Person:
    return Person(name="mary", display_name="Mary", roles=roles, teams=teams)


@pytest.mark.parametrize("act", [Act.SEARCH, Act.VIEW, Act.REPORT])
def test_a_manager_sees_their_teams(act: Act) -> None:
    mary = manager("North", "South")
    assert may(mary, act) == Allowed(team_only=True)
    assert may(mary, act, operator="Ann", team="South") == Allowed(team_only=True)
    for team in ("East", "", "north", "North "):
        assert isinstance(may(mary, act, operator="Ann", team=team), Refusal), team
    assert isinstance(may(manager(), act, operator="Mary", team=""), Refusal), "of no team, so of no call"
    assert isinstance(may(mary, act, operator="Mary", team="East"), Refusal), "a manager's own calls take the role"


def test_roles_add_up_to_teams_and_own_calls() -> None:
    both = manager("North", roles=frozenset({Role.MANAGER, Role.OFFICER}))
    wide = Allowed(own_only=True, team_only=True)
    assert may(both, Act.VIEW) == wide
    assert may(both, Act.VIEW, operator="Mary", team="East") == wide
    assert may(both, Act.VIEW, operator="Ann", team="North") == wide
    assert isinstance(may(both, Act.VIEW, operator="Ann", team="East"), Refusal)
    whole = manager("North", roles=frozenset({Role.MANAGER, Role.ICT}))
    assert may(whole, Act.VIEW, operator="Ann", team="East") == Allowed()


def test_leave_reaches_beyond_the_team() -> None:
    assert may(manager("North"), Act.VIEW, operator="Ann", team="East", has_grant=True) == Allowed(team_only=True)
