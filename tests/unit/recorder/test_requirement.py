"""What a route or a key takes: in which calls a role does it, by hand; and what is in no table."""

import re
from dataclasses import fields

import pytest

from recorder.cli.command_access import requirement_of as requirement_of_command
from recorder.config.settings import Config
from recorder.control.socket_access import KEYS, SOCKET, check_socket
from recorder.permissions import Act, Application, LocalUser, Person, Role, Scope
from recorder.rules.live_access import Permit, Relation, by_source
from recorder.rules.requirement import Requirement, UnlistedError, kept, known, live, matter, missing_act, relations_of
from recorder.rules.requirement import takes as takes_role
from recorder.web.route_access import ROUTES, by_pattern, requirement_of

WHERE = {"o": Relation.OWN, "t": Relation.TEAM, "x": Relation.OTHER}
BY_HAND = [
    #                                                       admin officer manager leader dpo ict member
    (live(Act.PAUSE),                                       "-   ot  ot  otx otx -   -"),
    (kept(Act.VIEW),                                        "-   o   ot  otx otx otx -"),
    (kept(Act.RETROACTIVE_PAUSE),                                      "-   o   ot  otx otx -   -"),
    (kept(Act.ERASE),                                       "-   -   ot  otx otx -   -"),
    (kept(Act.CONFIRM_ERASURE, others=True),                "-   -   t   tx  tx  -   -"),
    (kept(Act.PLACE_HOLD),                                  "-   -   ot  otx otx -   -"),
    (kept(Act.RELEASE_HOLD, others=True),                   "-   -   t   tx  tx  -   -"),
    (kept(Act.ASK),                                         "-   o   ot  otx otx -   otx"),
    (kept(Act.PLAY),                                        "-   -   -   -   -   otx -"),
    (matter(Act.DECIDE, others=True, stand_in=Role.DPO),    "-   -   -   tx  -   -   -"),
    (matter(Act.ASK, own=True),                             "-   o   o   o   o   -   o"),
    (takes_role(Act.VIEW_AUDIT),                            "-   -   -   -   otx -   -"),
    (known("one's own"),                                    "otx otx otx otx otx otx otx"),
]  # fmt: skip


@pytest.mark.parametrize(("needed", "line"), BY_HAND)
def test_in_which_calls_a_role_does_it(needed: Requirement, line: str) -> None:
    for role, where in zip(Role, line.split(), strict=True):
        assert relations_of(role, needed) == {WHERE[one] for one in where.strip("-")}, role


def test_leave_opens_any_call_and_to_no_more_roles() -> None:
    hears = [role for role in Role if relations_of(role, kept(Act.PLAY), has_grant=True) == set(Relation)]
    assert hears == [Role.OFFICER, Role.MANAGER, Role.TEAM_LEADER, Role.DPO, Role.ICT, Role.MEMBER]
    assert relations_of(Role.ICT, kept(Act.EXPORT), has_grant=True) == frozenset()


def test_what_an_actor_lacks() -> None:
    officer = Person(name="o", display_name="O", roles=frozenset({Role.OFFICER}))
    token = Application(name="t", scopes=frozenset({Scope.PAUSE}))
    assert missing_act(officer, live(Act.PAUSE)) is None
    assert missing_act(officer, takes_role(Act.REPORT, Act.VIEW_AUDIT)) is Act.REPORT
    assert missing_act(token, live(Act.PAUSE)) is None
    assert missing_act(token, takes_role(Act.SEARCH)) is Act.SEARCH
    assert missing_act(officer, kept(Act.DECIDE_CLAIM, deputy=True)) is Act.DECIDE_CLAIM
    assert missing_act(LocalUser(name="root"), live(Act.PAUSE)) is None


def test_a_word_in_the_path_chooses_what_is_taken() -> None:
    pattern = "POST /live/{call}/{act}"
    assert set(by_pattern(ROUTES)[pattern]) == {"pause", "resume"}
    for word, act in (("pause", Act.PAUSE), ("resume", Act.RESUME)):
        found = requirement_of(pattern, {"call": "resume", "act": word})
        assert found is not None
        assert found.acts == (act,)
    assert requirement_of(pattern, {"call": "pause", "act": "erase"}) is None


def test_what_is_in_no_table_is_refused_or_does_not_start() -> None:
    with pytest.raises(UnlistedError, match="GET /everything"):
        requirement_of("GET /everything", {})
    with pytest.raises(UnlistedError, match="POST /api/everything"):
        check_socket([*SOCKET, "POST /api/everything"])
    assert requirement_of_command("verify") is None


def test_every_key_is_in_the_table_and_every_entry_is_a_key() -> None:
    settings = {
        f"[{section}] {one.name}"
        for section in ("pause", "notice", "sign_on")
        for one in fields(getattr(Config(), section))
        if re.search(r"keys?$|card_digits$", one.name)
    }
    assert settings == set(KEYS)
    acting = [(one.source, one.act) for one in KEYS.values() if one.source is not None]
    assert len(acting) == 4
    for source, act in acting:
        assert act is not None
        assert isinstance(by_source(source, act), Permit)
