"""A daemon in service: who sits where, a changed configuration, and its end with calls in progress."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.audit import AuditLog
from tests.helpers.exactness import heard_frames, is_gapless, kept_of
from tests.helpers.exchange import Exchange, exchange
from tests.helpers.recorder_home import eventually
from tests.helpers.sip_peer import Answer

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


def test_a_call_is_the_operators_who_is_signed_on(lines: Exchange) -> None:
    home = lines.home
    assert home.json("agents", "sign-on", "--extension", "2001", "--operator", "erin")["operator"] == "erin"
    talk = lines.call()
    recording = talk.join()
    home.recorder("agents", "sign-off", "--extension", "2001", "-C", str(home.root))
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
    assert home.run("agents", "sign-off", "--extension", "2001", "-C", str(home.root)).returncode == 1
    unknown = home.run("agents", "sign-on", "--extension", "777", "--operator", "erin", "-C", str(home.root))
    assert unknown.returncode == 1
    assert "not nominated" in unknown.stderr


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


@pytest.mark.parametrize("by", ["command", "signal"])
def test_a_file_that_cannot_be_used_changes_nothing(lines: Exchange, by: str) -> None:
    home = lines.home
    good = home.config.read_text()
    try:
        home.edit("look_back_s = 5.0", "look_back_s = 0.5")
        if by == "command":
            refused = home.run("reload", "-C", str(home.root))
            assert refused.returncode == 1
            sentence = refused.stderr
        else:
            assert home.daemon is not None
            said = len(home.said)
            home.daemon.send_signal(1)
            sentence = eventually(lambda: home.said[said:], "the daemon says why")
        line = 1 + next(i for i, text in enumerate(home.config.read_text().splitlines()) if "look_back_s" in text)
        assert f"line {line}" in sentence
        assert "look_back_s is 0.5" in sentence
        talk = lines.call()
        call = talk.join()
        talk.talk_for(0.4)
        assert home.json("pause", "--call", call)["state"] == "paused", "a file on disk is no reason not to pause"
        assert home.json("resume", "--call", call)["state"] == "recording"
        assert [one["id"] for one in home.json("calls")] == [call]
        talk.talk_for(0.4)
    finally:
        home.config.write_text(good)
    assert talk.hang_up()["outcome"] == "recorded"


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


@pytest.mark.slow
def test_sigterm_ends_calls_and_files_them(tmp_path: Path) -> None:
    with exchange(tmp_path) as lines:
        talks = [lines.call() for _ in range(5)]
        for talk in talks:
            talk.join()
        ringing = lines.call(answer=Answer(after_s=None))
        ringing.begin()
        talks[0].talk_for(1)
        asked_s = time.monotonic()
        assert lines.home.stop() == 0
        assert time.monotonic() - asked_s < 10
        for talk in talks:
            talk.first.wait_ended()
            assert talk.first.ended_by == "them"
            talk.wait_second().wait_ended()
            row = lines.home.row_of(talk.number)
            assert (row["outcome"], row["reason"]) == ("recorded", "daemon_stopped")
            left, right, _ = lines.home.copy(row["id"])
            for kept in (kept_of(left, talk.left), kept_of(right, talk.right)):
                assert kept.bytes_between(asked_s - 0.5, asked_s - 0.1) > 2000, "to the last second"
        assert lines.home.row_of(ringing.number)["reason"] == "daemon_stopped"
        assert not list((lines.home.root / "recordings").rglob("*.part"))
        verified = lines.home.json("verify", "--all")
        assert len(verified) == 5
        assert all(one["ok"] and one["is_complete"] for one in verified)
        assert not (lines.home.root / "recorder.sock").exists()
        assert "Traceback" not in lines.home.said
