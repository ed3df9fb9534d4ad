"""Two recording sessions of one call: they are linked, and an act is applied once to each."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from recorder.common.home import Home
from recorder.config.reading import read_config
from recorder.recordings.home_stores import open_index
from storage.audit import AuditLog
from storage.erasures import Erasures
from storage.retention_types import ErasureKind, ErasureOrder
from storage.types import RecordingId
from tests.helpers.exactness import SILENT_ALAW
from tests.helpers.opt_outs import REASON
from tests.helpers.recorder_home import eventually
from tests.helpers.siprec_client import Session
from tests.helpers.siprec_policy import METADATA, Site, document
from tests.helpers.virtual.siprec import siprec_site

EDITS = (("erase_on_opt_out = false", "erase_on_opt_out = true"),)
MANAGER = {"display_name": "Mary", "roles": ["dpo"]}
OFFICER = {"display_name": "alice", "roles": ["officer"], "extension": "2001"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with siprec_site(tmp_path_factory.mktemp("twins"), edits=EDITS) as (home, clients):
        yield Site(home, clients)


@pytest.fixture
def twins(site: Site) -> Iterator[tuple[str, str]]:
    """Begin two sessions of one call; their recordings."""
    one = site.session()
    names = {"session": one.call.session, "group": one.call.group}
    sessions = one, site.session(caller=one.call.caller.user, names=names)
    for session in sessions:
        assert session.invite().status == 200
    for session in sessions:
        session.talk_for(1.0)
    older, younger = eventually(lambda: calls if len(calls := site.home.calls()) == 2 else None, "both are listed")
    yield older["id"], younger["id"]
    end(site, *sessions)


def end(site: Site, *sessions: Session) -> None:
    for session in sessions:
        session.bye()
    eventually(lambda: not site.home.calls(), "both are over")


def two(probe: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Wait until there are two of something."""

    def found() -> list[dict[str, Any]] | None:
        got = probe()
        return got if len(got) == 2 else None

    return eventually(found, "two of them")


def orders_of(site: Site, call: str) -> list[ErasureOrder]:
    index = open_index(Home(site.home.root), read_config(site.home.config))
    try:
        return Erasures(index.database).of_recording(RecordingId(call))
    finally:
        index.close()


def act(site: Site, word: str, **body: Any) -> Any:
    return site.home.act(f"/api/extensions/2001/{word}", **body)


def test_they_are_one_conversation_that_can_be_opted_out_by_extension(site: Site, twins: tuple[str, str]) -> None:
    assert {call["conversation"] for call in site.home.calls()} == {twins[0]}
    act(site, "opt-out", by="mary", person=MANAGER, reason=REASON).raise_for_status()
    assert {call["state"] for call in site.home.calls()} == {"opted_out"}
    assert [[order.kind for order in orders_of(site, twin)] for twin in twins] == [[ErasureKind.OPT_OUT]] * 2


def test_what_an_officer_forgot_is_ordered_once_of_each(site: Site, twins: tuple[str, str]) -> None:
    act(site, "forgot", by="alice", person=OFFICER, seconds=0.5).raise_for_status()
    assert {call["state"] for call in site.home.calls()} == {"paused"}
    assert [[order.kind for order in orders_of(site, twin)] for twin in twins] == [[ErasureKind.CARD_DATA]] * 2


def test_nobody_decides_on_a_call_whose_twin_they_are_in(site: Site) -> None:
    one = site.session()
    two = site.session(caller=one.call.caller.user, officer="2002", names={"session": one.call.session})
    for session in (one, two):
        assert session.invite().status == 200
    calls = eventually(lambda: found if len(found := site.home.calls()) == 2 else None, "both are listed")
    first = next(call["id"] for call in calls if call["extension"] == "2001")
    theirs = {**MANAGER, "extension": "2002"}
    path = f"/api/calls/{first}/opt-out"
    assert site.home.act(path, by="mary", person=theirs, reason=REASON).status_code == 403
    site.home.act(path, by="mary", person=MANAGER, reason=REASON).raise_for_status()
    end(site, one, two)


def test_the_same_session_twice_is_paused_together_and_linked(site: Site) -> None:
    first = site.session()
    number = first.call.caller.user
    first.invite()
    second = site.session(caller=number, names={"session": first.call.session})
    second.invite()
    calls = two(lambda: [one for one in site.home.calls() if one["caller"] == number])
    first.talk_for(0.3)
    site.home.act(f"/api/calls/{calls[0]['id']}/pause").raise_for_status()
    assert {one["state"] for one in site.home.calls() if one["caller"] == number} == {"paused"}
    site.home.act(f"/api/calls/{calls[1]['id']}/resume").raise_for_status()
    assert {one["state"] for one in site.home.calls() if one["caller"] == number} == {"recording"}
    second.bye()
    first.bye()
    one, other = two(lambda: site.home.rows(number=number))
    assert (one["related"], other["related"]) == ([other["id"]], [one["id"]])
    acts = {(entry.act, entry.subject) for entry in AuditLog(site.home.root / "audit").entries()}
    assert acts >= {(act, row["id"]) for act in ("call.pause", "call.resume") for row in (one, other)}


@pytest.fixture
def group(site: Site) -> Iterator[list[Session]]:
    """Begin two sessions of one group, and one of another; nothing names them the same session."""
    one = site.session()
    sessions = [one, site.session(officer="2002", names={"group": one.call.group}), site.session(officer="2002")]
    for session in sessions:
        assert session.invite().status == 200
        session.talk_for(0.5)
    yield sessions
    end(site, *sessions)


def opt_out(site: Site, session: Session, person: dict[str, Any] = MANAGER) -> Any:
    path = f"/api/calls/{site.live(session)['id']}/opt-out"
    return site.home.act(path, by="mary", person=person, reason=REASON)


def test_an_opt_out_reaches_the_other_sessions_of_the_group_at_once(site: Site, group: list[Session]) -> None:
    """A session without an update has to stop too (RFC 7865 section 6.2): it is the same caller's call."""
    one, mate, stranger = group
    ids = [site.live(session)["id"] for session in group]
    opt_out(site, one).raise_for_status()
    assert [site.live(session)["state"] for session in group] == ["opted_out", "opted_out", "recording"]
    kinds = [[order.kind for order in orders_of(site, call)] for call in ids]
    assert kinds == [[ErasureKind.OPT_OUT], [], []], "what was kept before is erased of the call that was meant"
    entries = list(AuditLog(site.home.root / "audit").entries())
    (entry,) = (entry for entry in entries if (entry.act, entry.subject) == ("call.opt_out", ids[1]))
    assert (entry.actor, entry.details["through"]) == ("rule:same_group", ids[0])
    mate.talk_for(0.5)
    mate.bye()
    row = site.home.row_of(mate.call.caller.user)
    assert (row["outcome"], row["reason"]) == ("partial", "opted_out")
    assert stranger.call.group != one.call.group


def test_an_opt_out_decides_the_requests_of_the_whole_group(site: Site, group: list[Session]) -> None:
    one, mate, _ = group
    raised = site.home.act(
        f"/api/calls/{site.live(mate)['id']}/opt-out-request",
        by="bob",
        person={**OFFICER, "display_name": "bob", "extension": "2002"},
        reason=REASON,
    )
    raised.raise_for_status()
    opt_out(site, one).raise_for_status()
    asked = site.home.live.get("/api/opt-outs", headers={"X-Recorder-Actor": "tests"}).json()["opt_outs"]
    assert {one["call"]: one["state"] for one in asked}[site.live(mate)["id"]] == "granted"


def test_nobody_decides_on_a_call_whose_group_they_are_in(site: Site, group: list[Session]) -> None:
    one, _, _ = group
    assert opt_out(site, one, {**MANAGER, "extension": "2002"}).status_code == 403


def test_a_group_that_is_learnt_after_an_opt_out_stops_too(site: Site, group: list[Session]) -> None:
    one, mate, stranger = group
    opt_out(site, one).raise_for_status()
    one.call = replace(one.call, group=stranger.call.group)
    assert one.ask("UPDATE", document(one), METADATA).status == 200
    assert site.live(stranger)["state"] == "opted_out"
    end(site, one, mate, stranger)
    later = site.session(names={"group": stranger.call.group})
    assert later.invite().status == 200
    assert site.live(later)["state"] == "opted_out"
    later.bye()


@pytest.mark.parametrize("has_offer", [True, False])
def test_the_two_calls_of_a_built_in_bridge_are_one_conversation(site: Site, has_offer: bool) -> None:
    number = f"+44163296077{int(has_offer)}"
    people = f";x-refci=2729869{int(has_offer)};x-nearendclusterid=C1;x-nearendaddr=2001;x-farendaddr={number}"
    halves = []
    for end in ("x-nearend", "x-farend"):
        half = site.session()
        half.origin = "2001"
        half.from_parameters = f";{end}{people}"
        half.lines = half.lines[:1]
        half.lines[0].label = ""
        if has_offer:
            assert half.invite((half.sdp(), "application/sdp"), ()).status == 200
        else:
            half.invite_without_offer()
        halves.append(half)
    halves[0].talk_for(0.4)
    for half in halves:
        half.bye()
    rows = two(lambda: site.home.rows(number=number))
    assert {row["operator"] for row in rows} == {"alice"}
    assert rows[0]["related"] == [rows[1]["id"]]
    channels = [site.home.copy(row["id"])[:2] for row in rows]
    silent = {tuple(set(channel) == {SILENT_ALAW} for channel in pair) for pair in channels}
    assert silent == {(True, False), (False, True)}, "the officer's half is on the right, the caller's on the left"
