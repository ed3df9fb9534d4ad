"""Who may act on a live call: every role, act and relation is decided here, by hand, apart from the table."""

import itertools
from dataclasses import replace
from typing import Any

import pytest

from recorder.permissions import Act, Allowed, Application, DeniedError, LocalUser, Person, Role, Scope
from recorder.rules.authorisation import may
from recorder.rules.live_access import (
    LIVE_ACTS,
    SOURCE_TABLE,
    Around,
    HiddenError,
    LiveRefusal,
    Permit,
    Relation,
    Source,
    by_source,
    decide,
    relation_of,
    require,
    seen,
)
from recorder.rules.live_facts import CallFacts, CurrentOfficers, facts_listed
from recorder.rules.pausing import Authority
from recorder.rules.seats import colleagues_of, seats_of
from storage.types import RecordingId

CALL = CallFacts(
    call=RecordingId("20261125T090000Z-2001-aaaaaa"),
    team="Revenues",
    extensions=frozenset({"2001"}),
    operators=frozenset({"Ann"}),
)

OFFICER = Permit(authority=Authority.OFFICER, may_discard=True, may_erase_alone=True)

# o: own, t: of one's team, x: any other
EXPECTED = {
    #                      admin officer manager leader dpo ict member
    Act.SEE_LIVE:         "-   ot  ot  otx otx otx -",
    Act.SEE_NUMBERS:      "-   o   ot  otx otx -   -",
    Act.PAUSE:            "-   ot  ot  otx otx -   -",
    Act.DISCARD:          "-   o   o   o   o   -   -",
    Act.RESUME:           "-   o   ot  ot  otx -   -",
    Act.RAISE_OPT_OUT:    "-   o   o   o   o   -   -",
    Act.OPT_OUT:          "-   -   t   t   t   -   -",
    Act.DECLINE_OPT_OUT:  "-   -   t   t   t   -   -",
    Act.SECOND_MESSAGE:   "-   o   ot  otx ot  -   -",
    Act.RETROACTIVE_PAUSE:           "-   o   o   o   o   -   -",
}  # fmt: skip
WHERE = {Relation.OWN: "o", Relation.TEAM: "t", Relation.OTHER: "x"}
CELLS = [
    (role, act, relation, WHERE[relation] in where)
    for act, line in EXPECTED.items()
    for role, where in zip(Role, line.split(), strict=True)
    for relation in Relation
]


def person(*roles: Role, relation: Relation = Relation.OTHER, **changes: Any) -> Person:
    """Return somebody to whom the call is this."""
    own, team = relation is Relation.OWN, relation is Relation.TEAM
    found = Person(
        name="ann" if own else "pat", display_name="Ann" if own else "Pat", roles=frozenset(roles),
        teams=("Revenues",) if team else ("Housing",),
    )  # fmt: skip
    return replace(found, **changes)


def test_every_act_is_decided() -> None:
    assert set(EXPECTED) == set(LIVE_ACTS)


@pytest.mark.parametrize(("role", "act", "relation", "is_allowed"), CELLS)
def test_role_act_and_relation(role: Role, act: Act, relation: Relation, is_allowed: bool) -> None:
    who = person(role, relation=relation)
    assert relation_of(who, CALL) is relation
    decision = decide(who, act, CALL)
    sees = WHERE[relation] in EXPECTED[Act.SEE_LIVE].split()[list(Role).index(role)]
    if is_allowed:
        manages = relation is not Relation.OWN and role in (Role.MANAGER, Role.TEAM_LEADER, Role.DPO)
        authority = Authority.MANAGER if manages else Authority.OFFICER
        assert decision == Permit(
            authority=authority, may_discard=relation is Relation.OWN, may_erase_alone=relation is Relation.OWN
        )
        assert isinstance(may(who, act, reason="complaint 17"), Allowed), "the table of roles has it as well"
        return
    assert isinstance(decision, LiveRefusal)
    assert decision.is_hidden is not sees
    with pytest.raises(DeniedError) as denied:
        require(who, act, CALL)
    assert isinstance(denied.value, HiddenError) is not sees


def test_roles_add_up_but_of_an_own_call_an_officers_rights_count() -> None:
    both = person(Role.OFFICER, Role.MANAGER, relation=Relation.TEAM)
    assert decide(both, Act.RESUME, CALL) == Permit(authority=Authority.MANAGER)
    own = replace(both, display_name="Ann")
    assert decide(own, Act.RESUME, CALL) == OFFICER
    assert isinstance(decide(own, Act.OPT_OUT, CALL), LiveRefusal)
    officer = person(Role.OFFICER, Role.ICT, Role.ADMIN)
    assert isinstance(decide(officer, Act.SEE_LIVE, CALL), Permit)
    assert isinstance(decide(officer, Act.PAUSE, CALL), LiveRefusal)


def test_a_sign_on_that_is_not_proven_at_the_phone_drops_nothing_and_erases_nothing_alone() -> None:
    ann = person(Role.OFFICER, relation=Relation.OWN, teams=())
    unproven = replace(CALL, segment=replace(CALL.now, configured=frozenset(), proven=frozenset()))
    assert relation_of(ann, unproven) is Relation.OWN
    assert isinstance(decide(ann, Act.DISCARD, unproven), LiveRefusal)
    for act in (Act.PAUSE, Act.RESUME, Act.RETROACTIVE_PAUSE, Act.RAISE_OPT_OUT):
        assert decide(ann, act, unproven) == Permit(authority=Authority.OFFICER), "the call is theirs all the same"
    proven = replace(unproven, segment=replace(unproven.now, proven=frozenset({"Ann"})))
    assert decide(ann, Act.RETROACTIVE_PAUSE, proven) == OFFICER
    elsewhere = replace(ann, display_name="Pat", extension="2001")
    assert decide(elsewhere, Act.RETROACTIVE_PAUSE, CALL) == OFFICER, "the phone is configured as theirs"
    assert facts_listed({"call": "c", **unproven.now.as_json()}).now.proven == frozenset()


def test_signing_on_makes_nobody_a_colleague_of_the_phones_team() -> None:
    agents = [
        {"extension": "2001", "operator": "Ann", "team": "Revenues", "is_signed_on": False},
        {"extension": "2003", "operator": "Pat", "team": "Revenues", "is_signed_on": True},
        {"extension": "3001", "operator": "Carol", "team": "Housing", "is_signed_on": True},
    ]
    pat = person(Role.OFFICER, teams=())
    assert [one["extension"] for one in seats_of(pat, agents)] == ["2003"], "the phone is theirs"
    assert colleagues_of(pat, agents) == frozenset()
    assert isinstance(decide(pat, Act.PAUSE, CALL, Around(colleagues=colleagues_of(pat, agents))), LiveRefusal)
    assert colleagues_of(replace(pat, extension="3001"), agents) == {"Housing"}, "of their own one, whoever is there"
    agents[2] |= {"configured": "Pat"}
    assert colleagues_of(pat, agents) == {"Housing"}, "it is configured as theirs"
    nameless = [{**one, "configured": ""} for one in agents]
    assert colleagues_of(replace(pat, display_name=""), nameless) == frozenset()


def test_an_officers_colleagues_are_those_of_the_team_whose_phone_is_theirs() -> None:
    officer = person(Role.OFFICER)
    around = Around(colleagues=frozenset({"Revenues"}))
    assert decide(officer, Act.PAUSE, CALL, around) == Permit(authority=Authority.OFFICER)
    assert isinstance(decide(officer, Act.RESUME, CALL, around), LiveRefusal)
    assert isinstance(decide(person(Role.MANAGER), Act.PAUSE, CALL, around), LiveRefusal), "a phone makes no manager"


def test_the_phone_is_whose_it_is_configured_unless_somebody_signed_on() -> None:
    officer = person(Role.OFFICER, extension="2001")
    assert relation_of(officer, CALL) is Relation.OWN
    taken = replace(CALL, segment=replace(CALL.now, configured=frozenset(), operators=frozenset({"Bob"})))
    assert relation_of(officer, taken) is Relation.OTHER
    assert relation_of(replace(officer, display_name="Bob"), taken) is Relation.OWN
    assert (
        relation_of(person(Role.OFFICER, display_name=""), replace(CALL, operators=frozenset({""}))) is not Relation.OWN
    )


def test_after_a_transfer_it_is_the_new_officers_and_their_teams() -> None:
    handed = replace(
        CALL,
        extensions=frozenset({"2001", "3001"}),
        operators=frozenset({"Ann", "Carol"}),
        segment=CurrentOfficers(
            teams=frozenset({"Housing"}), extensions=frozenset({"3001"}), operators=frozenset({"Carol"}),
            configured=frozenset({"3001"}), proven=frozenset({"Carol"}),
        ),
    )  # fmt: skip
    ann = person(Role.OFFICER, relation=Relation.OWN, teams=())
    assert isinstance(decide(ann, Act.RESUME, handed), LiveRefusal)
    assert isinstance(decide(person(Role.MANAGER, relation=Relation.TEAM), Act.RESUME, handed), LiveRefusal)
    assert isinstance(decide(person(Role.MANAGER), Act.RESUME, handed), Permit)
    manager = person(Role.MANAGER, relation=Relation.OWN)
    assert isinstance(decide(manager, Act.OPT_OUT, handed), LiveRefusal), "they were on it"


def test_an_extension_without_a_team_is_of_everybodys() -> None:
    nameless = replace(CALL, team="")
    assert isinstance(decide(person(Role.OFFICER), Act.PAUSE, nameless), Permit)
    assert isinstance(decide(person(Role.MANAGER), Act.OPT_OUT, nameless), Permit)
    assert isinstance(decide(person(Role.MEMBER), Act.PAUSE, nameless), LiveRefusal)


@pytest.mark.parametrize(("source", "act"), list(itertools.product(Source, LIVE_ACTS)))
def test_without_an_account(source: Source, act: Act) -> None:
    expected = {
        Source.OFFICER_KEYS: {Act.PAUSE, Act.DISCARD, Act.RESUME},
        Source.CALLER_DIGITS: {Act.PAUSE, Act.DISCARD},
        Source.MANAGER_PIN: {Act.OPT_OUT},
        Source.TOKEN: {Act.SEE_LIVE, Act.SEE_NUMBERS, Act.PAUSE, Act.DISCARD, Act.RESUME},
        Source.SHELL: {Act.SEE_LIVE, Act.PAUSE},
    }[source]
    decision = by_source(source, act)
    assert isinstance(decision, Permit) == (act in expected)
    if source is Source.SHELL:
        assert decide(LocalUser(name="root"), act, CALL) == decision
        assert isinstance(decision, LiveRefusal) or (decision.is_alarmed and not decision.may_discard)


def test_a_token_acts_on_its_extensions_by_its_scopes() -> None:
    token = Application(name="shop", scopes=frozenset({Scope.PAUSE}), extensions=frozenset({"2001"}))
    permit = SOURCE_TABLE[Source.TOKEN][1]
    assert permit == Permit(authority=Authority.TOKEN, may_discard=True)
    assert decide(token, Act.PAUSE, CALL) == decide(token, Act.RESUME, CALL) == permit
    elsewhere = decide(replace(token, extensions=frozenset({"2002"})), Act.PAUSE, CALL)
    assert isinstance(elsewhere, LiveRefusal)
    assert elsewhere.is_hidden
    for act in set(LIVE_ACTS) - {Act.PAUSE, Act.DISCARD, Act.RESUME}:
        assert isinstance(decide(token, act, CALL), LiveRefusal)


LISTED: dict[str, Any] = {
    "call": CALL.call, "id": CALL.call, "state": "recording", "extension": "2001", "operator": "Ann",
    "team": "Revenues",
    "caller": "02079460000", "called": "2001", "extensions": ["2001"], "operators": ["Ann"],
    "opt_out": {"id": "0a1b2c3d", "state": "raised"}, **CALL.now.as_json(),
}  # fmt: skip


@pytest.mark.parametrize(("role", "relation"), list(itertools.product(Role, Relation)))
def test_what_is_shown_of_a_call(role: Role, relation: Relation) -> None:
    def may_do(act: Act) -> bool:
        return WHERE[relation] in EXPECTED[act].split()[list(Role).index(role)]

    shown = seen(person(role, relation=relation), LISTED)
    if not may_do(Act.SEE_LIVE):
        assert shown is None
        return
    assert shown is not None
    assert (shown["extension"], shown["state"]) == ("2001", "recording")
    assert shown["may"] == sorted(
        act for act in LIVE_ACTS if may_do(act) and act not in (Act.SEE_LIVE, Act.SEE_NUMBERS)
    )
    has_numbers = may_do(Act.SEE_NUMBERS)
    assert ("caller" in shown, "called" in shown, "operator" in shown) == (has_numbers,) * 3
    assert (LISTED["caller"] in repr(shown)) is has_numbers
    knows_of_request = has_numbers or relation is Relation.OWN
    assert shown["opt_out"] == (LISTED["opt_out"] if knows_of_request else None)


def test_what_the_daemon_lists_is_what_the_rules_know() -> None:
    assert facts_listed(LISTED).now == CALL.now
    assert facts_listed({"call": "x"}).now.operators == frozenset()
