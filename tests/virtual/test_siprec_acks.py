"""ACKs of recording sessions that are lost: the session and what is said in it are kept (RFC 3261 section 14.2)."""

import time
from collections.abc import Iterator

import pytest

from tests.helpers.exactness import SILENT_ALAW, SILENT_ULAW
from tests.helpers.recorder_home import eventually
from tests.helpers.siprec_client import REQUIRE, Session, ports
from tests.helpers.siprec_policy import Site
from tests.helpers.virtual.siprec import siprec_site
from tests.helpers.voices import TICKS_PER_S

SILENT = bytes((SILENT_ALAW, SILENT_ULAW))
GIVEN_UP_S = 32.0
"""How long a 2xx is sent again (RFC 3261 section 13.3.1.4)."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with siprec_site(tmp_path_factory.mktemp("acks")) as (home, clients):
        yield Site(home, clients)


def begun(site: Site) -> Session:
    session = site.session()
    assert session.invite().status == 200
    session.talk_for(0.3)
    return session


def unacknowledged(session: Session, direction: str) -> None:
    """Send a re-INVITE that is answered 200; its ACK is lost."""
    for line in session.lines:
        line.direction = direction
    session.send("INVITE", session.sdp(), "application/sdp")
    assert session.client.final(session.call_id, "INVITE", session.cseq).status == 200


def resumed(session: Session) -> None:
    for line in session.lines:
        line.direction = "sendonly"
    answer = session.ask("INVITE", session.sdp(), "application/sdp")
    assert answer.status == 200
    session.talk(answer)


def passed(session: Session, seconds: float) -> None:
    """Let time go by; the client answers what comes."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        session.client.poll(0.5)


def a_millisecond() -> None:
    until = time.monotonic() + 0.001
    eventually(lambda: time.monotonic() >= until, "a millisecond")


def heard_to_the_end(site: Site, session: Session, *, least_s: float) -> None:
    """End the session, and assert that both voices were heard for so long, up to its end."""
    assert session.bye().status == 200
    row = site.home.row_of(session.call.caller.user)
    assert (row["outcome"], row["reason"]) == ("recorded", "session_ended")
    for channel, line in zip(site.home.copy(row["id"])[:2], session.lines, strict=True):
        said = sum(byte not in SILENT for byte in channel) / TICKS_PER_S
        assert said > least_s
        assert bytes(channel[-TICKS_PER_S // 5 :]).strip(SILENT), "it goes on to the end"
        assert line.voice.sent


@pytest.mark.parametrize("after_s", [1.0, 5.0])
def test_a_resume_after_a_hold_whose_ack_was_lost(site: Site, after_s: float) -> None:
    session = begun(site)
    unacknowledged(session, "inactive")
    session.hush()
    passed(session, after_s)
    resumed(session)
    session.talk_for(GIVEN_UP_S + 3)
    heard_to_the_end(site, session, least_s=GIVEN_UP_S)


@pytest.mark.parametrize("acknowledged", [1, 2])
def test_two_re_invites_of_which_one_is_acknowledged(site: Site, acknowledged: int) -> None:
    """OpenSIPS sends two that are 1 ms apart, after a hold."""
    session = begun(site)
    numbers = []
    for _ in range(2):
        session.send("INVITE", session.sdp(), "application/sdp")
        numbers.append(session.cseq)
        a_millisecond()
    answers = [session.client.final(session.call_id, "INVITE", number).status for number in numbers]
    assert answers == [200, 200]
    session.send("ACK", cseq=numbers[acknowledged - 1])
    session.talk_for(GIVEN_UP_S + 3)
    heard_to_the_end(site, session, least_s=GIVEN_UP_S)


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_session_whose_first_ack_was_lost_can_be_changed(site: Site, method: str) -> None:
    session = site.session()
    for line in session.lines:
        line.direction = "inactive"
    session.send("INVITE", *session.body(), REQUIRE)
    session.remote = session.client.final(session.call_id, "INVITE", session.cseq).value("To")
    for line in session.lines:
        line.direction = "sendonly"
    answer = session.ask(method, session.sdp(), "application/sdp")
    assert answer.status == 200
    assert all(ports(answer.body))
    session.talk(answer)
    session.talk_for(GIVEN_UP_S + 3)
    heard_to_the_end(site, session, least_s=GIVEN_UP_S)


@pytest.mark.parametrize("is_first", [True, False])
def test_a_client_that_sends_no_ack_at_all_is_asked_whether_it_is_there(site: Site, is_first: bool) -> None:
    session = site.session()
    if is_first:
        session.send("INVITE", *session.body(), REQUIRE)
        answer = session.client.final(session.call_id, "INVITE", session.cseq)
        session.remote = answer.value("To")
        session.talk(answer)
    else:
        assert session.invite().status == 200
        unacknowledged(session, "sendonly")
    asked = len(session.client.requests)
    session.talk_for(GIVEN_UP_S + 1)
    passed(session, 0.5)
    assert {one.method for one in session.client.requests[asked:]} == {"OPTIONS"}
    heard_to_the_end(site, session, least_s=GIVEN_UP_S)


def test_a_client_that_sends_no_ack_and_is_gone_is_let_go(site: Site) -> None:
    session = begun(site)
    unacknowledged(session, "sendonly")
    session.hush()
    session.client.forgotten.add(session.call_id)
    number = session.call.caller.user
    passed(session, GIVEN_UP_S + 2)
    assert site.home.rows(number=number), "481 to the OPTIONS ends it"
