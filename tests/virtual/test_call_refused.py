"""Calls that are not recorded, refused or not answered; and emergency calls, which always pass."""

import socket
import time
from collections.abc import Iterator

import pytest

from tests.helpers.exchange import Exchange
from tests.helpers.recorder_home import eventually
from tests.helpers.sip_peer import Answer, Media, State
from tests.helpers.virtual.exchange import exchange


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("refused")) as made:
        yield made


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """A recorder with ports for two calls."""
    with exchange(tmp_path_factory.mktemp("narrow"), ports=8) as made:
        yield made


@pytest.fixture
def no_reply() -> Iterator[str]:
    """The address of a target that never responds."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{silent.getsockname()[1]}"


def test_a_call_of_nobody_nominated_passes_untouched_and_leaves_no_trace(lines: Exchange) -> None:
    before = {path for path in lines.home.root.rglob("*") if path.is_file()}
    odd = Media(ip="192.0.2.7", port=4444, formats=((18, "G729/8000"), (96, "opus/48000/2")))
    talk = lines.call("4711", answer=Answer(after_s=0.05, media=odd), media={"formats": odd.formats, "ip": "192.0.2.8"})
    talk.first.wait_confirmed()
    second = talk.wait_second()
    second.wait_for(lambda call: call.state is State.CONFIRMED)
    assert second.invite.body == talk.first.invite.body, "the offer is untouched"
    answer = next(m for m in talk.first.received if m.status == 200 and m.method == "INVITE")
    assert answer.body == bytes(odd), "the answer is untouched"
    assert lines.home.calls() == []
    assert lines.home.health()["calls"] == 1
    talk.first.offer(Media(ip="192.0.2.8", port=4446, formats=odd.formats, version=2))
    talk.first.wait_for(lambda call: call.replies_to("INVITE") == [200, 200])
    assert second.remote_media == ("192.0.2.8", 4446), "a re-offer passes too"
    second.hang_up()
    talk.first.wait_ended()
    eventually(lambda: lines.home.health()["calls"] == 0, "the call is over")
    assert lines.home.rows(number=talk.number) == []
    assert {path for path in lines.home.root.rglob("*") if path.is_file()} == before
    assert talk.number not in lines.home.said


def test_codecs_that_cannot_be_recorded_are_refused_with_488(lines: Exchange) -> None:
    talk = lines.call(media={"formats": ((18, "G729/8000"),)})
    talk.first.wait_ended()
    assert talk.first.status == 488
    row = lines.home.row_of(talk.number)
    assert (row["outcome"], row["reason"]) == ("no_conversation", "codec_refused")


UNREACHABLE = ("2001:db8::9", "fe80::1%eth0", "239.1.2.3", "255.255.255.255", "240.0.0.1")
"""Addresses in a session description that a recorder on an IPv4 address never sends to."""


@pytest.mark.parametrize("ip", UNREACHABLE)
def test_an_offer_with_an_address_that_is_not_sent_to_is_refused_with_488(lines: Exchange, ip: str) -> None:
    before = dict(lines.home.health()["alarms"])
    talk = lines.call(media={"ip": ip})
    talk.first.wait_ended()
    assert talk.first.status == 488
    row = lines.home.row_of(talk.number)
    assert (row["outcome"], row["reason"]) == ("no_conversation", "address_refused")
    alarms = lines.home.health()["alarms"]
    assert alarms["caller_address_refused"] == before.pop("caller_address_refused", 0) + 1
    assert alarms.get("caller_media_refused") == before.get("caller_media_refused"), "no codec is to blame"
    assert lines.home.health()["calls"] == 0


@pytest.mark.parametrize("ip", UNREACHABLE)
def test_an_answer_with_such_an_address_ends_that_attempt(lines: Exchange, ip: str) -> None:
    talk = lines.call(answer=Answer(after_s=0.05, media=Media(ip=ip, port=4444)))
    talk.first.wait_ended()
    row = lines.home.row_of(talk.number)
    assert (row["outcome"], row["reason"]) == ("no_conversation", "codec_refused")


def test_other_codecs_are_taken_out_of_the_offer_that_goes_on(lines: Exchange) -> None:
    formats = ((18, "G729/8000"), (96, "opus/48000/2"), (8, "PCMA/8000"), (101, "telephone-event/8000"))
    talk = lines.call(media={"formats": formats})
    talk.join()
    talk.hang_up()
    second = talk.wait_second()
    assert b"PCMA" in second.invite.body
    assert b"telephone-event" in second.invite.body
    assert b"G729" not in second.invite.body
    assert b"opus" not in second.invite.body


def test_our_own_mark_that_comes_back_is_a_loop(lines: Exchange) -> None:
    talk = lines.call("4711")
    second = talk.wait_second()
    second.wait_for(lambda call: call.state is State.CONFIRMED)
    talk.first.hang_up()
    ordinary = {"via", "from", "to", "call-id", "cseq", "contact", "max-forwards", "content-type", "user-agent"}
    marks = [(name, value) for name, value in second.invite.headers if name.lower() not in ordinary]
    assert marks, "the INVITE that goes on is marked"
    for number in ("4711", "2001"):
        again = lines.call(number, headers=marks)
        again.first.wait_ended()
        assert again.first.status == 482
        assert again.second is None


def test_max_forwards_goes_down_by_one_and_ends_at_zero(lines: Exchange) -> None:
    talk = lines.call("4711")
    assert talk.wait_second().invite.value("Max-Forwards") == "69"
    talk.first.wait_confirmed()
    talk.first.hang_up()


def test_a_number_without_a_route_is_404_and_ours_to_explain(lines: Exchange) -> None:
    lines.home.edit('number = ""                     #', 'number = "4"                    #')
    lines.home.act("/api/reload").raise_for_status()
    try:
        passed, nominated = lines.call("5711"), lines.call("2001")
        for talk in (passed, nominated):
            talk.first.wait_ended()
            assert talk.first.status == 404
        row = lines.home.row_of(nominated.number)
        assert (row["outcome"], row["reason"]) == ("failed", "no_route")
    finally:
        lines.home.edit('number = "4"                    #', 'number = ""                     #')
        lines.home.act("/api/reload").raise_for_status()


def test_when_ports_are_used_up_999_still_passes_and_others_are_told_why(narrow: Exchange) -> None:
    for _ in range(5):
        refused = narrow.call(media={"formats": ((18, "G729/8000"),)})
        refused.first.wait_ended()
        assert refused.first.status == 488, "what is refused uses up no ports"
    talks = [narrow.call(), narrow.call()]
    for talk in talks:
        talk.join()
    one_more = narrow.call()
    one_more.first.wait_ended()
    refusal = next(m for m in one_more.first.received if m.status == 503)
    assert (refusal.value("Warning"), refusal.value("Retry-After")) == ('399 recorder "full"', "")
    row = narrow.home.row_of(one_more.number)
    assert (row["outcome"], row["reason"]) == ("failed", "ports_exhausted")
    assert narrow.home.health()["alarms"]["ports_exhausted"] >= 1

    for number in ("999", "9999", "112"):
        emergency = narrow.call(number, from_number="2001" if number == "112" else "")
        emergency.first.wait_confirmed()
        second = emergency.wait_second()
        assert second.invite.body == emergency.first.invite.body
        emergency.first.hang_up()
        second.wait_ended()
        narrow.talks.pop(emergency.number)
    for talk in talks:
        assert talk.wait_phase("joined"), "the others are not touched"
        assert talk.hang_up()["outcome"] == "recorded"
    eventually(lambda: narrow.home.health()["media"]["legs"] == 0, "the ports are given back")


def test_a_second_target_takes_over_within_two_seconds(lines: Exchange, no_reply: str) -> None:
    first = f"127.0.0.1:{lines.officer.address[1]}"
    second = f"127.0.0.1:{lines.spare.address[1]}"
    lines.home.edit(f'targets = ["{first}"]', f'targets = ["{no_reply}", "{second}"]')
    lines.home.act("/api/reload").raise_for_status()
    try:
        talk = lines.call()
        talk.begin()
        talk.wait_phase("ringing after the notice", timeout_s=4)
        silent_s = time.monotonic()
        talk.wait_second(timeout_s=4)
        assert time.monotonic() - silent_s < 2.3
        talk.join()
        talk.talk_for(0.3)
        assert talk.hang_up()["outcome"] == "recorded"

        lines.home.edit(f'targets = ["{no_reply}", "{second}"]', f'targets = ["{no_reply}"]')
        lines.home.act("/api/reload").raise_for_status()
        alone = lines.call("4711")
        began_s = time.monotonic()
        alone.first.wait_ended(4)
        assert alone.first.status == 408
        assert time.monotonic() - began_s < 2.5
    finally:
        text = lines.home.config.read_text()
        lines.home.config.write_text(
            text.replace(f'"{no_reply}", "{second}"', f'"{first}"').replace(f'"{no_reply}"', f'"{first}"')
        )
        lines.home.act("/api/reload").raise_for_status()
