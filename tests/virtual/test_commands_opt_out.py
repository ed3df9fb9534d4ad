"""Opt-outs, forgotten pauses and PINs at the command line, with a daemon and real calls."""

import json
import re
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from recorder.access.pins import Costs, PinFile
from recorder.cli.cli import app
from recorder.common.home import Home
from recorder.rules.live_facts import CallFacts
from storage.audit import AuditLog
from storage.types import RecordingId
from tests.helpers.exchange import Exchange
from tests.helpers.recorder_home import RecorderHome, eventually
from tests.helpers.virtual.exchange import exchange

EDITS = (
    ("erase_s = 3.0", "erase_s = 0.3"),
    ("forgot_s = 300.0", "forgot_s = 0.5"),
    ('service = "Revenues"\nteam = ""', 'service = "Revenues"\nteam = "Revenues"'),
)
REASON = ("--reason", "caller is very upset")
PIN = "284915"
STATED = ("--caller-asked", "--distress-judged")


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("commands"), edits=EDITS) as made:
        for name, role, *rest in (
            ("mary", "manager", "--team", "Revenues"),
            ("hugo", "manager", "--team", "Housing"),
            ("alice", "officer"),
            ("otto", "officer"),
            ("maud", "manager", "--team", "Revenues", "--extension", "2001"),
        ):
            ok(
                made.home, "users", "add", name, "--role", role, *rest,
                "--new-password-file", str(made.home.password_file), *made.home.as_admin(),
            )  # fmt: skip
        yield made


def by(home: RecorderHome, name: str) -> tuple[str, ...]:
    return ("--as", name, "--password-file", str(home.password_file))


def run(home: RecorderHome, *words: str) -> Result:
    """Run a command in this process: a new one takes longer than what it does."""
    return CliRunner().invoke(app, [*words, "-C", str(home.root)])


def document(home: RecorderHome, *words: str) -> Any:
    """Run a command that must succeed; returns its document."""
    done = run(home, *words, "--json")
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def ok(home: RecorderHome, *words: str) -> None:
    done = run(home, *words)
    assert done.exit_code == 0, done.stderr


def refused(home: RecorderHome, *words: str, code: int = 1) -> str:
    """Run a command that must be refused; returns its sentence."""
    done = run(home, *words)
    assert done.exit_code == code, done.stderr
    assert done.stdout == ""
    return " ".join(done.stderr.split())


def test_the_workflow_by_commands(lines: Exchange) -> None:
    home, talk = lines.home, lines.call()
    call = talk.join()
    talk.talk_for(0.3)
    assert document(home, "opt-outs", "list", *by(home, "mary")) == []
    asked = document(home, "opt-outs", "raise", "--call", call[:-2], *by(home, "alice"), "--reason", "she says so")
    assert (asked["call"], asked["state"]) == (call, "raised")
    assert document(home, "opt-outs", "list", *by(home, "mary")) == [asked]
    assert document(home, "opt-outs", "list", *by(home, "hugo")) == []
    assert "needs a person" in refused(home, "opt-outs", "list", code=2)
    assert document(home, "calls", *by(home, "mary"))[0]["opt_out"] == {"id": asked["id"], "state": "raised"}
    table = run(home, "opt-outs", "list", *by(home, "mary")).stdout
    assert [asked["id"], "raised", call] == table.splitlines()[0].split("\t")[:3]
    assert "raised" in run(home, "calls", *by(home, "mary")).stdout
    (unnamed,) = document(home, "calls")
    assert (unnamed["extension"], unnamed["state"], unnamed["may"]) == ("2001", "recording", ["call.pause"])
    assert talk.number not in json.dumps(unnamed)
    assert document(home, "calls", *by(home, "hugo")) == []

    grant = ("opt-outs", "grant", asked["id"])
    assert "needs a person" in refused(home, *grant, *REASON, *STATED, code=2)
    assert "Enter a reason" in refused(home, *grant, *STATED, *by(home, "mary"))
    assert "state both" in refused(home, *grant, *REASON, "--caller-asked", *by(home, "mary"))
    assert "no such request" in refused(home, *grant, *REASON, *STATED, *by(home, "hugo"))
    assert "on this call yourself" in refused(home, *grant, *REASON, *STATED, *by(home, "maud"))
    assert "role does not allow" in refused(home, *grant, *REASON, *STATED, *by(home, "alice"))
    assert "no such request" in refused(home, "opt-outs", "decline", asked["id"], *REASON, *by(home, "hugo"))
    assert "asked for already" in refused(home, "opt-outs", "raise", "--call", call, *by(home, "alice"))
    assert "No call" in refused(home, "opt-outs", "raise", "--call", call, *by(home, "otto"))
    assert "no such request" in refused(home, "opt-outs", "grant", "ffffffff", *REASON, *STATED, *by(home, "mary"))
    assert home.calls()[0]["state"] == "recording"

    declined = document(home, "opt-outs", "decline", asked["id"], *REASON, *by(home, "mary"))
    assert (declined["state"], declined["decided_by"]) == ("declined", "mary")
    again = document(home, "opt-outs", "raise", "--call", call, *by(home, "alice"))
    talk.talk_for(4)  # something is left of the recording once its last seconds have gone
    granted = document(home, "opt-outs", "grant", again["id"], *REASON, *STATED, "--erase-before", *by(home, "mary"))
    assert (granted["call"], granted["state"], granted["erasure"]["state"]) == (call, "opted_out", "waiting")
    assert "ended for good" in refused(home, "opt-out", "--call", call, *REASON, *by(home, "mary"))
    talk.hang_up()


def test_a_direct_opt_out_states_both_and_goes_by_the_same_table(lines: Exchange) -> None:
    home, talk = lines.home, lines.call()
    call = talk.join()
    talk.talk_for(0.3)
    for name, sentence in (("hugo", "in progress"), ("maud", "on this call yourself"), ("otto", "role")):
        assert sentence in refused(home, "opt-out", "--call", call, *REASON, *by(home, name))
        assert sentence in refused(home, "opt-out", "--extension", "2001", *REASON, *by(home, name))
    assert home.calls()[0]["state"] == "recording"
    done = run(home, "opt-out", "--call", call, *REASON, *by(home, "mary"))
    assert done.exit_code == 0
    assert f"{call}: opted_out from" in done.stderr
    entry = [e for e in AuditLog(home.root / "audit").entries() if e.subject == call][-1]
    assert (entry.act, entry.actor) == ("opt_out.granted", "mary")
    assert (entry.details["caller_asked"], entry.details["distress_judged"]) == (True, True)
    assert "you state" in CliRunner().invoke(app, ["opt-out", "--help"]).stdout
    talk.hang_up()
    assert "no call" in refused(home, "opt-out", "--call", call, *REASON, *by(home, "mary")).lower()
    assert "give either" in refused(home, "opt-out", *REASON, *by(home, "mary"), code=2)


def test_forgetting_to_pause(lines: Exchange) -> None:
    home, talk = lines.home, lines.call()
    call = talk.join()
    talk.talk_for(0.3)
    talk.talk_for(0.9)
    assert "needs a person" in refused(home, "forgot", "--call", call, "--seconds", "0.3", code=2)
    assert "No call" in refused(home, "forgot", "--call", call, "--seconds", "0.3", *by(home, "otto"))
    assert "not your call" in refused(home, "forgot", "--call", call, "--seconds", "0.3", *by(home, "mary"))
    assert home.calls()[0]["state"] == "recording"
    short: dict[str, Any] = document(home, "forgot", "--call", call, "--seconds", "0.3", *by(home, "alice"))
    assert (short["state"], short["reasons"], short["erasure"]["state"]) == ("paused", ["agent"], "confirmed")
    assert short["erasure"]["end_s"] - short["erasure"]["start_s"] == pytest.approx(0.3, abs=0.001)
    (whole,) = document(home, "forgot", "--extension", "2001", "--reason", "card", *by(home, "alice"))
    assert (whole["erasure"]["start_s"], whole["erasure"]["state"]) == (0, "waiting")
    answer = home.live.post(f"/api/calls/{call}/forgot", json={"seconds": 1, "reason": "", "as": "officer"})
    assert answer.status_code == 403, "somebody has to be named"
    talk.hang_up()
    acts = [e.act for e in AuditLog(home.root / "audit").entries() if e.subject == call]
    assert acts[:4] == ["recording.forgot.refused"] * 2 + ["recording.forgot"] * 2
    assert "locked" in refused(home, "play", call, *home.as_hearer(), "--reason", "complaint 17")


def test_the_second_message_by_command(lines: Exchange) -> None:
    home, talk = lines.home, lines.call()
    call = talk.join()
    talk.talk_for(0.3)
    assert "needs a person" in refused(home, "second-message", "--call", call, code=2)
    assert "give either" in refused(home, "second-message", *by(home, "alice"), code=2)
    assert "No call" in refused(home, "second-message", "--call", call, *by(home, "otto"))
    assert "No recorded call" in refused(home, "second-message", "--extension", "2001", *by(home, "hugo"))
    done = run(home, "second-message", "--call", call[:-2], *by(home, "alice"))
    assert (done.exit_code, f"{call}: the caller hears the second message" in done.stderr) == (0, True)
    assert "already" in refused(home, "second-message", "--call", call, *by(home, "mary"))
    eventually(lambda: home.calls()[0]["second_message"] == "played", "it ends")
    (answer,) = document(home, "second-message", "--extension", "2001", *by(home, "mary"))
    assert (answer["call"], answer["state"]) == (call, "recording")
    assert talk.hang_up()["notice"]["second_message"] is True


def test_forgetting_to_pause_is_noticed_after_the_call(lines: Exchange) -> None:
    home, talk = lines.home, lines.call()
    call = talk.join()
    talk.talk_for(0.3)
    talk.talk_for(0.9)
    talk.hang_up()
    order = document(home, "forgot", "--call", call, "--seconds", "0.3", *by(home, "alice"))
    assert (order["recording"], order["kind"], order["state"]) == (call, "card_data", "done")
    assert "no" in refused(home, "forgot", "--call", "20260101T000000Z-2001-ffffff", *by(home, "alice"))


def test_pins_of_managers(lines: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recorder.access.pins.Costs", partial(Costs, passes=1, memory_kib=8))
    home = lines.home
    file = home.root.parent / "pin"
    file.write_text(PIN + "\n")
    place = Home(home.root)
    facts = CallFacts(
        call=RecordingId("x"), team="Revenues", extensions=frozenset({"2001"}), operators=frozenset({"alice"})
    )
    assert "a PIN is needed" in refused(home, "users", "pin", "mary", *home.as_admin(), code=2)
    assert "may not grant" in refused(home, "users", "pin", "otto", "--pin-file", str(file), *home.as_admin())
    assert "no account" in refused(home, "users", "pin", "nobody", "--pin-file", str(file), *home.as_admin())
    assert "role" in refused(home, "users", "pin", "mary", "--pin-file", str(file), *by(home, "hugo"))
    ok(home, "users", "pin", "mary", "--pin-file", str(file), *by(home, "mary"))
    assert PinFile(place.pins).owner(PIN, facts) == "mary"
    assert "another one" in refused(home, "users", "pin", "hugo", "--pin-file", str(file), *home.as_admin())
    people = {row["name"]: row for row in document(home, "users", "list", *home.as_admin())}
    assert (people["mary"]["has_pin"], people["hugo"]["has_pin"]) == (True, False)
    ok(home, "users", "pin", "mary", "--remove", *home.as_admin())
    assert "has no PIN" in refused(home, "users", "pin", "mary", "--remove", *home.as_admin())
    for fewer in (("team", "mary", "Revenues", "--remove"), ("revoke", "mary", "--role", "manager")):
        ok(home, "users", "pin", "mary", "--pin-file", str(file), *home.as_admin())
        ok(home, "users", *fewer, *home.as_admin())
        assert PinFile(place.pins).owner(PIN, facts) is None, "the PIN knows what they were when it was set"
    ok(home, "users", "grant", "mary", "--role", "manager", *home.as_admin())
    ok(home, "users", "pin", "mary", "--pin-file", str(file), *home.as_admin())
    ok(home, "users", "disable", "mary", *home.as_admin())
    assert PinFile(place.pins).owner(PIN, facts) is None
    assert "no account" in refused(home, "users", "pin", "mary", "--pin-file", str(file), *home.as_admin())
    entries = list(AuditLog(home.root / "audit").entries())
    acts = [e.act for e in entries if (e.subject == "mary" and "pin" in e.act) or "had_pin" in e.details]
    assert acts == [*["people.set_pin", "people.remove_pin"] * 3, "people.set_pin", "people.disable"]
    said = json.dumps([e.to_json() for e in entries])
    assert PIN not in re.sub(r"[0-9a-f]{64}", "", said), "six digits may stand in a digest"


@pytest.mark.parametrize("broken", ["token", "accounts", "configuration"])
def test_what_says_who_acts_keeps_nobody_at_the_machine_from_pausing(
    lines: Exchange, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    home, talk = lines.home, lines.call()
    call = talk.join()
    talk.talk_for(0.3)
    monkeypatch.setenv("RECORDER_TOKEN", "one that is over")
    file = {"token": home.root / "none", "accounts": Home(home.root).people, "configuration": home.config}[broken]
    before = file.read_bytes() if file.exists() else b""
    try:
        if before:
            file.write_bytes(b"no such thing" * 1000)
        assert document(home, "pause", "--call", call)["state"] == "paused"
        assert run(home, "resume", "--call", call).exit_code != 0, "only a person resumes"
    finally:
        if before:
            file.write_bytes(before)
    talk.hang_up()
