"""Callers and officers at both sides of a recorder: SIP by scripted peers, audio by known voices."""

import itertools
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.helpers.recorder_home import HANGS_S, RecorderHome, eventually, recorder_home
from tests.helpers.sip_peer import Address, Answer, Call, Caller, Media, Message, Officer, State
from tests.helpers.voices import PCMA, TICKS_PER_S, Studio, Voice

_numbers = itertools.count(4000)
"""The callers' last four digits: above those of the numbers that tests write out."""
GLARES = 3
"""How often a re-INVITE is tried that meets an offer of the other side."""
_USER = re.compile(r"<sip:([^@>;]+)")


def user_of(message: Message, header: str = "From") -> str:
    """Return the user part of a header's address."""
    found = _USER.search(message.value(header))
    assert found is not None
    return found[1]


def re_offer(call: Call, media: Media | None) -> bytes:
    """Send a re-INVITE until its 200 and return the SDP in it; one that meets another offer is sent again.

    Without media it is empty, and the SDP is the offer; what the call has is its answer.

    RFC 3261 section 14.1: whoever made the Call-ID waits for 2.1 to 4 s after a 491.
    """
    for _ in range(GLARES):
        before = len(call.replies_to("INVITE"))
        call.offer(media)
        call.wait_for(lambda c, before=before: len(c.replies_to("INVITE")) > before, HANGS_S)  # type: ignore[misc]
        if (status := call.replies_to("INVITE")[-1]) != 491:
            break
        time.sleep(2.1)
    assert status == 200, status
    return call.remote_body


@dataclass
class Talk:
    """One call seen from both ends.

    Attributes:
        number: The caller's number, unique: it finds the call at the officer, in the daemon and in the index.
        first: The leg that was placed.
        left: Voice of the party that placed it.
        right: Voice of the party that it was placed to.
        answer: What the party called does.
    """

    exchange: "Exchange"
    number: str
    left: Voice
    right: Voice
    answer: Answer
    first: Call = field(init=False)

    @property
    def home(self) -> RecorderHome:
        return self.exchange.home

    @property
    def second(self) -> Call | None:
        """The leg at the party called, once it was offered there."""
        return next((c for c in self.exchange.offered() if user_of(c.invite) == self.number), None)

    def wait_second(self, *, timeout_s: float = HANGS_S) -> Call:
        """Wait until the party called has been offered the call."""
        return eventually(lambda: self.second, f"the call from {self.number} is offered", timeout_s=timeout_s)

    @property
    def live(self) -> dict[str, Any] | None:
        """The call as the daemon lists it."""
        return next((call for call in self.home.calls() if call["caller"] == self.number), None)

    def wait_phase(self, phase: str, *, timeout_s: float = HANGS_S) -> dict[str, Any]:
        """Wait until the daemon has the call in a phase; returns its line."""

        def probe() -> dict[str, Any] | None:
            found = self.live
            return found if found is not None and found["phase"] == phase else None

        return eventually(probe, f"the call from {self.number} is {phase}", timeout_s=timeout_s)

    def begin(self) -> None:
        """Wait until the placing party is answered, and have it talk from then on."""
        self.first.wait_confirmed(HANGS_S)
        self.left.listen_under(self.first.remote_body)
        self.left.talk(self.first.remote_media)

    def join(self) -> str:
        """Wait until both sides are joined, talking from their answers on; returns the recording's id."""
        self.begin()
        second = self.wait_second()
        second.wait_for(lambda call: call.state is State.CONFIRMED, HANGS_S)
        self.right.listen_under(second.remote_body)
        self.right.talk(second.remote_media)
        return str(self.wait_phase("joined")["id"])

    def talk_for(self, seconds: float) -> None:
        """Let both talk for so long, counted in what the placing party says."""
        goal = self.left.sent[-1][0] + seconds * TICKS_PER_S
        eventually(lambda: self.left.sent[-1][0] >= goal, "the voice goes on", timeout_s=seconds + HANGS_S)

    def hang_up(self) -> dict[str, Any]:
        """Have the placing party hang up and stop talking; returns the row that was filed."""
        before = self.home.index_state()
        self.first.hang_up()
        self.first.wait_ended(HANGS_S)
        self.left.hush()
        self.right.hush()
        return self.home.row_of(self.number, before=before)


class Exchange:
    """A recorder with people on both sides of it; `exchange` makes one."""

    def __init__(
        self,
        stack: ExitStack,
        *,
        studio: Studio | None = None,
        officer: Callable[..., Officer] = Officer,
        caller: Callable[[Address], Caller] = Caller,
    ) -> None:
        self.talks: dict[str, Talk] = {}
        self.newcomers: dict[tuple[str, str], Answer] = {}
        """What is done with calls to a number from a number, whatever else its caller is waited for with."""
        self.studio = stack.enter_context(studio or Studio())
        self.officer = stack.enter_context(officer(answer=self._answer))
        self.spare = stack.enter_context(officer(answer=self._answer))
        """A second target, for routes that have one."""
        self.caller = stack.enter_context(caller(("127.0.0.1", 0)))
        self.caller_at = caller
        """Makes another caller, at an address; port 0 is a free one."""
        self.home: RecorderHome

    def offered(self) -> list[Call]:
        """Return every call that was offered at the officers' side."""
        return [*self.officer.incoming(), *self.spare.incoming()]

    def call(
        self,
        number: str = "2001",
        *,
        from_number: str = "",
        laws: tuple[int, int] = (PCMA, PCMA),
        answer: Answer | None = None,
        headers: Sequence[tuple[str, str]] = (),
        media: dict[str, Any] | None = None,
        has_offer: bool = True,
        srtp: tuple[bool, bool] = (False, False),
    ) -> Talk:
        """Place a call and return at once; ``srtp``: whether either side speaks SRTP."""
        talk = self.expect(from_number or f"0163296{next(_numbers):04d}", laws=laws, answer=answer, srtp=srtp)
        ours: Media = talk.left.media(**(media or {}))
        talk.first = self.caller.invite(
            self.home.sip, number, from_number=talk.number, media=ours, headers=headers, has_offer=has_offer
        )
        return talk

    def expect(
        self,
        number: str,
        *,
        laws: tuple[int, int] = (PCMA, PCMA),
        answer: Answer | None = None,
        srtp: tuple[bool, bool] = (False, False),
    ) -> Talk:
        """Be ready for a call from a number, which somebody else places."""
        left, right = (self.studio.voice(law=law) for law in laws)
        for voice, is_secure in zip((left, right), srtp, strict=True):
            if is_secure:
                voice.encrypt()
        plan = answer or Answer(after_s=0.05)
        talk = Talk(self, number, left, right, replace(plan, media=plan.media or right.media()))
        self.talks[number] = talk
        return talk

    def _answer(self, invite: Message) -> Answer:
        called = invite.uri.partition(":")[2].partition("@")[0]
        if (called, user_of(invite)) in self.newcomers:
            return self.newcomers[called, user_of(invite)]
        talk = self.talks.get(user_of(invite))
        return talk.answer if talk is not None else Answer(status=404)


@contextmanager
def exchange(folder: Path, **options: Any) -> Iterator[Exchange]:
    """Start a recorder whose PBX is a scripted officer, and people to call it."""
    with ExitStack() as stack:
        made = Exchange(stack)
        made.home = stack.enter_context(
            recorder_home(folder, next_hop=f"127.0.0.1:{made.officer.address[1]}", **options)
        )
        yield made
