"""A drain: new calls are refused, calls in progress go on with all that people may do in them."""

import json
import time
from collections.abc import Iterator
from typing import Any, cast

import pytest

from recorder.common.home import Home
from storage.audit import AuditLog
from tests.helpers.exchange import Exchange, Talk
from tests.helpers.sip_peer import Answer
from tests.helpers.siprec_policy import METADATA, Site, document
from tests.helpers.transfers import expect_newcomer, refer, wait_told
from tests.helpers.virtual.dispatcher import asked
from tests.helpers.virtual.exchange import TurnedHome, exchange
from tests.helpers.virtual.siprec import siprec_site

DRAINING = (503, '399 recorder "draining"', "5")


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("drain"), edits=(("erase_s = 3.0", "erase_s = 0.3"),)) as made:
        yield made


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with siprec_site(tmp_path_factory.mktemp("drain-siprec")) as (home, clients):
        yield Site(home, clients)


@pytest.fixture
def drained(lines: Exchange) -> Iterator[Exchange]:
    lines.home.act("/api/drain").raise_for_status()
    yield lines
    lines.home.live.post("/api/drain/cancel")


def refused(talk: Talk) -> None:
    talk.first.wait_ended()
    (refusal,) = [message for message in talk.first.received if message.status and message.status >= 300]
    assert (refusal.status, refusal.value("Retry-After")) == (503, "5")


def entries(lines: Exchange) -> list[tuple[str, str, dict[str, Any]]]:
    log = AuditLog(Home(lines.home.root).audit)
    return [(one.act, one.actor, dict(one.details)) for one in log.entries() if one.act.startswith("daemon.")]


def test_new_calls_are_refused_and_those_in_progress_go_on(lines: Exchange) -> None:
    home = lines.home
    assert asked(lines) == (200, "", "")
    talk, ringing = lines.call(), lines.call("2002", answer=Answer(after_s=2.0))
    call = talk.join()
    ringing.begin()
    before = home.health()
    assert "draining" not in before["alarms"]
    begun = home.act("/api/drain").json()
    assert (begun["state"], begun["calls"], begun["refused"]) == ("draining", 2, 0)
    assert asked(lines) == DRAINING
    refused(lines.call())
    refused(lines.call("4711"))
    emergency = lines.call("999")
    emergency.first.wait_confirmed()
    emergency.first.hang_up()
    emergency.first.wait_ended()
    health = home.health()
    assert (health["alarms"]["draining"], health["drain"]["refused"], health["drain"]["calls"]) == (1, 2, 2)
    assert health["counts"]["drained"] - before["counts"]["drained"] == 2
    assert f"draining since {begun['since']}: new calls are refused, 2 so far" in home.run(
        "health", "-C", str(home.root)
    ).stderr.replace("\n", " ")

    talk.first.offer(talk.left.media(version=2))
    talk.first.wait_for(lambda one: one.replies_to("INVITE")[-1:] == [200])
    home.act(f"/api/calls/{call}/pause").raise_for_status()
    home.act(f"/api/calls/{call}/resume").raise_for_status()
    bob = expect_newcomer(talk, "3001")
    alice = talk.wait_second()
    refer(alice, "3001")
    leg = bob.join()
    wait_told(alice, 200)
    ringing.join()

    taken = home.act("/api/drain/cancel").json()
    assert (taken["state"], taken["since"], taken["calls"]) == ("running", None, 2)
    assert asked(lines) == (200, "", "")
    assert "draining" not in home.health()["alarms"]
    assert ringing.hang_up()["outcome"] == "recorded"
    assert talk.hang_up()["outcome"] == "recorded"
    leg.wait_ended()
    again = lines.call()
    again.join()
    again.talk_for(0.4)
    assert again.hang_up()["outcome"] == "recorded"
    assert home.act("/api/drain/cancel").status_code == 409
    acts = entries(lines)
    assert [act for act, _, _ in acts] == ["daemon.draining", "daemon.taking_calls"]
    assert all(actor.startswith("os:") and details["calls"] == 2 for _, actor, details in acts)


def test_a_call_that_is_passed_in_a_drain_becomes_a_recorded_one_by_a_transfer(drained: Exchange) -> None:
    """A transfer to a nominated extension is no new call: refusing it would end a call in progress."""
    emergency = drained.call("112")
    emergency.first.wait_confirmed()
    second = emergency.wait_second()
    alice = expect_newcomer(emergency, "2001")
    refer(second, "2001")
    leg = alice.wait()
    emergency.first.hang_up()
    leg.wait_ended()
    alice.voice.hush()


def test_the_command_waits_until_the_last_call_has_ended(lines: Exchange) -> None:
    home = lines.home
    talk = lines.call("4711")
    talk.first.wait_confirmed()
    scene = cast(TurnedHome, home)._scene
    scene.world.after(70.0, talk.first.hang_up)
    began_s = time.monotonic()
    done = home.run("drain", "-C", str(home.root), "--json")
    assert done.returncode == 0, done.stderr
    assert 70 < time.monotonic() - began_s < 72
    told = [line for line in done.stderr.splitlines() if line.startswith("draining:")]
    assert told == ["draining: new calls are refused; 1 call in progress"] * 2, "at the beginning and after a minute"
    document = json.loads(done.stdout)
    assert (document["state"], document["calls"]) == ("draining", 0)
    assert home.run("drain", "--cancel", "-C", str(home.root)).returncode == 0


def test_a_command_whose_time_is_over_leaves_the_drain_and_the_calls(lines: Exchange) -> None:
    home = lines.home
    talk = lines.call("4711")
    talk.first.wait_confirmed()
    began_s = time.monotonic()
    done = home.run("drain", "--for", "10s", "-C", str(home.root))
    assert (done.returncode, round(time.monotonic() - began_s)) == (1, 10)
    assert "1 call left after 0:10; they go on" in done.stderr.replace("\n", " ")
    assert home.live.get("/api/drain").json()["state"] == "draining"
    assert home.run("drain", "--cancel", "-C", str(home.root)).returncode == 0
    talk.first.hang_up()
    talk.first.wait_ended()
    assert talk.first.ended_by == "us"


@pytest.mark.parametrize("words", [("--for", "ten minutes"), ("--for", "2d"), ("--cancel", "--stop")])
def test_a_wrong_use_of_the_command_drains_nothing(lines: Exchange, words: tuple[str, ...]) -> None:
    assert lines.home.run("drain", *words, "-C", str(lines.home.root)).returncode == 2
    assert lines.home.live.get("/api/drain").json()["state"] == "running"


def test_only_whoever_may_send_a_signal_may_drain(lines: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recorder.control.drains.os_user", lambda: "recorder-daemon")
    monkeypatch.setattr("recorder.control.bodies.user_name", lambda _: "recorder-console")
    monkeypatch.setattr("recorder.control.bodies._known", {})
    for path in ("/api/drain", "/api/drain/cancel"):
        refusal = lines.home.live.post(path, json={})
        assert (refusal.status_code, "recorder-daemon" in refusal.text) == (403, True)
    assert lines.home.live.get("/api/drain").json()["state"] == "running"


def test_a_recording_session_goes_on_and_a_new_one_is_refused(site: Site) -> None:
    session = site.session()
    assert session.invite().status == 200
    site.home.act("/api/drain").raise_for_status()
    assert site.session().invite().status == 503
    assert session.ask("UPDATE", document(session), METADATA).status == 200
    session.talk_for(0.4)
    site.home.act("/api/drain/cancel").raise_for_status()
    session.bye()
    assert site.home.row_of(session.call.caller.user)["outcome"] == "recorded"
