"""What a scripted peer knows about its calls; `benchmarks.peers` has the agent that runs them."""

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.messages import Media, Message

if TYPE_CHECKING:
    from benchmarks.peers import Agent

T1_S, T2_S = 0.5, 4.0
"""RFC 3261 section 17.1.1.1: retransmission starts at T1, doubles up to T2, and gives up after 64 * T1."""
GIVE_UP_S = 64 * T1_S

Address = tuple[str, int]
Headers = Sequence[tuple[str, str]]


class State(enum.Enum):
    """Where a call stands, seen from this agent."""

    CALLING = "calling"
    RINGING = "ringing"
    CONFIRMED = "confirmed"
    """Answered, and the ACK was sent or has arrived."""
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an agent does with a call that comes in.

    Attributes:
        after_s: Seconds from the INVITE to the final response; None never gives one.
        rings: Send 180 at once.
        status: Final status: 200 answers with ``media``, any other refuses.
        media: SDP of the answer, made from the INVITE; None says the agent's default, on a port nobody listens to.
        hang_up_after_s: Seconds from the ACK to a BYE of ours, or None to wait for theirs.
        headers: Added to the final response.
    """

    after_s: float | None = 0.0
    rings: bool = True
    status: int = 200
    media: Media | None = None
    hang_up_after_s: float | None = None
    headers: tuple[tuple[str, str], ...] = ()


@dataclass
class Retransmission:
    """A message that is sent again until something stops it."""

    data: bytes
    to: Address
    interval_s: float
    gives_up_at_s: float
    cap_s: float
    on_give_up: Callable[[], None]
    is_on: bool = True


@dataclass(eq=False)
class Call:
    """One dialog. Attributes are written by the agent's thread; read them after `wait_for`.

    Attributes:
        call_id: Its Call-ID.
        is_incoming: The agent took it.
        state: See `State`.
        status: Final status of the INVITE, 0 before, 408 when nobody answered.
        ended_by: ``us``, ``them``, ``refused`` or ``timeout`` once ended.
        remote_media: Where the other side wants its audio, after its last SDP.
        remote_body: Its last SDP.
        received: Every message that arrived, retransmissions too, oldest first.
        sent: Every message that was sent, first transmissions only.
        invite: The INVITE that opened it.
        cseq: Number of our last request.
        hang_up_after_s: Seconds from the ACK to a BYE of ours, or None.
        is_cancelled: We gave up before the answer.
        retransmissions: What is being sent again, by what ends it.
        acks: The ACK to each final answer, by its CSeq.
        answers: Our last response to each request, by method and branch.
        routes: The route set (RFC 3261 section 12.1), as headers of our requests.
    """

    agent: "Agent" = field(repr=False)
    call_id: str
    is_incoming: bool
    peer: Address
    local: str = field(repr=False)
    remote: str = field(repr=False)
    invite: Message = field(repr=False)
    media: Media
    remote_uri: str = field(default="", repr=False)
    state: State = State.CALLING
    status: int = 0
    ended_by: str = ""
    remote_media: Address | None = None
    remote_body: bytes = field(default=b"", repr=False)
    received: list[Message] = field(default_factory=list, repr=False)
    sent: list[Message] = field(default_factory=list, repr=False)
    cseq: int = 1
    hang_up_after_s: float | None = None
    is_cancelled: bool = False
    retransmissions: dict[str, Retransmission] = field(default_factory=dict, repr=False)
    acks: dict[int, bytes] = field(default_factory=dict, repr=False)
    answers: dict[str, Message] = field(default_factory=dict, repr=False)
    routes: Headers = ()

    def wait_for(self, check: Callable[["Call"], object], timeout_s: float | None = None) -> None:
        """Wait until ``check(call)`` is true; it runs on the waiting thread, under the agent's lock.

        Raises:
            TimeoutError: It was not in time, which is by default as long as the agent is patient; the message tells how
                the call stands.
        """
        timeout_s = self.agent.patience_s if timeout_s is None else timeout_s
        with self.agent.changed:
            if not self.agent.changed.wait_for(lambda: check(self), timeout_s):
                arrived = [message.status or message.method for message in self.received]
                raise TimeoutError(f"{self} did not get there in {timeout_s} s; received {arrived}")

    def wait_confirmed(self, timeout_s: float | None = None) -> None:
        """Wait for the answer; TimeoutError when it ended or did not come."""
        self.wait_for(lambda call: call.state in {State.CONFIRMED, State.ENDED}, timeout_s)
        if self.state is State.ENDED:
            raise TimeoutError(f"{self} ended before it was answered")

    def wait_ended(self, timeout_s: float | None = None) -> None:
        """Wait for the end, whatever it is."""
        self.wait_for(lambda call: call.state is State.ENDED, timeout_s)

    def hang_up(self) -> None:
        """Send BYE on an answered call, CANCEL on one we placed that is not answered, 603 on one that came in."""
        self.agent.submit(lambda: self.agent.end(self))

    def request(self, method: str, body: bytes = b"", content_type: str = "", headers: Headers = ()) -> None:
        """Send a request in the dialog: INFO, OPTIONS, UPDATE, REFER, BYE."""
        self.agent.submit(lambda: self.agent.send_request(self, method, body, content_type, headers))

    def offer(self, media: Media | None) -> None:
        """Send a re-INVITE with this SDP, or an empty one; ``media`` becomes ours."""
        self.agent.submit(lambda: self.agent.send_offer(self, media))

    def replies_to(self, method: str) -> list[int]:
        """Return the final statuses that arrived for a method, in order, without retransmissions."""
        finals = {(m.cseq, m.status): m.status for m in self.received if m.method == method and m.status >= 200}
        return list(finals.values())

    def requests(self, method: str) -> list[Message]:
        """Return the requests of a method that arrived, without retransmissions."""
        return list({m.cseq: m for m in self.received if m.method == method and not m.status}.values())
