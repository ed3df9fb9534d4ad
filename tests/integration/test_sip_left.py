"""A SIP process is killed in a call, and the next one ends it by BYE at both phones: over UDP, IPv6, TCP and TLS."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import pytest

from tests.helpers import certificates, sip_process, sip_streams
from tests.helpers.sip_calls import connected, dialled
from tests.helpers.sip_endpoint import REASON
from tests.helpers.sip_process import SDP, EndpointProcess, Peer

SOON_S = 33.0
"""What the phones are promised."""


class Peer6(Peer):
    """A peer with an IPv6 address."""

    def __init__(self, remote: tuple[str, int]) -> None:
        super().__init__(remote, host="[::1]")
        self.target = f"sip:2001@[::1]:{remote[1]}"
        self.remote_to = "<sip:2001@[::1]>"

    def _listen(self) -> int:
        self.socket = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        self.socket.bind(("::1", self._wanted_port))
        return int(self.socket.getsockname()[1])

    def send(self, data: bytes) -> None:
        self.last = data
        self.socket.sendto(data, ("::1", self.remote[1]))

    def __enter__(self) -> Self:
        return self


@contextmanager
def over(kind: str, folder: Path) -> Iterator[tuple[dict[str, Any], Callable[[EndpointProcess], Peer]]]:
    """Return the options of an endpoint, and what makes its peers."""
    if kind == "udp":
        yield {}, lambda endpoint: Peer(endpoint.address)
    elif kind == "udp6":
        yield {"listen": ["::1", 0], "trusted": ["::1/128"]}, lambda endpoint: Peer6(endpoint.address)
    elif kind == "tcp":
        yield (
            {"listen_tcp": ["127.0.0.1", 0]},
            lambda endpoint: sip_streams.StreamPeer(tuple(endpoint.addresses["tcp"][:2])),
        )
    else:
        papers = certificates.Authority(folder / "papers")
        own = papers.issue("own", ips=["127.0.0.1"])
        tls = {"certificate": own[0], "private_key": own[1], "ca": str(papers.ca)}
        shown = papers.issue("pbx", ips=["127.0.0.1"])
        yield (
            {"listen_tls": ["127.0.0.1", 0], "tls": tls, "streams": {"connect_s": 30.0}},
            lambda endpoint: sip_streams.StreamPeer(
                tuple(endpoint.addresses["tls"][:2]),
                connecting=sip_streams.tls_context(None, papers.ca, is_server=False),
                accepting=sip_streams.tls_context(shown, papers.ca, is_server=True),
            ),
        )


@pytest.mark.parametrize("kind", ["udp", "udp6", "tcp", "tls"])
def test_both_phones_hear_bye_from_the_next_process(kind: str, tmp_path: Path) -> None:
    with over(kind, tmp_path) as (options, make), ExitStack() as stack:
        killed = stack.enter_context(sip_process.EndpointProcess(**options))
        caller, officer = stack.enter_context(make(killed)), stack.enter_context(make(killed))
        killed.do("keep")
        connected(killed, caller)
        left = {"caller": killed.take("kept")["kept"]}
        at: dict[str, Any] = {"target": ["::1", officer.port]} if kind == "udp6" else {}
        _, invite = dialled(killed, officer, **at)
        officer.respond(invite, 200, body=SDP)
        officer.expect("ACK")
        left["officer"] = killed.take("kept")["kept"]
        killed.kill()
        for peer in (caller, officer):
            if isinstance(peer, sip_streams.StreamPeer):
                peer.drop()

        after = stack.enter_context(sip_process.EndpointProcess(**options))
        after.do("hang_up_left", left=left)
        for peer, call_id in ((caller, caller.call_id), (officer, invite["Call-ID"])):
            peer.remote = after.address if kind.startswith("udp") else tuple(after.addresses[kind][:2])
            bye = peer.expect("BYE", SOON_S)
            assert (bye["Call-ID"], bye["Reason"]) == (call_id, REASON)
            if peer is officer:
                assert (bye["From"], bye["To"]) == (invite["From"], f"{invite['To']};tag=peertag")
                assert int(bye["CSeq"].split(" ")[0]) > int(invite["CSeq"].split(" ")[0])
            else:
                assert bye["From"] == caller.remote_to
                assert f";tag={caller.tag}" in bye["To"]
            peer.respond(bye, 200)
        assert {after.take("settled")["settled"] for _ in left} == set(left)
