"""What a client with record-aware is told (a=record, RFC 7866) is the state of the recording."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from recorder.calls.session_register import REGISTER
from tests.helpers.recorder_home import eventually
from tests.helpers.siprec_client import REQUIRE, Session, sections
from tests.helpers.siprec_policy import Site
from tests.helpers.siprec_shapes import Call, Who
from tests.helpers.virtual.siprec import siprec_site

AWARE = (*REQUIRE, "Supported: record-aware")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with siprec_site(tmp_path_factory.mktemp("record_state")) as (home, clients):
        yield Site(home, clients)


@pytest.fixture(scope="module")
def unheld_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A recorder that does not record calls on hold."""
    folder, edits = tmp_path_factory.mktemp("record_state_hold"), (("record_hold = true ", "record_hold = false "),)
    with siprec_site(folder, edits=edits) as (home, clients):
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


def held(session: Session, direction: str) -> str:
    """Put every line on hold, or end that; returns the state that the client is told."""
    for line in session.lines:
        line.direction = direction
    return re_offered(session)


def offered(session: Session, headers: Sequence[str] = AWARE) -> bytes:
    """Send an INVITE without a body, and take the recorder's offer; returns the offer."""
    session.send("INVITE", headers=headers)
    final = session.client.final(session.call_id, "INVITE", session.cseq)
    assert final.status == 200
    session.remote = final.value("To")
    session.send("ACK", session.sdp(), "application/sdp", cseq=session.cseq)
    return final.body


def version(content: bytes) -> int:
    """Return the version in o=."""
    return int(next(line for line in content.decode().splitlines() if line.startswith("o=")).split()[2])


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


def test_a_hold_that_is_not_recorded(unheld_site: Site) -> None:
    session = unheld_site.session()
    assert begun(session) == "on"
    for _ in range(2):
        assert held(session, "inactive") == "paused"
        assert unheld_site.live(session)["reasons"] == ["hold"]
        assert held(session, "sendonly") == "on"
        eventually(lambda: unheld_site.live(session)["state"] == "recording", "recording goes on after the hold")
    session.bye()


def test_the_answer_to_an_offer_of_the_recorder_ends_a_hold(unheld_site: Site) -> None:
    session = unheld_site.session()
    assert begun(session) == "on"
    assert held(session, "inactive") == "paused"
    assert told(offered(session)) == "paused", "it is still on hold by its answer"
    for line in session.lines:
        line.direction = "sendonly"
    assert b"a=inactive" not in offered(session)
    eventually(lambda: unheld_site.live(session)["state"] == "recording", "recording goes on after the hold")
    assert re_offered(session) == "on"
    session.bye()


def test_a_session_that_begins_on_hold(unheld_site: Site) -> None:
    session = unheld_site.session()
    for line in session.lines:
        line.direction = "inactive"
    assert begun(session) == "paused"
    assert unheld_site.live(session)["reasons"] == ["hold"]
    assert held(session, "sendonly") == "on"
    session.bye()


def test_the_end_of_a_hold_ends_no_other_pause(unheld_site: Site) -> None:
    session = unheld_site.session()
    assert begun(session) == "on"
    assert held(session, "inactive") == "paused"
    act(unheld_site, session, "pause")
    assert held(session, "sendonly") == "paused"
    eventually(lambda: unheld_site.live(session)["reasons"] == ["agent"], "the hold has ended")
    act(unheld_site, session, "resume")
    assert re_offered(session) == "on"
    session.bye()


def test_a_hold_that_is_recorded(site: Site) -> None:
    session = site.session()
    assert begun(session) == "on"
    assert held(session, "inactive") == "on"
    assert site.live(session)["state"] == "recording"
    session.bye()


def test_an_offer_of_the_recorder_in_a_session(site: Site) -> None:
    """An INVITE without a body is answered with the lines as they are; only a change raises the version (RFC 3264)."""
    session = site.session()
    first = session.invite(headers=AWARE).body
    assert offered(session) == first, "nothing has changed"
    for count, (word, state) in enumerate((("pause", "paused"), ("resume", "on")), 1):
        act(site, session, word)
        offer = offered(session)
        assert told(offer) == state
        assert version(offer) == version(first) + count
        assert offered(session) == offer, "nothing has changed since"
    session.bye()


def test_a_client_that_does_not_ask_gets_the_same_offer(site: Site) -> None:
    session = site.session()
    first = session.invite().body
    act(site, session, "pause")
    assert offered(session, REQUIRE) == first
    session.bye()


@pytest.mark.parametrize(("peer", "state"), [("everything", "on"), ("sbc", "off"), ("unattested", "off")])
def test_an_invite_without_an_offer(site: Site, peer: str, state: str) -> None:
    """The recorder's offer has the state that follows from its answer; "sbc" does not say who takes part."""
    session = site.session(peer)
    session.origin, session.lines = session.call.caller.user, session.lines[:1]
    offer = offered(session)
    assert told(offer) == state
    if state == "on":
        assert site.live(session)["state"] == "recording"
        act(site, session, "pause")
        later = offered(session)
        assert (told(later), version(later)) == ("paused", version(offer) + 1)
    session.bye()


def test_an_invite_without_an_offer_of_a_session_that_returns(site: Site) -> None:
    headers = (*AWARE, "Session-ID: ab30317f1a784dc48ff824d0d3715d87;remote=00000000000000000000000000000000")
    for word, state in (("pause", "on"), ("opt-out", "paused"), ("", "off")):
        session = site.session("everything", caller="+441632960990")
        session.origin, session.lines = session.call.caller.user, session.lines[:1]
        assert told(offered(session, headers)) == state
        if word:
            act(site, session, word, by="mary", reason="they asked")
        session.bye()


def test_a_client_that_does_not_ask_is_not_told_in_an_offer(site: Site) -> None:
    session = site.session("everything")
    session.origin, session.lines = session.call.caller.user, session.lines[:1]
    assert b"a=record" not in offered(session, REQUIRE)
    session.bye()
