"""A recording session that is away, with nobody whose calls are recorded, and comes back to a call that was stopped.

What an earlier session or a twin left holds from the first sample on, and the client is told so.
"""

from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import pytest

from tests.helpers.recorder_home import eventually
from tests.helpers.siprec_client import REQUIRE, Session, sections
from tests.helpers.siprec_policy import METADATA, Site, document
from tests.helpers.virtual.exchange import TurnedHome
from tests.helpers.virtual.siprec import siprec_site

AWARE = (*REQUIRE, "Supported: record-aware")
AWAY = "2999"
"""An extension whose calls are not recorded."""
OFFICER = {"display_name": "alice", "roles": ["officer"], "extension": "2001"}
STOPPED = pytest.mark.parametrize(
    ("word", "told", "state"), [("opt-out", "off", "opted_out"), ("pause", "paused", "paused")]
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with siprec_site(tmp_path_factory.mktemp("returns")) as (home, clients):
        yield Site(home, clients)


@pytest.fixture(scope="module")
def discarding_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A recorder whose service discards recordings because of a card payment."""
    edits = (('card_payment = "pause"', 'card_payment = "discard"'),)
    with siprec_site(tmp_path_factory.mktemp("returns_discarding"), edits=edits) as (home, clients):
        yield Site(home, clients)


def re_offered(dialog: Session, *, officer: str = "2001", **names: Any) -> str:
    """Send lines and metadata with another officer and other names; returns the state that the client is told."""
    call = replace(dialog.call, **names)
    dialog.call = replace(call, officer=replace(call.officer, user=officer, name=officer))
    content = dialog.ask("INVITE", *dialog.body()).body
    (state,) = {line.removeprefix("a=record:") for lines in sections(content) for line in lines if "a=record" in line}
    return state


def begun(site: Site, *, officer: str = "2001", **names: str) -> Session:
    """Begin a session that has these names, and talk."""
    session = site.session(officer=officer, names=names)
    assert session.invite(headers=AWARE).status == 200
    session.talk_for(0.3)
    return session


def act(site: Site, session: Session, word: str, *, by: str = "mary", **body: Any) -> None:
    path = f"/api/calls/{site.live(session)['id']}/{word}"
    site.home.act(path, by=by, reason="they asked", **body).raise_for_status()


def stopped(site: Site, word: str) -> Session:
    """Stop the recording of a session, and end it."""
    session = begun(site)
    act(site, session, word)
    session.bye()
    return session


def check_nothing_kept(site: Site, session: Session, state: str) -> None:
    """Talk, and check the state and that nothing was kept since the session was away."""
    assert site.live(session)["state"] == state
    session.talk_for(1.0)
    assert site.live(session)["state"] == state
    session.bye()
    kinds = [segment["kind"] for segment in site.home.row_of(session.call.caller.user)["segments"]]
    assert "recording" not in kinds[1:], "the first is from before it was away"
    assert kinds[-1] == state


@STOPPED
@pytest.mark.parametrize("has_group", [True, False])
def test_under_a_name_that_was_stopped(site: Site, word: str, told: str, state: str, has_group: bool) -> None:
    first = stopped(site, word)
    session = begun(site)
    group = first.call.group if has_group else session.call.group
    assert re_offered(session, officer=AWAY) == "off"
    session.talk_for(0.3)
    assert re_offered(session, session=first.call.session, group=group) == told
    check_nothing_kept(site, session, state)


@STOPPED
def test_the_name_was_learnt_while_it_was_away(site: Site, word: str, told: str, state: str) -> None:
    first = stopped(site, word)
    session = begun(site)
    assert re_offered(session, officer=AWAY) == "off"
    session.talk_for(0.3)
    session.call = replace(session.call, session=first.call.session)
    assert session.ask("UPDATE", document(session), METADATA).status == 200
    assert re_offered(session) == told
    check_nothing_kept(site, session, state)


def test_a_pause_that_was_restored_is_stored(site: Site) -> None:
    """A third session, which shares a name with the second only, begins paused too."""
    first = stopped(site, "pause")
    session = begun(site)
    re_offered(session, officer=AWAY)
    assert re_offered(session, session=first.call.session) == "paused"
    session.bye()
    third = begun(site, sip_session=session.call.sip_session)
    assert site.live(third)["state"] == "paused"
    third.bye()


def test_a_person_resumes_what_was_restored(site: Site) -> None:
    first = stopped(site, "pause")
    session = begun(site)
    re_offered(session, officer=AWAY)
    re_offered(session, session=first.call.session)
    assert site.live(session)["paused_s"] is not None, "its reminders run"
    act(site, session, "resume")
    assert re_offered(session) == "on"
    assert site.live(session)["state"] == "recording"
    session.bye()


@pytest.mark.parametrize(("word", "body"), [("pause", {}), ("forgot", {"seconds": 0.1, "person": OFFICER})])
def test_its_twin_was_paused_meanwhile(site: Site, word: str, body: dict[str, Any]) -> None:
    one = begun(site)
    names = {"session": one.call.session, "group": one.call.group}
    other = begun(site, **names)
    assert re_offered(other, officer=AWAY) == "off"
    act(site, one, word, by="alice", **body)
    assert re_offered(other) == "paused"
    check_nothing_kept(site, other, "paused")
    one.bye()
    back = begun(site, **names)
    assert site.live(back)["state"] == "paused"
    back.bye()


@STOPPED
@pytest.mark.parametrize("is_away", [False, True])
def test_a_session_that_was_stopped_becomes_its_twin(
    site: Site, word: str, told: str, state: str, is_away: bool
) -> None:
    one, other = begun(site, officer="2002"), begun(site)  # a pause acts on every call at an extension
    if is_away:
        assert re_offered(one, officer=AWAY) == "off"
    act(site, other, word)
    assert re_offered(other, session=one.call.session) == told
    if is_away:
        assert re_offered(one, officer="2002") == told
    check_nothing_kept(site, one, state)
    assert site.live(other)["state"] == state
    other.bye()


@pytest.mark.parametrize("is_away", [False, True])
def test_a_pause_of_its_own_replaces_no_opt_out(site: Site, is_away: bool) -> None:
    """Its own state is stored under a new name, where an earlier session has left another."""
    first = stopped(site, "opt-out")
    session = begun(site)
    act(site, session, "pause")
    if is_away:
        re_offered(session, officer=AWAY)
    assert re_offered(session, session=first.call.session) == "off"
    check_nothing_kept(site, session, "opted_out")


def test_under_a_name_that_was_discarded(discarding_site: Site) -> None:
    site = discarding_site
    first = begun(site)
    act(site, first, "pause", by="alice", person=OFFICER)
    first.bye()
    session = begun(site)
    assert re_offered(session, officer=AWAY) == "off"
    assert re_offered(session, session=first.call.session) != "on"  # it is paused until the database has answered
    eventually(lambda: site.live(session)["state"] == "discarded", "nothing keeps it")
    session.talk_for(0.5)
    session.bye()
    row = site.home.row_of(session.call.caller.user)
    assert (row["outcome"], row["reason"]) == ("blocked", "discarded")


def test_a_discard_reaches_the_other_sessions_of_the_group_at_once(discarding_site: Site) -> None:
    site = discarding_site
    one = begun(site)
    mate = begun(site, officer="2002", group=one.call.group)
    act(site, one, "pause", by="alice", person=OFFICER)
    for session in (one, mate):
        eventually(lambda s=session: site.live(s)["state"] == "discarded", "nothing keeps it", timeout_s=5)  # type: ignore[misc]
    for session in (one, mate):
        session.bye()
        row = site.home.row_of(session.call.caller.user)
        assert (row["outcome"], row["reason"]) == ("blocked", "discarded")


class Orders:
    """A filing executor whose database does not answer before the test says so."""

    def __init__(self) -> None:
        self.answer: Future[bool] = Future()

    def submit(self, *_: object) -> "Future[bool]":
        return self.answer


def test_a_discard_that_is_decided_while_it_is_away(discarding_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site, orders = discarding_site, Orders()
    session = begun(site)
    assert isinstance(site.home, TurnedHome)
    with monkeypatch.context() as patch:
        patch.setattr(site.home.daemon_now.services, "orders", orders)
        act(site, session, "pause", by="alice", person=OFFICER)
        assert re_offered(session, officer=AWAY) == "off"
        assert site.live(session)["state"] == "out_of_scope"
        orders.answer.set_result(True)
        eventually(lambda: site.live(session)["state"] == "discarded", "a call that is away has not ended")
    assert re_offered(session) == "off"
    session.bye()
    row = site.home.row_of(session.call.caller.user)
    assert (row["outcome"], row["reason"]) == ("blocked", "discarded")
