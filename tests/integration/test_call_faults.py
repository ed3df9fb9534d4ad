"""When something around a call fails or lies: a state that cannot be stored, a stranger, a stop during a 999 call."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.audit import AuditLog
from tests.helpers.exactness import heard_frames, kept_of
from tests.helpers.exchange import Exchange, exchange
from tests.helpers.recorder_home import eventually
from tests.helpers.sip_peer import State as PeerState


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("faults"), edits=(("erase_s = 3.0", "erase_s = 0.3"),)) as made:
        yield made


def test_recording_goes_on_only_when_that_could_be_stored(tmp_path: Path) -> None:
    with exchange(tmp_path, edits=(("erase_s = 3.0", "erase_s = 0.3"),)) as lines:
        talk = lines.call()
        recording = talk.join()
        talk.talk_for(0.5)
        path = f"/api/calls/{recording}"
        state = lines.home.root / "state"
        state.rename(state.with_name("state.away"))
        try:
            stopped = lines.home.act(f"{path}/pause")
            refused = lines.home.act(f"{path}/resume")
        finally:
            state.with_name("state.away").rename(state)
        assert stopped.status_code == refused.status_code == 503
        assert "has stopped" in stopped.json()["detail"], "what is not wanted is stopped, stored or not"
        assert "stays paused" in refused.json()["detail"]
        assert talk.wait_phase("joined")["state"] == "paused", "who is told that it failed may rely on the pause"
        talk.talk_for(0.4)
        resumed = lines.home.act(f"{path}/resume").json()
        assert resumed["state"] == "recording"
        talk.talk_for(0.6)
        row = talk.hang_up()
        kinds = [(s["kind"], s["start_s"], s["end_s"]) for s in row["segments"]]
        assert [kind for kind, _, _ in kinds] == ["recording", "paused", "recording"]
        assert kinds[2][1] == pytest.approx(resumed["position_s"], abs=0.001)
        acts = [entry.act for entry in AuditLog(lines.home.root / "audit").entries() if entry.subject == recording]
        assert acts == ["call.pause", "call.pause.not_stored", "call.resume.not_stored", "call.resume"]


def test_a_party_that_signals_another_of_its_addresses_is_heard_and_recorded(lines: Exchange) -> None:
    talk = lines.call(media={"ip": "127.0.0.2"})  # it sends from 127.0.0.1, as baresip does with several interfaces
    recording = talk.join()
    talk.talk_for(0.6)
    row = talk.hang_up()
    assert row["outcome"] == "recorded"
    left, _, _ = lines.home.copy(recording)
    kept_of(left, talk.left)


def test_a_call_in_which_nobody_is_heard_is_probed_and_goes_on(tmp_path: Path) -> None:
    edits = (("dead_rtp_s = 10.0", "dead_rtp_s = 0.2"),)
    with exchange(tmp_path, edits=edits) as lines:
        talk = lines.call()
        recording = talk.join()
        second = talk.wait_second()
        talk.talk_for(0.3)
        talk.left.hush()
        talk.right.hush()
        talk.first.wait_for(lambda c: bool(c.requests("INVITE")))
        second.wait_for(lambda c: len(c.requests("INVITE")) > 1)
        assert b"a=sendrecv" in talk.first.requests("INVITE")[0].body
        since_s = time.monotonic()
        talk.left.talk(talk.first.remote_media)
        talk.right.talk(second.remote_media)
        eventually(lambda: len(heard_frames(talk.left, talk.right, since_s=since_s)) > 10, "the caller hears again")
        assert talk.wait_phase("joined")["id"] == recording
        assert talk.hang_up()["outcome"] == "recorded"


def test_an_emergency_call_outlives_the_recorder(tmp_path: Path) -> None:
    with exchange(tmp_path) as lines:
        emergency = lines.call("999")
        emergency.first.wait_confirmed()
        second = emergency.wait_second()
        ordinary = lines.call()
        ordinary.join()
        assert lines.home.stop() == 0
        ordinary.first.wait_ended()
        assert emergency.first.state is PeerState.CONFIRMED
        assert second.state is PeerState.CONFIRMED
        assert not [m for m in emergency.first.received if m.method == "BYE"]
        second.hang_up()


# --- two re-INVITEs that cross on their way through us
