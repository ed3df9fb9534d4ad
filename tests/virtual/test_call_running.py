"""A running daemon: sign-ons, a changed configuration, and a stop with calls in progress."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder.control.broadcast import Broadcast
from storage.audit import AuditLog
from tests.helpers.exactness import heard_frames, is_gapless
from tests.helpers.exchange import Exchange
from tests.helpers.virtual.exchange import exchange

NEW_EXTENSION = """
[[extension]]
number = "2009"
operator = "dave"
service = "Revenues"
team = ""
"""


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("running"), edits=(("erase_s = 3.0", "erase_s = 0.2"),)) as made:
        yield made


@pytest.mark.parametrize("has_listeners", [False, True])
def test_a_call_is_described_at_each_change_only_if_somebody_watches(
    lines: Exchange, monkeypatch: pytest.MonkeyPatch, has_listeners: bool
) -> None:
    published: list[str] = []
    monkeypatch.setattr(Broadcast, "has_listeners", has_listeners)
    monkeypatch.setattr(Broadcast, "publish", lambda _, event: published.append(event["event"]))
    talk = lines.call()
    talk.join()
    talk.hang_up()
    assert published == ["call"] * 2 * has_listeners + ["ended", "recording"]


def test_a_call_is_the_operators_who_is_signed_on(lines: Exchange) -> None:
    home = lines.home
    erin = home.as_officer("erin")
    before = lines.call()
    before.join()
    before.right.press(home.json("agents", "sign-on", "--extension", "2001", *erin)["keys"])
    before.talk_for(3)
    before.hang_up()
    talk = lines.call()
    recording = talk.join()
    signed_off = home.json("agents", "sign-off", "--extension", "2001", *erin)
    assert signed_off == {"extension": "2001", "operator": "erin"}
    talk.hang_up()
    after = lines.call()
    after.join()
    after.hang_up()
    (row,) = home.json("find", "--operator", "erin")
    assert row["id"] == recording, "it stays theirs although they signed off in mid-call"
    assert home.row_of(after.number)["operator"] == "alice"
    folders = {Path(home.row_of(talk.number)["path"]).parts[3], Path(home.row_of(after.number)["path"]).parts[3]}
    assert len(folders) == 2, "each operator has a folder"
    assert not {"erin", "alice"} & folders, "which does not say who they are"
    assert home.run("agents", "sign-off", "--extension", "2001", *erin, "-C", str(home.root)).returncode == 1
    unknown = home.run("agents", "sign-on", "--extension", "777", *erin, "-C", str(home.root))
    assert unknown.returncode == 1
    assert "not nominated" in unknown.stderr
    entry = next(one for one in AuditLog(home.root / "audit").entries() if one.act == "agent.sign_on")
    assert (entry.actor, entry.details["instead_of"]) == ("erin", "alice")


def test_the_shell_signs_on_whoever_says_who_they_are_and_nobody_else(lines: Exchange) -> None:
    home = lines.home
    nameless = home.run("agents", "sign-on", "--extension", "2001", "-C", str(home.root))
    assert nameless.returncode == 2
    assert "needs a person" in nameless.stderr
    other = home.run(
        "agents", "sign-on", "--extension", "2001", "--operator", "bob", *home.as_officer("dan"), "-C", str(home.root)
    )
    assert other.returncode == 1
    assert "you can only sign on as yourself" in other.stderr
    done = home.run("agents", "sign-on", "--extension", "2001", *home.as_officer("dan"), "-C", str(home.root))
    assert "alice is signed on at 2001" in done.stderr
    assert "key *7" in done.stderr


def test_an_account_whose_calls_would_not_be_found_is_told_when_it_is_made(lines: Exchange) -> None:
    home = lines.home
    words = ("--role", "officer", "--new-password-file", str(home.password_file), *home.as_admin())
    done = home.run("users", "add", "bob", "--display-name", "Bob Benefits", *words, "-C", str(home.root))
    assert done.returncode == 0
    assert "extension 2002 has operator 'bob'" in done.stderr
    assert "write that as its operator" in done.stderr
    found = home.run("site-check", "-C", str(home.root), "--json")
    assert found.returncode == 1
    assert "operators" in {one["what"] for one in json.loads(found.stdout) if one["level"] == "error"}


def test_a_reload_nominates_an_extension_and_drops_no_call(lines: Exchange) -> None:
    home = lines.home
    before = lines.call()
    recording = before.join()
    joined_s = time.monotonic()
    through = lines.call("2009")
    through.first.wait_confirmed()
    assert len(home.calls()) == 1, "2009 is nobody yet"
    with home.config.open("a") as file:
        file.write(NEW_EXTENSION)
    answer = home.json("reload")
    assert answer["changed"] == ["extension"]
    assert answer["needs_restart"] == []
    after = lines.call("2009")
    after.join()
    assert before.wait_phase("joined")["id"] == recording
    before.talk_for(0.3)
    assert is_gapless(heard_frames(before.left, before.right, since_s=joined_s)), "not a packet was dropped"
    assert before.hang_up()["outcome"] == "recorded"
    assert after.hang_up()["operator"] == "dave"
    through.first.hang_up()
    assert home.rows(number=through.number) == []


def test_a_notice_that_cannot_be_read_is_refused_at_reload(lines: Exchange) -> None:
    home = lines.home
    name = next(path for path in (home.root / "notices").glob("*.wav"))
    content = name.read_bytes()
    try:
        name.write_bytes(content[: len(content) // 2])
        refused = home.run("reload", "-C", str(home.root))
        assert refused.returncode == 1
        assert "message" in refused.stderr
        assert "Traceback" not in refused.stderr
        talk = lines.call()
        talk.join()
        assert talk.hang_up()["notice"]["complete"] is True, "the message in memory goes on being played"
    finally:
        name.write_bytes(content)


def test_the_audit_log_holds_every_act_in_an_unbroken_chain(lines: Exchange) -> None:
    log = AuditLog(lines.home.root / "audit")
    assert not log.verify().bad
    acts = [entry.act for entry in log.entries()]
    assert acts.count("agent.sign_on") == 1
    assert acts.count("config.reload") >= 1
