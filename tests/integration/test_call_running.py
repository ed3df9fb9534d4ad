"""A daemon in service: who sits where, a changed configuration, and its end with calls in progress."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.exactness import kept_of
from tests.helpers.exchange import Exchange, exchange
from tests.helpers.recorder_home import eventually
from tests.helpers.sip_peer import Answer


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("running"), edits=(("erase_s = 3.0", "erase_s = 0.2"),)) as made:
        yield made


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
            sentence = eventually(
                lambda: next((line for line in home.said[said:].splitlines() if "look_back_s" in line), ""),
                "the daemon says why",
            )
        line = 1 + next(i for i, text in enumerate(home.config.read_text().splitlines()) if "look_back_s" in text)
        assert f"line {line}" in sentence
        assert "look_back_s is 0.5" in sentence
        talk = lines.call()
        call = talk.join()
        talk.talk_for(0.4)
        assert home.json("pause", "--call", call)["state"] == "paused", "a file on disk is no reason not to pause"
        assert home.act(f"/api/calls/{call}/resume").json()["state"] == "recording"
        assert [one["id"] for one in home.json("calls")] == [call]
        talk.talk_for(0.4)
    finally:
        home.config.write_text(good)
    assert talk.hang_up()["outcome"] == "recorded"


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
                sent, whole = kept.frames_between(asked_s - 0.9, asked_s - 0.1)
                assert whole == sent > 0, "to the last second"
        assert lines.home.row_of(ringing.number)["reason"] == "daemon_stopped"
        assert not list((lines.home.root / "recordings").rglob("*.part"))
        verified = lines.home.json("verify", "--all")
        assert len(verified) == 5
        assert all(one["ok"] and one["is_complete"] for one in verified)
        assert not (lines.home.root / "recorder.sock").exists()
        assert "Traceback" not in lines.home.said
