"""When something around a call fails or lies: a state that cannot be stored, a stranger, a stop during a 999 call."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from recorder import config
from recorder.calls.passed_call import PassedCall
from recorder.calls.switchboard import Switchboard, Way
from recorder.calls.works import Works
from recorder.domain.call import Call, Side, State
from recorder.domain.policy import Direction, NoticeWhen
from recorder.domain.routing import Route
from sip.events import Body, CallOffered, LegAnswered, LegId, OfferAnswered, OfferReceived
from sip.options import Address
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


def test_a_party_on_hold_without_an_address_leaves_its_port_to_nobody(lines: Exchange) -> None:
    talk = lines.call()
    recording = talk.join()
    talk.talk_for(0.4)
    port = talk.first.remote_media
    assert port is not None
    talk.first.offer(talk.left.media(version=2, ip="0.0.0.0"))
    talk.wait_second().wait_for(lambda c: len(c.requests("INVITE")) == 2)
    talk.left.hush()
    since_s = time.monotonic()
    stranger = bytes([0x80, 8, 0, 1, 0, 0, 0, 0, 9, 9, 9, 9])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outside:
        for number in range(50):
            packet = bytearray(stranger + b"\x2a" * 160)
            packet[2:4], packet[4:8] = number.to_bytes(2, "big"), (number * 160).to_bytes(4, "big")
            outside.sendto(packet, port)
            time.sleep(0.005)
    assert not [heard for heard in talk.right.heard_audio(since_s) if heard.packet.payload == b"\x2a" * 160]
    talk.hang_up()
    left, _, _ = lines.home.copy(recording)
    assert b"\x2a" * 160 not in left


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


class _Endpoint:
    """Notes what is asked of it."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        def ask(*args: Any, **_: Any) -> LegId:
            self.asked.append((name, *args))
            return LegId(2)

        return ask


class _Works:
    def __init__(self, endpoint: _Endpoint, config: Any) -> None:
        self.endpoint, self.config = endpoint, config


def test_offers_that_cross_through_a_passed_call_do_not_wait_for_one_another(lines: Exchange) -> None:
    endpoint = _Endpoint()
    works = cast("Works", _Works(endpoint, config.read(lines.home.config)))
    offered = CallOffered(
        leg=LegId(1), source=Address(host="127.0.0.1"), request_user="5555", to_user="5555", from_user="1",
        from_display="", asserted_user=None, sip_call_id="x", headers=(), max_forwards=70, loop_marks=(),
        body=Body(content=b"v=0"),
    )  # fmt: skip
    target = Address(host="127.0.0.1", port=5080)
    way = Way(route=Route(name="r", targets=(target,)), targets=(target,), loop_mark="m")
    call = Call(is_nominated=False, direction=Direction.INBOUND, notice_when=NoticeWhen.BEFORE_RING, targets=1)
    call.state = State.THROUGH_RINGING
    passed = PassedCall(works, offered, call, way, people={}, board=cast("Switchboard", endpoint))
    passed.legs.b = LegId(2)
    passed.receive(LegAnswered(leg=LegId(2), body=Body(content=b"v=0")), LegId(2))
    first, second = Body(content=b"first"), Body(content=b"second")
    passed.receive(OfferReceived(leg=LegId(1), body=first), LegId(1))
    passed.receive(OfferReceived(leg=LegId(2), body=second), LegId(2))
    assert endpoint.asked[-2:] == [("offer", LegId(2), first), ("refuse_offer", LegId(2), 491)]
    passed.receive(OfferAnswered(leg=LegId(2), body=second), LegId(2))
    assert endpoint.asked[-1] == ("answer_offer", LegId(1), second)
    passed.receive(OfferReceived(leg=LegId(2), body=second), LegId(2))
    assert endpoint.asked[-1] == ("offer", LegId(1), second), "the next one has its turn"
    assert passed.legs.side_of(LegId(2)) is Side.B
