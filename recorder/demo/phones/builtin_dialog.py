"""The SIP side of the built-in phone's one call: transactions and dialog (RFC 3261), over UDP. Not for several threads.

No authentication, no TCP and no session timers. Everything is sent to where the other side sends from.
"""

import re
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from audio.types import Codec
from recorder.demo.phones.builtin_media import EVENT_TYPE
from recorder.demo.phones.sip_messages import Message, WireError, build_request, build_response, media_address

T1_S, T2_S = 0.5, 4.0
GIVE_UP_S = 64 * T1_S
Address = tuple[str, int]
_EVENTS = re.compile(r"^a=rtpmap:(\d+) telephone-event/8000", re.MULTILINE | re.IGNORECASE)


class DialogStage(Enum):
    """Where the call stands."""

    CALLING = "calling"
    EARLY = "early"
    CONFIRMED = "confirmed"
    ENDED = "ended"


@dataclass(slots=True)
class _Resent:
    data: bytes
    interval_s: float
    next_at: float
    until: float


class Resender:
    """Sends messages again until they are answered (RFC 3261 section 17)."""

    def __init__(self, transmit: Callable[[bytes, Address], None], given_up: Callable[[], None]) -> None:
        self._transmit, self._given_up = transmit, given_up
        self._waiting: dict[tuple[str, Address], _Resent] = {}

    def send(self, key: str, data: bytes, to: Address) -> None:
        """Send a message now, and again until `stop`."""
        now = time.monotonic()
        self._waiting[key, to] = _Resent(data, T1_S, now + T1_S, now + GIVE_UP_S)
        self._transmit(data, to)

    @property
    def is_waiting(self) -> bool:
        """Tell whether something is not answered yet."""
        return bool(self._waiting)

    def stop(self, key: str) -> None:
        """Do not send it again."""
        for found in [one for one in self._waiting if one[0] == key]:
            del self._waiting[found]

    def send_due(self) -> None:
        """Send again what is due."""
        now = time.monotonic()
        for (key, to), one in list(self._waiting.items()):
            if now >= one.until:
                del self._waiting[key, to]
                self._given_up()
            elif now >= one.next_at:
                one.interval_s = min(2 * one.interval_s, T2_S)
                one.next_at = now + one.interval_s
                self._transmit(one.data, to)


@dataclass(slots=True, eq=False)
class Dialog:
    """The state of one call.

    Attributes:
        host: Our address and port, for Via and Contact.
        peer: Where the other side sends from.
        invite: The INVITE that began it.
        local: Our From or To, with its tag.
        remote: The other side's.
        is_ours: Whether we called.
        remote_uri: Where requests go.
        offer: The session description of the other side, which came last.
    """

    host: str
    peer: Address
    invite: Message
    local: str
    remote: str
    is_ours: bool
    remote_uri: str
    stage: DialogStage = DialogStage.CALLING
    cseq: int = 1
    version: int = 1
    routes: Sequence[tuple[str, str]] = ()
    offer: bytes = b""
    is_cancelled: bool = False
    acks: dict[int, bytes] = field(default_factory=dict)
    answers: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    def calling(cls, host: str, uri: str, peer: Address, user: str, sdp: bytes) -> "Dialog":
        """Return the dialog of a call that we place."""
        local, remote = f"<sip:{user}@{host}>;tag={secrets.token_hex(6)}", f"<{uri}>"
        invite = build_request(
            host, "INVITE", uri, local=local, remote=remote, call_id=secrets.token_hex(12), cseq=1, body=sdp
        )
        return cls(host=host, peer=peer, invite=invite, local=local, remote=remote, is_ours=True, remote_uri=uri)

    @classmethod
    def called(cls, host: str, invite: Message, peer: Address) -> "Dialog":
        """Return the dialog of a call that comes in."""
        return cls(
            host=host,
            peer=peer,
            invite=invite,
            local=f"{invite.value('To')};tag={secrets.token_hex(6)}",
            remote=invite.value("From"),
            is_ours=False,
            remote_uri=invite.contact_uri,
            routes=[("Route", route) for route in invite.values("Record-Route")],
            cseq=100,
            offer=invite.body,
        )

    def request(self, method: str, sdp: bytes = b"") -> Message:
        """Return the next request in the dialog."""
        self.cseq += 1
        return self._request(method, self.cseq, body=sdp)

    def _request(self, method: str, cseq: int, *, body: bytes = b"", branch: str = "", uri: str = "") -> Message:
        return build_request(
            self.host,
            method,
            uri or self.remote_uri,
            local=self.local,
            remote=self.remote,
            call_id=self.invite.call_id,
            cseq=cseq,
            headers=self.routes,
            body=body,
            branch=branch,
        )

    def cancel(self) -> Message:
        """Return the CANCEL of the INVITE that we sent."""
        return self._request("CANCEL", 1, branch=self.invite.branch, uri=self.invite.uri)

    def ack(self, response: Message) -> bytes:
        """Return the ACK of a final response, and remember it; it is the same for each repeat of the response."""
        cseq = response.cseq
        if cseq not in self.acks:
            if response.status < 300:
                if cseq == 1 and self.is_ours:
                    self.remote = response.value("To")
                    self.routes = [("Route", route) for route in reversed(response.values("Record-Route"))]
                self.remote_uri = response.contact_uri or self.remote_uri
                ack = self._request("ACK", cseq)
            else:
                uri = self.invite.uri if cseq == 1 and self.is_ours else ""
                remote, self.remote = self.remote, response.value("To")
                ack = self._request("ACK", cseq, branch=response.branch, uri=uri)
                self.remote = remote
            self.acks[cseq] = bytes(ack)
        return self.acks[cseq]

    def respond(self, request: Message, status: int, sdp: bytes = b"") -> bytes:
        """Return our response to a request, and remember it for its repeats."""
        data = bytes(build_response(self.host, request, status, to=self.local, body=sdp))
        self.answers[f"{request.method} {request.branch}"] = data
        return data

    def answered(self, request: Message) -> bytes | None:
        """Return what was answered to a request that is repeated."""
        return self.answers.get(f"{request.method} {request.branch}")


def remote_media(sdp: bytes) -> Address | None:
    """Return where the other side wants its audio, or None."""
    try:
        return media_address(sdp)
    except WireError:
        return None


def formats_of(sdp: bytes) -> tuple[Codec, int] | None:
    """Return the codec and the payload type of keys to use with a session description; None if no codec fits."""
    text = sdp.decode("utf-8", "replace")
    line = re.search(r"^m=audio \S+ \S+ ([\d ]+)", text, re.MULTILINE)
    offered = [] if line is None else line[1].split()
    codec = next((codec for codec in (Codec.PCMA, Codec.PCMU) if str(int(codec)) in offered), None)
    events = _EVENTS.search(text)
    return None if codec is None else (codec, EVENT_TYPE if events is None else int(events[1]))


def direction_of(sdp: bytes) -> str:
    """Return the direction that the other side asks for."""
    found = re.search(rb"^a=(sendrecv|sendonly|recvonly|inactive)\r?$", sdp, re.MULTILINE)
    return "sendrecv" if found is None else found[1].decode()


ANSWERED_BY = {"sendrecv": "sendrecv", "sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"}
"""Direction of the answer to an offer (RFC 3264 section 6.1)."""
