"""The scripted peers and the calls benchmark are alive: calls join, streams arrive intact, the figures are there."""

import json
import socket
import time
from pathlib import Path

import pytest

from benchmarks import calls
from benchmarks.home import recorder_command
from benchmarks.messages import media_address
from benchmarks.placed import PlacedCalls
from benchmarks.ports import free_address
from tests.helpers.sip_peer import Answer, Caller, Media, Officer, State, parse

pytestmark = pytest.mark.usefixtures("begins_at_once")


def test_the_recorder_gets_a_port_that_none_of_the_benchmarks_own_sockets_can_get_first() -> None:
    handed_out = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert all(free_address()[1] < handed_out for _ in range(20))


def test_streams_run_between_callers_and_officers_once_they_are_joined() -> None:
    with PlacedCalls(4) as placed:
        placed.place(placed.officer.address, rate=50)
        assert placed.wait_joined(5) == 4
        time.sleep(1)
        packets = placed.cease()
        assert placed.hang_up() == 0
        assert {call.ended_by for call in placed.officer.incoming()} == {"them"}
    assert packets.sent > 4 * 2 * 40
    assert (packets.lost, packets.damaged, packets.strayed, packets.other) == (0, 0, 0, 0)


def test_info_and_re_invite_in_a_call_and_bye_from_the_officer() -> None:
    with Officer() as officer, Caller() as caller:
        call = caller.invite(
            officer.address, "2001", from_number="02079461234", headers=[("X-Test", "a"), ("X-Test", "b")]
        )
        call.wait_confirmed()
        (taken,) = officer.wait_incoming()
        taken.wait_confirmed()
        assert taken.invite.values("x-test") == ("a", "b")
        call.request("INFO", b"Signal=1", "application/dtmf-relay")
        call.wait_for(lambda c: c.replies_to("INFO") == [200])
        taken.offer(Media(ip="127.0.0.1", port=4000, direction="sendonly", version=2))
        taken.wait_for(lambda c: c.replies_to("INVITE") == [200])
        assert call.remote_media == ("127.0.0.1", 4000)
        assert b"a=sendonly" in call.remote_body
        taken.hang_up()
        call.wait_ended()
        taken.wait_ended()  # once the answer to its BYE is there
        assert (call.ended_by, taken.ended_by) == ("them", "us")


def test_cancel_ends_a_ringing_call_with_487() -> None:
    with Officer(answer=Answer(after_s=None)) as officer, Caller() as caller:
        call = caller.invite(officer.address, "2001")
        call.wait_for(lambda c: c.state is State.RINGING)
        call.hang_up()
        call.wait_ended()
        assert call.status == 487
        assert officer.incoming()[0].status == 487


def test_a_refusal_is_acknowledged() -> None:
    with Officer(answer=Answer(status=486)) as officer, Caller() as caller:
        call = caller.invite(officer.address, "2001")
        call.wait_ended()
        assert (call.status, call.ended_by) == (486, "refused")
        officer.incoming()[0].wait_for(lambda c: c.requests("ACK"))


def test_an_invite_is_sent_again_until_something_answers() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent, Caller() as caller:
        silent.bind(("127.0.0.1", 0))
        silent.settimeout(5)
        call = caller.invite(silent.getsockname(), "2001")
        first, second = silent.recv(4096), silent.recv(4096)
        assert first == second
        invite = parse(first)
        assert (invite.method, invite.call_id) == ("INVITE", call.call_id)
        assert media_address(invite.body)[0] == "127.0.0.1"


def test_calls_that_ended_do_not_count_as_standing() -> None:
    with PlacedCalls(2) as placed:
        placed.place(placed.officer.address, rate=50)
        assert placed.wait_joined(5) == 2
        assert placed.standing() == 2
        placed.placed[0].hang_up()
        placed.placed[0].wait_ended()
        assert placed.standing() == 1
        placed.cease()
        assert placed.hang_up() == 0


@pytest.mark.long
def test_a_real_run_fails_no_call_and_has_its_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert recorder_command()
    status = calls.main(["--calls", "3", "--seconds", "1", "--notice-s", "0.4", "--json"])
    captured = capsys.readouterr()
    assert status == 0, captured.err
    document = json.loads(captured.out)
    assert set(document) >= {
        "cpu_ms_per_call_second", "setup_cpu_ms_per_call", "packets_sent", "packets_lost", "delay_ms", "calls",
        "failed_calls", "standing_calls", "notice_s", "rate", "per_call", "seconds", "machine", "commit",
    }  # fmt: skip
    assert set(document["delay_ms"]) == {"p50", "p99", "p99_9", "max"}
    assert (document["calls"], document["standing_calls"], document["failed_calls"]) == (3, 3, 0)
    assert (document["packets_lost"], document["packets_damaged"], document["lost_segments"]) == (0, 0, 0)
    assert document["outcomes"] == {"recorded": 3}
    assert document["per_call"]["resident_kb"] > 0
    assert document["call_thread"]["longest_stall_ms"] > 0
