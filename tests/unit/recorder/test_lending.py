"""An attended transfer borrows a party from another call: what becomes of the lender while it is under way."""

from typing import Any, cast

import pytest

from recorder.calls.call import Call
from recorder.calls.call_maker import CallMaker
from recorder.calls.call_services import CallServices
from recorder.calls.dial_plan import DialPlan, RouteChoice
from recorder.calls.registry import CallRegistry
from recorder.calls.rules.call_events import CallState, Side
from recorder.calls.rules.transfer import Party
from recorder.config.settings import Config
from recorder.rules.routing import Route
from sip.events import CallOffered, LegEnded, LegId, ReferReceived
from sip.options import Address

PBX = Address(host="192.0.2.20")
ASKED, TARGET = LegId(3), LegId(4)
"""Of the consultation: the leg of the transferor who asks, and of the one who is asked."""


class Endpoint:
    """Notes what is asked of it."""

    def __init__(self) -> None:
        self.config = Config()
        self.endpoint = self
        self.asked: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **_: self.asked.append((name, *args))


class Board:
    """Knows which leg is whose."""

    def __init__(self) -> None:
        self.calls: dict[LegId, Call] = {}

    def adopt(self, leg: LegId, call: Call) -> None:
        self.calls[leg] = call

    def call_of(self, leg: LegId) -> Call | None:
        return self.calls.get(leg)

    def is_inside(self, address: Address) -> bool:
        return address == PBX

    def ended(self, call: Call) -> None:
        self.calls = {leg: one for leg, one in self.calls.items() if one is not call}

    def deliver(self, event: Any) -> None:
        self.calls[event.leg].receive(event, event.leg)


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint()


@pytest.fixture
def board() -> Board:
    return Board()


def joined(endpoint: Endpoint, board: Board, a: int, b: int) -> Call:
    """Return a call whose sides talk on two legs."""
    offered = CallOffered(
        leg=LegId(a), source=PBX, request_user="5555", to_user="5555", from_user="1", from_display="",
        asserted_user=None, sip_call_id="x", headers=(), max_forwards=70, loop_marks=(), body=None,
    )  # fmt: skip
    maker = CallMaker(
        cast("CallServices", endpoint), cast("DialPlan", board), cast("CallRegistry", board), cast(Any, None),
        cast(Any, None),
    )  # fmt: skip
    call = maker.passthrough(offered, RouteChoice(route=Route(name="r", targets=(PBX,)), targets=(PBX,), loop_mark="m"))
    call.progress.state = CallState.THROUGH_JOINED
    for side in Side:
        call.parties[side] = Party(number=str(side))
    call.legs.b = LegId(b)
    for leg in (a, b):
        board.adopt(LegId(leg), call)
    return call


def refer(leg: int) -> ReferReceived:
    """Return the request to join the call of a leg with the consultation."""
    return ReferReceived(leg=LegId(leg), source=PBX, user="5555", replaces=None, replaced_leg=ASKED)


def test_a_lender_ends_when_the_party_hangs_up_on_the_way(endpoint: Endpoint, board: Board) -> None:
    mine, lender = joined(endpoint, board, 1, 2), joined(endpoint, board, ASKED, TARGET)
    board.deliver(refer(2))
    assert (mine.legs.target, mine.progress.state) == (TARGET, CallState.TRANSFERRING)
    board.deliver(LegEnded(leg=TARGET, cause="bye", reason=None))
    assert ("notify", LegId(2), 487, "") in endpoint.asked
    assert mine.progress.state is CallState.THROUGH_JOINED, "they talk as before"
    assert lender.progress.state is CallState.ENDED, "there is nobody left to talk to"
    assert ("hang_up", ASKED) in endpoint.asked


def test_nobody_is_lent_twice(endpoint: Endpoint, board: Board) -> None:
    mine, lender = joined(endpoint, board, 1, 2), joined(endpoint, board, ASKED, TARGET)
    other = joined(endpoint, board, 5, 6)
    board.deliver(refer(2))
    board.deliver(refer(6))
    assert endpoint.asked[-1] == ("refuse_refer", LegId(6), 603)
    assert (mine.legs.target, other.progress.state) == (TARGET, CallState.THROUGH_JOINED)
    board.deliver(ReferReceived(leg=ASKED, source=PBX, user="7", replaces=None, replaced_leg=LegId(5)))
    assert endpoint.asked[-1] == ("refuse_refer", ASKED, 491), "whose party is away cannot be transferred"
    board.deliver(LegEnded(leg=LegId(1), cause="bye", reason=None))
    assert lender.legs.b == TARGET, "they are given back"
    board.deliver(refer(6))
    assert other.legs.target == TARGET
