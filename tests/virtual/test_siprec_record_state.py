"""What a client with record-aware is told (a=record, RFC 7866 section 6.2) is the state of the recording."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recorder.calls.session_register import REGISTER
from tests.helpers.siprec_client import REQUIRE, Session, sections
from tests.helpers.siprec_policy import Site
from tests.helpers.siprec_shapes import Call, Who
from tests.helpers.virtual.siprec import siprec_site

AWARE = (*REQUIRE, "Supported: record-aware")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with siprec_site(tmp_path_factory.mktemp("record_state")) as (home, clients):
        yield Site(home, clients)


def told(content: bytes) -> str:
    """Return the state in an answer, which is the same on both lines."""
    (state,) = {line.removeprefix("a=record:") for lines in sections(content) for line in lines if "a=record" in line}
    return state


def begun(session: Session) -> str:
    """Begin a session; returns the state that its client is told."""
    return told(session.invite(headers=AWARE).body)


def re_offered(session: Session) -> str:
    """Send lines and metadata as they are now; returns the state that the client is told."""
    return told(session.ask("INVITE", *session.body()).body)


def act(site: Site, session: Session, word: str, **body: Any) -> None:
    site.home.act(f"/api/calls/{site.live(session)['id']}/{word}", **body).raise_for_status()


def test_a_session_begins_paused_where_the_journal_cannot_be_read(tmp_path: Path) -> None:
    with siprec_site(tmp_path) as (home, clients):
        site, journal = Site(home, clients), home.root / "state" / REGISTER
        home.stop()
        journal.unlink(missing_ok=True)
        journal.mkdir()
        home.start()
        journal.rmdir()  # it can be written again
        session = site.session()
        assert begun(session) == "paused"
        assert (site.live(session)["state"], site.live(session)["reasons"]) == ("paused", ["agent"])
        act(site, session, "resume")
        assert re_offered(session) == "on", "a person has resumed it"
        session.bye()


def again(site: Site, before: Session) -> Session:
    """Return a session of the same call in a new dialog, as after a failover."""
    names = {"session": before.call.session, "group": before.call.group}
    return site.session(caller=before.call.caller.user, officer=before.call.officer.user, names=names)


@pytest.mark.parametrize(("word", "state"), [("pause", "paused"), ("opt-out", "off")])
def test_a_session_that_returns(site: Site, word: str, state: str) -> None:
    session = site.session()
    assert begun(session) == "on"
    act(site, session, word, by="mary", reason="they asked")
    assert re_offered(session) == state
    session.bye()
    back = again(site, session)
    assert begun(back) == state
    back.bye()


def test_a_session_that_is_transferred_away_and_back(site: Site) -> None:
    session = site.session()
    call = session.call
    assert begun(session) == "on"
    for officer, state in (("2999", "off"), ("2001", "on")):
        session.call = Call(
            caller=call.caller,
            officer=Who(user=officer, name=officer, label="2"),
            session=call.session,
            group=call.group,
        )
        assert re_offered(session) == state
    assert site.live(session)["state"] == "recording"
    session.bye()
