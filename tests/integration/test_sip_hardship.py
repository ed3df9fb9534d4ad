"""A name that the system resolves slowly delays no other message. Other hardships: tests/virtual."""

import os
import time

from tests.helpers import sip_process
from tests.helpers.sip_calls import dialled
from tests.helpers.starvation import stopwatch

SDP = sip_process.SDP


def test_a_slow_name_in_a_route_keeps_nobody_else_waiting() -> None:
    with sip_process.EndpointProcess(slow_names_s=2.0) as endpoint, sip_process.Peer(endpoint.address) as peer:
        leg, invite = dialled(endpoint, peer)
        began = time.monotonic()
        peer.respond(invite, 200, body=SDP, headers=f"Record-Route: <sip:proxy.slow:{peer.port};lr>\r\n")
        endpoint.take("LegAnswered")  # its ACK waits for the name by now
        with sip_process.Peer(endpoint.address) as other:
            took_s = stopwatch(os.getpid(), endpoint.pid)
            other.request("OPTIONS")
            other.expect(200)
            assert took_s() < 1.0
        peer.expect("ACK")
        assert time.monotonic() - began >= 2.0, "the name was slow"
        took_s = stopwatch(os.getpid(), endpoint.pid)
        endpoint.do("hang_up", leg=leg)
        peer.respond(peer.expect("BYE"), 200)
        assert took_s() < 1.0, "the address is remembered"
