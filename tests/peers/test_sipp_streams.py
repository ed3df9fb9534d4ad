"""Calls between two sipp over TCP, through a SipEndpoint that joins its legs.

Not over TLS: Debian's sipp 3.7.3 sends nothing over it, not even to itself ("Unable to send TLS message").
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.ports import free_port, wait_until_bound
from tests.helpers import sip_process
from tests.helpers.recorder_home import HANGS_S
from tests.peers.test_sip_sipp import sipp, story

pytestmark = pytest.mark.peer
HOST = "127.0.0.1"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Any]:
    with sip_process.EndpointProcess(listen_tcp=[HOST, 0]) as made:
        yield made


@pytest.mark.parametrize(
    ("how", "caller", "officer", "calls"),
    [
        ("t1", "uac", "uas", 10),
        ("tn", "uac", "uas", 10),
        ("t1", "uac_hold_update_info", "uas_talks", 1),
        ("t1", "uac_cancel", "uas_cancelled", 1),
        ("t1", "uac_refused", "uas_busy", 1),
    ],
)
def test_call_through(endpoint: Any, tmp_path: Path, how: str, caller: str, officer: str, calls: int) -> None:
    port, more = free_port(), ("-max_socket", "100", "-r", "20")
    uas = sipp(tmp_path, officer, port, calls, "-t", "t1", *more)
    running = [uas]
    try:
        wait_until_bound(port, "tcp")
        endpoint.do("b2bua", to=[HOST, port, "tcp"])
        to = "{}:{}".format(*endpoint.addresses["tcp"])
        uac = sipp(tmp_path, caller, free_port(), calls, to, "-d", "100", "-s", "2001", "-t", how, *more)
        running.append(uac)
        assert uac.wait(HANGS_S) == 0, story(tmp_path, caller)
        assert uas.wait(HANGS_S) == 0, story(tmp_path, officer)
    finally:
        for one in running:
            if one.poll() is None:
                one.kill()
                one.wait()
