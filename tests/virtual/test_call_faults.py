"""Faults around a call: a state that cannot be stored, an unknown sender, a stop during an emergency call."""

import socket
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from recorder.calls.bridged_media import BridgedMedia
from recorder.calls.call import Call
from recorder.calls.call_maker import CallMaker
from recorder.calls.call_services import CallServices
from recorder.calls.dial_plan import RouteChoice
from recorder.calls.new_calls import NewCalls
from recorder.calls.rules.call_events import CallState, Side
from recorder.config.reading import read_config
from recorder.rules.routing import Route
from sip.events import Body, CallOffered, LegAnswered, LegId, OfferAnswered, OfferReceived
from sip.options import Address
from tests.helpers.exchange import Exchange
from tests.helpers.virtual.exchange import exchange


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("faults"), edits=(("erase_s = 3.0", "erase_s = 0.3"),)) as made:
        yield made


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


# --- two re-INVITEs that cross on their way through us


class _Endpoint:
    """Notes the calls of its methods."""

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


def test_offers_that_cross_through_a_passed_call_do_not_wait_for_one_another(
    lines: Exchange, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint = _Endpoint()
    services = cast("CallServices", _Works(endpoint, read_config(lines.home.config)))
    offered = CallOffered(
        leg=LegId(1), source=Address(host="127.0.0.1"), request_user="5555", to_user="5555", from_user="1",
        from_display="", asserted_user=None, sip_call_id="x", headers=(), max_forwards=70, loop_marks=(),
        body=Body(content=b"v=0"),
    )  # fmt: skip
    target = Address(host="127.0.0.1", port=5080)
    way = RouteChoice(route=Route(name="r", targets=(target,)), targets=(target,), loop_mark="m")
    maker = CallMaker(services, cast(Any, endpoint), cast(Any, endpoint), cast(Any, endpoint), cast(Any, endpoint))
    passed = maker.passthrough(offered, way)
    passed.progress.state = CallState.THROUGH_RINGING
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
    passed.finish("caller_hung_up")
    assert "call that is not recorded: ended (caller_hung_up)" in caplog.messages


# --- an internal error in one call


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Callable[[type, str, str], None]:
    """Have a method of calls fail in one call, by its id."""

    def break_method(owner: type, name: str, call_id: str) -> None:
        usual = getattr(owner, name)

        def failing(call: Any, *args: Any) -> Any:
            if call.recorded is not None and call.recorded.id == call_id:
                raise ValueError(f"{name} fails in this test")
            return usual(call, *args)

        monkeypatch.setattr(owner, name, failing)

    return break_method


def test_an_internal_error_ends_its_call_and_no_other(
    lines: Exchange, broken: Callable[[type, str, str], None], caplog: pytest.LogCaptureFixture
) -> None:
    failing, other = lines.call(), lines.call("2002")
    call, other_call = failing.join(), other.join()
    before = lines.home.health()["counts"]["faults"]
    failing.talk_for(0.5)
    broken(BridgedMedia, "reoffered", call)
    failing.first.offer(failing.left.media(version=2))
    failing.first.wait_ended()
    failing.wait_second().wait_ended()
    failing.left.hush()
    failing.right.hush()
    row = lines.home.row_of(failing.number)
    assert (row["id"], row["outcome"], row["reason"]) == (call, "recorded", "internal_error")
    health = lines.home.health()
    assert health["counts"]["faults"] == before + 1
    assert "call_fault" in health["alarms"]
    assert f"call {call}: internal error, call ended" in caplog.messages
    other.talk_for(0.5)
    assert other.live is not None and other.live["id"] == other_call
    assert other.hang_up()["outcome"] == "recorded"
    ends = [message for message in caplog.messages if "ended after " in message]
    assert [(message.split(": ")[0], message.split(": ")[-1]) for message in ends] == [
        (f"call {call}", "recorded (internal_error)"), (f"call {other_call}", "recorded (caller_hung_up)"),
    ]  # fmt: skip
    assert all(": inbound, ended after " in message for message in ends)
    assert failing.number not in caplog.text


def test_a_call_that_fails_while_it_is_ended_is_hung_up_filed_and_forgotten(
    lines: Exchange, broken: Callable[[type, str, str], None], caplog: pytest.LogCaptureFixture
) -> None:
    talk = lines.call()
    call = talk.join()
    talk.talk_for(0.5)
    broken(BridgedMedia, "reoffered", call)
    broken(Call, "stop", call)
    talk.first.offer(talk.left.media(version=2))
    talk.first.wait_ended()
    talk.wait_second().wait_ended()
    assert (talk.first.ended_by, talk.wait_second().ended_by) == ("them", "them")
    row = lines.home.row_of(talk.number)
    talk.left.hush()
    talk.right.hush()
    assert (row["id"], row["outcome"], row["reason"]) == (call, "recorded", "internal_error")
    assert talk.live is None
    assert f"call {call}: internal error while the call was ended; its legs are removed" in caplog.messages


def test_a_call_that_cannot_be_taken_for_an_internal_error_gets_500(
    lines: Exchange, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(*_: Any) -> None:
        raise ValueError("it fails in this test")

    monkeypatch.setattr(NewCalls, "offered", failing)
    talk = lines.call()
    talk.first.wait_for(lambda one: one.replies_to("INVITE")[-1:] == [500])
    assert "new call: internal error, call refused" in caplog.messages
