"""Calls between a SipEndpoint and a peer on a raw socket, brought as far as a test wants them."""

from typing import Any

from tests.helpers.sip_process import SDP, DrivenEndpoint, Message, Peer


def offered(endpoint: DrivenEndpoint, peer: Peer, *, body: str = SDP, **more: Any) -> int:
    """Have the peer place a call; returns its leg."""
    peer.request("INVITE", body=body, **more)
    peer.expect(100)
    return int(endpoint.take("CallOffered")["leg"])


def answered(endpoint: DrivenEndpoint, peer: Peer, leg: int) -> Message:
    """Have the endpoint answer a call of the peer's, who acknowledges it; returns the 200."""
    endpoint.do("answer", leg=leg, body=SDP)
    answer = peer.expect(200)
    peer.learn(answer)
    peer.request("ACK")
    return answer


def connected(endpoint: DrivenEndpoint, peer: Peer, **more: Any) -> int:
    """Return the leg of an answered call that the peer placed."""
    leg = offered(endpoint, peer, **more)
    answered(endpoint, peer, leg)
    return leg


def dialled(endpoint: DrivenEndpoint, peer: Peer, **more: Any) -> tuple[int, Message]:
    """Have the endpoint call the peer, the way that the peer talks; returns the leg and the INVITE."""
    over = [] if peer.over == "UDP" else [peer.over.lower()]
    target = [peer.host, peer.port, *over]
    endpoint.do("dial", **{"target": target, "request_user": "2001", "from_user": "1234", "body": SDP, **more})
    return int(endpoint.take("dialled")["dialled"]), peer.expect("INVITE")


def talking(endpoint: DrivenEndpoint, peer: Peer) -> int:
    """Return the leg of a call that the endpoint placed and the peer answered."""
    leg, invite = dialled(endpoint, peer)
    peer.respond(invite, 200, body=SDP)
    peer.expect("ACK")
    endpoint.take("LegAnswered")
    peer.adopt(invite)
    return leg


def ended_by_us(endpoint: DrivenEndpoint, peer: Peer, leg: int) -> None:
    """Have the endpoint hang up, and the peer answer its BYE."""
    endpoint.do("hang_up", leg=leg)
    peer.respond(peer.expect("BYE"), 200)


def ended_by_peer(endpoint: DrivenEndpoint, peer: Peer) -> None:
    """Have the peer hang up."""
    peer.request("BYE")
    peer.expect(200)
    endpoint.take("LegEnded")
