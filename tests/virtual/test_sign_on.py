"""Signing on at a phone from elsewhere: whose calls they are, and what it takes to erase in them.

Extension 2001 is alice's, of the team Revenues; 2003 is shared by that team and configured as nobody's, in a service
that discards card calls; 2004 likewise in one that pauses.
"""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from audio import prompts
from recorder.rules.sign_on import NOT_PROVEN
from storage.audit import AuditLog
from storage.audit_entry import AuditEntry
from tests.helpers.exactness import times_heard
from tests.helpers.exchange import Exchange, Talk
from tests.helpers.keying import Carrier, press
from tests.helpers.recorder_home import contents, eventually
from tests.helpers.transfers import expect_newcomer, refer, wait_told
from tests.helpers.virtual.exchange import exchange

SHARED = """
[[service]]
name = "Discard"
card_payment = "discard"

[[extension]]
number = "2003"
operator = ""
service = "Discard"
team = "Revenues"

[[extension]]
number = "2004"
operator = ""
service = "Revenues"
team = "Revenues"
"""
EDITS = (
    ("erase_s = 3.0", "erase_s = 0.3"),
    ('service = "Revenues"\nteam = ""', 'service = "Revenues"\nteam = "Revenues"'),
)


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("sign-on"), edits=EDITS, is_started=False) as made:
        with made.home.config.open("a") as file:
            file.write(SHARED)
        made.home.start()
        yield made


def listed(lines: Exchange) -> dict[str, Any]:
    """Return who sits where, as the console is told."""
    answer = lines.home.live.get("/api/agents", headers={"X-Recorder-Actor": "recorder:console"})
    return dict(answer.raise_for_status().json())


@pytest.fixture(autouse=True)
def _nobody_signed_on(lines: Exchange) -> Iterator[None]:
    yield
    for one in listed(lines)["agents"]:
        if one["is_signed_on"]:
            ask(lines, "sign-off", one["operator"], one["extension"]).raise_for_status()


def person(name: str, *teams: str, extension: str | None = None, role: str = "officer") -> dict[str, Any]:
    return {"display_name": name, "roles": [role], "teams": list(teams), "extension": extension}


def ask(lines: Exchange, act: str, name: str, number: str, *teams: str, **more: Any) -> httpx2.Response:
    """Sign somebody on or off, as console and command line do."""
    body: dict[str, Any] = {"person": person(name, *teams, **more)}
    if act == "sign-on":
        body["is_anothers"] = False
    answer: httpx2.Response = lines.home.live.post(
        f"/api/agents/{number}/{act}", json=body, headers={"X-Recorder-Actor": name.lower()}
    )
    return answer


def act(talk: Talk, word: str, name: str, **more: Any) -> httpx2.Response:
    """Do something to a call as an officer of no team."""
    live = talk.live
    assert live is not None
    path = f"/api/calls/{live['id']}/{word}"
    answer: httpx2.Response = talk.home.live.post(
        path, json={"person": person(name), **more}, headers={"X-Recorder-Actor": name.lower()}
    )
    return answer


def key(talk: Talk, keys: str, carrier: Carrier = Carrier.EVENT) -> None:
    second = talk.wait_second()
    for one in keys:
        press(talk.right, second, one, carrier)


def joined(lines: Exchange, number: str) -> Talk:
    talk = lines.call(number)
    talk.join()
    talk.talk_for(0.6)
    return talk


def entries(lines: Exchange, *acts: str) -> list[AuditEntry]:
    return [one for one in AuditLog(lines.home.root / "audit").entries() if one.act in acts]


def seat(lines: Exchange, number: str) -> dict[str, Any]:
    agents = listed(lines)["agents"]
    return next(one for one in agents if one["extension"] == number)


def test_from_elsewhere_a_colleagues_phone_stays_theirs(lines: Exchange) -> None:
    answer = ask(lines, "sign-on", "Mallory", "2001", "Revenues").json()
    assert answer["keys"] == f"*7{answer['code']}#"
    assert answer["instead_of"] == "alice"
    assert not seat(lines, "2001")["is_signed_on"]
    talk = joined(lines, "2001")
    assert act(talk, "forgot", "Mallory", seconds=0.2).status_code in {403, 404}
    assert act(talk, "forgot", "Alice", seconds=0.2).status_code == 404, "names are told apart by their case"
    row = talk.hang_up()
    assert (row["operator"], row["remarks"]) == ("alice", [])
    assert "sign_on_clash" not in lines.home.live.get("/api/health").json()["alarms"]
    for path, content in contents(lines.home.root):
        assert answer["code"].encode() not in content, path


@pytest.mark.parametrize("carrier", [Carrier.EVENT, Carrier.RELAY, Carrier.TONE])
def test_a_code_that_is_keyed_at_the_phone_takes_it_over_and_both_are_told(lines: Exchange, carrier: Carrier) -> None:
    name = f"Carol {carrier.name}".title()
    answer = ask(lines, "sign-on", name, "2001").json()
    before = joined(lines, "2001")
    key(before, answer["keys"], carrier)
    eventually(lambda: seat(lines, "2001")["operator"] == name, "she is signed on")
    eventually(lambda: times_heard(before.right, prompts.signed_on_tone()) == 1, "she hears it")
    assert before.left.heard_keys() == ""
    assert before.first.requests("INFO") == []
    assert act(before, "resume", name).status_code == 404, "the call that goes on stays whose it was"
    assert before.hang_up()["operator"] == "alice"
    after = joined(lines, "2001")
    forgot = act(after, "forgot", name, seconds=0.2).json()
    assert forgot["erasure"]["state"] == "confirmed", "she is at the phone"
    row = after.hang_up()
    assert (row["operator"], row["remarks"]) == (name, [])
    told = listed(lines)["takeovers"][-1]
    assert (told["extension"], told["operator"], told["instead_of"]) == ("2001", name, "alice")
    assert lines.home.live.get("/api/health").json()["alarms"]["sign_on_clash"] >= 1
    entry = entries(lines, "agent.sign_on")[-1]
    assert (entry.actor, entry.subject, entry.details["instead_of"]) == (name.lower(), "2001", "alice")
    assert entry.details["is_proven"] is True


def test_a_code_is_good_at_its_own_phone_only(lines: Exchange) -> None:
    answer = ask(lines, "sign-on", "Mallory", "2001").json()
    at_hers = joined(lines, "2002")
    count = len(entries(lines, "agent.sign_on.refused"))
    key(at_hers, answer["keys"])
    eventually(lambda: len(entries(lines, "agent.sign_on.refused")) > count, "it is refused")
    eventually(lambda: times_heard(at_hers.right, prompts.refused_tone()) == 1, "it is heard")
    at_hers.hang_up()
    assert not seat(lines, "2001")["is_signed_on"]
    assert not seat(lines, "2002")["is_signed_on"]


def test_the_callers_keys_prove_nothing(lines: Exchange) -> None:
    answer = ask(lines, "sign-on", "Mallory", "2001").json()
    talk = joined(lines, "2001")
    talk.left.press(answer["keys"])
    talk.talk_for(1.6)
    assert not seat(lines, "2001")["is_signed_on"]
    talk.hang_up()


@pytest.mark.parametrize("carrier", [Carrier.EVENT, Carrier.RELAY])
@pytest.mark.parametrize("number", ["4000", "2002"])
def test_after_a_transfer_the_keys_are_of_the_phone_that_has_the_call(
    lines: Exchange, number: str, carrier: Carrier
) -> None:
    """Extension 4000 is not nominated, 2002 is bob's; whoever is there holds a code for alice's phone."""
    answer = ask(lines, "sign-on", "Mallory", "2001").json()
    talk = joined(lines, "2001")
    there = expect_newcomer(talk, number)
    refer(talk.wait_second(), number)
    leg = there.join()
    wait_told(talk.wait_second(), 200)
    talk.talk_for(0.5)
    for one in answer["keys"]:
        press(there.voice, leg, one, carrier)
    talk.talk_for(2)
    assert not seat(lines, "2001")["is_signed_on"]
    assert not seat(lines, "2002")["is_signed_on"]
    talk.hang_up()
    there.voice.hush()


def test_at_a_free_phone_of_ones_team_at_once_but_nothing_is_erased_alone(lines: Exchange) -> None:
    answer = ask(lines, "sign-on", "Dan", "2004", "Revenues").json()
    assert (answer["operator"], answer["is_proven"]) == ("Dan", False)
    taken = ask(lines, "sign-on", "Erin", "2004", "Revenues").json()
    assert (taken["instead_of"], "code" in taken) == ("Dan", True), "it is free no more"
    assert "code" in ask(lines, "sign-on", "Mallory", "2003", "Housing").json(), "it is another team's"
    talk = joined(lines, "2004")
    waiting = act(talk, "forgot", "Dan", seconds=0.2).json()
    assert (waiting["state"], waiting["erasure"]["state"]) == ("paused", "waiting")
    row = talk.hang_up()
    assert (row["operator"], row["remarks"]) == ("Dan", [NOT_PROVEN])


def test_once_the_call_is_over_it_still_takes_a_second_person(lines: Exchange) -> None:
    dan = lines.home.as_officer("dan")
    for number, state in (("2004", "waiting"), ("2002", "done")):
        if number == "2004":
            ask(lines, "sign-on", "dan", number, "Revenues").raise_for_status()
        else:
            first = joined(lines, number)
            key(first, lines.home.json("agents", "sign-on", "--extension", number, *dan)["keys"])
            eventually(lambda: seat(lines, "2002")["operator"] == "dan", "he is signed on")
            first.hang_up()
        talk = joined(lines, number)
        row = talk.hang_up()
        assert row["operator"] == "dan"
        order = lines.home.json("forgot", "--call", row["id"], "--seconds", "0.2", *dan)
        assert order["state"] == state, number


def test_a_code_in_the_call_makes_it_the_phones_own_officer(lines: Exchange) -> None:
    ask(lines, "sign-on", "Dan", "2004", "Revenues").raise_for_status()
    talk = joined(lines, "2004")
    count = len(listed(lines)["takeovers"])
    key(talk, ask(lines, "sign-on", "Dan", "2004", "Revenues").json()["keys"])
    eventually(lambda: seat(lines, "2004")["is_proven"], "he is at the phone")
    eventually(lambda: times_heard(talk.right, prompts.signed_on_tone()) == 1, "he hears it")
    assert act(talk, "forgot", "Dan", seconds=0.2).json()["erasure"]["state"] == "confirmed"
    assert len(listed(lines)["takeovers"]) == count, "nobody was taken over from"
    assert talk.hang_up()["remarks"] == []


@pytest.mark.parametrize("word", ["pause", "forgot"])
def test_a_sign_on_from_elsewhere_does_not_discard_but_the_keys_do(lines: Exchange, word: str) -> None:
    ask(lines, "sign-on", "Dan", "2003", "Revenues").raise_for_status()
    talk = joined(lines, "2003")
    assert act(talk, word, "Dan").json()["state"] == "paused"
    key(talk, "*1")
    eventually(lambda: (talk.live or {}).get("state") == "discarded", "the keys on the phone discard")
    assert talk.hang_up()["reason"] == "discarded"


def test_signing_on_makes_nobody_a_colleague(lines: Exchange) -> None:
    """He is of the team Housing; the phone that he signed on at is of Revenues."""
    first = joined(lines, "2004")
    key(first, ask(lines, "sign-on", "Otto", "2004", "Housing").json()["keys"])
    eventually(lambda: seat(lines, "2004")["operator"] == "Otto", "he is signed on")
    first.hang_up()
    other = joined(lines, "2001")
    assert act(other, "pause", "Otto").status_code == 404
    assert (other.live or {})["state"] == "recording"
    key(other, "*1")
    eventually(lambda: (other.live or {})["state"] == "paused", "the keys on the phone act whoever is signed on")
    other.hang_up()


def test_nobody_signs_on_without_an_account_nor_signs_somebody_else_off(lines: Exchange) -> None:
    live = lines.home.live
    assert live.post("/api/agents/2004/sign-on", json={}).status_code == 403
    assert live.post("/api/agents/2004/sign-on", json={"operator": "Mallory"}).status_code == 422
    assert ask(lines, "sign-on", "Dora", "2004", "Revenues", role="dpo").status_code == 403
    assert ask(lines, "sign-on", "Dan", "777", "Revenues").status_code == 404
    ask(lines, "sign-on", "Dan", "2004", "Revenues").raise_for_status()
    assert ask(lines, "sign-off", "Mallory", "2004").status_code == 409
    assert live.post("/api/agents/2004/sign-off", json={}).status_code == 403
    assert seat(lines, "2004")["operator"] == "Dan"
    refused = entries(lines, "agent.sign_on.refused", "agent.sign_off.refused")
    assert {"dora", "dan", "mallory"} <= {one.actor for one in refused}
