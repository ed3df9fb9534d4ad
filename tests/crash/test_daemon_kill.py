"""The daemon is killed in the middle of twenty calls, on a node that holds no private key."""

import shutil
import time
from pathlib import Path

import pytest

from recorder.config import Pause
from tests.helpers.exactness import kept_of
from tests.helpers.exchange import Exchange, Talk, exchange
from tests.helpers.recorder_home import eventually

CALLS, STATED_LOSS_S = 20, Pause().look_back_s + 2.0


@pytest.mark.slow
@pytest.mark.parametrize("way", ["recover", "run"])
def test_every_call_is_kept_to_within_the_stated_loss(tmp_path: Path, way: str) -> None:
    with exchange(tmp_path) as lines:
        home = lines.home
        elsewhere = tmp_path / "key-holder"
        (home.root / "private").rename(elsewhere)
        talks = [lines.call() for _ in range(CALLS)]
        for talk in talks:
            talk.join()
        paused = talks[0]
        paused.talk_for(4)
        home.act(f"/api/calls/{paused.wait_phase('joined')['id']}/pause").raise_for_status()
        paused_s = time.monotonic()
        talks[1].talk_for(6)
        killed_s = home.kill()
        for talk in talks:
            talk.left.hush()
            talk.right.hush()
        parts = list((home.root / "recordings").rglob("*.part"))
        assert len(parts) == CALLS
        assert not list((home.root / "recordings").rglob("*.rec"))
        assert not (home.root / "private").exists()

        if way == "recover":
            recovered = home.json("recover")
            assert len(recovered) == CALLS
            assert all(one["ok"] for one in recovered)
            assert home.json("recover") == [], "what is recovered is recovered"
        else:
            home.start()
        rows = home.json("find", "--outcome", "partial")
        assert len(rows) == CALLS
        assert {row["reason"] for row in rows} == {"daemon_stopped"}
        assert not list((home.root / "recordings").rglob("*.part"))
        verified = home.json("verify", "--all")
        assert len(verified) == CALLS
        assert all(one["ok"] and not one["is_complete"] for one in verified)

        elsewhere.rename(home.root / "private")
        worst_s = max(assert_kept(lines, talk, killed_s) for talk in (talks[1], talks[7], talks[19]))
        print(f"lost before the kill: at most {worst_s:.2f} s")  # noqa: T201 - the figure of the test
        assert_pause_held(lines, paused, paused_s)
        if way == "run":
            fresh = lines.call()
            fresh.join()
            fresh.talk_for(0.4)
            assert fresh.hang_up()["outcome"] == "recorded", "service goes on"
    shutil.rmtree(tmp_path / "home", ignore_errors=True)


def assert_kept(lines: Exchange, talk: Talk, killed_s: float) -> float:
    """Check that a call is whole up to the stated loss; return how much was lost."""
    row = eventually(lambda: lines.home.rows(number=talk.number), "it is in the index")[0]
    left, right, _ = lines.home.copy(row["id"])
    lost = []
    for kept in (kept_of(left, talk.left), kept_of(right, talk.right)):
        assert len(kept.spans) == 1, "whole: no gap"
        last = kept.spans[0][1] + kept.offset
        last_sent_s = max(at_s for tick, at_s in kept.voice.sent if tick < last)
        lost.append(killed_s - last_sent_s)
        assert killed_s - last_sent_s <= STATED_LOSS_S
    assert row["duration_s"] * 8000 == pytest.approx(len(left), abs=200)
    assert row["segments"][-1]["end_s"] <= row["duration_s"] + 0.001
    return max(lost)


def assert_pause_held(lines: Exchange, talk: Talk, paused_s: float) -> None:
    """Check that nothing of the pause came to the disk, and that the row says that it was paused."""
    row = lines.home.rows(number=talk.number)[0]
    left, right, _ = lines.home.copy(row["id"])
    for kept in (kept_of(left, talk.left), kept_of(right, talk.right)):
        assert kept.bytes_between(paused_s - Pause().erase_s + 0.02, time.monotonic()) == 0
    assert "paused" in {segment["kind"] for segment in row["segments"]} or row["duration_s"] < 4
